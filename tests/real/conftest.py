"""Tests on a real broker: `kafka_broker` and `kafka_site` of tests/conftest.py."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """kafka-python leaves a socket open when a connection is refused; it is found whenever the collector runs."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))

"""For all tests: those on a real broker stay in one process, so that they do not fight for the machine."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real_kafka"):
            item.add_marker(pytest.mark.xdist_group("real_kafka"))

"""A real broker for tests marked `real_kafka`: one for the session, on this machine."""

from pathlib import Path

import pytest

from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite


@pytest.fixture(scope="session")
def kafka_broker(has_kafka):
    with LocalCluster() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_site(kafka_broker):
    return LocalSite(kafka_broker)


def pytest_collection_modifyitems(items):
    """kafka-python leaves a socket open when a connection is refused; it is found whenever the collector runs."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))

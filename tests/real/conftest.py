"""A real broker for tests marked `real_kafka`: one for the session, on this machine.

Without Java or a Kafka these tests are skipped, or fail if MQVERIFY_REQUIRE_KAFKA=1, as in CI. A broker that is there
and does not come up always fails them.
"""

import os
from pathlib import Path

import pytest

from mqverify.backends.kafka.jars import find_jars, find_java
from mqverify.backends.kafka.local import LocalKafka
from mqverify.errors import BackendUnavailable


@pytest.fixture(scope="session")
def has_kafka():
    """Java and the jars of a Kafka, fetched if need be."""
    try:
        find_java()
        find_jars(print)
    except BackendUnavailable as error:
        if os.environ.get("MQVERIFY_REQUIRE_KAFKA") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_broker(has_kafka):
    with LocalKafka() as broker:
        yield broker


def pytest_collection_modifyitems(items):
    """kafka-python leaves a socket open when a connection is refused; it is found whenever the collector runs."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))

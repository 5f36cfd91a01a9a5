"""For all tests: those on a real broker stay in two processes, so that they do not fight for the machine.

One has those that share a broker, the other those that start their own.

Without Java or a Kafka they are skipped, or fail if MQVERIFY_REQUIRE_KAFKA=1, as in CI. A broker that is there and
does not come up always fails them.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from mqverify.backends.kafka.jars import find_jars, find_java
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
from mqverify.errors import BackendUnavailable
from tests.conformance.agreement import tell_agreement

_SHARED = {"kafka_broker", "kafka_site", "arm"}
"""Fixtures by which a test is on the broker of the session."""


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on where it runs: the command line says more in a step of GitHub Actions."""
    for variable in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "differs(section): the model does otherwise, as docs/fidelity.md says there")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Here, since with several processes the one that reports does not collect tests."""
    tell_agreement(terminalreporter)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real_kafka"):
            shares = _SHARED.intersection(getattr(item, "fixturenames", ()))
            item.add_marker(pytest.mark.xdist_group("shared_kafka" if shares else "own_kafka"))


@pytest.fixture(scope="session")
def has_kafka() -> None:
    """Java and the jars of a Kafka, fetched if need be."""
    try:
        find_java()
        find_jars(print)
    except BackendUnavailable as error:
        if os.environ.get("MQVERIFY_REQUIRE_KAFKA") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_broker(has_kafka: None) -> Iterator[LocalCluster]:
    """A real broker on this machine, one for the session."""
    with LocalCluster() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_site(kafka_broker: LocalCluster) -> LocalSite:
    return LocalSite(kafka_broker)

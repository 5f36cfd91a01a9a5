"""`mqverify.testing`: right backends pass, broken ones do not, and another package's backend is found and tested."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mqverify.backends import registry
from mqverify.backends.kafka.admin import KafkaAdmin
from mqverify.backends.kafka.backend import KafkaBackend
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.reader import FreshReader
from mqverify.errors import SpecError, UsageError
from mqverify.testing import Report, conformance, suite

KAFKA = {
    "partitions": 3,
    "session_timeout": "6s",
    "heartbeat_interval": "1s",
    "auto_offset_reset": "earliest",
}


def broken(report: Report) -> dict[str, tuple[str, ...]]:
    return {check.name: check.problems for check in report.checks if not check.passed}


@pytest.mark.parametrize(
    ("system", "settings"),
    [
        ("kafka", KAFKA),
        ("eventstore", {}),
        ("eventstore", {"subscribe": "catch_up"}),
    ],
    ids=["kafka", "persistent", "catch-up"],
)
def test_our_own_pass_simulated(system: str, settings: dict[str, Any]) -> None:
    report = conformance(system, settings)
    assert report.passed, report
    assert len(report.checks) == 9


@pytest.mark.real_kafka
def test_kafka_passes_on_a_real_broker(
    kafka_broker: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {**KAFKA, "session_timeout": "3s", "group_min_session_timeout": "500ms"}  # as its broker has it
    report = conformance("kafka", settings, kafka_broker.bootstrap)
    assert report.passed, report
    assert report.world == f"real ({kafka_broker.bootstrap})"


def test_what_there_is_not_and_what_it_does_not_take() -> None:
    with pytest.raises(UsageError, match="there are kafka, eventstore"):
        conformance("rabbit")
    with pytest.raises(SpecError):
        conformance("kafka", {"partitons": 3})


# -- broken on purpose: each is caught by the check that is there for it -----------------------------------------------


@pytest.fixture
def one_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the specs with known verdicts is enough to see what is broken."""
    monkeypatch.setattr(suite, "KNOWN", suite.KNOWN[:1])


@pytest.mark.usefixtures("one_spec")
def test_a_remove_that_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KafkaAdmin, "remove", lambda self: None)
    problems = broken(conformance("kafka", KAFKA))
    [[problem]] = problems.values()
    assert "cannot be created again: TopicAlreadyExistsError" in problem


@pytest.mark.usefixtures("one_spec")
def test_a_remove_that_removes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(self: Any) -> None:
        self._admin.delete_topics(self._admin.list_topics())

    monkeypatch.setattr(KafkaAdmin, "remove", remove)
    problems = broken(conformance("kafka", KAFKA))
    [[problem, *_]] = problems.values()
    assert "another run had made" in problem


@pytest.mark.usefixtures("one_spec")
def test_a_reader_that_overlooks_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FreshReader._log

    def without_the_first(self: Any, look: Any, reading: int, partition: Any, records: Any) -> int:
        return log(self, look, reading, partition, [record for record in records if record.offset])

    monkeypatch.setattr(FreshReader, "_log", without_the_first)
    problems = broken(conformance("kafka", KAFKA))
    assert any("did not find" in problem for problem in problems["a history is whole and in the agreed words"])
    assert any("durable is violated" in problem for problem in problems["without a fault all is delivered once"])


@pytest.mark.usefixtures("one_spec")
def test_promises_that_lack_the_generic_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KafkaBackend, "promises", lambda self, settings: [("topic.retention.ms", "1")])
    problems = broken(conformance("kafka", KAFKA))
    assert problems["it says what it promises"] == ("`promises` lacks 'retention'", "`promises` lacks 'clock'")


@pytest.mark.usefixtures("one_spec")
def test_a_delivery_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KafkaBackend, "delivery", lambda self, settings: "shared")
    report = conformance("kafka", KAFKA)
    assert "it says what it promises: " in str(report)
    assert not report.passed


# -- a backend that another package brings -----------------------------------------------------------------------------

TOY = """
from dataclasses import replace

from mqverify.backends.kafka.backend import KafkaBackend
from mqverify.backends.kafka.system import SYSTEM as KAFKA

SYSTEM = replace(KAFKA, name="toy", title="Toy")


class ToyBackend(KafkaBackend):
    system = "toy"


def backend():
    return ToyBackend()
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `toy` with an entry point, as if it were installed."""
    (tmp_path / "toy_backend.py").write_text(TOY)
    info = tmp_path / "toy_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mqverify.backends]\ntoy = toy_backend\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    registry._plugins.cache_clear()
    registry._plugin.cache_clear()
    yield
    sys.modules.pop("toy_backend", None)
    registry._plugins.cache_clear()
    registry._plugin.cache_clear()


@pytest.mark.usefixtures("toy")
def test_a_backend_of_another_package_is_found_by_its_entry_point_and_tested() -> None:
    report = conformance("toy", KAFKA)
    assert report.passed, report
    assert report.system == "toy"

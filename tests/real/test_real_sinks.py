"""Sinks in SQLite behind processes that are really killed and frozen, on a real broker."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mqverify import engine
from mqverify.history.recorder import RunRows
from mqverify.history.tables import TABLES
from mqverify.spec.load import load
from mqverify.worlds.chunk import judge_runs
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios, unsupported_reason

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

SPEC = """
spec: a sink
workload: {{messages: 300, keys: 20, producers: 2, consumers: 2, handler: {{takes: 1ms}}, {words}}}
backends:
  kafka:
    partitions: 4
    auto_offset_reset: earliest
    session_timeout: 2s
    heartbeat_interval: 500ms
    group_min_session_timeout: 500ms
faults: [{fault}]
expect: {{at_least_once: held, exactly_once: held, legal_resume: held, per_partition_ordering: held}}
"""
CRASH = "{crash: consumer, when: {handled: 30%}, point: POINT, restart_after: 1s}"
FREEZE = "{pause: consumer, when: {handled: 30%}, point: in_handler, for: 6s}"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(site: Any, words: str, fault: str) -> tuple[RunRows, dict[str, int]]:
    """The history of one run, and of each guarantee how often it was violated."""
    path = Path("spec.yaml")
    path.write_text(SPEC.format(words=words, fault=fault))
    (scenario,) = select_scenarios(load([path], engine.registry()).specs, [("kafka", "local")])
    assert unsupported_reason(scenario) is None
    rows, outcome = run_real(scenario, 0, site, lambda said: None)
    assert outcome.drained
    assert [fault[2] for fault in outcome.faults] == [True]
    found = judge_runs(scenario, {0: (rows, outcome)})
    return rows, {finding.guarantee: finding.violations for finding in found}


def values(rows: RunRows, table: str, name: str) -> list[Any]:
    column = TABLES[table].column_names.index(name) - 2
    return [row[column] for row in rows.tables[table]]


@pytest.mark.parametrize(
    ("words", "point", "handled_again", "effects"),
    [
        ("settle: after_handling", "before_settle", 1, 0),
        ("settle: after_handling, sink: idempotent", "before_settle", 1, 300),
        ("settle: after_handling, sink: transactional", "before_settle", 0, 300),
        ("settle: with_effect", "in_handler", 0, 300),
        ("settle: with_effect", "after_settle", 0, 300),
    ],
)
def test_killed_beside_its_effect(kafka_site: Any, words: str, point: str, handled_again: int, effects: int) -> None:
    rows, violated = run(kafka_site, words, CRASH.replace("POINT", point))
    assert violated.pop("exactly_once") == handled_again
    assert violated == dict.fromkeys(violated, 0)
    assert Counter(values(rows, "effects", "message")) == Counter(range(effects))
    times = values(rows, "effects", "applied_at")
    assert times == sorted(times)


def test_a_frozen_consumers_write_is_refused_when_it_wakes_up(kafka_site: Any) -> None:
    """§5.18. The others are not held up by who is frozen, and the broker is told nothing."""
    rows, violated = run(kafka_site, "settle: with_effect", FREEZE)
    assert violated == dict.fromkeys(violated, 0)
    assert "refused" in values(rows, "deliveries", "result")
    assert Counter(values(rows, "effects", "message")) == Counter(range(300))
    assert rows.tables["settlements"] == []


def test_a_frozen_consumers_write_counts_twice_without_such_a_sink(kafka_site: Any) -> None:
    _, violated = run(kafka_site, "settle: after_handling", FREEZE)
    assert violated["exactly_once"] > 0

"""Time that passes on a real broker, and what its clients commit by themselves."""

from pathlib import Path

import pytest

from mqverify import engine
from mqverify.history.tables import TABLES
from mqverify.spec.load import load
from mqverify.units import DAY
from mqverify.worlds.chunk import judge_runs
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios, unsupported_reason

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

PASSES = """
spec: two passes
workload: {messages: 60, keys: 6, consumers: 1}
backends: {kafka: {partitions: 2, auto_offset_reset: earliest, group_min_session_timeout: 500ms}}
faults:
  - pass: 4d
    when: drained
  - pass: 4d
    when: drained
expect: {at_least_once: held, durable: held, durable_past_retention: {violated: both are longer than retention}}
"""

CLOSES = """
spec: close() commits
workload:
  messages: 40
  keys: 4
  consumers: 1
  handler: {takes: 1ms, poison: 1 in 40, on_failure: stop, close: always}
  settle: automatic
backends: {kafka: {auto_offset_reset: earliest, group_min_session_timeout: 500ms}}
expect: {settle_safety: {violated: what the handler failed on is committed}}
"""


def run(site, tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    path = Path("spec.yaml")
    path.write_text(spec)
    (scenario,) = select_scenarios(load([path], engine.registry()).specs, [("kafka", "local")])
    assert unsupported_reason(scenario) is None
    rows, outcome = run_real(scenario, 0, site, lambda _: None)
    verdicts = {finding.guarantee: finding for finding in judge_runs(scenario, {0: (rows, outcome)})}

    def table(name):
        names = TABLES[name].column_names[2:]
        return [dict(zip(names, row, strict=True)) for row in rows.tables[name]]

    return outcome, table, verdicts


def test_what_two_passes_make_too_old_is_removed_by_the_second(kafka_site, tmp_path, monkeypatch):
    outcome, table, findings = run(kafka_site, tmp_path, monkeypatch, PASSES)
    assert outcome.drained
    assert [(kind, took) for _, kind, took, _ in outcome.faults] == [("pass", True), ("pass", True)]
    found = [sum(row["reading"] == reading for row in table("log")) for reading in range(3)]
    assert found == [60, 60, 0]  # before the first, before the second, at the end
    assert all(4 * DAY <= fault["ended_at"] - fault["began_at"] < 5 * DAY for fault in table("faults"))
    assert outcome.ended_at > 8 * DAY
    assert outcome.details["time"].count("4d passed in") == 2
    assert findings["durable"].violations == findings["at_least_once"].violations == 0
    assert findings["durable_past_retention"].violations == 60


def test_what_a_client_commits_in_close_is_in_the_history(kafka_site, tmp_path, monkeypatch):
    _, table, findings = run(kafka_site, tmp_path, monkeypatch, CLOSES)
    (failed,) = [row for row in table("deliveries") if row["result"] == "failed"]
    settlements = table("settlements")
    assert {row["settled_by"] for row in settlements} == {"client"}  # each of them was heard of, so none is `observed`
    (last,) = [row for row in settlements if row["outcome"] == "acked"][-1:]
    assert last["source_position"] > failed["source_position"]
    assert last["invoked_at"] > failed["ended_at"]
    assert findings["settle_safety"].violations

"""Faults of links on a real broker: what a lost reply leaves in its log, and a death between a commit and its reply."""

from pathlib import Path

import pytest

from mqverify import engine
from mqverify.history.recorder import RunRows
from mqverify.history.tables import TABLES
from mqverify.spec.load import load
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios, unsupported_reason

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

LOST = """
spec: a lost reply
workload: {messages: 200, keys: 5, producers: 1, consumers: 1, rate: 4000/s}
backends: {kafka: {partitions: 1, enable_idempotence: false, batch_size: 400B, auto_offset_reset: earliest}}
faults: [{lose: ack, of: producer, when: {acked: 20%..60%}}]
expect: {at_least_once: held}
"""

SETTLING = """
spec: a death between a commit and its reply
workload: {messages: 100, keys: 10, producers: 1, consumers: 1, handler: {takes: 2ms}, rate: 100/s}
backends: {kafka: {partitions: 2, auto_offset_reset: earliest, session_timeout: 6s, heartbeat_interval: 1s}}
faults:
  - {crash: consumer, point: in_settle, when: {handled: 30%}, restart_after: 0s}
  - {reset: [producer, broker], nth: 2}
  - {reset: [producer, broker], when: {acked: 20}, times: 3}
expect: {at_least_once: held}
"""


def run(site, text):
    path = Path("spec.yaml")
    path.write_text(text)
    (scenario,) = select_scenarios(load([path], engine.registry()).specs, [("kafka", "local")])
    assert unsupported_reason(scenario) is None
    rows, outcome = run_real(scenario, 0, site, lambda _: None)
    assert outcome.drained
    assert all(took for _, _, took, _ in outcome.faults), outcome.faults
    return rows


def rows_of(rows: RunRows, table):
    names = TABLES[table].column_names[2:]
    return [dict(zip(names, row, strict=True)) for row in rows.tables[table]]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_batches_whose_replies_are_lost_are_in_the_log_again_and_the_last_of_them_comes_first(kafka_site):
    """Docs/facts/kafka.md §A.3: `w 0 1 2 3 4 4 3 2 1 0`, whole batches, with idempotence off."""
    log = [row["message"] for row in rows_of(run(kafka_site, LOST), "log")]
    again = [message for at, message in enumerate(log) if message in log[:at]]
    assert again, "what was stored is stored again"
    assert sorted(set(log)) == list(range(200))
    batches = [[again[0]]]
    for message in again[1:]:
        if message == batches[-1][-1] + 1:
            batches[-1].append(message)
        else:
            batches.append([message])
    assert batches == sorted(batches, reverse=True)


def test_a_consumer_that_dies_before_the_reply_to_its_commit_leaves_it_unknown_and_done(kafka_site):
    rows = run(kafka_site, SETTLING)
    [unknown] = [row for row in rows_of(rows, "settlements") if row["outcome"] == "unknown"]
    endings = [(row["incarnation"], row["ending"]) for row in rows_of(rows, "workers") if row["kind"] == "consumer"]
    assert endings == [(1, "crashed"), (2, "finished")]
    [start] = [
        row["start_position"] for row in rows_of(rows, "assignments")
        if row["incarnation"] == 2 and row["source"] == unknown["source"] and row["change"] == "assigned"
    ]  # fmt: skip
    assert start == unknown["source_position"], "the broker has counted it"

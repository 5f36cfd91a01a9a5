"""Every fault of workers strikes real processes as it strikes simulated ones: whom it means, as often as it says."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from mqverify import engine
from mqverify.spec.load import load_text
from mqverify.worlds.base import Scenario
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import unsupported_reason
from tests.worlds.helpers import table

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

SPEC = """
spec: faults of workers
workload: {{messages: 300, keys: 20, consumers: 3, rate: 150/s, handler: {{takes: 1ms}}, {more}}}
backends:
  kafka:
    {{partitions: 6, session_timeout: 2s, heartbeat_interval: 500ms, group_min_session_timeout: 500ms,
      auto_offset_reset: earliest, {settings}}}
faults: {faults}
expect: {{at_least_once: held}}
"""


@pytest.fixture
def run(kafka_site, tmp_path, monkeypatch):
    """Run such a spec once: its rows, and what became of its faults."""
    monkeypatch.chdir(tmp_path)

    def run_once(faults, more="producers: 2", settings="linger: 0ms"):
        text = SPEC.format(faults=faults, more=more, settings=settings)
        scenario = Scenario(0, load_text(text, "test.yaml", engine.registry()), "kafka", "local")
        assert unsupported_reason(scenario) is None
        rows, outcome = run_real(scenario, 0, kafka_site, lambda _: None)
        assert outcome.drained, outcome.give_up_reason
        assert [took for _, _, took, _ in outcome.faults] == [True] * len(outcome.faults), outcome.faults
        assert not list(Path(".mqverify").glob("runs/*"))
        return rows

    return run_once


def handled(rows):
    return {row["message"] for row in table(rows, "deliveries") if row["result"] == "handled"}


def test_the_leader_is_struck_and_then_another_leads(run):
    """Whoever leads when the trigger is pulled: two crashes without a restart strike two leaders."""
    rows = run("[{crash: leader, when: {handled: 50%}, restart_after: never}, {crash: leader, when: drained}]")
    crashed = [row["worker"] for row in table(rows, "workers") if row["ending"] == "crashed"]
    assert len(set(crashed)) == 2
    assert handled(rows) == set(range(300))


def test_each_of_all_consumers_dies_once_at_its_point(run):
    rows = run("[{crash: all consumers, point: before_settle, when: {handled: 30%}, restart_after: 1s}]")
    endings = {(row["worker"], row["incarnation"]): row["ending"] for row in table(rows, "workers")}
    for name in ("consumer-1", "consumer-2", "consumer-3"):
        assert (endings[name, 1], endings[name, 2]) == ("crashed", "finished")
    pids = [row["pid"] for row in table(rows, "workers")]
    assert len(set(pids)) == len(pids) == 8, "each incarnation is a process"
    assert all(isinstance(pid, int) for pid in pids)
    times = Counter(row["message"] for row in table(rows, "deliveries") if row["result"] == "handled")
    assert set(times) == set(range(300))
    assert 1 <= sum(count > 1 for count in times.values()) <= 3


def test_as_many_handlings_are_slow_as_it_says(run):
    rows = run(
        "[{slow: consumer, handler: 400ms, times: 3, when: {handled: 30%}}, "
        "{slow: consumer-1, handler: 50ms, for: 700ms, when: {handled: 60%}}]"
    )
    took = [(row["ended_at"] - row["started_at"], row["consumer"]) for row in table(rows, "deliveries")]
    assert sum(time >= 400_000_000 for time, _ in took) == 3
    for_a_time = [consumer for time, consumer in took if 50_000_000 <= time < 400_000_000]
    assert for_a_time.count("consumer-1") >= 2


def test_a_producer_whose_clock_is_off_stamps_records_so_in_every_incarnation(run):
    """What the client is told (`sends`), and what a fresh reader finds (`log`), is what the clock showed."""
    hour = 3_600_000_000_000
    rows = run(
        "[{clock_skew: {producer-1: -1h}, when: {sent: 30%}}, "
        "{crash: producer-1, when: {sent: 60%}, restart_after: 100ms}]"
    )
    shift = {
        row["message"]: (row["producer"], row["incarnation"], round((row["record_time"] - row["invoked_at"]) / hour))
        for row in table(rows, "sends")
        if row["record_time"] is not None
    }
    assert set(shift.values()) == {
        ("producer-1", 1, 0),
        ("producer-1", 1, -1),
        ("producer-1", 2, -1),
        ("producer-2", 1, 0),
    }
    invoked = {row["message"]: row["invoked_at"] for row in table(rows, "sends")}
    read = {row["message"]: round((row["record_time"] - invoked[row["message"]]) / hour) for row in table(rows, "log")}
    assert {message: by for message, (_, _, by) in shift.items()}.items() <= read.items()


def test_a_group_that_joins_when_all_is_drained_reads_everything(run):
    rows = run("[]", more="producers: 2, groups: {live: {}, rebuild: {joins: drained, start: beginning, consumers: 1}}")
    of_rebuild = [row for row in table(rows, "deliveries") if row["consumer_group"] == "rebuild"]
    of_live = [row for row in table(rows, "deliveries") if row["consumer_group"] == "live"]
    assert sorted(row["message"] for row in of_rebuild) == list(range(300))
    assert max(row["ended_at"] for row in of_live) < min(row["delivered_at"] for row in of_rebuild)


def test_a_killed_producer_sends_again_what_it_is_not_sure_of_and_goes_on_behind_it(run):
    """`on_unknown: retry`: what was on its way is tried again first; no other message is invoked twice."""
    rows = run(
        "[{crash: producer, when: {sent: 50%}, restart_after: 200ms}]",
        more="producers: 1, on_unknown: retry",
        settings="linger: 300ms",
    )
    sends = table(rows, "sends")
    unsure = {row["message"] for row in sends if (row["incarnation"], row["outcome"]) == (1, "unknown")}
    assert len(unsure) > 5
    again = [row for row in sends if row["incarnation"] == 2 and row["try"] == 2]
    assert {row["message"] for row in again} == unsure
    assert {row["outcome"] for row in again} == {"acked"}
    first = [row["message"] for row in sends if row["try"] == 1]
    assert first == list(range(300))
    assert all(earlier["invoked_at"] < later["invoked_at"] for earlier, later in pairwise(sends))
    assert max(row["invoked_at"] for row in again) < min(
        row["invoked_at"] for row in sends if row["incarnation"] == 2 and row["try"] == 1
    )

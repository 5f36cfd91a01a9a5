"""What each fault does to a simulated run, read from its history."""

import pytest

from mqverify.history.recorder import RunRows
from mqverify.worlds.simulated import SimulatedWorld
from tests.worlds.helpers import findings, judged, run, table

BASE = """
spec: faults
workload: {{messages: 120, keys: 12, producers: 2, consumers: 3, settle: {settle}, handler: {{takes: 2ms}}}}
backends:
  kafka: {{partitions: 6, session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest{more}}}
faults: [{fault}]
expect: {{at_least_once: held, exactly_once: held, settle_safety: held, legal_resume: held}}
"""


def spec(fault: str, settle: str = "after_handling", more: str = "") -> str:
    return BASE.format(fault=fault, settle=settle, more=f", {more}" if more else "")


def dead(rows: RunRows) -> dict[str, object]:
    [worker] = [worker for worker in table(rows, "workers") if worker["ending"] == "crashed"]
    return worker


def last_delivery(rows: RunRows, worker: dict[str, object]) -> dict[str, object]:
    """The last message that a dead incarnation had begun to handle, or else was handed."""
    own = [
        row
        for row in table(rows, "deliveries")
        if (row["consumer"], row["incarnation"]) == (worker["worker"], worker["incarnation"])
    ]
    begun = [row for row in own if row["started_at"] is not None]
    return (begun or own)[-1]


def settled(rows: RunRows, delivery: dict[str, object]) -> list[dict[str, object]]:
    """Settlements of the same incarnation that cover a delivery."""
    return [
        row
        for row in table(rows, "settlements")
        if (row["consumer"], row["incarnation"], row["source"])
        == (delivery["consumer"], delivery["incarnation"], delivery["source"])
        and row["source_position"] > delivery["source_position"]  # type: ignore[operator]
    ]


def at(point: str) -> str:
    return f"{{crash: consumer, when: {{handled: 40}}, point: {point}, restart_after: 5s}}"


def test_killed_between_handle_and_settle() -> None:
    rows, outcome = run(spec(at("before_settle")))
    delivery = last_delivery(rows, dead(rows))
    assert delivery["result"] == "handled"
    assert settled(rows, delivery) == []
    again = [row for row in table(rows, "deliveries") if row["message"] == delivery["message"]]
    assert len(again) == 2
    assert outcome.faults == ((0, "crash", True, None),)
    found = findings(spec(at("before_settle")))
    assert (found["at_least_once"].violations, found["exactly_once"].violations) == (0, 1)


def test_killed_inside_the_handler() -> None:
    rows, _ = run(spec(at("in_handler")))
    delivery = last_delivery(rows, dead(rows))
    assert delivery["started_at"] is not None
    assert delivery["result"] is None


def test_killed_before_the_handler_is_entered() -> None:
    rows, _ = run(spec(at("before_handle"), settle="before_handling"))
    worker = dead(rows)
    open_ones = [row for row in table(rows, "deliveries") if row["consumer"] == worker["worker"]]
    covered = [row for row in open_ones if row["started_at"] is None and row["incarnation"] == 1 and settled(rows, row)]
    assert len(covered) == 1, "the one message that was committed and not handled"
    assert findings(spec(at("before_handle"), settle="before_handling"))["at_least_once"].violations == 1


def test_killed_inside_the_commit_leaves_its_outcome_unknown() -> None:
    rows, _ = run(spec(at("in_settle")))
    unknown = [row for row in table(rows, "settlements") if row["outcome"] == "unknown"]
    assert [row["consumer"] for row in unknown] == [dead(rows)["worker"]]
    assert unknown[0]["completed_at"] is None
    found = findings(spec(at("in_settle")))
    assert found["exactly_once"].violations == 0, "the commit was done"
    assert found["legal_resume"].violations == 0


def test_killed_after_the_commit_repeats_and_loses_nothing() -> None:
    found = findings(spec(at("after_settle")))
    assert (found["at_least_once"].violations, found["exactly_once"].violations) == (0, 0)


def test_a_named_consumer_and_all_consumers() -> None:
    rows, _ = run(spec("{crash: consumer-2, when: {handled: 40}, restart_after: 1s}"))
    assert dead(rows)["worker"] == "consumer-2"
    rows, outcome = run(spec("{crash: all consumers, when: {handled: 40}, restart_after: 1s}"))
    crashed = [row["worker"] for row in table(rows, "workers") if row["ending"] == "crashed"]
    assert crashed == ["consumer-1", "consumer-2", "consumer-3"]
    assert outcome.drained


def test_the_leader_of_the_group() -> None:
    rows, outcome = run(spec("{crash: leader, when: {handled: 40}, restart_after: 1s}"))
    assert outcome.faults == ((0, "crash", True, None),)
    assert str(dead(rows)["worker"]).startswith("consumer-")


def test_a_restarted_producer_goes_on_behind_the_last_message_that_it_invoked() -> None:
    rows, outcome = run(spec("{crash: producer-1, when: {sent: 30}, restart_after: 1s}"))
    assert dead(rows)["kind"] == "producer"
    sends = table(rows, "sends")
    assert sorted(row["message"] for row in sends) == list(range(120))  # type: ignore[type-var]
    assert {row["incarnation"] for row in sends if row["producer"] == "producer-1"} == {1, 2}
    assert outcome.drained


def test_a_consumer_that_never_comes_back_is_replaced_by_the_others() -> None:
    rows, outcome = run(spec("{crash: consumer, when: {handled: 40}, restart_after: never}"))
    assert outcome.drained
    assert all(row["incarnation"] == 1 for row in table(rows, "workers"))


def test_a_paused_consumer_comes_back_as_a_zombie_whose_commit_is_refused() -> None:
    rows, outcome = run(spec("{pause: consumer, when: {handled: 40}, point: in_handler, for: 30s}"))
    [fault] = table(rows, "faults")
    assert fault["ended_at"] - fault["began_at"] >= 30_000_000_000  # type: ignore[operator]
    refused = [row for row in table(rows, "settlements") if row["outcome"] == "failed"]
    assert refused
    assert {row["change"] for row in table(rows, "assignments")} >= {"assigned", "lost"}
    assert outcome.drained
    found = findings(spec("{pause: consumer, when: {handled: 40}, point: in_handler, for: 30s}"))
    assert found["settle_safety"].violations == 0
    assert found["exactly_once"].violations >= 1


def test_a_pause_of_an_idle_group_ends_and_the_run_goes_on() -> None:
    _, outcome = run(spec("{pause: consumer, when: drained, for: 2s}"))
    assert outcome.drained
    assert outcome.faults == ((0, "pause", True, None),)


def test_a_slow_handler_takes_as_long_as_the_fault_says_that_many_times() -> None:
    rows, _ = run(spec("{slow: consumer, handler: 3s, when: {handled: 40}, times: 2}"))
    took = [
        row["ended_at"] - row["started_at"]  # type: ignore[operator]
        for row in table(rows, "deliveries")
        if row["ended_at"] is not None
    ]
    assert sorted(took)[-2:] == pytest.approx([3e9, 3e9], abs=1_000)
    assert sorted(took)[-3] < 1e9


def test_slow_for_a_while_slows_everything_in_it() -> None:
    rows, outcome = run(spec("{slow: all consumers, handler: 500ms, when: {handled: 40}, for: 4s}"))
    slow = [row for row in table(rows, "deliveries") if (row["ended_at"] or 0) - (row["started_at"] or 0) > 4e8]  # type: ignore[operator]
    assert len(slow) > 10
    assert outcome.drained


def test_a_handler_slower_than_max_poll_interval_loses_its_partitions() -> None:
    fault = "{slow: consumer, handler: 25s, when: {handled: 40}}"
    rows, outcome = run(spec(fault, settle="after_batch", more="max_poll_interval: 10s, max_poll_records: 10"))
    assert outcome.drained
    assert [row for row in table(rows, "settlements") if row["outcome"] == "failed"]


def test_time_passes_and_retention_takes_what_is_due() -> None:
    rows, outcome = run(spec("{pass: 8d, when: drained}"))
    assert outcome.ended_at > 8 * 86_400 * 1_000_000_000
    readings = table(rows, "readings")
    assert [row["reason"] for row in readings] == ["before pass of fault 0", "end"]
    found = [sum(row["reading"] == number for row in table(rows, "log")) for number in (0, 1)]
    assert found == [120, 0]


def test_partitions_are_added_and_discovered() -> None:
    fault = "{add_partitions: 9, when: {sent: 60}}"
    rows, outcome = run(spec(fault, more="metadata_max_age: 500ms").replace("producers: 2", "producers: 2, rate: 40/s"))
    assert len(table(rows, "places")) == 9
    assert outcome.drained
    assert {row["source"] for row in table(rows, "assignments")} == set(range(9))


def test_repetitions_strike_apart() -> None:
    rows, outcome = run(spec("{crash: consumer, when: {handled: 10%..90%}, restart_after: 500ms, times: 3}"))
    assert [took for _, _, took, _ in outcome.faults] == [True, True, True]
    assert sum(row["ending"] == "crashed" for row in table(rows, "workers")) == 3
    assert outcome.drained


def test_a_fault_by_the_clock() -> None:
    rows, _ = run(spec("{crash: consumer-1, when: {time: 2s}, restart_after: 1s}"))
    [fault] = table(rows, "faults")
    assert fault["began_at"] == pytest.approx(2e9, abs=1_000_000)


def test_a_fault_that_never_fires_says_why() -> None:
    text = spec("{crash: consumer-2, when: {handled: 100%}, point: before_handle}")
    _, outcome = run(text)
    [(_, _, took_effect, why_not)] = outcome.faults
    assert not took_effect
    assert why_not is not None
    assert "consumer-2" in why_not


DELETED = """
spec: records are deleted under a consumer
workload: {{messages: 200, keys: 12, handler: {{takes: 20ms}}}}
backends: {{kafka: {{partitions: 1, max_partition_fetch_bytes: 2KiB, auto_offset_reset: {reset}}}}}
faults: [{{delete_records: {{partition: 0, before: 60%}}, when: {{handled: 20%}}}}]
expect: {{at_least_once: held, durable: held, durable_past_retention: held, settle_safety: held, legal_resume: held}}
"""


@pytest.mark.parametrize(("reset", "rest"), [("earliest", range(120, 200)), ("latest", range(0))])
def test_a_consumer_under_whom_records_vanish_starts_by_its_reset_policy(reset: str, rest: range) -> None:
    """OffsetOutOfRange (docs/facts/kafka.md §B.1): what was deleted is never delivered; with `latest`, all there is."""
    text = DELETED.format(reset=reset)
    rows, outcome = run(text)
    assert outcome.drained
    positions = [row["position"] for row in table(rows, "deliveries")]
    before = len(positions) - len(rest)
    assert 40 <= before < 120
    assert positions == [*range(before), *rest]
    found = judged(text, 0, "kafka", rows, outcome)
    assert {name: finding.violations for name, finding in found.items()} == {
        "at_least_once": 200 - len(positions), "durable": 0, "durable_past_retention": 120, "settle_safety": 0,
        "legal_resume": 0,
    }  # fmt: skip


SKEWED = """
spec: a producer's clock is off
workload: {{messages: 20, keys: 4}}
backends:
  kafka: {{partitions: 1, retention: 7d, enable_idempotence: false, retries: 0, auto_offset_reset: earliest}}
faults: [{{clock_skew: {{producer-1: {skew}}}}}, {{pass: 1h, when: drained}}]
expect: {{at_least_once: held, durable: held, durable_past_retention: held}}
"""


@pytest.mark.parametrize(
    ("skew", "outcomes", "gone"),
    [("-8d", {"acked"}, 20), ("-6d", {"acked"}, 0), ("59m", {"acked"}, 0), ("61m", {"failed"}, 0)],
)
def test_the_broker_believes_the_clock_of_a_producer(skew: str, outcomes: set[str], gone: int) -> None:
    """docs/facts/kafka.md §0.4: stamped in the past it is deleted early, more than an hour in the future refused."""
    text = SKEWED.format(skew=skew)
    rows, outcome = run(text)
    assert outcome.drained
    assert [took for _, _, took, _ in outcome.faults] == [True, True]
    assert {row["outcome"] for row in table(rows, "sends")} == outcomes
    found = judged(text, 0, "kafka", rows, outcome)
    assert found["durable"].violations == 0, found["durable"].witness
    assert found["durable_past_retention"].violations == gone


@pytest.mark.parametrize("fault", ["crash: producer, restart_after: 1s", "pause: producer, for: 1s"])
def test_whoever_had_just_ended_by_himself_was_not_struck(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """As between processes: its end is told a moment after its last acknowledgement made the count."""
    for way in ("kill", "pause"):
        monkeypatch.setattr(SimulatedWorld, way, lambda self, worker: False)
    rows, outcome = run(spec(f"{fault}, when: {{acked: 100%}}".join("{}")))
    (_, _, took_effect, why_not), *_ = outcome.faults
    assert not took_effect
    assert why_not is not None
    assert why_not.endswith(" had just ended by itself")
    producers = [row for row in table(rows, "workers") if row["kind"] == "producer"]
    assert [(row["ending"], row["incarnation"]) for row in producers] == [("finished", 1)] * 2

"""From the first topic to the last reading: starts, late groups, draining, giving up, what the history then holds."""

from functools import partial
from itertools import pairwise

import pytest

from mqverify.history.tables import TABLES
from mqverify.worlds import simulated
from mqverify.worlds.conductor import Conductor
from tests.worlds.helpers import findings, run, table

BASE = """
spec: conducting
workload: {{messages: 60, keys: 6, {workload}}}
backends: {{kafka: {{partitions: 3, auto_offset_reset: earliest{backend}}}}}
{faults}
expect: {{at_least_once: held, exactly_once: held}}
"""


def spec(workload: str, backend: str = "", faults: str = "") -> str:
    return BASE.format(workload=workload, backend=f", {backend}" if backend else "", faults=faults)


def test_consumers_first_means_that_all_know_their_positions_before_the_first_send() -> None:
    rows, _ = run(spec("consumers: 3"))
    first_send = min(row["invoked_at"] for row in table(rows, "sends"))  # type: ignore[type-var]
    assigned = [row for row in table(rows, "assignments") if row["change"] == "assigned"]
    assert {row["source"] for row in assigned} == {0, 1, 2}
    assert all(row["done_at"] is not None and row["done_at"] < first_send for row in assigned)  # type: ignore[operator]


def test_together_races_them() -> None:
    rows, outcome = run(spec("consumers: 2, start: together"))
    first_send = min(row["invoked_at"] for row in table(rows, "sends"))  # type: ignore[type-var]
    assert any((row["done_at"] or 0) > first_send for row in table(rows, "assignments"))  # type: ignore[operator]
    assert outcome.drained


def test_producers_first_lets_consumers_come_late() -> None:
    rows, outcome = run(spec("consumers: 2, start: producers_first"))
    last_ack = max(row["completed_at"] for row in table(rows, "sends"))  # type: ignore[type-var]
    began = [row["began_at"] for row in table(rows, "workers") if row["kind"] == "consumer"]
    assert all(time > last_ack for time in began)  # type: ignore[operator]
    assert outcome.drained


def test_latest_with_consumers_first_owes_everything() -> None:
    found = findings(spec("consumers: 2", "").replace("earliest", "latest"))
    assert (found["at_least_once"].obligations, found["at_least_once"].violations) == (60, 0)


def test_a_late_group_joins_when_the_first_has_drained_and_gets_everything_too() -> None:
    rows, outcome = run(
        spec("groups: {live: {consumers: 2}, rebuild: {joins: drained, start: beginning, consumers: 1}}")
    )
    handled = {group: set() for group in ("live", "rebuild")}  # type: ignore[var-annotated]
    for row in table(rows, "deliveries"):
        handled[row["consumer_group"]].add(row["message"])  # type: ignore[index]
    assert handled["live"] == handled["rebuild"] == set(range(60))
    began = [row["began_at"] for row in table(rows, "workers") if row["consumer_group"] == "rebuild"]
    assert began[0] > max(row["ended_at"] for row in table(rows, "deliveries") if row["consumer_group"] == "live")  # type: ignore[operator,type-var]
    assert outcome.drained


@pytest.mark.parametrize("settle", ["before_handling", "before_batch", "after_handling", "after_batch", "automatic",
                                    "{every: 7}", "{every: 2s}"])  # fmt: skip
@pytest.mark.parametrize("loop", ["poll", "iterator"])
def test_every_settling_policy_drains_and_handles_everything_once(settle: str, loop: str) -> None:
    found = findings(spec(f"consumers: 2, settle: {settle}, loop: {loop}", "auto_commit_interval: 1s"))
    assert (found["exactly_once"].obligations, found["exactly_once"].violations) == (60, 0)


def test_asynchronous_commits_are_recorded_when_their_answers_come() -> None:
    rows, _ = run(spec("consumers: 2, commit: async"))
    outcomes = [row["outcome"] for row in table(rows, "settlements")]
    assert outcomes.count("acked") > 50


def test_gives_up_and_says_who_is_stuck_where() -> None:
    text = spec("consumers: 1, handler: {takes: 1ms, poison: 1 in 60}")
    rows, outcome = run(text)
    assert not outcome.drained
    assert outcome.give_up_reason is not None
    assert "consumer-1 is at work" in outcome.give_up_reason
    assert "of 60 messages" in outcome.give_up_reason
    [group] = table(rows, "groups")
    assert group["drained"] is False
    assert outcome.ended_at >= 600_000_000_000, "not before ten virtual minutes"
    assert findings(text)["at_least_once"].doubts


def test_looks_in_between_make_it_give_up_soon_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the real world does it: a single look at the end would see the last progress, and need as long again."""
    monkeypatch.setattr(simulated, "Conductor", partial(Conductor, looks=6))
    _, outcome = run(spec("consumers: 1, handler: {takes: 1ms, poison: 1 in 60}"))
    assert "consumer-1 is at work" in str(outcome.give_up_reason)
    assert 600_000_000_000 <= outcome.ended_at <= 720_000_000_000


def test_gives_up_on_a_producer_that_never_sends_again_and_says_so() -> None:
    """docs/facts/kafka.md §E.2: nothing that was acknowledged is missing, and nobody knows what is still to come."""
    cut = "faults:\n  - {cut: [producer, broker], for: 20s, when: {acked: 20}}"
    text = spec("rate: 10/s", "request_timeout: 2s, delivery_timeout: 5s", cut)
    _, outcome = run(text)
    assert not outcome.drained
    assert "producer-1 waits for what it sent" in str(outcome.give_up_reason)
    found = findings(text)["at_least_once"]
    assert (found.violations, bool(found.doubts)) == (0, True)


def test_a_group_whose_consumers_all_stopped_gives_up() -> None:
    _, outcome = run(spec("consumers: 1, handler: {poison: 1 in 60, on_failure: stop, close: clean_only}"))
    assert "HandlerFailed" in str(outcome.give_up_reason)


def test_one_message_in_flight_waits_for_each_acknowledgement() -> None:
    rows, _ = run(spec("in_flight: one"))
    sends = table(rows, "sends")
    for before, after in pairwise(sends):
        assert after["invoked_at"] > before["completed_at"]  # type: ignore[operator]


def test_without_a_record_key_messages_are_spread() -> None:
    rows, _ = run(spec("consumers: 1", "record_key: none"))
    places = {(row["key"], row["partition"]) for row in table(rows, "sends")}
    assert len(places) > 6


def test_per_key_gives_each_order_a_partition() -> None:
    rows, _ = run(spec("consumers: 1").replace("partitions: 3", "partitions: per_key"))
    places = {(row["key"], row["partition"]) for row in table(rows, "sends")}
    assert len(places) == 6
    assert [row["value"] for row in table(rows, "footprint")] == [6]


def test_times_strictly_increase_within_a_run() -> None:
    rows, _ = run(spec("consumers: 3, handler: {takes: 0s}"))
    times = sorted(
        row[column]
        for name, columns in (("deliveries", ("delivered_at", "started_at", "ended_at")), ("sends", ("invoked_at",)))
        for row in table(rows, name)
        for column in columns
    )
    assert len(times) == len(set(times))


def test_rows_have_the_columns_of_their_tables() -> None:
    rows, _ = run(spec("consumers: 2", faults="faults: [{pass: 1h, when: drained}]"))
    for name, of_table in rows.tables.items():
        width = len(TABLES[name].columns) - 2
        assert all(len(row) == width for row in of_table), name
        for column, values in zip(TABLES[name].columns[2:], zip(*of_table, strict=True), strict=False):
            assert column.nullable or None not in values, f"{name}.{column.name}"


def test_under_reset_none_groups_are_given_their_first_offsets_and_that_is_recorded() -> None:
    text = spec("consumers: 1", "session_timeout: 6s").replace("earliest", "none")
    rows, outcome = run(text)
    assert outcome.drained
    given = [row for row in table(rows, "settlements") if row["settled_by"] == "observed"]
    assert [(row["source"], row["source_position"]) for row in given] == [(0, 0), (1, 0), (2, 0)]
    assert {row["start_from"] for row in table(rows, "assignments") if row["change"] == "assigned"} == {"committed"}


def test_without_acknowledgements_no_offset_is_learnt() -> None:
    rows, _ = run(spec("consumers: 1", "acks: 0"))
    assert {(row["outcome"], row["position"]) for row in table(rows, "sends")} == {("acked", None)}
    assert findings(spec("consumers: 1", "acks: 0"))["at_least_once"].violations == 0


EVERY = """
spec: rare commits
workload: {messages: 300, keys: 30, consumers: 2, rate: 100/s, settle: {every: 60s}}
backends:
  python: {system: kafka, partitions: 4, session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest}
  java: {system: kafka, client: java, partitions: 4, session_timeout: 6s, heartbeat_interval: 1s,
         auto_offset_reset: earliest}
faults: [{crash: consumer-1, when: {handled: 50%}, point: in_handler, restart_after: 10s}]
expect: {at_least_once: held, legal_resume: held, settle_safety: held, exactly_once: held}
"""


def test_a_partition_kept_across_a_rebalance_goes_on_where_it_was_with_kafka_python_only() -> None:
    of_python, of_java = (run(EVERY, label=label)[0] for label in ("python", "java"))
    starts = [{row["start_from"] for row in table(rows, "assignments")} for rows in (of_python, of_java)]
    assert "kept" in starts[0]
    assert "kept" not in starts[1]
    assert len(table(of_java, "deliveries")) > len(table(of_python, "deliveries"))
    for label in ("python", "java"):
        found = findings(EVERY, label=label)
        assert found["legal_resume"].obligations > 0
        assert [found[name].violations for name in ("at_least_once", "legal_resume", "settle_safety")] == [0, 0, 0]
        assert found["exactly_once"].violations > 0


def test_poison_is_a_matter_of_each_groups_handler() -> None:
    easy = "easy: {consumers: 1, handler: {takes: 1ms}}"
    groups = f"handler: {{poison: 1 in 10, on_failure: skip}}, groups: {{strict: {{consumers: 1}}, {easy}}}"
    rows, outcome = run(spec(groups))
    assert outcome.drained
    failed = [row["consumer_group"] for row in table(rows, "deliveries") if row["result"] == "failed"]
    assert failed == ["strict"] * 6


def test_handling_everything_again_for_long_is_no_standstill() -> None:
    text = """
spec: long repeats
workload: {messages: 900, keys: 9, consumers: 1, handler: {takes: 1s}, settle: {every: 900}}
backends:
  kafka: {session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest, max_poll_interval: 1h}
faults: [{crash: consumer, when: {handled: 99%}, point: in_handler, restart_after: 1s}]
expect: {at_least_once: held}
"""
    _, outcome = run(text)
    assert outcome.drained, outcome.give_up_reason


def test_a_reading_that_begins_while_messages_are_sent_accuses_nobody() -> None:
    text = """
spec: a race
workload: {messages: 200, keys: 40, producers: 4, consumers: 1}
backends: {kafka: {partitions: 2, auto_offset_reset: earliest, session_timeout: 6s, heartbeat_interval: 1s}}
faults:
  - {crash: consumer, when: {handled: 1}, restart_after: 9d}
  - {pass: 8d, when: {acked: 30%..70%}}
expect: {durable: held}
"""
    assert [findings(text, seed)["durable"].violations for seed in range(25)] == [0] * 25

"""The adapter in the simulated world: what consumers are given, settle and start from, as the history shows it."""

from typing import Any

import pytest

from mqverify.history.recorder import RunRows
from tests.worlds.helpers import findings, run, table

BASE = """
spec: event store
workload: {{messages: 60, keys: 6, {workload}}}
backends: {{eventstore: {{{backend}}}}}
faults: [{faults}]
expect: {{{expect}}}
"""
HELD = "at_least_once: held, integrity: held, durable: held, settle_safety: held"


def spec(backend: str = "", workload: str = "consumers: 2", faults: str = "", expect: str = HELD) -> str:
    return BASE.format(backend=backend, workload=workload, faults=faults, expect=expect)


def ran(text: str, seed: int = 0) -> RunRows:
    rows, outcome = run(text, seed, "eventstore")
    assert outcome.drained, outcome.give_up_reason
    return rows


def rows_of(rows: RunRows, name: str, **where: Any) -> list[dict[str, Any]]:
    return [row for row in table(rows, name) if all(row[key] == value for key, value in where.items())]


def judged(text: str, seed: int = 0) -> dict[str, tuple[int, int]]:
    return {name: (one.obligations, one.violations) for name, one in findings(text, seed, "eventstore").items()}


SOURCES = [
    "",
    "stream: one",
    "stream: per_key % 4",
    "read: all",
    "read: all, stream: one",
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("subscribe", ["persistent", "catch_up"])
def test_everything_is_delivered_as_it_lies(subscribe: str, source: str) -> None:
    rows = ran(spec(f"subscribe: {subscribe}{', ' if source else ''}{source}", "consumers: 1"))
    lies = {row["message"]: (row["partition"], row["position"]) for row in rows_of(rows, "log", reading=0)}
    along = {(row["source"], row["source_position"]): row["message"] for row in rows_of(rows, "log", place="main")}
    deliveries = table(rows, "deliveries")
    assert sorted(row["message"] for row in deliveries) == list(range(60))
    assert {row["message"]: (row["partition"], row["position"]) for row in deliveries} == lies
    assert all(along[row["source"], row["source_position"]] == row["message"] for row in deliveries)
    assert {row["source"] for row in deliveries} == {row["source"] for row in table(rows, "assignments")}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("subscribe", ["persistent", "catch_up"])
def test_a_crash_breaks_none_of_what_holds(subscribe: str, source: str) -> None:
    crash = "{crash: consumer, point: before_settle, when: {handled: 20}, restart_after: 1s}"
    expect = HELD if subscribe == "persistent" else f"{HELD}, per_partition_ordering: held, legal_resume: held"
    text = spec(f"subscribe: {subscribe}{', ' if source else ''}{source}", "consumers: 1", crash, expect)
    found = judged(text)
    assert [name for name, (_, violations) in found.items() if violations] == []
    assert all(obligations for obligations, _ in found.values())


def test_a_history_is_the_same_every_time() -> None:
    crash = "{crash: consumer, when: {handled: 20}}"
    first, again, other = (ran(spec("strategy: pinned", faults=crash), seed) for seed in (0, 0, 1))
    assert first.digest() == again.digest() != other.digest()


# --- persistent subscriptions ----------------------------------------------------------------------------------------


def test_an_ack_is_done_once_the_server_applied_it() -> None:
    rows = ran(spec("strategy: round_robin"))
    acks = rows_of(rows, "settlements", action="ack")
    assert len(acks) == 60
    assert {(row["outcome"], row["covers"], row["settled_by"]) for row in acks} == {("acked", "one", "consumer")}
    assert all(row["completed_at"] > row["invoked_at"] for row in acks)


def test_acks_held_back_by_the_client_die_with_it_and_stay_unknown() -> None:
    """A client sends its acks in batches, every 0.2 s: what a killed one has not sent is delivered again."""
    crash = "{crash: consumer, point: after_settle, when: {handled: 20}}"
    rows = ran(spec(workload="consumers: 1", faults=crash))
    lost = rows_of(rows, "settlements", action="ack", outcome="unknown", incarnation=1)
    assert lost
    again = {row["message"] for row in rows_of(rows, "deliveries", incarnation=2)}
    assert {row["message"] for row in lost} <= again


def test_a_late_ack_is_not_taken_for_one_that_was_applied() -> None:
    """What timed out was handled by another consumer, whose ack settled it."""
    pause = "{pause: consumer-1, point: before_settle, for: 20s, when: {handled: 20}}"
    rows = ran(spec("strategy: round_robin, message_timeout: 2s", faults=pause))
    by_message: dict[int, list[str]] = {}
    for row in rows_of(rows, "settlements", action="ack"):
        by_message.setdefault(row["message"], []).append(row["outcome"])
    twice = [outcomes for outcomes in by_message.values() if len(outcomes) > 1]
    assert twice
    assert all(outcomes.count("acked") == 1 for outcomes in twice)


def test_the_servers_checkpoints_are_in_the_history() -> None:
    rows = ran(spec("strategy: round_robin, min_checkpoint_count: 1, max_checkpoint_count: 1"))
    stored = rows_of(rows, "settlements", settled_by="server")
    assert stored
    assert {(row["consumer"], row["action"], row["covers"], row["source"]) for row in stored} == {
        ("server", "checkpoint", "below", table(rows, "assignments")[0]["source"])
    }
    positions = [row["source_position"] for row in stored]
    assert positions == sorted(positions)
    assert positions[-1] == 60, "behind the last event, at 59"


def test_a_redelivery_counts_its_retries() -> None:
    rows = ran(spec(workload="consumers: 1, handler: {poison: 1 in 60, attempts: 3, on_failure: skip}"))
    (poisoned,) = {row["message"] for row in rows_of(rows, "deliveries", result="failed")}
    assert [row["redelivered"] for row in rows_of(rows, "deliveries", message=poisoned)] == [0, 1, 2]
    assert [row["action"] for row in rows_of(rows, "settlements", message=poisoned)] == ["retry", "retry", "skip"]
    assert {row["outcome"] for row in rows_of(rows, "settlements", message=poisoned)} == {"acked"}


def test_a_consumer_parks_by_a_nack_of_its_own() -> None:
    rows = ran(spec(workload="consumers: 1, handler: {poison: 1 in 60, attempts: 2, on_failure: park}"))
    (park,) = rows_of(rows, "settlements", action="park")
    assert (park["settled_by"], park["outcome"]) == ("consumer", "acked")
    (parked,) = rows_of(rows, "log", place="parked")
    assert (parked["message"], parked["consumer_group"], parked["position"]) == (park["message"], "group", 0)


def test_the_server_parks_what_was_retried_too_often() -> None:
    rows = ran(spec("max_retry_count: 2", "consumers: 1, handler: {poison: 1 in 60}"))
    (park,) = rows_of(rows, "settlements", action="park")
    assert (park["settled_by"], park["consumer"], park["outcome"]) == ("server", "server", "acked")
    (parked,) = rows_of(rows, "log", place="parked")
    at = rows_of(rows, "deliveries", message=parked["message"])
    assert len(at) == 3
    assert {(row["source"], row["source_position"]) for row in at} == {(park["source"], park["source_position"])}


@pytest.mark.parametrize(
    ("settle", "most"), [("after_handling", 1), ("after_batch", 4), ("before_batch", 4), ("{every: 3}", 1)]
)
def test_it_takes_as_many_at_once_as_its_settling_asks_for(settle: str, most: int) -> None:
    """In batches: what waits, at most what the client buffers."""
    rows = ran(
        spec(
            "event_buffer_size: 4, message_timeout: 5s, stream: one",
            f"consumers: 1, settle: {settle}, start: producers_first, handler: {{takes: 50ms}}",
        )
    )
    runs, last_end = [0], -1
    for row in table(rows, "deliveries"):
        if row["delivered_at"] > last_end:
            runs.append(0)
        runs[-1] += 1
        last_end = max(last_end, rows_end(row))
    assert max(runs) == most


def rows_end(row: dict[str, Any]) -> int:
    ended: int = row["ended_at"] or 2**62
    return ended


@pytest.mark.parametrize("workload", ["consumers: 2", "consumers: 2, start: together, rate: 1000/s"])
def test_a_group_at_the_end_drains_though_nothing_is_told_of_what_came_before(workload: str) -> None:
    rows = ran(spec("from_end: true", workload))
    assert {row["start_position"] for row in table(rows, "assignments")} == {None}
    late = "consumers: 1, groups: {now: {}, late: {joins: drained, start: end}}"
    assert not rows_of(ran(spec("", late)), "deliveries", consumer_group="late")


def test_a_consumer_whose_acks_are_held_back_is_not_idle() -> None:
    """Else the run would wait for its patience, since nobody tells when the server has them."""
    rows, outcome = run(spec("max_ack_delay: 5s, max_ack_batch_size: 1000", "consumers: 1"), label="eventstore")
    assert outcome.drained
    last_ack = max(row["completed_at"] for row in rows_of(rows, "settlements", action="ack"))
    assert last_ack < outcome.ended_at < last_ack + 10_000_000_000


# --- catch-up subscriptions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", ["category", "all"])
def test_a_checkpoint_that_was_stored_unseen_is_where_it_goes_on(read: str) -> None:
    crash = "{crash: consumer, point: in_settle, when: {handled: 20}, restart_after: 1s}"
    rows = ran(spec(f"subscribe: catch_up, read: {read}", "consumers: 1", crash))
    (unseen,) = rows_of(rows, "settlements", outcome="unknown")
    first, second = table(rows, "assignments")
    assert (first["start_from"], first["start_position"]) == ("beginning", 0)
    assert (second["start_from"], second["start_position"]) == ("committed", unseen["source_position"])
    (before,) = rows_of(rows, "deliveries", message=_last(rows, 1))
    assert unseen["source_position"] == before["source_position"] + 1
    assert _last(rows, 1) not in {row["message"] for row in rows_of(rows, "deliveries", incarnation=2)}


def _last(rows: RunRows, incarnation: int) -> Any:
    return rows_of(rows, "deliveries", incarnation=incarnation)[-1]["message"]


def test_consumers_that_share_nothing_are_given_everything_each() -> None:
    rows = ran(spec("subscribe: catch_up", "consumers: 2"))
    for name in ("consumer-1", "consumer-2"):
        assert len(rows_of(rows, "deliveries", consumer=name, consumer_group=name, result="handled")) == 60


def test_a_shard_handles_its_keys_and_keeps_its_own_checkpoint() -> None:
    crash = "{crash: consumer-1, point: before_settle, when: {handled: 20}, restart_after: 1s}"
    rows = ran(spec("subscribe: catch_up", "consumers: 3, shard: key", crash))
    shards = {row["key"]: row["shard"] for row in table(rows, "shards")}
    deliveries = table(rows, "deliveries")
    assert all(row["shard"] == shards[row["key"]] == int(row["consumer"][-1]) - 1 for row in deliveries)
    assert {row["message"] for row in deliveries} == set(range(60))
    (_, second) = rows_of(rows, "assignments", consumer="consumer-1")
    own = rows_of(rows, "settlements", consumer="consumer-1", incarnation=1)
    assert second["start_position"] == own[-1]["source_position"]


@pytest.mark.parametrize("read", ["category", "all"])
def test_a_start_at_the_end_is_a_position_that_is_known(read: str) -> None:
    late = "consumers: 1, groups: {now: {}, late: {joins: drained, start: end}}"
    rows = ran(spec(f"subscribe: catch_up, read: {read}", late))
    (start,) = rows_of(rows, "assignments", consumer_group="late")
    behind_last = max(row["source_position"] for row in rows_of(rows, "deliveries", consumer_group="now")) + 1
    assert (start["start_from"], start["start_position"]) == ("end", behind_last)
    assert not rows_of(rows, "deliveries", consumer_group="late")


def test_a_poison_message_is_tried_again_in_place_and_then_skipped_by_a_checkpoint() -> None:
    handler = "handler: {poison: 1 in 60, attempts: 3, on_failure: skip}"
    rows = ran(spec("subscribe: catch_up", f"consumers: 1, {handler}"))
    failed = rows_of(rows, "deliveries", result="failed")
    assert [row["attempt"] for row in failed] == [1, 2, 3]
    assert len({row["delivery"] for row in failed}) == 1
    assert {row["action"] for row in table(rows, "settlements")} == {"checkpoint"}


# --- retention -------------------------------------------------------------------------------------------------------

LATE = "consumers: 1, groups: {now: {}, late: {joins: drained}}"
PASS = "{pass: 8d, when: drained}"
EXPIRED = "at_least_once: {violated: expired}, durable: held, durable_past_retention: {violated: expired}"


def test_what_expired_is_not_owed_by_the_node_any_more_so_a_late_group_drains() -> None:
    rows = ran(spec("subscribe: catch_up, max_age: 7d", LATE, PASS, EXPIRED))
    assert not rows_of(rows, "deliveries", consumer_group="late")
    assert len(rows_of(rows, "deliveries", consumer_group="now")) == 60


@pytest.mark.parametrize(("read", "lost"), [("category", True), ("all", False)])
def test_all_outlives_the_age_of_streams(read: str, lost: bool) -> None:
    found = judged(spec(f"subscribe: catch_up, read: {read}, max_age: 7d", LATE, PASS, EXPIRED))
    assert found["durable"][1] == 0
    assert bool(found["durable_past_retention"][1]) is lost
    assert bool(found["at_least_once"][1]) is lost


@pytest.mark.parametrize("settings", ["max_count: 3", "truncate_before: 4"])
def test_events_that_are_cut_off_are_gone_legally(settings: str) -> None:
    found = judged(spec(f"subscribe: catch_up, {settings}", "consumers: 1", expect="durable: held, integrity: held"))
    assert found["durable"][0] > 0
    assert found["durable"][1] == found["integrity"][1] == 0

"""MQ111, MQ113 and MQ115 against readings of their definitions that compare every pair (SEMANTICS §3, §4)."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqverify.history.tables import TABLES
from tests.guarantees.histories import MS, History, judge_all

CHECKED = settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip
TIMES = st.integers(min_value=0, max_value=40)


def several(histories: st.SearchStrategy[History]) -> st.SearchStrategy[list[History]]:
    """Runs that are judged in one query, so that they are kept apart, too."""
    return st.lists(histories, min_size=1, max_size=10)


def judged(histories: list[History], guarantee: str) -> list[tuple[int, int]]:
    for run, history in enumerate(histories):
        history.run = run
    return [(found.obligations, found.violations) for found in judge_all(histories, guarantee)]


def rows(history: History, table: str) -> Iterator[dict[str, Any]]:
    names = TABLES[table].column_names[2:]
    for row in history.rows.tables[table]:
        yield dict(zip(names, row, strict=True))


# --- MQ111 -----------------------------------------------------------------------------------------------------------


@st.composite
def sent_and_handled(draw: st.DrawFn) -> History:
    history = History()
    history.group("one")
    history.group("two")
    for message in range(draw(st.integers(2, 7))):
        key = draw(st.sampled_from("aab"))
        producer = draw(st.sampled_from(["producer-1", "producer-1", "producer-2"]))
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            invoked = draw(TIMES)
            outcome = draw(st.sampled_from(["acked", "acked", "unknown", "failed"]))
            acked = invoked + draw(st.integers(1, 10))
            history.send(message, key, at=invoked, acked=acked, outcome=outcome, producer=producer)
        for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
            delivered = draw(TIMES)
            ended = delivered + draw(st.integers(1, 10))
            history.deliver(
                message,
                draw(st.sampled_from(["consumer-1", "consumer-2"])),
                group=draw(st.sampled_from(["one", "one", "two"])),
                at=delivered,
                started=delivered,
                ended=ended,
                result=draw(st.sampled_from(["handled", "handled", "failed"])),
            )
    return history


def out_of_order(history: History) -> tuple[int, int]:
    tries = defaultdict(list)
    for row in rows(history, "sends"):
        tries[row["message"]].append(row)
    first_handled: dict[tuple[str, int], int] = {}
    for row in rows(history, "deliveries"):
        if row["result"] == "handled":
            of = row["consumer_group"], row["message"]
            first_handled[of] = min(first_handled.get(of, row["ended_at"]), row["ended_at"])

    def surely_before(a: int, b: int) -> bool:
        first_try = min(row["invoked_at"] for row in tries[b])
        acked = [row for row in tries[a] if row["outcome"] == "acked"]
        one_producer = tries[a][0]["producer"] == tries[b][0]["producer"]
        return any(row["invoked_at" if one_producer else "completed_at"] < first_try for row in acked)

    tested = violated = 0
    for group, b in first_handled:
        before = [
            first_handled[group, a]
            for a in tries
            if a != b
            and (group, a) in first_handled
            and tries[a][0]["key"] == tries[b][0]["key"]
            and surely_before(a, b)
        ]
        tested += bool(before)
        violated += any(time > first_handled[group, b] for time in before)
    return tested, violated


@CHECKED
@given(several(sent_and_handled()))
def test_per_key_ordering_is_what_comparing_every_pair_says(histories: list[History]) -> None:
    assert judged(histories, "per_key_ordering") == [out_of_order(one) for one in histories]


# --- MQ113 -----------------------------------------------------------------------------------------------------------


@st.composite
def tenures_and_readings(draw: st.DrawFn) -> History:
    history = History(partitions=2)
    sharded = draw(st.booleans())
    history.shard("a", 0)
    history.shard("b", 1)
    count = draw(st.integers(1, 9))
    for message in range(count):
        gap = draw(st.sampled_from([0, 0, 0, 1]))
        position = None if not gap else history._next[0] + gap
        history.send(message, draw(st.sampled_from("aab")), position=position)
    for _ in range(draw(st.integers(1, 14))):
        consumer = draw(st.sampled_from(["consumer-1", "consumer-1", "consumer-2"]))
        shard = {"consumer-1": 0, "consumer-2": 1}[consumer] if sharded else None
        match draw(st.sampled_from(["assign", "revoke", "deliver", "deliver", "deliver", "deliver", "read"])):
            case "assign":
                history.assign(consumer, start=draw(st.sampled_from([None, 0, 0, 1, 4])), shard=shard)
            case "revoke":
                history.revoke(consumer, change=draw(st.sampled_from(["revoked", "lost"])), shard=shard)
            case "deliver":
                first = draw(st.integers(0, count - 1))
                for message in range(first, min(count, first + draw(st.integers(1, 4)))):
                    history.handle(message, consumer, shard=shard)
            case _:
                read_messages(draw, history, count)
    if draw(st.booleans()):
        read_messages(draw, history, count)
    return history


def read_messages(draw: st.DrawFn, history: History, count: int) -> None:
    found = draw(st.lists(st.integers(0, count - 1), unique=True))
    history.read(found, read_to=draw(st.sampled_from([None, None, 3])))


def not_rising(history: History) -> tuple[int, int]:
    read_at = {row["reading"]: row["read_at"] for row in rows(history, "bounds")}
    shard_of = {row["key"]: row["shard"] for row in rows(history, "shards")}
    begun: dict[tuple[str, int], tuple[int | None, list[dict[str, Any]]] | None] = {}
    tenures = []
    happened = sorted(
        [(row["asked_at"], "assignment", row) for row in rows(history, "assignments")]
        + [(row["delivered_at"], "delivery", row) for row in rows(history, "deliveries")],
        key=lambda one: one[0],
    )
    for _, kind, row in happened:
        of = row["consumer"], row["source"]
        if kind == "delivery":
            tenure = begun.get(of)
            if tenure is not None:
                tenure[1].append(row)
        elif row["change"] == "assigned":
            begun[of] = (row["start_position"], [])
            tenures.append(begun[of])
        else:
            begun[of] = None
    tested = violated = 0
    for one in tenures:
        assert one is not None
        start, delivered = one
        seen: dict[int, dict[str, Any]] = {}
        for row in delivered:
            seen.setdefault(row["source_position"], row)
        line = [] if start is None else [(start - 1, None)]
        line += list(seen.items())
        for (left, _), (right, row) in pairwise(line):
            assert row is not None
            left_out = [
                entry
                for entry in rows(history, "log")
                if entry["source"] == row["source"] and left < entry["source_position"] < right
                and read_at[entry["reading"]] > row["delivered_at"]
                and row["shard"] in (None, shard_of[entry["key"]])
            ]  # fmt: skip
            seen_whole = any(
                entry["partition"] == row["source"]
                and entry["read_at"] > row["delivered_at"]
                and entry["read_to"] >= right
                for entry in rows(history, "bounds")
            )
            wrong = right <= left or bool(left_out)
            violated += wrong
            tested += wrong or right == left + 1 or seen_whole
    return tested, violated


@CHECKED
@given(several(tenures_and_readings()))
def test_per_partition_ordering_is_what_walking_each_tenure_says(histories: list[History]) -> None:
    assert judged(histories, "per_partition_ordering") == [not_rising(one) for one in histories]


# --- MQ115 -----------------------------------------------------------------------------------------------------------


@st.composite
def hands(draw: st.DrawFn) -> History:
    history = History(world=draw(st.sampled_from(["simulated", "real"])))
    history.group("one")
    history.group("two")
    consumers = [("consumer-1", 1), ("consumer-1", 2), ("consumer-2", 1), ("consumer-3", 1)]
    for consumer, incarnation in consumers:
        ended = draw(st.sampled_from([None, 15, 30]))
        history.worker(consumer, incarnation=incarnation, ended=ended)
    history.sends(6, keys=("a", "a", "b"))
    for _ in range(draw(st.integers(1, 9))):
        consumer, incarnation = draw(st.sampled_from(consumers))
        started, takes = draw(TIMES), draw(st.integers(1, 12))
        result = draw(st.sampled_from(["handled", "handled", "failed", None]))
        history.deliver(
            draw(st.integers(0, 5)),
            consumer,
            incarnation=incarnation,
            group=draw(st.sampled_from(["one", "one", "two"])),
            at=started,
            started=draw(st.sampled_from([started, started, started, None])) if result is None else started,
            ended=started + takes,
            result=result,
        )
    return history


def in_two_hands(history: History) -> tuple[int, int]:
    ends = {(row["worker"], row["incarnation"]): row["ended_at"] for row in rows(history, "workers")}
    in_hand = defaultdict(list)
    for row in rows(history, "deliveries"):
        if row["started_at"] is not None:
            until = row["ended_at"] or ends[row["consumer"], row["incarnation"]] or (history.now + 1) * MS
            in_hand[row["consumer_group"], row["key"]].append((row["started_at"], until, row["consumer"]))
    tested = violated = 0
    for held in in_hand.values():
        tested += len({consumer for _, _, consumer in held}) > 1
        violated += any(
            one[2] != other[2] and max(one[0], other[0]) < min(one[1], other[1]) for one in held for other in held
        )
    return tested, violated


@CHECKED
@given(several(hands()))
def test_exclusive_key_handling_is_what_comparing_every_pair_says(histories: list[History]) -> None:
    assert judged(histories, "exclusive_key_handling") == [in_two_hands(one) for one in histories]

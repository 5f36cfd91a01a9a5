"""MQ133, MQ135, MQ141 and MQ142 against checkers that compare everything with everything, on random histories."""

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guarantees.histories import MS, History
from tests.guarantees.test_order_oracles import CHECKED, TIMES, judged, rows, several

# --- MQ133 -----------------------------------------------------------------------------------------------------------


@st.composite
def deliveries(draw: st.DrawFn) -> History:
    history = History()
    history.parameter("bounded_redelivery", "at_most", 2)
    history.group("one")
    history.group("two")
    history.sends(3)
    for number in range(draw(st.integers(0, 12))):
        message, group = draw(st.sampled_from([None, 0, 0, 1, 2])), draw(st.sampled_from(["one", "one", "two"]))
        for attempt in range(1, draw(st.integers(1, 3)) + 1):
            history.deliver(message, group=group, delivery=number, attempt=attempt)
    return history


def handed_too_often(history: History) -> tuple[int, int]:
    handed = defaultdict(set)
    for row in rows(history, "deliveries"):
        if row["message"] is not None:
            handed[row["consumer_group"], row["message"]].add(row["delivery"])
    return sum(len(one) > 1 for one in handed.values()), sum(len(one) > 2 for one in handed.values())


@CHECKED
@given(several(deliveries()))
def test_redeliveries_are_bounded_as_by_counting_them(histories: list[History]) -> None:
    assert judged(histories, "bounded_redelivery") == [handed_too_often(one) for one in histories]


# --- MQ141 -----------------------------------------------------------------------------------------------------------


@st.composite
def appends(draw: st.DrawFn) -> History:
    """Appends of one message or a batch, tried up to three times; what became of them is seen here and there."""
    history = History(partitions=2)
    for append in range(draw(st.integers(1, 4))):
        batch, partition = draw(st.sampled_from([None, None, append])), draw(st.integers(0, 1))
        size = 1 if batch is None else draw(st.integers(1, 3))
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            expected, actual = (
                draw(st.sampled_from([None, -1, 0, 0, 0, 2])),
                draw(st.sampled_from([None, None, 0, 1, 3])),
            )
            outcome = draw(st.sampled_from(["acked", "acked", "failed", "unknown"]))
            for number in range(size):
                history.send(
                    10 * append + number, partition=partition, outcome=outcome, expected=expected, located=False,
                    actual=None if actual is None else actual + number,
                )  # fmt: skip
                history.rows.tables["sends"][-1][6] = batch
                history.rows.tables["sends"][-1][10] = partition
    sent = sorted({row[0] for row in history.rows.tables["sends"]})
    for _ in range(draw(st.integers(0, 3))):
        found = [(draw(st.sampled_from(sent)), position) for position in draw(st.sets(st.integers(0, 4)))]
        history.read_log(
            found, partition=draw(st.integers(0, 1)), first=draw(st.sampled_from([0, 0, 2])), end=5,
            read_to=draw(st.sampled_from([5, 5, 3])), reason=draw(st.sampled_from(["end", "end", "before scavenge"])),
            visible=draw(st.sampled_from(["committed", "committed", "uncommitted"])),
        )  # fmt: skip
    for _ in range(draw(st.integers(0, 2))):
        history.deliver(
            draw(st.sampled_from(sent)), partition=draw(st.integers(0, 1)), position=draw(st.integers(0, 4))
        )
    return history


def at_other_revisions(history: History) -> tuple[int, int]:
    sends = list(rows(history, "sends"))
    appended: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    copies: set[tuple[int, int, int]] = set()
    for row in sends:
        appended[row["message"] // 10, row["try"]].append(row)
        if row["outcome"] == "acked" and row["actual"] is not None:
            copies.add((row["message"], row["partition"], row["actual"]))
    copies |= {(one["message"], one["partition"], one["position"]) for one in rows(history, "deliveries")}
    copies |= {
        (one["message"], one["partition"], one["position"]) for one in rows(history, "log")
        if one["visible"] != "uncommitted"
    }  # fmt: skip
    reasons = {one["reading"]: one["reason"] for one in rows(history, "readings")}
    looks = [one for one in rows(history, "bounds") if reasons[one["reading"]] == "end" and one["read_to"] >= 5]
    tested = violated = 0
    for tries in appended.values():
        if tries[0]["outcome"] == "acked" and tries[0]["expected"] is not None:
            found = [stands(row, number, sends, copies, looks) for number, row in enumerate(tries)]
            violated += "astray" in found
            tested += "astray" in found or set(found) == {"in place"}
    return tested, violated


def stands(row: dict[str, Any], number: int, sends: list[dict[str, Any]], copies: set[tuple[int, int, int]],
           looks: list[dict[str, Any]]) -> str:  # fmt: skip
    """How the `number`th message of an acknowledged append stands: `astray`, `in place`, or nobody can tell."""
    partition, due = row["partition"], row["expected"] + 1 + number
    tries = [one for one in sends if one["message"] == row["message"]]
    counting = [one for one in tries if one["outcome"] != "failed"]
    allowed = {one["expected"] + 1 + number for one in tries if one["expected"] is not None}
    lies = {position for message, place, position in copies if (message, place) == (row["message"], partition)}
    if lies - allowed and all(one["expected"] is not None for one in counting):
        return "astray"
    seen = any(one["partition"] == partition and one["first_position"] <= due for one in looks)
    return "in place" if due in lies and (len(counting) == 1 or seen) else "untold"


@CHECKED
@given(several(appends()))
def test_appends_lie_where_expected_as_by_looking_at_each(histories: list[History]) -> None:
    assert judged(histories, "optimistic_concurrency") == [at_other_revisions(one) for one in histories]


# --- MQ142 -----------------------------------------------------------------------------------------------------------


@st.composite
def sent_again(draw: st.DrawFn) -> History:
    history = History(partitions=2)
    for message in [0, 1, 2, *draw(st.lists(st.integers(0, 2), max_size=4))]:
        history.send(message, at=draw(TIMES), outcome=draw(st.sampled_from(["acked", "unknown", "failed"])))
    for _ in range(draw(st.integers(0, 3))):
        partition = draw(st.integers(0, 1))
        found = draw(st.lists(st.integers(0, 2), max_size=5))
        first = draw(st.sampled_from([0, 0, 3]))
        history.read_log(
            [(message, first + position) for position, message in enumerate(found)], partition=partition, first=first,
            end=first + 5, read_to=first + draw(st.sampled_from([5, 5, 4])), at=draw(TIMES),
            visible=draw(st.sampled_from(["committed", "committed", "uncommitted"])),
            reason=draw(st.sampled_from(["end", "before scavenge"])),
        )  # fmt: skip
    if draw(st.booleans()):
        history.setting("compaction", "true", place=1)
    return history


def stored_again(history: History) -> tuple[int, int]:
    tries: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows(history, "sends"):
        tries[row["message"]].append(row)
    bounds = {row["reading"]: row for row in rows(history, "bounds")}
    reasons = {row["reading"]: row["reason"] for row in rows(history, "readings")}
    compacted = {row["place"] for row in rows(history, "settings") if row["name"] == "compaction"}
    found = [row for row in rows(history, "log") if row["visible"] != "uncommitted"]
    spots: dict[tuple[int | None, int], set[tuple[int, int]]] = defaultdict(set)
    tested = set()
    for row in found:
        message, reading = row["message"], row["reading"]
        if len(tries[message]) < 2:
            continue
        spots[None if reasons[reading] == "end" else reading, message].add((row["partition"], row["position"]))
        seen = bounds[reading]
        shown = [
            tries[one["message"]][0]["completed_at"] for one in found
            if one["reading"] == reading and [other["outcome"] for other in tries[one["message"]]] == ["acked"]
        ]  # fmt: skip
        began, last = (pick(one["invoked_at"] for one in tries[message]) for pick in (min, max))
        if (
            seen["read_to"] == seen["end_position"] and row["partition"] not in compacted and last < seen["read_at"]
            and (seen["first_position"] == 0 or min(shown, default=began) < began)
        ):  # fmt: skip
            tested.add(message)
    twice = {message for (_, message), where in spots.items() if len(where) > 1}
    return max(len(tested), len(twice)), len(twice)


@CHECKED
@given(several(sent_again()))
def test_what_is_sent_again_is_stored_once_as_by_counting_where_it_lies(histories: list[History]) -> None:
    assert judged(histories, "idempotent_append") == [stored_again(one) for one in histories]


# --- MQ135 -----------------------------------------------------------------------------------------------------------

WITHIN = 6


@st.composite
def troubled(draw: st.DrawFn) -> History:
    history = History(partitions=2)
    history.parameter("no_head_of_line_blocking", "within", WITHIN * MS)
    history.group("one", drained=draw(st.booleans()))
    history.group("two", drained=True)
    shards = draw(st.sampled_from([{}, {"a": 0, "b": 0, "c": 1}]))
    for key, shard in shards.items():
        history.shard(key, shard, "one")
    count = draw(st.integers(2, 6))
    keys = [draw(st.sampled_from("aabc")) for _ in range(count)]
    for message in range(count):
        sent = draw(TIMES)
        history.send(
            message, keys[message], partition=draw(st.sampled_from([0, 0, 1])), at=sent, acked=sent + 1,
            outcome=draw(st.sampled_from(["acked", "acked", "acked", "unknown"])), lands=True,
        )  # fmt: skip
    for _ in range(draw(st.integers(1, 10))):
        started, message = draw(TIMES), draw(st.integers(0, count - 1))
        group = draw(st.sampled_from(["one", "one", "two"]))
        history.deliver(
            message, at=started - 1, started=started, ended=started + draw(st.integers(1, 5)),
            result=draw(st.sampled_from(["failed", "failed", "handled", "handled", None])),
            group=group, shard=shards.get(keys[message]) if group == "one" else None,
        )  # fmt: skip
    for _ in range(draw(st.integers(0, 3))):
        moment, outcome = draw(TIMES), draw(st.sampled_from(["acked", "unknown", "failed"]))
        if draw(st.booleans()):
            history.settle_one(draw(st.integers(0, count - 1)), draw(st.sampled_from(["park", "skip", "ack", "retry"])),
                               group="one", at=moment, outcome=outcome)  # fmt: skip
        else:
            shard = draw(st.sampled_from([*sorted(set(shards.values()))] or [None]))
            history.commit(below=draw(st.integers(0, 4)), source=draw(st.integers(0, 1)), group="one", at=moment,
                           outcome=outcome, shard=shard)  # fmt: skip
    history.now = max(history.now, draw(st.integers(40, 70)))
    return history


def ends_of(
    history: History, group: str, message: int, failed_at: int, source: int, position: int, shard: int | None
) -> int:
    """When a failed message came to its end: handled, put aside, settled past beyond all before, or with the run."""
    ends = [(history.now + 1) * MS]
    ends += [
        row["ended_at"] for row in rows(history, "deliveries")
        if row["consumer_group"] == group and row["message"] == message and row["result"] == "handled"
    ]  # fmt: skip
    reached = -1
    settlements = [
        row for row in rows(history, "settlements") if row["consumer_group"] == group and row["outcome"] != "failed"
    ]  # fmt: skip
    for row in sorted(settlements, key=lambda one: (one["invoked_at"], one["source_position"])):
        if row["covers"] == "one":
            if row["message"] == message and row["action"] != "retry":
                ends.append(row["invoked_at"])
        elif (row["source"], row["shard"]) == (source, shard):
            if row["source_position"] > max(position, reached) and row["invoked_at"] >= failed_at:
                ends.append(row["invoked_at"])
            reached = max(reached, row["source_position"])
    return min(ends)


def held_up(history: History) -> tuple[int, int]:
    run_end, tested, violated = (history.now + 1) * MS, 0, 0
    keys = {row["message"]: row["key"] for row in rows(history, "sends")}
    acked = {row["message"]: row["completed_at"] for row in rows(history, "sends") if row["outcome"] == "acked"}
    shards = {(row["consumer_group"], row["key"]): row["shard"] for row in rows(history, "shards")}
    for owner in rows(history, "groups"):
        group = owner["consumer_group"]
        shard = {message: shards.get((group, key)) for message, key in keys.items()}
        mine = [row for row in rows(history, "deliveries") if row["consumer_group"] == group]
        failed: dict[int, tuple[int, int, int]] = {}
        started: dict[int, int] = {}
        for row in mine:
            message = row["message"]
            if row["result"] == "failed":
                failed[message] = min(
                    failed.get(message, (run_end, 0, 0)), (row["ended_at"], row["source"], row["source_position"])
                )
            if row["started_at"] is not None:
                started[message] = min(started.get(message, run_end), row["started_at"])
        for message, (failed_at, source, position) in failed.items():
            ended_at = ends_of(history, group, message, failed_at, source, position, shard[message])
            if ended_at <= failed_at:
                continue
            others = [
                (acked[other], started.get(other, run_end)) for other in acked
                if keys[other] != keys[message] and history._positions[other][0] == source
                and shard[other] == shard[message]
                and acked[other] < started.get(other, -1 if owner["drained"] else run_end + 1)
            ]  # fmt: skip
            others = [(since, until) for since, until in others if since < ended_at and until > failed_at]
            in_time = ended_at - WITHIN * MS if ended_at == run_end else ended_at  # else the run's end came before
            tested += in_time > failed_at and any(since < in_time for since, _ in others)
            fair = [
                row["started_at"] for row in mine
                if row["started_at"] is not None and row["source"] == source and row["shard"] == shard[message]
                and row["message"] not in failed
            ]  # fmt: skip
            violated += any(
                longest_lull(fair, max(failed_at, since), min(ended_at, until)) > WITHIN * MS for since, until in others
            )
    return max(tested, violated), violated


def longest_lull(moments: list[int], began_at: int, ended_at: int) -> int:
    """The longest stretch between two times in which none of these moments lies."""
    steps = sorted([began_at, ended_at, *(one for one in moments if began_at < one < ended_at)])
    return max((right - left for left, right in pairwise(steps)), default=0)


@CHECKED
@given(several(troubled()))
def test_who_is_held_up_is_what_looking_at_every_pair_says(histories: list[History]) -> None:
    assert judged(histories, "no_head_of_line_blocking") == [held_up(one) for one in histories]


def test_random_histories_hold_some_up_and_some_not() -> None:
    seen: Counter[bool] = Counter()

    @settings(CHECKED, max_examples=200, derandomize=True)
    @given(troubled())
    def look(history: History) -> None:
        tested, violated = held_up(history)
        seen[violated > 0] += bool(tested)

    look()
    assert min(seen[True], seen[False]) > 0

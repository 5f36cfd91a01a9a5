"""MQ116, MQ123 and MQ125 against checkers that compare everything with everything, on random histories."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guarantees.histories import History
from tests.guarantees.test_order_oracles import CHECKED, TIMES, judged, rows, several

Row = dict[str, Any]


@st.composite
def written(draw: st.DrawFn) -> History:
    """Messages that are tried and stored here and there, readings that see some of it, deliveries, elections."""
    history = History(partitions=2, world=draw(st.sampled_from(["simulated", "real"])))
    count = draw(st.integers(2, 5))
    producers = [draw(st.sampled_from(["producer-1", "producer-1", "producer-2"])) for _ in range(count)]
    for message in [*range(count), *draw(st.lists(st.integers(0, count - 1), max_size=3))]:
        sent = draw(TIMES)
        history.send(
            message, draw(st.sampled_from("aaab")) if message not in history._messages else "", at=sent,
            acked=sent + draw(st.integers(1, 5)), partition=draw(st.sampled_from([0, 0, 0, 1])),
            position=draw(st.integers(0, 5)), producer=producers[message],
            outcome=draw(st.sampled_from(["acked", "acked", "acked", "unknown", "failed"])),
        )  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.sampled_from([0, 0, 0, 2]))
        found = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=5))
        partition, end = draw(st.sampled_from([0, 0, 0, 1])), first + 5
        number = history.read_log(
            [(message, first + position) for position, message in enumerate(found)], partition=partition, first=first,
            end=end, read_to=draw(st.sampled_from([end, end, end - 1])), at=draw(st.integers(20, 60)),
            reason=draw(st.sampled_from(["end", "end", "before pass of fault 0"])),
            visible=draw(st.sampled_from(["committed", "committed", "committed", "uncommitted"])),
        )  # fmt: skip
        if draw(st.booleans()):
            read_at = history.rows.tables["bounds"][-1][-1]
            history.rows.add(
                "bounds", number, "main", None, 1 - partition, draw(st.sampled_from([0, 1])), 1, 1, read_at
            )
    for _ in range(draw(st.integers(0, 2))):
        history.deliver(draw(st.integers(0, count - 1)), partition=draw(st.integers(0, 1)),
                        position=draw(st.integers(0, 5)), at=draw(TIMES))  # fmt: skip
    for _ in range(draw(st.sampled_from([0, 0, 1]))):
        history.fault("unclean_election", at=draw(TIMES), target=draw(st.sampled_from(["", "orders-0", "orders-1"])))
    if draw(st.booleans()):
        history.setting("unclean_leader_election_enable", draw(st.sampled_from(["true", "false"])))
    if draw(st.integers(0, 4)) == 0:
        history.setting("compaction", "true", place=draw(st.integers(0, 1)))
    return history


class Known:
    """What the naive checkers look up."""

    def __init__(self, history: History) -> None:
        self.tries: dict[int, list[Row]] = defaultdict(list)
        for row in rows(history, "sends"):
            self.tries[row["message"]].append(row)
        self.bounds = list(rows(history, "bounds"))
        self.reasons = {row["reading"]: row["reason"] for row in rows(history, "readings")}
        self.compacted = {row["place"] for row in rows(history, "settings") if row["name"] == "compaction"}
        self.log = list(rows(history, "log"))
        self.committed = [row for row in self.log if row["visible"] != "uncommitted"]

    def first_try(self, message: int) -> int:
        return min(int(row["invoked_at"]) for row in self.tries[message])

    def surely_before(self, a: int, b: int) -> bool:
        acked = [row for row in self.tries[a] if row["outcome"] == "acked"]
        return any(row["invoked_at"] < self.first_try(b) for row in acked)

    def where(self, message: int) -> tuple[int, int] | None:
        """Where the ack of a message that was tried once says that it lies."""
        (row,) = self.tries[message]
        if row["position"] is not None:
            return row["partition"], row["position"]
        return None

    def shows(self, bound: Row) -> float:
        """From when on it surely shows everything: infinity if nobody can tell."""
        if bound["partition"] in self.compacted:
            return float("inf")
        if bound["first_position"] == 0:
            return -1
        since = float("inf")
        for row in self.committed:
            message = row["message"]
            if (row["reading"], row["partition"]) != (bound["reading"], bound["partition"]) or len(
                self.tries[message]
            ) > 1:
                continue
            where = self.where(message)
            if where is not None and where[0] == row["partition"] and row["position"] <= where[1]:
                since = min(since, self.tries[message][0]["completed_at"])
        return since


def out_of_order(history: History) -> tuple[int, int]:
    known = Known(history)
    tested, violated = set(), set()
    for bound in known.bounds:
        lies: dict[int, int] = {}
        for row in known.committed:
            if (row["reading"], row["partition"]) == (bound["reading"], bound["partition"]):
                lies[row["message"]] = min(lies.get(row["message"], 99), row["position"])
        for a in lies:
            for b in lies:
                ours, theirs = known.tries[a][0], known.tries[b][0]
                if (ours["key"], ours["producer"]) != (theirs["key"], theirs["producer"]) or not known.surely_before(
                    a, b
                ):
                    continue
                if known.shows(bound) < known.first_try(a):
                    tested.add((bound["partition"], a))
                    if lies[b] < lies[a]:
                        violated.add((bound["partition"], a))
    return len(tested), len(violated)


def stored_again(history: History) -> tuple[int, int]:
    known = Known(history)
    spots: dict[Any, set[Any]] = defaultdict(set)
    tested = set()
    for row in known.committed:
        reading, message = row["reading"], row["message"]
        spots["end" if known.reasons[reading] == "end" else reading, message].add((row["partition"], row["position"]))
        of_reading = [one for one in known.bounds if one["reading"] == reading]
        own = [one for one in of_reading if one["partition"] == row["partition"]]
        seen = own if len(known.tries[message]) == 1 else of_reading
        last = max(one["completed_at"] for one in known.tries[message])
        if all(
            one["read_to"] >= one["end_position"]
            and known.shows(one) < known.first_try(message)
            and last < one["read_at"]
            for one in seen
        ):
            tested.add(message)
    twice = {message for (_, message), where in spots.items() if len(where) > 1}
    return max(len(tested), len(twice)), len(twice)


def given_twice(history: History) -> tuple[int, int]:
    known = Known(history)
    names = {row["id"]: row["name"] for row in rows(history, "places")}
    read_at = {row["reading"]: row["read_at"] for row in known.bounds}
    sights: dict[tuple[int, int], list[tuple[int, str, int, int]]] = defaultdict(list)
    for message, tries in known.tries.items():
        for row in tries:
            if row["outcome"] == "acked" and row["position"] is not None:
                at = row["partition"], row["position"]
                sights[at].append((message, "ack", known.first_try(message), row["completed_at"]))
    for row in rows(history, "deliveries"):
        at = row["partition"], row["position"]
        sights[at].append((row["message"], "delivery", known.first_try(row["message"]), row["delivered_at"]))
    for row in known.log:
        seen = read_at[row["reading"]]
        sights[row["partition"], row["position"]].append((row["message"], "reading", seen, seen))
    excused = history.world != "simulated" and any(
        row["name"].startswith("unclean") and row["value"] == "true" for row in rows(history, "settings")
    )
    tested = violated = 0
    for (partition, _), seen_by in sights.items():
        elections = [row["began_at"] for row in rows(history, "faults") if row["target"] in ("", names[partition])]
        messages = {message for message, *_ in seen_by}
        acks = {message for message, kind, *_ in seen_by if kind == "ack"}
        if len(messages) == 1:
            tested += sum(kind != "ack" for _, kind, *_ in seen_by) + len(acks) > 1
            continue
        wrong = not excused and any(
            a[0] != b[0] and not any(min(a[2], b[2]) <= moment <= max(a[3], b[3]) for moment in elections)
            for a in seen_by for b in seen_by
        )  # fmt: skip
        tested += wrong
        violated += wrong
    return tested, violated


NAIVE: dict[str, Callable[[History], tuple[int, int]]] = {
    "send_ordering": out_of_order, "no_duplicate_writes": stored_again, "consistent_positions": given_twice,
}  # fmt: skip


@pytest.mark.parametrize("guarantee", NAIVE)
@CHECKED
@given(histories=several(written()))
def test_writes_are_judged_as_by_comparing_everything(guarantee: str, histories: list[History]) -> None:
    assert judged(histories, guarantee) == [NAIVE[guarantee](one) for one in histories]


@pytest.mark.parametrize("guarantee", NAIVE)
def test_random_histories_hold_and_violate(guarantee: str) -> None:
    seen: Counter[bool] = Counter()

    @settings(CHECKED, max_examples=200, derandomize=True)
    @given(written())
    def look(history: History) -> None:
        tested, violated = NAIVE[guarantee](history)
        seen[violated > 0] += bool(tested)

    look()
    assert min(seen[True], seen[False]) > 3

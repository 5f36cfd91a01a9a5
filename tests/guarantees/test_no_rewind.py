"""MQ112: a group never goes back along a key past what it has handled since (SEMANTICS §5.7, §5.17)."""

from collections import defaultdict

import pytest
from hypothesis import given

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import History
from tests.guarantees.test_order_oracles import CHECKED, judged, rows, sent_and_handled, several

NAME = "no_rewind"


def handled(*order: int) -> History:
    """Messages of one key, sent in order, and the order in which they were handled."""
    history = History()
    history.sends(max(order) + 1)
    history.handles(order)
    return history


def test_the_same_one_again_is_none() -> None:
    verdict = handled(0, 1, 1, 2).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_a_crash_repeats_what_was_delivered_and_not_handled() -> None:
    """§5.7: batch 0 1 2 delivered, 0 handled and settled, crash, 1 2 again; held."""
    history = History()
    history.sends(3)
    history.handle(0)
    history.deliver(1, started=history.now + 1)
    history.handle(1, "consumer-2")
    history.handle(2, "consumer-2")
    assert history.verdict(NAME).verdict == "held"


def test_what_was_handled_after_it_makes_a_repetition_a_rewind() -> None:
    """§5.7: 2 handled, then 1 starts again; violated."""
    verdict = handled(0, 1, 2, 1).verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == (
        "consumer-1 started on message 1 (key a, sequence 1) at 0.017 s again, first handled at 0.012 s, though the "
        "group had handled message 2 (key a, sequence 2) at 0.015 s, after it"
    )


def test_a_first_start_behind_what_was_sent_after_it_is_one() -> None:
    verdict = handled(0, 2, 1).verdict(NAME)
    assert verdict.verdict == "violated"
    assert verdict.reason == (
        "consumer-1 started on message 1 (key a, sequence 1) at 0.014 s for the first time, though the group had "
        "handled message 2 (key a, sequence 2) at 0.012 s, which was sent after it"
    )


@pytest.mark.parametrize("result", ["failed", None])
def test_what_failed_or_died_in_hand_is_one_once_it_comes_behind_what_was_handled(result: str | None) -> None:
    """Retried by nack, and parked in the end: it was never handled, and no order of handlings shows it."""
    history = EventStoreHistory()
    history.group(delivery="competing")
    for message in range(3):
        history.append(message)
    history.handled(0)
    history.take(1, result=result, started=history.now + 2)
    history.take(1, result=result, started=history.now + 3)
    assert history.verdict(NAME).verdict == "held"
    history.handled(2)
    history.take(1, result="failed", retry=2)
    history.server_parks(1)
    history.look(parked={"group": [1]})
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert " s again, still unhandled, though the group had handled message 2 (key a, sequence 2) at " in verdict.reason
    assert history.verdict("per_key_ordering").verdict == "held"


def test_a_time_out_that_lands_late_is_none() -> None:
    """§5.7: sequence 3 times out, 4 is acked, 3 lands after 4."""
    history = History()
    history.sends(3)
    history.send(3, outcome="unknown", lands=False)
    history.send(4)
    history.handles([0, 1, 2, 4, 3])
    assert history.verdict(NAME).verdict == "held"


def test_a_log_that_turns_back_is_consumed_so() -> None:
    """§5.17: a log 0 1 2 3 4 4 3 2 1 0."""
    verdict = handled(0, 1, 2, 3, 4, 4, 3, 2, 1, 0).verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 4)


def test_other_keys_and_other_groups_are_apart() -> None:
    history = History()
    history.sends(4, keys=("a", "b"))
    history.group("one")
    history.group("two")
    for message in (0, 2):
        history.handle(message, group="one")
    history.handle(0, group="two")
    history.handle(1, group="one")
    history.handle(1, group="one")
    assert history.verdict(NAME).verdict == "held"


def test_without_a_second_start_in_a_key_it_is_inconclusive() -> None:
    history = History()
    history.sends(2, keys=("a", "b"))
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "inconclusive"


@pytest.mark.parametrize("result", ["failed", "handled"])
def test_a_start_counts_whatever_becomes_of_it(result: str) -> None:
    history = handled(0, 1)
    history.deliver(0, started=history.now + 1, result=result)
    assert history.verdict(NAME).verdict == "violated"


def rewound(history: History) -> tuple[int, int]:
    """Pair by pair, as the definition says."""
    sends: dict[int, list[dict[str, object]]] = defaultdict(list)
    for send in rows(history, "sends"):
        sends[send["message"]].append(send)
    starts = [row for row in rows(history, "deliveries") if row["started_at"] is not None]
    first: dict[tuple[str, int], int] = {}
    for row in starts:
        if row["result"] == "handled":
            place = row["consumer_group"], row["message"]
            first[place] = min(first.get(place, row["ended_at"]), row["ended_at"])

    def surely_before(a: int, b: int) -> bool:
        acked = [send for send in sends[a] if send["outcome"] == "acked"]
        if not acked:
            return False
        began = min(send["invoked_at"] for send in sends[b])  # type: ignore[type-var]
        producers = [min(sends[m], key=lambda send: send["invoked_at"])["producer"] for m in (a, b)]  # type: ignore[arg-type,return-value]
        if producers[0] == producers[1] and min(send["invoked_at"] for send in acked) < began:  # type: ignore[type-var,operator]
            return True
        return min(send["completed_at"] for send in acked) < began  # type: ignore[type-var,operator]

    keys: dict[tuple[str, str], int] = defaultdict(int)
    found = set()
    for row in starts:
        group, message, at = row["consumer_group"], row["message"], row["started_at"]
        keys[group, row["key"]] += 1
        before = [
            (other, when) for (its_group, other), when in first.items()
            if its_group == group and other != message and when < at and sends[other][0]["key"] == row["key"]
        ]  # fmt: skip
        own = first.get((group, message))
        again = own is not None and own < at and any(when > own for _, when in before)
        late = (own is None or own >= at) and any(surely_before(message, other) for other, _ in before)
        if again or late:
            found.add((group, message))
    return max(sum(count > 1 for count in keys.values()), len(found)), len(found)  # a violation is an obligation too


@CHECKED
@given(several(sent_and_handled()))
def test_it_agrees_with_its_definition(histories: list[History]) -> None:
    assert judged(histories, NAME) == [rewound(history) for history in histories]

"""MQ133, MQ135, MQ141 and MQ142: what is tried again, and what waits meanwhile."""

from typing import Any

import pytest

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import MS, History

# --- MQ133 bounded_redelivery


def handed(times: int, at_most: int = 2) -> EventStoreHistory:
    history = EventStoreHistory()
    history.group("billing", delivery="competing", consumers=2)
    history.parameter("bounded_redelivery", "at_most", at_most)
    history.append(0)
    history.append(1)
    for retry in range(times):
        history.fails(0, f"consumer-{retry % 2 + 1}", retry=retry, group="billing")
    history.handled(1, group="billing")
    return history


@pytest.mark.parametrize(("times", "expected"), [(1, "inconclusive"), (2, "held"), (3, "violated"), (5, "violated")])
def test_more_deliveries_than_allowed_are_a_violation(times: int, expected: str) -> None:
    verdict = handed(times).verdict("bounded_redelivery")
    assert (verdict.verdict, verdict.obligations) == (expected, int(times > 1))
    if times == 1:
        assert verdict.reason.startswith("nothing put it to the test: no message was delivered a second time")


def test_a_redelivery_too_many_says_who_was_handed_it_and_with_which_retry() -> None:
    verdict = handed(5).verdict("bounded_redelivery")
    assert verdict.reason == (
        "group billing was handed message 0 (key a, sequence 0) 5 times, 2 being allowed: first consumer-1 at 0.005 s, "
        "once too often consumer-1 at 0.011 s (retry 2)"
    )
    assert verdict.witness is not None
    told = [(one.actor, one.event) for one in verdict.witness.events]
    assert ("consumer-2", "takes it from its buffer (retry 1)") in told


def test_attempts_in_place_are_one_delivery_and_groups_count_apart() -> None:
    history = History()
    history.parameter("bounded_redelivery", "at_most", 1)
    history.send(0)
    for attempt in range(1, 5):
        history.deliver(0, result="failed", delivery=0, attempt=attempt)
    history.handle(0, group="shipping")
    assert history.verdict("bounded_redelivery").verdict == "inconclusive"
    history.handle(0)
    assert history.verdict("bounded_redelivery").violations == 1


# --- MQ135 no_head_of_line_blocking


def blocked(*, within: int = 20, until: int = 80, ending: str = "handled") -> History:
    """Message 0 fails at 31 ms and ends at `until`; message 1, of another key, waits behind it."""
    history = History()
    history.parameter("no_head_of_line_blocking", "within", within * MS)
    history.group(drained=ending != "never")
    history.send(0, "a", at=1)
    history.send(1, "b", at=3)
    history.deliver(0, at=29, started=30, ended=31, result="failed", delivery=0)
    match ending:
        case "handled":
            history.deliver(0, at=29, started=until - 1, ended=until, result="handled", delivery=0, attempt=2)
        case "skipped":
            history.commit(below=1, at=until)
        case "parked":
            history.settle_one(0, "park", at=until)
        case "never":
            history.now = until
            return history
    history.handle(1)
    return history


@pytest.mark.parametrize(("ending", "words"), [
    ("handled", "failed at 0.031 s and was handled at 0.080 s"),
    ("skipped", "failed at 0.031 s and was settled past at 0.080 s"),
    ("parked", "failed at 0.031 s and was parked at 0.080 s"),
    ("never", "failed at 0.031 s and was neither handled nor put aside by the end"),
])  # fmt: skip
def test_a_message_that_holds_up_another_key_for_too_long_is_a_violation(ending: str, words: str) -> None:
    verdict = blocked(ending=ending).verdict("no_head_of_line_blocking")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason.startswith("message 0 (key a, sequence 0) of orders-0 " + words)
    until = "0.081" if ending == "never" else "0.080"
    lasts = "0.050" if ending == "never" else "0.049"
    assert verdict.reason.endswith(
        f"; meanwhile the group started nothing of it that had not failed from 0.031 s to {until} s, for {lasts} s, "
        "though 1 message of another key waited"
    )
    assert verdict.witness is not None
    assert {event.message for event in verdict.witness.events} >= {0, 1}


def test_as_long_as_allowed_is_none() -> None:
    assert blocked(within=49).verdict("no_head_of_line_blocking").verdict == "held"
    assert blocked(within=48).verdict("no_head_of_line_blocking").verdict == "violated"


def test_nothing_waits_if_what_comes_next_is_of_the_same_key_or_sent_too_late() -> None:
    history = History()
    history.parameter("no_head_of_line_blocking", "within", 20 * MS)
    history.send(0, "a", at=1)
    history.send(1, "a", at=3)
    history.deliver(0, at=29, started=30, ended=31, result="failed")
    history.send(2, "b", at=70)
    history.handle(0, at=80)
    history.handles([1, 2])
    verdict = history.verdict("no_head_of_line_blocking")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_without_a_failure_or_without_anybody_waiting_it_is_inconclusive() -> None:
    history = History()
    history.parameter("no_head_of_line_blocking", "within", 20 * MS)
    history.sends(2, keys=("a", "b"))
    history.handles([0, 1])
    assert history.verdict("no_head_of_line_blocking").verdict == "inconclusive"
    history.send(2)
    history.deliver(2, result="failed")
    history.handle(2, at=history.now + 100)
    assert history.verdict("no_head_of_line_blocking").verdict == "inconclusive"


def test_another_source_is_not_held_up() -> None:
    history = History(partitions=2)
    history.parameter("no_head_of_line_blocking", "within", 20 * MS)
    history.send(0, "a", partition=0, at=1)
    history.send(1, "b", partition=1, at=3)
    history.deliver(0, at=29, started=30, ended=31, result="failed")
    history.handle(0, at=79)
    history.handle(1)
    assert history.verdict("no_head_of_line_blocking").verdict == "inconclusive"


def test_what_was_lost_before_does_not_wait() -> None:
    history = blocked()
    history.rows.tables["deliveries"].pop()  # message 1 was settled past, never started, and the group drained
    assert history.verdict("no_head_of_line_blocking").verdict == "inconclusive"


def test_a_nacked_message_that_others_pass_holds_nobody_up() -> None:
    """Retried by nack in a category, while those behind it are handled."""
    for passing, expected in ((range(1, 8), "held"), ((1,), "violated")):
        history = EventStoreHistory()
        history.group(delivery="competing")
        history.parameter("no_head_of_line_blocking", "within", 70 * MS)
        for message in range(8):
            history.append(message, "abcd"[message % 4])
        for retry in range(4):
            history.fails(0, retry=retry)
            history.tells(0, "retry")
            for message in passing:
                if (message - 1) % 4 == retry:
                    history.handled(message, at=history.now + 10)
            history.now += 30
        history.server_parks(0)
        for message in set(range(1, 8)) - set(passing):
            history.handled(message)
        history.look(parked={"group": [0]})
        verdict = history.verdict("no_head_of_line_blocking")
        assert (verdict.verdict, verdict.obligations) == (expected, 1), verdict.reason
    assert verdict.reason.startswith("message 0 (key a, sequence 0) of $ce-orders failed at ")


def test_a_settlement_before_the_failure_ends_nothing() -> None:
    """Settled before handling and tried in place: those behind it wait all the same."""
    history = blocked()
    history.commit(below=1, at=28)
    assert history.verdict("no_head_of_line_blocking").verdict == "violated"


# --- MQ141 optimistic_concurrency


def appended(expected: int | None, actual: int | None, **others: Any) -> EventStoreHistory:
    history = EventStoreHistory()
    history.append(0, expected=expected, actual=actual, **others)
    return history


@pytest.mark.parametrize(("expected", "actual", "outcome"), [
    (-1, 0, "held"), (4, 5, "held"), (-1, 3, "violated"), (4, 7, "violated"), (4, 4, "violated"),
    (None, 5, "inconclusive"),
])  # fmt: skip
def test_an_append_lands_right_after_the_revision_it_expects(
    expected: int | None, actual: int | None, outcome: str
) -> None:
    verdict = appended(expected, actual).verdict("optimistic_concurrency")
    assert (verdict.verdict, verdict.obligations) == (outcome, int(outcome != "inconclusive"))


def test_an_append_elsewhere_says_what_it_expected() -> None:
    assert appended(4, 7).verdict("optimistic_concurrency").reason == (
        "producer-1 appended message 0 (key a, sequence 0) on condition that orders-a ended at revision 4; it was "
        "acknowledged at 0.002 s, and lies at revision 7, not 5"
    )


@pytest.mark.parametrize(("revision", "outcome"), [(5, "held"), (6, "violated")])
def test_where_the_client_does_not_learn_it_whoever_finds_the_message_does(revision: int, outcome: str) -> None:
    history = appended(4, None, located=False, position=revision)
    assert history.verdict("optimistic_concurrency").verdict == "inconclusive", "nobody knows where it lies"
    history.handled(0)
    assert history.verdict("optimistic_concurrency").verdict == outcome
    assert "on condition that orders-a had nothing" in appended(-1, 7).verdict("optimistic_concurrency").reason


def test_appends_that_were_refused_or_never_answered_are_not_judged() -> None:
    for outcome in ("failed", "unknown"):
        assert appended(4, 7, outcome=outcome).verdict("optimistic_concurrency").verdict == "inconclusive"


def test_of_a_batch_its_first_message_counts() -> None:
    for first, expected in ((5, "held"), (6, "violated")):
        history = EventStoreHistory()
        for message in range(3):
            history.append(message, expected=4, actual=first + message)
            history.rows.tables["sends"][-1][6] = 17
        verdict = history.verdict("optimistic_concurrency")
        assert (verdict.verdict, verdict.obligations) == (expected, 1)
    assert verdict.reason.startswith("producer-1 appended 3 messages, first message 0 (key a, sequence 0) on condition")


# --- MQ142 idempotent_append


def test_a_message_sent_again_and_stored_twice_is_violated() -> None:
    history = History()
    history.send(0, outcome="unknown", lands=True)
    history.send(1)
    history.send(0)
    history.read_log([(0, 0), (1, 1), (0, 2)])
    verdict = history.verdict("idempotent_append")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == (
        "message 0 (key a, sequence 0) was sent 2 times, by producer-1 from 0.001 s to 0.005 s, and is stored 2 times: "
        "a fresh reader that began at 0.007 s found it at offset 0 of orders-0 and at offset 2 of orders-0"
    )


def test_links_and_other_readings_are_no_copies() -> None:
    history = EventStoreHistory()
    history.append(0, outcome="unknown", lands=True)
    history.append(0, lands=False)
    history.look(reason="before scavenge of fault 0")
    history.look()
    verdict = history.verdict("idempotent_append")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_copies_of_what_was_sent_once_and_aborted_copies_do_not_count() -> None:
    history = History()
    history.send(0)
    history.send(1, outcome="failed", lands=True)
    history.send(1)
    history.read_log([(0, 0), (1, 2), (0, 3)])
    history.read_log([(0, 0), (1, 1), (1, 2)], visible="uncommitted")
    verdict = history.verdict("idempotent_append")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_nothing_sent_again_or_nothing_read_since_is_inconclusive() -> None:
    history = History()
    history.send(0)
    history.read([0])
    assert history.verdict("idempotent_append").verdict == "inconclusive"
    history.send(0)
    assert history.verdict("idempotent_append").verdict == "inconclusive"
    history.read([0])
    assert history.verdict("idempotent_append").verdict == "held"

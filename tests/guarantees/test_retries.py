"""MQ133, MQ141 and MQ142: what is tried again."""

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


def sent_again_exactly(*found: tuple[int, int], **others: Any) -> EventStoreHistory:
    """Message 0 is to lie at 1, behind message 9; its first try is in doubt, its second is acknowledged."""
    history = EventStoreHistory()
    history.append(9, located=False)
    history.append(0, outcome="unknown", expected=0, lands=True)
    history.append(1, located=False)
    history.append(0, expected=others.pop("again", 0), located=False, lands=False)
    if found:
        history.read_log(list(found), partition=history.stream("a"), end=4, reader="stream", **others)
    return history


def test_a_repeated_append_that_is_stored_again_is_violated_wherever_its_first_copy_lies() -> None:
    verdict = sent_again_exactly((9, 0), (0, 1), (1, 2), (0, 3)).verdict("optimistic_concurrency")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == (
        "producer-1 appended message 0 (key a, sequence 1) on condition that orders-a ended at revision 0; it was "
        "acknowledged at 0.008 s, and lies at revision 3, not only at 1"
    )


def test_a_repeated_append_that_is_answered_as_before_holds() -> None:
    verdict = sent_again_exactly((9, 0), (0, 1), (1, 2)).verdict("optimistic_concurrency")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_where_another_copy_may_lie_unseen_a_repeated_append_is_not_judged() -> None:
    """Before the end, not to the end, or not from there on; and nobody saw it at all."""
    for others in ({"reason": "before scavenge of fault 0"}, {"read_to": 2}, {"first": 2}):
        history = sent_again_exactly((0, 1), **others)
        assert history.verdict("optimistic_concurrency").verdict == "inconclusive"
    assert sent_again_exactly((9, 0)).verdict("optimistic_concurrency").verdict == "inconclusive"
    history = sent_again_exactly()
    history.handled(0)
    assert history.verdict("optimistic_concurrency").verdict == "inconclusive"


@pytest.mark.parametrize(("found", "expected"), [
    (((9, 0), (0, 1), (1, 2), (0, 3)), "held"),
    (((9, 0), (0, 1), (1, 2)), "inconclusive"),
    (((9, 0), (1, 1), (0, 2)), "violated"),
])  # fmt: skip
def test_each_try_allows_the_place_that_it_expected(found: tuple[tuple[int, int], ...], expected: str) -> None:
    """The second try expects revision 2: stored by both it is MQ142's; where the first one lies says nothing of it."""
    assert sent_again_exactly(*found, again=2).verdict("optimistic_concurrency").verdict == expected


def test_a_try_that_expected_anything_may_lie_anywhere() -> None:
    history = EventStoreHistory()
    history.append(9, located=False)
    history.append(0, outcome="unknown")
    history.append(0, expected=0, located=False, lands=False)
    history.read_log([(9, 0), (0, 1), (0, 2)], partition=history.stream("a"), end=3)
    assert history.verdict("optimistic_concurrency").verdict == "held"
    history.rows.tables["sends"][1][8] = 0
    assert history.verdict("optimistic_concurrency").verdict == "violated"


def test_links_are_no_copies_of_an_exact_append() -> None:
    history = sent_again_exactly()
    history.look()
    verdict = history.verdict("optimistic_concurrency")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_of_a_batch_the_message_that_lies_elsewhere_is_named() -> None:
    history = EventStoreHistory()
    for message, actual in enumerate((5, 6, 9)):
        history.append(message, expected=4, actual=actual)
        history.rows.tables["sends"][-1][6] = 17
    verdict = history.verdict("optimistic_concurrency")
    assert verdict.reason.endswith("and message 2 lies at revision 9, not 7")
    assert verdict.witness is not None
    assert {event.message for event in verdict.witness.events} >= {0, 2}


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


def test_a_copy_that_may_have_been_removed_is_not_judged() -> None:
    """A stream that keeps one event shows the last copy; one acknowledged before shows that none is gone."""
    for found, expected in (([(0, 2)], "inconclusive"), ([(9, 0), (0, 2)], "held")):
        history = EventStoreHistory()
        history.append(9)
        history.append(0, outcome="unknown", lands=True)
        history.append(0, lands=False)
        history.read_log(found, partition=history.stream("a"), first=found[0][1] or 0, end=3, reader="stream")
        assert history.verdict("idempotent_append").verdict == expected
    history.rows.tables["bounds"][-1][5] = 1  # from 1 on, and what lies there is surely older
    assert history.verdict("idempotent_append").verdict == "held"
    history.setting("compaction", "true")
    assert history.verdict("idempotent_append").verdict == "inconclusive"


def test_copies_that_only_all_readings_of_the_end_show_together_count() -> None:
    """A stream that keeps one event hides the first copy; `$all` still has it."""
    for reason, expected in (("end", "violated"), ("before scavenge of fault 0", "inconclusive")):
        history = EventStoreHistory()
        history.append(0, outcome="unknown", lands=True)
        history.append(0, position=1)
        history.read_log([(0, 1)], partition=history.stream("a"), first=1, end=2, reader="stream")
        history.rows.add("readings", 7, "all", history.everything, None, reason, True)
        history._bound(7, "main", None, history.everything, 1000, 1001, 9 * MS)
        history._entry(7, "main", None, 0, (history.stream("a"), 0), (history.everything, 1000))
        assert history.verdict("idempotent_append").verdict == expected

"""MQ102 at_most_once and MQ103 exactly_once."""

import pytest

from tests.guarantees.histories import History


def crashed_between_handling_and_settling() -> History:
    history = History()
    history.worker("consumer-1", ended=20, ending="crashed")
    history.sends(2)
    history.assign()
    history.handle(0)
    history.handle(1)
    history.commit(below=1)
    history.assign("consumer-2", start=1, start_from="committed", at=30)
    history.handle(1, "consumer-2")
    return history


def test_everything_handled_once_holds() -> None:
    history = History()
    history.sends(3)
    history.handles([0, 1, 2])
    assert history.verdict("at_most_once").obligations == 3
    assert history.verdict("at_most_once").verdict == "held"
    assert history.verdict("exactly_once").verdict == "held"


@pytest.mark.parametrize("guarantee", ["at_most_once", "exactly_once"])
def test_a_redelivery_to_another_consumer_is_violated(guarantee: str) -> None:
    verdict = crashed_between_handling_and_settling().verdict(guarantee)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert verdict.witness is not None
    assert verdict.witness.sentence == (
        "the group handled message 1 (key a, sequence 1) 2 times, first by consumer-1 at 0.012 s, then by "
        "consumer-2 at 0.034 s"
    )
    told = [(event.at_ns // 1_000_000, event.actor, event.event) for event in verdict.witness.events]
    assert (20, "consumer-1", "dies") in told
    assert told == sorted(told, key=lambda one: one[0])
    assert [event for _, _, event in told].count("handled it") == 2


@pytest.mark.parametrize("guarantee", ["at_most_once", "exactly_once"])
def test_of_more_than_two_handlings_the_first_two_are_told_as_that(guarantee: str) -> None:
    history = crashed_between_handling_and_settling()
    history.handle(1, "consumer-3")
    assert history.verdict(guarantee).reason == (
        "the group handled message 1 (key a, sequence 1) 3 times, first by consumer-1 at 0.012 s, then by "
        "consumer-2 at 0.034 s"
    )


def test_crash_between_handling_and_settling_loses_nothing() -> None:
    assert crashed_between_handling_and_settling().verdict("at_least_once").verdict == "held"


def test_deliveries_that_did_not_end_well_are_no_handlings() -> None:
    history = History()
    history.send(0)
    history.deliver(0, result="failed")
    history.deliver(0, result="refused")
    history.deliver(0, started=30)
    history.handle(0)
    assert history.verdict("at_most_once").verdict == "held"
    assert history.verdict("exactly_once").verdict == "held"


def test_two_groups_each_handle_a_message_once() -> None:
    history = History()
    history.group("billing")
    history.group("shipping")
    history.send(0)
    history.handle(0, group="billing")
    history.handle(0, group="shipping")
    assert history.verdict("at_most_once").obligations == 2
    assert history.verdict("exactly_once").verdict == "held"


def test_nothing_handled_is_inconclusive_for_at_most_once() -> None:
    history = History()
    history.send(0)
    assert history.verdict("at_most_once").verdict == "inconclusive"


def test_a_lost_message_violates_exactly_once_and_not_at_most_once() -> None:
    history = History()
    history.sends(2)
    history.handle(0)
    assert history.verdict("exactly_once").verdict == "violated"
    assert "never handled message 1" in history.verdict("exactly_once").reason
    assert history.verdict("at_most_once").verdict == "held"


def test_in_a_stuck_group_a_duplicate_already_seen_is_a_violation_and_a_missing_message_is_not() -> None:
    stuck = History()
    stuck.group(drained=False, gave_up="consumer-1 waits for a dead broker")
    stuck.sends(2)
    stuck.handle(0)
    verdict = stuck.verdict("exactly_once")
    assert verdict.verdict == "inconclusive"
    assert "consumer-1 waits for a dead broker" in verdict.reason
    stuck.handle(0, "consumer-2")
    verdict = stuck.verdict("exactly_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert stuck.verdict("at_least_once").verdict == "inconclusive"


def test_a_parked_message_may_be_handled_once_and_not_twice() -> None:
    history = History()
    history.group(delivery="competing")
    history.sends(2)
    history.handle(0)
    history.settle_one(0, "park")
    history.settle_one(1, "park")
    history.read_parked([0, 1])
    assert history.verdict("exactly_once").verdict == "held"
    history.handle(0)
    assert history.verdict("exactly_once").verdict == "violated"


def test_a_message_of_unknown_outcome_may_be_handled_once_or_never() -> None:
    history = History()
    history.send(0)
    history.send(1, outcome="unknown", lands=True)
    history.send(2, outcome="unknown")
    history.handle(0)
    history.handle(1)
    assert history.verdict("exactly_once").verdict == "held"
    history.handle(1)
    verdict = history.verdict("exactly_once")
    assert verdict.verdict == "violated"
    assert "whose send timed out" in verdict.reason


def test_a_failed_message_that_is_handled_violates_exactly_once() -> None:
    history = History()
    history.send(0)
    history.send(1, outcome="failed", lands=True)
    history.handle(0)
    history.handle(1)
    verdict = history.verdict("exactly_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert "though its send had failed for certain" in verdict.reason


def test_a_zombie_whose_write_the_sink_refuses_holds_and_one_with_a_plain_sink_does_not() -> None:
    for result, expected in (("refused", "held"), ("handled", "violated")):
        history = History()
        history.send(0)
        history.assign("consumer-1")
        history.assign("consumer-2", start=0, start_from="sink")
        history.handle(0, "consumer-2")
        history.deliver(0, "consumer-1", result=result)
        assert history.verdict("exactly_once").verdict == expected


def test_settling_before_and_after_a_handling_that_takes_no_time_are_told_apart() -> None:
    after, before = History(), History()
    for history in (after, before):
        history.send(0)
        history.assign()
    after.handle(0)  # then it dies, before the commit
    after.assign("consumer-2", start=0, start_from="reset_beginning")
    after.handle(0, "consumer-2")
    before.deliver(0)
    before.commit(below=1)  # then it dies, before it handles
    before.assign("consumer-2", start=1, start_from="committed")
    assert (after.verdict("at_least_once").verdict, after.verdict("at_most_once").verdict) == ("held", "violated")
    assert before.verdict("at_least_once").verdict == "violated"

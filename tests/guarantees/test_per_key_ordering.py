"""MQ111: the messages of a key are handled in the order they were surely sent (SEMANTICS §5.7, §5.10, §5.17)."""

from tests.guarantees.histories import History

NAME = "per_key_ordering"


def test_it_holds_when_messages_are_handled_in_order() -> None:
    history = History()
    history.sends(4, keys=("a", "b"))
    history.handles([0, 1, 2, 3])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_the_later_message_handled_first_is_violated() -> None:
    history = History()
    history.sends(3)
    history.handles([0, 2, 1])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert verdict.reason == (
        "message 2 (key a, sequence 2) was handled by consumer-1 at 0.012 s, before message 1 (key a, sequence 1), "
        "which was sent before it and was first handled by consumer-1 at 0.015 s"
    )


def test_a_violation_is_found_past_a_neighbour_that_was_never_handled() -> None:
    history = History()
    history.sends(3)
    history.handles([2, 0])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)


def test_without_a_pair_it_is_inconclusive() -> None:
    history = History()
    history.sends(2, keys=("a", "b"))
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "inconclusive"


def test_what_was_never_handled_or_only_failed_is_not_out_of_order() -> None:
    history = History()
    history.sends(3)
    history.deliver(0, result="failed")
    history.handles([1, 2])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_a_time_out_that_lands_late_is_no_violation() -> None:
    """§5.7: sequence 3 times out, 4 is acked, 3 lands after 4."""
    history = History()
    history.sends(3)
    history.send(3, outcome="unknown", lands=False)
    history.send(4)
    history.handles([0, 1, 2, 4, 3])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 4)


def test_a_message_that_the_application_sends_again_is_sent_when_the_acked_try_was() -> None:
    """§5.7: 0 times out, 1 acked, the application sends 0 again, acked; log 1 0."""
    history = History()
    history.send(0, outcome="unknown", lands=False)
    history.send(1)
    history.send(0)
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "inconclusive"
    history.send(2)
    history.handle(2)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_a_message_acked_by_a_later_try_is_before_what_was_sent_after_that_try() -> None:
    history = History()
    history.send(0, outcome="unknown", lands=False)
    history.send(1)
    history.send(0)
    history.send(2)
    history.handles([1, 2, 0])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert "message 2 (key a, sequence 2) was handled" in verdict.reason
    assert "before message 0 (key a, sequence 0)" in verdict.reason


def test_pipelined_sends_of_one_producer_have_an_order_before_they_are_acked() -> None:
    history = History()
    history.send(0, at=1, acked=10)
    history.send(1, at=2, acked=9)
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "violated"


def test_sends_of_two_producers_are_ordered_by_acknowledgement_only() -> None:
    history = History()
    history.send(0, at=1, acked=10)
    history.send(1, at=2, acked=9, producer="producer-2")
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "inconclusive"
    history.send(2, at=100, producer="producer-2")
    history.handles([2])
    assert history.verdict(NAME).verdict == "held"


def test_a_message_acked_before_another_producers_first_try_comes_first() -> None:
    history = History()
    history.send(0, at=1, acked=5)
    history.send(1, at=6, acked=9, producer="producer-2")
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "violated"


def test_the_first_handling_counts_whatever_comes_again() -> None:
    """§5.17: a log 0 1 2 3 4 4 3 2 1 0."""
    history = History()
    history.sends(5)
    history.handles([0, 1, 2, 3, 4, 4, 3, 2, 1, 0])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 4)


def test_handlers_that_overlap_are_judged_by_their_ends() -> None:
    history = History()
    history.sends(2)
    history.handle(0, at=10, started=11, ended=30)
    history.handle(1, "consumer-2", at=20, started=21, ended=40)
    assert history.verdict(NAME).verdict == "held"
    overtaken = History()
    overtaken.sends(2)
    overtaken.handle(0, at=10, started=11, ended=30)
    overtaken.handle(1, "consumer-2", at=20, started=21, ended=25)
    assert overtaken.verdict(NAME).verdict == "violated"


def test_handlings_of_two_consumers_at_one_time_are_unordered() -> None:
    history = History(world="real")
    history.sends(2)
    history.handle(0, at=10, started=11, ended=30)
    history.handle(1, "consumer-2", at=20, started=21, ended=30)
    assert history.verdict(NAME).verdict == "held"


def test_each_group_is_judged_by_itself() -> None:
    history = History()
    history.group("billing")
    history.group("shipping")
    history.sends(2)
    history.handles([0, 1], "billing/consumer-1", group="billing")
    history.handle(1, "shipping/consumer-1", group="shipping")
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_crash_between_settling_and_handling_is_told_apart_by_strictly_rising_times() -> None:
    """§5.10: `takes: 0s`; after the crash 1 is handled again from the settled position on."""
    history = History()
    history.sends(3)
    history.handle(0)
    history.deliver(1, started=history.now + 1)
    history.handles([2], incarnation=2)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)
    history.handle(1, incarnation=3)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert "handled by consumer-1 (incarnation 2) at" in verdict.reason
    assert "first handled by consumer-1 (incarnation 3) at" in verdict.reason

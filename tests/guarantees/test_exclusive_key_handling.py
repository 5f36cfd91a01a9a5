"""MQ115: a key is in the hands of one consumer at a time (SEMANTICS §5.9)."""

from tests.guarantees.histories import History

NAME = "exclusive_key_handling"


def test_it_holds_when_one_consumer_takes_over_from_the_other() -> None:
    history = History()
    history.sends(2)
    history.handle(0)
    history.handle(1, "consumer-2")
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_one_consumer_a_key_is_inconclusive() -> None:
    history = History()
    history.sends(4, keys=("a", "b"))
    history.handles([0, 2])
    history.handles([1, 3], "consumer-2")
    assert history.verdict(NAME).verdict == "inconclusive"


def test_two_groups_may_have_a_key_in_hand() -> None:
    """§5.9: two groups, one key in both groups' hands."""
    history = History()
    history.sends(2)
    history.handle(0, "billing/consumer-1", group="billing", at=10, started=11, ended=50)
    history.handle(0, "shipping/consumer-1", group="shipping", at=10, started=12, ended=50)
    assert history.verdict(NAME).verdict == "inconclusive"


def test_a_killed_consumer_has_nothing_in_hand() -> None:
    """§5.9: A killed in the handler of k, B gets k after the time-out."""
    history = History()
    history.worker("consumer-1", ended=20, ending="crashed")
    history.worker("consumer-2")
    history.send(0)
    history.deliver(0, at=10, started=11)
    history.handle(0, "consumer-2", at=50)
    assert history.verdict(NAME).verdict == "held"


def test_a_paused_consumer_still_has_it_in_hand() -> None:
    """§5.9: A paused, B gets k, A resumes."""
    history = History()
    history.worker("consumer-1")
    history.worker("consumer-2")
    history.send(0)
    history.handle(0, at=10, started=11, ended=100)
    history.handle(0, "consumer-2", at=50, started=51, ended=53)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == (
        "consumer-2 began to handle message 0 (key a, sequence 0) at 0.051 s while consumer-1 had the same message "
        "in hand, from 0.011 s to 0.100 s"
    )


def test_a_handler_that_never_ends_holds_until_the_run_ends() -> None:
    history = History()
    history.sends(2)
    history.deliver(0, at=10, started=11)
    history.handle(1, "consumer-2", at=50)
    assert history.verdict(NAME).verdict == "violated"


def test_two_messages_of_one_key() -> None:
    history = History()
    history.sends(2)
    history.handle(0, at=10, started=11, ended=100)
    history.handle(1, "consumer-2", at=50, started=51, ended=53)
    assert "while consumer-1 had message 0 (key a, sequence 0) in hand" in history.verdict(NAME).reason


def test_failed_attempts_are_in_hand_too() -> None:
    history = History()
    history.sends(2)
    history.deliver(0, at=10, started=11, ended=100, result="failed")
    history.handle(1, "consumer-2", at=50, started=51, ended=53)
    assert history.verdict(NAME).verdict == "violated"


def test_what_was_delivered_but_not_started_is_not_in_hand() -> None:
    history = History()
    history.sends(2)
    history.deliver(0, at=10)
    history.handle(1, at=12)
    history.handle(1, "consumer-2", at=50)
    assert history.verdict(NAME).verdict == "held"


def test_equal_times_of_two_real_workers_do_not_overlap() -> None:
    history = History(world="real")
    history.sends(2)
    history.handle(0, at=10, started=11, ended=50)
    history.handle(1, "consumer-2", at=40, started=50, ended=53)
    assert history.verdict(NAME).verdict == "held"


def test_a_key_is_counted_once() -> None:
    history = History()
    history.sends(6)
    for number in (0, 2, 4):
        history.handle(number, at=100 * number + 10, started=100 * number + 11, ended=100 * number + 50)
        history.handle(
            number + 1, "consumer-2", at=100 * number + 12, started=100 * number + 13, ended=100 * number + 40
        )
    verdict = history.verdict(NAME)
    assert (verdict.violations, verdict.obligations) == (1, 1)
    assert "at 0.013 s" in verdict.reason


def test_a_consumer_that_overlaps_itself_hides_nobody() -> None:
    history = History()
    history.sends(3)
    history.handle(0, "consumer-2", at=10, started=11, ended=60)
    history.handle(1, at=20, started=70, ended=200)
    assert history.verdict(NAME).verdict == "held"
    hidden = History()
    hidden.sends(3)
    hidden.handle(0, at=10, started=11, ended=200)
    hidden.handle(1, "consumer-2", at=12, started=13, ended=14)
    assert hidden.verdict(NAME).reason.startswith("consumer-2 began to handle message 1 (key a, sequence 1) at 0.013 s")

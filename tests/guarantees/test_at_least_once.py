"""MQ101: what a group is owed is handled or parked."""

from tests.guarantees.histories import History


def test_it_holds_when_every_message_is_handled() -> None:
    history = History()
    history.sends(3)
    history.assign()
    history.handles([0, 1, 2])
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_a_message_lost_by_committing_first_is_violated() -> None:
    history = History()
    history.sends(3)
    history.assign()
    history.handle(0)
    history.commit(below=2)
    history.assign("consumer-2", start=2, start_from="committed")
    history.handle(2, "consumer-2")
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)

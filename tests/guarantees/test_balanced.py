"""MQ138: no consumer handles much more than its share (meaning.md §4)."""

import pytest

from tests.guarantees.histories import History
from tests.guarantees.test_scaling import backlog, shards, team, work

NAME = "balanced"


def judged(history: History, at_most: float = 1.5) -> History:
    history.parameter(NAME, "at_most", at_most)
    return history


def test_equal_shares_are_balanced() -> None:
    history = judged(History(partitions=3))
    backlog(history, {0: ["consumer-1"], 1: ["consumer-2"], 2: ["consumer-3"]})
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 3)
    assert [(one.name, one.shown) for one in verdict.figures] == [("most of a fair share", "1 times")]


def lopsided() -> History:
    """Of three consumers alive one does three fourths of the work, and one nothing."""
    history = History(partitions=4)
    backlog(history, {number: ["consumer-2" if number == 3 else "consumer-1"] for number in range(4)}, consumers=3)
    return history


def test_more_than_so_many_times_its_share_is_violated() -> None:
    verdict = judged(lopsided(), 2.2).verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 3)
    assert verdict.reason == (
        "consumer-1 handled 300 of the 400 messages that the group handled while it lived; its fair share, with 3 "
        "consumers alive, was 133.3: 2.25 times as many, more than the 2.2 times allowed"
    )
    assert verdict.witness is not None
    assert {event.actor for event in verdict.witness.events if event.event == "handled it"} == {"consumer-1"}


def test_exactly_so_many_times_is_allowed() -> None:
    assert judged(lopsided(), 2.25).verdict(NAME).verdict == "held"


def test_nobody_busy_is_inconclusive() -> None:
    history = judged(History(partitions=2))
    for number in range(2):
        history.worker(f"consumer-{number + 1}")
        history.assign(f"consumer-{number + 1}", source=number)
    for message in range(300):
        history.send(message, partition=message % 2, at=100 * message + 100)
        history.handle(message, "consumer-1")
    assert history.verdict(NAME).verdict == "inconclusive"


@pytest.mark.parametrize(("at_most", "expected"), [(1.5, "held"), (1.4, "violated")])
def test_each_is_measured_by_what_was_done_while_it_lived(at_most: float, expected: str) -> None:
    """consumer-3 joins later, and then handles 190 of 390: 1.46 times a third of these, though 0.39 of everything."""
    history = judged(History(partitions=3), at_most)
    backlog(history, {0: ["consumer-1"], 1: ["consumer-2"]}, 100)
    history.now += 10
    history.worker("consumer-3", began=history.now)
    history.fault("add_consumers", until=history.now + 10)
    history.assign("consumer-3", source=2, start=0)
    work(history, {0: ["consumer-1"], 1: ["consumer-2"], 2: ["consumer-3"]}, 1000, 100)
    work(history, {2: ["consumer-3"]}, 2000, 90)
    assert history.verdict(NAME).verdict == expected


def test_who_left_is_measured_until_then_and_missed_by_nobody() -> None:
    """consumer-3 of a subscription that all share leaves: with two alive, two halves are fair, and windows go on."""
    history = judged(History(), 1.1)
    history.group(delivery="competing", consumers=3)
    for number in range(3):
        leaves = number == 2
        history.worker(f"consumer-{number + 1}", ended=1000 if leaves else None, ending="removed" if leaves else None)
        history.assign(f"consumer-{number + 1}")
    history.sends(150)
    for message in range(120):
        history.handle(message, f"consumer-{message % 3 + 1}")
    assert history.now < 1000
    history.fault("remove_consumers", at=950, until=1001)
    history.revoke("consumer-3", at=999)
    history.now = 1002
    for message in range(150, 400):
        history.send(message)
    for message in range(120, 400):
        history.handle(message, f"consumer-{message % 2 + 1}")
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 3)
    verdict = history.verdict("scales_with_consumers")
    assert (verdict.verdict, verdict.obligations) == ("held", 2)
    assert history.verdict("competing_consumers").verdict == "held"


def test_catch_up_consumers_who_all_handle_everything_are_not_measured() -> None:
    history = judged(History())
    team(history, apart=False)
    assert history.verdict(NAME).verdict == "inconclusive"


def test_a_team_that_shares_is_measured_together() -> None:
    history = judged(History(), 1.0)
    team(history, apart=True)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_shards_are_shares_of_one_group() -> None:
    history = judged(History(), 1.0)
    shards(history, lopsided=False)
    assert history.verdict(NAME).verdict == "held"

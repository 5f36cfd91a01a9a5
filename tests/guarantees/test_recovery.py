"""MQ134: a group moves again after the last fault, and clears its debts (meaning.md §4, §5.2)."""

import pytest

from tests.guarantees.histories import MS, History

NAME = "recovery"


def struck(within: int = 1000, drain: int | None = None, *, drained: bool = True, partitions: int = 1,
           consumers: int = 1) -> History:  # fmt: skip
    """Consumers who owe messages 0 … 9, a fault from 100 to 200 ms, and a run of 10 seconds at least."""
    history = History(partitions=partitions)
    history.group(drained=drained, gave_up=None if drained else "it stands at offset 0 of 10", consumers=consumers)
    for number in range(consumers):
        history.worker(f"consumer-{number + 1}")
    for source in range(partitions):
        history.assign(f"consumer-{source % consumers + 1}", source=source)
    for message in range(10):
        history.send(message, f"key-{message}", partition=message % partitions, at=20 + message, acked=30 + message)
    history.fault("pause", target="consumer-1", at=100, until=200)
    history.parameter(NAME, "within", within * MS)
    if drain is not None:
        history.parameter(NAME, "drain", drain * MS)
    history.now = 10_000
    return history


def handle(history: History, messages: range, at: int, consumer: str = "consumer-1") -> None:
    for message in messages:
        history.handle(message, consumer, at=at, started=at + 1, ended=at + 2)
        at += 3


def test_it_holds_when_the_group_moves_in_time_and_says_when() -> None:
    history = struck()
    handle(history, range(10), 500)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 10)
    assert [(one.name, one.shown) for one in verdict.figures] == [
        ("until a group moved", "301 ms"), ("until its debts were cleared", "329 ms"),
    ]  # fmt: skip


def test_debts_that_were_never_cleared_are_not_told_as_cleared() -> None:
    history = struck(drained=False)
    handle(history, range(4), 500)
    assert [(one.name, one.shown) for one in history.verdict(NAME).figures] == [
        ("until a group moved", "301 ms"), ("until its debts were cleared", "endless"),
    ]  # fmt: skip


def test_a_group_that_stands_still_for_longer_is_violated() -> None:
    history = struck()
    handle(history, range(10), 1250)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 10)
    assert verdict.reason == (
        "the last fault ended at 0.200 s, and for 1 s the group neither started nor ended a handler, though 10 "
        "messages of it waited; it moved at 1.251 s"
    )
    assert verdict.witness is not None
    assert "pause consumer-1 until 0.200 s" in [event.event for event in verdict.witness.events]


def test_a_stuck_consumer_is_violated_and_at_least_once_inconclusive() -> None:
    """§5.2: MQ134 by its T; MQ101 says who is stuck where."""
    history = struck(drained=False)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason.endswith("though 10 messages of it waited; it never moved again")
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, "it stands at offset 0 of 10" in verdict.reason) == ("inconclusive", True)


def test_a_group_that_moves_and_then_gives_up_has_not_recovered() -> None:
    """It handles what lies in its buffer, and is never heard of again: no evidence, and with `drain` a violation."""
    history = struck(drained=False)
    handle(history, range(4), 500)
    assert history.verdict(NAME).verdict == "inconclusive"
    history = struck(drained=False, drain=5_000)
    handle(history, range(4), 500)
    assert history.verdict(NAME).verdict == "violated"


def test_a_run_that_ended_before_says_nothing() -> None:
    history = struck(within=20_000, drained=False)
    assert history.verdict(NAME).verdict == "inconclusive"


def test_without_debts_there_is_nothing_to_recover_from() -> None:
    history = struck()
    handle(history, range(10), 50)
    verdict = history.verdict(NAME)
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("nothing put it to the test: no fault ended while a group ")


def test_what_is_acknowledged_after_the_fault_is_no_debt_of_it() -> None:
    history = struck()
    handle(history, range(10), 50)
    history.send(10, at=300, acked=301)
    history.handle(10, at=5000)
    assert history.verdict(NAME).verdict == "inconclusive"


@pytest.mark.parametrize(("result", "expected"), [("handled", "held"), ("failed", "violated"), (None, "violated")])
def test_a_handler_that_is_busy_all_the_time_moves_if_it_ends_well(result: str | None, expected: str) -> None:
    history = struck(drained=False)
    history.deliver(0, at=90, started=95, result=result, ended=3000)
    if result == "handled":  # and goes on with what waited behind it
        handle(history, range(1, 10), 3010)
    assert history.verdict(NAME).verdict == expected


def test_any_handler_that_starts_or_ends_in_time_is_a_move() -> None:
    """Also one that fails, and one of a message that was no debt."""
    for start, end in ((95, 900), (900, 950), (900, 4000)):
        history = struck()
        history.deliver(0, at=90, started=start, result="failed", ended=end)
        handle(history, range(10), 5000)
        assert history.verdict(NAME).verdict == "held"


def test_each_source_with_debts_has_to_move() -> None:
    history = struck(partitions=2, consumers=2)
    for message in range(10):
        at = (300 if message % 2 else 3000) + 10 * message
        history.handle(message, f"consumer-{message % 2 + 1}", at=at, started=at + 1, ended=at + 2)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 10)
    assert verdict.reason.startswith(
        "the last fault ended at 0.200 s, and for 1 s the group neither started nor ended a handler of orders-0, "
        "though 5 messages of it waited; it moved at 3.001 s"
    )


def test_each_shard_of_a_source_has_to_move() -> None:
    """Nothing takes over the keys of a shard whose consumer stays dead."""
    history = History()
    history.group(delivery="own", consumers=2, drained=False)
    history.worker("consumer-1")
    history.worker("consumer-2", ended=100, ending="crashed")
    for shard in range(2):
        history.shard("ab"[shard], shard)
        history.assign(f"consumer-{shard + 1}", shard=shard, at=1, done=2)
    history.sends(10, keys=("a", "b"))
    history.fault("crash", at=100, until=101)
    history.parameter(NAME, "within", 1000 * MS)
    for message in range(0, 10, 2):
        history.handle(message, at=200 + message, shard=0)
    history.now = 10_000
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert "neither started nor ended a handler of shard 1 of orders-0, though 5 messages" in verdict.reason


def test_a_group_without_a_live_consumer_is_not_asked() -> None:
    history = History()
    history.group(drained=False)
    history.worker("consumer-1", ended=100, ending="crashed")
    history.sends(3)
    history.fault("crash", at=99, until=101)
    history.now = 10_000
    history.parameter(NAME, "within", 1000 * MS)
    assert history.verdict(NAME).verdict == "inconclusive"


def test_it_waits_for_the_last_fault() -> None:
    history = struck()
    history.fault("pause", at=1500, until=2000)
    history.now = 10_000
    handle(history, range(10), 2100)
    assert history.verdict(NAME).verdict == "held"


def test_a_fault_without_end_heals_nothing() -> None:
    history = struck(drained=False)
    history.rows.add("faults", 7, "pause", "consumer-1", "pause", 1500 * MS, None, True, None)
    assert history.verdict(NAME).verdict == "inconclusive"


def test_what_a_drained_group_never_handled_is_lost_and_not_waited_for() -> None:
    """MQ101 accuses it; the group has nothing left to move for."""
    history = struck()
    handle(history, range(1, 10), 50)
    assert history.verdict(NAME).verdict == "inconclusive"
    assert history.verdict("at_least_once").verdict == "violated"


def test_debts_that_remain_after_drain_are_violated() -> None:
    history = struck(drain=2000)
    handle(history, range(8), 500)
    handle(history, range(8, 10), 2300)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 10)
    assert verdict.reason == (
        "the last fault ended at 0.200 s, and 2 s later the group still had to handle 2 messages that had been "
        "acknowledged by then; the last was handled at 2.305 s"
    )
    history = struck(drain=2110)
    handle(history, range(8), 500)
    handle(history, range(8, 10), 2300)
    assert history.verdict(NAME).verdict == "held"


def test_a_lost_message_is_a_debt_that_is_never_cleared() -> None:
    history = struck(drain=5000)
    handle(history, range(1, 10), 500)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason.endswith(
        "still had to handle 1 message that had been acknowledged by then; it never was handled"
    )


def test_a_parked_message_is_no_debt() -> None:
    history = struck(drain=5000)
    handle(history, range(1, 10), 500)
    history.settle_one(0, "park")
    history.read_parked([0])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 9)


def test_a_drain_that_the_run_did_not_live_to_see_is_no_evidence() -> None:
    history = struck(drain=60_000, drained=False)
    handle(history, range(5), 500)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 5)

"""MQ151: how long from the first send to the first handling (meaning.md §4)."""

from typing import Any

import pytest

from tests.guarantees.histories import MS, History, verdict_of

NAME = "latency"


def took(*latencies: int | None, history: History | None = None, **others: Any) -> History:
    """One message after the other, 100 ms apart, each handled so many milliseconds after its send; None: never."""
    history = history or History()
    end = history.now
    for number, latency in enumerate(latencies):
        at = history.now + 100 if number else history.now + 1
        history.send(number, f"key-{number}", at=at, acked=at)
        if latency is not None:
            history.handle(number, at=at, started=at, ended=at + latency, **others)
            end = max(end, at + latency)
        history.now = at
    history.now = max(history.now, end)
    return history


def bounded(history: History, **bounds: int) -> History:
    for name, value in bounds.items():
        history.parameter(NAME, name, value * MS)
    return history


def test_it_holds_within_the_bound_and_says_what_was_measured() -> None:
    verdict = bounded(took(*[5] * 99, 50), p99=5, max=50).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 100)
    assert [(one.name, one.value, one.shown) for one in verdict.figures] == [
        ("p99", 5 * MS, "5 ms"), ("slowest", 50 * MS, "50 ms"),
    ]  # fmt: skip


def test_more_than_the_bound_is_violated() -> None:
    verdict = bounded(took(*[5] * 98, 40, 50), p50=5, p99=39).verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 100)
    assert verdict.reason == (
        "p99 of the group was 40 ms, more than the 39 ms allowed: 2 of 100 messages took longer; the slowest, message "
        "99 (key key-99, sequence 0), sent at 9.901 s, was first handled at 9.951 s, after 50 ms"
    )
    assert verdict.witness is not None
    assert [event.event for event in verdict.witness.events if event.message == 99][-1] == "handled it"


@pytest.mark.parametrize(("name", "count", "rank"), [
    ("p50", 1, 1), ("p50", 2, 1), ("p50", 3, 2), ("p95", 20, 19), ("p95", 21, 20), ("p99", 100, 99), ("p99", 101, 100),
    ("p99", 7, 7), ("p999", 1000, 999), ("p999", 999, 999), ("max", 5, 5),
])  # fmt: skip
def test_percentiles_are_the_nearest_rank(name: str, count: int, rank: int) -> None:
    """The smallest value such that so many in a hundred are not above it."""
    verdict = bounded(took(*range(count, 0, -1)), **{name: 10**9}).verdict(NAME)
    assert [one.value for one in verdict.figures] == [rank * MS]


def test_it_is_the_first_send_and_the_first_handling() -> None:
    history = History()
    history.send(0, outcome="unknown", lands=True, at=1)
    history.send(0, at=500, acked=510)
    history.handle(0, at=600, ended=601)
    history.handle(0, at=5000)
    assert [one.shown for one in bounded(history, p99=1000).verdict(NAME).figures] == ["600 ms"]


def test_who_is_owed_and_never_handled_waits_for_ever() -> None:
    verdict = bounded(took(5, None, 5), p50=5, max=1000).verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason == (
        "max of the group was endless, more than the 1 s allowed: 1 of 3 messages took longer; the slowest, message 1 "
        "(key key-1, sequence 0), sent at 0.101 s, was never handled"
    )
    assert [one.shown for one in verdict.figures] == ["5 ms", "endless"]


def test_parked_and_unacknowledged_ones_are_left_out() -> None:
    history = took(5, None, 5)
    history.send(3, outcome="unknown", lands=True)
    history.settle_one(1, "park")
    history.read_parked([1])
    verdict = bounded(history, max=5).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_who_may_be_parked_where_nobody_looked_is_no_violation_and_no_evidence() -> None:
    history = took(5, None, 5)
    history.settle_one(1, "park")
    verdict = bounded(history, max=5).verdict(NAME)
    assert (verdict.verdict, verdict.reason) == ("inconclusive", "what the group parked was not read to its end")


def test_each_group_is_measured_by_itself() -> None:
    history = History()
    history.group("billing")
    history.group("shipping")
    for message in range(10):
        history.send(message, at=10 * message, acked=10 * message)
        history.handle(message, group="billing", at=10 * message, ended=10 * message + 1)
    history.now = 1000
    history.handles(range(10), "consumer-2", group="shipping")
    verdict = bounded(history, p50=100).verdict(NAME)
    assert verdict.violations == 1
    assert verdict.reason.startswith("p50 of group shipping was ")


def test_the_worst_of_all_runs_is_told() -> None:
    histories = [bounded(took(latency), max=100) for latency in (7, 60, 9)]
    for number, history in enumerate(histories):
        history.run = number
    verdict = verdict_of(histories, NAME)
    assert (verdict.verdict, [one.shown for one in verdict.figures]) == ("held", ["60 ms"])


def outside(history: History, bound: int) -> History:
    history.parameter(NAME, "outside_faults", "true")
    return bounded(history, max=bound)


def disturbed() -> History:
    """A consumer stands still from 100 to 200 ms; what was sent by then is handled by 300, what comes later at once."""
    history = History()
    history.worker("consumer-1")
    history.assign(at=1, done=2)
    history.send(0, at=10, acked=11)
    history.handle(0, at=12, started=12, ended=20)
    history.fault("pause", at=100, until=200)
    for message, sent in enumerate((90, 120, 190, 250), 1):
        history.send(message, at=sent, acked=sent + 1)
    for message, handled in ((1, 210), (2, 250), (3, 300), (4, 310)):
        history.handle(message, at=205, started=205, ended=handled)
    history.send(5, at=400, acked=401)
    history.handle(5, at=402, started=402, ended=405)
    return history


def test_outside_of_faults_leaves_out_what_was_under_way_until_debts_were_cleared() -> None:
    verdict = outside(disturbed(), 10).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)
    assert bounded(disturbed(), max=10).verdict(NAME).verdict == "violated"


def test_what_is_sent_after_debts_were_cleared_counts_again() -> None:
    history = disturbed()
    history.send(6, at=500, acked=501)
    history.handle(6, at=600, started=600, ended=601)
    assert outside(history, 10).verdict(NAME).verdict == "violated"


def test_a_dead_consumers_source_belongs_to_the_fault_until_another_has_it() -> None:
    """Nobody owed anything when it died: who sent to its source while nobody had it was in the fault all the same."""
    history = History()
    history.worker("consumer-1", ended=101, ending="crashed")
    history.worker("consumer-2")
    history.assign(at=1, done=2)
    history.send(0, at=10, acked=11)
    history.handle(0, at=12, started=12, ended=20)
    history.fault("crash", at=100, until=102)
    history.send(1, at=150, acked=151)
    history.assign("consumer-2", at=1000, done=1001)
    history.handle(1, "consumer-2", at=1002, ended=1003)
    history.send(2, at=2000, acked=2001)
    history.handle(2, "consumer-2", at=2002, started=2002, ended=2005)
    verdict = outside(history, 15).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_a_lost_message_does_not_keep_a_fault_alive() -> None:
    """Nobody waits for it; what comes later is measured."""
    history = disturbed()
    history.send(6, at=150, acked=151)
    verdict = outside(history, 10).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_all_in_a_fault_is_inconclusive() -> None:
    history = History()
    history.fault("pause", at=1, until=5000)
    history.now = 1
    assert outside(took(5, 5, history=history), 1).verdict(NAME).verdict == "inconclusive"

"""MQ135: what waits behind a message that fails."""

import pytest

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import MS, History


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


@pytest.mark.parametrize(("within", "expected"), [(49, "inconclusive"), (48, "violated")])
def test_a_failure_that_the_end_cuts_off_too_early_puts_nothing_to_the_test(within: int, expected: str) -> None:
    """From 31 ms to the run's end at 81 ms; message 1 waits from 4 ms, or from 32 ms on."""
    history = blocked(within=within + 1, ending="never")
    verdict = history.verdict("no_head_of_line_blocking")
    assert (verdict.verdict, verdict.obligations) == ("inconclusive" if within == 49 else "violated", within < 49)
    history = blocked(within=within, ending="never")
    history.rows.tables["sends"][1][-3:-1] = [31 * MS, 32 * MS]
    assert history.verdict("no_head_of_line_blocking").verdict == expected


def two_shards(*, waiting_in: str) -> EventStoreHistory:
    """Message 0 (shard 0) is tried for 50 ms; one waits, in its shard or the other; the other shard works on."""
    history = EventStoreHistory()
    history.group(delivery="own", consumers=2)
    history.parameter("no_head_of_line_blocking", "within", 20 * MS)
    for key, shard in (("a", 0), ("b", 0), ("c", 1), ("d", 1)):
        history.shard(key, shard)
    history.append(0, "a")
    history.append(1, waiting_in)
    for message in range(2, 8):
        history.append(message, "cd"[message % 2])
    history.fails(0, shard=0, at=30, delivery=0)
    for message in range(2, 8):
        history.handled(message, "consumer-2", shard=1, at=30 + 8 * (message - 1), delivery=message)
    history.handled(0, shard=0, at=81, attempt=2, delivery=0)
    history.handled(1, f"consumer-{1 if waiting_in == 'b' else 2}", shard=int(waiting_in == "c"), delivery=1)
    history.look()
    return history


@pytest.mark.parametrize(("waiting_in", "expected"), [("b", "violated"), ("c", "inconclusive")])
def test_a_shard_that_works_on_is_no_help_to_one_that_is_held_up(waiting_in: str, expected: str) -> None:
    verdict = two_shards(waiting_in=waiting_in).verdict("no_head_of_line_blocking")
    assert verdict.verdict == expected
    if expected == "violated":
        assert (verdict.violations, verdict.obligations) == (1, 1)
        assert "the group started nothing of its shard that had not failed from" in verdict.reason
        assert verdict.reason.endswith("though 1 message of another key waited")

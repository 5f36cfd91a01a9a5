"""Rules of docs/facts/eventstore.md §A6 (`TryMarkCheckpoint`), and H-1."""

from typing import Any

from mqverify.simulation.eventstore.persistent.subscription import Quirks
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.persistent.subject import NO_QUIRKS, Subject


def with_pushed(count: int, quirks: Quirks = NO_QUIRKS, **settings: Any) -> Subject:
    settings.setdefault("checkpoint_after", 2 * SECOND)
    subject = Subject(quirks, **settings)
    subject.join("A", 1000)
    subject.live(*range(count))
    subject.pushes()
    return subject


def test_a6_an_ack_writes_only_what_reaches_max_checkpoint_count() -> None:
    subject = with_pushed(6, min_checkpoint_count=1, max_checkpoint_count=3)
    subject.ack(0, 1)
    assert subject.checkpoints == []
    subject.ack(2)
    assert subject.checkpoints == [2]
    subject.ack(3, 4)
    assert subject.checkpoints == [2]
    subject.ack(5)
    assert subject.checkpoints == [2, 5]


def test_a6_a_nack_may_write_as_well() -> None:
    subject = with_pushed(1, max_checkpoint_count=1)
    subject.nack("skip", 0)
    assert subject.checkpoints == [0]


def test_a6_a_tick_writes_what_reaches_min_checkpoint_count() -> None:
    subject = with_pushed(10, min_checkpoint_count=10)
    subject.ack(*range(9))
    subject.tick()
    assert subject.checkpoints == []
    subject.ack(9)
    assert subject.checkpoints == []
    subject.tick()
    assert subject.checkpoints == [9]


def test_a6_fewer_than_min_checkpoint_count_are_never_checkpointed() -> None:
    subject = with_pushed(9, min_checkpoint_count=10)
    subject.ack(*range(9))
    for _ in range(100):
        subject.tick()
    assert subject.checkpoints == []
    assert subject.subscription.due(subject.now) is None


def test_a6_a_tick_writes_no_sooner_than_checkpoint_after_the_last_one() -> None:
    subject = with_pushed(3, min_checkpoint_count=1, checkpoint_after=2 * SECOND)
    subject.ack(0)
    subject.tick()
    assert subject.checkpoints == [0], "the first one needs no waiting"
    subject.ack(1)
    assert subject.subscription.due(subject.now) == subject.now + 2 * SECOND
    subject.tick()
    assert subject.checkpoints == [0]
    subject.tick()
    assert subject.checkpoints == [0, 1]


def test_a6_max_checkpoint_count_does_not_wait_for_checkpoint_after() -> None:
    subject = with_pushed(4, min_checkpoint_count=1, max_checkpoint_count=2, checkpoint_after=100 * SECOND)
    subject.ack(0, 1)
    subject.ack(2, 3)
    assert subject.checkpoints == [1, 3]


def test_a1_checkpoint_after_0_is_never_by_time() -> None:
    subject = with_pushed(3, min_checkpoint_count=1, max_checkpoint_count=3, checkpoint_after=0)
    subject.ack(0, 1)
    subject.tick(10)
    assert subject.checkpoints == []
    assert subject.subscription.due(subject.now) == subject.now + 20 * SECOND, "which is when 2 expires"
    subject.ack(2)
    assert subject.checkpoints == [2]


def test_a6_a_checkpoint_never_passes_what_is_outstanding() -> None:
    subject = with_pushed(5, max_checkpoint_count=1)
    subject.ack(0, 1, 3, 4)
    assert subject.checkpoints == [1]
    subject.ack(2)
    assert subject.checkpoints == [1, 4]


def test_a6_nor_what_waits_to_be_retried() -> None:
    subject = with_pushed(3, max_checkpoint_count=1)
    subject.nack("retry", 1)
    subject.ack(0, 2)
    assert subject.checkpoints == [0]
    subject.pushes()
    subject.ack(1)
    assert subject.checkpoints == [0, 2]


def test_a6_while_the_very_first_is_outstanding_there_is_nothing_to_write() -> None:
    subject = with_pushed(5, max_checkpoint_count=1)
    subject.ack(1, 2, 3, 4)
    subject.tick()
    assert subject.checkpoints == []


def test_a6_after_a_loaded_checkpoint_nothing_is_written_before_something_behind_it_is_done() -> None:
    subject = Subject(checkpoint=41, min_checkpoint_count=1, max_checkpoint_count=1)
    subject.join("A")
    subject.found(41, 42, 43, end=False)
    subject.pushes()
    subject.ack(43)
    subject.tick()
    assert subject.checkpoints == []
    subject.ack(42)
    assert subject.checkpoints == [43]


def test_a6_what_is_parked_is_passed_before_the_park_is_written() -> None:
    subject = with_pushed(1, max_checkpoint_count=1, min_checkpoint_count=1, max_retry_count=0, message_timeout=SECOND)
    subject.tick()
    assert subject.parks
    assert subject.parking
    assert subject.checkpoints == [0]


def test_a6_what_waits_un_numbered_is_not_passed() -> None:
    subject = Subject(max_checkpoint_count=1)
    subject.join("A", slots=1)
    subject.live(0, 1)
    subject.pushes()
    subject.ack(0)
    assert subject.checkpoints == [0]


def test_a6_what_was_passed_and_is_retried_holds_checkpoints_again() -> None:
    """It times out for the last time, so a checkpoint passes it; before it is parked, its consumer leaves."""
    subject = Subject(max_checkpoint_count=1, min_checkpoint_count=1, max_retry_count=0, message_timeout=SECOND)
    a = subject.join("A", slots=1)
    subject.join("B", slots=2)
    subject.live(0)
    subject.pushes()
    subject.tick()
    assert subject.checkpoints == [0]
    subject.live(1, 2)
    assert subject.pushes() == [("B", 1, 0), ("B", 2, 0)]
    subject.subscription.leave(a)
    assert subject.retry == [0]
    subject.ack(1)
    assert subject.checkpoints == [0]
    subject.ack(2)
    assert subject.checkpoints == [0]
    assert subject.pushes() == [("B", 0, 1)]
    subject.ack(0)
    assert subject.checkpoints == [0, 2]


def pinned_with_a_blocked_consumer(quirks: Quirks) -> Subject:
    subject = Subject(quirks, strategy="Pinned", max_checkpoint_count=3)
    subject.join("A", slots=1)
    subject.join("B", slots=5)
    subject.live(0, 1, stream="x")  # A's: it is pushed 0, and 1 is skipped
    subject.live(2, 3, 4, stream="y")  # B's
    subject.pushes()
    subject.ack(2, 3, 4)
    return subject


def test_a6_what_pinned_skipped_is_not_passed() -> None:
    subject = pinned_with_a_blocked_consumer(NO_QUIRKS)
    subject.ack(0)
    assert subject.checkpoints == []
    assert subject.pushes() == [("A", 1, 0)]
    subject.ack(1)
    assert subject.checkpoints == [4]


def test_h1_versions_with_the_bug_write_checkpoints_past_what_pinned_skipped() -> None:
    subject = pinned_with_a_blocked_consumer(Quirks(pinned_skip_bug=True))
    assert subject.waiting == [1], "un-numbered, in its place"
    subject.ack(0)
    assert subject.checkpoints == [4], "1 is lost if the server restarts now"
    assert subject.pushes() == [("A", 1, 0)]


def test_h1_what_is_passed_over_in_the_buffer_keeps_its_order() -> None:
    subject = Subject(Quirks(pinned_skip_bug=True), strategy="Pinned")
    subject.join("A", slots=1)
    subject.join("B", slots=5)
    subject.live(0, 1, 2, stream="x")
    subject.live(3, stream="y")
    assert subject.owners() == "AB"
    assert subject.waiting == [1, 2]


def test_a6_the_time_of_the_next_checkpoint_is_known_ahead_so_that_idle_groups_need_no_ticks() -> None:
    subject = with_pushed(20, min_checkpoint_count=10, message_timeout=30 * SECOND)
    pushed_at = subject.now
    assert subject.subscription.due(subject.now) == pushed_at + 30 * SECOND
    subject.ack(*range(10))
    assert subject.subscription.due(subject.now) == pushed_at
    subject.tick()
    assert subject.subscription.due(subject.now) == pushed_at + 30 * SECOND
    subject.ack(*range(10, 20))
    assert subject.subscription.due(subject.now) == subject.now + 2 * SECOND
    subject.tick(2)
    assert subject.checkpoints == [9, 19]
    assert subject.subscription.due(subject.now) is None

"""Rules of docs/facts/eventstore.md §A2: what is pushed, in which order, and what a slot is."""

from uuid import UUID

from tests.simulation.eventstore.persistent.subject import Subject


def test_a2_events_are_pushed_in_order_with_retry_count_0() -> None:
    subject = Subject()
    subject.join("A")
    subject.live(0, 1, 2)
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0), ("A", 2, 0)]


def test_a2_what_one_step_pushes_to_a_consumer_goes_out_together() -> None:
    subject = Subject()
    subject.join("A")
    subject.join("B")
    subject.live(0, 1, 2)
    subject.pushes()
    assert subject.batches == [("A", [0, 2]), ("B", [1])]


def test_a2_one_push_is_scheduled_however_much_happens_before_it() -> None:
    subject = Subject()
    subject.join("A")
    subject.live(0, 1, 2)
    assert subject.pushes_wanted == 1


def test_a2_an_ack_that_came_first_is_applied_before_the_deferred_push() -> None:
    subject = Subject()
    subject.join("A", slots=1)
    subject.live(0)
    subject.pushes()
    subject.live(1)
    subject.ack(0)
    assert subject.pushes() == [("A", 1, 0)]


def test_a2_no_more_capacity_blocks_everything_behind_it() -> None:
    subject = Subject()
    subject.join("A", slots=2)
    subject.live(0, 1, 2, 3)
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0)]
    assert subject.waiting == [2, 3]


def test_a2_retries_go_before_what_waits() -> None:
    subject = Subject()
    subject.join("A", slots=2)
    subject.live(0, 1, 2)
    subject.pushes()
    subject.nack("retry", 1)
    assert subject.pushes() == [("A", 1, 1)]
    subject.ack(0)
    assert subject.pushes() == [("A", 2, 0)]


def test_a2_sequence_numbers_are_given_when_events_leave_the_buffer_and_carry_the_position_before() -> None:
    subject = Subject()
    subject.join("A", slots=2)
    subject.live(3, 7, 9)
    subject.pushes()
    numbered = subject.subscription.outstanding.messages()
    assert [(message.sequence, message.previous) for message in numbered] == [(0, None), (1, 3)]
    assert subject.subscription.buffer.waiting[0].sequence == -1


def test_a2_after_a_loaded_checkpoint_numbers_begin_at_1_and_follow_its_position() -> None:
    subject = Subject(checkpoint=41)
    subject.join("A")
    subject.found(41, 42, end=False)
    subject.pushes()
    assert [(m.sequence, m.previous) for m in subject.subscription.outstanding.messages()] == [(1, 41)]


def test_a2_a_skipped_message_goes_to_the_end_of_retry_numbered_and_with_retry_count_unchanged() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A", slots=1)
    subject.join("B", slots=1)
    subject.live(0, 1, stream="x")  # x is A's, which is full after 0
    subject.live(2, stream="y")  # y is B's
    assert subject.pushes() == [("A", 0, 0), ("B", 2, 0)]
    assert subject.retry == [1]
    skipped = subject.subscription.buffer.retry[0]
    assert (skipped.sequence, skipped.previous, skipped.retry_count) == (1, 0, 0)
    subject.ack(0)
    assert subject.pushes() == [("A", 1, 0)]


def test_a2_a_message_that_is_skipped_again_stays_where_it_is_in_retry() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A", slots=1)
    subject.join("B", slots=2)
    subject.live(0, 1, 2, stream="x")
    subject.live(3, stream="y")
    subject.pushes()
    assert subject.retry == [1, 2]
    subject.live(4, stream="y")
    assert subject.pushes() == [("B", 4, 0)]
    assert subject.retry == [1, 2]
    assert [message.sequence for message in subject.subscription.buffer.retry] == [1, 2]


def test_a2_h12_a_duplicate_id_is_pushed_but_not_tracked_and_its_slot_never_comes_back() -> None:
    subject = Subject()
    subject.join("A", slots=2)
    same = UUID(int=77)
    subject.live(0, identity=same)
    subject.live(1, identity=same)
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0)]
    assert len(subject.subscription.outstanding) == 1
    subject.subscription.ack([same], subject.now)
    subject.subscription.ack([same], subject.now)
    assert subject.slots() == {"A": 1}


def test_a2_h12_an_untracked_duplicate_does_not_hold_the_checkpoint() -> None:
    subject = Subject(max_checkpoint_count=2)
    subject.join("A")
    same = UUID(int=77)
    subject.live(0, identity=same)
    subject.live(1, identity=same)
    subject.pushes()
    subject.subscription.ack([same], subject.now)
    assert subject.checkpoints == [1]


def test_nothing_happens_before_the_checkpoint_is_loaded() -> None:
    subject = Subject()
    subject.subscription.ready = False
    subject.join("A")
    subject.live(0)
    subject.tick()
    assert subject.pushes() == []
    assert subject.subscription.due(subject.now) is None

"""Rules of docs/facts/eventstore.md §A3 and §A9: reading history, going live, falling behind, starting at the end."""

import pytest

from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.eventstore.persistent.subscription import Page, Quirks
from tests.simulation.eventstore.persistent.subject import Subject, record


@pytest.mark.parametrize(("batch", "count"), [(200, 100), (50, 50), (500, 100), (7, 7), (10, 10)])
def test_a1_a_read_takes_at_most_100_events(batch: int, count: int) -> None:
    subject = Subject(history=True, read_batch_size=batch, history_buffer_size=1000)
    assert subject.reads == [(0, count, False)]


def test_a3_history_is_read_from_the_start_position_on() -> None:
    assert Subject(history=True, start=7).reads == [(7, 100, False)]


def test_a3_commits_before_the_start_position_are_not_for_the_group() -> None:
    subject = Subject(start=7)
    subject.join("A")
    subject.live(6, 7)
    assert subject.pushes() == [("A", 7, 0)]


def test_a3_the_next_page_is_read_when_one_is_done_and_there_is_room_for_more_than_a_batch() -> None:
    subject = Subject(history=True, read_batch_size=10, history_buffer_size=30)
    subject.found(*range(10))
    assert subject.reads[1:] == [(10, 10, False)]
    subject.found(*range(10, 20))  # 30 - 20 is not more than 10
    assert len(subject.reads) == 2


def test_a3_messages_that_wait_to_be_retried_take_room_as_well() -> None:
    subject = Subject(history=True, read_batch_size=10, history_buffer_size=30)
    subject.join("A", slots=20)
    subject.found(*range(10))
    subject.found(*range(10, 20))
    subject.pushes()
    subject.nack("retry", *range(10))
    assert subject.retry == list(range(10))
    subject.nack("retry", *range(10, 20))
    assert len(subject.reads) == 3, "read with 20 free, not with 10"


def test_a3_only_one_read_is_under_way() -> None:
    subject = Subject(history=True)
    subject.join("A")
    subject.ack(0)
    subject.tick()
    assert len(subject.reads) == 1


def test_a3_an_ack_reads_on_when_it_makes_room() -> None:
    subject = Subject(history=True, read_batch_size=10, history_buffer_size=15)
    subject.join("A", slots=10)
    subject.found(*range(10))
    subject.pushes()
    assert len(subject.reads) == 1
    subject.ack(0)
    assert subject.reads[1:] == [(10, 10, False)]


def test_a3_h3_a_tick_reads_on_when_nobody_settles_anything() -> None:
    subject = Subject(history=True, read_batch_size=10, history_buffer_size=15)
    subject.join("A", slots=10)
    subject.found(*range(10))
    subject.pushes()
    assert subject.subscription.due(subject.now) == subject.now
    subject.tick()
    assert subject.reads[1:] == [(10, 10, False)]


def test_a3_h3_versions_without_the_fix_stall_there() -> None:
    subject = Subject(Quirks(no_tick_read=True), history=True, read_batch_size=10, history_buffer_size=15)
    subject.join("A", slots=100)
    subject.found(*range(10))
    subject.pushes()
    subject.tick()
    assert len(subject.reads) == 1


def test_a3_at_the_end_of_history_it_is_live_if_nothing_was_committed_meanwhile() -> None:
    subject = Subject(history=True)
    subject.found(0, 1, end=True)
    assert subject.subscription.buffer.live
    subject.live(2)
    assert subject.waiting == [0, 1, 2]


def test_a3_what_the_last_page_found_is_pushed_by_the_next_tick_not_at_once() -> None:
    subject = Subject(history=True)
    subject.join("A")
    subject.found(0, 1, end=True)
    assert subject.pushes() == []
    assert subject.subscription.due(subject.now) == subject.now
    subject.tick()
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0)]


def test_a3_at_the_end_of_history_it_reads_on_if_something_was_committed_meanwhile() -> None:
    subject = Subject(history=True)
    subject.live(2)
    subject.found(0, 1, end=True)
    assert not subject.subscription.buffer.live
    assert subject.reads[1:] == [(2, 100, False)]
    subject.found(2, end=True)
    assert subject.subscription.buffer.live
    assert subject.waiting == [0, 1, 2]


def test_a3_history_that_meets_the_head_of_the_live_queue_takes_all_of_it() -> None:
    subject = Subject(history=True)
    subject.live(2, 3, 4)
    subject.found(0, 1, 2, 3)
    assert subject.waiting == [0, 1, 2, 3, 4]
    assert subject.subscription.buffer.live
    assert not subject.subscription.buffer.recent


def test_a3_history_that_is_past_the_head_of_the_live_queue_drains_it_up_to_there() -> None:
    subject = Subject(history=True)
    subject.live(2, 3, 4)
    subject.found(0, 3)  # 1 and 2 have expired
    assert subject.waiting == [0, 3, 4]
    assert subject.subscription.buffer.live


def test_a3_the_live_queue_drops_its_oldest() -> None:
    subject = Subject(history=True, live_buffer_size=2)
    subject.live(2, 3, 4)
    assert [message.position for message in subject.subscription.buffer.recent] == [3, 4]
    subject.found(0, 1, 2)
    assert not subject.subscription.buffer.live, "2 was dropped, so it is read"
    subject.found(3, 4)
    assert subject.waiting == [0, 1, 2, 3, 4]


def test_a3_a_live_group_whose_buffer_is_full_falls_behind_and_reads_from_that_event_on() -> None:
    subject = Subject(history_buffer_size=3, read_batch_size=1)
    subject.live(0, 1, 2, 3, 4)
    assert subject.waiting == [0, 1, 2]
    assert not subject.subscription.buffer.live
    subject.join("A", slots=2)
    subject.pushes()
    subject.ack(0, 1)
    assert subject.reads == [(3, 1, False)]
    subject.found(3)
    assert subject.subscription.buffer.live
    assert subject.waiting == [2, 3, 4]


def test_a3_what_a_read_finds_after_it_went_live_is_ignored() -> None:
    subject = Subject(history=True)
    subject.live(1)
    subject.found(1, 2, 3, end=True)
    assert subject.waiting == [1]


def test_a3_events_up_to_the_loaded_checkpoint_are_ignored() -> None:
    subject = Subject(checkpoint=41)
    assert subject.reads == [(41, 100, False)]
    subject.found(41, 42, 43)
    assert subject.waiting == [42, 43]


def test_a3_a_read_error_drops_all_consumers_and_every_one_who_comes_later() -> None:
    subject = Subject(history=True)
    subject.join("A")
    subject.join("B")
    subject.subscription.read_failed()
    assert subject.dropped == ["A", "B"]
    subject.join("C")
    assert subject.dropped == ["A", "B", "C"]
    assert subject.subscription.consumers == []
    subject.tick()
    assert len(subject.reads) == 1


def test_a3_nothing_is_read_again_and_again_where_what_was_committed_is_gone_already() -> None:
    subject = Subject(history=True)
    subject.live(2)
    subject.found(end=True, next_position=3)  # 2 has expired
    assert subject.reads[1:] == []
    assert subject.subscription.due(subject.now) is None
    subject.live(3)
    assert subject.subscription.due(subject.now) == subject.now
    subject.tick()
    assert subject.reads[1:] == [(3, 100, False)]


def test_a6_the_first_event_after_a_checkpoint_is_skipped_only_where_asked_for() -> None:
    assert Subject(Quirks(faithful_skip_first=True), checkpoint=41).reads == [(41, 100, True)]
    assert Subject(checkpoint=41).reads == [(41, 100, False)]


def test_a9_from_the_end_it_is_live_at_once_and_reads_nothing() -> None:
    subject = Subject(from_end=True)
    subject.join("A")
    subject.live(10)
    assert subject.reads == []
    assert subject.pushes() == [("A", 10, 0)]


def test_a9_from_the_end_is_said_only_where_there_is_no_checkpoint() -> None:
    subject = Subject(from_end=True, checkpoint=41)
    assert subject.reads == [(41, 100, False)]
    assert not subject.subscription.buffer.live


def test_what_the_filter_hides_counts_as_done_and_may_be_checkpointed() -> None:
    subject = Subject(max_checkpoint_count=3)
    for position in (10, 20, 30):
        subject.subscription.live_filtered_out(position, subject.now)
    assert subject.checkpoints == [30]


def test_a_page_without_anything_for_the_group_counts_up_to_where_it_was_read_from() -> None:
    subject = Subject(history=True, max_checkpoint_count=3)
    subject.subscription.read_done(Page([], start=10, next_position=40, is_end=False, filtered_out=3), subject.now)
    assert subject.checkpoints == [10]


@pytest.mark.parametrize(("quirks", "checkpoints"), [(Quirks(), []), (Quirks(filtered_overtakes=True), [60])])
def test_what_the_filter_hides_does_not_overtake_what_waits_unless_asked_for(
    quirks: Quirks, checkpoints: list[int]
) -> None:
    subject = Subject(quirks, max_checkpoint_count=1)
    subject.subscription.live(Message(record(50), 50))
    subject.subscription.live_filtered_out(60, subject.now)
    assert subject.checkpoints == checkpoints

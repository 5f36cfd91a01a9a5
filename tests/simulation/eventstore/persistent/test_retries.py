"""Rules of docs/facts/eventstore.md §A5: time-outs, retries, parking, nacks, the replay of what was parked."""

from typing import Any

import pytest

from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.eventstore.protocol import NackAction
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.persistent.subject import Subject, record


def with_pushed(*numbers: int, slots: int = 10, **settings: Any) -> Subject:
    """A subject whose consumer A was pushed these."""
    subject = Subject(**settings)
    subject.join("A", slots)
    subject.live(*numbers)
    subject.pushes()
    return subject


def test_a5_a_message_expires_at_the_first_tick_at_its_time_out_or_later() -> None:
    subject = with_pushed(0, message_timeout=5 * SECOND)
    assert subject.subscription.due(subject.now) == subject.now + 5 * SECOND
    subject.tick(4.999_999_999)
    assert subject.pushes() == []
    subject.tick(0.000_000_001)
    assert subject.pushes() == [("A", 0, 1)]


def test_a5_nothing_expires_between_ticks() -> None:
    subject = with_pushed(0, message_timeout=5 * SECOND)
    subject.now += 6 * SECOND
    subject.live(1)
    assert subject.pushes() == [("A", 1, 0)]


def test_a1_a_message_timeout_of_0_expires_at_the_next_tick() -> None:
    subject = with_pushed(0, message_timeout=0)
    subject.tick()
    assert subject.pushes() == [("A", 0, 1)]


def test_a5_a_time_out_frees_the_slot_and_counts_up() -> None:
    subject = with_pushed(0, slots=1, message_timeout=SECOND)
    assert subject.slots() == {"A": 0}
    subject.tick()
    assert subject.slots() == {"A": 1}
    assert subject.pushes() == [("A", 0, 1)]
    subject.tick()
    assert subject.pushes() == [("A", 0, 2)]


def test_a5_the_time_out_of_a_retried_message_begins_anew() -> None:
    subject = with_pushed(0, message_timeout=5 * SECOND)
    subject.now += 3 * SECOND
    subject.nack("retry", 0)
    subject.pushes()
    subject.tick(4)
    assert subject.pushes() == [], "7 s after the first push, 4 s after the second"
    subject.tick(1)
    assert subject.pushes() == [("A", 0, 2)]


def test_a5_who_times_out_is_retried_at_another_consumer() -> None:
    subject = Subject(message_timeout=SECOND)
    subject.join("A")
    subject.join("B")
    subject.live(0)
    assert subject.pushes() == [("A", 0, 0)]
    subject.tick()
    assert subject.pushes() == [("B", 0, 1)]


def test_a5_after_a_time_out_with_several_in_flight_the_first_comes_again_behind_later_ones() -> None:
    subject = with_pushed(0, slots=2, message_timeout=5 * SECOND)
    subject.now += SECOND
    subject.live(1, 2)
    assert subject.pushes() == [("A", 1, 0)]
    subject.tick(4)  # 0 expires; 1 is in flight, 2 waits
    assert subject.pushes() == [("A", 0, 1)]
    subject.ack(1)
    assert subject.pushes() == [("A", 2, 0)]


def test_a5_retry_goes_before_larger_positions_and_else_to_the_end() -> None:
    subject = with_pushed(0, 1, 2, 3, slots=4)
    subject.nack("retry", 2)
    subject.nack("retry", 0)
    subject.nack("retry", 3)
    subject.nack("retry", 1)
    assert subject.retry == [0, 1, 2, 3]
    assert subject.pushes() == [("A", 0, 1), ("A", 1, 1), ("A", 2, 1), ("A", 3, 1)]


def test_a5_replayed_messages_go_to_the_end_of_retry_and_retries_pass_them_only_before_larger_positions() -> None:
    subject = with_pushed(0, 5, slots=10)
    subject.nack("retry", 5)
    subject.subscription.replayed([Message(record(90), None, replayed=True)])
    assert subject.retry == [5, 90]
    subject.nack("retry", 0)
    assert subject.retry == [0, 5, 90]
    subject.subscription.buffer.retry.pop(0)
    subject.subscription.buffer.retry.pop(0)
    subject.subscription.buffer.add_retry(Message(record(3), 3))
    assert subject.retry == [90, 3], "it has no position to be compared with"


def test_a5_deliveries_are_max_retry_count_plus_1_then_it_is_parked() -> None:
    subject = with_pushed(0, max_retry_count=2, message_timeout=SECOND)
    counts = [0]
    for _ in range(5):
        subject.tick()
        counts += [count for _, _, count in subject.pushes()]
    assert counts == [0, 1, 2]
    assert subject.parks == [(0, "Reached retry count of 2")]


def test_a5_max_retry_count_0_parks_at_the_first_time_out() -> None:
    subject = with_pushed(0, max_retry_count=0, message_timeout=SECOND)
    subject.tick()
    assert subject.parks == [(0, "Reached retry count of 0")]
    assert subject.pushes() == []


def test_a5_what_is_parked_by_a_time_out_is_not_outstanding_but_keeps_its_slot_until_it_is_written() -> None:
    subject = with_pushed(0, slots=1, max_retry_count=0, message_timeout=SECOND)
    subject.live(1)
    subject.tick()
    assert len(subject.subscription.outstanding) == 0
    assert subject.pushes() == []
    subject.parked()
    assert subject.pushes() == [("A", 1, 0)]


@pytest.mark.parametrize("action", ["retry", "unknown"])
def test_a5_nack_retry_delivers_again_at_once_and_counts_up(action: NackAction) -> None:
    subject = with_pushed(0)
    subject.nack(action, 0)
    assert subject.pushes() == [("A", 0, 1)]


def test_a5_nack_retry_parks_when_retries_are_exhausted() -> None:
    subject = with_pushed(0, max_retry_count=1)
    subject.nack("retry", 0)
    assert subject.pushes() == [("A", 0, 1)]
    subject.nack("retry", 0)
    assert subject.pushes() == []
    assert subject.parks == [(0, "Reached retry count of 1")]
    assert subject.slots() == {"A": 10}


def test_a5_nack_park_is_done_at_once() -> None:
    subject = with_pushed(0, 1, slots=2, max_checkpoint_count=1)
    subject.nack("park", 0, reason="bad")
    assert subject.parks == [(0, "Client explicitly NAK'ed message.\nbad")]
    assert subject.checkpoints == [0], "though it is not written to the parked stream yet"
    assert subject.slots() == {"A": 1}


@pytest.mark.parametrize("action", ["skip", "stop"])
def test_a5_nack_skip_and_stop_complete_silently_and_stop_stops_nothing(action: NackAction) -> None:
    subject = with_pushed(0, max_checkpoint_count=1)
    subject.nack(action, 0)
    assert (subject.parks, subject.retry, subject.checkpoints) == ([], [], [0])
    subject.live(1)
    assert subject.pushes() == [("A", 1, 0)]


@pytest.mark.parametrize("action", ["park", "retry"])
def test_a5_a_nack_of_what_is_not_outstanding_does_nothing(action: NackAction) -> None:
    subject = with_pushed(0)
    subject.ack(0)
    subject.nack(action, 0)
    assert (subject.parks, subject.retry) == ([], [])


def test_h8_a_message_parked_by_a_time_out_is_parked_once_more_if_its_consumer_left_meanwhile() -> None:
    subject = Subject(max_retry_count=0, message_timeout=SECOND)
    a = subject.join("A")
    subject.live(0)
    subject.pushes()
    subject.tick()
    subject.subscription.leave(a)
    subject.parked()
    subject.join("B")
    assert subject.pushes() == [("B", 0, 1)]
    subject.tick()
    assert subject.parks == [(0, "Reached retry count of 0")] * 2


def test_a5_replayed_messages_come_before_new_ones_behind_pending_retries_and_with_retry_count_0() -> None:
    subject = with_pushed(0, slots=1)
    subject.live(1)
    subject.subscription.replayed([Message(record(90), None, replayed=True), Message(record(80), None, replayed=True)])
    subject.nack("retry", 0)
    order = []
    for _ in range(4):
        [(_, number, count)] = subject.pushes()
        order.append((number, count))
        subject.ack(number)
    assert order == [(90, 0), (80, 0), (0, 1), (1, 0)], "0 has no larger position to go before"


def test_a5_replayed_messages_take_no_part_in_checkpoints() -> None:
    subject = with_pushed(0, max_checkpoint_count=1)
    subject.subscription.replayed([Message(record(90), None, replayed=True)])
    subject.pushes()
    subject.ack(0)
    assert subject.checkpoints == [0]
    subject.nack("retry", 90)
    subject.live(1)
    subject.pushes()
    subject.ack(1)
    assert subject.checkpoints == [0, 1], "nor do they when they are retried"


def test_a5_a_replayed_message_whose_retries_are_exhausted_is_parked_again() -> None:
    subject = with_pushed(max_retry_count=1, message_timeout=SECOND)
    subject.subscription.replayed([Message(record(90), None, replayed=True)])
    counts = []
    for _ in range(4):
        counts += subject.pushes()
        subject.tick()
    assert counts == [("A", 90, 0), ("A", 90, 1)]
    assert subject.parks == [(90, "Reached retry count of 1")]

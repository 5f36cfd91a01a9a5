"""Rules of docs/facts/eventstore.md §A7: consumers that leave, and acks that come late."""

from uuid import UUID

from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.persistent.subject import Subject, record


def test_a7_who_leaves_has_all_it_held_retried_at_once_in_order_with_retry_count_1() -> None:
    subject = Subject()
    a = subject.join("A")
    subject.live(0, 1, 2)
    subject.pushes()
    subject.ack(1)
    subject.join("B")
    subject.subscription.leave(a)
    assert subject.pushes() == [("B", 0, 1), ("B", 2, 1)]


def test_a7_h4_a_consumer_that_crashes_again_and_again_never_parks() -> None:
    subject = Subject(max_retry_count=2)
    subject.live(0)
    counts = []
    for _ in range(6):
        a = subject.join("A")
        counts += [count for _, _, count in subject.pushes()]
        subject.subscription.leave(a)
    assert counts == [0, 1, 2, 3, 4, 5]
    assert subject.parks == []


def test_a7_but_the_next_time_out_parks_what_is_past_the_most_retries() -> None:
    subject = Subject(max_retry_count=1, message_timeout=SECOND)
    subject.live(0)
    for _ in range(3):
        a = subject.join("A")
        subject.pushes()
        subject.subscription.leave(a)
    subject.join("A")
    assert subject.pushes() == [("A", 0, 3)]
    subject.tick()
    assert subject.parks == [(0, "Reached retry count of 1")]


def test_a7_and_so_does_the_next_nack_retry() -> None:
    subject = Subject(max_retry_count=1)
    subject.live(0)
    for _ in range(2):
        a = subject.join("A")
        subject.pushes()
        subject.subscription.leave(a)
    subject.join("A")
    subject.pushes()
    subject.nack("retry", 0)
    assert subject.parks == [(0, "Reached retry count of 1")]


def test_a7_leaving_twice_is_leaving_once() -> None:
    subject = Subject()
    a = subject.join("A")
    subject.live(0)
    subject.pushes()
    subject.subscription.leave(a)
    subject.subscription.leave(a)
    assert subject.retry == [0]


def test_a7_case_1_a_late_ack_of_what_waits_to_be_retried_has_no_effect() -> None:
    subject = Subject(message_timeout=SECOND)
    a = subject.join("A", slots=1)
    subject.live(0)
    subject.pushes()
    subject.subscription.leave(a)
    subject.ack(0)
    assert subject.retry == [0]
    subject.join("B")
    assert subject.pushes() == [("B", 0, 1)]


def test_a7_case_2_a_late_ack_completes_the_delivery_of_another_consumer_and_frees_its_slot() -> None:
    subject = Subject(message_timeout=SECOND, max_checkpoint_count=1)
    subject.join("A", slots=1)
    subject.join("B", slots=1)
    subject.live(0)
    assert subject.pushes() == [("A", 0, 0)]
    subject.tick()
    assert subject.pushes() == [("B", 0, 1)]
    assert subject.slots() == {"A": 1, "B": 0}
    subject.ack(0)  # A's
    assert subject.slots() == {"A": 1, "B": 1}
    assert subject.checkpoints == [0]
    subject.ack(0)  # B's own
    subject.nack("retry", 0)
    assert subject.slots() == {"A": 1, "B": 1}
    assert (subject.retry, subject.checkpoints) == ([], [0])


def test_a7_case_3_a_late_ack_of_what_is_parked_does_nothing() -> None:
    subject = Subject(message_timeout=SECOND, max_retry_count=0)
    subject.join("A")
    subject.live(0)
    subject.pushes()
    subject.tick()
    subject.parked()
    subject.ack(0)
    assert subject.parks == [(0, "Reached retry count of 0")]
    assert subject.slots() == {"A": 10}


def test_a7_a_late_ack_of_what_is_being_parked_does_not_stop_the_park() -> None:
    subject = Subject(message_timeout=SECOND, max_retry_count=0)
    subject.join("A")
    subject.live(0)
    subject.pushes()
    subject.tick()
    subject.ack(0)
    assert len(subject.parking) == 1
    assert subject.slots() == {"A": 10}


def test_a7_consumers_are_not_told_what_was_taken_from_them() -> None:
    subject = Subject(message_timeout=SECOND)
    subject.join("A", slots=1)
    subject.live(0)
    subject.pushes()
    subject.tick()
    assert subject.dropped == []
    assert subject.pushes() == [("A", 0, 1)]


def test_a7_shutting_down_drops_consumers_and_retries_nothing() -> None:
    subject = Subject()
    subject.join("A")
    subject.join("B")
    subject.live(0)
    subject.pushes()
    subject.subscription.shut_down()
    assert subject.dropped == ["A", "B"]
    assert subject.retry == []


def test_a1_a_group_is_full_at_max_subscriber_count_and_never_if_that_is_0() -> None:
    limited, unlimited = Subject(max_subscriber_count=1), Subject(max_subscriber_count=0)
    assert not limited.subscription.is_full
    for subject in (limited, unlimited):
        subject.join("A")
    assert limited.subscription.is_full
    assert not unlimited.subscription.is_full


def test_a7_replayed_messages_of_who_leaves_are_retried_in_the_order_of_the_parked_stream() -> None:
    subject = Subject()
    a = subject.join("A")
    target = record(0, "orders")
    links = [record(number, "parked", UUID(int=900 - number), type="$>", data=b"0@orders") for number in (0, 1)]
    subject.subscription.replayed([Message(target.resolved_from(link), None, replayed=True) for link in links])
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0)]
    subject.subscription.nack([links[0].id], "retry", "", subject.now)
    assert subject.pushes() == [("A", 0, 1)]
    subject.subscription.leave(a)
    assert subject.retry == [0, 1]

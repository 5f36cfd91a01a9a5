"""`KafkaConsumer` beside its group: positions, what poll and the iterator move, what it can be asked."""

from typing import Any

import pytest
from kafka.errors import IllegalStateError, KafkaTimeoutError

from tests.conformance.arms import Arm


def reader(arm: Arm, count: int = 100, **config: Any) -> tuple[Any, Any]:
    """A consumer of a partition 0..count-1."""
    topic = arm.topic(2)
    if count:
        arm.produce(topic, count)
    consumer = arm.consumer(auto_offset_reset="earliest", enable_auto_commit=False, **config)
    consumer.assign([arm.place(topic)])
    return consumer, arm.place(topic)


def poll(consumer: Any, **more: Any) -> list[int]:
    """The first batch that is not empty."""
    for _ in range(50):
        found = [int(record.value) for records in consumer.poll(500, **more).values() for record in records]
        if found:
            return found
    raise AssertionError("nothing came")


def test_poll_moves_the_position_past_what_it_returns(arm: Arm) -> None:
    consumer, place = reader(arm, max_poll_records=30)
    assert poll(consumer) == list(range(30))
    assert consumer.position(place) == 30
    assert poll(consumer, max_records=10) == list(range(30, 40))
    assert consumer.position(place) == 40
    assert consumer.highwater(place) == 100


def test_the_iterator_moves_the_position_before_it_yields(arm: Arm) -> None:
    consumer, place = reader(arm)
    for record in consumer:
        assert consumer.position(place) == record.offset + 1
        if record.offset == 30:
            break
    assert next(consumer).offset == 31
    consumer.seek(place, 90)
    assert next(consumer).offset == 90


def test_seek_forgets_what_was_fetched(arm: Arm) -> None:
    consumer, place = reader(arm, max_poll_records=5)
    assert consumer.position(place) == 0
    consumer.seek(place, 50)
    assert consumer.position(place) == 50
    assert poll(consumer) == [50, 51, 52, 53, 54]
    consumer.seek(place, 10)
    assert poll(consumer) == [10, 11, 12, 13, 14]
    consumer.seek_to_end(place)
    assert consumer.position(place) == 100
    consumer.seek_to_beginning()
    assert poll(consumer) == [0, 1, 2, 3, 4]


def test_what_cannot_be_sought(arm: Arm) -> None:
    consumer, place = reader(arm, count=0)
    other = arm.place(place.topic, 1)
    with pytest.raises(ValueError, match="Offset must be"):
        consumer.seek(place, -1)
    with pytest.raises(ValueError, match="Unassigned"):
        consumer.seek_to_end(other)
    with pytest.raises(IllegalStateError):
        consumer.position(other)


def test_offsets_of_partitions_need_no_assignment(arm: Arm) -> None:
    topic = arm.topic(2)
    arm.produce(topic, 10)
    consumer, places = arm.consumer(), [arm.place(topic, number) for number in range(2)]
    assert consumer.beginning_offsets(places) == dict.fromkeys(places, 0)
    assert consumer.end_offsets(places) == {places[0]: 10, places[1]: 0}
    assert consumer.partitions_for_topic(topic) == {0, 1}
    assert topic in consumer.topics()
    with pytest.raises(KafkaTimeoutError):
        consumer.end_offsets([arm.place(arm.named("nowhere"))], timeout_ms=500)


def test_offsets_for_times_finds_the_first_at_or_after(arm: Arm) -> None:
    topic, now = arm.topic(), arm.clock_ms()
    place = arm.place(topic)
    with arm.producer() as producer:
        for age in (3000, 2000, 1000):
            producer.send(topic, b"v", partition=0, timestamp_ms=now - age).get(30)
    consumer = arm.consumer()
    for asked, offset, stamp in ((0, 0, now - 3000), (now - 2000, 1, now - 2000), (now - 1999, 2, now - 1000)):
        found = consumer.offsets_for_times({place: asked})[place]
        assert (found.offset, found.timestamp) == (offset, stamp)
    assert consumer.offsets_for_times({place: now}) == {place: None}


def test_paused_partitions_are_not_handed_out(arm: Arm) -> None:
    consumer, place = reader(arm, max_poll_records=10)
    assert poll(consumer) == list(range(10))
    consumer.pause(place)
    assert consumer.paused() == {place}
    assert consumer.poll(500) == {}
    consumer.resume(place)
    assert poll(consumer) == list(range(10, 20))


def test_iterating_ends_after_consumer_timeout(arm: Arm) -> None:
    consumer, place = reader(arm, consumer_timeout_ms=1000)
    assert [record.offset for record in consumer] == list(range(100))
    began = arm.now()
    assert list(consumer) == []
    assert 0.9 <= arm.now() - began < 2.5
    assert consumer.position(place) == 100


def test_a_poll_without_data_takes_its_time(arm: Arm) -> None:
    consumer, place = reader(arm)
    consumer.seek_to_end(place)
    consumer.position(place)
    consumer.poll(100)
    began = arm.now()
    assert consumer.poll(700) == {}
    assert 0.6 <= arm.now() - began < 1.5


def test_nothing_is_committed_until_somebody_commits(arm: Arm) -> None:
    consumer, place = reader(arm, group_id=arm.named("group"), max_poll_records=10)
    assert consumer.committed(place) is None
    poll(consumer)
    assert consumer.committed(place) is None
    consumer.commit()
    assert consumer.committed(place) == 10


def test_commit_commits_positions_also_of_a_partition_that_was_sought(arm: Arm) -> None:
    consumer, place = reader(arm, group_id=arm.named("group"))
    consumer.seek(place, 42)
    consumer.commit()
    assert consumer.committed(place) == 42


def test_a_consumer_either_subscribes_or_is_assigned(arm: Arm) -> None:
    topic = arm.topic()
    consumer = arm.consumer(topic)
    with pytest.raises(IllegalStateError):
        consumer.assign([arm.place(topic)])


def test_a_closed_consumer_polls_no_more(arm: Arm) -> None:
    consumer, _ = reader(arm, count=0)
    consumer.close()
    with pytest.raises(IllegalStateError):
        consumer.poll()


def test_without_a_group_subscribe_reads_all_partitions(arm: Arm) -> None:
    topic = arm.topic(2)
    arm.produce(topic, 10)
    arm.produce(topic, 10, partition=1)
    consumer = arm.consumer(topic, auto_offset_reset="earliest")
    got: list[int] = []
    while len(got) < 20:
        got += poll(consumer)
    assert sorted(got) == sorted([*range(10), *range(10)])
    assert len(consumer.assignment()) == 2


def test_max_partition_fetch_bytes_gives_whole_batches_but_at_least_one(arm: Arm) -> None:
    topic = arm.topic()
    with arm.producer() as producer:
        for number in range(10):
            producer.send(topic, b"%d" % number + b" " * 1000, partition=0).get(30)
    for most, records in ((2500, 2), (10, 1)):
        consumer = arm.consumer(auto_offset_reset="earliest", max_partition_fetch_bytes=most)
        consumer.assign([arm.place(topic)])
        assert len(poll(consumer)) == records

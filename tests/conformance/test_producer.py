"""Producers: where records go, what an acknowledgement and an error mean (docs/facts/kafka.md §A)."""

from itertools import pairwise
from typing import Any

import pytest
from kafka.errors import (
    IllegalStateError,
    InvalidTopicError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from kafka.partitioner.default import murmur2

from tests.conformance.applications import send_and_die
from tests.conformance.arms import Arm

KEYS = [b"key-%d" % number for number in range(40)] + [b"", b"a", b"\x00\xff", "größe".encode(), b"x" * 1000]


def sent(arm: Arm, topic: str, keys: list[Any], **config: Any) -> list[Any]:
    """The metadata of a record of each key."""
    with arm.producer(**config) as producer:
        futures = [producer.send(topic, b"v", key=key) for key in keys]
        return [future.get(30) for future in futures]


def test_keys_go_by_murmur2(arm: Arm) -> None:
    placed = [metadata.partition for metadata in sent(arm, arm.topic(7), KEYS)]
    assert placed == [(murmur2(key) & 0x7FFFFFFF) % 7 for key in KEYS]


def test_records_without_a_key_are_spread_at_random(arm: Arm) -> None:
    placed = [metadata.partition for metadata in sent(arm, arm.topic(4), [None] * 400)]
    assert all(60 < placed.count(partition) < 140 for partition in range(4))
    assert sum(one != other for one, other in pairwise(placed)) > 200, "not sticky"


def test_an_explicit_partition_wins_and_must_exist(arm: Arm) -> None:
    topic = arm.topic(3)
    with arm.producer() as producer:
        assert producer.send(topic, b"v", key=b"key", partition=2).get(30).partition == 2
        with pytest.raises(ValueError, match="Unrecognized partition 3"):
            producer.send(topic, b"v", partition=3)


@pytest.mark.parametrize("acks", ["all", 1])
def test_acknowledged_records_have_rising_offsets_and_are_there(arm: Arm, acks: Any) -> None:
    topic = arm.topic()
    assert [metadata.offset for metadata in sent(arm, topic, [None] * 20, acks=acks)] == list(range(20))
    assert arm.bounds(topic) == (0, 20)


def test_without_acks_nobody_is_told_an_offset(arm: Arm) -> None:
    topic = arm.topic()
    [metadata] = sent(arm, topic, [None], acks=0)
    assert metadata.offset == 0
    [metadata] = sent(arm, topic, [None], acks=0)
    assert metadata.offset == 0
    assert arm.bounds(topic) == (0, 2)


@pytest.mark.parametrize(
    ("config", "idempotent"),
    [({}, True), ({"acks": 1}, False), ({"retries": 0}, False), ({"max_in_flight_requests_per_connection": 6}, False)],
    ids=["default", "acks 1", "retries 0", "6 in flight"],
)
def test_idempotence_is_on_and_goes_off_without_a_word(arm: Arm, config: dict[str, Any], idempotent: bool) -> None:
    with arm.producer(**config) as producer:
        assert producer.config["enable_idempotence"] is idempotent


def test_idempotence_does_not_cover_a_second_send(arm: Arm) -> None:
    topic = arm.topic()
    arm.produce(topic, 1)
    arm.produce(topic, 1)
    assert arm.numbers(topic) == [0, 0]


def test_metadata_of_a_record(arm: Arm) -> None:
    topic, stamp = arm.topic(2), arm.clock_ms() - 5
    with arm.producer() as producer:
        metadata = producer.send(
            topic, b"value", key=b"key", partition=1, headers=[("name", b"x")], timestamp_ms=stamp
        ).get(30)
    assert metadata.topic_partition == arm.place(topic, 1)
    assert (metadata.offset, metadata.timestamp) == (0, stamp)
    assert (metadata.serialized_key_size, metadata.serialized_value_size) == (3, 5)
    [record] = arm.read(topic, 2)
    assert (record.key, record.value, record.headers, record.timestamp) == (b"key", b"value", [("name", b"x")], stamp)
    assert record.timestamp_type == 0


def test_callbacks_come_in_the_order_of_the_sends(arm: Arm) -> None:
    topic = arm.topic()
    told: list[int] = []
    with arm.producer() as producer:
        for _ in range(20):
            producer.send(topic, b"v", partition=0).add_callback(lambda metadata: told.append(metadata.offset))
        producer.flush()
    assert told == list(range(20))


# -- what fails --------------------------------------------------------------------------------------------------------


def test_a_message_that_is_too_large_for_the_client_fails_and_later_ones_go_on(arm: Arm) -> None:
    topic = arm.topic()
    with arm.producer(max_request_size=1000) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            producer.send(topic, b"x" * 2000, partition=0).get(30)
        assert producer.send(topic, b"small", partition=0).get(30).offset == 0


def test_a_message_that_is_too_large_for_the_topic_fails(arm: Arm) -> None:
    topic = arm.topic(max_message_bytes=1000)
    with arm.producer(acks=1) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            producer.send(topic, b"x" * 2000, partition=0).get(30)
        assert producer.send(topic, b"small", partition=0).get(30).offset == 0
    assert arm.bounds(topic) == (0, 1)


def test_an_idempotent_producer_that_is_refused_for_good_gives_up_altogether(arm: Arm) -> None:
    """`TransactionManager.classify_batch_error`: fatal."""
    topic = arm.topic(max_message_bytes=1000)
    producer = arm.producer()
    with pytest.raises(MessageSizeTooLargeError):
        producer.send(topic, b"x" * 2000, partition=0).get(30)
    with pytest.raises(arm.library.errors.KafkaError):
        producer.send(topic, b"small", partition=0).get(30)
    assert arm.bounds(topic) == (0, 0)


def test_an_unknown_topic_is_waited_for_until_max_block(arm: Arm) -> None:
    with arm.producer(max_block_ms=1000) as producer:
        began = arm.now()
        with pytest.raises(KafkaTimeoutError):
            producer.send(arm.named("nowhere"), b"v").get(30)
        assert 0.9 <= arm.now() - began < 3


def test_names_that_no_topic_can_have(arm: Arm) -> None:
    with arm.admin() as admin, pytest.raises(InvalidTopicError):
        admin.create_topics({"no good": {"num_partitions": 1, "replication_factor": 1}})


def test_a_topic_that_is_not_there_cannot_be_deleted(arm: Arm) -> None:
    with arm.admin() as admin, pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics([arm.named("nowhere")])


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_takes_what_it_had_not_sent_with_it(arm: Arm) -> None:
    topic = arm.topic()
    process = arm.start(send_and_die, topic, 100)
    arm.wait_for_end(process)
    assert process.told == ["sent"]
    assert arm.bounds(topic) == (0, 0)


def test_close_sends_what_is_left(arm: Arm) -> None:
    topic = arm.topic()
    producer = arm.producer(linger_ms=60_000)
    for number in range(100):
        producer.send(topic, b"%d" % number, partition=0)
    producer.close()
    assert arm.numbers(topic) == list(range(100))


def test_a_closed_producer_sends_no_more(arm: Arm) -> None:
    topic = arm.topic()
    producer = arm.producer()
    producer.close()
    with pytest.raises(IllegalStateError):
        producer.send(topic, b"v")

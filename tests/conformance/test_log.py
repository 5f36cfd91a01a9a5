"""The log, its retention, and partitions that are added: docs/facts/kafka.md §B.1, §A.4, §C.6."""

from typing import Any

import pytest
from kafka.errors import InvalidConfigurationError, InvalidPartitionsError, InvalidTimestampError, OffsetOutOfRangeError

from tests.conformance.arms import Arm, eventually

HOUR_MS = 3_600_000


def test_retention_takes_the_active_segment_of_a_quiet_topic(arm: Arm) -> None:
    """It is rolled and deleted: start = end, and offsets go on."""
    topic = arm.topic(retention_ms=2000)
    arm.produce(topic, 50)
    assert arm.bounds(topic) == (0, 50)
    eventually(arm, lambda: arm.bounds(topic) == (50, 50), 10, lambda: arm.bounds(topic))
    arm.produce(topic, 1)
    assert arm.bounds(topic) == (50, 51)


def send_at(arm: Arm, topic: str, stamp: int) -> Any:
    with arm.producer() as producer:
        return producer.send(topic, b"x", partition=0, timestamp_ms=stamp).get(30)


def test_retention_looks_at_the_producers_timestamp(arm: Arm) -> None:
    topic = arm.topic(retention_ms=60_000)
    send_at(arm, topic, arm.clock_ms() - HOUR_MS)
    eventually(arm, lambda: arm.bounds(topic) == (1, 1), 5, lambda: arm.bounds(topic))


def test_the_largest_timestamp_keeps_the_whole_segment(arm: Arm) -> None:
    topic = arm.topic(retention_ms=60_000)
    send_at(arm, topic, arm.clock_ms())
    send_at(arm, topic, arm.clock_ms() - HOUR_MS)
    arm.sleep(1.5)
    assert arm.bounds(topic) == (0, 2)


def test_with_log_append_time_the_brokers_clock_counts(arm: Arm) -> None:
    topic = arm.topic(retention_ms=60_000, message_timestamp_type="LogAppendTime")
    stamp = arm.clock_ms() - HOUR_MS
    metadata = send_at(arm, topic, stamp)
    assert metadata.timestamp > stamp + HOUR_MS // 2
    arm.sleep(1.5)
    assert arm.bounds(topic) == (0, 1)
    [record] = arm.read(topic)
    assert (record.timestamp, record.timestamp_type) == (metadata.timestamp, 1)


@pytest.mark.parametrize(("ahead", "taken"), [(HOUR_MS - 60_000, True), (HOUR_MS + 60_000, False)])
def test_a_timestamp_more_than_an_hour_ahead_is_refused(arm: Arm, ahead: int, taken: bool) -> None:
    topic = arm.topic()
    if taken:
        send_at(arm, topic, arm.clock_ms() + ahead)
    else:
        with pytest.raises(InvalidTimestampError):
            send_at(arm, topic, arm.clock_ms() + ahead)
    assert arm.bounds(topic) == (0, int(taken))


def test_old_segments_go_and_younger_ones_stay(arm: Arm) -> None:
    """A segment rolls where the timestamps of its records would span more than segment.ms."""
    topic = arm.topic(segment_ms=300_000, retention_ms=900_000)
    now = arm.clock_ms()
    for minutes in (40, 30, 0):
        send_at(arm, topic, now - minutes * 60_000)
    eventually(arm, lambda: arm.bounds(topic) == (2, 3), 5, lambda: arm.bounds(topic))


def test_unlimited_retention_keeps(arm: Arm) -> None:
    topic = arm.topic(retention_ms=-1)
    send_at(arm, topic, arm.clock_ms() - 1000 * HOUR_MS)
    arm.sleep(1.5)
    assert arm.bounds(topic) == (0, 1)


def test_size_retention_measured(arm: Arm) -> None:
    """60 records of 200 bytes, segments of 2000 bytes, retention.bytes 6000: 35..59 remain."""
    topic = arm.topic(internal_segment_bytes=2000, retention_bytes=6000)
    with arm.producer() as producer:
        for _ in range(60):
            producer.send(topic, b"x" * 200, partition=0).get(30)
    eventually(arm, lambda: arm.bounds(topic)[0] > 0, 5)
    arm.sleep(1)
    assert arm.bounds(topic) == (35, 60)


@pytest.mark.parametrize(("size", "taken"), [(100_000, False), (1_048_576, True)])
def test_segment_bytes_below_a_mebibyte_is_refused(arm: Arm, size: int, taken: bool) -> None:
    if taken:
        arm.topic(segment_bytes=size)
    else:
        with pytest.raises(InvalidConfigurationError):
            arm.topic(segment_bytes=size)


def test_delete_records_moves_the_start_at_once(arm: Arm) -> None:
    topic = arm.topic()
    place = arm.place(topic)
    arm.produce(topic, 20)
    with arm.admin() as admin:
        assert admin.delete_records({place: 7})[place]["low_watermark"] == 7
        assert arm.bounds(topic) == (7, 20)
        assert arm.numbers(topic) == list(range(7, 20)), "also what lies in the middle of a batch"
        with pytest.raises(OffsetOutOfRangeError):
            admin.delete_records({place: 21})
        assert admin.delete_records({place: 3})[place]["low_watermark"] == 7
        admin.delete_records({place: -1})
    assert arm.bounds(topic) == (20, 20)


# -- partitions that are added -----------------------------------------------------------------------------------------

KEYS = [b"key-%d" % number for number in range(40)]


def send_keys(arm: Arm, topic: str) -> dict[bytes, int]:
    with arm.producer() as producer:
        futures = {key: producer.send(topic, b"v", key=key) for key in KEYS}
        return {key: future.get(30).partition for key, future in futures.items()}


def grow(arm: Arm, topic: str, total: int) -> None:
    with arm.admin() as admin:
        admin.create_partitions({topic: total})
        eventually(arm, lambda: len(admin.describe_topics([topic])[0]["partitions"]) == total)


def test_adding_partitions_moves_keys_and_leaves_old_records(arm: Arm) -> None:
    topic = arm.topic(2)
    before = send_keys(arm, topic)
    grow(arm, topic, 5)
    after = send_keys(arm, topic)
    assert sum(before[key] != after[key] for key in KEYS) == 31
    assert {(record.key, record.partition) for record in arm.read(topic, 5)} == {*before.items(), *after.items()}


def test_the_number_of_partitions_cannot_be_lowered_or_kept(arm: Arm) -> None:
    topic = arm.topic(2)
    with arm.admin() as admin:
        for total in (1, 2):
            with pytest.raises(InvalidPartitionsError):
                admin.create_partitions({topic: total})


@pytest.mark.parametrize(("policy", "seen"), [("latest", [10, 11, 12]), ("earliest", list(range(13)))])
def test_what_is_written_to_a_new_partition_before_it_is_discovered(arm: Arm, policy: str, seen: list[int]) -> None:
    """A `latest` consumer skips it (§0.10)."""
    topic, group = arm.topic(1), arm.named("group")
    consumer = arm.consumer(topic, group_id=group, auto_offset_reset=policy, metadata_max_age_ms=5000)
    eventually(arm, lambda: bool(consumer.poll(2000) or consumer.assignment()))
    new = arm.place(topic, 1)
    grow(arm, topic, 2)
    arm.produce(topic, 10, partition=1)
    assert new not in consumer.assignment(), "not discovered yet"
    got: list[int] = []

    def poll() -> None:
        got.extend(int(record.value) for record in consumer.poll(1000).get(new, ()))

    while new not in consumer.assignment():
        poll()
    consumer.position(new)
    arm.produce(topic, 3, first=10, partition=1)
    until = arm.now() + 10
    while len(got) < len(seen) and arm.now() < until:
        poll()
    assert got == seen


def test_a_running_producer_learns_of_new_partitions_at_its_metadata_refresh(arm: Arm) -> None:
    topic = arm.topic(1)
    with arm.producer(metadata_max_age_ms=2000) as producer:
        producer.send(topic, b"v", key=b"first").get(30)
        grow(arm, topic, 10)
        used = {producer.send(topic, b"v", key=key).get(30).partition for key in KEYS[:5]}
        assert used == {0}
        began = arm.now()
        while used == {0}:
            arm.sleep(0.1)
            used |= {producer.send(topic, b"v", key=key).get(30).partition for key in KEYS}
            assert arm.now() < began + 10

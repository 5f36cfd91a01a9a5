"""The log and its retention: docs/facts/kafka.md §B.1, with the examples measured on a real broker."""

import random

import pytest
from kafka.errors import InvalidConfigurationError, InvalidTimestampError, OffsetOutOfRangeError

from mqverify.simulation.kafka.broker import Topic
from mqverify.simulation.kafka.log import PartitionLog
from mqverify.simulation.kafka.protocol import Produce, TopicPartition
from mqverify.simulation.kafka.retention import apply_retention
from mqverify.simulation.kafka.settings import BrokerSettings, TopicConfig, wall_clock_ms
from mqverify.simulation.kernel import MILLISECOND, SECOND
from tests.simulation.kafka.harness import TOPIC, Harness, read_all

DAY = 86_400
FAST_CHECKS = {"log_retention_check_interval": SECOND // 2, "log_initial_task_delay": SECOND // 2}


def log(**configs: str) -> PartitionLog:
    named = {name.replace("_", "."): value for name, value in configs.items()}
    return PartitionLog(TOPIC, 0, TopicConfig.of(BrokerSettings(), named))


def append(to: PartitionLog, stamp: int, count: int = 1, size: int = 270, now_ms: int = 0) -> None:
    to.append([(stamp, None, b"x", [], -1, 1, -1)] * count, size, now_ms or stamp)


def test_quiet_topic_becomes_empty_for_the_active_segment_is_rolled_and_deleted() -> None:
    harness = Harness(**FAST_CHECKS)
    harness.create(retention_ms="10000")
    harness.produce(50)
    harness.wait(10)
    assert harness.bounds() == (0, 50)
    harness.wait(1)
    assert harness.bounds() == (50, 50)
    harness.produce(1, first=50)
    assert harness.bounds() == (50, 51)


def test_by_default_records_are_gone_at_the_first_check_after_seven_days() -> None:
    harness = Harness()
    harness.create()
    harness.wait(1000)
    harness.produce(10)
    harness.wait(7 * DAY - 2)
    assert harness.bounds() == (0, 10)
    # Checks run at 30 s + k × 300 s; the records are 7 days old at 1000 s, so the check at 1230 s takes them.
    harness.wait(7 * DAY + 1229 - harness.seconds)
    assert harness.bounds() == (0, 10)
    harness.wait(2)
    assert harness.bounds() == (10, 10)


def test_unlimited_retention_keeps_for_ever() -> None:
    harness = Harness()
    harness.create(retention_ms="-1")
    harness.produce(10)
    harness.wait(3650 * DAY)
    assert harness.bounds() == (0, 10)


def test_empty_cleanup_policy_keeps_for_ever() -> None:
    harness = Harness()
    harness.create(cleanup_policy="", retention_bytes="0")
    harness.produce(10)
    harness.wait(100 * DAY)
    assert harness.bounds() == (0, 10)


def test_time_retention_looks_at_the_producers_timestamp() -> None:
    """A record stamped an hour in the past in a 60 s topic is deleted by the next check (docs/facts/kafka.md §0.4)."""
    harness = Harness(**FAST_CHECKS)
    harness.create(retention_ms="60000")
    stamp = harness.clock_ms - 3_600_000
    harness.run(lambda library: library.KafkaProducer().send(TOPIC, b"old", timestamp_ms=stamp).get(), "backfill")
    assert harness.bounds() == (0, 1)
    harness.wait(1.5)
    assert harness.bounds() == (1, 1)


def test_with_log_append_time_the_brokers_clock_counts() -> None:
    harness = Harness(**FAST_CHECKS)
    harness.create(retention_ms="60000", message_timestamp_type="LogAppendTime")
    stamp = harness.clock_ms - 3_600_000
    metadata = harness.run(lambda library: library.KafkaProducer().send(TOPIC, b"old", timestamp_ms=stamp).get(), "p")
    assert metadata.timestamp > stamp
    harness.wait(1.5)
    assert harness.bounds() == (0, 1)
    [record] = harness.run(lambda library: read_all(library, TOPIC, 1))
    assert (record.timestamp, record.timestamp_type) == (metadata.timestamp, 1)


def test_a_timestamp_more_than_an_hour_ahead_is_rejected() -> None:
    harness = Harness()
    harness.create()

    def send(ahead_ms: int) -> None:
        stamp = harness.clock_ms + ahead_ms
        harness.run(lambda library: library.KafkaProducer().send(TOPIC, b"x", timestamp_ms=stamp).get(), f"p{ahead_ms}")

    send(3_599_000)
    with pytest.raises(InvalidTimestampError):
        send(3_700_000)
    assert harness.bounds() == (0, 1)


def test_a_record_ahead_of_time_keeps_its_whole_segment() -> None:
    """The *largest* timestamp of the segment counts."""
    one = log(retention_ms="1000")
    append(one, 0)
    append(one, 5000)
    append(one, 10)
    assert not apply_retention(one, 6000)
    assert apply_retention(one, 6001)
    assert one.start_offset == one.end_offset == 3


def test_segment_ms_measured() -> None:
    """segment.ms 1000, retention.ms 2000, 20 messages a second: the start moves in steps of one segment of 20."""
    harness = Harness(**FAST_CHECKS)
    harness.create(segment_ms="1000", retention_ms="2000")
    starts = []

    def application(library: object) -> None:
        producer = library.KafkaProducer()  # type: ignore[attr-defined]
        for number in range(140):
            if number % 20 == 0:
                starts.append(harness.cluster.broker.topics[TOPIC].partitions[0].start_offset)
            producer.send(TOPIC, b"%d" % number)
            harness.sleep(0.0505)

    harness.run(application)
    assert starts == sorted(starts)
    assert all(start % 20 == 0 for start in starts)
    assert starts[:2] == [0, 0]
    assert starts[-1] in (60, 80)


def test_a_quiet_segment_does_not_roll_by_itself() -> None:
    one = log(segment_ms="1000")
    append(one, 0)
    append(one, 900)
    assert len(one.segments) == 1
    append(one, 1000)  # exactly segment.ms is not more than segment.ms
    assert len(one.segments) == 1
    append(one, 1001)
    assert [segment.base_offset for segment in one.segments] == [0, 3]


def test_size_retention_measured() -> None:
    """60 records of 200 bytes, segments of 2000 bytes, retention.bytes 6000: 35..59 remain."""
    harness = Harness(**FAST_CHECKS)
    harness.create(internal_segment_bytes="2000", retention_bytes="6000")

    def application(library: object) -> None:
        producer = library.KafkaProducer()  # type: ignore[attr-defined]
        for _ in range(60):
            producer.send(TOPIC, b"x" * 200).get()

    harness.run(application)
    harness.wait(1)
    assert harness.bounds() == (35, 60)


@pytest.mark.parametrize(
    ("retention_bytes", "start"),
    [(0, 4), (99, 3), (100, 3), (101, 2), (300, 1), (301, 0), (400, 0), (401, 0), (-1, 0)],
)
def test_size_retention_keeps_at_least_that_much(retention_bytes: int, start: int) -> None:
    """Segments of 100 bytes, one record each: delete while what remains is at least `retention.bytes`."""
    one = log(internal_segment_bytes="100", retention_bytes=str(retention_bytes))
    for stamp in range(4):
        append(one, stamp, size=100)
    apply_retention(one, 10)
    assert (one.start_offset, one.end_offset) == (start, 4)


def test_segment_bytes_below_a_mebibyte_is_rejected() -> None:
    harness = Harness()
    with pytest.raises(InvalidConfigurationError):
        harness.create(segment_bytes="100000")
    harness.create(segment_bytes="1048576")


def test_delete_records_moves_the_start_at_once() -> None:
    harness = Harness()
    harness.create()
    harness.produce(20)
    place = TopicPartition(TOPIC, 0)
    result = harness.run(lambda library: library.KafkaAdminClient().delete_records({place: 7}), "delete")
    assert result[place]["low_watermark"] == 7
    assert harness.bounds() == (7, 20)
    with pytest.raises(OffsetOutOfRangeError):
        harness.run(lambda library: library.KafkaAdminClient().delete_records({place: 21}), "too far")
    harness.run(lambda library: library.KafkaAdminClient().delete_records({place: -1}), "all")
    assert harness.bounds() == (20, 20)


def test_computed_checks_delete_what_ticking_checks_would() -> None:
    """The broker times only the checks that delete something; running every check must give the same."""
    for seed in range(30):
        dice = random.Random(seed)
        settings = {"log_retention_check_interval": 7 * SECOND, "log_initial_task_delay": 3 * SECOND}
        configs = {
            "retention_ms": str(dice.choice([-1, 5000, 20000])),
            "retention_bytes": str(dice.choice([-1, 0, 500, 2000])),
            "internal_segment_bytes": str(dice.choice([300, 1000])),
            "segment_ms": str(dice.choice([2000, 10000])),
        }
        harness = Harness(**settings)
        harness.create(**configs)
        start = harness.kernel.now
        named = {name.replace("_", "."): value for name, value in configs.items()}
        naive = Topic(TOPIC, 1, TopicConfig.of(BrokerSettings(), named)).partitions[0]
        steps = sorted(start + int(dice.random() * 120 * SECOND) // MILLISECOND * MILLISECOND for _ in range(60))
        check = 3 * SECOND
        for at in steps:
            harness.wait((at - harness.kernel.now) / SECOND)
            while check <= harness.kernel.now:
                apply_retention(naive, wall_clock_ms(check))
                check += 7 * SECOND
            broker = harness.cluster.broker
            actual = broker.topics[TOPIC].partitions[0]
            assert (actual.start_offset, actual.end_offset) == (naive.start_offset, naive.end_offset), (seed, at)
            shift = dice.choice([0, 0, -6000, 900])
            count, size = dice.randint(1, 5), dice.randint(50, 400)
            entries = [(harness.clock_ms + shift, None, b"x", [], -1, 1, -1)] * count
            request = Produce(0, [(TopicPartition(TOPIC, 0), entries, size)])
            broker.handle(request, None, harness.kernel.now)
            append(naive, harness.clock_ms + shift, count, size, harness.clock_ms)

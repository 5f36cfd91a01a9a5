"""Partitioners, and what happens when partitions are added (docs/facts/kafka.md §A.4, §C.6, §0.10)."""

import random
import zlib
from itertools import pairwise
from typing import Any

import pytest
from kafka.errors import InvalidPartitionsError
from kafka.partitioner.default import DefaultPartitioner

from tests.simulation.kafka.harness import TOPIC, Harness, read_all

KEYS = [b"key-%d" % number for number in range(40)] + [b"", b"a", b"\x00\xff", "größe".encode(), b"x" * 1000]


class Cluster:
    """`ClusterMetadata` as the real partitioner asks for it."""

    def topics(self) -> set[str]:
        return {TOPIC}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(7))

    def available_partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(7))


def placed(profile: str, keys: list[bytes | None], partitions: int = 7, **config: Any) -> list[int]:
    harness = Harness()
    harness.create(partitions)
    results: list[int] = []

    def application(library: Any) -> None:
        producer = library.KafkaProducer(**config)
        futures = [producer.send(TOPIC, b"v", key=key) for key in keys]
        producer.flush()
        results.extend(future.get().partition for future in futures)

    harness.start("producer", application, profile)
    harness.wait(10)
    assert not harness.failures
    return results


@pytest.mark.parametrize("profile", ["kafka-python", "java"])
def test_keys_go_where_kafka_pythons_own_partitioner_puts_them(profile: str) -> None:
    real = DefaultPartitioner()
    expected = [real.partition(TOPIC, key, key, b"v", b"v", Cluster()) for key in KEYS]
    assert placed(profile, list(KEYS)) == expected


def test_librdkafka_hashes_otherwise() -> None:
    assert placed("librdkafka", list(KEYS)) == [zlib.crc32(key) % 7 for key in KEYS]


def test_without_a_key_kafka_python_spreads_at_random() -> None:
    counts = placed("kafka-python", [None] * 400, 4)
    assert all(70 < counts.count(partition) < 130 for partition in range(4))


@pytest.mark.parametrize("profile", ["java", "librdkafka"])
def test_without_a_key_others_stick_to_a_partition(profile: str) -> None:
    runs = placed(profile, [None] * 100, 4)
    changes = sum(1 for one, other in pairwise(runs) if one != other)
    assert changes <= 1


def test_a_sticky_producer_moves_on_when_a_batch_is_full() -> None:
    runs = placed("java", [None] * 100, 4, batch_size=200)
    changes = sum(1 for one, other in pairwise(runs) if one != other)
    assert changes >= 3


def test_explicit_partition_wins_and_must_exist() -> None:
    harness = Harness()
    harness.create(3)

    def application(library: Any) -> int:
        producer = library.KafkaProducer()
        with pytest.raises(ValueError, match="Unrecognized partition 3"):
            producer.send(TOPIC, b"v", partition=3)
        return int(producer.send(TOPIC, b"v", key=b"key", partition=2).get().partition)

    assert harness.run(application) == 2


def grow(harness: Harness, total: int) -> None:
    harness.run(lambda library: library.KafkaAdminClient().create_partitions({TOPIC: total}), f"grow to {total}")


def test_adding_partitions_leaves_old_records_and_moves_keys() -> None:
    harness = Harness()
    harness.create(2)

    def send(library: Any) -> dict[bytes, int]:
        producer = library.KafkaProducer()
        futures = {key: producer.send(TOPIC, b"v", key=key) for key in KEYS}
        producer.flush()
        return {key: future.get().partition for key, future in futures.items()}

    before = harness.run(send, "before")
    grow(harness, 5)
    after = harness.run(send, "after")
    assert max(before.values()) == 1
    assert max(after.values()) == 4
    moved = sum(1 for key in KEYS if before[key] != after[key])
    assert 0.6 < moved / len(KEYS) < 0.95  # 4 in 5 are expected to move from 2 to 5
    records = harness.run(lambda library: read_all(library, TOPIC, 5), "read")
    assert len(records) == 2 * len(KEYS)
    with pytest.raises(InvalidPartitionsError):
        grow(harness, 5)


def test_a_running_producer_learns_of_new_partitions_at_its_metadata_refresh() -> None:
    harness = Harness()
    harness.create(1)
    seen: list[tuple[float, int]] = []

    def application(library: Any) -> None:
        producer = library.KafkaProducer(metadata_max_age_ms=60_000)
        for number in range(100):
            seen.append((harness.seconds, producer.send(TOPIC, b"v", key=b"key-%d" % number).get().partition))
            harness.sleep(1)

    harness.start("producer", application)
    harness.wait(5)
    grow(harness, 10)
    harness.wait(200)
    first = min(at for at, partition in seen if partition > 0)
    assert 60 <= first < 66


@pytest.mark.parametrize(("policy", "seen"), [("latest", [10, 11, 12]), ("earliest", list(range(13)))])
def test_late_discovery(policy: str, seen: list[int]) -> None:
    """Records written to a new partition before the group discovers it: a `latest` consumer skips them (§0.10)."""
    harness = Harness(seed=3)
    harness.create(1)
    got: list[int] = []

    def consumer(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, group_id="group", auto_offset_reset=policy)
        while True:
            for partition, records in consumer.poll(500).items():
                got.extend(int(record.value) for record in records if partition.partition == 1)

    def produce(library: Any) -> None:
        producer = library.KafkaProducer()
        for number in range(13):
            if number == 10:
                harness.sleep(400)
            producer.send(TOPIC, b"%d" % number, partition=1)
        producer.close()

    harness.start("consumer", consumer)
    harness.wait(30)
    grow(harness, 2)
    harness.start("producer", produce)
    harness.wait(200)
    assert got == []  # metadata_max_age_ms is five minutes
    harness.wait(400)
    assert got == seen


def test_discovery_is_by_the_leader_and_rebalances_all() -> None:
    harness = Harness()
    harness.create(2)
    owned: dict[str, int] = {}

    def consumer(name: str) -> Any:
        def application(library: Any) -> None:
            consumer = library.KafkaConsumer(TOPIC, group_id="group", client_id=name, metadata_max_age_ms=30_000)
            while True:
                consumer.poll(500)
                owned[name] = len(consumer.assignment())

        return application

    for name in ("one", "two"):
        harness.start(name, consumer(name))
    harness.wait(20)
    assert owned == {"one": 1, "two": 1}
    grow(harness, 6)
    harness.wait(60)
    assert owned == {"one": 3, "two": 3}


def test_keyless_choice_is_drawn_from_the_seed() -> None:
    assert placed("kafka-python", [None] * 20) == placed("kafka-python", [None] * 20)
    assert random.Random(1).random() != random.Random(2).random()

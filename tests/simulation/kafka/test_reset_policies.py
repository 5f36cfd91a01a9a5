"""Where a consumer starts: docs/facts/kafka.md §B.4, the measured table and its neighbours."""

from typing import Any

import pytest
from kafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from tests.simulation.kafka.harness import TOPIC, Harness


def expired(policy: str) -> tuple[Harness, dict[str, Any]]:
    """Committed 10, log 60..99."""
    harness = Harness()
    harness.create()
    harness.produce(100)

    def arrange(library: Any) -> None:
        place = library.TopicPartition(TOPIC, 0)
        with library.KafkaConsumer(group_id="group", enable_auto_commit=False) as consumer:
            consumer.assign([place])
            consumer.commit({place: library.OffsetAndMetadata(10, "", -1)})
        library.KafkaAdminClient().delete_records({place: 60})

    harness.run(arrange)
    return harness, {"group_id": "group", "auto_offset_reset": policy}


def first_record(harness: Harness, config: dict[str, Any]) -> int:
    """The offset of the first record seen; ten more are produced while the consumer waits."""

    def application(library: Any) -> int:
        consumer = library.KafkaConsumer(TOPIC, **config)
        for record in consumer:
            consumer.close(autocommit=False)
            return int(record.offset)
        raise AssertionError

    def produce_later(library: Any) -> None:
        harness.sleep(10)
        producer = library.KafkaProducer()
        for number in range(10):
            producer.send(TOPIC, b"%d" % number, partition=0)
        producer.close()

    harness.start("later", produce_later)
    return int(harness.run(application, "consumer"))


@pytest.mark.parametrize(("policy", "first"), [("earliest", 60), ("smallest", 60), ("latest", 100), ("largest", 100)])
def test_expired_committed_offset(policy: str, first: int) -> None:
    assert first_record(*expired(policy)) == first


@pytest.mark.parametrize("policy", ["none", "by_duration:PT1M", "erliest"])
def test_none_and_typos_raise(policy: str) -> None:
    harness, config = expired(policy)
    with pytest.raises(OffsetOutOfRangeError) as raised:
        first_record(harness, config)
    assert raised.value.args[0] == {(TOPIC, 0): 10}


@pytest.mark.parametrize("policy", ["none", "by_duration:PT1M"])
def test_none_without_a_committed_offset(policy: str) -> None:
    harness, config = expired(policy)
    with pytest.raises(NoOffsetForPartitionError):
        first_record(harness, {**config, "group_id": "another"})


@pytest.mark.parametrize(("policy", "first"), [("earliest", 60), ("latest", 100)])
def test_no_committed_offset(policy: str, first: int) -> None:
    harness, config = expired(policy)
    assert first_record(harness, {**config, "group_id": "another"}) == first


def test_latest_is_the_default() -> None:
    harness, _ = expired("latest")
    assert first_record(harness, {"group_id": "another"}) == 100


def test_a_committed_offset_beyond_the_end_becomes_a_reset() -> None:
    harness, config = expired("earliest")

    def commit_far(library: Any) -> None:
        place = library.TopicPartition(TOPIC, 0)
        consumer = library.KafkaConsumer(group_id="group", enable_auto_commit=False)
        consumer.commit({place: library.OffsetAndMetadata(999, "", -1)})
        consumer.close()

    harness.run(commit_far)
    assert first_record(harness, config) == 60


def test_a_running_consumer_that_retention_overtakes() -> None:
    """Its position falls below the log start offset while it sleeps; what it has prefetched it still hands out."""
    harness = Harness()
    harness.create()
    harness.produce(100)

    def application(library: Any) -> list[int]:
        place = library.TopicPartition(TOPIC, 0)
        consumer = library.KafkaConsumer(auto_offset_reset="earliest", max_poll_records=10, fetch_max_bytes=100)
        consumer.assign([place])
        consumer.seek(place, 5)
        library.KafkaAdminClient().delete_records({place: 60})
        return [record.offset for record in next(iter(consumer.poll(5000).values()))]

    assert harness.run(application)[0] == 60

"""`KafkaConsumer` beside groups and commits: fetching, positions, pausing, iterating, the admin client."""

from typing import Any

import pytest
from kafka.errors import (
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)

from mqverify.simulation.kafka.protocol import Fetch
from tests.simulation.kafka.harness import TOPIC, Harness, produce


@pytest.fixture
def harness() -> Harness:
    made = Harness()
    made.create(2)
    made.produce(100)
    return made


def reader(library: Any, **config: Any) -> tuple[Any, Any]:
    consumer = library.KafkaConsumer(auto_offset_reset="earliest", **config)
    place = library.TopicPartition(TOPIC, 0)
    consumer.assign([place])
    return consumer, place


def numbers(batches: dict[Any, list[Any]]) -> list[int]:
    return [int(record.value) for records in batches.values() for record in records]


def test_poll_hands_out_what_was_prefetched(harness: Harness) -> None:
    fetches: list[Fetch] = []
    broker = harness.cluster.broker
    handler = broker._handlers[Fetch]

    def spy(request: Any, token: Any, now: int) -> None:
        fetches.append(request)
        handler(request, token, now)

    broker._handlers[Fetch] = spy

    def application(library: Any) -> None:
        consumer, place = reader(library, max_poll_records=30)
        assert numbers(consumer.poll(1000)) == list(range(30))
        assert consumer.position(place) == 30
        assert numbers(consumer.poll(1000)) == list(range(30, 60))
        assert numbers(consumer.poll(1000, max_records=10)) == list(range(60, 70))
        assert numbers(consumer.poll(0)) == list(range(70, 100))
        assert len([fetch for fetch in fetches if fetch.positions == [(place, 0)]]) == 1
        assert consumer.highwater(place) == 100

    harness.run(application)


def test_a_poll_without_data_takes_its_time(harness: Harness) -> None:
    def application(library: Any) -> float:
        consumer, place = reader(library)
        consumer.seek_to_end(place)
        assert consumer.poll(100) == {}
        began = harness.seconds
        assert consumer.poll(700) == {}
        return harness.seconds - began

    assert harness.run(application) == pytest.approx(0.7)


def test_poll_0_does_not_stand_still_in_time(harness: Harness) -> None:
    def application(library: Any) -> list[int]:
        consumer, _ = reader(library)
        while True:
            found = consumer.poll(0)
            if found:
                return numbers(found)

    assert harness.run(application)[0] == 0


def test_a_waiting_poll_is_woken_by_data(harness: Harness) -> None:
    def application(library: Any) -> float:
        consumer, place = reader(library)
        consumer.seek_to_end(place)
        assert numbers(consumer.poll(60_000)) == [100]
        return harness.seconds

    def later(library: Any) -> None:
        harness.sleep(20)
        produce(library, TOPIC, 1, 100)

    due = harness.seconds + 20
    harness.start("later", later)
    assert due < harness.run(application) < due + 0.2


def test_fetch_max_wait_and_min_bytes(harness: Harness) -> None:
    """A fetch for more bytes than there are is answered when its wait is over."""

    def application(library: Any) -> float:
        consumer, _ = reader(library, fetch_min_bytes=1_000_000, fetch_max_wait_ms=2000)
        began = harness.seconds
        assert len(numbers(consumer.poll(10_000))) == 100
        return harness.seconds - began

    assert harness.run(application) == pytest.approx(2.2, abs=0.05)


def test_max_partition_fetch_bytes_gives_whole_batches_but_at_least_one() -> None:
    harness = Harness()
    harness.create(1)

    def application(library: Any) -> None:
        producer = library.KafkaProducer()
        for _ in range(10):
            producer.send(TOPIC, b"x" * 1000).get()
        consumer, place = reader(library, max_partition_fetch_bytes=2500)
        assert len(consumer.poll(1000)[place]) == 2
        small, _ = reader(library, max_partition_fetch_bytes=10)
        assert len(small.poll(1000)[place]) == 1

    harness.run(application)


def test_seek_and_position(harness: Harness) -> None:
    def application(library: Any) -> None:
        consumer, place = reader(library, max_poll_records=5)
        assert consumer.position(place) == 0
        consumer.seek(place, 50)
        assert consumer.position(place) == 50
        assert numbers(consumer.poll(1000)) == [50, 51, 52, 53, 54]
        consumer.seek(place, 10)  # what is buffered behind 55 is of no use any more
        assert numbers(consumer.poll(1000)) == [10, 11, 12, 13, 14]
        consumer.seek_to_end(place)
        assert consumer.position(place) == 100
        consumer.seek_to_beginning()
        assert numbers(consumer.poll(1000)) == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="Offset must be"):
            consumer.seek(place, -1)
        other = library.TopicPartition(TOPIC, 1)
        with pytest.raises(ValueError, match="Unassigned"):
            consumer.seek_to_end(other)
        with pytest.raises(IllegalStateError):
            consumer.position(other)

    harness.run(application)


def test_offsets_of_partitions_not_assigned(harness: Harness) -> None:
    def application(library: Any) -> None:
        consumer = library.KafkaConsumer()
        places = [library.TopicPartition(TOPIC, number) for number in range(2)]
        assert consumer.beginning_offsets(places) == dict.fromkeys(places, 0)
        assert list(consumer.end_offsets(places).values()) == [100, 0]
        [record] = consumer.offsets_for_times({places[0]: 0}).values()
        assert (record.offset, record.timestamp) == (0, pytest.approx(harness.clock_ms, abs=1000))
        assert consumer.offsets_for_times({places[1]: 0}) == {places[1]: None}
        with pytest.raises(KafkaTimeoutError):
            consumer.end_offsets([library.TopicPartition("nowhere", 0)], timeout_ms=1000)
        assert consumer.partitions_for_topic(TOPIC) == {0, 1}
        assert consumer.topics() == {TOPIC}

    harness.run(application)


def test_paused_partitions_are_neither_fetched_nor_handed_out(harness: Harness) -> None:
    def application(library: Any) -> None:
        consumer, place = reader(library, max_poll_records=10)
        assert len(numbers(consumer.poll(1000))) == 10
        consumer.pause(place)
        assert consumer.paused() == {place}
        assert consumer.poll(1000) == {}
        consumer.resume(place)
        assert numbers(consumer.poll(1000)) == list(range(10, 20))

    harness.run(application)


def test_iterating_ends_after_consumer_timeout(harness: Harness) -> None:
    def application(library: Any) -> float:
        consumer, place = reader(library, consumer_timeout_ms=3000)
        assert [record.offset for record in consumer] == list(range(100))
        assert consumer.position(place) == 100
        return harness.seconds

    began = harness.seconds
    assert harness.run(application) == pytest.approx(began + 3, abs=0.3)


def test_iterating_moves_the_position_with_each_record(harness: Harness) -> None:
    def application(library: Any) -> None:
        consumer, place = reader(library)
        for record in consumer:
            assert consumer.position(place) == record.offset + 1
            if record.offset == 30:
                break
        assert next(consumer).offset == 31
        consumer.seek(place, 90)
        assert next(consumer).offset == 90

    harness.run(application)


def test_without_a_group_subscribe_reads_all_partitions(harness: Harness) -> None:
    def application(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, auto_offset_reset="earliest")
        assert len(numbers(consumer.poll(2000))) == 100
        assert len(consumer.assignment()) == 2
        with pytest.raises(IllegalStateError):
            consumer.commit()

    harness.run(application)


def test_a_pattern_finds_topics() -> None:
    harness = Harness()
    for topic in ("orders.eu", "orders.us", "bills"):
        harness.create(1, topic)
        harness.produce(3, topic)

    def application(library: Any) -> set[str]:
        library.may_idle = lambda: False  # it looks at the time between polls
        consumer = library.KafkaConsumer(group_id="group", auto_offset_reset="earliest")
        consumer.subscribe(pattern="^orders\\..*")
        topics: set[str] = set()
        until = harness.seconds + 10
        while harness.seconds < until:
            topics |= {partition.topic for partition in consumer.poll(500)}
        return topics

    assert harness.run(application) == {"orders.eu", "orders.us"}


def test_deserializers(harness: Harness) -> None:
    def application(library: Any) -> list[Any]:
        consumer, _ = reader(library, value_deserializer=lambda data: int(data), max_poll_records=3)
        return [record.value for records in consumer.poll(1000).values() for record in records]

    assert harness.run(application) == [0, 1, 2]


def test_a_standalone_consumer_cannot_commit_into_an_active_group(harness: Harness) -> None:
    """kafka-python raises CommitFailedError(UnknownMemberId); alter_group_offsets tells it per partition (§C.1)."""

    def member(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, group_id="group")
        while True:
            consumer.poll(500)

    def application(library: Any) -> None:
        consumer, place = reader(library, group_id="group", enable_auto_commit=False)
        offsets = {place: library.OffsetAndMetadata(5, "", -1)}
        with pytest.raises(library.errors.CommitFailedError):
            consumer.commit(offsets)
        admin = library.KafkaAdminClient()
        assert admin.alter_group_offsets("group", offsets) == {place: UnknownMemberIdError}
        assert admin.alter_group_offsets("other", offsets) == {place: library.errors.NoError}
        assert admin.list_group_offsets("other")["other"][place].offset == 5

    harness.start("member", member)
    harness.wait(5)
    harness.run(application)


def test_configuration_is_kafka_pythons(harness: Harness) -> None:
    def application(library: Any) -> None:
        with pytest.raises(KafkaConfigurationError, match="Unrecognized configs"):
            library.KafkaConsumer(gruop_id="group")
        with pytest.raises(KafkaConfigurationError, match="Heartbeat interval"):
            library.KafkaConsumer(group_id="group", session_timeout_ms=6000, heartbeat_interval_ms=6000)
        with pytest.raises(KafkaConfigurationError, match="fetch_max_wait_ms"):
            library.KafkaConsumer(fetch_max_wait_ms=40_000)
        consumer = library.KafkaConsumer(TOPIC)
        with pytest.raises(IllegalStateError):
            consumer.assign([library.TopicPartition(TOPIC, 0)])
        consumer = library.KafkaConsumer()
        consumer.close()
        with pytest.raises(IllegalStateError):
            consumer.poll()

    harness.run(application)


def test_admin_client(harness: Harness) -> None:
    def application(library: Any) -> None:
        admin = library.KafkaAdminClient()
        with pytest.raises(TopicAlreadyExistsError):
            admin.create_topics([TOPIC])
        assert admin.create_topics([TOPIC], raise_errors=False)["topics"][0]["error_code"] == 36
        admin.create_topics({"other": {"num_partitions": 3, "configs": {"retention.ms": "1000"}}})
        assert sorted(admin.list_topics()) == [TOPIC, "other"]
        [described] = admin.describe_topics(["other"])
        assert [partition["partition_index"] for partition in described["partitions"]] == [0, 1, 2]
        assert admin.describe_configs(["other"])["other"]["retention.ms"] == "1000"
        admin.delete_topics(["other"])
        with pytest.raises(UnknownTopicOrPartitionError):
            admin.delete_topics(["other"])
        with pytest.raises(KafkaConfigurationError):
            library.KafkaAdminClient(nonsense=1)
        admin.close()

    harness.run(application)

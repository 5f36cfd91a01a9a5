"""`KafkaProducer`: batches, order, acknowledgements, errors, the end."""

from typing import Any

import pytest
from kafka.errors import (
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
)

from mqverify.simulation.kafka.protocol import Produce
from tests.simulation.kafka.harness import TOPIC, Harness, read_all


@pytest.fixture
def harness() -> Harness:
    made = Harness()
    made.create(2)
    return made


def requests(harness: Harness) -> list[Produce]:
    """Every produce request that the broker gets from now on."""
    seen: list[Produce] = []
    broker = harness.cluster.broker
    handle = broker.handle

    def spy(request: Any, token: Any, now: int) -> None:
        if isinstance(request, Produce):
            seen.append(request)
        handle(request, token, now)

    broker.handle = spy  # type: ignore[method-assign]
    return seen


def test_a_future_brings_kafka_pythons_metadata(harness: Harness) -> None:
    def application(library: Any) -> Any:
        producer = library.KafkaProducer()
        future = producer.send(TOPIC, b"value", key=b"key", partition=1, headers=[("name", b"x")], timestamp_ms=1234567)
        assert not future.is_done
        assert not future.succeeded()
        metadata = future.get(timeout=10)
        assert future.succeeded()
        assert not future.failed()
        return metadata

    metadata = harness.run(application)
    assert metadata.topic_partition == (TOPIC, 1)
    assert (metadata.offset, metadata.timestamp) == (0, 1234567)
    assert (metadata.serialized_key_size, metadata.serialized_value_size, metadata.serialized_header_size) == (3, 5, 5)
    [record] = harness.run(lambda library: read_all(library, TOPIC, 2), "read")
    assert (record.key, record.value, record.headers, record.timestamp) == (b"key", b"value", [("name", b"x")], 1234567)
    assert (record.serialized_key_size, record.serialized_value_size, record.serialized_header_size) == (3, 5, 5)


def test_callbacks_come_in_the_order_of_the_sends_and_also_afterwards(harness: Harness) -> None:
    told: list[Any] = []

    def application(library: Any) -> None:
        producer = library.KafkaProducer()
        futures = [producer.send(TOPIC, b"%d" % number, partition=0) for number in range(5)]
        for number, future in enumerate(futures):
            future.add_callback(lambda n, metadata: told.append((n, metadata.offset)), number)
            future.add_errback(told.append)
        producer.flush()
        futures[0].add_callback(lambda metadata: told.append("late"))

    harness.run(application)
    assert told == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), "late"]


def test_an_idempotent_producer_has_one_batch_of_a_partition_in_flight(harness: Harness) -> None:
    """With linger 0 the first record leaves alone; what is sent until its answer makes the next batch."""
    seen = requests(harness)

    def application(library: Any) -> None:
        producer = library.KafkaProducer()
        for number in range(100):
            producer.send(TOPIC, b"%d" % number, partition=0)
            harness.sleep(20e-6)
        producer.close()

    harness.run(application)
    sizes = [len(entries) for request in seen for _, entries, _ in request.batches]
    assert sizes[0] == 1
    assert sum(sizes) == 100
    assert 3 <= len(sizes) <= 20


def test_without_idempotence_up_to_five_requests_are_in_flight(harness: Harness) -> None:
    seen = requests(harness)

    def application(library: Any) -> None:
        producer = library.KafkaProducer(enable_idempotence=False)
        for number in range(10):
            producer.send(TOPIC, b"%d" % number, partition=0)
            harness.sleep(20e-6)
        producer.close()

    harness.run(application)
    sizes = [len(entries) for request in seen for _, entries, _ in request.batches]
    assert sizes[:5] == [1, 1, 1, 1, 1]
    assert sizes[5] > 1


def test_batches_are_closed_when_full(harness: Harness) -> None:
    seen = requests(harness)

    def application(library: Any) -> None:
        producer = library.KafkaProducer(batch_size=1000)
        for _ in range(20):
            producer.send(TOPIC, b"x" * 200, partition=0)
        producer.close()

    harness.run(application)
    assert [len(entries) for request in seen for _, entries, _ in request.batches] == [4, 4, 4, 4, 4]
    assert all(size <= 1000 for request in seen for _, _, size in request.batches)


def test_linger_collects(harness: Harness) -> None:
    seen = requests(harness)

    def application(library: Any) -> float:
        producer = library.KafkaProducer(linger_ms=50)
        producer.partitions_for(TOPIC)
        began = harness.seconds
        futures = []
        for number in range(10):
            futures.append(producer.send(TOPIC, b"%d" % number, partition=0))
            harness.sleep(0.001)
        futures[0].get()
        return harness.seconds - began

    assert 0.05 <= harness.run(application) < 0.052
    assert [len(entries) for request in seen for _, entries, _ in request.batches] == [10]


@pytest.mark.parametrize(("profile", "offset"), [("kafka-python", 0), ("java", -1), ("librdkafka", -1)])
def test_acks_0_is_done_when_sent_and_learns_no_offset(harness: Harness, profile: str, offset: int) -> None:
    """kafka-python 3.0.12 tells 0, which is not where the record lies (measured on a real broker)."""
    harness.produce(5)
    told: list[int] = []

    def application(library: Any) -> None:
        producer = library.KafkaProducer(acks=0)
        told.append(producer.send(TOPIC, b"x", partition=0).get(timeout=1).offset)

    harness.start("producer", application, profile)
    harness.wait(1)
    assert told == [offset]
    assert harness.bounds() == (0, 6)


def test_acks_0_does_not_see_errors(harness: Harness) -> None:
    ahead = harness.clock_ms + 7_200_000

    def application(library: Any) -> Any:
        return library.KafkaProducer(acks=0).send(TOPIC, b"x", partition=0, timestamp_ms=ahead).get()

    assert harness.run(application) is not None
    assert harness.bounds() == (0, 0)


def test_a_message_too_large_is_refused_by_the_client(harness: Harness) -> None:
    def application(library: Any) -> None:
        producer = library.KafkaProducer()
        with pytest.raises(MessageSizeTooLargeError):
            producer.send(TOPIC, b"x" * 1_048_577)
        with pytest.raises(MessageSizeTooLargeError):
            library.KafkaProducer(max_request_size=100_000_000).send(TOPIC, b"x" * 1_100_000).get()

    harness.run(application)


def test_acks_all_needs_min_insync_replicas() -> None:
    """It is refused, and tried again until the delivery time-out, which hides the reason (docs/facts/kafka.md §A.2)."""
    harness = Harness()
    harness.create(1, min_insync_replicas="2")

    def application(library: Any) -> None:
        with pytest.raises(KafkaTimeoutError, match="Expiring 1 record"):
            library.KafkaProducer().send(TOPIC, b"x").get()
        library.KafkaProducer(acks=1).send(TOPIC, b"y").get()

    harness.run(application)


def test_a_topic_that_is_not_there_comes_to_be_unless_forbidden() -> None:
    harness = Harness()
    assert harness.run(lambda library: library.KafkaProducer().send("new", b"x").get().offset) == 0
    forbidden = Harness(auto_create_topics_enable=False)

    def application(library: Any) -> float:
        began = forbidden.seconds
        with pytest.raises(KafkaTimeoutError):
            library.KafkaProducer().send("new", b"x")
        return forbidden.seconds - began

    assert forbidden.run(application) == pytest.approx(60, abs=0.2)


def test_what_is_not_flushed_dies_with_the_process(harness: Harness) -> None:
    def application(library: Any) -> None:
        producer = library.KafkaProducer(linger_ms=1000)
        for _ in range(100):
            producer.send(TOPIC, b"x", partition=0)
        library.process.kill()

    harness.start("producer", application)
    harness.wait(10)
    assert harness.bounds() == (0, 0)


def test_what_is_on_its_way_arrives_although_the_process_dies(harness: Harness) -> None:
    def application(library: Any) -> None:
        producer = library.KafkaProducer()
        producer.send(TOPIC, b"x", partition=0)
        harness.sleep(20e-6)
        library.process.kill()

    harness.run(lambda library: library.KafkaProducer().partitions_for(TOPIC), "warm")
    harness.start("producer", application)
    harness.wait(1)
    assert harness.bounds() == (0, 1)


def test_close_flushes_and_then_nothing_can_be_sent(harness: Harness) -> None:
    def application(library: Any) -> None:
        with library.KafkaProducer(linger_ms=10_000) as producer:
            future = producer.send(TOPIC, b"x", partition=0)
        assert future.succeeded()
        with pytest.raises(IllegalStateError):
            producer.send(TOPIC, b"x")

    harness.run(application)


def test_get_times_out(harness: Harness) -> None:
    def application(library: Any) -> None:
        with pytest.raises(KafkaTimeoutError):
            library.KafkaProducer(linger_ms=10_000).send(TOPIC, b"x").get(timeout=1)

    harness.run(application)


def test_configuration_is_kafka_pythons(harness: Harness) -> None:
    def application(library: Any) -> None:
        with pytest.raises(ValueError, match="Unrecognized configs"):
            library.KafkaProducer(akcs="all")
        with pytest.raises(KafkaConfigurationError, match="incompatible"):
            library.KafkaProducer(acks=1, enable_idempotence=True)
        assert library.KafkaProducer(acks=1).config["enable_idempotence"] is False
        assert library.KafkaProducer(max_in_flight_requests_per_connection=6).config["enable_idempotence"] is False
        defaults = library.KafkaProducer().config
        assert (defaults["acks"], defaults["enable_idempotence"], defaults["linger_ms"]) == (-1, True, 0)

    harness.run(application)


def test_serializers_and_wrong_types(harness: Harness) -> None:
    def application(library: Any) -> None:
        producer = library.KafkaProducer(value_serializer=lambda text: text.encode())
        producer.send(TOPIC, "grün", partition=0).get()
        plain = library.KafkaProducer()
        with pytest.raises(TypeError):
            plain.send(TOPIC, "text")
        with pytest.raises(ValueError, match="key or value"):
            plain.send(TOPIC)
        with pytest.raises(TypeError):
            plain.send(TOPIC, b"x", headers=[("a", "b")])

    harness.run(application)
    [record] = harness.run(lambda library: read_all(library, TOPIC, 2), "read")
    assert record.value == "grün".encode()

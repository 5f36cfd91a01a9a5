"""A lost reply, and what a producer makes of it: docs/facts/kafka.md §A.3, measured with a TCP proxy."""

from typing import Any

import pytest
from kafka.errors import NotEnoughReplicasError, OutOfOrderSequenceNumberError

from mqverify.simulation.kafka import protocol as api
from mqverify.simulation.kernel import SECOND
from tests.simulation.kafka.harness import TOPIC, Harness, read_all


def log(harness: Harness) -> str:
    records = harness.run(lambda library: read_all(library, TOPIC, 1), f"read {harness.seconds}")
    return " ".join(record.value.decode() for record in records)


def sent_into_the_void(profile: str = "kafka-python", seed: int = 0, **config: Any) -> tuple[str, list[Any], list[str]]:
    """A record `w` that is acknowledged; then `0` to `4` at once, the first reply of which is lost.

    What the log holds, the outcomes of the futures, and whom the fault struck.
    """
    harness = Harness(seed)
    harness.create()
    struck: list[str] = []

    def application(library: Any) -> list[Any]:
        producer = library.KafkaProducer(**config)
        producer.send(TOPIC, b"w", partition=0).get()
        harness.cluster.lose(frozenset({"producer-1"}), "producer", struck.append)
        futures = []
        for number in range(5):
            futures.append(producer.send(TOPIC, b"%d" % number, partition=0))
            harness.sleep(20e-6)
        producer.flush()
        producer.close()
        return [future.exception for future in futures]

    outcomes = harness.run(application, "producer-1#1", profile)
    harness.wait(1)  # nobody waits for what is sent with acks=0
    return log(harness), outcomes, struck


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("profile", "config", "expected"),
    [
        ("kafka-python", {"enable_idempotence": False}, "w 0 1 2 3 4 4 3 2 1 0"),
        (
            "kafka-python",
            {"enable_idempotence": False, "max_in_flight_requests_per_connection": 1},
            "w 0 0 1 2 3 4",
        ),
        ("kafka-python", {}, "w 0 1 2 3 4"),
        ("kafka-python", {"acks": 0}, "w 0 1 2 3 4"),
        ("librdkafka", {}, "w 0 1 2 3 4 0 1 2 3 4"),
        ("librdkafka", {"enable_idempotence": True, "max_in_flight_requests_per_connection": 5}, "w 0 1 2 3 4"),
    ],
    ids=["idempotence off", "one in flight", "idempotent", "acks 0", "librdkafka off", "librdkafka on"],
)
def test_the_matrix_of_lost_acknowledgements(profile: str, config: Any, expected: str, seed: int) -> None:
    found, outcomes, struck = sent_into_the_void(profile, seed, **config)
    assert found == expected
    assert outcomes == [None] * 5
    assert struck == ["producer-1"]


def test_librdkafka_puts_batches_back_where_their_messages_belong() -> None:
    """Several batches in flight at once: their order is kept, unlike at the front of the queue."""
    found, _, _ = sent_into_the_void("librdkafka", linger_ms=0)
    assert found == "w 0 1 2 3 4 0 1 2 3 4"


def refuse_once(harness: Harness, error: type[Exception]) -> None:
    """The broker refuses the next batch of records, and nothing else."""
    broker = harness.cluster.broker
    append = broker._append

    def refusing(*arguments: Any) -> api.Produced:
        broker._append = append  # type: ignore[method-assign]
        return api.Produced(error, -1, -1)

    broker._append = refusing  # type: ignore[method-assign]


def test_a_retry_lands_behind_what_was_in_flight() -> None:
    """§A.3, measured with an injected NOT_ENOUGH_REPLICAS on the first of 8: idempotence off, five in flight."""
    harness = Harness()
    harness.create()

    def application(library: Any) -> None:
        producer = library.KafkaProducer(enable_idempotence=False)
        producer.partitions_for(TOPIC)
        refuse_once(harness, NotEnoughReplicasError)
        for number in range(5):
            producer.send(TOPIC, b"%d" % number, partition=0)
            harness.sleep(20e-6)
        harness.sleep(0.02)
        for number in range(5, 8):
            producer.send(TOPIC, b"%d" % number, partition=0)
        producer.close()

    harness.run(application)
    assert log(harness) == "1 2 3 4 0 5 6 7"


def test_without_retries_the_error_is_the_applications() -> None:
    harness = Harness()
    harness.create()

    def application(library: Any) -> Any:
        producer = library.KafkaProducer(enable_idempotence=False, retries=0)
        producer.partitions_for(TOPIC)
        refuse_once(harness, NotEnoughReplicasError)
        future = producer.send(TOPIC, b"0", partition=0)
        producer.close()
        return future.exception

    assert isinstance(harness.run(application), NotEnoughReplicasError)
    assert log(harness) == ""


def test_after_a_sequence_out_of_order_a_new_producer_id_is_taken() -> None:
    """KIP-360: the batch fails, what was not sent yet goes on under the next id."""
    harness = Harness()
    harness.create()

    def application(library: Any) -> Any:
        producer = library.KafkaProducer()
        producer.send(TOPIC, b"w", partition=0).get()
        refuse_once(harness, OutOfOrderSequenceNumberError)
        failing = producer.send(TOPIC, b"0", partition=0)
        harness.sleep(20e-6)
        following = producer.send(TOPIC, b"1", partition=0)
        producer.close()
        return failing.exception, following.exception

    failed, followed = harness.run(application)
    assert isinstance(failed, OutOfOrderSequenceNumberError)
    assert followed is None
    assert log(harness) == "w 1"


def test_a_producer_that_rested_for_a_day_is_not_known_any_more() -> None:
    """`producer.id.expiration.ms`: a lost reply then duplicates in spite of idempotence (§H 40)."""
    harness = Harness(producer_id_expiration=60 * SECOND)
    harness.create()
    broker = harness.cluster.broker
    [partition] = list(broker.logs)
    entry = (harness.clock_ms, None, b"x", [], -1, 1, -1)

    def produce(origin: Any) -> Any:
        replies: list[Any] = []
        broker._reply, kept = (lambda _, reply: replies.append(reply)), broker._reply
        broker.handle(api.Produce(-1, [(partition, [entry], 70)], [origin]), None, harness.kernel.now)
        broker._reply = kept
        return replies[0][0]

    assert produce((7, 0, 0)).base_offset == 0
    assert produce((7, 0, 0)).base_offset == 0, "the same again"
    for sequence in range(1, 6):
        assert produce((7, 0, sequence)).base_offset == sequence
    assert produce((7, 0, 1)).base_offset == 1, "the last five batches are known"
    assert produce((7, 0, 0)).error is OutOfOrderSequenceNumberError, "and no more"
    assert produce((7, 0, 9)).error is OutOfOrderSequenceNumberError, "a gap"
    assert produce((7, 1, 3)).error is OutOfOrderSequenceNumberError, "a new epoch begins at 0"
    harness.wait(61)
    assert produce((7, 0, 5)).base_offset == 6, "nobody knows the producer any more: a duplicate"

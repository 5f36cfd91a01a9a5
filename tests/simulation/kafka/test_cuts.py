"""Clients of a network that is cut or slow: docs/facts/kafka.md §C.5, §A.3, and kafka-python 3.0.12's `kafka/net`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    RetriableError,
)

from mqverify.simulation.kernel import SECOND
from tests.simulation.kafka.harness import TOPIC, Harness, read_all

BOTH_WAYS = [("consumer-1", "broker"), ("broker", "consumer-1")]


@contextmanager
def cut(harness: Harness, *ways: tuple[str, str]) -> Iterator[None]:
    network = harness.cluster.network
    cuts = [network.cut([source], [destination]) for source, destination in ways]
    yield
    for one in cuts:
        network.lift(one)


def values(harness: Harness) -> list[int]:
    records = harness.run(lambda library: read_all(library, TOPIC, 1), f"read {harness.seconds}")
    return [int(record.value) for record in records]


def test_a_consumer_that_is_cut_off_goes_on_with_what_it_has_and_its_commits_fail() -> None:
    """§C.5: a zombie with prefetch. Both handle records, at one time; its commits time out, then are refused."""
    harness = Harness(group_min_session_timeout=SECOND)
    harness.create()
    harness.produce(200)
    handled: list[tuple[str, int, float]] = []
    refused: list[type[Exception]] = []
    group = {
        "group_id": "group", "auto_offset_reset": "earliest", "enable_auto_commit": False, "max_poll_records": 10,
        "session_timeout_ms": 3000, "heartbeat_interval_ms": 750,
    }  # fmt: skip

    def consumer(name: str) -> Callable[[Any], None]:
        def application(library: Any) -> None:
            consumer = library.KafkaConsumer(TOPIC, **group)
            while True:
                for partition, records in consumer.poll(500).items():
                    for record in records:
                        harness.sleep(0.02)
                        handled.append((name, int(record.value), harness.seconds))
                    behind = library.OffsetAndMetadata(records[-1].offset + 1, "", -1)
                    try:
                        consumer.commit({partition: behind}, timeout_ms=1000)
                    except KafkaError as error:
                        if name == "A":
                            refused.append(type(error))

        return application

    def watch(_: Any) -> None:
        harness.start("consumer-1#1", consumer("A"))
        harness.sleep(0.1)  # the first to join leads the group, and range gives it the one partition
        harness.start("consumer-2#1", consumer("B"))
        while len(handled) < 40:
            harness.sleep(0.01)
        assert {name for name, _, _ in handled} == {"A"}
        with cut(harness, *BOTH_WAYS):
            harness.sleep(9)
        healed.append(harness.seconds)
        harness.sleep(20)

    healed: list[float] = []
    harness.run(watch)
    of_a, of_b = ({number: at for name, number, at in handled if name == who} for who in "AB")
    twice = [number for number in of_a if number in of_b]
    assert len(twice) >= 30, "handled by both"
    assert refused[0] is KafkaTimeoutError, "during the cut nobody answers"
    assert refused[-1] is CommitFailedError, "the group had put it out"
    assert set(refused) == {KafkaTimeoutError, CommitFailedError}
    assert refused == sorted(refused, key=[KafkaTimeoutError, CommitFailedError].index)
    first_of_b = next(at for name, _, at in handled if name == "B")
    last_of_a = max(at for name, number, at in handled if name == "A" and number in twice)
    assert first_of_b < last_of_a < healed[0] + 1, "interleaved: the zombie still handles when the other has begun"
    assert set(of_a) | set(of_b) == set(range(200))
    assert min(of_b) <= min(twice), "the other began where the last good commit was"


@pytest.mark.parametrize("ways", [BOTH_WAYS, BOTH_WAYS[:1], BOTH_WAYS[1:]], ids=["both ways", "requests", "replies"])
@pytest.mark.parametrize("seconds", [5, 45, 300])
def test_a_consumer_recovers_from_a_cut_however_long(ways: list[tuple[str, str]], seconds: int) -> None:
    """Short of `request_timeout_ms` the connection is kept; after it another is made, with back-off and time-outs."""
    harness = Harness()
    harness.create()
    got: list[int] = []

    def consumer(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, group_id="group", auto_offset_reset="earliest")
        while True:
            try:
                batches = consumer.poll(500)
            except RetriableError:
                continue
            got.extend(int(record.value) for records in batches.values() for record in records)

    def watch(_: Any) -> None:
        harness.start("consumer-1#1", consumer)
        harness.sleep(5)
        with cut(harness, *ways):
            harness.sleep(seconds)
        harness.sleep(60)

    harness.run(watch)
    harness.produce(10)
    harness.wait(1)
    assert got == list(range(10))


def producing(harness: Harness, seconds: float, profile: str = "kafka-python", **config: Any) -> list[Any]:
    """Two records in a cut of `seconds`, behind one before it; the exceptions of the three."""

    def application(library: Any) -> list[Any]:
        producer = library.KafkaProducer(**config)
        futures = [producer.send(TOPIC, b"0", partition=0)]
        futures[0].get()
        network = harness.cluster.network
        cuts = [network.cut(["producer-1"], ["broker"]), network.cut(["broker"], ["producer-1"])]
        for number in (1, 2):
            futures.append(producer.send(TOPIC, b"%d" % number, partition=0))
            harness.sleep(0.001)
        harness.sleep(seconds)
        for one in cuts:
            network.lift(one)
        producer.flush()
        producer.close()
        return [future.exception for future in futures]

    outcomes: list[Any] = harness.run(application, "producer-1#1", profile)
    harness.wait(1)
    return outcomes


def test_what_waits_in_a_short_cut_is_sent_after_it_and_nothing_is_tried_again() -> None:
    harness = Harness()
    harness.create()
    assert producing(harness, 20, enable_idempotence=False) == [None] * 3
    assert values(harness) == [0, 1, 2]


def test_what_was_written_before_a_time_out_arrives_after_the_cut_beside_its_retry() -> None:
    """The socket's data is the kernel's, which delivers it; the client has given it up and sends it again."""
    harness = Harness()
    harness.create()
    assert producing(harness, 35, enable_idempotence=False, max_in_flight_requests_per_connection=1) == [None] * 3
    found = values(harness)
    assert sorted(found) == [0, 1, 1, 2], "the record that was in flight is there twice"


def test_idempotence_drops_what_arrives_twice_after_a_cut() -> None:
    harness = Harness()
    harness.create()
    assert producing(harness, 35) == [None] * 3
    assert values(harness) == [0, 1, 2]


def test_the_kernel_gives_up_what_a_closed_connection_left_behind() -> None:
    """`tcp_orphan_retries`: in a cut that goes on for long after the time-out nothing of the old connection is left."""
    harness = Harness()
    harness.create()
    config = {"enable_idempotence": False, "max_in_flight_requests_per_connection": 1, "delivery_timeout_ms": 600_000}
    assert producing(harness, 200, **config) == [None] * 3
    assert values(harness) == [0, 1, 2]


def test_sends_expire_in_the_queue_and_in_flight_and_may_be_found_later() -> None:
    """§A.3: `delivery_timeout_ms` runs from `send()`; what expired may be written all the same."""
    harness = Harness()
    harness.create()
    outcomes = producing(harness, 50, profile="java", linger_ms=0, delivery_timeout_ms=40_000)
    assert outcomes[0] is None
    assert [type(error) for error in outcomes[1:]] == [KafkaTimeoutError] * 2
    assert "Expiring 1 record(s)" in str(outcomes[1])
    # The first was on its way. The second waits for a new producer id; then it is drained before it expires.
    assert values(harness) == [0, 1, 2]


def expiring(harness: Harness, profile: str, body: Callable[[Any, Any], Any], **config: Any) -> Any:
    """`body(producer, lost)` once the network is back behind a cut in which a batch was tried again and expired."""
    harness.create()

    def application(library: Any) -> Any:
        producer = library.KafkaProducer(delivery_timeout_ms=40_000, **config)
        producer.send(TOPIC, b"0", partition=0).get()
        network = harness.cluster.network
        cuts = [network.cut(["producer-1"], ["broker"]), network.cut(["broker"], ["producer-1"])]
        lost = producer.send(TOPIC, b"1", partition=0)
        harness.sleep(60)
        for one in cuts:
            network.lift(one)
        return body(producer, lost)

    return harness.run(application, "producer-1#1", profile)


@pytest.mark.parametrize("profile", ["java", "librdkafka"])
def test_a_producer_whose_batch_expired_goes_on_under_another_id(profile: str) -> None:
    """Nobody knows which sequence is in the log, so what follows must not be taken for a duplicate or a gap."""
    harness = Harness()

    def application(producer: Any, lost: Any) -> list[Any]:
        after = [producer.send(TOPIC, b"%d" % number, partition=0) for number in (5, 6)]
        producer.close()
        return [lost.exception, *(future.exception for future in after)]

    idempotent = {"enable_idempotence": True, "max_in_flight_requests_per_connection": 5}
    lost, *after = expiring(harness, profile, application, **idempotent)
    assert isinstance(lost, KafkaTimeoutError)
    assert after == [None, None]
    assert [number for number in values(harness) if number >= 5] == [5, 6]


def test_kafka_pythons_idempotent_producer_never_sends_again_once_a_batch_that_was_sent_expired() -> None:
    """§E.2: it asks for no other id. What is sent neither leaves nor expires, and `flush()` goes on waiting."""
    harness = Harness()

    def application(producer: Any, lost: Any) -> Any:
        after = producer.send(TOPIC, b"5", partition=0)
        with pytest.raises(KafkaTimeoutError, match="Timeout waiting for future"):
            producer.flush(timeout=3600)
        assert not after.is_done
        with pytest.raises(KafkaTimeoutError):
            producer.close(timeout=1)
        return lost.exception

    assert isinstance(expiring(harness, "kafka-python", application), KafkaTimeoutError)
    assert 5 not in values(harness)


def test_kafka_pythons_producer_goes_on_without_idempotence() -> None:
    harness = Harness()

    def application(producer: Any, lost: Any) -> Any:
        after = producer.send(TOPIC, b"5", partition=0).get()
        producer.close()
        return lost.exception, after.partition

    lost, partition = expiring(harness, "kafka-python", application, enable_idempotence=False)
    assert isinstance(lost, KafkaTimeoutError)
    assert partition == 0


def test_kafka_pythons_producer_goes_on_if_the_batch_that_expired_was_not_tried_again() -> None:
    """With `request_timeout_ms` as long as `delivery_timeout_ms` a batch expires in flight, before its second try."""
    harness = Harness()

    def application(producer: Any, lost: Any) -> Any:
        producer.send(TOPIC, b"5", partition=0).get(timeout=3600)
        producer.close()
        return lost.exception

    lost = expiring(harness, "kafka-python", application, request_timeout_ms=40_000)
    assert isinstance(lost, (KafkaTimeoutError, RequestTimedOutError))
    assert 5 in values(harness)


def test_a_request_times_out_on_time_while_nobody_else_does_anything() -> None:
    """Idle time that is leapt over makes it no younger: only a fetch, whose reply moves along, does not age by it."""
    harness = Harness()
    harness.create()
    harness.start("consumer-1#1", lambda library: library.KafkaConsumer(TOPIC, group_id="group").poll(1_000_000))

    def application(library: Any) -> float:
        producer = library.KafkaProducer(enable_idempotence=False, retries=0, request_timeout_ms=20_000)
        producer.partitions_for(TOPIC)
        harness.sleep(30)
        with cut(harness, ("broker", "producer-1")):
            began = harness.seconds
            future = producer.send(TOPIC, b"0", partition=0)
            with pytest.raises(RequestTimedOutError):
                future.get()
            took = harness.seconds - began
        producer.close(timeout=1)
        return took

    assert harness.run(application, "producer-1#1") == pytest.approx(20, abs=0.1)


def test_a_reply_that_is_lost_fails_with_the_connections_error_without_retries() -> None:
    harness = Harness()
    harness.create()

    def application(library: Any) -> Any:
        producer = library.KafkaProducer(enable_idempotence=False, retries=0)
        producer.partitions_for(TOPIC)
        harness.cluster.lose(frozenset({"producer-1"}), "producer", lambda _: None)
        future = producer.send(TOPIC, b"0", partition=0)
        producer.close()
        return future.exception

    assert isinstance(harness.run(application, "producer-1#1"), KafkaConnectionError)
    assert values(harness) == [0], "failed, but written: its outcome is unknown"


def test_a_request_without_a_reply_times_out_and_closes_the_connection() -> None:
    harness = Harness()
    harness.create()
    config = {"enable_idempotence": False, "retries": 0, "request_timeout_ms": 5000}
    outcomes = producing(harness, 20, max_in_flight_requests_per_connection=1, **config)
    assert isinstance(outcomes[1], RequestTimedOutError)


def consuming(harness: Harness, body: Callable[[Any, Any, Any], Any]) -> Any:
    """`body(library, consumer, partition)` with a consumer that has read three records and lost its next reply."""
    harness.create()
    harness.produce(3)

    def application(library: Any) -> Any:
        consumer = library.KafkaConsumer(
            TOPIC, group_id="group", auto_offset_reset="earliest", enable_auto_commit=False
        )
        while not consumer.poll(500):
            pass
        harness.cluster.lose(frozenset({"consumer-1"}), "consumer", lambda _: None)
        return body(library, consumer, library.TopicPartition(TOPIC, 0))

    return harness.run(application, "consumer-1#1")


def test_a_commit_whose_reply_is_lost_is_tried_again() -> None:
    """`_commit_offsets_sync_async` retries what is retriable; the group's membership is not lost by it."""

    def body(library: Any, consumer: Any, partition: Any) -> Any:
        consumer.commit({partition: library.OffsetAndMetadata(3, "", -1)})
        before = consumer.group_metadata().generation_id
        for _ in range(40):
            consumer.poll(500)
        return consumer.committed(partition), consumer.group_metadata().generation_id - before

    assert consuming(Harness(), body) == (3, 0)


def test_an_asynchronous_commit_whose_reply_is_lost_is_told_so_and_was_done() -> None:
    told: list[Any] = []

    def body(library: Any, consumer: Any, partition: Any) -> Any:
        consumer.commit_async(
            {partition: library.OffsetAndMetadata(3, "", -1)}, lambda _, outcome: told.append(outcome)
        )
        for _ in range(4):
            consumer.poll(500)
        return consumer.committed(partition)

    assert consuming(Harness(), body) == 3
    assert [type(outcome) for outcome in told] == [KafkaConnectionError]


def test_a_client_that_cannot_reach_the_broker_is_not_made() -> None:
    """`bootstrap_timeout_ms`."""
    harness = Harness()

    def application(library: Any) -> float:
        began = harness.seconds
        network = harness.cluster.network
        one = network.cut(["producer-1"], ["broker"])
        with pytest.raises(KafkaTimeoutError, match="bootstrap"):
            library.KafkaProducer()
        network.lift(one)
        library.KafkaProducer().close()
        return harness.seconds - began

    assert harness.run(application, "producer-1#1") == 30


def test_a_delay_makes_late_and_nothing_else() -> None:
    harness = Harness()
    harness.create()

    def application(library: Any) -> float:
        producer = library.KafkaProducer()
        producer.partitions_for(TOPIC)
        network = harness.cluster.network
        one = network.delay(["producer-1"], ["broker"], lambda: 2 * SECOND)
        began = harness.seconds
        producer.send(TOPIC, b"0", partition=0).get()
        network.lift(one)
        return harness.seconds - began

    assert 2 < harness.run(application, "producer-1#1") < 2.01


def test_time_that_is_leapt_over_is_not_waited_in() -> None:
    """A fetch that waited through an idle week has not waited too long when a cut begins."""
    harness = Harness()
    harness.create()
    told: list[Any] = []

    def consumer(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, group_id="group", auto_offset_reset="earliest")
        consumer._client.on_lost.append(lambda: told.append(harness.seconds))
        while True:
            consumer.poll(500)

    def watch(_: Any) -> None:
        harness.start("consumer-1#1", consumer)
        harness.sleep(10)
        harness.sleep(7 * 86_400)
        with cut(harness, *BOTH_WAYS):
            harness.sleep(20)
        harness.sleep(60)

    harness.run(watch)
    assert harness.kernel.leapt > 6 * 86_400 * SECOND
    assert told == []

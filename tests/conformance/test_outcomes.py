"""Errors that can be provoked, and what `backends/kafka/outcomes.py` makes of them: `failed` is not in the log."""

from typing import Any

import pytest

from mqverify.backends.kafka.outcomes import commit_outcome, send_outcome
from tests.conformance.applications import member
from tests.conformance.arms import Arm, eventually

HOUR_MS = 3_600_000


def provoke(arm: Arm, topic: str, config: dict[str, Any], **record: Any) -> BaseException:
    """The error of a send that was handed over, tried once."""
    with arm.producer(retries=0, **config) as producer:
        future = producer.send(topic, partition=0, **record)
        with pytest.raises(arm.library.errors.KafkaError) as raised:
            future.get(30)
    return raised.value


@pytest.mark.parametrize(
    ("name", "configs", "record"),
    [
        ("MessageSizeTooLargeError", {"max_message_bytes": 1000}, {"value": b"x" * 2000}),
        ("InvalidTimestampError", {}, {"value": b"x", "ahead": 2 * HOUR_MS}),
        pytest.param(
            "InvalidRecordError",
            {"cleanup_policy": "compact"},
            {"value": b"x"},
            marks=pytest.mark.differs("Compaction"),
        ),
    ],
)
def test_a_batch_that_the_broker_refuses_failed(
    arm: Arm, name: str, configs: dict[str, Any], record: dict[str, Any]
) -> None:
    topic = arm.topic(**configs)
    ahead = record.get("ahead")
    stamp = {} if ahead is None else {"timestamp_ms": arm.clock_ms() + ahead}
    error = provoke(arm, topic, {"acks": 1}, value=record["value"], **stamp)
    assert type(error).__name__ == name
    assert send_outcome(error, handed_over=True, once=True, idempotent=False) == "failed"
    assert arm.bounds(topic) == (0, 0)


def test_a_topic_that_goes_away_under_a_producer_that_does_not_try_again(arm: Arm) -> None:
    topic = arm.topic()
    with arm.producer(retries=0, acks=1) as producer:
        producer.send(topic, b"x", partition=0).get(30)
        with arm.admin() as admin:
            admin.delete_topics([topic])
            eventually(arm, lambda: topic not in admin.list_topics())
        with pytest.raises(arm.library.errors.KafkaError) as raised:
            producer.send(topic, b"x", partition=0).get(30)
    outcome = send_outcome(raised.value, handed_over=True, once=True, idempotent=False)
    assert (type(raised.value).__name__, outcome) == ("UnknownTopicOrPartitionError", "failed")


def test_more_than_a_request_may_hold_is_never_handed_over(arm: Arm) -> None:
    topic = arm.topic()
    with arm.producer(max_request_size=1000) as producer, pytest.raises(arm.library.errors.MessageSizeTooLargeError):
        producer.send(topic, b"x" * 2000, partition=0)
    assert arm.bounds(topic) == (0, 0)


def test_a_commit_into_a_group_of_others_failed(arm: Arm) -> None:
    topic = arm.topic()
    config = {"group_id": arm.named("group"), "session_timeout_ms": 3000, "heartbeat_interval_ms": 1000}
    running = arm.start(member, topic, {**config, "enable_auto_commit": False})
    eventually(arm, lambda: any(given for _, given, _ in running.told))
    consumer = arm.consumer(group_id=config["group_id"], enable_auto_commit=False)
    consumer.assign([arm.place(topic)])
    with pytest.raises(arm.library.errors.KafkaError) as raised:
        consumer.commit({arm.place(topic): arm.offset(5)})
    assert commit_outcome(raised.value) == "failed"
    assert arm.committed(str(config["group_id"]), topic) is None

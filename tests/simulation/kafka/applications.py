"""Consumers as applications write them, in plain kafka-python. The same bodies can run on the real library.

Each takes `library`, its `config` for `KafkaConsumer` and `handle(record)`, which is the application's work: a test
counts in it, takes time in it, fails in it or kills the process in it.
"""

from collections.abc import Callable
from typing import Any

from tests.simulation.kafka.harness import TOPIC

Handle = Callable[[Any], None]


def next_offsets(library: Any, records: list[Any]) -> dict[Any, Any]:
    last = records[-1]
    return {library.TopicPartition(last.topic, last.partition): library.OffsetAndMetadata(last.offset + 1, "", -1)}


def auto_commit_poll(library: Any, config: dict[str, Any], handle: Handle) -> None:
    consumer = library.KafkaConsumer(TOPIC, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)


def auto_commit_iterate(library: Any, config: dict[str, Any], handle: Handle) -> None:
    for record in library.KafkaConsumer(TOPIC, **config):
        handle(record)


def auto_commit_poll_finally_close(library: Any, config: dict[str, Any], handle: Handle) -> None:
    consumer = library.KafkaConsumer(TOPIC, **config)
    try:
        while True:
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    handle(record)
    finally:
        consumer.close()


def auto_commit_iterate_finally_close(library: Any, config: dict[str, Any], handle: Handle) -> None:
    consumer = library.KafkaConsumer(TOPIC, **config)
    try:
        for record in consumer:
            handle(record)
    finally:
        consumer.close()


def auto_commit_with_block(library: Any, config: dict[str, Any], handle: Handle) -> None:
    with library.KafkaConsumer(TOPIC, **config) as consumer:
        while True:
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    handle(record)


def commit_after_batch(library: Any, config: dict[str, Any], handle: Handle) -> None:
    consumer = library.KafkaConsumer(TOPIC, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
            consumer.commit(next_offsets(library, records))


def commit_before_batch(library: Any, config: dict[str, Any], handle: Handle) -> None:
    consumer = library.KafkaConsumer(TOPIC, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            consumer.commit(next_offsets(library, records))
            for record in records:
                handle(record)


def commit_after_each(library: Any, config: dict[str, Any], handle: Handle) -> None:
    consumer = library.KafkaConsumer(TOPIC, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
                consumer.commit(next_offsets(library, [record]))


def drain(library: Any, config: dict[str, Any], handle: Handle) -> None:
    """Read what the group has left, committing nothing that could hide a loss, until nothing comes for a while."""
    consumer = library.KafkaConsumer(TOPIC, enable_auto_commit=False, consumer_timeout_ms=60_000, **config)
    for record in consumer:
        handle(record)
    consumer.close()

"""Consumers as applications write them, in plain kafka-python: the same bodies on look-alike and library.

Each takes `library`, `new(**config)`, which makes a consumer of its topic, and `handle(record)`, which is the
application's work: a test counts in it, takes time in it, fails in it or kills the process in it.
"""

from collections.abc import Callable
from typing import Any

__all__ = [
    "Handle",
    "New",
    "auto_commit_iterate",
    "auto_commit_iterate_finally_close",
    "auto_commit_poll",
    "auto_commit_poll_finally_close",
    "auto_commit_with_block",
    "commit_after_batch",
    "commit_after_batch_finally_close",
    "commit_after_each",
    "commit_async_after_batch",
    "commit_before_batch",
    "next_offsets",
]

Handle = Callable[[Any], None]
New = Callable[..., Any]


def next_offsets(library: Any, records: list[Any]) -> dict[Any, Any]:
    last = records[-1]
    return {library.TopicPartition(last.topic, last.partition): library.OffsetAndMetadata(last.offset + 1, "", -1)}


def _poll(consumer: Any, handle: Handle) -> None:
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)


def _poll_and_commit(library: Any, consumer: Any, handle: Handle) -> None:
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
            consumer.commit(next_offsets(library, records))


def auto_commit_poll(_library: Any, new: New, handle: Handle) -> None:
    _poll(new(), handle)


def auto_commit_iterate(_library: Any, new: New, handle: Handle) -> None:
    for record in new():
        handle(record)


def auto_commit_poll_finally_close(_library: Any, new: New, handle: Handle) -> None:
    consumer = new()
    try:
        _poll(consumer, handle)
    finally:
        consumer.close()


def auto_commit_iterate_finally_close(_library: Any, new: New, handle: Handle) -> None:
    consumer = new()
    try:
        for record in consumer:
            handle(record)
    finally:
        consumer.close()


def auto_commit_with_block(_library: Any, new: New, handle: Handle) -> None:
    with new() as consumer:
        _poll(consumer, handle)


def commit_after_batch(library: Any, new: New, handle: Handle) -> None:
    _poll_and_commit(library, new(enable_auto_commit=False), handle)


def commit_after_batch_finally_close(library: Any, new: New, handle: Handle) -> None:
    consumer = new(enable_auto_commit=False)
    try:
        _poll_and_commit(library, consumer, handle)
    finally:
        consumer.close()


def commit_async_after_batch(library: Any, new: New, handle: Handle) -> None:
    consumer = new(enable_auto_commit=False)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
            consumer.commit_async(next_offsets(library, records))


def commit_before_batch(library: Any, new: New, handle: Handle) -> None:
    consumer = new(enable_auto_commit=False)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            consumer.commit(next_offsets(library, records))
            for record in records:
                handle(record)


def commit_after_each(library: Any, new: New, handle: Handle) -> None:
    consumer = new(enable_auto_commit=False)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
                consumer.commit(next_offsets(library, [record]))

"""Consumers as applications write them, in plain kafka-python: processes that are killed, frozen or fail.

They poll for long, since kafka-python 3.0.12 may forget a join that the end of a short poll falls into
(docs/fidelity.md, "A join that a poll runs out in").
"""

from collections.abc import Callable
from typing import Any

from kafka import ConsumerRebalanceListener

from tests.conformance.arms import Here

__all__ = ["STRATEGIES", "consume", "member", "send_and_die", "stubborn_member"]

Handle = Callable[[Any], None]
Trouble = tuple[str, int]
"""(`die`, n): killed while the record behind the first n is handled. (`raise`, n): the handling of number n fails.
(`stop`, n): the handling of number n tells `at n`, and takes long."""

HANDLING = 0.01
LONG = 2.0


def consume(here: Here, strategy: str, topic: str, config: dict[str, Any], trouble: Trouble) -> None:
    """Handle what comes, in the manner of `strategy`, and tell the number of each handled record."""
    kind, when = trouble
    handled = 0

    def handle(record: Any) -> None:
        nonlocal handled
        number = int(record.value)
        if kind == "die" and handled == when:
            here.sleep(HANDLING / 2)
            here.die()
        if kind == "raise" and number == when:
            raise RuntimeError("handler failed")
        if kind == "stop" and number == when:
            here.tell("at")
            here.sleep(LONG)
        here.sleep(HANDLING)
        handled += 1
        here.tell(number)

    STRATEGIES[strategy](here, topic, config, handle)


def _next(here: Here, records: list[Any]) -> dict[Any, Any]:
    last = records[-1]
    return {here.place(last.topic, last.partition): here.offset(last.offset + 1)}


def _poll(consumer: Any, handle: Handle) -> None:
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)


def _auto_poll(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    _poll(here.consumer(topic, **config), handle)


def _auto_iterate(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    for record in here.consumer(topic, **config):
        handle(record)


def _auto_poll_finally_close(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, **config)
    try:
        _poll(consumer, handle)
    finally:
        consumer.close()


def _auto_iterate_finally_close(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, **config)
    try:
        for record in consumer:
            handle(record)
    finally:
        consumer.close()


def _auto_with_block(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    with here.consumer(topic, **config) as consumer:
        _poll(consumer, handle)


def _hand_over(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    """Workers never get to what is handed to them: three polls, and the process is gone."""
    consumer = here.consumer(topic, **config)
    polls = 0
    while polls < 3:
        polls += bool(consumer.poll(timeout_ms=500))
        here.sleep(0.5)
    here.die()


def _after_batch(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
            consumer.commit(_next(here, records))


def _after_batch_finally_close(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, enable_auto_commit=False, **config)
    try:
        while True:
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    handle(record)
                consumer.commit(_next(here, records))
    finally:
        consumer.close()


def _async_after_batch(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
            consumer.commit_async(_next(here, records))


def _before_batch(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            consumer.commit(_next(here, records))
            for record in records:
                handle(record)


def _after_each(here: Here, topic: str, config: dict[str, Any], handle: Handle) -> None:
    consumer = here.consumer(topic, enable_auto_commit=False, **config)
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                handle(record)
                consumer.commit(_next(here, [record]))


STRATEGIES: dict[str, Callable[[Here, str, dict[str, Any], Handle], None]] = {
    "auto, poll": _auto_poll,
    "auto, iterator": _auto_iterate,
    "auto, poll, finally close": _auto_poll_finally_close,
    "auto, iterator, finally close": _auto_iterate_finally_close,
    "auto, with block": _auto_with_block,
    "auto, handed to workers": _hand_over,
    "after batch": _after_batch,
    "after batch, finally close": _after_batch_finally_close,
    "after batch, async": _async_after_batch,
    "before batch": _before_batch,
    "after each": _after_each,
}


# -- groups ------------------------------------------------------------------------------------------------------------


class _Telling(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells (what, partitions, when)."""

    def __init__(self, here: Here) -> None:
        self._here = here

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._tell("revoked", revoked)

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._tell("assigned", assigned)

    def on_partitions_lost(self, lost: Any) -> None:
        self._tell("lost", lost)

    def _tell(self, what: str, partitions: Any) -> None:
        self._here.tell((what, sorted(partition.partition for partition in partitions), self._here.now()))


def member(here: Here, topic: str, config: dict[str, Any], life: float = 60.0) -> None:
    """Polls for `life` seconds and closes; tells what its listener is told, and `record` with each record."""
    consumer = here.consumer(**config)
    consumer.subscribe([topic], listener=_Telling(here))
    until = here.now() + life
    while here.now() < until:
        for records in consumer.poll(1000).values():
            for record in records:
                here.tell(("record", [record.partition, int(record.value)], here.now()))
    consumer.close()
    here.tell(("closed", [], here.now()))


def stubborn_member(here: Here, topic: str, config: dict[str, Any], nap: float) -> None:
    """Takes a nap in the handling of its first record; tells what became of the commit behind it."""
    consumer = here.consumer(enable_auto_commit=False, **config)
    consumer.subscribe([topic], listener=_Telling(here))
    slept = False
    while True:
        for records in consumer.poll(1000).values():
            if not slept:
                here.tell(("napping", [record.offset for record in records], here.now()))
                slept = True
                here.sleep(nap)
            try:
                consumer.commit(_next(here, records))
                here.tell(("committed", [records[-1].offset + 1], here.now()))
            except here.library.errors.KafkaError as error:
                here.tell((type(error).__name__, [], here.now()))


def send_and_die(here: Here, topic: str, count: int) -> None:
    producer = here.producer(linger_ms=60_000)
    for number in range(count):
        producer.send(topic, b"%d" % number, partition=0)
    here.tell("sent")
    here.die()

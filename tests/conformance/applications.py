"""Consumers as applications write them, in plain kafka-python: processes that are killed, frozen or fail.

They poll for long, since kafka-python 3.0.12 may forget a join that the end of a short poll falls into
(docs/fidelity.md, "A join that a poll runs out in").
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from kafka import ConsumerRebalanceListener

from tests import commit_strategies as strategies
from tests.conformance.arms import Here

__all__ = ["STRATEGIES", "consume", "member", "send_and_die", "stubborn_member"]

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

    new = partial(here.consumer, topic, **config)
    if strategy == "auto, handed to workers":
        _hand_over(here, new)
    else:
        STRATEGIES[strategy](here.library, new, handle)


def _hand_over(here: Here, new: strategies.New) -> None:
    """Workers never get to what is handed to them: three polls, and the process is gone."""
    consumer = new()
    polls = 0
    while polls < 3:
        polls += bool(consumer.poll(timeout_ms=500))
        here.sleep(0.5)
    here.die()


STRATEGIES: dict[str, Callable[[Any, strategies.New, strategies.Handle], None]] = {
    "auto, poll": strategies.auto_commit_poll,
    "auto, iterator": strategies.auto_commit_iterate,
    "auto, poll, finally close": strategies.auto_commit_poll_finally_close,
    "auto, iterator, finally close": strategies.auto_commit_iterate_finally_close,
    "auto, with block": strategies.auto_commit_with_block,
    "after batch": strategies.commit_after_batch,
    "after batch, finally close": strategies.commit_after_batch_finally_close,
    "after batch, async": strategies.commit_async_after_batch,
    "before batch": strategies.commit_before_batch,
    "after each": strategies.commit_after_each,
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
                consumer.commit(strategies.next_offsets(here.library, records))
                here.tell(("committed", [records[-1].offset + 1], here.now()))
            except here.library.errors.KafkaError as error:
                here.tell((type(error).__name__, [], here.now()))


def send_and_die(here: Here, topic: str, count: int) -> None:
    producer = here.producer(linger_ms=60_000)
    for number in range(count):
        producer.send(topic, b"%d" % number, partition=0)
    here.tell("sent")
    here.die()

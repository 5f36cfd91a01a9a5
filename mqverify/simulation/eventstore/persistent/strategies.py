"""Which consumer gets a message: the four consumer strategies (docs/facts/eventstore.md §A4).

A consumer can take a message while it has free slots. None of the strategies promises order or exclusiveness.
"""

import json
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, Protocol
from zlib import crc32

from mqverify.simulation.eventstore.persistent.messages import Consumer, Message

__all__ = [
    "FULL",
    "SKIPPED",
    "STRATEGIES",
    "DispatchToSingle",
    "Pinned",
    "PinnedByCorrelation",
    "RoundRobin",
    "Strategy",
]

_LINK: Final = "$>"
_BUCKETS: Final = 1024


class _NotSent(Enum):
    FULL = "NoMoreCapacity"
    SKIPPED = "Skipped"


FULL: Final = _NotSent.FULL
"""Nobody can take it, nor anything behind it."""
SKIPPED: Final = _NotSent.SKIPPED
"""Who must take it cannot; others may take what is behind it."""

Choice = Consumer | Literal[_NotSent.FULL, _NotSent.SKIPPED]


class Strategy(Protocol):
    def joined(self, consumer: Consumer) -> None: ...

    def left(self, consumer: Consumer) -> None: ...

    def choose(self, message: Message) -> Choice:
        """Who gets the message, which is then pushed to them for certain."""

    def confirmed(self, consumer: Consumer, message: Message) -> None:
        """It is no longer in flight to `consumer`: acked, nacked, timed out or parked."""


class RoundRobin:
    """The next in turn that has a free slot."""

    def __init__(self) -> None:
        self._turns: deque[Consumer] = deque()

    def joined(self, consumer: Consumer) -> None:
        self._turns.append(consumer)

    def left(self, consumer: Consumer) -> None:
        self._turns.remove(consumer)

    def choose(self, message: Message) -> Choice:
        turns = self._turns
        for _ in range(len(turns)):
            consumer = turns[0]
            turns.rotate(-1)
            if consumer.slots > 0:
                return consumer
        return FULL

    def confirmed(self, consumer: Consumer, message: Message) -> None:
        pass


class DispatchToSingle(RoundRobin):
    """The same one for as long as it has free slots; then the next, which then stays the one."""

    def choose(self, message: Message) -> Choice:
        turns = self._turns
        for _ in range(len(turns)):
            consumer = turns[0]
            if consumer.slots > 0:
                return consumer
            turns.rotate(-1)
        return FULL


class _Node:
    """A consumer as Pinned sees it, also for a while after it has left."""

    __slots__ = ("assigned", "connected", "consumer")

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.connected = True
        self.assigned = 0


class _Bucket:
    __slots__ = ("in_flight", "node")

    def __init__(self) -> None:
        self.node: _Node | None = None
        self.in_flight = 0


class Pinned:
    """Each source stream falls into one of 1024 buckets, and each bucket belongs to one consumer until it moves.

    `PinnedConsumerState` of the server: buckets are assigned when their first message comes; those of a consumer that
    left, when their next one comes. Who joins is given the surplus of the others at once, those buckets with the
    fewest messages in flight first, but *without waiting for these*.
    """

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._buckets = [_Bucket() for _ in range(_BUCKETS)]
        self._assigned = 0

    def joined(self, consumer: Consumer) -> None:
        new = _Node(consumer)
        self._nodes.append(new)
        connected = sum(node.connected for node in self._nodes)
        fair_share = -(-self._assigned // connected)
        moving: list[_Bucket] = []
        for node in self._nodes:
            if node is not new and node.connected and node.assigned > fair_share:
                its = sorted((bucket for bucket in self._buckets if bucket.node is node), key=_in_flight)
                moving += its[: node.assigned - fair_share]
        for bucket in moving:
            self._assign(bucket, new)
        self._nodes = [node for node in self._nodes if node.connected or node.assigned]

    def left(self, consumer: Consumer) -> None:
        node = next(node for node in self._nodes if node.consumer is consumer and node.connected)
        node.connected = False
        self._assigned -= node.assigned
        for bucket in self._buckets:
            if bucket.node is node:
                bucket.in_flight = 0

    def choose(self, message: Message) -> Choice:
        if not sum(node.consumer.size - len(node.consumer.unconfirmed) for node in self._nodes if node.connected):
            return FULL
        if message.bucket < 0:
            message.bucket = crc32(self.key(message).encode()) % _BUCKETS
        bucket = self._buckets[message.bucket]
        if bucket.node is None or not bucket.node.connected:
            self._assign(bucket, min((node for node in self._nodes if node.connected), key=_assigned))
        assert bucket.node is not None
        consumer = bucket.node.consumer
        if consumer.slots <= 0:
            return SKIPPED
        bucket.in_flight += 1
        return consumer

    def confirmed(self, consumer: Consumer, message: Message) -> None:
        bucket = self._buckets[message.bucket]
        if bucket.node is not None and bucket.node.consumer is consumer:
            bucket.in_flight -= 1

    def key(self, message: Message) -> str:
        """The source stream's full name: also where the message is a link that is not resolved."""
        event = message.event
        if event.type != _LINK:
            return event.stream_name
        data = event.data.decode(errors="replace")
        number, at, stream = data.partition("@")
        return stream if at else number

    def _assign(self, bucket: _Bucket, node: _Node) -> None:
        if bucket.node is None or not bucket.node.connected:
            self._assigned += 1
        if bucket.node is not None:
            bucket.node.assigned -= 1
        bucket.node = node
        node.assigned += 1


class PinnedByCorrelation(Pinned):
    """As Pinned, by the `$correlationId` at the top of the event's JSON metadata; without one by the source stream."""

    def key(self, message: Message) -> str:
        found = None
        if b"$correlationId" in message.event.metadata:
            try:
                metadata = json.loads(message.event.metadata)
            except ValueError:
                metadata = None
            found = metadata.get("$correlationId") if isinstance(metadata, dict) else None
        return found if isinstance(found, str) else super().key(message)


def _in_flight(bucket: _Bucket) -> int:
    return bucket.in_flight


def _assigned(node: _Node) -> int:
    return node.assigned


STRATEGIES: Final[dict[str, Callable[[], Strategy]]] = {
    "RoundRobin": RoundRobin,
    "DispatchToSingle": DispatchToSingle,
    "Pinned": Pinned,
    "PinnedByCorrelation": PinnedByCorrelation,
}

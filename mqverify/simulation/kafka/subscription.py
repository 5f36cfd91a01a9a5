"""What a consumer is subscribed to, what it owns and where it stands: kafka-python's `SubscriptionState`."""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from kafka import ConsumerRebalanceListener, OffsetAndMetadata
from kafka.errors import IllegalStateError, NoOffsetForPartitionError
from kafka.util import ensure_valid_topic_name

__all__ = ["EARLIEST", "LATEST", "NONE", "PartitionState", "Sorted", "Subscription"]

EARLIEST, LATEST, NONE = -2, -1, 0
"""Reset policies; the first two are also the "timestamps" that ListOffsets asks for."""

_MIXED = (
    "You must choose only one way to configure your consumer: (1) subscribe to specific topics by name,"
    " (2) subscribe to topics matching a regex pattern, (3) assign itself specific topic-partitions."
)

_require_name: Any = ensure_valid_topic_name


class Sorted(set[Any]):
    """A set that is iterated in order: what the real library returns as a set must not bring hash order into a run."""

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__()))


class PartitionState:
    """One partition in the assignment."""

    __slots__ = ("highwater", "paused", "pending_revocation", "position", "reset_strategy", "settled", "started")

    def __init__(self) -> None:
        self.position: OffsetAndMetadata | None = None
        self.reset_strategy: int | None = None
        self.paused = False
        self.pending_revocation = False
        """A listener is being told that the partition goes; nothing is fetched or handed out meanwhile (KIP-429)."""
        self.highwater: int | None = None
        self.settled = -1
        """The offset that this consumer knows to be committed."""
        self.started = -1
        """Where a seek or a reset put it: nothing was consumed before."""

    def seek(self, offset: "int | OffsetAndMetadata") -> None:
        self.position = offset if isinstance(offset, OffsetAndMetadata) else OffsetAndMetadata(offset, "", -1)
        self.started = self.position.offset
        self.reset_strategy = None

    def reset(self, strategy: int) -> None:
        self.reset_strategy = strategy
        self.position = None

    @property
    def fetchable(self) -> bool:
        return self.position is not None and not self.paused and not self.pending_revocation

    @property
    def missing_position(self) -> bool:
        return self.position is None and self.reset_strategy is None


class Subscription:
    """The state of one consumer."""

    def __init__(self, auto_offset_reset: str, dice: random.Random) -> None:
        # Any word but the three means "none", with a log warning only (docs/facts/kafka.md §B.4).
        words = {"EARLIEST": EARLIEST, "LATEST": LATEST}
        self.default_reset = words.get(auto_offset_reset.upper(), NONE)
        self.kind: Literal["none", "topics", "pattern", "assigned"] = "none"
        self.topics: list[str] | None = None
        self.group_topics: list[str] = []
        """Of the leader: what all members are subscribed to."""
        self.pattern: re.Pattern[str] | None = None
        self.listener: ConsumerRebalanceListener | None = None
        self.assignment: dict[Any, PartitionState] = {}
        self._dice = dice

    @property
    def by_group(self) -> bool:
        """Whether partitions come from a subscription, not from `assign`."""
        return self.kind in ("topics", "pattern")

    def subscribe(self, topics: Sequence[str], pattern: str | None, listener: Any) -> None:
        if not topics and not pattern:
            raise ValueError("Must provide topics or pattern")
        if topics and pattern:
            raise IllegalStateError(_MIXED)
        if pattern:
            self._set_kind("pattern")
            self.topics = []
            self.pattern = re.compile(pattern)
        else:
            if isinstance(topics, str) or not isinstance(topics, Sequence):
                raise TypeError("Topics must be a list (or non-str sequence)")
            self._set_kind("topics")
            self.change_topics(topics)
        if listener and not isinstance(listener, ConsumerRebalanceListener):
            raise TypeError("listener must be a ConsumerRebalanceListener; asynchronous ones are not modelled")
        self.listener = listener

    def change_topics(self, topics: Sequence[str]) -> None:
        for topic in topics:
            _require_name(topic)
        self.topics = sorted(set(topics))
        self.group_topics = sorted({*self.group_topics, *topics})

    def assign_from_user(self, partitions: Iterable[Any]) -> None:
        self._set_kind("assigned")
        self._apply(list(dict.fromkeys(partitions)))

    def assign_from_subscribed(self, partitions: Sequence[Any]) -> None:
        """Own exactly `partitions`. Those owned before keep their state; new ones come in random order, as there."""
        for partition in partitions:
            if partition.topic not in (self.topics or ()):
                raise ValueError(f"Assigned partition {partition} for non-subscribed topic.")
        new = [partition for partition in partitions if partition not in self.assignment]
        self._dice.shuffle(new)
        self._apply([partition for partition in partitions if partition in self.assignment] + new)

    def unsubscribe(self) -> None:
        self.kind, self.topics, self.pattern = "none", None, None
        self.assignment.clear()

    def assigned(self) -> Sorted:
        return Sorted(self.assignment)

    def fetchable(self) -> list[Any]:
        return [partition for partition, state in self.assignment.items() if state.fetchable]

    def consumed(self) -> dict[Any, OffsetAndMetadata]:
        """The position of each partition that has one: what an auto-commit commits."""
        return {tp: state.position for tp, state in self.assignment.items() if state.position is not None}

    def has_all_positions(self) -> bool:
        return all(state.position is not None for state in self.assignment.values())

    def missing_positions(self) -> list[Any]:
        return [partition for partition, state in self.assignment.items() if state.missing_position]

    def needing_reset(self) -> dict[Any, int]:
        return {tp: state.reset_strategy for tp, state in self.assignment.items() if state.reset_strategy is not None}

    def reset_missing_positions(self) -> None:
        """Without a committed offset the policy decides; "none" raises `NoOffsetForPartitionError`."""
        missing = self.missing_positions()
        if missing and self.default_reset == NONE:
            raise NoOffsetForPartitionError(Sorted(missing))
        for partition in missing:
            self.assignment[partition].reset(self.default_reset)

    def move_to_end(self, partition: Any) -> None:
        """Serve the others first: partitions take turns."""
        state = self.assignment.pop(partition, None)
        if state is not None:
            self.assignment[partition] = state

    def mark_pending_revocation(self) -> None:
        for state in self.assignment.values():
            state.pending_revocation = True

    def _apply(self, partitions: Sequence[Any]) -> None:
        old = self.assignment
        kept = [partition for partition in old if partition in partitions]
        for partition in kept:
            old[partition].pending_revocation = False
        new = {partition: PartitionState() for partition in partitions if partition not in old}
        self.assignment = {partition: old[partition] for partition in kept} | new

    def _set_kind(self, kind: Literal["topics", "pattern", "assigned"]) -> None:
        if self.kind not in ("none", kind):
            raise IllegalStateError(_MIXED)
        self.kind = kind

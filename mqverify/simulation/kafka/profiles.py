"""How client libraries differ where guarantees break: partitioner, keyless policy, who commits when, what close does.

Source: docs/facts/kafka.md §A.1, §A.4, and §C.4.
"""

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka.partitioner.default import murmur2

from mqverify.simulation.kernel import MILLISECOND

__all__ = ["PROFILES", "Keyless", "Profile"]

_hash: Any = murmur2


@dataclass(frozen=True, slots=True)
class Profile:
    """One client library's habits, as far as they differ from kafka-python's."""

    name: str
    hash_key: Callable[[bytes], int]
    keyless: str
    """`random` for every record, `batch`: sticky until a batch is full, `linger`: sticky for 10 ms."""
    background_commit: bool = False
    """Auto-commit by a timer, of the message being processed; else inside a later poll, of the poll before."""
    close_commits_always: bool = False
    """Leaving a `with` block by an exception commits as any close does."""
    poll_returns_one: bool = False
    listeners_may_block: bool = True
    """Whether a rebalance listener may commit and wait; in kafka-python 3 that raises, and no heartbeat leaves."""
    keeps_positions: bool = False
    """Whether a partition that a member keeps in an eager rebalance goes on where it was. kafka-python's
    `SubscriptionState.assign_from_subscribed` keeps it; Java's `ConsumerCoordinator.onJoinPrepare` gives everything up
    first, so that the member starts from the committed offset like any other."""
    retries_by_message_id: bool = False
    """Whether a batch that is tried again goes where its messages belong, not to the front of its queue (§A.3)."""
    refusals_are_fatal: bool = False
    """Whether an idempotent producer that the broker refuses a batch for good gives up altogether: kafka-python's
    `classify_batch_error`. Java's producer fails that batch alone."""
    stranded_by_expiry: bool = False
    """Whether an idempotent producer never sends again once a batch has expired that was sent before: kafka-python
    3.0.12 gives its producer id up and never asks for another (§E.2). Java's goes on with the next epoch (KIP-360,
    `TransactionManager.maybeResolveSequences`), and so does librdkafka (`rd_kafka_idemp_drain_epoch_bump`)."""
    offset_without_acks: int = -1
    """The base offset that a batch is told with `acks=0`."""
    producer: Mapping[str, object] = field(default_factory=dict)
    consumer: Mapping[str, object] = field(default_factory=dict)


def _murmur2(key: bytes) -> int:
    return int(_hash(key)) & 0x7FFFFFFF


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "kafka-python",
            _murmur2,
            "random",
            listeners_may_block=False,
            keeps_positions=True,
            refusals_are_fatal=True,
            stranded_by_expiry=True,
            offset_without_acks=0,
        ),
        Profile(
            "java",
            _murmur2,
            "batch",
            close_commits_always=True,
            producer={"linger_ms": 5, "reconnect_backoff_max_ms": 1000},
            consumer={"reconnect_backoff_max_ms": 1000},
        ),
        Profile(
            "librdkafka",
            zlib.crc32,
            "linger",
            background_commit=True,
            close_commits_always=True,
            poll_returns_one=True,
            retries_by_message_id=True,
            producer={
                "linger_ms": 5,
                "batch_size": 1_000_000,
                "enable_idempotence": False,
                "max_in_flight_requests_per_connection": 1_000_000,
                "delivery_timeout_ms": 300_000,
                "reconnect_backoff_ms": 100,
                "reconnect_backoff_max_ms": 10_000,
            },
            consumer={
                "isolation_level": "read_committed",
                "reconnect_backoff_ms": 100,
                "reconnect_backoff_max_ms": 10_000,
            },
        ),
    )
}


class Keyless:
    """Chooses partitions for records without a key, for one producer."""

    _STICKY_TIME = 10 * MILLISECOND  # librdkafka's sticky.partitioning.linger.ms

    __slots__ = ("_dice", "_policy", "_since", "_sticky")

    def __init__(self, policy: str, dice: random.Random) -> None:
        self._policy = policy
        self._dice = dice
        self._sticky: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def choose(self, topic: str, partitions: int, now: int) -> int:
        """The partition of the next record without a key."""
        if self._policy == "random":
            return int(self._dice.random() * partitions)
        chosen = self._sticky.get(topic, -1)
        stale = self._policy == "linger" and now - self._since.get(topic, now) > self._STICKY_TIME
        if not 0 <= chosen < partitions or stale:
            self._sticky[topic] = chosen = int(self._dice.random() * partitions)
            self._since[topic] = now
        return chosen

    def batch_full(self, topic: str, partition: int, partitions: int) -> None:
        """A batch of `partition` is full: a sticky producer goes on with another one (KIP-480)."""
        if self._policy == "batch" and self._sticky.get(topic) == partition and partitions > 1:
            step = 1 + int(self._dice.random() * (partitions - 1))
            self._sticky[topic] = (partition + step) % partitions

"""Requests to the broker model and its replies, as light objects.

One class an API, with the fields that matter; an `error` is the class of kafka-python that stands for Kafka's error
code, or None. A reply of one value is that value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition

from mqverify.simulation.kafka.log import Entry

__all__ = [
    "NO_GENERATION",
    "UNKNOWN_MEMBER",
    "CreatePartitions",
    "CreateTopics",
    "DeleteGroups",
    "DeleteRecords",
    "DeleteTopics",
    "DescribeConfigs",
    "Error",
    "Fetch",
    "FetchReply",
    "Fetched",
    "FindCoordinator",
    "Heartbeat",
    "InitProducerId",
    "JoinGroup",
    "JoinReply",
    "LeaveGroup",
    "ListOffsets",
    "Metadata",
    "MetadataReply",
    "OffsetCommit",
    "OffsetFetch",
    "Produce",
    "Produced",
    "SyncGroup",
    "SyncReply",
]

Error = type[Exception] | None

UNKNOWN_MEMBER = ""
NO_GENERATION = -1


@dataclass(slots=True)
class Metadata:
    topics: Sequence[str] | None
    """None asks for all topics."""
    create: bool = False
    """Whether unknown topics are to be created (`allow_auto_create_topics`)."""


@dataclass(slots=True)
class MetadataReply:
    partitions: dict[str, int]
    """The number of partitions of each topic that exists; partitions count from 0."""
    errors: dict[str, type[Exception]]
    version: int
    """Changes when any topic does."""


@dataclass(slots=True)
class Produce:
    acks: int
    batches: list[tuple[Any, list[Entry], int]]
    """TopicPartition, records, size in bytes."""
    origins: list[Any] | None = None
    """Of an idempotent producer, for each batch: producer id, epoch, first sequence."""


@dataclass(slots=True)
class InitProducerId:
    """Asks for a producer id; the reply is `(id, epoch)`.

    Without a transactional id the broker gives a new id whatever it is told (`handleInitProducerId`), so an "epoch
    bump" (KIP-360) comes to that.
    """


@dataclass(slots=True)
class Produced:
    error: Error
    base_offset: int
    log_append_time: int


@dataclass(slots=True)
class Fetch:
    positions: list[tuple[Any, int]]
    """TopicPartition and offset, in the order in which the client wants them served."""
    max_wait: int
    min_bytes: int
    max_bytes: int
    partition_max_bytes: int
    isolation_level: int = 0
    """Carried as clients send it; without transactions both levels read the same."""


@dataclass(slots=True)
class Fetched:
    partition: Any
    offset: int
    error: Error
    records: list[Any]
    high_watermark: int


@dataclass(slots=True)
class FetchReply:
    partitions: list[Fetched]


@dataclass(slots=True)
class ListOffsets:
    times: dict[Any, int]
    """TopicPartition → a timestamp in milliseconds, −1 for the end, −2 for the beginning."""


@dataclass(slots=True)
class FindCoordinator:
    group: str


@dataclass(slots=True)
class JoinGroup:
    group: str
    member: str
    client: str
    instance: str | None
    session_timeout: int
    rebalance_timeout: int
    protocols: list[tuple[str, Any]]
    """Assignors in the member's order of preference, each with its metadata."""
    alive: Callable[[], bool]
    """Whether the member is certain to send its next heartbeat in time: what its watchdog then does is only renew."""


@dataclass(slots=True)
class JoinReply:
    error: Error
    member: str = UNKNOWN_MEMBER
    generation: int = NO_GENERATION
    protocol: str = ""
    leader: str = ""
    members: list[tuple[str, str | None, Any]] = field(default_factory=list)
    """For the leader: member, instance, metadata."""


@dataclass(slots=True)
class SyncGroup:
    group: str
    member: str
    generation: int
    assignments: dict[str, Any]


@dataclass(slots=True)
class SyncReply:
    error: Error
    assignment: Any = None


@dataclass(slots=True)
class Heartbeat:
    group: str
    member: str
    generation: int


@dataclass(slots=True)
class LeaveGroup:
    group: str
    member: str


@dataclass(slots=True)
class OffsetCommit:
    group: str
    member: str
    generation: int
    offsets: dict[TopicPartition, OffsetAndMetadata]


@dataclass(slots=True)
class OffsetFetch:
    group: str
    partitions: Sequence[Any]


@dataclass(slots=True)
class CreateTopics:
    topics: list[tuple[str, int, int, dict[str, object]]]
    """Name, partitions, replication factor (−1 is the broker's default), configuration."""
    validate_only: bool = False


@dataclass(slots=True)
class CreatePartitions:
    totals: dict[str, int]


@dataclass(slots=True)
class DeleteTopics:
    topics: list[str]


@dataclass(slots=True)
class DeleteGroups:
    groups: list[str]


@dataclass(slots=True)
class DeleteRecords:
    before: dict[Any, int]


@dataclass(slots=True)
class DescribeConfigs:
    topics: list[str]

"""What clients ask of a node and what it answers: the RPCs of esdbclient as plain values.

They are listed in docs/facts/eventstore.md §F1. A unary call has one answer. A subscription has many: first
`Confirmed`, then `Events`, `CaughtUp`, `CheckpointReached`, until `Failed` ends it or the client cancels. Positions are
ints: stream revisions, commit positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent

__all__ = [
    "Ack",
    "AllFilter",
    "Append",
    "Appended",
    "Cancel",
    "CaughtUp",
    "CheckpointReached",
    "Confirmed",
    "CreateGroup",
    "Credit",
    "DeleteGroup",
    "DeleteStream",
    "Done",
    "EnableProjection",
    "Events",
    "Expected",
    "Failed",
    "Failure",
    "GroupInfo",
    "GroupSettings",
    "InfoOfGroup",
    "ListGroups",
    "Nack",
    "NackAction",
    "ProjectionStatistics",
    "ReadAll",
    "ReadGroup",
    "ReadStream",
    "ReplayParked",
    "Scavenge",
    "StatisticsOfProjection",
    "Strategy",
    "SubscribeAll",
    "SubscribeStream",
    "UpdateGroup",
    "WrongVersion",
]

Expected = int | Literal["any", "no_stream", "exists"]
"""The revision that an append, delete or tombstone expects its stream to end at."""

Strategy = Literal["RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation"]
NackAction = Literal["unknown", "park", "retry", "skip", "stop"]

Failure = Literal[
    "stream_not_found",
    "stream_deleted",
    "group_not_found",
    "group_exists",
    "maximum_subscribers",
    "group_dropped",
    "group_failed",
    "projection_not_found",
    "invalid_position",
    "too_large",
    "deleted_wrong_version",
    "unavailable",
]
"""Why a call failed; the look-alike raises what esdbclient makes of it (docs/facts/eventstore.md §F2)."""


# --- answers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failed:
    """The call failed, or the subscription ended."""

    reason: Failure
    details: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """It is done, and there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Appended:
    """`revision` and `position` of the last event; those of the first time where the append was a repetition.

    Also the answer to `DeleteStream`, with no revision.
    """

    revision: int | None
    position: int


@dataclass(frozen=True, slots=True)
class WrongVersion:
    """The stream does not end where it was expected to; `current` is None where there is no stream."""

    current: int | None


@dataclass(frozen=True, slots=True)
class Events:
    """Events read or pushed, in order. To consumers of a group each carries its `retry_count`.

    Where links are resolved, a link whose target is gone comes as an `UnresolvedLink`, which the client skips.
    """

    events: Sequence[RecordedEvent]


@dataclass(frozen=True, slots=True)
class Confirmed:
    subscription_id: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The catch-up subscription is live."""


@dataclass(frozen=True, slots=True)
class CheckpointReached:
    """A filtered subscription to `$all` has come so far."""

    position: int


# --- streams --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    stream: str
    expected: Expected
    events: tuple[NewEvent, ...]


@dataclass(frozen=True, slots=True)
class DeleteStream:
    stream: str
    expected: Expected
    tombstone: bool = False


@dataclass(frozen=True, slots=True)
class Scavenge:
    """Of the node's operations: `Operations/StartScavenge`, or `POST /admin/scavenge`; answered once it is done."""


@dataclass(frozen=True, slots=True)
class ReadStream:
    """`start` is inclusive; None is the first event, or the last one backwards. Answered by one `Events`."""

    stream: str
    start: int | None = None
    backwards: bool = False
    limit: int = 2**63
    resolve_links: bool = False


@dataclass(frozen=True, slots=True)
class AllFilter:
    """A regular expression that event types (or stream names) must match; None: everything."""

    pattern: str | None = None
    by_stream_name: bool = False


@dataclass(frozen=True, slots=True)
class ReadAll:
    """`start` is inclusive, but backwards the record *before* it comes first; None is the log's begin, or its end."""

    start: int | None = None
    backwards: bool = False
    limit: int = 2**63
    resolve_links: bool = False
    filter: AllFilter = AllFilter()


@dataclass(frozen=True, slots=True)
class SubscribeStream:
    """`after` is exclusive; None is before everything."""

    stream: str
    after: int | None = None
    from_end: bool = False
    resolve_links: bool = False


@dataclass(frozen=True, slots=True)
class SubscribeAll:
    after: int | None = None
    from_end: bool = False
    resolve_links: bool = False
    filter: AllFilter = AllFilter()
    checkpoint_interval: int = 150
    """Considered events between two `CheckpointReached`: window × multiplier."""


@dataclass(frozen=True, slots=True)
class Credit:
    """The client of a catch-up subscription has taken so many events: the node may send on (HTTP/2 flow control).

    Each event of an `Events` counts, `UnresolvedLink`s too; it needs not be said for each one alone.
    """

    events: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client ends its subscription cleanly."""


# --- persistent subscriptions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Durations are nanoseconds. `start` is inclusive: a revision or a commit position."""

    start: int = 0
    from_end: bool = False
    resolve_links: bool = False
    strategy: str = "DispatchToSingle"
    message_timeout: int = 30_000_000_000
    max_retry_count: int = 10
    min_checkpoint_count: int = 10
    max_checkpoint_count: int = 1000
    checkpoint_after: int = 2_000_000_000
    max_subscriber_count: int = 5
    live_buffer_size: int = 500
    read_batch_size: int = 200
    history_buffer_size: int = 500
    filter: AllFilter = AllFilter()


@dataclass(frozen=True, slots=True)
class CreateGroup:
    """`stream` is None for `$all`."""

    stream: str | None
    group: str
    settings: GroupSettings


@dataclass(frozen=True, slots=True)
class UpdateGroup:
    stream: str | None
    group: str
    settings: GroupSettings


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    stream: str | None
    group: str


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """A consumer joins; `buffer_size` are its slots. Answered by `Confirmed` and then `Events`."""

    stream: str | None
    group: str
    buffer_size: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Has no answer. Sent on the call of a `ReadGroup`."""

    ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    ids: tuple[UUID, ...]
    action: NackAction
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReplayParked:
    stream: str | None
    group: str


@dataclass(frozen=True, slots=True)
class InfoOfGroup:
    stream: str | None
    group: str


@dataclass(frozen=True, slots=True)
class ListGroups:
    """Of one stream, or of all. Answered by a tuple of `GroupInfo`."""

    stream: str | None = None
    of_all_streams: bool = True


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """What a node tells of a persistent subscription. Positions are texts: `"41"`, `"C:123/P:123"`, `""`."""

    stream: str | None
    group: str
    status: str
    settings: GroupSettings
    total_items: int
    last_checkpointed: str
    last_known: str
    read_buffer_count: int
    live_buffer_count: int
    retry_buffer_count: int
    in_flight: int
    outstanding: int
    parked: int
    consumers: int


# --- projections ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnableProjection:
    name: str


@dataclass(frozen=True, slots=True)
class StatisticsOfProjection:
    name: str


@dataclass(frozen=True, slots=True)
class ProjectionStatistics:
    """`progress` in percent: 100 once it has seen all that is in the log."""

    name: str
    status: str
    progress: float
    position: int

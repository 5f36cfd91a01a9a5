"""Events as they are proposed and recorded: the attributes of esdbclient's `NewEvent` and `RecordedEvent`.

The log keeps `RecordedEvent`s themselves, and the look-alike hands out the same objects, so nothing is copied on the
way of an event. esdbclient's own classes are not imported: that costs a quarter of a second and gRPC; a test holds the
two against each other.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

__all__ = ["EPOCH", "NewEvent", "RecordedEvent", "UnresolvedLink"]

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Virtual time 0."""


@dataclass(frozen=True)
class NewEvent:
    """An event that is proposed to be appended."""

    type: str
    data: bytes
    metadata: bytes = b""
    content_type: str = "application/json"
    id: UUID = field(default_factory=uuid4)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NewEvent | RecordedEvent) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


class RecordedEvent:
    """An event as it was recorded; where a link was resolved, the target with its `link`. Never changed once made."""

    __slots__ = (
        "commit_position", "content_type", "created", "data", "id", "link", "metadata", "prepare_position",
        "retry_count", "stream_name", "stream_position", "type",
    )  # fmt: skip

    def __init__(
        self,
        type: str,  # noqa: A002 (the client's own name)
        data: bytes,
        metadata: bytes,
        content_type: str,
        id: UUID,  # noqa: A002
        stream_name: str,
        stream_position: int,
        commit_position: int | None,
        prepare_position: int | None,
        created: int = 0,
        link: "RecordedEvent | None" = None,
        retry_count: int | None = None,
    ) -> None:
        self.type = type
        self.data = data
        self.metadata = metadata
        self.content_type = content_type
        self.id = id
        self.stream_name = stream_name
        self.stream_position = stream_position
        self.commit_position = commit_position
        self.prepare_position = prepare_position
        self.created = created
        """Nanoseconds of virtual time."""
        self.link = link
        self.retry_count = retry_count

    @property
    def recorded_at(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.created // 1000)

    @property
    def ack_id(self) -> UUID:
        """The original event's id: the link's where a link was resolved."""
        return self.id if self.link is None else self.link.id

    @property
    def is_system_event(self) -> bool:
        return self.type.startswith("$")

    @property
    def is_link_event(self) -> bool:
        return self.type == "$>"

    @property
    def is_resolved_event(self) -> bool:
        return self.link is not None

    @property
    def is_checkpoint(self) -> bool:
        return False

    @property
    def is_caught_up(self) -> bool:
        return False

    def resolved_from(self, link: "RecordedEvent") -> "RecordedEvent":
        """This event as the target of `link`."""
        return self._like(RecordedEvent, link, self.retry_count)

    def with_retry_count(self, retry_count: int) -> "RecordedEvent":
        """This event as it is pushed to a consumer of a group."""
        return self._like(type(self), self.link, retry_count)

    def _like(
        self, kind: "type[RecordedEvent]", link: "RecordedEvent | None", retry_count: int | None
    ) -> "RecordedEvent":
        return kind(
            self.type, self.data, self.metadata, self.content_type, self.id, self.stream_name, self.stream_position,
            self.commit_position, self.prepare_position, self.created, link, retry_count,
        )  # fmt: skip

    def __repr__(self) -> str:
        place = f"{self.stream_name}@{self.stream_position}"
        return f"{type(self).__name__}({place}, {self.type}, retry_count={self.retry_count})"


class UnresolvedLink(RecordedEvent):
    """A link whose target is gone, sent to a client that asked for links to be resolved.

    On the wire its `event` is unset; esdbclient skips it without a word, and never acknowledges it
    (docs/facts/eventstore.md §D).
    """

    __slots__ = ()

    @classmethod
    def of(cls, link: RecordedEvent) -> "UnresolvedLink":
        return link._like(cls, None, link.retry_count)  # type: ignore[return-value]

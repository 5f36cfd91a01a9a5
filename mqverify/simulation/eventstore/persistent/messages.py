"""What a persistent subscription hands around: an event on its way to a consumer, and the consumers.

`OutstandingMessage` and `PersistentSubscriptionClient` of the server (docs/facts/eventstore.md §A2).
"""

from typing import Any
from uuid import UUID

from mqverify.simulation.eventstore.records import RecordedEvent

__all__ = ["Consumer", "Message"]


class Message:
    """An event of the source, or one replayed from the parked stream, until the group is done with it."""

    __slots__ = (
        "bucket", "event", "id", "listed", "open", "original", "position", "previous", "replayed", "retry_count",
        "sequence",
    )  # fmt: skip

    def __init__(self, event: RecordedEvent, position: int | None, replayed: bool = False) -> None:
        self.event = event
        self.original = event if event.link is None else event.link
        """The record in the source: the link where a link was resolved."""
        self.id = self.original.id
        self.position = position
        """In the source: a revision or a commit position. None where it was replayed from the parked stream."""
        self.replayed = replayed
        self.retry_count = 0
        self.sequence = -1
        """Given when it leaves the buffer for the first time; never to replayed ones."""
        self.previous: int | None = None
        """The position of what was numbered just before."""
        self.open = False
        """It is outstanding or waits to be retried: a checkpoint must not pass it."""
        self.listed = False
        self.bucket = -1

    def __repr__(self) -> str:
        return f"Message({self.event!r}, sequence={self.sequence}, retry_count={self.retry_count})"


class Consumer:
    """A connected consumer: its free slots, and what was pushed to it and is not settled."""

    __slots__ = ("size", "slots", "token", "unconfirmed")

    def __init__(self, token: Any, size: int) -> None:
        self.token = token
        self.size = size
        """How much may be in flight to it: the `event_buffer_size` of its client."""
        self.slots = size
        self.unconfirmed: dict[UUID, Message] = {}

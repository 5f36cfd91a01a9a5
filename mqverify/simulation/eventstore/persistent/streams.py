"""The streams that a group writes: parked messages and checkpoints (docs/facts/eventstore.md §A1, §A5, §A6)."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from mqverify.simulation.eventstore.log import LINK, METADATA, Log
from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.eventstore.persistent.writes import WriteQueue
from mqverify.simulation.eventstore.protocol import Appended, Failed
from mqverify.simulation.eventstore.records import EPOCH, NewEvent, RecordedEvent, UnresolvedLink

__all__ = ["CheckpointStream", "ParkedStream"]

_RETRIES: Final = 5
_CHECKPOINT: Final = "$SubscriptionCheckpoint"
_ONLY_ADMINS: Final = dict.fromkeys(("$r", "$w", "$d", "$mr", "$mw"), "$admins")


class CheckpointStream:
    """`PersistentSubscriptionCheckpointReader` and `…Writer`. A write while another is under way is ignored."""

    def __init__(self, subscription: str, of_all: bool, log: Log, writes: WriteQueue) -> None:
        self.name = f"$persistentsubscription-{subscription}-checkpoint"
        self._of_all = of_all
        self._log = log
        self._writes = writes
        self._writing = False

    def read(self, now: int) -> int | None:
        """The last checkpoint: a revision, or a commit position of `$all`."""
        found = self._log.read_stream(self.name, None, 1, now, backwards=True)
        if isinstance(found, Failed) or not found:
            return None
        text = json.loads(found[0].data)
        return int(text.partition("/")[0].removeprefix("C:"))

    def write(self, position: int, then: Callable[[int, int], None], now: int) -> None:
        """Write it, and call `then(position, now)` once it is durable. One that fails is not tried again."""
        if not self._writing:
            self._writing = True
            self._writes.submit(lambda at: self._append(position, then, at), now)

    def delete(self, now: int) -> None:
        self._log.delete(self.name, "any", now)

    def text(self, position: int | None) -> str:
        """As the server spells a position; "" for none."""
        if position is None:
            return ""
        return f"C:{position}/P:{position}" if self._of_all else str(position)

    def _append(self, position: int, then: Callable[[int, int], None], now: int) -> None:
        data = json.dumps(self.text(position)).encode()
        answer = self._log.append(self.name, "any", (NewEvent(_CHECKPOINT, data, id=self._log.new_id()),), now)
        self._writing = False
        if isinstance(answer, Appended):
            then(position, now)


class ParkedStream:
    """`PersistentSubscriptionMessageParker`: links to what was parked, each with the reason in its metadata."""

    def __init__(self, subscription: str, log: Log, writes: WriteQueue) -> None:
        self.name = f"$persistentsubscription-{subscription}-parked"
        self._log = log
        self._writes = writes

    def __len__(self) -> int:
        """How many are parked, of those that were not replayed."""
        stream = self._log.stream(self.name)
        if stream is None or stream.tombstoned:
            return 0
        return max(0, len(stream.events) - (stream.metadata.truncate_before or 0))

    @property
    def end(self) -> int | None:
        """The number behind the last one; None where nothing was ever parked."""
        stream = self._log.stream(self.name)
        gone = stream is None or not stream.events or stream.tombstoned or stream.metadata.soft_deleted
        return None if stream is None or gone else len(stream.events)

    def park(self, message: Message, reason: str, then: Callable[[bool, int], None], now: int) -> None:
        """Write a link to it, trying again up to five times, and call `then(written, now)`.

        Nothing keeps a message from being parked twice.
        """
        event = message.event
        unresolved = isinstance(event, UnresolvedLink)
        target = event.data if unresolved else f"{event.stream_position}@{event.stream_name}".encode()
        added = EPOCH + timedelta(microseconds=now // 1000)
        number = message.original.stream_position
        metadata = {"added": added.isoformat(), "reason": reason, "subscriptionEventNumber": number}
        link = NewEvent(LINK, target, json.dumps(metadata).encode(), "application/octet-stream", self._log.new_id())
        self._writes.submit(lambda at: self._append(link, then, _RETRIES, at), now)

    def read(self, start: int, count: int, now: int) -> Sequence[RecordedEvent]:
        """Up to `count` of its links from number `start` on."""
        found = self._log.read_stream(self.name, start, count, now)
        return () if isinstance(found, Failed) else found

    def truncate(self, before: int, then: Callable[[], None], now: int) -> None:
        """Let the stream begin at number `before`: what was ahead of it was replayed."""
        self._writes.submit(lambda at: self._truncate(before, then, at), now)

    def delete(self, now: int) -> None:
        self._log.delete(self.name, "any", now)

    def _append(self, link: NewEvent, then: Callable[[bool, int], None], retries: int, now: int) -> None:
        answer = self._log.append(self.name, "any", (link,), now)
        if isinstance(answer, Appended) or not retries:
            then(isinstance(answer, Appended), now)
        else:
            self._writes.submit(lambda at: self._append(link, then, retries - 1, at), now)

    def _truncate(self, before: int, then: Callable[[], None], now: int) -> None:
        data = json.dumps({"$tb": before, "$acl": _ONLY_ADMINS}).encode()
        self._log.append(f"$${self.name}", "any", (NewEvent(METADATA, data, id=self._log.new_id()),), now)
        then()

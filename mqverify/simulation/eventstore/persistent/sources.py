"""What a group reads: a stream, or `$all` with a filter (docs/facts/eventstore.md §A3; `…StreamReader`)."""

from typing import Protocol

from mqverify.simulation.eventstore.filters import EventFilter, hidden_from_subscribers
from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.eventstore.persistent.subscription import Page
from mqverify.simulation.eventstore.protocol import Failed, GroupSettings
from mqverify.simulation.eventstore.records import RecordedEvent

__all__ = ["AllSource", "Source", "StreamSource"]


class Source(Protocol):
    def read(self, start: int, count: int, skip_first: bool, now: int) -> Page | Failed:
        """A page of up to `count` events from position `start` on; links are resolved as of `now`."""

    def committed(self, record: RecordedEvent, now: int) -> Message | int | None:
        """The message that a commit is to the group; its position if the filter hides it; None if it is not seen."""


class StreamSource:
    """Positions are revisions."""

    def __init__(self, stream: str, settings: GroupSettings, log: Log) -> None:
        self._stream = stream
        self._resolve = settings.resolve_links
        self._log = log

    def read(self, start: int, count: int, skip_first: bool, now: int) -> Page | Failed:
        log = self._log
        events = log.read_stream(self._stream, start, count, now)
        if isinstance(events, Failed):
            return Page([], start, 0, is_end=True) if events.reason == "stream_not_found" else events
        last = log.last_revision(self._stream)
        next_position = events[-1].stream_position + 1 if events else last + 1
        found = events[1:] if skip_first else events
        return Page([self._message(event, now) for event in found], start, next_position, next_position > last)

    def committed(self, record: RecordedEvent, now: int) -> Message | int | None:
        return self._message(record, now)

    def _message(self, record: RecordedEvent, now: int) -> Message:
        return Message(self._log.resolved(record, now) if self._resolve else record, record.stream_position)


class AllSource:
    """Positions are commit positions. What is hidden by default is not there at all (`DefaultAllFilter`)."""

    def __init__(self, settings: GroupSettings, log: Log) -> None:
        self._resolve = settings.resolve_links
        self._window = settings.max_checkpoint_count
        self._allows = EventFilter(settings.filter)
        self._log = log

    def read(self, start: int, count: int, skip_first: bool, now: int) -> Page | Failed:
        log = self._log
        window = max(count, self._window) if self._allows.filters else count
        records = log.read_all(start, window)
        is_end = len(records) < window
        found: list[RecordedEvent] = []
        considered = 0
        for record in records:
            if len(found) == count:
                is_end = False
                break
            considered += 1
            if self._allows(record):
                found.append(record)
        following = log.index_of(start) + considered
        at_end = following == len(log.records)
        next_position = log.end_position if at_end else log.records[following].commit_position or 0
        filtered_out = 0 if found or not self._allows.filters else considered
        messages = [self._message(record, now) for record in (found[1:] if skip_first else found)]
        return Page(messages, start, next_position, is_end, filtered_out)

    def committed(self, record: RecordedEvent, now: int) -> Message | int | None:
        """By the source, a link's *target* is what the filter sees here, and the link itself in history."""
        if hidden_from_subscribers(record):
            return None
        message = self._message(record, now)
        return message if self._allows(message.event) else message.position

    def _message(self, record: RecordedEvent, now: int) -> Message:
        return Message(self._log.resolved(record, now) if self._resolve else record, record.commit_position)

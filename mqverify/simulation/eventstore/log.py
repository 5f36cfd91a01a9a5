"""The one log of a node: every record in order, and by stream.

One node: what is appended is flushed, indexed and readable at once. Records are made once, at the append, in the form
in which clients hand them to applications; a read is a slice. An event's number is its index in its stream, whatever is
removed; what retention hides is decided by each read (`metadata.py`). Only a scavenge removes anything: it takes
records out of `records`, and a stream notes how many of its first events are gone.
"""

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from mqverify.simulation.eventstore.idempotence import ID_CACHE_BYTES, RecentIds, check_commit
from mqverify.simulation.eventstore.metadata import (
    KEEP_ALL,
    OF_METASTREAMS,
    SOFT_DELETED,
    StreamMetadata,
    first_present,
    undeleted,
)
from mqverify.simulation.eventstore.protocol import Appended, Expected, Failed, WrongVersion
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent, UnresolvedLink

__all__ = ["FIRST_POSITION", "LINK", "METADATA", "TOMBSTONE", "Log", "Stream", "Watcher", "link_target"]

LINK: Final = "$>"
METADATA: Final = "$metadata"
TOMBSTONE: Final = "$streamDeleted"

FIRST_POSITION: Final = 160
"""Where the first record goes: a real log begins with the record of its first epoch."""

_OVERHEAD: Final = 96
"""Bytes of a record beside its data, metadata, and twice the lengths of its type and its stream's name."""

_DELETED_JSON: Final = b'{"$tb":%d}' % SOFT_DELETED

Watcher = Callable[[Sequence[RecordedEvent]], None]


class Stream:
    """A stream's events by number, its metadata in force, and how it ended. For reading only."""

    __slots__ = ("events", "metadata", "metastream_of", "name", "scavenged", "tombstone")

    def __init__(self, name: str, metastream_of: "Stream | None") -> None:
        self.name = name
        self.events: list[RecordedEvent] = []
        self.metadata: StreamMetadata = OF_METASTREAMS if metastream_of else KEEP_ALL
        self.tombstone: RecordedEvent | None = None
        self.metastream_of = metastream_of
        self.scavenged = 0
        """So many of its first events are no more."""

    @property
    def tombstoned(self) -> bool:
        """A metastream goes with its stream."""
        return self.tombstone is not None or (self.metastream_of is not None and self.metastream_of.tombstoned)


class Log:
    """All records. `dice` make the ids of the events that the node itself writes; times are virtual nanoseconds."""

    def __init__(self, dice: random.Random, id_cache_bytes: int = ID_CACHE_BYTES) -> None:
        self.records: list[RecordedEvent] = []
        """In order of the log. For reading only."""
        self.end_position = FIRST_POSITION
        """Behind the last record: where the next one goes."""
        self.watchers: list[Watcher] = []
        """Told of each commit's records, in order, once they can be read. What they append is told afterwards."""
        self.renumbered: list[Callable[[Callable[[int], int]], None]] = []
        """Told when records were removed: with what makes of an index in `records` what it is now."""
        self._dice = dice
        self._positions: list[int] = []
        self._removed_positions: set[int] = set()
        self._streams: dict[str, Stream] = {}
        self._recent = RecentIds(id_cache_bytes)
        self._untold: deque[list[RecordedEvent]] = deque()
        self._telling = False

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(
        self, stream: str, expected: Expected, events: Sequence[NewEvent], now: int
    ) -> Appended | WrongVersion | Failed:
        """Write all of `events` behind the stream, in one piece, or nothing (docs/facts/eventstore.md §C1, §C2).

        A repetition of an earlier append is answered as that one was, and writes nothing. An empty batch succeeds.
        Fails with `stream_deleted`. Writing to a soft-deleted stream makes it exist again, from here on.
        """
        target = self._streams.get(stream) or self._add(stream)
        refusal = self._check(target, expected, events)
        if refusal is not None:
            return refusal
        records = self._write(target, events, now)
        if not records:
            last = len(target.events) - 1
            return Appended(last if last >= 0 else None, self.end_position)
        answer = Appended(records[-1].stream_position, records[-1].commit_position or 0)
        if target.metadata.soft_deleted:
            records += self._undelete(target, len(target.events) - len(events), now)
        original = target.metastream_of
        if original is not None:
            if original.metadata.soft_deleted:
                records += self._undelete(original, len(original.events), now)
            self._apply_metadata(original)
        self._tell(records)
        return answer

    def delete(self, stream: str, expected: Expected, now: int, tombstone: bool = False) -> Appended | Failed:
        """Soft-delete a stream, or with `tombstone` for ever (docs/facts/eventstore.md §C3; `WriteDelete`).

        Fails with `stream_deleted` where there is a tombstone, with `deleted_wrong_version` where `expected` is wrong
        or, for a soft delete, where there never was such a stream.
        """
        target = self._streams.get(stream) or self._add(stream)
        refusal = self._check(target, expected, (NewEvent(METADATA, b"", id=self.new_id()),))
        never_existed = not tombstone and not target.events and self.last_revision(f"$${stream}") < 0
        if isinstance(refusal, Failed):
            return refusal
        if refusal is not None or never_existed:
            return Failed(
                "deleted_wrong_version",
                f"Delete failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, "
                f"Actual version: {len(target.events) - 1}",
            )
        if tombstone:
            record = self._record(target, NewEvent(TOMBSTONE, b"", id=self.new_id()), SOFT_DELETED, now)
            target.tombstone = record
            self._streams.get(f"$${stream}") or self._add(f"$${stream}")  # it is deleted too, even if it never was
            records = [record]
        else:
            records = self._write_metadata(target, _DELETED_JSON, now)
        self._tell(records)
        return Appended(None, records[-1].commit_position or 0)

    def scavenge(self, now: int) -> int:
        """Remove for good what the metadata of streams hides at `now`; how many records that were.

        The last event of a stream stays, so that its numbers go on, unless there is a tombstone, which stays. Positions
        and numbers of what is left do not change (docs/facts/eventstore.md §C3). All chunks are looked at, the one that
        is being written as well: as after an administrator had it completed.
        """
        for stream in self._streams.values():
            stream.scavenged = max(stream.scavenged, _to_scavenge(stream, now))
        streams = self._streams
        gone = [
            index
            for index, record in enumerate(self.records)
            if record.stream_position < streams[record.stream_name].scavenged
        ]
        if gone:
            self._removed_positions.update(self._positions[index] for index in gone)
            left = sorted(set(range(len(self.records))) - set(gone))
            self.records[:] = [self.records[index] for index in left]
            self._positions = [self._positions[index] for index in left]
            for tell in self.renumbered:
                tell(lambda index: index - bisect_left(gone, index))
        return len(gone)

    def restart(self) -> None:
        """The process is a new one: what it held in memory only is gone."""
        self._recent.clear()

    def new_id(self) -> UUID:
        """For an event that the node itself writes."""
        return UUID(int=self._dice.getrandbits(128), version=4)

    # -- reading ---------------------------------------------------------------------------------------------------

    def stream(self, name: str) -> Stream | None:
        return self._streams.get(name)

    def last_revision(self, stream: str) -> int:
        """The number of the last event ever written to it; −1: none; `SOFT_DELETED`: there is a tombstone."""
        found = self._streams.get(stream)
        if found is None:
            return -1
        return SOFT_DELETED if found.tombstoned else len(found.events) - 1

    def read_stream(
        self, stream: str, start: int | None, count: int, now: int, backwards: bool = False
    ) -> list[RecordedEvent] | Failed:
        """Up to `count` events from number `start` on (None: from the first, or backwards from the last).

        What the stream's metadata hides at `now` is not there; numbers do not change for it. A stream whose events
        are all expired reads empty; one that never was, or is soft-deleted, fails with `stream_not_found`, a tombstoned
        one with `stream_deleted`.
        """
        found = self._streams.get(stream)
        if found is None:
            return Failed("stream_not_found", stream)
        if found.tombstoned:
            return Failed("stream_deleted", f"Event stream '{stream}' is deleted.")
        events = found.events
        if not events or found.metadata.soft_deleted:
            return Failed("stream_not_found", stream)
        first = max(found.scavenged, first_present(events, found.metadata, now))
        if backwards:
            end = len(events) if start is None else min(start + 1, len(events))
            return events[max(first, end - count) : end][::-1]
        begin = max(first, start or 0)
        return events[begin : begin + count]

    def read_event(self, stream: str, number: int, now: int) -> RecordedEvent | None:
        """One event, unless the stream's metadata hides it at `now` or the stream is deleted."""
        found = self._streams.get(stream)
        if found is None or found.tombstoned or not 0 <= number < len(found.events):
            return None
        first = max(found.scavenged, first_present(found.events, found.metadata, now))
        return found.events[number] if number >= first else None

    def read_all(self, start_position: int, count: int, backwards: bool = False) -> list[RecordedEvent]:
        """Up to `count` records from a position on, in order of the log; backwards, those before the position.

        No metadata hides anything here (docs/facts/eventstore.md §C3).
        """
        index = bisect_left(self._positions, start_position)
        if backwards:
            return self.records[max(0, index - count) : index][::-1]
        return self.records[index : index + count]

    def index_of(self, position: int) -> int:
        """The index in `records` of the first record at `position` or behind it."""
        return bisect_left(self._positions, position)

    def is_position(self, position: int) -> bool:
        """Whether a record begins there, or the log ends or begins; else a read there fails (`InvalidPosition`).

        Where a record was removed by a scavenge a read goes on with the next one.
        """
        if position in (0, self.end_position) or position in self._removed_positions:
            return True
        index = bisect_left(self._positions, position)
        return index < len(self._positions) and self._positions[index] == position

    def resolve(self, link: RecordedEvent, now: int) -> RecordedEvent | None:
        """The event that `link` points to, with its `.link`; None where it is gone at `now`.

        Gone is what a read of the *source* stream does not find. Data that is no link target leaves the link as it is
        (`ResolveLinkToEvent`).
        """
        target = link_target(link)
        if target is None:
            return link
        event = self.read_event(target[1], target[0], now)
        return None if event is None else event.resolved_from(link)

    def resolved(self, event: RecordedEvent, now: int) -> RecordedEvent:
        """What a reader that resolves links gets for `event`: itself, its target, or an `UnresolvedLink`."""
        if event.type != LINK:
            return event
        return self.resolve(event, now) or UnresolvedLink.of(event)

    # -- how -------------------------------------------------------------------------------------------------------

    def _check(
        self, target: Stream, expected: Expected, events: Sequence[NewEvent]
    ) -> Appended | WrongVersion | Failed | None:
        if target.tombstone is not None or (target.metastream_of is not None and target.tombstoned):
            return Failed("stream_deleted", f"Event stream '{target.name}' is deleted.")
        has_metadata = expected == "exists" and self.last_revision(f"$${target.name}") >= 0
        soft_deleted = target.metadata.soft_deleted
        return check_commit(
            target.name, target.events, expected, events, self._recent, soft_deleted, has_metadata, target.scavenged
        )

    def _write(self, target: Stream, events: Sequence[NewEvent], now: int) -> list[RecordedEvent]:
        written, remember, name = target.events, self._recent.remember, target.name
        records = []
        for number, event in enumerate(events, len(written)):
            records.append(self._record(target, event, number, now))
            remember(event.id, name, number)
        written += records
        return records

    def _record(self, target: Stream, event: NewEvent, number: int, now: int) -> RecordedEvent:
        position = self.end_position
        kind, data, metadata, name = event.type, event.data, event.metadata, target.name
        record = RecordedEvent(
            kind, data, metadata, event.content_type, event.id, name, number, position, position, now
        )
        self.end_position = position + _OVERHEAD + len(data) + len(metadata) + 2 * (len(kind) + len(name))
        self.records.append(record)
        self._positions.append(position)
        return record

    def _write_metadata(self, target: Stream, data: bytes, now: int) -> list[RecordedEvent]:
        metastream = self._streams.get(f"$${target.name}") or self._add(f"$${target.name}")
        records = self._write(metastream, [NewEvent(METADATA, data, id=self.new_id())], now)
        self._apply_metadata(target)
        return records

    def _undelete(self, target: Stream, first: int, now: int) -> list[RecordedEvent]:
        """Let a soft-deleted stream begin at number `first` (`SoftUndeleteStream`): a write of its own."""
        data = undeleted(self._streams[f"$${target.name}"].events[-1], first)
        return [] if data is None else self._write_metadata(target, data, now)

    def _apply_metadata(self, target: Stream) -> None:
        if target.metastream_of is None:
            target.metadata = StreamMetadata.of(self._streams[f"$${target.name}"].events[-1])

    def _add(self, name: str) -> Stream:
        original = None
        if name.startswith("$$"):
            original = self._streams.get(name[2:]) or self._add(name[2:])
        stream = self._streams[name] = Stream(name, original)
        return stream

    def _tell(self, records: list[RecordedEvent]) -> None:
        self._untold.append(records)
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                told = self._untold.popleft()
                for watcher in tuple(self.watchers):
                    watcher(told)
        finally:
            self._telling = False


def _to_scavenge(stream: Stream, now: int) -> int:
    """How many of a stream's first events a scavenge removes."""
    if stream.tombstoned:
        return len(stream.events)
    return max(0, min(first_present(stream.events, stream.metadata, now), len(stream.events) - 1))


def link_target(link: RecordedEvent) -> tuple[int, str] | None:
    """Number and stream that the data `n@stream` of a link names; None where it is not of that form."""
    number, at, stream = link.data.partition(b"@")
    try:
        return (int(number), stream.decode()) if at and number.isdigit() else None
    except ValueError:
        return None

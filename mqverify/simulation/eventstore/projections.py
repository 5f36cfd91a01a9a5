"""The system projections: they follow the log and write links, a little later (docs/facts/eventstore.md §D).

Each reads the log in its order and writes its links in that order, so each output stream is in order of the log. A
projection's own links are records too, and are looked at like all others. `$et`, the stream of checkpoints of
`$by_event_type`, is not written.
"""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, Final, NamedTuple

from mqverify.simulation.eventstore.log import LINK, METADATA, TOMBSTONE, Log
from mqverify.simulation.eventstore.metadata import StreamMetadata
from mqverify.simulation.eventstore.protocol import Failed, ProjectionStatistics
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent
from mqverify.simulation.eventstore.settings import NodeSettings
from mqverify.simulation.timers import Timers

__all__ = ["Projections", "category_of"]

STREAM_REFERENCE: Final = "$@"


class _Emitted(NamedTuple):
    """What a projection writes for a record."""

    stream: str
    data: bytes
    metadata: str
    """JSON members beside those that every emitted event has."""
    type: str = LINK


_Rule = Callable[[RecordedEvent], _Emitted | None]


class _Projection:
    __slots__ = ("rule", "running", "seen")

    def __init__(self, rule: _Rule) -> None:
        self.rule = rule
        self.running = False
        self.seen = 0
        """Records of the log that it has looked at."""


class Projections:
    """Those of one node. They run from when they are enabled, from the beginning of the log."""

    def __init__(self, log: Log, timers: Timers, dice: random.Random, settings: NodeSettings) -> None:
        self._log = log
        self._timers = timers
        self._dice = dice
        self._delay = settings.projection_delay
        self._timer: Any = None
        self._all = {
            "$by_category": _Projection(_ByCategory()),
            "$by_correlation_id": _Projection(_by_correlation_id),
            "$by_event_type": _Projection(_by_event_type),
            "$stream_by_category": _Projection(_stream_by_category),
            "$streams": _Projection(_streams),
        }
        for name in settings.running_projections:
            self._all[name].running = True
        self._running = [projection for projection in self._all.values() if projection.running]
        log.watchers.append(self._written)
        log.renumbered.append(self._renumbered)

    def enable(self, name: str, now: int) -> Failed | None:
        """Start a projection, or have it go on. Fails with `projection_not_found`."""
        found = self._all.get(name)
        if found is None:
            return _not_found(name)
        found.running = True
        self._running = [projection for projection in self._all.values() if projection.running]
        if found.seen < len(self._log.records):
            self._schedule(now)
        return None

    def statistics(self, name: str) -> ProjectionStatistics | Failed:
        """Progress is 100.0 exactly when all that is now in the log has been seen."""
        found = self._all.get(name)
        if found is None:
            return _not_found(name)
        records = self._log.records
        position = (records[found.seen - 1].commit_position or 0) if found.seen else 0
        progress = 100.0 if found.seen == len(records) else 99.9 * position / self._log.end_position
        return ProjectionStatistics(name, "Running" if found.running else "Stopped", progress, position)

    def _renumbered(self, now_at: Callable[[int], int]) -> None:
        for projection in self._all.values():
            projection.seen = now_at(projection.seen)

    def _written(self, records: Sequence[RecordedEvent]) -> None:
        if self._running:
            self._schedule(records[-1].created)

    def _schedule(self, now: int) -> None:
        if self._timer is None:
            least, most = self._delay
            self._timer = self._timers.at(now + self._dice.randint(least, most), self._run)

    def _run(self, now: int) -> None:
        """Look at all that is new, the links that come of it included."""
        records = self._log.records
        while any(projection.seen < len(records) for projection in self._running):
            for projection in self._running:
                self._follow(projection, now)
        self._timer = None

    def _follow(self, projection: _Projection, now: int) -> None:
        log, rule = self._log, projection.rule
        emitted: dict[str, list[NewEvent]] = {}
        for record in log.records[projection.seen :]:
            found = rule(record)
            if found is not None:
                metadata = _link_metadata(record, found.metadata)
                event = NewEvent(found.type, found.data, metadata, "application/octet-stream", log.new_id())
                emitted.setdefault(found.stream, []).append(event)
        projection.seen = len(log.records)
        for stream, events in emitted.items():
            log.append(stream, "any", events, now)


def category_of(stream: str) -> str | None:
    """The name up to the first `-`; None for system streams and names without one."""
    category, dash, _ = stream.partition("-")
    return category if dash and not stream.startswith("$") else None


class _ByCategory:
    """Links to the events of each category's streams; a link in such a stream gives a link to its own target.

    A deletion is linked to in the category of the stream that was deleted.
    """

    def __init__(self) -> None:
        self._outputs: dict[str, tuple[str, bytes, str] | None] = {}
        """By stream: the output stream, `@` and the name, and the metadata `$o`."""

    def __call__(self, record: RecordedEvent) -> _Emitted | None:
        deleted = _deleted_stream(record)
        source = deleted or record.stream_name
        if source not in self._outputs:
            self._outputs[source] = self._output(source)
        output = self._outputs[source]
        if output is None:
            return None
        stream, at_name, metadata = output
        if deleted is not None:
            return _Emitted(stream, _target(record), f'{metadata},"$deleted":-1')
        if record.type == LINK:
            return _Emitted(stream, record.data, metadata)
        return _Emitted(stream, b"%d%s" % (record.stream_position, at_name), metadata)

    @staticmethod
    def _output(source: str) -> tuple[str, bytes, str] | None:
        category = category_of(source)
        if category is None:
            return None
        return f"$ce-{category}", b"@" + source.encode(), f',"$o":{json.dumps(source)}'


def _by_correlation_id(record: RecordedEvent) -> _Emitted | None:
    if record.type == LINK or b'"$correlationId"' not in record.metadata:
        return None
    try:
        metadata = json.loads(record.metadata)
    except (ValueError, RecursionError):
        return None
    found = metadata.get("$correlationId") if isinstance(metadata, dict) else None
    if not isinstance(found, str):
        return None
    time = record.recorded_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _Emitted(f"$bc-{found}", _target(record), f',"$eventTimestamp":"{time}"')


def _by_event_type(record: RecordedEvent) -> _Emitted | None:
    if record.type == LINK:
        return None
    deleted = _deleted_stream(record)
    if deleted is not None:
        return _Emitted("$et-$deleted", b"%d@%s" % (record.stream_position, deleted.encode()), ',"$deleted":-1')
    return _Emitted(f"$et-{record.type}", _target(record), "")


def _stream_by_category(record: RecordedEvent) -> _Emitted | None:
    """One reference for each stream: its name, in an event of type `$@`."""
    category = category_of(record.stream_name) if record.stream_position == 0 else None
    if category is None:
        return None
    return _Emitted(f"$category-{category}", record.stream_name.encode(), "", STREAM_REFERENCE)


def _streams(record: RecordedEvent) -> _Emitted | None:
    return _Emitted("$streams", _target(record), "") if record.stream_position == 0 else None


def _deleted_stream(record: RecordedEvent) -> str | None:
    """The stream that is deleted by this record, softly or for ever (`StreamDeletedHelper`)."""
    if record.type == TOMBSTONE:
        return record.stream_name
    if record.type == METADATA and record.stream_name.startswith("$$") and StreamMetadata.of(record).soft_deleted:
        return record.stream_name[2:]
    return None


def _target(record: RecordedEvent) -> bytes:
    return b"%d@%s" % (record.stream_position, record.stream_name.encode())


def _link_metadata(record: RecordedEvent, more: str) -> bytes:
    position = record.commit_position
    return f'{{"$v":"1:-1:1:4","$c":{position},"$p":{position}{more},"$causedBy":"{record.id}"}}'.encode()


def _not_found(name: str) -> Failed:
    return Failed("projection_not_found", f"Projection '{name}' not found")

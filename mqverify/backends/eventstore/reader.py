"""The fresh reader on esdbclient's API: what can be read, by stream, in `$all`, and along the links of the source.

How far a reading saw has to be exact while others append and events expire. A place is read to where it seems to end;
then comes `read_at`; then the end is asked for. So what was gone by `read_at` lies below the first position, and what
was acknowledged by then below the end: what lies between what was read and the end is in doubt, not absent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mqverify.backends.eventstore.binding import ALL, Binding, reads
from mqverify.backends.eventstore.revisions import last_position
from mqverify.history.recorder import RunRows

__all__ = ["FreshReader", "Seen", "caught_up"]

_ASKED_AT_MOST: Final = 1000
"""How often a projection is asked how far it is, one question behind the other.

A question is a round trip, so time passes with each: in the simulated world about half a millisecond, and a projection
lags by 10 ms at the most. A pause would make it no cheaper there, and an admin has no clock of its own. One that has
not caught up by the last question is no error: a reading leaves it in doubt, and whoever asked what is owed asks again.
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one `FreshReader.read`."""

    following: int
    """The next free number of a reading."""
    streams: int
    """Streams of the run that have an event, by `$all`."""
    bytes: int
    """Data, metadata and types of their events, as the server counts the size of an append."""


@dataclass(slots=True)
class _Span:
    """What a reading saw of a place: from `first` on, up to but not including `read_to`."""

    first: int
    read_to: int
    read_at: int


@dataclass(frozen=True, slots=True)
class _Pass:
    """One reading that goes on: where its rows go, and its number."""

    rows: RunRows
    stamp: Callable[[], int]
    number: int

    def bounds(self, place: str, group: str | None, partition: int, span: _Span, end: int) -> None:
        self.rows.add(
            "bounds", self.number, place, group, partition, span.first, max(end, span.read_to), span.read_to,
            span.read_at,
        )  # fmt: skip


class FreshReader:
    """Reads as an application would that comes anew."""

    def __init__(self, binding: Binding, client: Any) -> None:
        self._binding = binding
        self._client = client

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> Seen:
        """Two readings, by stream and of `$all`, and one more where links are subscribed to.

        Parked events are read in the first.
        """
        of_streams, of_all = _Pass(rows, stamp, reading), _Pass(rows, stamp, reading + 1)
        spans = self._read_streams(of_streams)
        if self._binding.persistent:
            for group in self._binding.groups:
                self._read_parked(of_streams, group.name)
        rows.add("readings", reading, "stream", None, None, reason, True)
        ends, size = self._read_all(of_all)
        rows.add("readings", reading + 1, "all", self._binding.all_place, None, reason, True)
        for stream, span in spans.items():
            of_streams.bounds("main", None, self._binding.place_of[stream], span, ends.get(stream, -1) + 1)
        if self._binding.projection is None:
            return Seen(reading + 2, len(ends), size)
        complete = self._read_source(_Pass(rows, stamp, reading + 2))
        reader, source = reads(self._binding.settings), self._binding.source_place
        rows.add("readings", reading + 2, reader, source, None, reason, complete)
        return Seen(reading + 3, len(ends), size)

    # --- streams ---------------------------------------------------------------------------------------------------

    def _read_streams(self, reading: _Pass) -> dict[str, _Span]:
        """Every stream of the plan. One that reads empty is read again, now that `$all` has said how far it went."""
        spans: dict[str, _Span] = {}
        for stream in self._binding.streams:
            self._read_stream(reading, stream, spans)
        empty = [stream for stream in self._binding.streams if stream not in spans]
        if empty:
            last = {event.stream_name: event.stream_position for event in self._everything()}
            for stream in empty:
                if not self._read_stream(reading, stream, spans):
                    end = last.get(stream, -1) + 1
                    spans[stream] = _Span(end, end, reading.stamp())
        return spans

    def _read_stream(self, reading: _Pass, stream: str, spans: dict[str, _Span]) -> bool:
        """Log a stream's events, if it has any."""
        events = self._events(stream)
        if not events:
            return False
        place = self._binding.place_of[stream]
        for event in events:
            self._log(reading, "main", None, place, event.stream_position, place, event.stream_position, event)
        spans[stream] = _Span(events[0].stream_position, events[-1].stream_position + 1, reading.stamp())
        return True

    def _read_all(self, reading: _Pass) -> tuple[dict[str, int], int]:
        """Log the run's events in `$all`.

        Returns the number of each stream's last one, whatever its metadata hides, and the bytes of them all.
        """
        source, place_of = self._binding.all_place, self._binding.place_of
        last: dict[str, int] = {}
        span = _Span(0, 0, 0)
        size = 0
        for event in self._everything():
            position = event.commit_position
            if not last:
                span.first = position
            span.read_to = position + 1
            last[event.stream_name] = event.stream_position
            size += len(event.data) + len(event.metadata) + 2 * len(event.type)
            place = place_of.get(event.stream_name, source)
            self._log(reading, "main", None, place, event.stream_position, source, position, event)
        span.read_at = reading.stamp()
        reading.bounds("main", None, source, span, last_position(self._client, self._binding, ALL) + 1)
        return last, size

    # --- links -----------------------------------------------------------------------------------------------------

    def _read_source(self, reading: _Pass) -> bool:
        """Log what the links of the source lead to; whether the projection that writes them had caught up."""
        binding = self._binding
        source = binding.source_place
        caught_up(self._client, binding)
        events, span = self._read_links(reading, binding.source)
        for event in events:
            if event.is_system_event:
                continue  # the category is told of streams that were deleted
            place = binding.place_of.get(event.stream_name, source)
            self._log(reading, "main", None, place, event.stream_position, source, event.link.stream_position, event)
        complete = caught_up(self._client, binding)  # what was appended by `read_at` has its link now
        end = last_position(self._client, binding, binding.source) + 1
        reading.bounds("main", None, source, span, end if complete else max(end, span.read_to) + 1)
        return complete

    def _read_parked(self, reading: _Pass, group: str) -> None:
        """Log what a group's parked links lead to. Nothing is there before the first was parked."""
        stream, place = self._binding.parked_stream(group), self._binding.parked_place(group)
        events, span = self._read_links(reading, stream)
        for event in events:
            position = event.stream_position if event.link is None else event.link.stream_position
            self._log(reading, "parked", group, place, position, place, position, event)
        reading.bounds("parked", group, place, span, last_position(self._client, self._binding, stream) + 1)

    def _read_links(self, reading: _Pass, stream: str) -> tuple[Sequence[Any], _Span]:
        """The events that a stream's links lead to. Links whose target is gone are not handed out, and were read."""
        first = self._events(stream, limit=1)
        end = last_position(self._client, self._binding, stream) + 1
        events = self._events(stream, resolve_links=True)
        if events and events[-1].link is not None:
            end = max(end, events[-1].link.stream_position + 1)
        return events, _Span(first[0].stream_position if first else end, end, reading.stamp())

    # --- how -------------------------------------------------------------------------------------------------------

    def _events(self, stream: str, **how: Any) -> Sequence[Any]:
        """A stream's events; none if there is no such stream."""
        try:
            events: Sequence[Any] = self._client.get_stream(stream, **how)
        except self._binding.library.exceptions.NotFound:
            return ()
        return events

    def _everything(self) -> Iterable[Any]:
        """The run's events in `$all`, in the order of the log."""
        with self._client.read_all(**self._binding.own_streams) as events:
            yield from events

    def _log(
        self,
        reading: _Pass,
        kind: str,
        group: str | None,
        place: int,
        position: int,
        source: int,
        source_position: int,
        event: Any,
    ) -> None:
        message, key, sequence, intact = self._binding.plan.payloads.decode(event.data)
        row = [
            reading.number, kind, group, place, position, source, source_position, message, key, sequence,
            self._binding.since_start(event.recorded_at), None, "committed", intact,
        ]  # fmt: skip
        reading.rows.tables["log"].append(row)


def caught_up(client: Any, binding: Binding) -> bool:
    """Wait until the source's projection has seen all that is in the log, if there is one; False if it does not."""
    if binding.projection is None:
        return True
    return any(client.get_projection_statistics(name=binding.projection).progress >= 100 for _ in range(_ASKED_AT_MOST))

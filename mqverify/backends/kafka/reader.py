"""The fresh reader: a consumer without a group, which reads every partition from its beginning to its end."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mqverify.backends.base import NotDone
from mqverify.backends.kafka.binding import Binding, stored_size
from mqverify.backends.kafka.replicas import Trouble
from mqverify.errors import BackendLost
from mqverify.history.recorder import Row, RunRows
from mqverify.history.tables import TABLES

__all__ = ["FreshReader", "Place"]

_EMPTY_POLLS_ALLOWED = 20
_READER_POLL_MS = 500
_READER_RECORDS = 100_000
_READER_PATIENCE_SECONDS = 60.0
_MOST_LOOKS = 5
_RECORD_TIME = TABLES["log"].column_names[2:].index("record_time")
_END_UNKNOWN = 1 << 40
"""Where a partition ends of which nobody says it, or of which readers may not be shown all: far beyond any offset, so
that what a reading did not find there is in doubt."""


@dataclass(frozen=True, slots=True)
class Place:
    """A partition that the fresh reader reads, and what it is called in the history."""

    partition: Any
    number: int
    kind: str
    group: str | None = None


@dataclass(slots=True)
class _Look:
    """One pass of the reader over all partitions."""

    places: Mapping[Any, Place]
    troubled: Collection[Any]
    """Partitions that do not tell their end now, or have no leader."""
    first: Mapping[Any, int]
    ends: Mapping[Any, int]
    read_at: int
    read_to: dict[Any, int]
    found: dict[Any, int] = field(default_factory=dict)
    """How many records, by partition."""
    log: list[Row] = field(default_factory=list)
    complete: bool = False


class FreshReader:
    """Of one run. `troubled` names the partitions of which readers may not see all now, and waits so many seconds for
    a broker that says so; it raises NotDone if none does.
    """

    def __init__(self, binding: Binding, troubled: Callable[[float], Mapping[Any, Trouble]]) -> None:
        self._binding = binding
        self._troubled = troubled
        self._made: Any = None
        self.complete = False
        """Whether the last reading came to its end."""
        self.oldest: int | None = None
        """Of the last reading: the timestamp of the oldest record, in nanoseconds since the run's start."""

    @property
    def consumer(self) -> Any:
        """The library's, made when it is first needed."""
        if self._made is None:
            self._made = self._binding.library.KafkaConsumer(
                **self._binding.reach,
                client_id="mqverify-reader",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
        return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def first_and_end(self, partitions: Sequence[Any]) -> Mapping[Any, tuple[int, int]]:
        """Of each partition its log start offset and its end."""
        consumer = self.consumer
        first, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        return {partition: (first[partition], ends[partition]) for partition in partitions}

    def read(
        self, places: Collection[Place], rows: RunRows, stamp: Callable[[], int], reading: int, reason: str
    ) -> int:
        """Read every partition from its beginning to the end that the broker names first.

        What is removed meanwhile would seem to be missing, so then all is read again; where that happens every time,
        the partition counts as not read.
        """
        for _ in range(_MOST_LOOKS):
            look = self._look(places, stamp, reading)
            moved = self._moved(look)
            if not moved:
                break
        rows.tables["log"].extend(look.log)
        times = [row[_RECORD_TIME] for row in look.log]
        self.oldest, self.complete = min(times, default=None), look.complete and not moved
        rows.add("readings", reading, "partition", None, "read_uncommitted", reason, self.complete)
        for partition, place in look.places.items():
            begin = look.first.get(partition, 0)
            end = _END_UNKNOWN if partition in look.troubled else look.ends[partition]
            reached = begin if partition in moved else max(look.read_to.get(partition, 0), begin)
            rows.add("bounds", reading, place.kind, place.group, place.number, begin, end, reached, look.read_at)
        return reading + 1

    def _look(self, places: Collection[Place], stamp: Callable[[], int], reading: int) -> _Look:
        """Read every partition once."""
        consumer = self.consumer
        for place in places:
            if place.kind == "parked":  # it asks for topics that it does not know yet, as offsets do not
                consumer.partitions_for_topic(place.partition.topic)
        try:
            troubled = self._troubled(_READER_PATIENCE_SECONDS)
        except NotDone as reason:
            raise BackendLost(str(reason)) from reason
        of = {place.partition: place for place in places}
        led = [partition for partition in of if partition not in troubled or troubled[partition].leader is not None]
        first = consumer.beginning_offsets(led)
        read_at = stamp()  # what was removed was gone by now, and what is acknowledged by now lies before the ends
        ends = consumer.end_offsets(led)
        waiting = {partition: ends[partition] for partition in led if first[partition] < ends[partition]}
        look = _Look(of, troubled, first, ends, read_at, dict(first))
        if waiting:
            consumer.assign(list(waiting))
            for partition in waiting:
                consumer.seek(partition, first[partition])
        empty_polls = 0
        while waiting and empty_polls < _EMPTY_POLLS_ALLOWED:
            batches = consumer.poll(timeout_ms=_READER_POLL_MS, max_records=_READER_RECORDS)
            empty_polls = 0 if batches else empty_polls + 1
            for partition, records in batches.items():
                look.found[partition] = look.found.get(partition, 0) + self._log(look, reading, partition, records)
            for partition in list(waiting):
                position = consumer.position(partition)
                look.read_to[partition] = min(position, ends[partition])
                if position >= waiting[partition]:
                    del waiting[partition]
        look.complete = not waiting and not troubled
        return look

    def _moved(self, look: _Look) -> set[Any]:
        """Of which partitions something was removed while they were read: fewer records, and a later beginning."""
        fewer = [
            partition
            for partition, reached in look.read_to.items()
            if look.found.get(partition, 0) < reached - look.first[partition]
        ]
        if not fewer:
            return set()
        first = self.consumer.beginning_offsets(fewer)
        return {partition for partition in fewer if first[partition] > look.first[partition]}

    def _log(self, look: _Look, reading: int, partition: Any, records: Sequence[Any]) -> int:
        """Note records as rows of `log`; how many there were."""
        decode, since_start = self._binding.plan.payloads.decode, self._binding.since_start
        place, end = look.places[partition], look.ends[partition]
        number, found = place.number, 0
        for record in records:
            offset = record.offset
            if offset >= end:
                break
            found += 1
            message, key, sequence, intact = decode(record.value)
            size = stored_size(record.serialized_key_size, record.serialized_value_size)
            row = [
                reading, place.kind, place.group, number, offset, number, offset, message, key, sequence,
                since_start(record.timestamp), size, "committed", intact,
            ]  # fmt: skip
            look.log.append(row)
        return found

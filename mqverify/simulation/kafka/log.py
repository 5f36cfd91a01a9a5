"""A partition's log: segments of records, from the log start offset to the log end offset.

One broker, one replica: what is appended is committed at once, so the high watermark is the log end offset, and
(without transactions) so is the last stable offset. Records are made once, at the append, in the form in which
consumers hand them to applications; a fetch is a slice. Source: docs/facts/kafka.md §B.1; Kafka's `UnifiedLog`,
`LogSegment`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import InvalidTimestampError, MessageSizeTooLargeError, OffsetOutOfRangeError

from mqverify.simulation.kafka.sequences import ProducerSequences
from mqverify.simulation.kafka.settings import DAY, TopicConfig

__all__ = ["CREATE_TIME", "LOG_APPEND_TIME", "Entry", "PartitionLog", "Segment"]

CREATE_TIME, LOG_APPEND_TIME = 0, 1

Entry = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]], int, int, int]
"""A record before it has an offset: timestamp, key, value, headers, and the sizes of key, value and headers."""

_new: Any = tuple.__new__


class Segment:
    """A run of batches in one file. Offsets in it are contiguous, for nothing is compacted."""

    __slots__ = ("base_offset", "first_timestamp", "last_timestamp", "next_offsets", "records", "size", "sizes")

    def __init__(self, base_offset: int) -> None:
        self.base_offset = base_offset
        self.records: list[Any] = []
        self.next_offsets: list[int] = []
        """Of each batch, the offset behind it."""
        self.sizes: list[int] = []
        """Of each batch, the segment's size with it."""
        self.size = 0
        self.first_timestamp = -1
        """The largest timestamp of the first batch, from which `segment.ms` counts (`LogSegment.timeWaitedForRoll`)."""
        self.last_timestamp = -1
        """The largest timestamp, which is all that time retention looks at."""


class PartitionLog:
    """One partition. Times are milliseconds since 1970."""

    __slots__ = ("config", "end_offset", "partition", "producers", "segments", "start_offset", "topic", "waiting")

    def __init__(self, topic: str, partition: int, config: TopicConfig, producer_expiration: int = DAY) -> None:
        self.topic = topic
        self.partition = partition
        self.config = config
        self.segments = [Segment(0)]
        self.start_offset = 0
        self.end_offset = 0
        self.producers = ProducerSequences(producer_expiration)
        self.waiting: list[Any] = []
        """Fetches that wait for data of this partition."""

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)

    def append(self, entries: Sequence[Entry], size: int, now_ms: int) -> tuple[int, int]:
        """Append one batch of `size` bytes; its base offset and its log append time (−1 with CreateTime).

        Raises `InvalidTimestampError` for a timestamp further in the future than `message.timestamp.after.max.ms`
        (docs/facts/kafka.md §0.4), `MessageSizeTooLargeError` for a batch above `max.message.bytes`.
        """
        config = self.config
        if size > config.max_message_bytes:
            raise MessageSizeTooLargeError
        append_time = -1
        if config.timestamp_type == "LogAppendTime":
            largest = append_time = now_ms
            kind = LOG_APPEND_TIME
            entries = [(now_ms, *entry[1:]) for entry in entries]
        else:
            largest = max([entry[0] for entry in entries])
            kind = CREATE_TIME
            if largest - now_ms > config.timestamp_after_max_ms:
                raise InvalidTimestampError
        segment = self.segments[-1]
        if segment.size and (
            segment.size + size > config.segment_bytes or largest - segment.first_timestamp > config.segment_ms
        ):
            segment = self.roll()
        base = segment.base_offset + len(segment.records)
        topic, partition, new, record = self.topic, self.partition, _new, ConsumerRecord
        segment.records += [
            new(record, (topic, partition, 0, offset, stamp, kind, key, value, headers, None, k, v, h))
            for offset, (stamp, key, value, headers, k, v, h) in enumerate(entries, base)
        ]
        self.end_offset = base + len(entries)
        segment.size += size
        segment.next_offsets.append(self.end_offset)
        segment.sizes.append(segment.size)
        if segment.first_timestamp < 0:
            segment.first_timestamp = largest
        if largest > segment.last_timestamp:
            segment.last_timestamp = largest
        return base, append_time

    def roll(self) -> Segment:
        """Close the active segment and begin a new one."""
        segment = Segment(self.end_offset)
        self.segments.append(segment)
        return segment

    def read(self, offset: int, max_bytes: int, at_least_one: bool) -> tuple[list[Any], int]:
        """The records from `offset` on, whole batches of one segment up to `max_bytes`, and their size in bytes.

        With `at_least_one` the first batch comes even if it is larger (KIP-74). As Kafka does, a read ends at the end
        of its segment. Raises `OffsetOutOfRangeError` below the log start offset or above the log end offset.
        """
        if not self.start_offset <= offset <= self.end_offset:
            raise OffsetOutOfRangeError
        segment = self._segment_of(offset)
        batch = bisect_right(segment.next_offsets, offset)
        if batch == len(segment.next_offsets):
            return [], 0
        before = segment.sizes[batch - 1] if batch else 0
        last = bisect_right(segment.sizes, before + max_bytes) - 1
        if last < batch:
            if not at_least_one:
                return [], 0
            last = batch
        base = segment.base_offset
        return segment.records[offset - base : segment.next_offsets[last] - base], segment.sizes[last] - before

    def offset_for_time(self, timestamp: int) -> tuple[int, int] | None:
        """The first record whose timestamp is at least `timestamp`: its offset and timestamp."""
        for segment in self.segments:
            if segment.last_timestamp >= timestamp:
                for record in segment.records:
                    if record.timestamp >= timestamp and record.offset >= self.start_offset:
                        return record.offset, record.timestamp
        return None

    def delete_before(self, offset: int) -> int:
        """Move the log start offset up to `offset` (DeleteRecords; −1 is the high watermark); the new start."""
        end = self.end_offset
        offset = end if offset == -1 else offset
        if not 0 <= offset <= end:
            raise OffsetOutOfRangeError
        self.start_offset = max(self.start_offset, offset)
        return self.start_offset

    def _segment_of(self, offset: int) -> Segment:
        segments = self.segments
        if offset >= segments[-1].base_offset:
            return segments[-1]
        for segment in segments:
            if offset < segment.base_offset + len(segment.records):
                return segment
        return segments[-1]

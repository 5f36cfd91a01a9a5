"""Provisioning and fresh reading through kafka-python's API, outside all consumer groups."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mqverify.backends.kafka.binding import Binding, stored_size
from mqverify.history.recorder import RunRows

__all__ = ["KafkaAdmin"]

_EMPTY_POLLS_ALLOWED = 20
_READER_POLL_MS = 500
_READER_RECORDS = 100_000


class KafkaAdmin:
    """Creates the run's topic, looks at it, reads it, removes it."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._library = binding.library
        self._partitions = 0
        self._admin = self._library.KafkaAdminClient(bootstrap_servers=binding.address, client_id="mqverify")
        self._reader: Any = None

    def create(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        settings = self._binding.settings
        count = settings.partitions
        if count == "per_key":
            count = self._binding.plan.workload.keys.count
        configs = {name: str(value) for name, value in settings.native("topic").items()}
        topic = {"num_partitions": count, "replication_factor": 1, "configs": configs}
        self._admin.create_topics({self._binding.topic: topic})
        self._partitions = count
        if settings.auto_offset_reset == "none":
            self._commit_beginnings(rows, stamp)

    def remove(self) -> None:
        self._admin.delete_topics([self._binding.topic])

    def add_partitions(self, total: int) -> None:
        self._admin.create_partitions({self._binding.topic: total})
        self._partitions = total

    def places(self) -> list[str]:
        return [f"partition {number}" for number in range(self._partitions)]

    def ends(self) -> Mapping[int, int]:
        ends = self._consumer().end_offsets(self._topic_partitions())
        return {partition.partition: offset for partition, offset in ends.items()}

    def footprint(self) -> Mapping[str, int]:
        return {"partitions": self._partitions}

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._admin.close()

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> None:
        """Read every partition from its beginning to the end that the broker names first."""
        consumer, partitions = self._consumer(), self._topic_partitions()
        first = consumer.beginning_offsets(partitions)
        read_at = stamp()  # what was removed was gone by now, and what is acknowledged by now lies before the ends
        ends = consumer.end_offsets(partitions)
        waiting = {partition: ends[partition] for partition in partitions if first[partition] < ends[partition]}
        read_to = dict(first)
        if waiting:
            consumer.assign(list(waiting))
            for partition in waiting:
                consumer.seek(partition, first[partition])
        empty_polls = 0
        while waiting and empty_polls < _EMPTY_POLLS_ALLOWED:
            batches = consumer.poll(timeout_ms=_READER_POLL_MS, max_records=_READER_RECORDS)
            empty_polls = 0 if batches else empty_polls + 1
            for partition, records in batches.items():
                self._log(rows, reading, partition.partition, records, ends[partition])
            for partition in list(waiting):
                position = consumer.position(partition)
                read_to[partition] = min(position, ends[partition])
                if position >= waiting[partition]:
                    del waiting[partition]
        rows.add("readings", reading, "partition", None, "read_uncommitted", reason, not waiting)
        for partition in partitions:
            number, end = partition.partition, ends[partition]
            reached = max(read_to[partition], first[partition])
            rows.add("bounds", reading, "main", number, first[partition], end, reached, read_at)

    def _log(self, rows: RunRows, reading: int, number: int, records: Sequence[Any], end: int) -> None:
        decode, since_start = self._binding.plan.payloads.decode, self._binding.since_start
        log = rows.tables["log"]
        for record in records:
            offset = record.offset
            if offset >= end:
                break
            message, key, sequence, intact = decode(record.value)
            size = stored_size(record.serialized_key_size, record.serialized_value_size)
            row = [
                reading, "main", None, number, offset, number, offset, message, key, sequence,
                since_start(record.timestamp), size, "committed", intact,
            ]  # fmt: skip
            log.append(row)

    def _consumer(self) -> Any:
        """A reader without a group, made when it is first needed."""
        if self._reader is None:
            self._reader = self._library.KafkaConsumer(
                bootstrap_servers=self._binding.address,
                client_id="mqverify-reader",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
        return self._reader

    def _commit_beginnings(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Under `auto.offset.reset = none` a group cannot start without offsets: give each its first, as one does."""
        for group in self._binding.plan.workload.groups:
            consumer = self._library.KafkaConsumer(
                bootstrap_servers=self._binding.address,
                client_id="mqverify-offsets",
                group_id=self._binding.group_id(group),
                enable_auto_commit=False,
            )
            partitions = self._topic_partitions()
            consumer.assign(partitions)
            asked_at = stamp()
            consumer.commit({partition: self._library.OffsetAndMetadata(0, "", -1) for partition in partitions})
            done_at = stamp()
            for number in range(self._partitions):
                rows.add(
                    "settlements", "mqverify", None, group, None, number, 0, "below", None,
                    "commit", "observed", asked_at, done_at, "acked",
                )  # fmt: skip
            consumer.close(autocommit=False)

    def _topic_partitions(self) -> list[Any]:
        topic, make = self._binding.topic, self._library.TopicPartition
        return [make(topic, number) for number in range(self._partitions)]

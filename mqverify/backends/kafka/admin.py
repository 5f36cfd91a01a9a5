"""Provisioning and fresh reading through kafka-python's API, outside all consumer groups."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mqverify.backends.base import NotDone
from mqverify.backends.kafka.binding import Binding, parks, stored_size
from mqverify.backends.kafka.removal import remove_groups, remove_topics
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import RunRows
from mqverify.workload.groups import ConsumerGroup

__all__ = ["KafkaAdmin"]

_EMPTY_POLLS_ALLOWED = 20
_READER_POLL_MS = 500
_READER_RECORDS = 100_000

_DEAD_LETTERS_FROM = 1_000_000
"""The first id of the places of dead letters: those of partitions are their numbers, and partitions may be added."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition that the fresh reader reads, and what it is called in the history."""

    partition: Any
    number: int
    kind: str
    group: str | None = None


class KafkaAdmin:
    """Creates the run's topics, looks at them, reads them, removes them."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._library = binding.library
        self._partitions = 0
        self._dead_letters: list[_Place] = []
        self._groups: list[str] = []
        self._admin = self._library.KafkaAdminClient(**binding.reach, client_id="mqverify")
        self._reader: Any = None
        self._note_limit: Callable[[str, int, str], object] = lambda _name, _place, _value: None

    def create(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        self._note_limit = lambda name, place, value: rows.add("settings", name, place, value, stamp())
        settings = self._binding.settings
        count = settings.partitions
        if count == "per_key":
            count = self._binding.plan.workload.keys.count
        self._create_topic(self._binding.topic, count)
        self._partitions = count

    def open_group(self, group: ConsumerGroup, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Create its dead-letter topic, if it parks; under `auto.offset.reset = none` commit where it starts."""
        self._groups.append(self._binding.group_id(group.name))
        if parks(group):
            topic = self._binding.dead_letters(group.name)
            self._create_topic(topic, 1)
            number = _DEAD_LETTERS_FROM + len(self._dead_letters)
            partition = self._library.TopicPartition(topic, 0)
            self._dead_letters.append(_Place(partition, number, "parked", group.name))
            of_group = "" if len(self._binding.plan.workload.groups) == 1 else f" of {group.name}"
            rows.add("places", number, f"dead letters{of_group}", stamp())
        if self._binding.settings.auto_offset_reset == "none":
            self._commit_beginnings(group, rows, stamp)

    def remove(self) -> Sequence[str]:
        """Topics first: no member is left that would make them again, and a group without them goes as well."""
        topics = [self._binding.topic, *(place.partition.topic for place in self._dead_letters)]
        return [*remove_topics(self._admin, topics), *remove_groups(self._admin, self._groups)]

    def acts(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        return {"add_partitions": self._add_partitions, "delete_records": self._delete_records}

    def _add_partitions(self, planned: PlannedFault) -> None:
        total = planned.fault.amount or 0
        self._admin.create_partitions({self._binding.topic: total})
        self._partitions = total

    def _delete_records(self, planned: PlannedFault) -> None:
        """Move a partition's log start offset (`DeleteRecords`, KIP-107); only what the broker has can be deleted."""
        number = planned.fault.options["partition"]
        if number >= self._partitions:
            raise NotDone(f"there is no partition {number}")
        partition = self._library.TopicPartition(self._binding.topic, number)
        consumer = self._consumer()
        first = consumer.beginning_offsets([partition])[partition]
        end = consumer.end_offsets([partition])[partition]
        asked = planned.before
        before = first + math.ceil(asked * (end - first) - 1e-9) if planned.before_share else round(asked)
        if before > end:
            raise NotDone(f"partition {number} ends at offset {end}, and nothing can be deleted before {before}")
        if before <= first:
            raise NotDone(f"partition {number} held nothing before offset {before}")
        self._note_limit("delete_records", number, str(before))
        self._admin.delete_records({partition: before})

    def places(self) -> list[str]:
        return [f"partition {number}" for number in range(self._partitions)]

    def behind(self, progress: Mapping[str, Mapping[int, int]]) -> Mapping[str, Sequence[str]]:
        partitions = [place.partition for place in self._main_places()]
        ends = {partition.partition: end for partition, end in self._consumer().end_offsets(partitions).items()}
        return {
            group: [
                f"partition {number} at {reached.get(number, 'no position')} of {end}"
                for number, end in ends.items()
                if end > reached.get(number, 0)
            ]
            for group, reached in progress.items()
        }

    def footprint(self) -> Mapping[str, int]:
        return {"partitions": self._partitions + len(self._dead_letters)}

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._admin.close()

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> int:
        """Read every partition from its beginning to the end that the broker names first."""
        consumer = self._consumer()
        for place in self._dead_letters:  # it asks for topics that it does not know yet, as offsets do not
            consumer.partitions_for_topic(place.partition.topic)
        places = {place.partition: place for place in [*self._main_places(), *self._dead_letters]}
        first = consumer.beginning_offsets(list(places))
        read_at = stamp()  # what was removed was gone by now, and what is acknowledged by now lies before the ends
        ends = consumer.end_offsets(list(places))
        waiting = {partition: ends[partition] for partition in places if first[partition] < ends[partition]}
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
                self._log(rows, reading, places[partition], records, ends[partition])
            for partition in list(waiting):
                position = consumer.position(partition)
                read_to[partition] = min(position, ends[partition])
                if position >= waiting[partition]:
                    del waiting[partition]
        rows.add("readings", reading, "partition", None, "read_uncommitted", reason, not waiting)
        for partition, place in places.items():
            reached = max(read_to[partition], first[partition])
            rows.add(
                "bounds", reading, place.kind, place.group, place.number, first[partition], ends[partition], reached,
                read_at,
            )  # fmt: skip
        return reading + 1

    def _log(self, rows: RunRows, reading: int, place: _Place, records: Sequence[Any], end: int) -> None:
        decode, since_start = self._binding.plan.payloads.decode, self._binding.since_start
        log, number = rows.tables["log"], place.number
        for record in records:
            offset = record.offset
            if offset >= end:
                break
            message, key, sequence, intact = decode(record.value)
            size = stored_size(record.serialized_key_size, record.serialized_value_size)
            row = [
                reading, place.kind, place.group, number, offset, number, offset, message, key, sequence,
                since_start(record.timestamp), size, "committed", intact,
            ]  # fmt: skip
            log.append(row)

    def _create_topic(self, name: str, partitions: int) -> None:
        configs = {name: str(value) for name, value in self._binding.settings.native("topic").items()}
        self._admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})

    def _main_places(self) -> list[_Place]:
        topic, make = self._binding.topic, self._library.TopicPartition
        return [_Place(make(topic, number), number, "main") for number in range(self._partitions)]

    def _consumer(self) -> Any:
        """A reader without a group, made when it is first needed."""
        if self._reader is None:
            self._reader = self._library.KafkaConsumer(
                **self._binding.reach,
                client_id="mqverify-reader",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
        return self._reader

    def _commit_beginnings(self, group: ConsumerGroup, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Under `auto.offset.reset = none` a group cannot start without offsets: give it the first, as one does."""
        consumer = self._library.KafkaConsumer(
            **self._binding.reach,
            client_id="mqverify-offsets",
            group_id=self._binding.group_id(group.name),
            enable_auto_commit=False,
        )
        partitions = [place.partition for place in self._main_places()]
        consumer.assign(partitions)
        asked_at = stamp()
        consumer.commit({partition: self._library.OffsetAndMetadata(0, "", -1) for partition in partitions})
        done_at = stamp()
        for number in range(self._partitions):
            rows.add(
                "settlements", "mqverify", None, group.name, None, number, 0, "below", None,
                "commit", "observed", asked_at, done_at, "acked",
            )  # fmt: skip
        consumer.close(autocommit=False)

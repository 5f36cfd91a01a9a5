"""Provisioning and fresh reading through kafka-python's API, outside all consumer groups."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mqverify.backends.base import Brokers, NotDone
from mqverify.backends.kafka.ageing import Ageing
from mqverify.backends.kafka.binding import Binding, parks, stored_size
from mqverify.backends.kafka.removal import remove_groups, remove_topics
from mqverify.backends.kafka.replicas import Replicas, Trouble, partitions_of, patiently
from mqverify.errors import BackendLost
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import Row, RunRows
from mqverify.history.tables import TABLES
from mqverify.units import SECOND
from mqverify.workload.groups import ConsumerGroup

__all__ = ["KafkaAdmin"]

_EMPTY_POLLS_ALLOWED = 20
_READER_POLL_MS = 500
_READER_RECORDS = 100_000
_READER_PATIENCE_SECONDS = 60.0
_MOST_LOOKS = 5
_RECORD_TIME = TABLES["log"].column_names[2:].index("record_time")
_NEXT_POLL = 1.0
"""Seconds after which a consumer has polled again, and with that has committed what was due."""

_END_UNKNOWN = 1 << 40
"""Where a partition ends of which nobody says it, or of which readers may not be shown all: far beyond any offset, so
that what a reading did not find there is in doubt."""

_DEAD_LETTERS_FROM = 1_000_000
"""The first id of the places of dead letters: those of partitions are their numbers, and partitions may be added."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition that the fresh reader reads, and what it is called in the history."""

    partition: Any
    number: int
    kind: str
    group: str | None = None


@dataclass(slots=True)
class _Look:
    """One pass of the reader over all partitions."""

    places: Mapping[Any, _Place]
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


class KafkaAdmin:
    """Creates the run's topics, looks at them, reads them, removes them."""

    def __init__(self, binding: Binding, brokers: Brokers | None = None) -> None:
        self._binding = binding
        self._library = binding.library
        self._partitions = 0
        self._dead_letters: list[_Place] = []
        # One that comes back is asked again soon: kafka-python waits up to half a minute before it connects anew.
        again = {} if brokers is None else {"reconnect_backoff_max_ms": 1_000}
        self._admin = self._library.KafkaAdminClient(**binding.reach, **again, client_id="mqverify")
        self._brokers = brokers
        self._replicas = None if brokers is None else Replicas(self._admin, self._library, brokers)
        self._reader: Any = None
        self._ageing: Ageing | None = None
        self._groups: list[ConsumerGroup] = []
        self._read_all = False
        """Whether the last reading came to its end."""
        self._oldest: int | None = None
        """Of the last reading: the timestamp of the oldest record, in nanoseconds since the run's start."""
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
        self._groups.append(group)
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
        groups = [self._binding.group_id(group.name) for group in self._groups]
        left = patiently(self._library, lambda: remove_topics(self._admin, self._topics()))
        return [*left, *patiently(self._library, lambda: remove_groups(self._admin, groups))]

    def acts(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        return {"add_partitions": self._add_partitions, "delete_records": self._delete_records}

    def _add_partitions(self, planned: PlannedFault) -> None:
        total = planned.fault.amount or 0
        patiently(self._library, lambda: self._admin.create_partitions({self._binding.topic: total}))
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
        patiently(self._library, lambda: self._admin.delete_records({partition: before}))

    def let_pass(self, passed: int, by: int, wait: Callable[[float], None], tell: Callable[[str], None]) -> None:
        if not self._read_all:
            raise NotDone("the reading before it did not come to its end")
        self._require_offsets_that_stay(passed)
        if any(group.settle.policy == "automatic" for group in self._groups):
            wait(self._binding.settings.auto_commit_interval / SECOND + _NEXT_POLL)
        if self._ageing is None:
            self._ageing = Ageing(self._admin, self._binding.settings.retention, self._first_and_end)
        partitions = [place.partition for place in [*self._main_places(), *self._dead_letters]]
        self._ageing.let_pass(partitions, passed, None if self._oldest is None else by - self._oldest, wait, tell)

    def _require_offsets_that_stay(self, passed: int) -> None:
        """Raises NotDone where a group that nobody is in would have lost its committed offsets."""
        if passed < self._binding.settings.offsets_retention:
            return
        names = {self._binding.group_id(group.name): group.name for group in self._groups}
        found = self._admin.describe_groups(list(names)) if names else {}
        empty = [names[group] for group, told in found.items() if told["group_state"] in {"Empty", "Dead"}]
        committed = self.committed() if empty else {}
        for name in empty:
            if committed[name]:
                raise NotDone(
                    f"nobody is in the group {name}, and a real broker's committed offsets cannot be made to expire"
                )

    def committed(self) -> Mapping[str, Mapping[int, int]]:
        topic = self._binding.topic
        found = {}
        for group in self._groups:
            group_id = self._binding.group_id(group.name)
            offsets = self._admin.list_group_offsets({group_id: None}).get(group_id, {})
            found[group.name] = {
                partition.partition: offset.offset
                for partition, offset in offsets.items()
                if partition.topic == topic and offset.offset >= 0
            }
        return found

    def _first_and_end(self, partitions: Sequence[Any]) -> Mapping[Any, tuple[int, int]]:
        consumer = self._consumer()
        first, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        return {partition: (first[partition], ends[partition]) for partition in partitions}

    def places(self) -> list[str]:
        return [f"partition {number}" for number in range(self._partitions)]

    def behind(self, progress: Mapping[str, Mapping[int, int]]) -> Mapping[str, Sequence[str]]:
        partitions = [place.partition for place in self._main_places()]
        try:
            ends = {partition.partition: end for partition, end in self._consumer().end_offsets(partitions).items()}
        except self._library.errors.RetriableError as error:
            return {group: [f"nobody says where partitions end: {error}"] for group in progress}
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

    def brokers(self) -> Mapping[int, str]:
        described = self._admin.describe_cluster()["brokers"]
        return {one["broker_id"]: f"{one['host']}:{one['port']}" for one in described}

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._admin.close()

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> int:
        """Read every partition from its beginning to the end that the broker names first.

        What is removed meanwhile would seem to be missing, so then all is read again; where that happens every time,
        the partition counts as not read.
        """
        for _ in range(_MOST_LOOKS):
            look = self._look(stamp, reading)
            moved = self._moved(look)
            if not moved:
                break
        rows.tables["log"].extend(look.log)
        times = [row[_RECORD_TIME] for row in look.log]
        self._oldest, self._read_all = min(times, default=None), look.complete and not moved
        rows.add("readings", reading, "partition", None, "read_uncommitted", reason, self._read_all)
        for partition, place in look.places.items():
            begin = look.first.get(partition, 0)
            end = _END_UNKNOWN if partition in look.troubled else look.ends[partition]
            reached = begin if partition in moved else max(look.read_to.get(partition, 0), begin)
            rows.add("bounds", reading, place.kind, place.group, place.number, begin, end, reached, look.read_at)
        return reading + 1

    def _look(self, stamp: Callable[[], int], reading: int) -> "_Look":
        """Read every partition once."""
        consumer = self._consumer()
        for place in self._dead_letters:  # it asks for topics that it does not know yet, as offsets do not
            consumer.partitions_for_topic(place.partition.topic)
        places = {place.partition: place for place in [*self._main_places(), *self._dead_letters]}
        try:
            troubled = self._troubled(_READER_PATIENCE_SECONDS)
        except NotDone as reason:
            raise BackendLost(str(reason)) from reason
        led = [partition for partition in places if partition not in troubled or troubled[partition].leader is not None]
        first = consumer.beginning_offsets(led)
        read_at = stamp()  # what was removed was gone by now, and what is acknowledged by now lies before the ends
        ends = consumer.end_offsets(led)
        waiting = {partition: ends[partition] for partition in led if first[partition] < ends[partition]}
        look = _Look(places, troubled, first, ends, read_at, dict(first))
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

    def _moved(self, look: "_Look") -> set[Any]:
        """Of which partitions something was removed while they were read: fewer records, and a later beginning."""
        fewer = [
            partition
            for partition, reached in look.read_to.items()
            if look.found.get(partition, 0) < reached - look.first[partition]
        ]
        if not fewer:
            return set()
        first = self._consumer().beginning_offsets(fewer)
        return {partition for partition in fewer if first[partition] > look.first[partition]}

    def _log(self, look: "_Look", reading: int, partition: Any, records: Sequence[Any]) -> int:
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

    def _create_topic(self, name: str, partitions: int) -> None:
        settings = self._binding.settings
        configs = {name: str(value) for name, value in settings.native("topic").items()}
        topic = {"num_partitions": partitions, "replication_factor": settings.replication_factor, "configs": configs}
        self._admin.create_topics({name: topic})

    def holders(self, place: int) -> Sequence[int]:
        topics = [self._binding.topic]
        if self._replicas is not None:
            told = self._replicas.of(topics)
        else:
            told = partitions_of(patiently(self._library, lambda: self._admin.describe_topics(topics)))
        for one in told:
            if one.number == place:
                if one.leader is None:
                    raise NotDone(f"partition {place} has no leader")
                return [one.leader, *(number for number in one.replicas if number != one.leader)]
        raise NotDone(f"there is no partition {place}")

    def unsound(self) -> Mapping[int, str]:
        number_of = {place.partition: place.number for place in [*self._main_places(), *self._dead_letters]}
        try:
            return {number_of[partition]: trouble.what for partition, trouble in self._troubled().items()}
        except NotDone as reason:
            return dict.fromkeys(number_of.values(), str(reason))

    def unclean_elections(self) -> Sequence[tuple[int, int, int]]:
        told = [] if self._brokers is None else self._brokers.unclean_elections(self._binding.topic)
        return [(number, self._binding.unix_since_start(at), leader) for number, at, leader in told]

    def _troubled(self, patience: float = 0.0) -> Mapping[Any, Trouble]:
        """The partitions of which readers may not see all. Raises NotDone if no broker answers for so many seconds."""
        if self._replicas is None:
            return {}
        least, make = self._binding.settings.min_insync_replicas, self._library.TopicPartition
        return {make(one.topic, one.number): one for one in self._replicas.troubled(self._topics(), least, patience)}

    def _topics(self) -> list[str]:
        return [self._binding.topic, *(place.partition.topic for place in self._dead_letters)]

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

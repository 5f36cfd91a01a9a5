"""Provisioning and looking through kafka-python's API, outside all consumer groups."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mqverify.backends.base import Brokers, NotDone
from mqverify.backends.kafka.ageing import Ageing
from mqverify.backends.kafka.binding import Binding, parks
from mqverify.backends.kafka.patience import patiently
from mqverify.backends.kafka.reader import FreshReader, Place
from mqverify.backends.kafka.removal import remove_groups, remove_topics
from mqverify.backends.kafka.replicas import Replicas, Trouble, partitions_of
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import RunRows
from mqverify.units import SECOND
from mqverify.workload.groups import ConsumerGroup

__all__ = ["KafkaAdmin"]

T = TypeVar("T")

_NEXT_POLL = 1.0
"""Seconds after which a consumer has polled again, and with that has committed what was due."""

_DEAD_LETTERS_FROM = 1_000_000
"""The first id of the places of dead letters: those of partitions are their numbers, and partitions may be added."""


class KafkaAdmin:
    """Creates the run's topics, looks at them, reads them, removes them."""

    def __init__(self, binding: Binding, brokers: Brokers | None = None) -> None:
        self._binding = binding
        self._library = binding.library
        self._partitions = 0
        self._dead_letters: list[Place] = []
        # One that comes back is asked again soon: kafka-python waits up to half a minute before it connects anew.
        again = {} if brokers is None else {"reconnect_backoff_max_ms": 1_000}
        self._admin = self._library.KafkaAdminClient(**binding.reach, **again, client_id="mqverify")
        self._brokers = brokers
        self._replicas = None if brokers is None else Replicas(self._admin, self._library, brokers)
        self._reader = FreshReader(binding, self._troubled)
        self._ageing: Ageing | None = None
        self._groups: list[ConsumerGroup] = []
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
            self._dead_letters.append(Place(partition, number, "parked", group.name))
            of_group = "" if len(self._binding.plan.workload.groups) == 1 else f" of {group.name}"
            rows.add("places", number, f"dead letters{of_group}", stamp())
        if self._binding.settings.auto_offset_reset == "none":
            self._commit_beginnings(group, rows, stamp)

    def remove(self) -> Sequence[str]:
        """Topics first: no member is left that would make them again, and a group without them goes as well."""
        groups = [self._binding.group_id(group.name) for group in self._groups]
        left = self._patiently(lambda: remove_topics(self._admin, self._topics()))
        return [*left, *self._patiently(lambda: remove_groups(self._admin, groups))]

    def _patiently(self, call: Callable[[], T]) -> T:
        """kafka-python does not try its administrator's requests again: a broker that has just died breaks them
        (docs/facts/kafka.md §E.1).
        """
        return patiently(call, self._library.errors.RetriableError)

    def acts(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        return {"add_partitions": self._add_partitions, "delete_records": self._delete_records}

    def _add_partitions(self, planned: PlannedFault) -> None:
        total = planned.fault.amount or 0
        self._patiently(lambda: self._admin.create_partitions({self._binding.topic: total}))
        self._partitions = total

    def _delete_records(self, planned: PlannedFault) -> None:
        """Move a partition's log start offset (`DeleteRecords`, KIP-107); only what the broker has can be deleted."""
        number = planned.fault.options["partition"]
        if number >= self._partitions:
            raise NotDone(f"there is no partition {number}")
        partition = self._library.TopicPartition(self._binding.topic, number)
        consumer = self._reader.consumer
        first = consumer.beginning_offsets([partition])[partition]
        end = consumer.end_offsets([partition])[partition]
        asked = planned.before
        before = first + math.ceil(asked * (end - first) - 1e-9) if planned.before_share else round(asked)
        if before > end:
            raise NotDone(f"partition {number} ends at offset {end}, and nothing can be deleted before {before}")
        if before <= first:
            raise NotDone(f"partition {number} held nothing before offset {before}")
        self._note_limit("delete_records", number, str(before))
        self._patiently(lambda: self._admin.delete_records({partition: before}))

    def let_pass(self, passed: int, by: int, wait: Callable[[float], None], tell: Callable[[str], None]) -> None:
        if not self._reader.complete:
            raise NotDone("the reading before it did not come to its end")
        self._require_offsets_that_stay(passed)
        if any(group.settle.policy == "automatic" for group in self._groups):
            wait(self._binding.settings.auto_commit_interval / SECOND + _NEXT_POLL)
        if self._ageing is None:
            self._ageing = Ageing(self._admin, self._binding.settings.retention, self._reader.first_and_end)
        partitions = [place.partition for place in self._places()]
        oldest = self._reader.oldest
        self._ageing.let_pass(partitions, passed, None if oldest is None else by - oldest, wait, tell)

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

    def places(self) -> list[str]:
        return [f"partition {number}" for number in range(self._partitions)]

    def behind(self, progress: Mapping[str, Mapping[int, int]]) -> Mapping[str, Sequence[str]]:
        partitions = [place.partition for place in self._main_places()]
        try:
            found = self._reader.consumer.end_offsets(partitions)
        except self._library.errors.RetriableError as error:
            return {group: [f"nobody says where partitions end: {error}"] for group in progress}
        ends = {partition.partition: end for partition, end in found.items()}
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
        self._reader.close()
        self._admin.close()

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> int:
        return self._reader.read(self._places(), rows, stamp, reading, reason)

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
            told = partitions_of(self._patiently(lambda: self._admin.describe_topics(topics)))
        for one in told:
            if one.number == place:
                if one.leader is None:
                    raise NotDone(f"partition {place} has no leader")
                return [one.leader, *(number for number in one.replicas if number != one.leader)]
        raise NotDone(f"there is no partition {place}")

    def unsound(self) -> Mapping[int, str]:
        number_of = {place.partition: place.number for place in self._places()}
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

    def _places(self) -> list[Place]:
        return [*self._main_places(), *self._dead_letters]

    def _main_places(self) -> list[Place]:
        topic, make = self._binding.topic, self._library.TopicPartition
        return [Place(make(topic, number), number, "main") for number in range(self._partitions)]

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

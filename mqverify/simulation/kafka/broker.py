"""The broker model, a state machine without I/O: requests come in by `handle`, replies leave by `reply`.

One broker that is controller, leader of every partition and coordinator of every group. It knows no kernel and no
network: time is an argument, and what must happen later is asked of `Timers`.
"""

import random
import re
from collections.abc import Callable
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    GroupIdNotFoundError,
    IllegalGenerationError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    NonEmptyGroupError,
    NotEnoughReplicasError,
    OffsetMetadataTooLargeError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)

from mqverify.simulation.kafka import protocol as api
from mqverify.simulation.kafka.fetches import Fetches
from mqverify.simulation.kafka.group import Group
from mqverify.simulation.kafka.log import PartitionLog
from mqverify.simulation.kafka.offsets import expire_offsets, first_expiry
from mqverify.simulation.kafka.retention import apply_retention, first_due
from mqverify.simulation.kafka.sequences import Origin
from mqverify.simulation.kafka.settings import DAY, EPOCH_MS, BrokerSettings, TopicConfig, wall_clock_ms
from mqverify.simulation.kernel import MILLISECOND
from mqverify.simulation.timers import Timers

__all__ = ["Broker", "Topic"]

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")


class Topic:
    """A topic: its configuration and its partitions, by number."""

    __slots__ = ("_producer_expiration", "config", "name", "partitions")

    def __init__(self, name: str, partitions: int, config: TopicConfig, producer_expiration: int = DAY) -> None:
        self._producer_expiration = producer_expiration
        self.name = name
        self.config = config
        self.partitions: list[PartitionLog] = []
        self.extend(partitions)

    def extend(self, total: int) -> None:
        """Grow to `total` partitions. What is in the old ones stays where it is."""
        for number in range(len(self.partitions), total):
            self.partitions.append(PartitionLog(self.name, number, self.config, self._producer_expiration))


class Broker:
    """The whole state of one broker. `reply(token, reply)` sends an answer to whoever sent the request of `token`."""

    def __init__(
        self, settings: BrokerSettings, timers: Timers, dice: random.Random, reply: Callable[[Any, Any], None]
    ) -> None:
        self.settings = settings
        self.topics: dict[str, Topic] = {}
        self.logs: dict[Any, PartitionLog] = {}
        """The same partitions by TopicPartition."""
        self.groups: dict[str, Group] = {}
        self.version = 0
        """Of the metadata: counts what happened to topics."""
        self.fetches = Fetches(self.logs, timers, reply)
        self.on_expired: Callable[[str, Any, int], None] | None = None
        """Told of each committed offset that expires: group, partition, offset."""
        self._timers = timers
        self._dice = dice
        self._reply = reply
        self._retention_timer: Any = None
        self._retention_at: int | None = None
        self._expiry_timer: Any = None
        self._expiry_at: int | None = None
        self._producers = 0
        self._handlers: dict[type, Callable[[Any, Any, int], None]] = {
            api.Produce: self._produce,
            api.InitProducerId: self._init_producer_id,
            api.Fetch: self.fetches.fetch,
            api.OffsetCommit: self._commit,
            api.Heartbeat: self._heartbeat,
            api.Metadata: self._metadata,
            api.ListOffsets: self._list_offsets,
            api.FindCoordinator: self._find_coordinator,
            api.JoinGroup: self._join,
            api.SyncGroup: self._sync,
            api.LeaveGroup: self._leave,
            api.OffsetFetch: self._offset_fetch,
            api.CreateTopics: self._create_topics,
            api.CreatePartitions: self._create_partitions,
            api.DeleteTopics: self._delete_topics,
            api.DeleteRecords: self._delete_records,
            api.DeleteGroups: self._delete_groups,
            api.DescribeConfigs: self._describe_configs,
        }

    def handle(self, request: Any, token: Any, now: int) -> None:
        """One request. Its reply may leave at once or, as for a fetch that waits, later."""
        self._handlers[type(request)](request, token, now)

    # -- records ---------------------------------------------------------------------------------------------------

    def _produce(self, request: api.Produce, token: Any, now: int) -> None:
        results = []
        origins = request.origins
        for number, (partition, entries, size) in enumerate(request.batches):
            origin = None if origins is None else origins[number]
            results.append(self._append(partition, entries, size, request.acks, origin, now))
        if request.acks != 0:
            self._reply(token, results)

    def new_producer(self) -> tuple[int, int]:
        """A producer id that nobody else has, and its epoch."""
        self._producers += 1
        return self._producers, 0

    def _init_producer_id(self, request: api.InitProducerId, token: Any, now: int) -> None:
        self._reply(token, self.new_producer())

    def _append(
        self, partition: Any, entries: list[Any], size: int, acks: int, origin: Origin | None, now: int
    ) -> api.Produced:
        log = self.logs.get(partition)
        if log is None:
            return api.Produced(UnknownTopicOrPartitionError, -1, -1)
        if acks == -1 and log.config.min_insync_replicas > 1:
            return api.Produced(NotEnoughReplicasError, -1, -1)
        was_empty = not log.segments[0].size
        try:
            if origin is not None:
                duplicate = log.producers.duplicate_of(origin, len(entries), now)
                if duplicate is not None:
                    return api.Produced(None, *duplicate)
            base, append_time = log.append(entries, size, wall_clock_ms(now))
        except KafkaError as error:
            return api.Produced(type(error), -1, -1)
        if origin is not None:
            log.producers.appended(origin, len(entries), base, append_time, now)
        if was_empty or log.config.retention_bytes >= 0:
            self._time_retention(log, now)
        if log.waiting:
            self.fetches.wake(log, now)
        return api.Produced(None, base, append_time)

    def _list_offsets(self, request: api.ListOffsets, token: Any, now: int) -> None:
        found: dict[Any, tuple[api.Error, int, int]] = {}
        for partition, time in request.times.items():
            log = self.logs.get(partition)
            if log is None:
                found[partition] = (UnknownTopicOrPartitionError, -1, -1)
            elif time == -1:
                found[partition] = (None, log.end_offset, -1)
            elif time == -2:
                found[partition] = (None, log.start_offset, -1)
            else:
                found[partition] = (None, *(log.offset_for_time(time) or (-1, -1)))
        self._reply(token, found)

    def _delete_records(self, request: api.DeleteRecords, token: Any, now: int) -> None:
        results: dict[Any, tuple[api.Error, int]] = {}
        for partition, offset in request.before.items():
            log = self.logs.get(partition)
            if log is None:
                results[partition] = (UnknownTopicOrPartitionError, -1)
                continue
            try:
                results[partition] = (None, log.delete_before(offset))
                self._time_retention(log, now)
            except OffsetOutOfRangeError:
                results[partition] = (OffsetOutOfRangeError, -1)
        self._reply(token, results)

    # -- topics ----------------------------------------------------------------------------------------------------

    def _metadata(self, request: api.Metadata, token: Any, now: int) -> None:
        names = list(self.topics) if request.topics is None else request.topics
        errors: dict[str, type[Exception]] = {}
        for name in names:
            if name not in self.topics:
                if request.create and self.settings.auto_create_topics_enable:
                    self._add_topic(name, self.settings.num_partitions, TopicConfig.of(self.settings, {}))
                else:
                    errors[name] = UnknownTopicOrPartitionError
        counts = {name: len(self.topics[name].partitions) for name in names if name in self.topics}
        self._reply(token, api.MetadataReply(counts, errors, self.version))

    def _create_topics(self, request: api.CreateTopics, token: Any, now: int) -> None:
        results: dict[str, tuple[api.Error, str]] = {}
        for name, partitions, replication, config in request.topics:
            try:
                parsed = TopicConfig.of(self.settings, config)
            except InvalidConfigurationError as error:
                results[name] = (InvalidConfigurationError, str(error))
                continue
            if not _LEGAL_NAME.fullmatch(name) or name in (".", "..") or len(name) > 249:
                results[name] = (InvalidTopicError, f"Topic name is invalid: '{name}'.")
            elif name in self.topics:
                results[name] = (TopicAlreadyExistsError, f"Topic '{name}' already exists.")
            elif partitions == 0 or partitions < -1:
                results[name] = (InvalidPartitionsError, "Number of partitions was set to an invalid value.")
            elif replication not in (-1, 1):
                results[name] = (InvalidReplicationFactorError, "Only 1 broker is registered.")
            else:
                results[name] = (None, "")
                if not request.validate_only:
                    self._add_topic(name, self.settings.num_partitions if partitions == -1 else partitions, parsed)
        self._reply(token, results)

    def _add_topic(self, name: str, partitions: int, config: TopicConfig) -> None:
        self.topics[name] = Topic(name, partitions, config, self.settings.producer_id_expiration)
        self._index(self.topics[name])

    def _index(self, topic: Topic) -> None:
        self.version += 1
        for log in topic.partitions:
            self.logs.setdefault(TopicPartition(topic.name, log.partition), log)

    def _create_partitions(self, request: api.CreatePartitions, token: Any, now: int) -> None:
        results: dict[str, tuple[api.Error, str]] = {}
        for name, total in request.totals.items():
            topic = self.topics.get(name)
            if topic is None:
                results[name] = (UnknownTopicOrPartitionError, "")
            elif total <= len(topic.partitions):
                results[name] = (
                    InvalidPartitionsError,
                    f"Topic currently has {len(topic.partitions)} partitions, which is not less than {total}.",
                )
            else:
                topic.extend(total)
                self._index(topic)
                results[name] = (None, "")
        self._reply(token, results)

    def _delete_topics(self, request: api.DeleteTopics, token: Any, now: int) -> None:
        results: dict[str, tuple[api.Error, str]] = {}
        for name in request.topics:
            topic = self.topics.pop(name, None)
            results[name] = (UnknownTopicOrPartitionError, "") if topic is None else (None, "")
            for log in topic.partitions if topic else ():
                del self.logs[TopicPartition(name, log.partition)]
                self.fetches.wake(log, now)
            self.version += 1
            for group in self.groups.values():
                # Offsets of a deleted topic are deleted with it (`onPartitionsDeleted`).
                group.offsets = {tp: offset for tp, offset in group.offsets.items() if tp.topic != name}
        self._reply(token, results)

    def _describe_configs(self, request: api.DescribeConfigs, token: Any, now: int) -> None:
        found = {name: self.topics[name].config.native() for name in request.topics if name in self.topics}
        self._reply(token, found)

    # -- groups ----------------------------------------------------------------------------------------------------

    def _find_coordinator(self, request: api.FindCoordinator, token: Any, now: int) -> None:
        self._reply(token, None)

    def _join(self, request: api.JoinGroup, token: Any, now: int) -> None:
        group = self.groups.get(request.group)
        if group is None:
            group = self._add_group(request.group)
        group.join(request, token, now)

    def _sync(self, request: api.SyncGroup, token: Any, now: int) -> None:
        group = self.groups.get(request.group)
        if group is None:
            self._reply(token, api.SyncReply(UnknownMemberIdError))
        else:
            group.sync(request, token, now)

    def _heartbeat(self, request: api.Heartbeat, token: Any, now: int) -> None:
        group = self.groups.get(request.group)
        self._reply(token, UnknownMemberIdError if group is None else group.heartbeat(request, now))

    def _leave(self, request: api.LeaveGroup, token: Any, now: int) -> None:
        group = self.groups.get(request.group)
        self._reply(token, UnknownMemberIdError if group is None else group.leave(request, now))

    def _commit(self, request: api.OffsetCommit, token: Any, now: int) -> None:
        group = self.groups.get(request.group)
        error: api.Error
        if group is None:
            # `OffsetMetadataManager.validateOffsetCommit`: without a generation a "simple" group comes to be.
            error = IllegalGenerationError if request.generation >= 0 else None
            if error is None:
                group = self._add_group(request.group)
        else:
            error = group.validate_commit(request, now)
        if error is not None or group is None:
            self._reply(token, dict.fromkeys(request.offsets, error))
            return
        results: dict[Any, api.Error] = {}
        for partition, offset in request.offsets.items():
            if partition not in self.logs:
                results[partition] = UnknownTopicOrPartitionError
            elif offset.metadata and len(offset.metadata) > self.settings.offset_metadata_max_bytes:
                results[partition] = OffsetMetadataTooLargeError
            else:
                # Any offset is accepted, backwards and beyond the end (docs/facts/kafka.md §B.4).
                group.offsets[partition] = (offset, now)
                results[partition] = None
        if not group.used_protocol:
            self._time_expiry(group, now)
        self._reply(token, results)

    def _offset_fetch(self, request: api.OffsetFetch, token: Any, now: int) -> None:
        group = self.groups.get(request.group)
        offsets = group.offsets if group else {}
        self._reply(token, {tp: offsets[tp][0] for tp in request.partitions if tp in offsets})

    def _delete_groups(self, request: api.DeleteGroups, token: Any, now: int) -> None:
        """`GroupMetadataManager.deleteGroups`: only without members; committed offsets go with it."""
        results: dict[str, api.Error] = {}
        for name in request.groups:
            group = self.groups.get(name)
            if group is None:
                results[name] = GroupIdNotFoundError
            elif group.state != "Empty":
                results[name] = NonEmptyGroupError
            else:
                del self.groups[name]
                group.state = "Dead"
                results[name] = None
        self._reply(token, results)

    def _add_group(self, name: str) -> Group:
        group = Group(name, self.settings, self._timers, self._dice, self._reply, self._time_expiry)
        self.groups[name] = group
        return group

    # -- what time does --------------------------------------------------------------------------------------------

    def _time_retention(self, log: PartitionLog, now: int) -> None:
        """Have the check run that will be the first to delete something of `log`, unless an earlier one is timed."""
        due = first_due(log, wall_clock_ms(now))
        if due is None:
            return
        at = self._check_at((due - EPOCH_MS) * MILLISECOND, now)
        if self._retention_at is None or at < self._retention_at:
            if self._retention_timer is not None:
                self._timers.cancel(self._retention_timer)
            self._retention_at = at
            self._retention_timer = self._timers.at(at, self._check_retention)

    def _check_at(self, due: int, now: int) -> int:
        settings = self.settings
        first, interval = settings.log_initial_task_delay, settings.log_retention_check_interval
        return first + max(0, -(-(max(due, now) - first) // interval)) * interval

    def _check_retention(self, now: int) -> None:
        self._retention_timer = self._retention_at = None
        for topic in self.topics.values():
            for log in topic.partitions:
                apply_retention(log, wall_clock_ms(now))
                self._time_retention(log, now + 1)

    def _time_expiry(self, group: Group, now: int) -> None:
        """Have the check run that will be the first to expire an offset of `group`, unless an earlier one is timed."""
        due = first_expiry(group, self.settings.offsets_retention)
        if due is None:
            return
        interval = self.settings.offsets_retention_check_interval
        at = -(-max(due, now) // interval) * interval
        if self._expiry_at is None or at < self._expiry_at:
            if self._expiry_timer is not None:
                self._timers.cancel(self._expiry_timer)
            self._expiry_at = at
            self._expiry_timer = self._timers.at(at, self._check_expiry)

    def _check_expiry(self, now: int) -> None:
        self._expiry_timer = self._expiry_at = None
        for group in list(self.groups.values()):
            for partition, offset in expire_offsets(group, self.settings.offsets_retention, now).items():
                if self.on_expired is not None:
                    self.on_expired(group.name, partition, offset)
            if group.state == "Empty" and not group.offsets:
                group.state = "Dead"
                del self.groups[group.name]
            else:
                self._time_expiry(group, now + 1)

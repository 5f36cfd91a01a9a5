"""`KafkaConsumer` of the look-alike: kafka-python 3.0.12's methods, defaults, exceptions and blocking behaviour.

`poll` is where everything of the group happens: callbacks, the rebalance with its last commit and its listener, the
auto-commit of what was returned before, the positions, the hand-out of prefetched records (`KafkaConsumer._poll_once`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import IllegalStateError, KafkaConfigurationError, KafkaTimeoutError, RetriableError
from kafka.structs import ConsumerGroupMetadata, OffsetAndTimestamp

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.client import FOREVER, Client, nanoseconds
from mqverify.simulation.kafka.futures import ClientFuture
from mqverify.simulation.kafka.polling import Polling
from mqverify.simulation.kafka.protocol import ListOffsets, Metadata, MetadataReply
from mqverify.simulation.kafka.subscription import EARLIEST, LATEST, Sorted

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["SimulatedConsumer"]


class SimulatedConsumer:
    """Reads partitions, alone (`assign`) or as the member of a group (`subscribe`)."""

    def __init__(self, library: "KafkaLibrary", *topics: str, **configs: Any) -> None:
        self.config = _configured(library, configs)
        self._library = library
        client = self._client = Client(library, "consumer", self.config)
        self._kernel = client.kernel
        polling = self._polling = Polling(self, client, self.config)
        self._subscription = polling.subscription
        self._metadata = polling.metadata
        self._membership = polling.membership
        self._commits = polling.commits
        self._grouped = polling.grouped
        self._iterator: Iterator[Any] | None = None
        self._iterate_until = FOREVER
        self._backoff = nanoseconds(self.config["retry_backoff_ms"])
        self._most = 1 if library.profile.poll_returns_one else self.config["max_poll_records"]
        if topics:
            self.subscribe(list(topics))

    # -- polling ---------------------------------------------------------------------------------------------------

    def poll(
        self, timeout_ms: float = 0, max_records: int | None = None, update_offsets: bool = True
    ) -> dict[TopicPartition, list[Any]]:
        """Records by partition, waiting up to `timeout_ms` for the first; empty if none came."""
        if timeout_ms < 0:
            raise ValueError("Timeout must not be negative")
        if max_records is None:
            max_records = self._most
        if not isinstance(max_records, int):
            raise TypeError("max_records must be an integer")
        if max_records <= 0:
            raise ValueError("max_records must be positive")
        if self._polling.closed:
            raise IllegalStateError("KafkaConsumer is closed")
        until = self._kernel.now + nanoseconds(timeout_ms)
        return self._polling.poll(until, min(max_records, self._most), update_offsets)

    # -- iterating -------------------------------------------------------------------------------------------------

    def __iter__(self) -> "SimulatedConsumer":
        return self

    def __next__(self) -> Any:
        if self._polling.closed:
            raise StopIteration("KafkaConsumer closed")
        timeout = nanoseconds(self.config["consumer_timeout_ms"])
        self._iterate_until = FOREVER if timeout >= FOREVER else self._kernel.now + timeout
        while self._kernel.now < self._iterate_until:
            if self._iterator is None:
                self._iterator = self._records()
            try:
                return next(self._iterator)
            except StopIteration:
                self._iterator = None
        raise StopIteration

    def _records(self) -> Iterator[Any]:
        """Records of one poll; the position moves before each is handed out, not with the poll (§C.4)."""
        left = self._iterate_until - self._kernel.now
        timeout_ms = float("inf") if self._iterate_until >= FOREVER else max(0, left) / 1_000_000
        for partition, records in self.poll(timeout_ms, update_offsets=False).items():
            for record in records:
                state = self._subscription.assignment.get(partition)
                if state is None or not state.fetchable:
                    break
                state.position = OffsetAndMetadata(record.offset + 1, "", record.leader_epoch)
                yield record

    # -- committing ------------------------------------------------------------------------------------------------

    def commit(self, offsets: Any = None, timeout_ms: float | None = None) -> None:
        """Commit `offsets`, or the positions, and block until it succeeded; raises what cannot be retried."""
        self._require_group()
        offsets = self._subscription.consumed() if offsets is None else offsets
        self._commits.commit_sync(offsets, None if timeout_ms is None else nanoseconds(timeout_ms))

    def commit_async(self, offsets: Any = None, callback: Any = None) -> ClientFuture:
        """Commit and go on; `callback(offsets, outcome)` runs in a later poll or commit."""
        self._require_group()
        offsets = self._subscription.consumed() if offsets is None else offsets
        return self._commits.commit_async(offsets, callback)

    def committed(self, partition: TopicPartition, metadata: bool = False, timeout_ms: float | None = None) -> Any:
        """The group's committed offset of `partition`, or None."""
        self._require_group()
        _require_partitions([partition])
        found = self._commits.fetch([partition], nanoseconds(timeout_ms)).get(partition)
        return found if metadata or found is None else found.offset

    def _require_group(self) -> None:
        if not self._grouped:
            raise IllegalStateError("Requires group_id")

    # -- what to read ----------------------------------------------------------------------------------------------

    def subscribe(self, topics: Sequence[str] = (), pattern: str | None = None, listener: Any = None) -> None:
        """Read topics, or those that match `pattern`, sharing them with the group."""
        self._subscription.subscribe(topics, pattern, listener)
        self._polling.stir()
        self._metadata.set_topics(None if pattern is not None else list(self._subscription.group_topics))

    def unsubscribe(self) -> None:
        """Leave the group and own nothing."""
        self._commits.auto_now()
        self._subscription.unsubscribe()
        if self._grouped:
            left = Future(self._kernel)
            if self._membership.leave(left.resolve):
                left.wait()
        self._iterator = None

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read exactly these partitions, without the group's protocol."""
        if not partitions:
            self.unsubscribe()
            return
        self._commits.auto_now()
        self._subscription.assign_from_user(partitions)
        self._polling.stir()
        self._metadata.set_topics(sorted({partition.topic for partition in partitions}))

    def assignment(self) -> Sorted:
        return self._subscription.assigned()

    def subscription(self) -> Sorted | None:
        topics = self._subscription.topics
        return None if topics is None else Sorted(topics)

    def pause(self, *partitions: TopicPartition) -> None:
        _require_partitions(partitions)
        for partition in partitions:
            self._subscription.assignment[partition].paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        _require_partitions(partitions)
        for partition in partitions:
            self._subscription.assignment[partition].paused = False

    def paused(self) -> Sorted:
        return Sorted(partition for partition, state in self._subscription.assignment.items() if state.paused)

    # -- positions -------------------------------------------------------------------------------------------------

    def position(self, partition: TopicPartition, timeout_ms: float | None = None) -> int | None:
        """The offset of the next record; blocks until it is known."""
        _require_partitions([partition])
        if partition not in self._subscription.assignment:
            raise IllegalStateError("Partition is not assigned")
        known = self._subscription.assignment[partition].position
        if known is not None:
            return int(known.offset)
        until = FOREVER if timeout_ms is None else self._kernel.now + nanoseconds(timeout_ms)
        self._polling.refresh_positions(until)
        reset = self._polling.fetcher.reset_if_needed()
        while reset is not None and self._subscription.assignment[partition].position is None:
            if not reset.wait(None if until >= FOREVER else until - self._kernel.now):
                break
            reset = self._polling.fetcher.reset_if_needed()
        position = self._subscription.assignment[partition].position
        return None if position is None else int(position.offset)

    def seek(self, partition: TopicPartition, offset: "int | OffsetAndMetadata") -> None:
        """Go on from `offset` at the next poll."""
        _require_partitions([partition])
        if not isinstance(offset, int | OffsetAndMetadata):
            raise TypeError("offset must be type in or OffsetAndMetadata")
        if (offset if isinstance(offset, int) else offset.offset) < 0:
            raise ValueError("Offset must be int >= 0")
        if partition not in self._subscription.assignment:
            raise ValueError("Unassigned partition")
        self._subscription.assignment[partition].seek(offset)
        self._iterator = None

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self._request_reset(partitions, EARLIEST)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        self._request_reset(partitions, LATEST)

    def _request_reset(self, partitions: Sequence[TopicPartition], strategy: int) -> None:
        _require_partitions(partitions)
        assignment = self._subscription.assignment
        if not partitions and not assignment:
            raise ValueError("No partitions are currently assigned")
        for partition in partitions:
            if partition not in assignment:
                raise ValueError(f"Unassigned partition: {partition}")
        for partition in partitions or list(assignment):
            assignment[partition].reset(strategy)
        self._iterator = None

    def beginning_offsets(self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None) -> Any:
        return {tp: offset for tp, (offset, _) in self._list_offsets(dict.fromkeys(partitions, -2), timeout_ms).items()}

    def end_offsets(self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None) -> Any:
        return {tp: offset for tp, (offset, _) in self._list_offsets(dict.fromkeys(partitions, -1), timeout_ms).items()}

    def offsets_for_times(self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None) -> Any:
        """Of each partition the first record at or after a time in milliseconds, or None."""
        for partition, time in timestamps.items():
            if time < 0:
                raise ValueError(
                    f"The target time for partition {partition} is {time}. The target time cannot be negative."
                )
        found = self._list_offsets({tp: int(time) for tp, time in timestamps.items()}, timeout_ms)
        return {tp: None if offset < 0 else OffsetAndTimestamp(offset, time, 0) for tp, (offset, time) in found.items()}

    def _list_offsets(self, times: dict[TopicPartition, int], timeout_ms: float | None) -> Any:
        """Ask until every partition answers; unknown ones are asked again until the time is up."""
        timeout_ms = self.config["request_timeout_ms"] if timeout_ms is None else timeout_ms
        until = self._kernel.now + nanoseconds(timeout_ms)
        found: dict[TopicPartition, tuple[int, int]] = {}
        missing = dict(times)
        while missing:
            if self._kernel.now >= until:
                raise KafkaTimeoutError(f"Failed to get offsets by timestamps in {timeout_ms} ms")
            try:
                reply = self._client.ask(ListOffsets(missing), until - self._kernel.now)
            except RetriableError:
                reply = {}
            found.update({tp: (offset, time) for tp, (error, offset, time) in reply.items() if error is None})
            missing = {tp: time for tp, time in missing.items() if tp not in found}
            if missing:
                self._kernel.sleep(min(self._backoff, max(0, until - self._kernel.now)))
        return {partition: found[partition] for partition in times}

    def highwater(self, partition: TopicPartition) -> int | None:
        """The high watermark that the last fetch told, if there was one."""
        _require_partitions([partition])
        if partition not in self._subscription.assignment:
            raise IllegalStateError("Partition is not assigned")
        state = self._subscription.assignment[partition]
        if state.highwater is None and state.position is not None:
            return int(state.position.offset)  # fetches brought nothing, so it is at the end
        return state.highwater

    # -- the cluster -----------------------------------------------------------------------------------------------

    def topics(self) -> Sorted:
        reply: MetadataReply = self._client.ask(Metadata(None))
        return Sorted(reply.partitions)

    def partitions_for_topic(self, topic: str) -> set[int]:
        count = self._metadata.partitions.get(topic)
        if count is None:
            reply: MetadataReply = self._client.ask(Metadata(None))
            count = reply.partitions.get(topic, 0)
        return set(range(count))

    def group_metadata(self) -> ConsumerGroupMetadata:
        if not self._grouped:
            return ConsumerGroupMetadata(group_id=None)
        membership = self._membership
        return ConsumerGroupMetadata(
            membership.group, membership.generation, membership.member, None, f"<{membership.state}>"
        )

    def bootstrap_connected(self) -> bool:
        return not self._polling.closed

    def metrics(self, raw: bool = False) -> dict[str, Any]:
        """Nothing is measured here."""
        return {}

    # -- the end ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> "SimulatedConsumer":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        # kafka-python does not commit when an exception leaves the block; other clients do (§0.2, §C.4).
        self.close(autocommit=kind is None or self._library.profile.close_commits_always)

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        """Commit (auto-commit), give up the partitions, leave the group."""
        if self._polling.closed:
            return
        self._polling.closed = True
        timeout = nanoseconds(self.config["request_timeout_ms"] if timeout_ms is None else timeout_ms)
        try:
            if self._grouped:
                if autocommit:
                    self._commits.run_callbacks()
                    self._commits.auto_sync(timeout)
                if self._subscription.by_group and self._subscription.assignment:
                    lost = self._membership.lost
                    self._polling.give_up_assignment("on_partitions_lost" if lost else "on_partitions_revoked")
        finally:
            self._leave(timeout)

    def _leave(self, timeout: int) -> None:
        self._membership.stop_heartbeat()
        left = Future(self._kernel)
        if self._grouped and self._membership.leave(left.resolve):
            left.wait(timeout)
        self._commits.close()
        self._metadata.close()
        self._client.close()


def _configured(library: "KafkaLibrary", configs: dict[str, Any]) -> dict[str, Any]:
    unknown = set(configs).difference(KafkaConsumer.DEFAULT_CONFIG)
    if unknown:
        raise KafkaConfigurationError(f"Unrecognized configs: {unknown}")
    config: dict[str, Any] = {**KafkaConsumer.DEFAULT_CONFIG, **library.profile.consumer, **configs}
    if config["isolation_level"] not in ("read_uncommitted", "read_committed"):
        raise KafkaConfigurationError("Unrecognized isolation_level")
    if not config["fetch_max_wait_ms"] < config["request_timeout_ms"] < config["connections_max_idle_ms"]:
        raise KafkaConfigurationError(
            f"connections_max_idle_ms ({config['connections_max_idle_ms']}) must be larger than"
            f" request_timeout_ms ({config['request_timeout_ms']}) which must be larger than"
            f" fetch_max_wait_ms ({config['fetch_max_wait_ms']})."
        )
    if config["group_instance_id"] is not None:
        raise NotImplementedError("static membership is not modelled")
    old_words = {"smallest": "earliest", "largest": "latest"}
    config["auto_offset_reset"] = old_words.get(config["auto_offset_reset"], config["auto_offset_reset"])
    if config["group_id"] is None:
        config["enable_auto_commit"] = False
    return config


def _require_partitions(partitions: Iterable[Any]) -> None:
    for partition in partitions:
        if not isinstance(partition, TopicPartition):
            raise TypeError("partition must be a TopicPartition namedtuple")

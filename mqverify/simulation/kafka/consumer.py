"""`KafkaConsumer` of the look-alike: kafka-python 3.0.12's methods, defaults, exceptions and blocking behaviour.

`poll` is where everything of the group happens: callbacks, the rebalance with its last commit and its listener, the
auto-commit of what was returned before, the positions, the hand-out of prefetched records (`KafkaConsumer._poll_once`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import IllegalStateError, KafkaConfigurationError, KafkaError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndTimestamp

from mqverify.simulation.kafka.client import FOREVER, Client, ClientMetadata, nanoseconds
from mqverify.simulation.kafka.commits import Commits
from mqverify.simulation.kafka.fetcher import Fetcher
from mqverify.simulation.kafka.futures import ClientFuture
from mqverify.simulation.kafka.membership import Membership, assigned_partitions
from mqverify.simulation.kafka.protocol import FindCoordinator, ListOffsets, Metadata, MetadataReply
from mqverify.simulation.kafka.subscription import EARLIEST, LATEST, Sorted, Subscription
from mqverify.simulation.kernel import MICROSECOND, SECOND, Future

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["SimulatedConsumer"]

_EMPTY_POLL_COST = 50 * MICROSECOND  # so that a loop around `poll(0)` does not stand still in time
_PATIENCE = 600 * SECOND
"""A consumer with uncommitted positions that got nothing for so long is taken for idle all the same."""


class SimulatedConsumer:
    """Reads partitions, alone (`assign`) or as the member of a group (`subscribe`)."""

    def __init__(self, library: "KafkaLibrary", *topics: str, **configs: Any) -> None:
        self.config = _configured(library, configs)
        self._library = library
        client = self._client = Client(library, "consumer")
        self._kernel = client.kernel
        self._subscription = Subscription(self.config["auto_offset_reset"], client.dice)
        self._metadata = ClientMetadata(
            client,
            nanoseconds(self.config["metadata_max_age_ms"]),
            self.config["allow_auto_create_topics"],
            self._metadata_updated,
        )
        self._fetcher = Fetcher(client, self._subscription, self._metadata, self.config)
        self._grouped = self.config["group_id"] is not None
        self._membership = Membership(client, self._subscription, self._metadata, self.config)
        self._commits = Commits(self, client, self._subscription, self._membership, self.config)
        self._coordinator_known = False
        self._coordinator_lookup: Future | None = None
        self._prepared = False
        self._closed = False
        self._iterator: Iterator[Any] | None = None
        self._iterate_until = FOREVER
        self._backoff = nanoseconds(self.config["retry_backoff_ms"])
        self._most = 1 if library.profile.poll_returns_one else self.config["max_poll_records"]
        self._vain_polls = 0
        self._last_records = 0
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
        if self._closed:
            raise IllegalStateError("KafkaConsumer is closed")
        kernel, membership = self._kernel, self._membership
        began = kernel.now
        until = began + nanoseconds(timeout_ms)
        membership.in_poll = True
        try:
            while True:
                records = self._poll_once(until, min(max_records, self._most), update_offsets)
                if records:
                    self._vain_polls = 0
                    self._last_records = kernel.now
                    return records
                if self._closed or kernel.now >= until:
                    break
        finally:
            membership.in_poll = False
            membership.last_poll = kernel.now
        self._vain_polls += 1
        if kernel.now == began:
            kernel.sleep(_EMPTY_POLL_COST)
        return {}

    def _poll_once(self, until: int, max_records: int, update_offsets: bool) -> dict[TopicPartition, list[Any]]:
        if self._grouped and not self._coordinate(until):
            return {}
        if not self._subscription.has_all_positions():
            self._vain_polls = 0
            self._refresh_positions(until)
            self._fetcher.reset_if_needed()
        wait_until = until
        if self._grouped:
            for due in (self._commits.next_deadline(), self._membership.next_heartbeat()):
                if due is not None and due < wait_until:
                    wait_until = due
        records, nothing_to_await = self._fetcher.fetch(max_records, update_offsets, wait_until, self._idle)
        if not records:
            if until >= FOREVER:
                self._vain_polls += 1
            if nothing_to_await and self._kernel.now < wait_until:
                self._kernel.sleep(min(wait_until - self._kernel.now, self._backoff), self._idle)
        return records

    def _idle(self) -> bool:
        """Whether nothing would come of it if this wait took longer: only then may idle time be leapt over.

        Not before two polls in vain, for the application acts on the first ones; not while a rebalance or a commit is
        due, nor while positions are uncommitted that the application may commit by time.
        """
        if self._vain_polls < 2 or self._commits.pending() or not self._library.may_idle():
            return False
        if not self._grouped:
            return True
        if self._membership.need_rejoin():
            return False
        return not self._uncommitted() or self._kernel.now - self._last_records > _PATIENCE

    def _uncommitted(self) -> bool:
        return any(
            state.position is not None and state.position.offset not in (state.settled, state.started)
            for state in self._subscription.assignment.values()
        )

    # -- the group -------------------------------------------------------------------------------------------------

    def _coordinate(self, until: int) -> bool:
        """`ConsumerCoordinator.poll`: whether the consumer may go on to fetch."""
        self._commits.run_callbacks()
        if not self._coordinator_known and not self._find_coordinator(until):
            return False
        membership = self._membership
        if self._subscription.by_group:
            if membership.need_rejoin():
                self._vain_polls = 0
                if not self._join(until):
                    return False
            membership.last_poll = self._kernel.now
        self._commits.maybe_auto()
        return True

    def _find_coordinator(self, until: int) -> bool:
        lookup = self._coordinator_lookup
        if lookup is None:
            lookup = self._coordinator_lookup = Future(self._kernel)
            self._client.send(FindCoordinator(self._membership.group), lookup.resolve)
        self._coordinator_known = lookup.wait(None if until >= FOREVER else until - self._kernel.now)
        return self._coordinator_known

    def _join(self, until: int) -> bool:
        membership = self._membership
        while membership.need_rejoin():
            if not membership.joining and not self._prepared:
                self._prepare_join()
                self._prepared = True
            assignment = membership.join(until)
            if assignment is None:
                return False
            self._prepared = False
            self._complete_join(assignment)
        return True

    def _prepare_join(self) -> None:
        """`_on_join_prepare`: lost partitions are dropped, owned ones are committed (auto-commit) and revoked."""
        subscription, membership = self._subscription, self._membership
        if membership.lost and subscription.assignment:
            self._give_up_assignment("on_partitions_lost")
            return
        self._commits.auto_sync(None)
        failure: BaseException | None = None
        if subscription.listener is not None:
            revoked = subscription.assigned()
            subscription.mark_pending_revocation()
            failure = self._tell_listener("on_partitions_revoked", revoked)
        membership.prepare()
        if failure is not None:
            raise KafkaError("User rebalance callback throws an error") from failure

    def _complete_join(self, assignment: Mapping[str, Any]) -> None:
        """`_on_join_complete`."""
        self._subscription.assign_from_subscribed(assigned_partitions(assignment))
        self._commits.joined()
        failure = self._tell_listener("on_partitions_assigned", self._subscription.assigned())
        if failure is not None:
            raise KafkaError("User rebalance callback throws an error") from failure

    def _give_up_assignment(self, call: str) -> None:
        subscription = self._subscription
        given_up = subscription.assigned()
        subscription.mark_pending_revocation()
        failure = self._tell_listener(call, given_up)
        subscription.assign_from_subscribed([])
        self._membership.prepare()
        if failure is not None:
            raise KafkaError("User rebalance callback throws an error") from failure

    def _tell_listener(self, call: str, partitions: Sorted) -> BaseException | None:
        listener = self._subscription.listener
        if listener is not None:
            try:
                getattr(listener, call)(partitions)
            except Exception as error:  # noqa: BLE001  (raised again by the caller, after its cleanup)
                return error
        return None

    def _refresh_positions(self, until: int) -> None:
        """Start from the committed offsets; where there are none, by the reset policy."""
        subscription = self._subscription
        missing = subscription.missing_positions()
        if missing and self._grouped:
            left = FOREVER if until >= FOREVER else max(0, until - self._kernel.now)
            try:
                committed = self._commits.fetch(missing, left)
            except KafkaTimeoutError:
                return
            for partition, offset in committed.items():
                state = subscription.assignment.get(partition)
                if state is not None and state.missing_position:
                    state.seek(offset.offset)
                    state.settled = offset.offset
        subscription.reset_missing_positions()

    def _metadata_updated(self) -> None:
        subscription = self._subscription
        if subscription.pattern is not None:
            matching = sorted(topic for topic in self._metadata.partitions if subscription.pattern.match(topic))
            if matching != subscription.topics:
                subscription.change_topics(matching)
        if subscription.by_group and not self._grouped:
            # Without a group `subscribe` assigns all partitions (`_auto_assign_all_partitions`).
            everything = {topic: range(self._metadata.partitions.get(topic, 0)) for topic in subscription.topics or ()}
            partitions = assigned_partitions(everything)
            if any(partition not in subscription.assignment for partition in partitions):
                subscription.assign_from_subscribed(partitions)

    # -- iterating -------------------------------------------------------------------------------------------------

    def __iter__(self) -> "SimulatedConsumer":
        return self

    def __next__(self) -> Any:
        if self._closed:
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
        self._vain_polls = 0
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
        self._vain_polls = 0
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
        until = FOREVER if timeout_ms is None else self._kernel.now + nanoseconds(timeout_ms)
        self._refresh_positions(until)
        reset = self._fetcher.reset_if_needed()
        while reset is not None and self._subscription.assignment[partition].position is None:
            if not reset.wait(None if until >= FOREVER else until - self._kernel.now):
                break
            reset = self._fetcher.reset_if_needed()
        position = self._subscription.assignment[partition].position
        return None if position is None else int(position.offset)

    def seek(self, partition: TopicPartition, offset: "int | OffsetAndMetadata") -> None:
        """Go on from `offset` at the next poll."""
        _require_partitions([partition])
        if not isinstance(offset, int | OffsetAndMetadata):
            raise TypeError("offset must be type in or OffsetAndMetadata")
        if (offset if isinstance(offset, int) else offset.offset) < 0:
            raise ValueError("Offset must be >= 0")
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
            reply = self._client.ask(ListOffsets(missing), until - self._kernel.now)
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
        return self._subscription.assignment[partition].highwater

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
        return not self._closed

    def metrics(self, raw: bool = False) -> dict[str, Any]:
        """Nothing is measured here."""
        return {}

    # -- the end ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> "SimulatedConsumer":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        # kafka-python does not commit when an exception leaves the block; other clients do (reference §0.2, §C.4).
        self.close(autocommit=kind is None or self._library.profile.close_commits_always)

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        """Commit (auto-commit), give up the partitions, leave the group."""
        if self._closed:
            return
        self._closed = True
        timeout = nanoseconds(self.config["request_timeout_ms"] if timeout_ms is None else timeout_ms)
        try:
            if self._grouped:
                if autocommit:
                    self._commits.run_callbacks()
                    self._commits.auto_sync(timeout)
                if self._subscription.by_group and self._subscription.assignment:
                    lost = self._membership.lost
                    self._give_up_assignment("on_partitions_lost" if lost else "on_partitions_revoked")
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

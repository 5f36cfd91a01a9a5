"""Binds the worker loops to kafka-python's API: `library` is kafka-python itself, or its look-alike.

A partition is a place and a source; its number names it. Commits name explicit offsets, last handled + 1, never the
client's position; what the client commits by itself (`settle: automatic`) is told by the look-alike, as an observer,
and of kafka-python by `automatic.py`. Where the group's sink keeps positions, it seeks to them in every partition that
it is assigned. Kafka hands nothing out again: a retry is in place, a skip is a commit past the message, parking is a
record in a dead-letter topic and then the same.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mqverify.backends.base import Brokers
from mqverify.backends.kafka.admin import KafkaAdmin
from mqverify.backends.kafka.automatic import watch_commits
from mqverify.backends.kafka.binding import Binding, connected, parks, stored_size
from mqverify.backends.kafka.outcomes import commit_outcome, one_try, send_outcome
from mqverify.workload.client import Context, Received, Rejection, Unsure
from mqverify.workload.groups import ConsumerGroup

__all__ = ["KafkaAdapter", "KafkaConsumerClient", "KafkaProducerClient"]

_MILLISECOND = 1_000_000
_COMMITTED_TIMEOUT_MS = 5_000
_new: Any = tuple.__new__
"""Makes a named tuple of a tuple, at half the cost of its own constructor: there is one for each delivery."""


class KafkaAdapter:
    """One run's adapter: makes clients for workers, and the admin."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.observed: KafkaConsumerClient | None = None

    def producer(self, context: Context, name: str) -> "KafkaProducerClient":
        return KafkaProducerClient(self.binding, context, name)

    def consumer(
        self, context: Context, name: str, group: ConsumerGroup, shard: int | None = None
    ) -> "KafkaConsumerClient":
        self.observed = KafkaConsumerClient(self.binding, context, name, group)
        return self.observed

    def admin(self, brokers: Brokers | None = None) -> KafkaAdmin:
        return KafkaAdmin(self.binding, brokers)


class KafkaProducerClient:
    """Sends with `KafkaProducer`; records each try and what its future says."""

    def __init__(self, binding: Binding, context: Context, name: str) -> None:
        self._plan = binding.plan
        self._topic = binding.topic
        self._since_start = binding.since_start
        self._settings = binding.settings
        self._now = context.now
        self._wrong_time = context.wrong_time
        self._recorder = context.recorder
        self._acked = context.marker("acked")
        self._with_key = binding.settings.record_key == "key"
        self._by_key = binding.settings.partitions == "per_key"
        self._learns_offsets = binding.settings.acks != 0  # kafka-python then reports the index in the batch
        self._errors = binding.library.errors
        self.unsure: list[Unsure] = []
        make = partial(binding.library.KafkaProducer, **binding.reach, client_id=name)
        config = binding.settings.native("producer")
        self._producer = connected(binding.library, context, partial(make, **config))

    def send(self, message: int, attempt: int = 1, expected: int | None = None) -> None:
        plan = self._plan
        token = self._recorder.send_invoked(message, attempt)
        began = self._now()
        wrong_time = self._wrong_time()
        try:
            future = self._producer.send(
                self._topic,
                key=plan.keys[message].encode() if self._with_key else None,
                value=plan.payloads.encode(message),
                partition=plan.key_numbers[message] if self._by_key else None,
                timestamp_ms=None if wrong_time is None else wrong_time // _MILLISECOND,
            )
        except self._errors.KafkaError as error:
            self._recorder.send_completed(token, send_outcome(error, handed_over=False))
            return
        outcome = partial(self._on_outcome, token, message, attempt, began)
        future.add_callback(outcome)  # `add_both` would make two calls more for each send
        future.add_errback(outcome)

    def wait(self) -> None:
        self._producer.flush()

    def close(self) -> None:
        self._producer.close()

    def _on_outcome(self, token: int, message: int, attempt: int, began: int, outcome: Any) -> None:
        """`outcome` is a `RecordMetadata`, or an exception."""
        if isinstance(outcome, BaseException):
            self._on_error(token, (message, attempt, None), began, outcome)
            return
        _, partition, _, offset, timestamp, _, key_size, value_size, _ = outcome
        self._recorder.send_completed(
            token,
            "acked",
            partition,
            offset if self._learns_offsets and offset >= 0 else None,  # -1: a retry recognised too late to know
            None if timestamp is None else self._since_start(timestamp),
            stored_size(key_size, value_size),
        )
        self._acked(message)

    def _on_error(self, token: int, unsure: Unsure, began: int, error: BaseException) -> None:
        settings = self._settings
        once = one_try(self._now() - began, settings.retry_backoff, settings.retries)
        outcome = send_outcome(error, handed_over=True, once=once, idempotent=settings.idempotent)
        self._recorder.send_completed(token, outcome)
        if outcome == "unknown":
            self.unsure.append(unsure)


class KafkaConsumerClient:
    """Receives with `KafkaConsumer`, by `poll` or the iterator; also the observer of what the client commits itself."""

    redelivers = False

    def __init__(self, binding: Binding, context: Context, name: str, group: ConsumerGroup) -> None:
        self._binding = binding
        self._now = context.now
        self._recorder = context.recorder
        self._decode = binding.plan.payloads.decode
        self._key_texts = {key.encode(): key for key in dict.fromkeys(binding.plan.keys)}
        self._library = binding.library
        self._iterate = binding.plan.workload.loop == "iterator"
        config = {"auto_offset_reset": binding.settings.auto_offset_reset, **binding.settings.native("consumer")}
        if group.start is not None:
            config["auto_offset_reset"] = "earliest" if group.start == "beginning" else "latest"
        self._reset = config["auto_offset_reset"]
        config["enable_auto_commit"] = group.settle.policy == "automatic"
        if self._iterate:
            config["consumer_timeout_ms"] = 500
        make = partial(self._library.KafkaConsumer, **binding.reach, client_id=name)
        if context.leads is not None:
            config |= _heard_when_leading(self._library, config, context.leads)
        self._consumer = connected(
            self._library, context, partial(make, group_id=binding.group_id(group.name), **config)
        )
        if group.settle.policy == "automatic":
            watch_commits(self._library, self._consumer, self)
        self._sink = context.sink
        self._sought: dict[Any, int] = {}
        """Of the partitions whose start is not known yet: where the sink stands, if it does."""
        self._dead_letters = _DeadLetters(binding, context, name, group) if parks(group) else None
        self._joined = False
        self._awaiting_start: dict[Any, int] = {}
        self._handed_out: dict[int, int] = {}
        """Of each partition it holds: the position behind the last record that it was handed."""
        self._started_at: dict[Any, int] = {}
        """Of those whose start is awaited: where it is, while it is not known what put the consumer there."""

    def start(self) -> None:
        self._consumer.subscribe([self._binding.topic], listener=_rebalance_listener(self._library, self))

    def poll(self, timeout: int) -> Sequence[Received]:
        """An error that another try may mend (the connection broke while it looked for its coordinator) is no end."""
        try:
            batches = self._fetch(timeout)
        except self._library.errors.RetriableError:
            return ()
        if self._awaiting_start:
            self._note_starts(batches)
        return self._receive(batches) if batches else ()

    def _fetch(self, timeout: int) -> Mapping[Any, Sequence[Any]]:
        if not self._iterate:
            fetched: Mapping[Any, Sequence[Any]] = self._consumer.poll(timeout_ms=timeout // _MILLISECOND)
            return fetched
        record = next(self._consumer, None)
        return {} if record is None else {self._library.TopicPartition(record.topic, record.partition): [record]}

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        positions: dict[int, int] = {}
        for one in received:
            positions[one.source] = one.position + 1
        recorder = self._recorder
        tokens = [recorder.settling(source, position, "commit", "below") for source, position in positions.items()]
        topic, library = self._binding.topic, self._library
        offsets = {
            library.TopicPartition(topic, source): library.OffsetAndMetadata(position, "", -1)
            for source, position in positions.items()
        }
        began = self._now()
        try:
            if not wait:
                self._consumer.commit_async(offsets, callback=partial(self._on_commit, tokens))
                return True
            self._consumer.commit(offsets)
        except library.errors.KafkaError as error:
            once = one_try(self._now() - began, self._binding.settings.retry_backoff)
            self._settled(tokens, commit_outcome(error, once))
            return False
        self._settled(tokens, "acked")
        return True

    def reject(self, received: Received, action: Rejection) -> bool:
        if action == "park":
            assert self._dead_letters is not None
            self._dead_letters.add(received)
        return False

    def progress(self) -> Mapping[int, int] | None:
        if not self._joined:
            return None
        if self._awaiting_start:
            self._note_starts({})
            if self._awaiting_start:
                return None
        consumer = self._consumer
        assigned = sorted(consumer.assignment())
        try:
            positions = {partition.partition: consumer.position(partition, timeout_ms=500) for partition in assigned}
        except self._library.errors.RetriableError:
            return None
        return None if None in positions.values() else positions

    def close(self, clean: bool) -> None:
        if self._dead_letters is not None:
            self._dead_letters.close()
        self._consumer.close(autocommit=clean)

    # What the rebalance listener tells. It runs inside poll().

    def assigned(self, partitions: Any) -> None:
        self._joined = True
        self._started_at.clear()
        held = {partition.partition for partition in partitions}
        self._handed_out = {number: position for number, position in self._handed_out.items() if number in held}
        self._awaiting_start = {
            partition: self._recorder.assigned(partition.partition) for partition in sorted(partitions)
        }
        if self._sink is not None:
            self._seek()

    def revoked(self, partitions: Any, lost: bool) -> None:
        tell = self._recorder.lost if lost else self._recorder.revoked
        self._joined = False
        for partition in sorted(partitions):
            tell(partition.partition)
            self._awaiting_start.pop(partition, None)
            if lost:
                self._handed_out.pop(partition.partition, None)  # the client forgets what it lost

    def _seek(self) -> None:
        """Start where the sink stands, whatever the group has committed and wherever the client was."""
        assert self._sink is not None
        self._sought = {}
        for partition in self._awaiting_start:
            position = self._sink.position(partition.partition)
            if position is not None:
                self._sought[partition] = position
                self._consumer.seek(partition, position)

    # What the library tells of commits that nobody here asked for.

    def settling(self, _consumer: Any, offsets: Mapping[Any, Any]) -> list[int]:
        return [
            self._recorder.settling(partition.partition, offset.offset, "commit", "below", "client")
            for partition, offset in offsets.items()
        ]

    def settled(self, tokens: list[int], error: BaseException | None) -> None:
        self._settled(tokens, "acked" if error is None else commit_outcome(error))

    def _receive(self, batches: Mapping[Any, Sequence[Any]]) -> Sequence[Received]:
        decode, texts = self._decode, self._key_texts
        seen: list[tuple[int | None, str | None, int | None, int, int, bool]] = []
        native: list[Any] = []
        for partition, records in batches.items():
            source = partition.partition
            for record in records:
                message, key, sequence, intact = decode(record.value)
                own_key = record.key
                if own_key is not None and message is not None:
                    key = texts.get(own_key) or str(own_key, "utf-8", "replace")
                seen.append((message, key, sequence, source, record.offset, intact))
            native += records
            self._handed_out[source] = records[-1].offset + 1
        tokens = self._recorder.delivered_together(seen)
        return [
            _new(
                Received,
                (token, message, source, at, (message, key, sequence, source, at, source, at, intact), record, 1),
            )
            for token, (message, key, sequence, source, at, intact), record in zip(tokens, seen, native, strict=True)
        ]

    def _note_starts(self, batches: Mapping[Any, Sequence[Any]]) -> None:
        """Where each new partition really started: its first record's offset, else the client's position."""
        for partition, token in list(self._awaiting_start.items()):
            records = batches.get(partition)
            try:
                start = self._started_at.get(partition)
                if start is None:
                    start = records[0].offset if records else self._consumer.position(partition, timeout_ms=500)
                if start is None:
                    continue
                self._started_at[partition] = start
                came_from = self._start_from(partition, start)
            except self._library.errors.RetriableError:
                continue  # out of reach: asked again after the next poll
            self._recorder.start_known(token, start, came_from)
            self._handed_out[partition.partition] = start
            del self._awaiting_start[partition]

    def _start_from(self, partition: Any, start: int) -> str:
        """Where a start comes from. A client may keep the position of a partition that it holds across a rebalance."""
        if start == self._sought.get(partition):
            return "sink"
        if start == self._consumer.committed(partition, timeout_ms=_COMMITTED_TIMEOUT_MS):
            return "committed"
        if start == self._handed_out.get(partition.partition):
            return "kept"
        return "reset_end" if self._reset == "latest" else "reset_beginning"

    def _on_commit(self, tokens: list[int], _offsets: Any, response: Any) -> None:
        self._settled(tokens, commit_outcome(response) if isinstance(response, BaseException) else "acked")

    def _settled(self, tokens: Sequence[int], outcome: str) -> None:
        for token in tokens:
            self._recorder.settled(token, outcome)


class _DeadLetters:
    """The dead-letter topic of a group, as one of its consumers writes to it: it waits for each acknowledgement."""

    def __init__(self, binding: Binding, context: Context, name: str, group: ConsumerGroup) -> None:
        self._topic = binding.dead_letters(group.name)
        self._recorder = context.recorder
        self._errors = binding.library.errors
        make = partial(binding.library.KafkaProducer, **binding.reach, client_id=f"{name}-parking")
        self._producer = connected(binding.library, context, make)

    def add(self, received: Received) -> None:
        """Park a message. An error leaves the loop: what is not parked must not be committed past."""
        record = received.native
        token = self._recorder.settling(received.source, received.position, "park", "one", "consumer", received.message)
        try:
            self._producer.send(self._topic, key=record.key, value=record.value).get()
        except self._errors.KafkaError as error:
            self._recorder.settled(token, send_outcome(error, handed_over=True))
            raise
        self._recorder.settled(token, "acked")

    def close(self) -> None:
        self._producer.close()


def _heard_when_leading(
    library: Any, config: Mapping[str, Any], leads: Callable[[], None]
) -> Mapping[str, Sequence[Any]]:
    """The same assignors, which tell when they are asked to assign: kafka-python asks only those of the group's leader.

    docs/facts/kafka.md §C.1: the leader "computes the assignment client-side"; kafka-python does so in
    `ConsumerCoordinator._perform_assignment`.
    """

    def telling(assignor: Any) -> Any:
        class Telling(assignor):  # type: ignore[misc]
            def assign(self, cluster: Any, members: Any) -> Any:
                leads()
                return super().assign(cluster, members)

        return Telling

    name = "partition_assignment_strategy"
    return {name: tuple(map(telling, config.get(name, library.KafkaConsumer.DEFAULT_CONFIG[name])))}


def _rebalance_listener(library: Any, client: KafkaConsumerClient) -> Any:
    """kafka-python wants a subclass of its own listener class, which only the library can give."""

    class Listener(library.ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_assigned(self, assigned: Any) -> None:
            client.assigned(assigned)

        def on_partitions_revoked(self, revoked: Any) -> None:
            client.revoked(revoked, lost=False)

        def on_partitions_lost(self, lost: Any) -> None:
            client.revoked(lost, lost=True)

    return Listener()

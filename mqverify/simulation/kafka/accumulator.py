"""A producer's batches that wait to be sent: kafka-python's `RecordAccumulator` (docs/facts/kafka.md §A.3).

A queue a partition, drained from the front. A batch that is to be tried again goes back to the front, so that several
that failed together come back in reverse; librdkafka puts it where its message ids belong. An idempotent producer has
one batch of a partition in flight (the partition is *muted* meanwhile), so that nothing can overtake it.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from kafka import TopicPartition

from mqverify.simulation.kafka.futures import Batch, RecordFuture
from mqverify.simulation.kernel import Kernel

__all__ = ["BATCH_OVERHEAD", "Accumulator"]

BATCH_OVERHEAD = 61  # the header of a record batch, format v2


class Accumulator:
    """The batches of one producer. Times are nanoseconds."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        batch_size: int,
        linger: int,
        backoff: int,
        ordered: bool,
        by_message_id: bool,
        begun: Callable[[str, int, bool], None],
    ) -> None:
        self.incomplete: dict[Batch, None] = {}
        """All whose outcome is not known, in the order in which they were begun."""
        self.retrying = False
        """Whether anything ever had to be tried again."""
        self.hurried = 0
        """While above 0 (a flush, the end) nothing lingers."""
        self._kernel = kernel
        self._batch_size = batch_size
        self._linger = linger
        self._backoff = backoff
        self._ordered = ordered
        self._by_message_id = by_message_id
        self._begun = 0
        self._tell_begun = begun
        self._partitions: dict[tuple[str, int], TopicPartition] = {}
        self._queues: dict[TopicPartition, deque[Batch]] = {}
        self._sendable: dict[TopicPartition, deque[Batch]] = {}
        """Those queues that have batches and are not muted, in the order in which they came to have some."""
        self._muted: dict[TopicPartition, bool] = {}

    def append(self, topic: str, number: int, size: int, entry: Any) -> RecordFuture:
        """Add a record; its future. `begun(topic, number, full)` is told if a batch was begun for it."""
        place = (topic, number)
        partition = self._partitions.get(place)
        if partition is None:
            partition = self._partitions[place] = TopicPartition(topic, number)
            self._queues[partition] = deque()
        queue = self._queues[partition]
        full = False
        if queue:
            batch = queue[-1]
            if not batch.attempts and batch.size + size <= self._batch_size:
                batch.size += size
                entries = batch.entries
                entries.append(entry)
                return RecordFuture(batch, len(entries) - 1)
            full = True
        self._begun += 1
        batch = Batch(self._kernel, partition, self._kernel.now, BATCH_OVERHEAD + size, self._begun)
        batch.entries.append(entry)
        queue.append(batch)
        self.incomplete[batch] = None
        if partition not in self._muted:
            self._sendable[partition] = queue
        self._tell_begun(topic, number, full)
        return RecordFuture(batch, 0)

    def drain(self, now: int) -> tuple[list[Batch], int]:
        """The first batch of every partition that is ready, and when the next will be, −1 if none is waiting."""
        ready: list[Batch] = []
        next_ready = -1
        linger, hurried = self._linger, self.hurried
        for partition, queue in list(self._sendable.items()):
            batch = queue[0]
            due = now if hurried or len(queue) > 1 else batch.last_attempt + linger
            if batch.attempts:
                due = max(due, batch.last_attempt + self._backoff)
            if due <= now:
                batch.departed = True
                ready.append(queue.popleft())
                if self._ordered:
                    self._muted[partition] = True
                if self._ordered or not queue:
                    del self._sendable[partition]
            elif next_ready < 0 or due < next_ready:
                next_ready = due
        return ready, next_ready

    def reenqueue(self, batch: Batch) -> None:
        """Put it back to be tried again, `retry_backoff_ms` from now."""
        self.retrying = True
        batch.departed = False
        batch.attempts += 1
        batch.last_attempt = self._kernel.now
        queue = self._queues[batch.partition]
        place = 0
        if self._by_message_id:
            while place < len(queue) and queue[place].number < batch.number:
                place += 1
        queue.insert(place, batch)
        self._unmute(batch.partition)

    def finished(self, batch: Batch) -> None:
        """Its outcome is known."""
        self.incomplete.pop(batch, None)
        self._unmute(batch.partition)

    def _unmute(self, partition: TopicPartition) -> None:
        self._muted.pop(partition, None)
        if self._queues[partition] and partition not in self._sendable:
            self._sendable[partition] = self._queues[partition]

    def fronts(self) -> list[Batch]:
        """What may expire next: of each queue the first, for what is behind it does not expire before it; and what is
        in flight."""
        waiting = [queue[0] for queue in self._queues.values() if queue]
        return waiting + [batch for batch in self.incomplete if batch.departed]

    def expired(self, before: int) -> list[Batch]:
        """What was begun at `before` or earlier: of each queue from the front on, taken out of it; and in flight."""
        found: list[Batch] = []
        for partition, queue in self._queues.items():
            while queue and queue[0].created <= before:
                found.append(queue.popleft())
            if not queue:
                self._sendable.pop(partition, None)
        return found + [batch for batch in self.incomplete if batch.departed and batch.created <= before]

    def clear(self) -> None:
        """Nothing is sent any more."""
        for queue in self._queues.values():
            queue.clear()
        self._sendable.clear()

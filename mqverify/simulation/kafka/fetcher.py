"""The consumer's prefetch: kafka-python's `Fetcher`.

One fetch at a time to the broker, for all partitions without buffered data; what comes is handed out over as many polls
as it takes. So a consumer that is cut off goes on with what it has (docs/facts/kafka.md §C.5).
"""

from collections import deque
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import OffsetOutOfRangeError, UnknownTopicOrPartitionError

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.client import FOREVER, Client, nanoseconds
from mqverify.simulation.kafka.metadata import ClientMetadata
from mqverify.simulation.kafka.protocol import Fetch, Fetched, FetchReply, ListOffsets
from mqverify.simulation.kafka.subscription import NONE, Subscription
from mqverify.simulation.renewals import Renews

__all__ = ["Fetcher"]


class _Buffer:
    """The records of one partition from one fetch, handed out from the front (`PartitionRecords`)."""

    __slots__ = ("index", "live", "next_offset", "partition", "records")

    def __init__(self, partition: TopicPartition, offset: int, records: list[Any]) -> None:
        self.partition = partition
        self.records = records
        self.index = 0
        self.next_offset = offset
        self.live = True


class Fetcher:
    """Fetches for one consumer."""

    def __init__(
        self, client: Client, subscription: Subscription, metadata: ClientMetadata, config: dict[str, Any]
    ) -> None:
        self._client = client
        self._kernel = client.kernel
        self._subscription = subscription
        self._metadata = metadata
        self._max_wait = nanoseconds(config["fetch_max_wait_ms"])
        self._min_bytes: int = config["fetch_min_bytes"]
        self._max_bytes: int = config["fetch_max_bytes"]
        self._partition_max_bytes: int = config["max_partition_fetch_bytes"]
        self._isolation = 1 if config["isolation_level"] == "read_committed" else 0
        self._backoff = nanoseconds(config["retry_backoff_ms"])
        self._deserializers = (config["key_deserializer"], config["value_deserializer"])
        self._completed: deque[Fetched] = deque()
        self._current: _Buffer | None = None
        self._parked: dict[TopicPartition, Fetched | _Buffer] = {}
        """Data of partitions that the application paused."""
        self._in_flight = False
        self._resetting = False
        self._arrival = Future(self._kernel)
        self._error: BaseException | None = None

    def fetch(
        self, max_records: int, update_positions: bool, until: int, renews: Renews
    ) -> tuple[dict[TopicPartition, list[Any]], bool]:
        """Hand out buffered records, keep a fetch under way, and wait for it until `until` if there are none.

        The second value is whether there was nothing to wait for.
        """
        records = self._take(max_records, update_positions)
        if not self._completed:
            self._send()
        if records:
            return records, False
        if not self._in_flight and not self._resetting:
            return records, True
        if self._arrival.done:
            self._arrival = Future(self._kernel)
        self._arrival.wait(None if until >= FOREVER else until - self._kernel.now, renews)
        return self._take(max_records, update_positions), False

    def reset_if_needed(self) -> Future | None:
        """Ask where to start for partitions whose position must be reset; None if there are none."""
        if self._resetting:
            return self._arrival
        strategies = self._subscription.needing_reset()
        if not strategies:
            return None
        self._resetting = True
        if self._arrival.done:
            self._arrival = Future(self._kernel)
        self._client.send(ListOffsets(strategies), lambda found: self._reset(strategies, found), self._reset_failed)
        return self._arrival

    def _reset(self, strategies: dict[Any, int], found: dict[Any, Any]) -> None:
        retry = False
        for partition, (error, offset, _) in found.items():
            state = self._subscription.assignment.get(partition)
            # The assignment may have gone meanwhile, or the application may have sought elsewhere.
            if state is None or state.reset_strategy != strategies[partition]:
                continue
            if error is not None:
                retry = True
            else:
                state.seek(offset)
        if retry:
            self._reset_failed(None)
        else:
            self._reset_done()

    def _reset_failed(self, _error: BaseException | None) -> None:
        """`reset_failed`: asked again after `retry_backoff_ms`."""
        self._metadata.request_update()
        self._kernel.call_at(self._kernel.now + self._backoff, self._reset_done, process=self._client.process)

    def _reset_done(self) -> None:
        self._resetting = False
        self._arrival.resolve()

    # -- sending ---------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """`send_fetches`: not while one is under way or there is no connection to be had, and not for partitions with
        buffered data."""
        if self._in_flight or self._client.backing_off:
            return
        buffered = self._current.partition if self._current is not None and self._current.live else None
        parked = self._parked
        known = self._metadata.partitions
        positions = [
            (partition, state.position.offset)
            for partition, state in self._subscription.assignment.items()
            if state.position is not None
            and state.fetchable
            and partition != buffered
            and partition not in parked
            and partition.topic in known
        ]
        if not positions:
            return
        self._in_flight = True
        request = Fetch(
            positions, self._max_wait, self._min_bytes, self._max_bytes, self._partition_max_bytes, self._isolation
        )
        self._client.send(request, self._arrived, self._failed)

    def _failed(self, _error: BaseException) -> None:
        """`_handle_fetch_error`: only logged there; the next poll fetches again."""
        self._in_flight = False
        self._arrival.resolve()

    def _arrived(self, reply: FetchReply) -> None:
        self._in_flight = False
        assignment = self._subscription.assignment
        for fetched in reply.partitions:
            state = assignment.get(fetched.partition)
            if state is not None and fetched.high_watermark >= 0:
                state.highwater = fetched.high_watermark
            if fetched.records or fetched.error is not None:
                self._completed.append(fetched)
        self._arrival.resolve()

    # -- handing out -----------------------------------------------------------------------------------------------

    def _take(self, max_records: int, update_positions: bool) -> dict[TopicPartition, list[Any]]:
        """`fetched_records`. An error is raised at once if nothing precedes it, else at the next call."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._parked:
            self._unpark()
        drained: dict[TopicPartition, list[Any]] = {}
        left = max_records
        try:
            while left > 0:
                buffer = self._current
                if buffer is not None and buffer.live:
                    left -= self._hand_out(buffer, left, update_positions, drained)
                elif self._completed:
                    self._current = self._open(self._completed.popleft())
                else:
                    break
        except Exception as error:
            if not drained:
                raise
            self._error = error
        return drained

    def _hand_out(self, buffer: _Buffer, most: int, update: bool, drained: dict[TopicPartition, list[Any]]) -> int:
        partition = buffer.partition
        state = self._subscription.assignment.get(partition)
        if state is not None and state.paused:
            self._parked[partition] = buffer
            self._current = None
            return 0
        if state is None or not state.fetchable or state.position is None:
            buffer.live = False
            return 0
        if buffer.next_offset != state.position.offset:
            buffer.live = False  # of an obsolete fetch: the position was moved meanwhile
            return 0
        index = buffer.index
        records = buffer.records[index : index + most] if index or most < len(buffer.records) else buffer.records
        count = len(records)
        if count:
            buffer.index = index + count
            buffer.next_offset = records[-1].offset + 1
            if partition in drained:
                drained[partition].extend(records)
            else:
                drained[partition] = records
        if count < most:
            buffer.live = False
            self._subscription.move_to_end(partition)
        if update or not count:
            state.position = OffsetAndMetadata(buffer.next_offset, "", 0)
        return count

    def _open(self, fetched: Fetched) -> _Buffer | None:
        """`_parse_fetched_data`: data of a fetch whose position still stands, or what its error means."""
        partition = fetched.partition
        state = self._subscription.assignment.get(partition)
        if state is not None and state.paused:
            self._parked[partition] = fetched
            return None
        if state is None or not state.fetchable or state.position is None:
            return None
        if fetched.error is not None:
            self._subscription.move_to_end(partition)
        if fetched.error is UnknownTopicOrPartitionError:
            self._metadata.request_update()
            return None
        if state.position.offset != fetched.offset:
            return None
        if fetched.error is OffsetOutOfRangeError:
            if self._subscription.default_reset == NONE:
                raise OffsetOutOfRangeError({partition: fetched.offset})
            state.reset(self._subscription.default_reset)
            return None
        return _Buffer(partition, fetched.offset, self._deserialized(partition.topic, fetched.records))

    def _unpark(self) -> None:
        assignment = self._subscription.assignment
        for partition, held in list(self._parked.items()):
            state = assignment.get(partition)
            if state is not None and state.paused:
                continue
            if isinstance(held, Fetched):
                self._completed.append(held)
                del self._parked[partition]
            elif self._current is None or not self._current.live:
                self._current = held
                del self._parked[partition]

    def _deserialized(self, topic: str, records: list[Any]) -> list[Any]:
        key_of, value_of = self._deserializers
        if key_of is None and value_of is None:
            return records
        return [
            record._replace(
                key=_deserialize(key_of, topic, record.headers, record.key),
                value=_deserialize(value_of, topic, record.headers, record.value),
            )
            for record in records
        ]


def _deserialize(deserializer: Any, topic: str, headers: Any, data: Any) -> Any:
    if deserializer is None:
        return data
    if not hasattr(deserializer, "deserialize"):
        return deserializer(data)
    return deserializer.deserialize(topic, headers, data)

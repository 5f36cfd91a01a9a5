"""`KafkaProducer` of the look-alike: accumulator, batches and sender (docs/facts/kafka.md §A).

The sender is a background activity of the process, driven by events: it drains one batch a partition into a request
whenever something is ready and not too much is in flight. An idempotent producer has one batch of a partition in flight
(`guarantee_message_order`), which is where batches come from when `linger_ms` is 0.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition
from kafka.errors import IllegalStateError, KafkaConfigurationError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.producer.kafka import KafkaProducer
from kafka.util import ensure_valid_topic_name

from mqverify.simulation.kafka.client import Client, ClientMetadata, nanoseconds
from mqverify.simulation.kafka.futures import Batch, RecordFuture
from mqverify.simulation.kafka.profiles import Keyless
from mqverify.simulation.kafka.protocol import Produce, Produced
from mqverify.simulation.kafka.settings import EPOCH_MS
from mqverify.simulation.kernel import MILLISECOND, SECOND
from mqverify.simulation.renewals import Event

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["SimulatedProducer"]

_BATCH_OVERHEAD = 61  # the header of a record batch, format v2
_RECORD_OVERHEAD = 8  # length, attributes, deltas of time and offset, lengths of key and value, number of headers
_BYTES = (bytes, bytearray, memoryview, type(None))

_require_name: Any = ensure_valid_topic_name


class SimulatedProducer:
    """Sends records. `send` returns at once with a future and costs the caller no virtual time."""

    def __init__(self, library: "KafkaLibrary", **configs: Any) -> None:
        self.config = _configured(library, configs)
        self._library = library
        client = self._client = Client(library, "producer")
        self._kernel = client.kernel
        self._metadata = ClientMetadata(
            client,
            nanoseconds(self.config["metadata_max_age_ms"]),
            nanoseconds(self.config["retry_backoff_ms"]),
            self.config["allow_auto_create_topics"],
        )
        self._topics: list[str] = []
        self._counts: dict[str, int] = {}
        self._hash_key = library.profile.hash_key
        self._keyless = Keyless(library.profile.keyless, client.dice)
        self._partitions: dict[tuple[str, int], TopicPartition] = {}
        self._chosen: dict[tuple[str, bytes], int] = {}
        self._acks: int = self.config["acks"]
        self._batch_size: int = self.config["batch_size"]
        self._max_request_size: int = self.config["max_request_size"]
        self._key_serializer = self.config["key_serializer"]
        self._value_serializer = self.config["value_serializer"]
        self._linger = nanoseconds(self.config["linger_ms"])
        self._max_in_flight: int = self.config["max_in_flight_requests_per_connection"]
        self._ordered: bool = self.config["enable_idempotence"] or self._max_in_flight == 1
        self._queues: dict[TopicPartition, deque[Batch]] = {}
        self._sendable: dict[TopicPartition, deque[Batch]] = {}
        """Those of them that have batches and are not muted, in the order in which they came to have some."""
        self._muted: dict[TopicPartition, bool] = {}
        self._in_flight = 0
        self._incomplete: dict[Batch, None] = {}
        self._flushing = 0
        self._wakeup: Event | None = None
        self._closed = False

    # -- the application's side ------------------------------------------------------------------------------------

    def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordFuture:
        """Hand over one record. Blocks only for the metadata of a topic not seen before (`max_block_ms`)."""
        if self._closed:
            raise IllegalStateError("KafkaProducer already closed!")
        if value is None and key is None:
            raise ValueError("Need at least one: key or value")
        header_size = -1
        if headers is None:
            headers = []
        elif headers:
            header_size = _header_size(headers)
        key = _serialized(self._key_serializer, topic, headers, key)
        value = _serialized(self._value_serializer, topic, headers, value)
        if topic not in self._metadata.partitions:
            self._wait_on_metadata(topic)
        number = self._partition(topic, partition, key)
        key_size = value_size = -1
        size = _RECORD_OVERHEAD
        if key is not None:
            key_size = len(key)
            size += key_size
        if value is not None:
            value_size = len(value)
            size += value_size
        if header_size > 0:
            size += header_size
        if size + _BATCH_OVERHEAD > self._max_request_size:
            raise MessageSizeTooLargeError(
                f"The message is {size + _BATCH_OVERHEAD} bytes when serialized which is larger than"
                " the maximum request size you have configured with the max_request_size configuration"
            )
        if timestamp_ms is None:
            timestamp_ms = EPOCH_MS + (self._kernel.now + self._client.process.skew) // MILLISECOND
        return self._append(topic, number, size, (timestamp_ms, key, value, headers, key_size, value_size, header_size))

    def flush(self, timeout: float | None = None) -> None:
        """Send what is buffered, lingering or not, and block until the outcome of all sent so far is known."""
        self._flushing += 1
        self._wake()
        deadline = None if timeout is None else self._kernel.now + int(timeout * SECOND)
        try:
            for batch in list(self._incomplete):
                left = None if deadline is None else deadline - self._kernel.now
                if not batch.is_done and not batch.wait(left):
                    raise KafkaTimeoutError("Timeout waiting for future")
        finally:
            self._flushing -= 1

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Flush and end. What cannot be sent within `timeout` seconds fails (`force_close`)."""
        if self._closed:
            return
        self._closed = True
        try:
            self.flush(timeout)
        finally:
            for batch in list(self._incomplete):
                self._complete(batch, Produced(None, -1, -1), IllegalStateError("Producer is closed forcefully."))
            self._metadata.close()
            self._client.close()

    def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic, waiting for its metadata if need be."""
        if topic not in self._metadata.partitions:
            self._wait_on_metadata(topic)
        return set(range(self._metadata.partitions[topic]))

    def bootstrap_connected(self) -> bool:
        return not self._closed

    def metrics(self, raw: bool = False) -> dict[str, Any]:
        """Nothing is measured here."""
        return {}

    def __enter__(self) -> "SimulatedProducer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- partitions ------------------------------------------------------------------------------------------------

    def _wait_on_metadata(self, topic: str) -> None:
        _require_name(topic)
        deadline = self._kernel.now + nanoseconds(self.config["max_block_ms"])
        if topic not in self._topics:
            self._topics.append(topic)
            self._metadata.set_topics(self._topics)
        while topic not in self._metadata.partitions:
            update = self._metadata.request_update()
            update.wait(deadline - self._kernel.now)
            if topic in self._metadata.partitions:
                return
            if self._kernel.now >= deadline:
                seconds = self.config["max_block_ms"] / 1000
                raise KafkaTimeoutError(f"Failed to update metadata after {seconds:.1f} secs.")
            self._kernel.sleep(nanoseconds(self.config["retry_backoff_ms"]))

    def _partition(self, topic: str, partition: int | None, key: bytes | None) -> int:
        """Explicit partition > hash of the key > policy for records without one (docs/facts/kafka.md §A.4)."""
        count = self._metadata.partitions[topic]
        if partition is not None:
            if partition < 0:
                raise ValueError("partition must be >= 0")
            if partition >= count:
                raise ValueError(f"Unrecognized partition {partition} for topic {topic}")
            return partition
        if key is None:
            return self._keyless.choose(topic, count, self._kernel.now)
        hashed = self._chosen.get(key)  # type: ignore[call-overload]
        if hashed is None:
            hashed = self._chosen[key] = self._hash_key(bytes(key))  # type: ignore[index]
        return int(hashed) % count

    # -- accumulator -----------------------------------------------------------------------------------------------

    def _append(self, topic: str, number: int, size: int, entry: Any) -> RecordFuture:
        place = (topic, number)
        partition = self._partitions.get(place)
        if partition is None:
            partition = self._partitions[place] = TopicPartition(topic, number)
            self._queues[partition] = deque()
        queue = self._queues[partition]
        if queue:
            batch = queue[-1]
            if batch.size + size <= self._batch_size:
                batch.size += size
                entries = batch.entries
                entries.append(entry)
                return RecordFuture(batch, len(entries) - 1)
            # The batch is full; a sticky producer goes on with another partition for what follows.
            self._keyless.batch_full(topic, number, self._metadata.partitions[topic])
        batch = Batch(self._kernel, partition, self._kernel.now, _BATCH_OVERHEAD + size)
        batch.entries.append(entry)
        queue.append(batch)
        self._incomplete[batch] = None
        if partition not in self._muted:
            self._sendable[partition] = queue
        self._wake()
        return RecordFuture(batch, 0)

    # -- sender ----------------------------------------------------------------------------------------------------

    def _wake(self, at: int | None = None) -> None:
        at = self._kernel.now if at is None else at
        if self._wakeup is not None:
            if self._wakeup[0] <= at:
                return
            self._kernel.cancel(self._wakeup)
        self._wakeup = self._kernel.call_at(at, self._drain, process=self._client.process)

    def _drain(self) -> None:
        """`Sender.run_once`: one request with the first batch of every partition that is ready."""
        self._wakeup = None
        now, linger = self._kernel.now, self._linger
        while self._in_flight < self._max_in_flight:
            ready: list[Batch] = []
            next_ready = -1
            for partition, queue in list(self._sendable.items()):
                batch = queue[0]
                if len(queue) > 1 or self._flushing or self._closed or batch.created + linger <= now:
                    ready.append(queue.popleft())
                    if self._ordered:
                        self._muted[partition] = True
                    if self._ordered or not queue:
                        del self._sendable[partition]
                elif next_ready < 0 or batch.created + linger < next_ready:
                    next_ready = batch.created + linger
            if not ready:
                if next_ready >= 0:
                    self._wake(next_ready)
                return
            self._request(ready)

    def _request(self, batches: list[Batch]) -> None:
        request = Produce(self._acks, [(batch.partition, batch.entries, batch.size) for batch in batches])
        if self._acks == 0:
            # Nobody answers: done when handed to the socket. Java and librdkafka tell offset −1 (§A.2), while
            # kafka-python 3.0.12 makes up a response whose base offset is 0 (measured on a real broker).
            self._client.send(request, _ignore)
            for batch in batches:
                self._complete(batch, Produced(None, self._library.profile.offset_without_acks, -1), None)
            return
        self._in_flight += 1

        def arrived(results: list[Produced]) -> None:
            self._in_flight -= 1
            for batch, result in zip(batches, results, strict=True):
                self._complete(batch, result, None if result.error is None else result.error())
            self._drain()

        self._client.send(request, arrived)

    def _complete(self, batch: Batch, result: Produced, error: BaseException | None) -> None:
        """The outcome of a batch. A retriable error is where a retry would put it back at the front of its queue."""
        self._incomplete.pop(batch, None)
        partition = batch.partition
        if self._muted.pop(partition, False) and self._queues[partition]:
            self._sendable[partition] = self._queues[partition]
        batch.complete(result.base_offset, result.log_append_time, error)


def _ignore(_: Any) -> None:
    pass


def _configured(library: "KafkaLibrary", configs: dict[str, Any]) -> dict[str, Any]:
    """kafka-python's defaults, the profile's, the caller's; errors and silent fall-backs as in kafka-python."""
    unknown = {name: value for name, value in configs.items() if name not in KafkaProducer.DEFAULT_CONFIG}
    if unknown:
        raise ValueError(f"Unrecognized configs: {unknown}")  # a ValueError there too, unlike the consumer's
    config: dict[str, Any] = {**KafkaProducer.DEFAULT_CONFIG, **library.profile.producer, **configs}
    if config["acks"] == "all":
        config["acks"] = -1
    if config["transactional_id"] is not None:
        raise NotImplementedError("transactions are not modelled")
    if config["enable_idempotence"]:
        conflicts = [
            name
            for name, conflict in (
                ("acks", config["acks"] != -1),
                ("retries", config["retries"] == 0),
                ("max_in_flight_requests_per_connection", config["max_in_flight_requests_per_connection"] > 5),
            )
            if conflict and name in configs
        ]
        if conflicts and "enable_idempotence" in configs:
            text = ", ".join(f"{name}={config[name]!r}" for name in conflicts)
            raise KafkaConfigurationError(f"enable_idempotence=True is incompatible with user-provided {text}")
        if conflicts:
            config["enable_idempotence"] = False  # a warning only (docs/facts/kafka.md §E.2)
    return config


def _serialized(serializer: Any, topic: str, headers: Any, data: Any) -> Any:
    if serializer is None:
        if type(data) is bytes or data is None:
            return data
    else:
        serialize: Callable[..., Any] | None = getattr(serializer, "serialize", None)
        data = serializer(data) if serialize is None else serialize(topic, headers, data)
    if type(data) not in _BYTES:
        raise TypeError(f"Unsupported type for serialized data: {type(data)}")
    return data


def _header_size(headers: Any) -> int:
    if not isinstance(headers, list):
        raise TypeError("headers must be list-type")
    for item in headers:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], bytes)):
            raise TypeError("All headers items must be (str, bytes) tuples")
    return sum(len(key.encode("utf-8")) + len(value) for key, value in headers)

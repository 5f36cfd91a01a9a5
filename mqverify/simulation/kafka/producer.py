"""`KafkaProducer` of the look-alike: what an application calls (docs/facts/kafka.md §A).

What becomes of the records is the affair of `Accumulator` and `Sender`. An idempotent producer has one batch of a
partition in flight (`guarantee_message_order`), which is where batches come from when `linger_ms` is 0.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kafka.errors import (
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RetriableError,
)
from kafka.producer.kafka import KafkaProducer
from kafka.util import ensure_valid_topic_name

from mqverify.simulation.kafka.accumulator import BATCH_OVERHEAD, Accumulator
from mqverify.simulation.kafka.client import Client, nanoseconds
from mqverify.simulation.kafka.futures import RecordFuture
from mqverify.simulation.kafka.metadata import ClientMetadata
from mqverify.simulation.kafka.profiles import Keyless
from mqverify.simulation.kafka.sender import Sender
from mqverify.simulation.kafka.settings import EPOCH_MS
from mqverify.simulation.kernel import MILLISECOND, SECOND

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["SimulatedProducer"]

_RECORD_OVERHEAD = 8  # length, attributes, deltas of time and offset, lengths of key and value, number of headers
_BYTES = (bytes, bytearray, memoryview, type(None))

_require_name: Any = ensure_valid_topic_name


class SimulatedProducer:
    """Sends records. `send` returns at once with a future and costs the caller no virtual time."""

    def __init__(self, library: "KafkaLibrary", **configs: Any) -> None:
        self.config = _configured(library, configs)
        self._library = library
        client = self._client = Client(library, "producer", self.config)
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
        self._chosen: dict[tuple[str, bytes], int] = {}
        self._max_request_size: int = self.config["max_request_size"]
        self._key_serializer = self.config["key_serializer"]
        self._value_serializer = self.config["value_serializer"]
        self._accumulator = Accumulator(
            client.kernel,
            batch_size=self.config["batch_size"],
            linger=nanoseconds(self.config["linger_ms"]),
            backoff=nanoseconds(self.config["retry_backoff_ms"]),
            ordered=self.config["enable_idempotence"] or self.config["max_in_flight_requests_per_connection"] == 1,
            by_message_id=library.profile.retries_by_message_id,
            begun=self._begun,
        )
        self._append = self._accumulator.append
        self._sender = Sender(client, self._metadata, self._accumulator, self.config)
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
        if size + BATCH_OVERHEAD > self._max_request_size:
            raise MessageSizeTooLargeError(
                f"The message is {size + BATCH_OVERHEAD} bytes when serialized which is larger than"
                " the maximum request size you have configured with the max_request_size configuration"
            )
        if timestamp_ms is None:
            timestamp_ms = EPOCH_MS + (self._kernel.now + self._client.process.skew) // MILLISECOND
        entry = (timestamp_ms, key, value, headers, key_size, value_size, header_size)
        return self._append(topic, number, size, entry)

    def _begun(self, topic: str, number: int, full: bool) -> None:
        """A batch was begun: since the last one was full, a sticky producer goes on with another partition."""
        if full:
            self._keyless.batch_full(topic, number, self._metadata.partitions[topic])
        self._sender.wake()

    def flush(self, timeout: float | None = None) -> None:
        """Send what is buffered, lingering or not, and block until the outcome of all sent so far is known."""
        self._accumulator.hurried += 1
        self._sender.wake()
        deadline = None if timeout is None else self._kernel.now + int(timeout * SECOND)
        try:
            for batch in list(self._accumulator.incomplete):
                left = None if deadline is None else deadline - self._kernel.now
                if not batch.is_done and not batch.wait(left):
                    raise KafkaTimeoutError("Timeout waiting for future")
        finally:
            self._accumulator.hurried -= 1

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Flush and end. What cannot be sent within `timeout` seconds fails (`force_close`)."""
        if self._closed:
            return
        self._closed = True
        self._accumulator.hurried += 1
        try:
            self.flush(timeout)
        finally:
            self._sender.abort(IllegalStateError("Producer is closed forcefully."))
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
            if update.error is not None and not isinstance(update.error, RetriableError):
                raise update.error
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

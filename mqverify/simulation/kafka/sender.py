"""How a producer sends and what it makes of failures: kafka-python's `Sender` and `TransactionManager`.

Docs/facts/kafka.md §A.3. The sender is a background activity of the process, driven by events: it drains one batch a
partition into a request whenever something is ready and not too much is in flight. A batch whose request failed is put
back while the error can be retried, `retries` are left and its delivery time-out, counted from its first record, is
not over; a batch that runs out of time fails wherever it is, in the queue or in flight, although it may be written.
"""

from collections.abc import Mapping
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidMetadataError,
    InvalidProducerEpochError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumberError,
    RetriableError,
    UnknownProducerIdError,
)

from mqverify.simulation.kafka.accumulator import Accumulator
from mqverify.simulation.kafka.client import Client, nanoseconds
from mqverify.simulation.kafka.futures import Batch
from mqverify.simulation.kafka.metadata import ClientMetadata
from mqverify.simulation.kafka.protocol import InitProducerId, Produce, Produced
from mqverify.simulation.renewals import Event

__all__ = ["Sender"]

_NEEDS_NEW_ID = (OutOfOrderSequenceNumberError, UnknownProducerIdError, InvalidProducerEpochError)
"""`_NEEDS_EPOCH_BUMP_ERRORS` (KIP-360)."""

_MODULUS = 1 << 31


class Sender:
    """The sender of one producer."""

    def __init__(
        self, client: Client, metadata: ClientMetadata, accumulator: Accumulator, config: Mapping[str, Any]
    ) -> None:
        self._client = client
        self._kernel = client.kernel
        self._metadata = metadata
        self._accumulator = accumulator
        self._acks: int = config["acks"]
        self._retries: float = config["retries"]
        self._backoff = nanoseconds(config["retry_backoff_ms"])
        self._delivery_timeout = nanoseconds(config["delivery_timeout_ms"])
        self._max_in_flight: int = config["max_in_flight_requests_per_connection"]
        self._idempotent: bool = config["enable_idempotence"]
        self._requests = 0
        self._identity: tuple[int, int] | None = None
        """Producer id and epoch, of an idempotent producer that has them."""
        if self._idempotent:
            self._identity = client.cluster.broker.new_producer()  # part of connecting, see `Client`
        self._asking = False
        self._stranded = False
        """It has no producer id and asks for none (`Profile.stranded_by_expiry`)."""
        self._sequences: dict[TopicPartition, int] = {}
        self._fatal: BaseException | None = None
        self._wakeup: Event | None = None
        client.on_ready.append(self.wake)
        client.on_lost.append(self.wake)
        client.on_trouble.append(self.wake)

    def wake(self, at: int | None = None) -> None:
        """Look at the queues, now or at `at`."""
        at = self._kernel.now if at is None else at
        if self._wakeup is not None:
            if self._wakeup[0] <= at:
                return
            self._kernel.cancel(self._wakeup)
        self._wakeup = self._kernel.call_at(at, self._drain, process=self._client.process)

    def abort(self, error: BaseException) -> None:
        """`abort_batches`: all that is incomplete fails, what is in flight too."""
        self._accumulator.clear()
        for batch in list(self._accumulator.incomplete):
            self._finish(batch, error)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """`Sender.run_once`: one request with the first batch of every partition that is ready."""
        self._wakeup = None
        if self._fatal is not None:
            self.abort(self._fatal)
            return
        if self._idempotent and self._identity is None:
            self._ask_for_identity()
            return
        now = self._kernel.now
        accumulator, client = self._accumulator, self._client
        slow = client.troubled or accumulator.retrying  # only then can anything wait for so long that it expires
        while True:
            ready: list[Batch] = []
            next_ready = -1
            if client.connection is None:
                if accumulator.incomplete and not client.connect():
                    next_ready = now + self._backoff
            elif self._requests < self._max_in_flight:
                ready, next_ready = accumulator.drain(now)
                if ready and self._identity is not None:
                    self._number(ready, self._identity)
            if (slow or (ready and ready[0].created + self._delivery_timeout <= now)) and self._expire(now):
                return  # kafka-python sends nothing of what it has just drained: it expires in flight, unsent
            if not ready:
                break
            self._request(ready)
        if slow and accumulator.incomplete:
            expiry = min(batch.created for batch in accumulator.fronts()) + self._delivery_timeout
            next_ready = expiry if next_ready < 0 else min(next_ready, expiry)
        if next_ready >= 0:
            self.wake(next_ready)

    def _number(self, batches: list[Batch], identity: tuple[int, int]) -> None:
        """A batch keeps its producer id and sequence over all attempts: another try might already be in the log."""
        producer, epoch = identity
        sequences = self._sequences
        for batch in batches:
            if batch.origin is None:
                sequence = sequences.get(batch.partition, 0)
                batch.origin = (producer, epoch, sequence)
                sequences[batch.partition] = (sequence + len(batch.entries)) % _MODULUS

    def _request(self, batches: list[Batch]) -> None:
        origins = [batch.origin for batch in batches] if self._idempotent else None
        request = Produce(self._acks, [(batch.partition, batch.entries, batch.size) for batch in batches], origins)
        if self._acks == 0:
            # Nobody answers: done when handed to the socket. Java and librdkafka tell offset −1 (§A.2), while
            # kafka-python 3.0.12 makes up a response whose base offset is 0 (measured on a real broker).
            self._client.post(request)
            for batch in batches:
                self._succeed(batch, Produced(None, self._client.library.profile.offset_without_acks, -1))
            return
        self._requests += 1

        def arrived(results: list[Produced]) -> None:
            self._requests -= 1
            for batch, result in zip(batches, results, strict=True):
                if result.error is None:
                    self._succeed(batch, result)
                else:
                    self._fail(batch, result.error())
            self._drain()

        def failed(error: BaseException) -> None:
            self._requests -= 1
            for batch in batches:
                self._fail(batch, error)
            self.wake()

        self._client.send(request, arrived, failed)

    # -- outcomes --------------------------------------------------------------------------------------------------

    def _succeed(self, batch: Batch, result: Produced) -> None:
        self._accumulator.finished(batch)
        batch.complete(result.base_offset, result.log_append_time, None)

    def _fail(self, batch: Batch, error: BaseException) -> None:
        """`_dispatch_error`: put back, or fail for good, perhaps with consequences for the producer."""
        if self._can_retry(batch, error):
            self._accumulator.reenqueue(batch)
        else:
            if self._idempotent:
                self._learn(error)
            self._finish(batch, error)
        if isinstance(error, InvalidMetadataError):
            self._metadata.request_update()

    def _finish(self, batch: Batch, error: BaseException) -> None:
        self._accumulator.finished(batch)
        batch.complete(-1, -1, error)

    def _can_retry(self, batch: Batch, error: BaseException) -> bool:
        if batch.is_done or not isinstance(error, RetriableError) or batch.attempts >= self._retries:
            return False
        if batch.created + self._delivery_timeout <= self._kernel.now:
            return False
        # Under another producer id the broker could not tell a repeated batch from a new one.
        return not self._idempotent or batch.origin[:2] == self._identity

    def _expire(self, now: int) -> bool:
        """Fail what has run out of time; whether the producer id had to be given up, since nobody knows what of it is
        in the log (`reset_producer_id`)."""
        before = now - self._delivery_timeout
        expired = self._accumulator.expired(before)
        for batch in expired:
            waited = (now - batch.created) // 1_000_000
            what = f"{len(batch.entries)} record(s) for {batch.partition}"
            self._fail(batch, KafkaTimeoutError(f"Expiring {what}: {waited} ms has passed since batch creation"))
        if not self._idempotent or not any(batch.attempts for batch in expired):
            return False
        self._renew_identity()
        self._stranded = self._client.library.profile.stranded_by_expiry
        return True

    # -- the producer id -------------------------------------------------------------------------------------------

    def _learn(self, error: BaseException) -> None:
        """`classify_batch_error`, for a batch that is not tried again."""
        if isinstance(error, _NEEDS_NEW_ID):
            self._renew_identity()
        elif not isinstance(error, RetriableError) and (
            self._client.library.profile.refusals_are_fatal or isinstance(error, ClusterAuthorizationFailedError)
        ):
            self._fatal = error
            self.wake()

    def _renew_identity(self) -> None:
        """Batches begun under the old id keep it; what was not sent yet begins anew at sequence 0."""
        self._identity = None
        self._stranded = False  # an error of the broker's makes kafka-python ask, too (`bump_producer_id_and_epoch`)
        self._sequences.clear()
        self.wake()

    def _ask_for_identity(self) -> None:
        """Nothing is sent, and nothing expires, until there is a producer id (`run_once`)."""
        if self._asking or self._stranded:
            return
        if self._client.connection is None:
            if not self._client.connect():
                self.wake(self._kernel.now + self._backoff)
            return
        self._asking = True

        def arrived(identity: tuple[int, int]) -> None:
            self._asking = False
            self._identity = identity
            self._drain()

        def failed(error: BaseException) -> None:
            self._asking = False
            if not isinstance(error, KafkaConnectionError):
                # `TxnRequestHandler.on_complete`: of a time-out it makes a fatal error.
                self._fatal = KafkaError(f"Could not execute transactional request for unknown reasons: {error}")
            self.wake()

        self._client.send(InitProducerId(), arrived, failed)

"""Futures of the look-alike: what `KafkaProducer.send` and `commit_async` return, with kafka-python's methods.

A record's future holds its place in a batch and makes its `RecordMetadata` only when somebody asks, for a send must
cost little.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from kafka.errors import KafkaTimeoutError, RetriableError
from kafka.producer.future import RecordMetadata

from mqverify.simulation.future import Future
from mqverify.simulation.kernel import SECOND, Kernel

__all__ = ["Batch", "ClientFuture", "RecordFuture"]

_new: Any = tuple.__new__


class ClientFuture:
    """`kafka.future.Future`: done once, with a value or an exception."""

    __slots__ = ("_callbacks", "_errbacks", "exception", "is_done", "value")

    def __init__(self) -> None:
        self.is_done = False
        self.value: Any = None
        self.exception: BaseException | None = None
        self._callbacks: list[Callable[[Any], Any]] = []
        self._errbacks: list[Callable[[BaseException], Any]] = []

    def succeeded(self) -> bool:
        return self.is_done and self.exception is None

    def failed(self) -> bool:
        return self.is_done and self.exception is not None

    def retriable(self) -> bool:
        return self.is_done and isinstance(self.exception, RetriableError)

    def success(self, value: Any) -> "ClientFuture":
        self.is_done, self.value = True, value
        for call in self._callbacks:
            call(value)
        return self

    def failure(self, error: BaseException) -> "ClientFuture":
        self.is_done, self.exception = True, error
        for call in self._errbacks:
            call(error)
        return self

    def add_callback(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "ClientFuture":
        call = partial(call, *arguments, **named) if arguments or named else call
        if not self.is_done:
            self._callbacks.append(call)
        elif self.exception is None:
            call(self.value)
        return self

    def add_errback(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "ClientFuture":
        call = partial(call, *arguments, **named) if arguments or named else call
        if not self.is_done:
            self._errbacks.append(call)
        elif self.exception is not None:
            call(self.exception)
        return self

    def add_both(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "ClientFuture":
        return self.add_callback(call, *arguments, **named).add_errback(call, *arguments, **named)


class Batch:
    """Records for one partition that travel and are stored together, and the future of each."""

    __slots__ = (
        "append_time", "attempts", "base_offset", "calls", "created", "departed", "done", "entries", "error", "kernel",
        "last_attempt", "number", "origin", "partition", "size",
    )  # fmt: skip

    def __init__(self, kernel: Kernel, partition: Any, created: int, size: int, number: int = 0) -> None:
        self.kernel = kernel
        self.partition = partition
        self.created = created
        self.size = size
        self.number = number
        """Counts a producer's batches in the order in which they were begun."""
        self.attempts = 0
        """How often it was put back to be tried again."""
        self.last_attempt = created
        self.departed = False
        """Whether it is in flight."""
        self.origin: Any = None
        """Of an idempotent producer: producer id, epoch and first sequence, kept over all attempts."""
        self.entries: list[Any] = []
        self.base_offset = -1
        self.append_time = -1
        self.error: BaseException | None = None
        self.done: Future | None = None
        """Made when somebody waits for the batch."""
        self.calls: list[tuple[RecordFuture, Callable[[Any], Any], bool]] = []
        """Callbacks in the order of their records: future, callable, whether for errors."""

    def complete(self, base_offset: int, append_time: int, error: BaseException | None) -> None:
        """The outcome of the whole batch is known. The first counts: what expired in flight may be answered later."""
        done = self.done
        if done is not None and done.done:
            return
        self.base_offset, self.append_time, self.error = base_offset, append_time, error
        if done is None:
            done = self.done = Future(self.kernel)
        done.resolve()
        calls, self.calls = self.calls, []
        for future, call, for_errors in calls:
            if error is None:
                if not for_errors:
                    call(future.value)
            elif for_errors:
                call(error)

    @property
    def is_done(self) -> bool:
        return self.done is not None and self.done.done

    def wait(self, timeout: int | None) -> bool:
        if self.done is None:
            self.done = Future(self.kernel)
        return self.done.wait(timeout)


class RecordFuture:
    """`FutureRecordMetadata`: the outcome of one send."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: Batch, index: int) -> None:
        self._batch = batch
        self._index = index

    @property
    def is_done(self) -> bool:
        return self._batch.is_done

    @property
    def exception(self) -> BaseException | None:
        return self._batch.error

    @property
    def value(self) -> Any:
        batch, index = self._batch, self._index
        if not batch.is_done or batch.error is not None:
            return None
        stamp, _, _, _, key_size, value_size, header_size = batch.entries[index]
        partition = batch.partition
        offset = batch.base_offset + index if batch.base_offset >= 0 else -1
        if batch.append_time >= 0:
            stamp = batch.append_time
        return _new(
            RecordMetadata,
            (partition[0], partition[1], partition, offset, stamp, None, key_size, value_size, header_size),
        )

    def succeeded(self) -> bool:
        return self._batch.is_done and self._batch.error is None

    def failed(self) -> bool:
        return self._batch.error is not None

    def retriable(self) -> bool:
        return isinstance(self._batch.error, RetriableError)

    def get(self, timeout: float | None = None) -> Any:
        """Block until the outcome is known, for up to `timeout` seconds; the metadata, or the error raised."""
        batch = self._batch
        if not batch.is_done and not batch.wait(None if timeout is None else int(timeout * SECOND)):
            raise KafkaTimeoutError(f"Timeout after waiting for {timeout} secs.")
        if batch.error is not None:
            raise batch.error
        return self.value

    def add_callback(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "RecordFuture":
        call = partial(call, *arguments, **named) if arguments or named else call
        batch = self._batch
        if not batch.is_done:
            batch.calls.append((self, call, False))
        elif batch.error is None:
            call(self.value)
        return self

    def add_errback(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "RecordFuture":
        call = partial(call, *arguments, **named) if arguments or named else call
        batch = self._batch
        if not batch.is_done:
            batch.calls.append((self, call, True))
        elif batch.error is not None:
            call(batch.error)
        return self

    def add_both(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "RecordFuture":
        return self.add_callback(call, *arguments, **named).add_errback(call, *arguments, **named)

"""Reads and catch-up subscriptions as applications iterate them (esdbclient's `streams.py`).

Iterating blocks in virtual time. A broken call raises from `__next__`, and nothing reconnects by itself
(docs/facts/eventstore.md §B, §F5.5).
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

from mqverify.simulation.eventstore import protocol
from mqverify.simulation.eventstore.channel import Channel, nanoseconds
from mqverify.simulation.eventstore.exceptions import CancelledByClient, SubscriptionConfirmationError
from mqverify.simulation.eventstore.failures import deadline_exceeded, read_error
from mqverify.simulation.eventstore.protocol import CheckpointReached, Confirmed, Credit, Events, Failed
from mqverify.simulation.eventstore.records import RecordedEvent, UnresolvedLink
from mqverify.simulation.process import Killed

if TYPE_CHECKING:
    from mqverify.simulation.process import Task

__all__ = ["CatchupSubscription", "CaughtUp", "Checkpoint", "ReadResponse", "Responses", "StreamState"]

_UNLIMITED: Final = 1 << 62
_NO_ID: Final = UUID("00000000-0000-0000-0000-000000000000")


class StreamState(Enum):
    """What a stream may be expected to be instead of a revision."""

    ANY = "ANY"
    NO_STREAM = "NO_STREAM"
    EXISTS = "EXISTS"


class _Word(RecordedEvent):
    """No event, though it comes as one: something that the subscription tells."""

    __slots__ = ()

    def __init__(self, commit_position: int, prepare_position: int) -> None:
        super().__init__("", b"", b"", "", _NO_ID, "", 0, commit_position, prepare_position)

    @property
    def recorded_at(self) -> None:  # type: ignore[override]
        return None


class Checkpoint(_Word):
    """A filtered subscription to `$all` has come so far."""

    __slots__ = ()
    CHECKPOINT_ID = _NO_ID

    @property
    def is_checkpoint(self) -> bool:
        return True


class CaughtUp(_Word):
    """The subscription has become live."""

    __slots__ = ()
    CAUGHT_UP_ID = _NO_ID

    def __init__(self) -> None:
        super().__init__(0, 0)

    @property
    def is_caught_up(self) -> bool:
        return True


class Responses:
    """The answers of one call, in order, as gRPC hands them out: buffered until they are taken.

    What arrived before the node itself ended the call is handed out first; what arrived before the connection broke,
    the deadline passed or the client cancelled is lost (gRPC drops frames of a stream that failed; measured). To
    catch-up subscriptions the node sends no more than `window` events that were not taken.
    """

    def __init__(self, channel: Channel, request: Any, timeout: float | None, window: int = _UNLIMITED) -> None:
        self._channel = channel
        self._kernel = channel.kernel
        self._process = channel.process
        self._buffer: deque[Any] = deque()
        self._waiting: list[Task] = []
        self._ended = False
        self._failure: Callable[[], Exception] = StopIteration
        self._credit_every = max(1, window // 2)
        self._taken = 0
        """Events that the application has taken and the node does not know to be."""
        self._is_stopped = False
        self._call = channel.open(request, self._arrived)
        self._deadline = None
        if timeout is not None:
            time = self._kernel.now + nanoseconds(timeout)
            self._deadline = self._kernel.call_at(time, self._expire, process=self._process)
        channel.streamers[id(self)] = self

    def stop(self) -> None:
        raise NotImplementedError

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        self.stop()

    def __next__(self) -> RecordedEvent:
        raise NotImplementedError

    def _next(self) -> RecordedEvent:
        """The next answer that is for the application. Costs no switch while any is buffered."""
        buffer = self._buffer
        while True:
            if not self._process.alive:
                raise Killed
            if not buffer:
                self._wait()
            answer = buffer.popleft()
            if type(answer) is RecordedEvent:
                self._taken += 1
                if self._taken >= self._credit_every:
                    self._give_credit()
                return answer
            answer = self._convert(answer)
            if answer is not None:
                return answer

    def _convert(self, answer: Any) -> RecordedEvent | None:
        """What an application gets for an answer that is no event; None where it gets nothing."""
        if type(answer) is UnresolvedLink:  # its `event` is empty, so `construct_recorded_event` makes nothing of it
            self._taken += 1
            if self._taken >= self._credit_every:
                self._give_credit()
        return None

    def _confirmation(self) -> Any:
        """The first answer."""
        self._wait()
        return self._buffer.popleft()

    def _wait(self) -> None:
        """Block until an answer is there; raise what ended the call where none comes."""
        while not self._buffer:
            if self._ended:
                raise self._failure()
            self._kernel.block(self._waiting, None, None)

    def _arrived(self, answer: Any) -> None:
        if self._ended:
            return
        kind = type(answer)
        if kind is Events:
            self._buffer.extend(answer.events)
        elif kind is Failed:
            self._end(lambda: self._error(answer), lost=answer.reason == "unavailable")
        else:
            self._buffer.append(answer)
        self._wake()

    def _error(self, failed: Failed) -> Exception:
        raise NotImplementedError

    def _cancel(self, failure: Callable[[], Exception] = CancelledByClient) -> None:
        """End the call from here, unless it has ended."""
        if not self._ended:
            self._call.cancel()
            self._end(failure, lost=True)
            self._wake()

    def _expire(self) -> None:
        self._cancel(deadline_exceeded)

    def _end(self, failure: Callable[[], Exception], lost: bool) -> None:
        self._ended, self._failure = True, failure
        if lost:
            self._buffer.clear()
        if self._deadline is not None:
            self._kernel.cancel(self._deadline)
            self._deadline = None

    def _wake(self) -> None:
        if self._waiting:
            self._kernel.ready.extend(self._waiting)
            self._waiting.clear()

    def _give_credit(self) -> None:
        if not self._ended:
            self._call.send(Credit(self._taken))
        self._taken = 0


class ReadResponse(Responses):
    """The events of one read. Made at once; the first `__next__` waits for the node, and raises `NotFound`."""

    def __init__(
        self,
        channel: Channel,
        request: Any,
        stream_name: str | None,
        timeout: float | None = None,
        window: int = _UNLIMITED,
    ) -> None:
        self._stream_name = stream_name
        super().__init__(channel, request, timeout, window)

    def __next__(self) -> RecordedEvent:
        try:
            event = self._next()
        except CancelledByClient:
            self.stop()
            raise StopIteration from None
        except Exception:
            self.stop()
            raise
        return event

    def stop(self) -> None:
        """End the iteration, of other tasks as well."""
        if not self._is_stopped:
            self._is_stopped = True
            self._cancel()
            self._channel.streamers.pop(id(self), None)

    def _arrived(self, answer: Any) -> None:
        """A read has one answer."""
        if not self._ended:
            super()._arrived(answer)
        if not self._ended:
            self._end(StopIteration, lost=False)

    def _error(self, failed: Failed) -> Exception:
        return read_error(failed, self._stream_name)


class CatchupSubscription(ReadResponse):
    """Events of a stream or of `$all`, those to come as well. Made once the node has confirmed it."""

    def __init__(
        self,
        channel: Channel,
        request: Any,
        stream_name: str | None,
        timeout: float | None = None,
        include_checkpoints: bool = False,
        include_caught_up: bool = False,
    ) -> None:
        super().__init__(channel, request, stream_name, timeout, channel.subscription_window)
        self._include_checkpoints = include_checkpoints
        self._include_caught_up = include_caught_up
        try:
            first = self._confirmation()
            if type(first) is not Confirmed:
                raise SubscriptionConfirmationError(f"Expected subscription confirmation, got: {first}")
        except Exception:
            self.stop()
            raise
        self._subscription_id: str = first.subscription_id

    @property
    def subscription_id(self) -> str:
        return self._subscription_id

    def _arrived(self, answer: Any) -> None:
        Responses._arrived(self, answer)

    def _convert(self, answer: Any) -> RecordedEvent | None:
        if type(answer) is CheckpointReached:
            return Checkpoint(answer.position, answer.position) if self._include_checkpoints else None
        if type(answer) is protocol.CaughtUp:
            return CaughtUp() if self._include_caught_up else None
        return super()._convert(answer)

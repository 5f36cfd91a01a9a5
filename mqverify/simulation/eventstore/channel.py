"""A client's connection to the node: unary calls that block, and the streams that are open on it.

esdbclient's `ESDBConnection` with its gRPC channel. What it does by itself when a call fails is in `retries.py`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from mqverify.simulation.eventstore.exceptions import GrpcError
from mqverify.simulation.eventstore.failures import deadline_exceeded, rpc_error
from mqverify.simulation.eventstore.protocol import Failed
from mqverify.simulation.future import Future
from mqverify.simulation.kernel import SECOND

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.connections import Call
    from mqverify.simulation.eventstore.library import EventStoreLibrary

__all__ = ["Channel", "Streamer", "nanoseconds"]


def nanoseconds(seconds: float) -> int:
    """A duration of esdbclient's API."""
    return round(seconds * SECOND)


class Streamer(Protocol):
    """What is open on a channel and ends with it."""

    def stop(self) -> None: ...


class Channel:
    """One connection; `name` names its dice. It blocks and is used only in tasks of its library's process."""

    def __init__(self, library: "EventStoreLibrary", name: str) -> None:
        self.kernel = library.store.kernel
        self.process = library.process
        self.connection = library.store.connect(library.process, name)
        self.subscription_window: int = library.store.settings.subscription_window
        self.streamers: dict[int, Streamer] = {}
        self.closed = False
        self._asked: dict[Future, Any] = {}

    def ask(self, request: Any, timeout: float | None, error: Callable[[Failed], Exception] = rpc_error) -> Any:
        """Send a request and block for its answer, for up to `timeout` seconds. A failure is raised as `error` says.

        Raises what gRPC does on a closed channel, and `GrpcDeadlineExceeded`; the node may act nonetheless.
        """
        self._require_open("Cannot invoke RPC on closed channel!")
        future = Future(self.kernel)
        call = self.connection.call(request, future.resolve)
        self._asked[future] = None
        in_time = future.wait(None if timeout is None else nanoseconds(timeout))
        del self._asked[future]
        if not in_time:
            call.cancel()
            raise deadline_exceeded()
        if future.error is not None:
            raise future.error
        answer = future.value
        if type(answer) is Failed:
            raise error(answer)
        return answer

    def open(self, request: Any, on_reply: Callable[[Any], None]) -> "Call":
        """Send a request that has many answers."""
        self._require_open("Cannot invoke RPC: Channel closed!")
        return self.connection.call(request, on_reply)

    def close(self) -> None:
        """`ESDBConnection.close`: stop what is open, then fail what is being asked, by other tasks."""
        for streamer in list(self.streamers.values()):
            streamer.stop()
        if not self.closed:
            self.closed = True
            self.connection.close()
        for future in list(self._asked):
            future.resolve(error=GrpcError("Channel closed!"))

    def _require_open(self, refusal: str) -> None:
        self.kernel.require_alive(self.process)
        if self.closed:
            raise ValueError(refusal)

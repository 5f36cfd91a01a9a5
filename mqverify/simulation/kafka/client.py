"""What every client has: a connection that it makes anew when it breaks, and requests that block.

kafka-python's `KafkaConnectionManager` (`net/manager.py`), for one broker. It keeps a connection to the broker and one
to the group coordinator, which are one here: what breaks the one breaks the other. Where all is well, a client is
connected as soon as it is made, at no cost: what the library does then (bootstrap, versions, the first metadata, an
idempotent producer's id) is not modelled.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaTimeoutError, NodeNotReadyError

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.connection import Connection, InFlight
from mqverify.simulation.kernel import MILLISECOND, SECOND
from mqverify.simulation.renewals import Event

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["FOREVER", "Client", "nanoseconds"]

FOREVER = 1 << 62

_SETUP, _MOST_SETUP = 10 * SECOND, 30 * SECOND
"""`socket_connection_setup_timeout_ms` and its maximum, which kafka-python's clients do not let one set."""

Then = Callable[[Any], Any]


def nanoseconds(milliseconds: float | None) -> int:
    """A duration of kafka-python's configuration; None and infinity are for ever."""
    if milliseconds is None or milliseconds == float("inf"):
        return FOREVER
    return int(milliseconds * MILLISECOND)


class Client:
    """The network side of one producer, consumer or admin client. Making one blocks until it is connected.

    Raises `KafkaTimeoutError` where that takes longer than `bootstrap_timeout_ms`.
    """

    def __init__(self, library: "KafkaLibrary", kind: str, config: Mapping[str, Any]) -> None:
        self.library = library
        self.cluster = library.cluster
        self.kernel = library.cluster.kernel
        self.process = library.process
        self.name = library.client_name(kind)
        self.dice = self.kernel.stream(self.name)
        self.listening = False
        """Whether a rebalance listener is being told. Its thread is then the client's own IO thread."""
        self.on_ready: list[Callable[[], Any]] = []
        self.on_lost: list[Callable[[], Any]] = []
        """Told when a connection broke, or could not be made."""
        self.on_trouble: list[Callable[[], Any]] = []
        """Told when something went wrong on the way to the broker, so that things may take longer than they do."""
        self.closed = False
        self._request_timeout = nanoseconds(config["request_timeout_ms"])
        self._reconnecting = _Reconnecting(config, self.kernel.stream(f"{self.name}/reconnecting"))
        self._buffer: deque[tuple[Any, Then, Then | None, int, int]] = deque()
        """Requests that wait for the connection: as they were sent, and until when they may wait."""
        self._knocking: Connection | None = None
        self._setup: Event | None = None
        self._connections = 0
        self.connection: Connection | None = None
        """None while there is none that requests could leave on at once."""
        if self.cluster.reaches(self.process):
            self._use(self._new_connection())
        else:
            self._bootstrap(nanoseconds(config["bootstrap_timeout_ms"]))

    # -- requests --------------------------------------------------------------------------------------------------

    def send(self, request: Any, then: Then, failed: Then | None = None, timeout: int | None = None) -> None:
        """Send a request, connecting first if need be; `then(reply)` or `failed(error)` happens, perhaps at once.

        `timeout` is the request's own, else `request_timeout_ms`.
        """
        timeout = self._request_timeout if timeout is None else timeout
        if self.connection is not None:
            self.connection.send(request, then, failed, timeout)
        elif self.closed or not self.connect():
            if failed is not None:
                failed(NodeNotReadyError("broker"))
        else:
            self._buffer.append((request, then, failed, timeout, self.kernel.now + timeout))

    def post(self, request: Any) -> None:
        """Send a request that nobody answers, on a client that is ready."""
        assert self.connection is not None
        self.connection.post(request)

    def ask(self, request: Any, timeout: int = FOREVER) -> Any:
        """Send a request and block until its reply.

        Raises `KafkaTimeoutError` if it does not come in time, or the error with which the request failed.
        """
        self.require_not_listening()
        future = Future(self.kernel)
        self.send(request, future.resolve, lambda error: future.resolve(error=error))
        if not future.wait(None if timeout >= FOREVER else timeout):
            raise KafkaTimeoutError
        if future.error is not None:
            raise future.error
        return future.value

    @property
    def blocked(self) -> bool:
        """Whether the IO thread is busy with a listener, so that no heartbeat leaves."""
        return self.listening and not self.library.profile.listeners_may_block

    def require_not_listening(self) -> None:
        """kafka-python 3 runs listeners on its IO thread, where a blocking call cannot be answered (`net.run`)."""
        if self.blocked:
            raise RuntimeError(
                "Cannot block on net.run() from the IO thread itself. This typically happens when a synchronous"
                " rebalance listener (or another IO-thread callback) calls a blocking consumer/admin API."
                " Use AsyncConsumerRebalanceListener and await the async variant, or move the blocking work to a"
                " worker thread."
            )

    # -- the connection --------------------------------------------------------------------------------------------

    @property
    def troubled(self) -> bool:
        """Whether requests may take longer than they do where all is well."""
        return self.connection is None or self.connection.watched

    @property
    def backing_off(self) -> bool:
        """Whether the next attempt to connect must wait (`connection_delay`, KIP-144)."""
        return self.connection is None and self._knocking is None and self.kernel.now < self._reconnecting.not_before

    def connect(self) -> bool:
        """Begin to connect, if that has not begun; False while backing off (`NodeNotReadyError`)."""
        if self.connection is not None or self._knocking is not None:
            return True
        if self.closed or self.backing_off:
            return False
        self._knock(self._reconnecting.setup_timeout, self._not_opened)
        return True

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        if self._knocking is not None:
            self._stop_knocking().give_up()

    def _bootstrap(self, timeout: int) -> None:
        """`_do_bootstrap`: one attempt for as long as there is time."""
        decided = Future(self.kernel)
        self.on_ready.append(decided.resolve)
        self._knock(timeout, decided.resolve)
        decided.wait()
        self.on_ready.clear()
        if self.connection is None:
            self.close()
            raise KafkaTimeoutError("Unable to bootstrap")

    def _new_connection(self) -> Connection:
        self._connections += 1
        name = self.name if self._connections == 1 else f"{self.name}/{self._connections}"
        return self.cluster.connect(self.process, name)

    def _use(self, connection: Connection) -> None:
        self.connection = connection
        connection.lost = self._broke
        connection.troubled = self._tell_trouble
        if not self.cluster.network.undisturbed(self.process, self.cluster.process):
            connection.watch()

    def _knock(self, timeout: int, in_vain: Callable[[], Any]) -> None:
        connection = self._knocking = self._new_connection()
        connection.open(self._opened)
        self._setup = self.kernel.call_at(self.kernel.now + timeout, in_vain, process=self.process)

    def _stop_knocking(self) -> Connection:
        connection, self._knocking = self._knocking, None
        if self._setup is not None:
            self.kernel.cancel(self._setup)
            self._setup = None
        assert connection is not None
        return connection

    def _opened(self) -> None:
        connection = self._stop_knocking()
        self._use(connection)
        self._reconnecting.succeeded()
        waiting, self._buffer = self._buffer, deque()
        for request, then, failed, timeout, until in waiting:
            if self.kernel.now < until:
                connection.send(request, then, failed, timeout)
            elif failed is not None:
                failed(KafkaTimeoutError())
        for tell in list(self.on_ready):
            tell()

    def _not_opened(self) -> None:
        """`_connect` failed: what waited for it fails, and the next attempt waits longer."""
        self._stop_knocking().give_up()
        self._reconnecting.failed(self.kernel.now)
        waiting, self._buffer = self._buffer, deque()
        for _, _, failed, _, _ in waiting:
            if failed is not None:
                failed(KafkaTimeoutError("Connection timed out"))
        for tell in list(self.on_lost):
            tell()

    def _broke(self, in_flight: list[InFlight], error: BaseException) -> None:
        self.connection = None
        for waiting in in_flight:
            if waiting.failed is not None:
                waiting.failed(error)
        for tell in list(self.on_lost):
            tell()

    def _tell_trouble(self) -> None:
        for tell in list(self.on_trouble):
            tell()


class _Reconnecting:
    """How long to wait for a connection, and before the next attempt: both double, with jitter (KIP-144)."""

    def __init__(self, config: Mapping[str, Any], dice: Any) -> None:
        self._backoff = nanoseconds(config["reconnect_backoff_ms"])
        self._most_backoff = nanoseconds(config["reconnect_backoff_max_ms"])
        self._setup = _SETUP
        self._most_setup = _MOST_SETUP
        self._dice = dice
        self._failures = 0
        self.not_before = 0
        self.setup_timeout = self._setup

    def succeeded(self) -> None:
        self._failures = 0
        self.not_before = 0
        self.setup_timeout = self._setup

    def failed(self, now: int) -> None:
        """`update_backoff`."""
        doubled = 2 ** min(self._failures, 30)
        self._failures += 1
        self.not_before = now + int(min(self._most_backoff, self._backoff * doubled) * self._dice.uniform(0.8, 1.2))
        self.setup_timeout = int(min(self._most_setup, self._setup * doubled) * self._dice.uniform(0.8, 1.2))

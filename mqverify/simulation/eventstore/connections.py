"""Connections of clients to a node: what travels, what breaks, and what a client's gRPC does then.

A `Connection` is a client's gRPC channel, a `Transport` one TCP connection of it. Where a transport breaks, the calls
on it fail (UNAVAILABLE, esdbclient's `ServiceUnavailable`) and what was under way is lost; the next call connects anew.

While a cut is in the way nothing is noticed on a connection that stands: requests and answers wait, as TCP holds what
it cannot get through, and esdbclient sends no pings of its own (docs/facts/eventstore.md §F5.4). A new connection
cannot be made: gRPC gives the attempt 20 s, fails the calls that wait for it, and from then on fails each call at once
until it has connected after all. Measured with esdbclient 1.1.7 on grpcio 1.71 against a port that answers nothing: an
append fails after 60.3 s; of the library's four tries three wait 20 s each, and one fails at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from mqverify.simulation.eventstore.protocol import Cancel, Credit, Failed, ReadGroup, SubscribeAll, SubscribeStream
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.process import Process

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.cluster import SimulatedEventStore

__all__ = ["CONNECT_TIMEOUT", "OPENING", "Call", "Connection", "Transport"]

OPENING: Final = (ReadGroup, SubscribeAll, SubscribeStream)
"""Requests that open a call with many answers."""

CONNECT_TIMEOUT: Final = 20 * SECOND
"""gRPC's least time for one attempt to connect (`grpc.min_reconnect_backoff_ms`)."""

_BROKEN: Final = "recvmsg:Connection reset by peer"
_NOT_CONNECTED: Final = "failed to connect to all addresses; last error: UNKNOWN: Timeout occurred: FD Shutdown"


class Transport:
    """One TCP connection: what both of its ends know of it. Made new, it is connected by the first call."""

    __slots__ = (
        "broken", "calls", "connected", "connection", "failing", "forgotten_at", "gone", "outbox", "queued", "silent",
        "subscriptions",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # at the client
        self.connected = False
        self.broken = False
        self.failing = False
        """An attempt to connect has failed: calls fail at once."""
        self.calls: dict[Call, None] = {}
        """Those that the client listens on."""
        self.queued: list[tuple[Any, Call]] | None = None
        """What waits for it to be connected; None where nobody has tried yet."""
        # at the node
        self.subscriptions: dict[Call, None] = {}
        """The calls that go on."""
        self.outbox: list[tuple[Call, Any]] = []
        """Answers that leave when the current step ends."""
        self.silent = False
        """A ping was sent and has not been answered."""
        self.gone = False
        """The node has closed it."""
        self.forgotten_at: int | None = None
        """When the node's system stops saying so to a client that it cannot reach."""


class Call:
    """One RPC. It is also the token by which the node knows it: the node answers to it and is told when it ended.

    `on_reply(answer)` is called in the client's process for each answer, in order; nothing follows a `Failed`. Every
    call must expect `Failed("unavailable")` at any time: its connection broke.
    """

    __slots__ = ("connection", "goes_on", "on_reply", "open", "transport")

    def __init__(self, transport: Transport, on_reply: Callable[[Any], Any], goes_on: bool) -> None:
        self.connection = transport.connection
        self.transport = transport
        self.on_reply = on_reply
        self.goes_on = goes_on
        """Whether it has many answers."""
        self.open = True
        """Whether the client still listens."""

    def send(self, request: Any) -> None:
        """Say more on this call: `Ack`, `Nack`, `Credit`. On a call that has ended it is lost."""
        if self.open:
            self.connection.transmit(request, self)

    def cancel(self) -> None:
        """End the call from the client's side: no answer comes any more, and the node learns of it."""
        if self.open:
            self.connection.transmit(Cancel(), self)
            self.end()

    def end(self) -> None:
        """Nobody listens any more."""
        self.open = False
        del self.transport.calls[self]


class Connection:
    """A client's connection to the node: requests go out, answers come back, both in order."""

    __slots__ = ("_down", "_store", "_up", "closed", "process", "transport")

    def __init__(self, store: SimulatedEventStore, process: Process, name: str) -> None:
        self._store = store
        self._up = store.network.link(f"{name}/up", process, store.process)
        self._down = store.network.link(f"{name}/down", store.process, process)
        self.process = process
        self.closed = False
        """At the client: nothing is listened to any more."""
        self.transport = Transport(self)

    # -- at the client ---------------------------------------------------------------------------------------------

    def call(self, request: Any, on_reply: Callable[[Any], Any]) -> Call:
        """Send a request; `on_reply(answer)` is called in the client's process for each answer that arrives."""
        if self.transport.broken:
            self.transport = Transport(self)
        call = Call(self.transport, on_reply, type(request) in OPENING)
        self.transport.calls[call] = None
        self.transmit(request, call)
        return call

    def close(self) -> None:
        """No answer arrives any more; what was sent still reaches the node, which then ends all calls."""
        if not self.closed:
            self.closed = True
            self._store.forget(self)
            if not self.transport.broken:
                self._up.send(self._store.disconnected, self.transport)

    def end(self, failure: BaseException | None) -> None:
        """The process ended, one way or the other, and the operating system closes its sockets."""
        self.close()

    def transmit(self, request: Any, call: Call) -> None:
        transport = call.transport
        if self._store.network.countdowns and type(request) is not Credit:
            self._store.network.requested(self.process)
        if transport.connected:
            self._up.send(self._store.receive, request, call)
        elif not transport.broken:
            self._transmit_unconnected(request, call)

    def _transmit_unconnected(self, request: Any, call: Call) -> None:
        transport, kernel = call.transport, self._store.kernel
        if transport.failing:
            kernel.call_at(kernel.now, self._fail, call, process=self.process)
        elif transport.queued is not None:
            transport.queued.append((request, call))
        elif self._store.network.connects(self.process, self._store.process):
            transport.connected = True  # where nothing is in the way, connecting is no step of its own
            self._up.send(self._store.receive, request, call)
        else:
            transport.queued = [(request, call)]
            self._up.send(self._asked_to_connect, transport)
            kernel.call_at(kernel.now + CONNECT_TIMEOUT, self._not_connected, transport, process=self.process)

    def _connected(self, transport: Transport) -> None:
        if self.closed or transport.broken:
            return
        transport.connected = True
        queued, transport.queued = transport.queued or [], None
        for request, call in queued:
            if call.open:
                self._up.send(self._store.receive, request, call)

    def _not_connected(self, transport: Transport) -> None:
        """The attempt had its time. gRPC goes on trying, and meanwhile fails what it is asked."""
        if not transport.connected and not transport.broken:
            transport.failing, transport.queued = True, []
            self._fail_all(transport, _NOT_CONNECTED)

    def _broken(self, transport: Transport, forgotten_at: int | None) -> None:
        """The node has closed it: the system says so, if it says so still."""
        if transport.broken or (forgotten_at is not None and self._store.kernel.now > forgotten_at):
            return
        transport.broken, transport.connected = True, False
        self._fail_all(transport, _BROKEN)

    def _fail_all(self, transport: Transport, details: str) -> None:
        for call in list(transport.calls):
            self._fail(call, details)

    def _fail(self, call: Call, details: str = _NOT_CONNECTED) -> None:
        if call.open:
            call.end()
            if not self.closed:
                call.on_reply(Failed("unavailable", details))

    def _pinged(self, transport: Transport) -> None:
        if not transport.broken:
            self._up.send(self._store.ponged, transport)

    def _arrive(self, transport: Transport, answers: list[tuple[Call, Any]]) -> None:
        for call, answer in answers:
            if call.open and not self.closed:
                if not call.goes_on or type(answer) is Failed:
                    call.end()
                call.on_reply(answer)

    # -- at the node -----------------------------------------------------------------------------------------------

    def deliver(self, transport: Transport) -> None:
        """When a step ends: send what it answered."""
        answers, transport.outbox = transport.outbox, []
        self._down.send(self._arrive, transport, answers)

    def ping(self, transport: Transport) -> None:
        """Ask whether the client is there. One that is paused answers once it goes on."""
        transport.silent = True
        self._down.send(self._pinged, transport)

    def tell_gone(self, transport: Transport, forgotten_at: int | None = None) -> None:
        """Have the client find that the node has closed it; `forgotten_at` is when that comes too late."""
        self._down.send(self._broken, transport, forgotten_at)

    def disturbed(self) -> bool:
        """Whether something is in the way between the two, in either direction."""
        return not self._store.network.undisturbed(self.process, self._store.process)

    def _asked_to_connect(self, transport: Transport) -> None:
        self._down.send(self._connected, transport)

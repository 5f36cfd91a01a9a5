"""The node model as a process of a simulated world, and the connections of clients to it.

The thin shell around the sans-I/O `Node`: it moves requests and answers over links, and has the kernel call the node's
timers. All that the node answers to one connection in one step travels together, as one event of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mqverify.simulation.eventstore.node import Node
from mqverify.simulation.eventstore.protocol import (
    Ack,
    Cancel,
    Credit,
    Failed,
    Nack,
    ReadGroup,
    SubscribeAll,
    SubscribeStream,
)
from mqverify.simulation.eventstore.settings import NodeSettings
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import Network
from mqverify.simulation.process import Process
from mqverify.simulation.renewals import Event

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.library import EventStoreLibrary

__all__ = ["Call", "Connection", "SimulatedEventStore"]

_OPENING = (ReadGroup, SubscribeAll, SubscribeStream)
_FURTHER = (Ack, Cancel, Credit, Nack)


class _KernelTimers:
    """`Timers` of a node, in its process."""

    __slots__ = ("_kernel", "_store")

    def __init__(self, kernel: Kernel, store: SimulatedEventStore) -> None:
        self._kernel = kernel
        self._store = store

    def at(
        self, time: int, call: Callable[..., Any], *arguments: Any, renews: Callable[[], bool] | None = None
    ) -> Event:
        return self._kernel.call_at(time, self._fire, call, arguments, process=self._store.process, renews=renews)

    def cancel(self, timer: Event) -> None:
        self._kernel.cancel(timer)

    def postpone(self, timer: Event, time: int) -> None:
        self._kernel.postpone(timer, time)

    def _fire(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        call(*arguments, self._kernel.now)
        self._store.flush()


class Call:
    """One RPC. It is also the token by which the node knows it: the node answers to it and is told when it ended.

    `on_reply(answer)` is called in the client's process for each answer, in order; nothing follows a `Failed`. A
    subscription must expect `Failed("unavailable")` at any time: its connection broke.
    """

    __slots__ = ("connection", "on_reply", "open")

    def __init__(self, connection: Connection, on_reply: Callable[[Any], Any]) -> None:
        self.connection = connection
        self.on_reply = on_reply
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
            self.open = False


class Connection:
    """A client's connection to the node: requests go out, answers come back, both in order.

    It is gRPC's channel: where the transport breaks, the subscriptions on it fail, and the next call connects anew.
    """

    __slots__ = ("_down", "_store", "_up", "closed", "outbox", "process", "silent", "subscriptions")

    def __init__(self, store: SimulatedEventStore, process: Process, name: str) -> None:
        self._store = store
        self._up = store.network.link(f"{name}/up", process, store.process)
        self._down = store.network.link(f"{name}/down", store.process, process)
        self.process = process
        self.closed = False
        """At the client: nothing is listened to any more."""
        self.subscriptions: dict[Call, None] = {}
        """At the node: the calls that go on."""
        self.outbox: list[tuple[Call, Any]] = []
        """At the node: answers that leave when the current step ends."""
        self.silent = False
        """At the node: a ping was sent and has not been answered."""

    def call(self, request: Any, on_reply: Callable[[Any], Any]) -> Call:
        """Send a request; `on_reply(answer)` is called in the client's process for each answer that arrives."""
        call = Call(self, on_reply)
        self.transmit(request, call)
        return call

    def close(self) -> None:
        """No answer arrives any more; what was sent still reaches the node, which then ends all calls."""
        if not self.closed:
            self.closed = True
            self._up.send(self._store.disconnected, self)

    def transmit(self, request: Any, call: Call) -> None:
        self._up.send(self._store.receive, request, call)

    def deliver(self) -> None:
        """At the node, when a step ends: send what it answered."""
        answers, self.outbox = self.outbox, []
        self._down.send(self._arrive, answers)

    def ping(self) -> None:
        """At the node: ask whether the client's process is there. One that is paused answers once it goes on."""
        self.silent = True
        self._down.send(self._pong)

    def end(self, failure: BaseException | None) -> None:
        """The process ended, one way or the other, and the operating system closes its sockets."""
        self.close()

    def _pong(self) -> None:
        self._up.send(self._ponged)

    def _ponged(self) -> None:
        self.silent = False

    def _arrive(self, answers: list[tuple[Call, Any]]) -> None:
        for call, answer in answers:
            if call.open and not self.closed:
                if type(answer) is Failed:
                    call.open = False
                call.on_reply(answer)


class SimulatedEventStore:
    """One node, in the kernel's process "node"."""

    def __init__(self, kernel: Kernel, settings: NodeSettings | None = None, network: Network | None = None) -> None:
        self.kernel = kernel
        self.network = network or Network(kernel)
        self.process = kernel.process("node")
        self.settings = settings or NodeSettings()
        self._answered: dict[Connection, None] = {}
        self._subscribed: dict[Connection, None] = {}
        """Connections with subscriptions."""
        self._timers = _KernelTimers(kernel, self)
        self._keep_alive: Any = None
        self.node = Node(self.settings, self._timers, kernel.stream("node"), self._reply)

    def library(self, process: Process, observer: Any = None) -> EventStoreLibrary:
        """The client library as `process` sees it: esdbclient's API."""
        from mqverify.simulation.eventstore.library import EventStoreLibrary

        return EventStoreLibrary(self, process, observer)

    def connect(self, process: Process, name: str) -> Connection:
        """A new connection of `process`; `name` names its dice. It closes when the process dies."""
        connection = Connection(self, process, name)
        process.on_end.append(connection.end)
        return connection

    # -- at the node -----------------------------------------------------------------------------------------------

    def receive(self, request: Any, call: Call) -> None:
        """A request, or more on a call that goes on; on one that has ended it is lost."""
        kind, now = type(request), self.kernel.now
        subscriptions = call.connection.subscriptions
        if kind in _FURTHER:
            if call not in subscriptions:
                return
            if kind is Cancel:
                self._ended(call)
                self.node.cancelled(call, now)
                self.flush()
                return
        elif kind in _OPENING:
            subscriptions[call] = None
            self._subscribed[call.connection] = None
            self._keep_alive_at(now + self.settings.keep_alive_interval)
        self.node.handle(request, call, now)
        self.flush()

    def disconnected(self, connection: Connection) -> None:
        """The connection is gone, and its subscriptions with it."""
        for call in list(connection.subscriptions):
            self._ended(call)
            self.node.cancelled(call, self.kernel.now)
        self.flush()

    def flush(self) -> None:
        """Send what was answered in this step."""
        if self._answered:
            answered, self._answered = self._answered, {}
            for connection in answered:
                connection.deliver()

    def _reply(self, call: Call, answer: Any) -> None:
        connection = call.connection
        if not connection.outbox:
            self._answered[connection] = None
        connection.outbox.append((call, answer))
        if type(answer) is Failed and call in connection.subscriptions:
            self._ended(call)

    def _ended(self, call: Call) -> None:
        connection = call.connection
        del connection.subscriptions[call]
        if not connection.subscriptions:
            del self._subscribed[connection]

    # -- HTTP/2 keep-alive (docs/facts/eventstore.md §A7) ----------------------------------------------------------

    def _keep_alive_at(self, time: int) -> None:
        if self._keep_alive is None:
            self._keep_alive = self._timers.at(time, self._ping, renews=self._all_are_there)

    def _all_are_there(self) -> bool:
        """Whether every ping would be answered; only where that is not so, pings are sent."""
        return not any(connection.process.paused for connection in self._subscribed)

    def _ping(self, now: int) -> None:
        self._keep_alive = None
        for connection in self._subscribed:
            if connection.process.paused and not connection.silent:
                connection.ping()
                self._timers.at(now + self.settings.keep_alive_timeout, self._give_up, connection)
        if self._subscribed:
            self._keep_alive_at(now + self.settings.keep_alive_interval)

    def _give_up(self, connection: Connection, now: int) -> None:
        """The ping had its time. Where it was not answered, the client finds its calls failed when it goes on."""
        if connection.silent:
            calls = list(connection.subscriptions)
            self.disconnected(connection)
            for call in calls:
                self._reply(call, Failed("unavailable", "failed to connect to all addresses"))

"""The node model as a process of a simulated world, and the connections of clients to it.

The thin shell around the sans-I/O `Node`: it moves requests and answers over links, and has the kernel call the node's
timers. All that the node answers to one connection in one step travels together, as one event of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mqverify.simulation.eventstore.node import Node
from mqverify.simulation.eventstore.protocol import Cancel, Failed
from mqverify.simulation.eventstore.settings import NodeSettings
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import Link
from mqverify.simulation.process import Process
from mqverify.simulation.renewals import Event

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.library import EventStoreLibrary

__all__ = ["Call", "Connection", "SimulatedEventStore"]


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

    `on_reply(answer)` is called in the client's process for each answer, in order. Whoever gives it must expect
    `Failed("unavailable")` whenever the connection breaks.
    """

    __slots__ = ("connection", "on_reply", "open")

    def __init__(self, connection: Connection, on_reply: Callable[[Any], Any]) -> None:
        self.connection = connection
        self.on_reply = on_reply
        self.open = True
        """Whether the client still listens."""

    def send(self, request: Any) -> None:
        """Say more on this call: `Ack`, `Nack`, `Credit`. What is sent on a call that has ended is lost."""
        if self.open:
            self.connection.transmit(request, self)

    def cancel(self) -> None:
        """End the call from the client's side: no answer comes any more, and the node learns of it."""
        if self.open:
            self.connection.transmit(Cancel(), self)
            self.open = False


class Connection:
    """A client's connection to the node: requests go out, answers come back, both in order."""

    __slots__ = ("_down", "_store", "_up", "broken", "calls", "outbox", "process")

    def __init__(self, store: SimulatedEventStore, process: Process, name: str) -> None:
        self._store = store
        self._up = Link(store.kernel, f"{name}/up", store.process)
        self._down = Link(store.kernel, f"{name}/down", process)
        self.process = process
        self.broken = False
        """The node has given the connection up, and the client may not know it yet."""
        self.calls: dict[Call, None] = {}
        """At the node: the subscriptions that go on."""
        self.outbox: list[tuple[Call, Any]] = []
        """At the node: answers that leave when the current step ends."""

    def call(self, request: Any, on_reply: Callable[[Any], Any]) -> Call:
        """Send a request; `on_reply(answer)` is called in the client's process for each answer that arrives."""
        call = Call(self, on_reply)
        self.transmit(request, call)
        return call

    def close(self) -> None:
        """End all calls; what was sent still reaches the node."""
        self._up.send(self._store.disconnected, self)

    def transmit(self, request: Any, call: Call) -> None:
        self._up.send(self._store.receive, request, call)

    def deliver(self) -> None:
        """At the node, when a step ends: send what it answered."""
        answers, self.outbox = self.outbox, []
        self._down.send(_arrive, answers)

    def end(self, failure: BaseException | None) -> None:
        """The process ended, one way or the other."""
        self.close()


def _arrive(answers: list[tuple[Call, Any]]) -> None:
    for call, answer in answers:
        if call.open:
            if type(answer) is Failed:
                call.open = False
            call.on_reply(answer)


class SimulatedEventStore:
    """One node, in the kernel's process "node"."""

    def __init__(self, kernel: Kernel, settings: NodeSettings | None = None) -> None:
        self.kernel = kernel
        self.process = kernel.process("node")
        self.settings = settings or NodeSettings()
        self._answered: dict[Connection, None] = {}
        self.node = Node(self.settings, _KernelTimers(kernel, self), kernel.stream("node"), self._reply)

    def library(self, process: Process, observer: Any = None) -> EventStoreLibrary:
        """The client library as `process` sees it: esdbclient's API."""
        from mqverify.simulation.eventstore.library import EventStoreLibrary

        return EventStoreLibrary(self, process, observer)

    def connect(self, process: Process, name: str) -> Connection:
        """A new connection of `process`; `name` names its dice. It closes when the process dies."""
        connection = Connection(self, process, name)
        process.on_end.append(connection.end)
        return connection

    def receive(self, request: Any, call: Call) -> None:
        """At the node: a request, or more on a call that goes on."""
        self.node.handle(request, call, self.kernel.now)
        self.flush()

    def disconnected(self, connection: Connection) -> None:
        """At the node: the connection is gone, and its calls with it."""
        calls, connection.calls = connection.calls, {}
        for call in calls:
            self.node.cancelled(call, self.kernel.now)
        self.flush()

    def flush(self) -> None:
        """Send what was answered in this step."""
        answered, self._answered = self._answered, {}
        for connection in answered:
            connection.deliver()

    def _reply(self, call: Call, answer: Any) -> None:
        connection = call.connection
        if not connection.outbox:
            self._answered[connection] = None
        connection.outbox.append((call, answer))

"""The node model as a process of a simulated world.

The thin shell around the sans-I/O `Node`: it moves requests and answers over the connections of clients, and has the
kernel call the node's timers. All that the node answers to one connection in one step travels together, as one event of
the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from mqverify.simulation.eventstore.connections import OPENING, Call, Connection, Transport
from mqverify.simulation.eventstore.node import Node
from mqverify.simulation.eventstore.protocol import Ack, Append, Cancel, Credit, Failed, Nack
from mqverify.simulation.eventstore.settings import NodeSettings
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import ORPHANED, Losses, Network, end_of
from mqverify.simulation.process import Process
from mqverify.simulation.timers import ProcessTimers

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.library import EventStoreLibrary

__all__ = ["SimulatedEventStore"]

_FURTHER = (Ack, Cancel, Credit, Nack)


class SimulatedEventStore:
    """One node, in the kernel's process "node"."""

    def __init__(self, kernel: Kernel, settings: NodeSettings | None = None, network: Network | None = None) -> None:
        self.kernel = kernel
        self.network = network or Network(kernel)
        self.process = kernel.process("node")
        self.settings = settings or NodeSettings()
        self._answered: dict[Transport, None] = {}
        self._subscribed: dict[Transport, None] = {}
        """Those with subscriptions."""
        self._timers = ProcessTimers(kernel, self.process, self.flush)
        self._keep_alive: Any = None
        self._losses = Losses()
        self._connections: dict[Connection, None] = {}
        """Those that clients have open."""
        self.node = Node(self.settings, self._timers, kernel.stream("node"), self._reply)

    def library(self, process: Process, observer: Any = None) -> EventStoreLibrary:
        """The client library as `process` sees it: esdbclient's API."""
        from mqverify.simulation.eventstore.library import EventStoreLibrary

        return EventStoreLibrary(self, process, observer)

    def connect(self, process: Process, name: str) -> Connection:
        """A new connection of `process`; `name` names its dice. It closes when the process dies."""
        connection = Connection(self, process, name)
        self._connections[connection] = None
        process.on_end.append(connection.end)
        return connection

    def lose(
        self, ends: frozenset[str], settlements: bool, struck: Callable[[str], None], times: int = 1, nth: int = 1
    ) -> None:
        """Lose a reply to one of `ends`: of its next append or, with `settlements`, its next batch of acks or nacks.

        The node does what it is asked, its answer is dropped, and it closes the connection. An ack has no answer to
        lose: what is lost with it is all else that was on its way. `struck(end)` is called at that moment. So it goes
        `times` times in a row, from the `nth` such request on. Ends are those of the network: a process's name without
        what stands behind `#`.
        """
        self._losses.plan(ends, (Ack, Nack) if settlements else (Append,), struck, times, nth)

    def reset(self, ends: Collection[str]) -> list[str]:
        """Close all connections of the `ends` at once; those of them that had any. What is on its way up is lost."""
        found = [
            one for one in self._connections
            if end_of(one.process) in ends and one.transport.connected and not one.transport.gone
        ]  # fmt: skip
        for connection in found:
            self._close(connection.transport)
            connection.tell_gone(connection.transport)
        self.flush()
        return list(dict.fromkeys(end_of(connection.process) for connection in found))

    def forget(self, connection: Connection) -> None:
        """The client is done with it."""
        self._connections.pop(connection, None)

    # -- at the node -----------------------------------------------------------------------------------------------

    def receive(self, request: Any, call: Call) -> None:
        """A request, or more on a call that goes on; on one that has ended it is lost."""
        kind, now, transport = type(request), self.kernel.now, call.transport
        if transport.gone:
            self._refuse(transport)
            return
        if kind in _FURTHER:
            if call not in transport.subscriptions:
                return
            if kind is Cancel:
                self._ended(call)
                self.node.cancelled(call, now)
                self.flush()
                return
        elif kind in OPENING:
            transport.subscriptions[call] = None
            self._subscribed[transport] = None
            self._keep_alive_at(now + self.settings.keep_alive_interval)
        self.node.handle(request, call, now)
        if self._losses:
            self._lose_reply(request, transport)
        self.flush()

    def disconnected(self, transport: Transport) -> None:
        """The client has closed the connection, and its subscriptions with it."""
        if not transport.gone:
            self._close(transport)
            self.flush()

    def ponged(self, transport: Transport) -> None:
        """The client has answered a ping."""
        transport.silent = False

    def flush(self) -> None:
        """Send what was answered in this step."""
        if self._answered:
            answered, self._answered = self._answered, {}
            for transport in answered:
                transport.connection.deliver(transport)

    def _reply(self, call: Call, answer: Any) -> None:
        transport = call.transport
        if transport.gone:
            return
        if not transport.outbox:
            self._answered[transport] = None
        transport.outbox.append((call, answer))
        if type(answer) is Failed and call in transport.subscriptions:
            self._ended(call)

    def _ended(self, call: Call) -> None:
        transport = call.transport
        del transport.subscriptions[call]
        if not transport.subscriptions:
            del self._subscribed[transport]

    def _close(self, transport: Transport) -> None:
        """Nothing of it is heard or answered any more, and what was answered in this step is lost."""
        transport.gone = True
        self._answered.pop(transport, None)
        transport.outbox.clear()
        for call in list(transport.subscriptions):
            self._ended(call)
            self.node.cancelled(call, self.kernel.now)

    def _lose_reply(self, request: Any, transport: Transport) -> None:
        """If it is to be lost: close the connection over what was just done."""
        if not getattr(request, "events", True):  # nothing is appended
            return
        struck = self._losses.take(type(request), transport.connection.process)
        if struck is not None:
            self._close(transport)
            transport.connection.tell_gone(transport)
            struck()

    def _refuse(self, transport: Transport) -> None:
        """Something comes on a connection that was closed. Who has not been told so yet is told now."""
        if transport.forgotten_at is not None and self.kernel.now > transport.forgotten_at:
            transport.connection.tell_gone(transport)

    # -- HTTP/2 keep-alive (docs/facts/eventstore.md §A7) ----------------------------------------------------------
    #
    # Connections without subscriptions are left alone: what a cut holds of them is done, or answered, once it is over.

    def _keep_alive_at(self, time: int) -> None:
        if self._keep_alive is None:
            self._keep_alive = self._timers.at(time, self._ping, renews=self._all_are_there)

    def _all_are_there(self) -> bool:
        """Whether every ping would be answered in time; only where that is not so, pings are sent."""
        return not any(map(self._may_be_lost, self._subscribed))

    def _may_be_lost(self, transport: Transport) -> bool:
        connection = transport.connection
        return connection.process.paused or connection.disturbed()

    def _ping(self, now: int) -> None:
        self._keep_alive = None
        for transport in self._subscribed:
            if not transport.silent and self._may_be_lost(transport):
                transport.connection.ping(transport)
                self._timers.at(now + self.settings.keep_alive_timeout, self._give_up, transport)
        if self._subscribed:
            self._keep_alive_at(now + self.settings.keep_alive_interval)

    def _give_up(self, transport: Transport, now: int) -> None:
        """The ping had its time. Where it was not answered, the client finds its calls failed when that reaches it."""
        if transport.silent and not transport.gone:
            reached = self.network.passes(self.process, transport.connection.process)
            transport.forgotten_at = None if reached else now + ORPHANED
            self._close(transport)
            self.flush()
            transport.connection.tell_gone(transport, transport.forgotten_at)

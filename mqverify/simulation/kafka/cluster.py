"""The broker model as a process of a simulated world, and the connections of clients to it.

The thin shell around the sans-I/O `Broker`: it moves requests and replies over links, and has the kernel call the
broker's timers. What only the simulation may know (whether a timer would change anything) is asked here, by `Peek`.
"""

from collections.abc import Callable, Collection
from typing import Any

from mqverify.simulation.kafka.broker import Broker
from mqverify.simulation.kafka.connection import Connection, InFlight
from mqverify.simulation.kafka.library import KafkaLibrary
from mqverify.simulation.kafka.protocol import OffsetCommit, Produce
from mqverify.simulation.kafka.settings import BrokerSettings
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import Losses, Network, end_of
from mqverify.simulation.process import Process
from mqverify.simulation.timers import ProcessTimers

__all__ = ["Connection", "SimulatedKafka"]


class SimulatedKafka:
    """One broker, in the kernel's process "broker"."""

    def __init__(self, kernel: Kernel, settings: BrokerSettings | None = None, network: Network | None = None) -> None:
        self.kernel = kernel
        self.network = network or Network(kernel)
        self.network.on_disturbance.append(self._disturbed)
        self.process = kernel.process("broker")
        self.settings = settings or BrokerSettings()
        timers = ProcessTimers(kernel, self.process)
        self.broker = Broker(self.settings, timers, kernel.stream("broker"), self._reply)
        self._connections: dict[Connection, None] = {}
        """Those that clients have open."""
        self._losses = Losses()

    def library(self, process: Process, profile: str = "kafka-python", observer: Any = None) -> KafkaLibrary:
        """The client library as `process` sees it: kafka-python's API, with the habits of `profile`.

        `observer.settling(consumer, offsets)` is told of each commit that the application did not ask for, before its
        request leaves; what it returns is given to `observer.settled(token, error)` when the reply is known.
        """
        return KafkaLibrary(self, process, profile, observer)

    def leader(self, group: str) -> str | None:
        """The client id of the leader of `group`, or None."""
        found = self.broker.groups.get(group)
        if found is None or found.leader is None:
            return None
        return str(found.members[found.leader].client)

    def lose(self, ends: frozenset[str], of: str, struck: Callable[[str], None], times: int = 1, nth: int = 1) -> None:
        """The next Produce request (`of` "producer") or OffsetCommit ("consumer") from one of the `ends`: no reply.

        It is done, as is what else is on its way up, and no reply leaves any more on that connection, which is then
        reset: what a TCP proxy does that drops the bytes to the client (docs/facts/kafka.md §A.3). `struck(end)` is
        called when the reply is lost. So it goes `times` times in a row, from the `nth` such request on.
        """
        self._losses.plan(ends, (Produce if of == "producer" else OffsetCommit,), struck, times, nth)

    def reset(self, ends: Collection[str]) -> list[str]:
        """Reset all connections of the `ends` at once, from the broker's side; those of them that had any.

        What is on its way up is lost; replies that have left already come before the reset.
        """
        found = [one for one in self._connections if end_of(one.process) in ends and not one.refused]
        for connection in found:
            connection.muted = True
            self._reset(connection)
        return list(dict.fromkeys(end_of(connection.process) for connection in found))

    # -- connections -----------------------------------------------------------------------------------------------

    def connect(self, process: Process, name: str) -> Connection:
        """A new connection of `process`; `name` names its dice. It closes when the process dies."""
        connection = Connection(self, process, name)
        self._connections[connection] = None
        process.on_end.append(connection.end)
        return connection

    def reaches(self, process: Process) -> bool:
        """Whether `process` can connect just now."""
        return self.process.running and self.network.connects(process, self.process)

    def forget(self, connection: Connection) -> None:
        """A client closed it."""
        self._connections.pop(connection, None)

    def _disturbed(self) -> None:
        for connection in list(self._connections):
            if not self.network.undisturbed(connection.process, self.process):
                connection.watch()

    # -- the broker's end ------------------------------------------------------------------------------------------

    def accept(self, connection: Connection) -> None:
        connection.down.send(connection.accepted)

    def receive(self, request: Any, token: InFlight) -> None:
        connection = token.connection
        if connection.refused:
            return
        if self._losses and not connection.muted:
            struck = self._losses.take(type(request), connection.process)
            if struck is not None:
                self._mute(connection)
                struck()
        self.broker.handle(request, token, self.kernel.now)

    def disconnected(self, connection: Connection) -> None:
        """The client closed it: nobody waits for its fetches any more."""
        self.broker.fetches.forget(connection)

    def _mute(self, connection: Connection) -> None:
        """No reply leaves on it any more; it is reset when all has arrived that is on its way up."""
        connection.muted = True
        arrived = max(self.kernel.now, connection.up.busy_until)
        self.kernel.call_at(arrived, self._reset, connection, process=self.process)

    def _reset(self, connection: Connection) -> None:
        connection.refused = True
        self.disconnected(connection)
        connection.down.send(connection.broken)

    def _reply(self, token: InFlight, reply: Any) -> None:
        connection = token.connection
        if not connection.closed and not connection.muted:
            connection.down.send(connection.deliver, token, reply)

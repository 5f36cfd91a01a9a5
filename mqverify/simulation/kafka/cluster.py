"""The broker model as a process of a simulated world, and the connections of clients to it.

The thin shell around the sans-I/O `Broker`: it moves requests and replies over links, and has the kernel call the
broker's timers. What only the simulation may know (whether a timer would change anything) is asked here, by `Peek`.
"""

from collections.abc import Callable
from typing import Any

from mqverify.simulation.kafka.broker import Broker
from mqverify.simulation.kafka.library import KafkaLibrary
from mqverify.simulation.kafka.settings import BrokerSettings
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import Network
from mqverify.simulation.process import Process
from mqverify.simulation.renewals import Event

__all__ = ["Connection", "SimulatedKafka"]


class _KernelTimers:
    """`Timers` of a broker, in its process."""

    __slots__ = ("_kernel", "_process")

    def __init__(self, kernel: Kernel, process: Process) -> None:
        self._kernel = kernel
        self._process = process

    def at(
        self, time: int, call: Callable[..., Any], *arguments: Any, renews: Callable[[], bool] | None = None
    ) -> Event:
        return self._kernel.call_at(time, self._fire, call, arguments, process=self._process, renews=renews)

    def cancel(self, timer: Event) -> None:
        self._kernel.cancel(timer)

    def postpone(self, timer: Event, time: int) -> None:
        self._kernel.postpone(timer, time)

    def _fire(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        call(*arguments, self._kernel.now)


class Connection:
    """A client's connection to the broker: requests go out, replies come back, both in order."""

    __slots__ = ("_cluster", "closed", "down", "up")

    def __init__(self, cluster: "SimulatedKafka", process: Process, name: str) -> None:
        self._cluster = cluster
        self.closed = False
        self.up = cluster.network.link(f"{name}/up", process, cluster.process)
        self.down = cluster.network.link(f"{name}/down", cluster.process, process)

    def send(self, request: Any, then: Callable[[Any], Any]) -> None:
        """Send a request; `then(reply)` is called in the client's process when the reply arrives."""
        self.up.send(self._cluster.receive, request, (self, then))

    def end(self, failure: BaseException | None) -> None:
        """The process ended, one way or the other."""
        if not self.closed:
            self.close()

    def close(self) -> None:
        """No reply arrives any more; what was sent still reaches the broker."""
        self.closed = True
        self.up.send(self._cluster.disconnected, self)


class SimulatedKafka:
    """One broker, in the kernel's process "broker"."""

    def __init__(self, kernel: Kernel, settings: BrokerSettings | None = None, network: Network | None = None) -> None:
        self.kernel = kernel
        self.network = network or Network(kernel)
        self.process = kernel.process("broker")
        self.settings = settings or BrokerSettings()
        timers = _KernelTimers(kernel, self.process)
        self.broker = Broker(self.settings, timers, kernel.stream("broker"), self._reply)

    def library(self, process: Process, profile: str = "kafka-python", observer: Any = None) -> KafkaLibrary:
        """The client library as `process` sees it: kafka-python's API, with the habits of `profile`.

        `observer.settling(consumer, offsets)` is told of each commit that the application did not ask for, before its
        request leaves; what it returns is given to `observer.settled(token, error)` when the reply is known.
        """
        return KafkaLibrary(self, process, profile, observer)

    def connect(self, process: Process, name: str) -> Connection:
        """A new connection of `process`; `name` names its dice. It closes when the process dies."""
        connection = Connection(self, process, name)
        process.on_end.append(connection.end)
        return connection

    def leader(self, group: str) -> str | None:
        """The client id of the leader of `group`, or None."""
        found = self.broker.groups.get(group)
        if found is None or found.leader is None:
            return None
        return str(found.members[found.leader].client)

    def receive(self, request: Any, token: Any) -> None:
        self.broker.handle(request, token, self.kernel.now)

    def disconnected(self, connection: Connection) -> None:
        self.broker.fetches.forget(connection)

    def _reply(self, token: Any, reply: Any) -> None:
        connection, then = token
        if not connection.closed:
            connection.down.send(_deliver, connection, then, reply)


def _deliver(connection: Connection, then: Callable[[Any], Any], reply: Any) -> None:
    if not connection.closed:
        then(reply)

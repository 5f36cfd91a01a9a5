"""What a local cluster is configured as: its nodes, their ports and listeners, and the properties file of each.

KRaft, on loopback only. One broker is its own controller. Several have one controller beside them in a process of its
own, which no fault hits: so killed or paused brokers never take the controllers' quorum away, as it is where a cluster
has controllers of its own. The settings are native but for timings that only make waiting shorter; they are known to
work on Kafka 4.4 (docs/facts/kafka.md, F.3 and F.4).
"""

import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["CONTROLLER", "HOST", "LARGEST_CLUSTER", "Layout", "free_ports"]

HOST: Final = "127.0.0.1"
LARGEST_CLUSTER: Final = 5
CONTROLLER: Final = 100
"""The node id of the controller of a cluster of several brokers."""

_LOWEST_PORT, _HIGHEST_PORT = 20_000, 31_999
"""Below those that systems give to outgoing connections (Linux from 32768, macOS from 49152): one of these, made while
a broker is dead, would take its port, even by connecting to itself."""

_TIMINGS = """\
num.network.threads=2
num.io.threads=2
auto.create.topics.enable=false
# with the default of 128 MiB the broker needs a heap of more than 256 MB
log.cleaner.dedupe.buffer.size=4194304
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.retention.check.interval.ms=500
log.initial.task.delay.ms=500
log.segment.delete.delay.ms=0
log.cleaner.backoff.ms=500
offsets.retention.check.interval.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
replica.fetch.wait.max.ms=100
unclean.leader.election.interval.ms=1000
"""

_INTERNAL_TOPICS = """\
offsets.topic.num.partitions=1
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
default.replication.factor={copies}
"""


@dataclass(frozen=True)
class Layout:
    """Brokers by their node ids, each with its port for clients, and where they talk to each other."""

    ports: Mapping[int, int]
    inner_ports: Mapping[int, int]
    """Ports of a listener of their own, for brokers and for us, where clients have to show who they are."""
    controller_port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """Broker settings by their native names, over those of this module."""
    security: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Properties of the clients' listener, where it is secured; they hold secrets."""
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Of the clients' listener."""

    @property
    def brokers(self) -> Sequence[int]:
        return sorted(self.ports)

    @property
    def nodes(self) -> Sequence[int]:
        """The brokers, and the controller where it is a process of its own."""
        return [*self.brokers, *([CONTROLLER] if len(self.ports) > 1 else [])]

    @property
    def controller(self) -> int:
        """The node that decides who leads, and whose log tells of it."""
        return self.nodes[-1]

    def address(self, broker: int) -> str:
        return f"{HOST}:{self.ports[broker]}"

    def inner_address(self, broker: int) -> str:
        return f"{HOST}:{self.inner_ports.get(broker, self.ports[broker])}"

    def properties(self, node: int) -> str:
        """The text of a node's `server.properties`. Relative paths: it is started in its own folder."""
        copies = min(3, len(self.ports))
        values = dict(self._of_node(node))
        own = "".join(f"{name}={value}\n" for name, value in values.items())
        topics = _INTERNAL_TOPICS.format(copies=copies, least=min(2, copies))
        given = "".join(f"{name}={value}\n" for name, value in self.settings.items())
        return own + _TIMINGS + topics + given

    def _of_node(self, node: int) -> Iterator[tuple[str, str]]:
        is_broker, is_controller = node in self.ports, node == self.controller
        yield "node.id", str(node)
        yield "process.roles", ",".join(["broker"] * is_broker + ["controller"] * is_controller)
        yield "controller.quorum.voters", f"{self.controller}@{HOST}:{self.controller_port}"
        yield "controller.listener.names", "CONTROLLER"
        yield "log.dirs", "data"
        protocols = {"CONTROLLER": "PLAINTEXT", "CLIENTS": self.protocol, "BROKERS": "PLAINTEXT"}
        yield "listener.security.protocol.map", ",".join(f"{name}:{protocol}" for name, protocol in protocols.items())
        listeners = []
        if is_broker:
            listeners.append(f"CLIENTS://{self.address(node)}")
            if self.inner_ports:
                listeners.append(f"BROKERS://{self.inner_address(node)}")
            yield "advertised.listeners", ",".join(listeners)
            yield "inter.broker.listener.name", "BROKERS" if self.inner_ports else "CLIENTS"
            yield from self.security.items()
        if is_controller:
            listeners.append(f"CONTROLLER://{HOST}:{self.controller_port}")
        yield "listeners", ",".join(listeners)


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Ports of loopback that were free a moment ago: any, or `first` and those that follow it. OSError: one is not."""
    dice = random.SystemRandom()
    with ExitStack() as stack:
        ports: list[int] = []
        for number in range(count):
            for attempts_left in reversed(range(100)):
                port = first + number if first is not None else dice.randint(_LOWEST_PORT, _HIGHEST_PORT)
                try:
                    stack.enter_context(socket.socket()).bind((HOST, port))
                except OSError:
                    if first is not None or not attempts_left:
                        raise
                    continue
                ports.append(port)
                break
        return ports

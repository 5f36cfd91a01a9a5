"""What a backend is: settings, a binding of the workload to a client library's API, and the means to provision.

A backend is a system seen through one client library. The same adapter is handed the real library in the real world and
a look-alike in the simulated one, so a behaviour is never written twice.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import RunRows
from mqverify.simulation.network import Network
from mqverify.simulation.process import Process
from mqverify.workload.client import ConsumerClient, Context, ProducerClient
from mqverify.workload.groups import ConsumerGroup, Delivery
from mqverify.workload.plan import Plan

__all__ = ["Adapter", "Admin", "Backend", "NotDone", "SimulatedBroker"]


class NotDone(Exception):
    """What a fault asks of an administrator came to nothing. Its text says why, for people."""


class Admin(Protocol):
    """Provisions, looks and removes, through the client library, outside all consumer groups."""

    def create(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Create what the run needs: topics, streams. What it created, `remove` removes, and nothing else."""

    def open_group(self, group: ConsumerGroup, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Create what a group needs before its first consumer starts: a subscription, a place for its parked messages.

        Positions that it gives to the group are recorded as settlements, `observed`.
        """

    def remove(self) -> None: ...

    def places(self) -> list[str]:
        """The names of the partitions, streams and other sources there are; a place's number is its index."""

    def behind(self, progress: Mapping[str, Mapping[int, int]]) -> Mapping[str, Sequence[str]]:
        """Of each group what the broker still owes it, in words for people; nothing at its end.

        `progress`: for each group, by name, the next position of each source, as its consumers told.
        """

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> int:
        """Be a fresh reader: record passes over everything that can be read (`readings`, `log`, `bounds`).

        Each pass is a reading, numbered from `reading` on; returns the next number.
        """

    def footprint(self) -> Mapping[str, int]: ...

    def acts(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        """What an administrator can be asked to do as a fault, by the fault's kind (`add_partitions`, `scavenge` …).

        Each is done when it returns, and raises `NotDone` where it came to nothing. What it may have removed from then
        on is said in the history's `settings` before it removes it.
        """

    def close(self) -> None: ...


class Adapter(Protocol):
    """Binds the loops to one client library, for one run."""

    observed: Any
    """The consumer that is told, as the library's observer, of what the client settles by itself; None before."""

    def producer(self, context: Context, name: str) -> ProducerClient: ...

    def consumer(self, context: Context, name: str, group: ConsumerGroup, shard: int | None = None) -> ConsumerClient:
        """`shard`: in a sharded group, which share of the keys is the consumer's, from 0."""

    def admin(self) -> Admin: ...


class SimulatedBroker(Protocol):
    """A broker model under a kernel."""

    @property
    def ends(self) -> tuple[str, ...]:
        """The names of its processes: what `broker` means to the network, as one end of a cut or a delay."""

    def lose(self, workers: frozenset[str], of: Literal["producer", "consumer"], struck: Callable[[str], None]) -> None:
        """The next request from one of these workers (any incarnation) that appends (of a producer) or settles (of a
        consumer: a commit, ack, nack) is done, its reply is dropped, and its connection breaks.

        `struck(worker name)` is called once, when the reply is dropped. Asked again, one more reply is lost.
        """

    def library(self, process: Process, observer: Any = None) -> Any:
        """The look-alike of the client library, as one process sees it. `observer` is told of what the client settles
        by itself."""

    def leader(self, group: str) -> str | None:
        """The client id of the group's leader, where the system has one."""

    def record(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """From now on write down what the broker settles by itself, such as a subscription's checkpoints."""


class Backend(Protocol):
    """One system. `vocabulary` gives its own words for `position` and `place` in sentences."""

    system: str
    has: Collection[str]
    """What it has of that which guarantees ask for (`guarantees.registry.FEATURES`)."""
    vocabulary: Mapping[str, str]

    def simulate(self, network: Network, settings: Any) -> SimulatedBroker:
        """The system's model in a simulated world, its processes and connections on that network."""

    def bind(self, library: Any, address: str, settings: Any, plan: Plan, prefix: str, epoch_ms: int) -> Adapter:
        """`prefix` begins every name created on the broker; `epoch_ms` is the Unix time, in milliseconds, of the run's
        start."""

    def starts(self, settings: Any, group: ConsumerGroup) -> str:
        """Where the group starts the first time: `beginning` or `end`."""

    def delivery(self, settings: Any) -> Delivery:
        """How the system shares messages in a group."""

    def promises(self, settings: Any) -> Iterable[tuple[str, str]]:
        """Rows for the history's `settings`: native names, and the generic ones such as `retention` in nanoseconds."""

    def is_client_error(self, error: BaseException) -> bool:
        """Whether it is an exception of the client library: the application's trouble, not mqverify's bug."""

    def longest_wait(self, settings: Any) -> int:
        """Nanoseconds: the longest session, message or poll time-out, after which nothing more happens by itself."""

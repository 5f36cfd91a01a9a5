"""What a backend is: settings, a binding of the workload to a client library's API, and the means to provision.

A backend is a system seen through one client library. The same adapter is handed the real library in the real world and
a look-alike in the simulated one, so a behaviour is never written twice.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mqverify.backends.checks import Check
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import RunRows
from mqverify.workload.client import ConsumerClient, Context, ProducerClient
from mqverify.workload.groups import ConsumerGroup, Delivery
from mqverify.workload.plan import Plan

if TYPE_CHECKING:  # a worker process on a real system is not to import the simulation
    from mqverify.simulation.network import Network
    from mqverify.simulation.process import Process

__all__ = [
    "Adapter", "Admin", "Backend", "Brokers", "Conversation", "Endpoint", "Leftovers", "NotDone", "RealSystem",
    "Request", "SimulatedBroker", "Site", "brokers_in_words", "silent",
]  # fmt: skip


def silent(_message: str) -> None:
    """Hears what takes long, and tells nobody."""


def brokers_in_words(count: int) -> str:
    """`one broker`, `3 brokers`."""
    return "one broker" if count == 1 else f"{count} brokers"


@dataclass(frozen=True)
class Endpoint:
    """Where a system is, and how clients get there."""

    address: str
    """As clients take it: `HOST:PORT[,HOST:PORT]`."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What every client is told beyond that, in the words of its library: security, a proxy. They hold secrets, so
    they are never shown."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks on a connection, as one sees it passing by."""

    number: int
    """By which its reply is known."""
    kind: Literal["append", "settle", "other"]
    answered: bool
    """Whether there is to be a reply."""


class Conversation(Protocol):
    """Reads what passes on one connection, both ways, in the system's own protocol."""

    def requests(self, data: bytes) -> Iterator[tuple[bytes, Request]]:
        """Every request that is complete with these bytes from the client."""

    def replies(self, data: bytes) -> Iterator[tuple[bytes, int | None]]:
        """These bytes from the server in pieces: where a reply begins, with its request's number; else with None.

        Replies come in the order of their requests.
        """


class Brokers(Protocol):
    """The server processes of a system that was started for us, by their numbers (Kafka's node ids)."""

    def numbers(self) -> Sequence[int]:
        """All of them, dead ones too, in rising order."""

    def alive(self) -> Sequence[int]:
        """Those whose process is there, paused ones too."""

    def address(self, number: int) -> str:
        """`HOST:PORT` as clients are told it."""

    def kill(self, number: int) -> None:
        """SIGKILL; it is dead when this returns."""

    def restart(self, number: int) -> None:
        """Start it again on its data. Returns when it takes part again; raises BackendLost if it does not come up."""

    def pause(self, number: int) -> None:
        """SIGSTOP; it has stopped when this returns."""

    def resume(self, number: int) -> None:
        """SIGCONT."""

    def unclean_elections(self, topic: str) -> Sequence[tuple[int, int, int]]:
        """Each unclean election of a leader of this topic that the servers' logs tell of.

        Of each the partition, the Unix time in nanoseconds, and the number of the new leader.
        """


class Site(Protocol):
    """A real system that runs go to, several at a time: reached where it is, or started for them."""

    endpoint: Endpoint
    details: Mapping[str, str]
    """For reports: the versions of server and client, how many servers."""
    brokers: Brokers | None
    """Its server processes; None where they are not ours to break."""

    def require(self, settings: Any) -> None:
        """Raises BackendUnsuitable where it lacks what a spec's settings ask of the servers, and is not ours to set."""

    def check(self) -> None:
        """Raises BackendLost if it went away, unless a fault did that. Called often, so it is cheap."""

    def heal(self) -> None:
        """Bring back what faults have broken, and wait until all is well. Raises BackendLost if it does not come."""

    def keep_logs(self, folder: Path) -> None:
        """Copy what the servers wrote to a folder, after a run that broke. Does what it can, and raises nothing."""

    def close(self) -> None:
        """Stop what was started for the check, leave what was not; what faults have broken there, bring back."""


class Leftovers(Protocol):
    """What lies on a system."""

    cluster: str | None
    """The system's own id."""
    names: Sequence[str]
    """All that can be removed, whoever made it."""
    scraps: Sequence[str]
    """What is surely ours, and of no use to anybody any more."""

    def remove(self, names: Sequence[str]) -> list[str]:
        """Remove what has these names; what is still there then, as `NAME (reason)`."""


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

    def remove(self) -> Sequence[str]:
        """Remove what was created; what is still there then, with the reason, in words for people."""

    def places(self) -> list[str]:
        """The names of the partitions, streams and other sources there are; a place's number is its index."""

    def holders(self, place: int) -> Sequence[int]:
        """The numbers of the servers that hold a place, its leader first.

        Raises NotDone where it has no leader, or servers are not told apart.
        """

    def unsound(self) -> Mapping[int, str]:
        """The places that have no leader, or are not in sync on all servers of theirs that are alive; what is wrong.

        Of these a reader may not see all that was acknowledged.
        """

    def unclean_elections(self) -> Sequence[tuple[int, int, int]]:
        """Of each unclean election during the run the place, when it was (since the run's start), the new leader.

        Only servers that were started for us tell of them.
        """

    def behind(self, progress: Mapping[str, Mapping[int, int]]) -> Mapping[str, Sequence[str]]:
        """Of each group what the broker still owes it, in words for people; nothing at its end.

        `progress`: for each group, by name, the next position of each source, as its consumers told.
        """

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> int:
        """Be a fresh reader: record passes over everything that can be read (`readings`, `log`, `bounds`).

        Each pass is a reading, numbered from `reading` on; returns the next number.
        """

    def footprint(self) -> Mapping[str, int]: ...

    def brokers(self) -> Mapping[int, str]:
        """The brokers that clients are sent to: their numbers and `HOST:PORT`, as they are told it."""

    def acts(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        """What an administrator can be asked to do as a fault, by the fault's kind (`add_partitions`, `scavenge` …).

        Each is done when it returns, and raises `NotDone` where it came to nothing. What it may have removed from then
        on is said in the history's `settings` before it removes it.
        """

    def committed(self) -> Mapping[str, Mapping[int, int]]:
        """Of each group the positions that it has settled, by source, as a real system says now."""

    def let_pass(self, passed: int, by: int, wait: Callable[[float], None], tell: Callable[[str], None]) -> None:
        """Have a real system remove what it would by its age if time had passed: `passed` nanoseconds in all since the
        run's start, beyond those that really went by. All is drained, and everything was read afresh before.

        `by` is the run's time when they have passed. `wait` lets real seconds pass; `tell` hears what takes long.
        Raises `NotDone` where it cannot be had and nothing was changed, BackendLost where the run cannot go on.
        """

    def close(self) -> None: ...


class Adapter(Protocol):
    """Binds the loops to one client library, for one run."""

    observed: Any
    """The consumer that is told, as the library's observer, of what the client settles by itself; None before."""

    def producer(self, context: Context, name: str) -> ProducerClient: ...

    def consumer(self, context: Context, name: str, group: ConsumerGroup, shard: int | None = None) -> ConsumerClient:
        """`shard`: in a sharded group, which share of the keys is the consumer's, from 0."""

    def admin(self, brokers: Brokers | None = None) -> Admin:
        """`brokers`: the servers, where they were started for us."""


class SimulatedBroker(Protocol):
    """A broker model under a kernel."""

    @property
    def ends(self) -> tuple[str, ...]:
        """The names of its processes: what `broker` means to the network, as one end of a cut or a delay."""

    def lose(
        self,
        workers: frozenset[str],
        of: Literal["producer", "consumer"],
        struck: Callable[[str], None],
        times: int = 1,
        nth: int = 1,
    ) -> None:
        """The next request from one of these workers (any incarnation) that appends (of a producer) or settles (of a
        consumer: a commit, ack, nack) is done, its reply is dropped, and its connection breaks.

        `struck(worker name)` is called when the reply is dropped. So it goes `times` times in a row, from the `nth`
        such request on.
        """

    def reset(self, workers: Collection[str]) -> Sequence[str]:
        """Break all connections of these workers at once; those of them that had any."""

    def library(self, process: "Process", observer: Any = None) -> Any:
        """The look-alike of the client library, as one process sees it. `observer` is told of what the client settles
        by itself."""

    def leader(self, group: str) -> str | None:
        """The client id of the group's leader, where the system has one."""

    def record(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """From now on write down what the broker settles by itself, such as a subscription's checkpoints."""


class RealSystem(Protocol):
    """How real ones of a system are had: reached where they are, or started for us."""

    targets: Sequence[str]
    """What may follow `-b NAME=`, as users are told it."""

    def library(self) -> Any:
        """The client library, which the adapter is handed."""

    def reaches(self, target: str) -> bool:
        """Whether it is a target in one of these forms."""

    def starting(self, brokers: int) -> str:
        """The target at which so many server processes are started for a check."""

    def starts_brokers(self, target: str) -> bool:
        """Whether server processes are started for the check at this target, and end with it."""

    def own_brokers(self, target: str) -> int | None:
        """How many server processes there will be that can be broken from here; None where none is."""

    def lacks(self, settings: Any) -> Iterable[str]:
        """What of a spec's settings no real one has, in words for people: it exists in the simulated world only."""

    def access(self, profile: str | None) -> Mapping[str, Any]:
        """What clients are told to get into systems that are not ours, in the words of their library: security.

        From the environment, and a table of the user's profiles. Raises UsageError with all mistakes in them.
        """

    def site_key(self, target: str, settings: Any) -> Hashable:
        """Scenarios with equal keys can be run on one site."""

    def reach(
        self,
        target: str,
        settings: Any,
        tell: Callable[[str], None],
        access: Mapping[str, Any] | None = None,
        breaks_brokers: bool = False,
    ) -> Site:
        """Reach one, or start one; `tell` hears what takes long. `access` is for systems that are not ours.

        `breaks_brokers`: servers that were not started for the check may be broken, where that is in our power.

        Raises BackendUnavailable where none can be had.
        """

    def through(self, endpoint: Endpoint, proxy: str) -> Endpoint:
        """The same by way of an HTTP CONNECT proxy, `http://USER:PASSWORD@HOST:PORT`."""

    def conversations(self, endpoint: Endpoint) -> Callable[[], Conversation] | None:
        """What reads a connection to it; None where they are encrypted."""

    def examine(self, target: str | None, access: Mapping[str, Any]) -> Iterable[Check]:
        """What it takes to get to this target and what can be done there; without one, what it could use here.

        What is there and what is not is told, nothing is raised.
        """

    def leftovers(self, target: str, access: Mapping[str, Any]) -> AbstractContextManager[Leftovers]:
        """What lies at a target, for `mqverify clean`. Raises BackendUnavailable."""


class Backend(Protocol):
    """One system. `vocabulary` gives its own words for `position` and `place` in sentences."""

    system: str
    has: Collection[str]
    """What it has of that which guarantees ask for (`guarantees.registry.FEATURES`)."""
    vocabulary: Mapping[str, str]
    real: RealSystem | None
    """None where it is simulated only."""

    def simulate(self, network: "Network", settings: Any) -> SimulatedBroker:
        """The system's model in a simulated world, its processes and connections on that network."""

    def bind(
        self,
        library: Any,
        endpoint: Endpoint,
        settings: Any,
        plan: Plan,
        prefix: str,
        since_start: Callable[[int], int],
    ) -> Adapter:
        """`prefix` begins every name created on the broker; `since_start` brings a server's Unix time, in nanoseconds,
        to nanoseconds since the run's start."""

    def starts(self, settings: Any, group: ConsumerGroup) -> str:
        """Where the group starts the first time: `beginning` or `end`."""

    def delivery(self, settings: Any) -> Delivery:
        """How the system shares messages in a group."""

    def promises(self, settings: Any) -> Iterable[tuple[str, str]]:
        """Rows for the history's `settings`: native names, and the generic ones such as `retention` in nanoseconds."""

    def is_client_error(self, error: BaseException) -> bool:
        """Whether it is an exception of the client library: the application's trouble, not mqverify's bug."""

    def longest_wait(self, settings: Any, disturbed: bool = True) -> int:
        """Nanoseconds: the longest session, message or poll time-out, after which nothing more happens by itself;
        `disturbed` if there are faults, so that sends may time out and what clients know may be out of date."""

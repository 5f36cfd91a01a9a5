"""What a run happens in. The conductor is written once against `World`; there are two worlds.

`SimulatedWorld`: virtual time, workers are processes of a kernel. `RealWorld`: workers are OS processes. A world
starts, kills, pauses and resumes workers, and tells the conductor what happened by notices.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mqverify.backends.base import Adapter, Admin, Backend, Brokers
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import Row, RunRows
from mqverify.spec.model import Spec
from mqverify.workload.client import Context, Unsure
from mqverify.workload.consumer import ConsumerDuties, consume
from mqverify.workload.groups import ConsumerGroup, Latecomer, Worker, everybody, latecomers, resolve_groups
from mqverify.workload.plan import Plan
from mqverify.workload.producer import ProducerDuties, produce

__all__ = [
    "Before", "Busy", "Ended", "Idle", "Notice", "Scenario", "Struck", "Triggered", "World", "backend_of", "work",
]  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """One spec on one backend. `target` is None in the simulated world, else what follows `-b NAME=`."""

    number: int
    spec: Spec
    label: str
    target: str | None = None
    breaks_brokers: bool = False
    """Whether faults may break the brokers of a system that was not started for the check."""
    own_brokers: int | None = None
    """How many server processes there are that can be broken from here; None where none is."""
    encrypted: bool = False
    """Whether nobody can read what clients and servers say to each other."""
    profile: str | None = None
    """The name of the user's profile that says how to get in."""

    @property
    def system(self) -> str:
        return self.spec.backends[self.label].system

    @property
    def settings(self) -> Any:
        return self.spec.backends[self.label].settings

    @property
    def groups(self) -> tuple[ConsumerGroup, ...]:
        """The consumer groups as this system makes them of the workload."""
        return resolve_groups(self.spec.workload, backend_of(self).delivery(self.settings))

    @property
    def latecomers(self) -> Mapping[str, Sequence[Latecomer]]:
        """Of each team the consumers whom faults bring in mid-run, in the order in which they join."""
        return latecomers(self.spec.workload, backend_of(self).delivery(self.settings), self.spec.faults)

    @property
    def everybody(self) -> Sequence[Worker]:
        """All workers, in their first incarnation; those whom faults bring in mid-run come last."""
        late = [one.worker for those in self.latecomers.values() for one in those]
        return [*everybody(self.spec.workload, self.groups), *late]

    @property
    def keeps_effects(self) -> bool:
        """Whether effects are recorded, of all groups: where a sink does more than to take them, or they are judged."""
        from mqverify.guarantees.registry import catalogue

        named = (catalogue().get(name) for name in self.spec.expectations(self.label))
        judged = any(guarantee is not None and "effects" in guarantee.needs for guarantee in named)
        return judged or any(group.sink != "plain" for group in self.groups)

    @property
    def world(self) -> Literal["simulated", "real"]:
        return "simulated" if self.target is None else "real"


@dataclass(frozen=True, slots=True)
class Idle:
    """A worker has nothing to do; before `progress` (the next position of each source it owns) all is done.

    `progress` is None while it does not know what it owns.
    """

    worker: Worker
    progress: Mapping[int, int] | None


@dataclass(frozen=True, slots=True)
class Busy:
    """A worker that was idle, or has just started, is at work."""

    worker: Worker


@dataclass(frozen=True, slots=True)
class Ended:
    """An incarnation is no more; `detail` says what of, where it did not end as it should."""

    worker: Worker
    ending: Literal["crashed", "stopped", "finished"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Triggered:
    """The count that a planned fault waits for is reached."""

    fault: int


@dataclass(frozen=True, slots=True)
class Struck:
    """An armed fault met its worker: it crashed or paused at the point, began a slow handling, lost a reply."""

    fault: int
    worker: Worker


Notice = Idle | Busy | Ended | Triggered | Struck


class World(Protocol):
    """What the conductor needs of a world. All calls may block the conductor, never a worker."""

    rows: RunRows
    admin: Admin

    @property
    def brokers(self) -> Brokers | None:
        """The servers, where they are processes that may be broken."""

    def now(self) -> int:
        """Nanoseconds since the run's start."""

    def stamp(self) -> int:
        """A strictly increasing time, for rows of the history."""

    def next_notice(self, until: int | None) -> Notice | None:
        """Wait for the next notice, at most until that time; None if none came."""

    def quiet(self) -> bool:
        """Whether no notice waits to be taken."""

    def watch(self, planned: PlannedFault) -> None:
        """Give notice `Triggered` when the count that it waits for is reached."""

    def arm(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        """Let it strike the first of those workers (any incarnation) that comes to its point, or starts a handling."""

    def disarm(self, planned: PlannedFault) -> None: ...

    def launch(self, worker: Worker) -> int | None:
        """Start an incarnation of a worker; the number of its process, where it is one of the operating system's."""

    def kill(self, worker: Worker) -> bool:
        """Whether that is what it died of: False if it had ended by itself, which is told as its end."""

    def pause(self, worker: Worker) -> bool:
        """Whether it stands still: False if it had ended by itself, which is told as its end."""

    def resume(self, worker: Worker) -> None: ...

    def stop(self, worker: Worker) -> None:
        """Ask it to leave: it finishes what it has in hand, closes its client and ends, which is told as its end."""

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], bool]:
        """Cut these workers (every incarnation) off from the broker, or have all between them take longer, as planned.

        It begins now or, with `nth`, with that request of theirs, which is told as `Struck`. Calling what it returns
        ends it, and tells whether anything was to pass meanwhile, as far as the world knows.
        """

    def lose(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        """Have `times` replies of the broker to those workers be lost, from the next or the `nth` one on.

        Each is told as `Struck`.
        """

    def reset(self, planned: PlannedFault, workers: Sequence[str]) -> Sequence[str]:
        """Break all connections between these workers and the broker, now or, with `nth`, as that request is sent.

        Each worker that had one is told as `Struck`; returns those that had one now.
        """

    def skew(self, worker: str, by: int) -> None:
        """Set the clock of a worker (every incarnation) so many nanoseconds ahead of time."""

    def sends_of(self, producer: str) -> Sequence[Row]:
        """What all incarnations of a producer have sent so far, as rows of `sends`."""

    def observe(self) -> None:
        """Read what the groups have settled, in a world where nobody may have told it."""

    def let_pass(self, planned: PlannedFault) -> None:
        """Nothing is at work: let time pass as planned. Where the world's clock does not jump over idle time by itself,
        it has jumped when this returns. Raises `NotDone` if it cannot be had."""

    def leader(self, group: str) -> str | None:
        """The name of the consumer that leads the group, if the system has leaders and this world can tell."""

    def count(self, metric: str, groups: Sequence[str] = ()) -> int:
        """How many distinct messages reached a milestone in the slowest of these groups; without any, of all."""

    def total_progress(self) -> int:
        """Grows whenever any message reaches any milestone for the first time."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a producer's earlier incarnations left behind."""

    invoked: int = 0
    """How many of its messages they have invoked."""
    unsure: tuple[Unsure, ...] = ()
    """Those of them whose outcome nobody knows."""


def work(
    worker: Worker,
    group: ConsumerGroup | None,
    plan: Plan,
    adapter: Adapter,
    context: Context,
    before: Before,
    began: int,
) -> None:
    """What a worker does, in either world. `began` is when producers started."""
    workload = plan.workload
    if group is None:
        messages = plan.messages_of(worker.number - 1)[before.invoked :]
        due = None if workload.rate is None else [began + plan.due_at(message) for message in messages]
        duties = ProducerDuties(
            messages, due, workload.in_flight == "one", workload.on_unknown == "retry", before.unsure
        )
        produce(adapter.producer(context, worker.name), context, duties)
        return
    of_consumer = ConsumerDuties(group.handler, group.settle, group.commit == "sync", plan.poison[group.team])
    consume(adapter.consumer(context, worker.name, group, worker.shard), context, of_consumer)


def backend_of(scenario: Scenario) -> Backend:
    """The backend of a scenario's system."""
    from mqverify.backends.registry import backend

    return backend(scenario.system)

"""What every planned fault of a run knows of itself: when it began and ended, whether it took effect, and why not."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import candidates, groups_of, is_everybody
from mqverify.workload.groups import Worker

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["NOBODY", "Action"]

NOBODY: Final = "no {} was alive when its trigger was pulled"


class Action:
    """One planned fault of one run."""

    unheard: bool = False
    """Whether it may happen to an idle system without any worker having something to tell."""

    def __init__(self, conductor: "Conductor", planned: PlannedFault) -> None:
        self.conductor = conductor
        self.world = conductor.world
        self.planned = planned
        self.phase: Literal["waiting", "armed", "active", "over"] = "waiting"
        self.began_at: int | None = None
        self.ended_at: int | None = None
        self.why_not: str | None = None
        self.triggered = False
        self.strikes = 0

    # --- what a kind says of itself --------------------------------------------------------------------------------

    def act(self) -> None:
        """Its trigger was pulled: do it, or lie in wait for whom it means."""
        raise NotImplementedError

    def met(self, worker: Worker) -> None:
        """Armed, it has struck this worker."""

    def left(self, worker: Worker, ending: str) -> None:
        """One who was asked to leave is no more."""

    def end_of_run(self) -> None:
        """What goes on until the end of the run ends now."""

    @property
    def wanted(self) -> int:
        """How often it is to strike until it did all that it was asked to do."""
        return 0

    def undone(self) -> str:
        """Why it took no effect although its trigger was pulled."""
        return f"no {self.planned.target_text} came to {self.planned.fault.point or 'a handling'} after its trigger"

    # --- what is the same for all ----------------------------------------------------------------------------------

    def trigger(self) -> None:
        self.triggered = True
        self.act()

    def struck(self, worker: Worker) -> None:
        """Armed, it met its worker."""
        self.strikes += 1
        if self.began_at is None:
            self.began_at = self.world.stamp()
        self.met(worker)

    @property
    def took_effect(self) -> bool:
        """Whether it did all that it was asked to do."""
        return self.began_at is not None and self.why_not is None and self.strikes >= self.wanted

    def conclude(self) -> None:
        """The run is over: if it took no effect, find why not."""
        self.end_of_run()
        if not self.took_effect and self.why_not is None:
            self.why_not = self.undone() if self.triggered else self._unreached()

    def _unreached(self) -> str:
        metric = self.planned.fault.when.metric
        if metric in {"drained", "now", "time"}:
            return f"the run ended before: {self.planned.describe()}"
        reached = self.world.count(metric, groups_of(self.planned.fault, self.conductor.groups))
        return f"{metric} reached {reached} of the {self.planned.threshold} messages that it waits for"

    def begin(self) -> None:
        self.phase, self.began_at = "active", self.world.stamp()

    def fail(self, why: str) -> None:
        """It is over before it began."""
        self.phase, self.why_not = "over", why

    def over(self) -> None:
        self.phase = "over"
        if self.took_effect:
            self.ended_at = self.world.stamp()

    def among(self, workers: Iterable[Worker]) -> list[Worker]:
        """Those of the workers that it may strike."""
        conductor, fault = self.conductor, self.planned.fault
        leader = None
        if "leader" in fault.target:
            groups = groups_of(fault, conductor.groups)
            leader = self.world.leader(groups[0]) if len(groups) == 1 else None
        return candidates(fault, workers, leader)

    def one_of(self, workers: list[Worker]) -> Worker:
        """The one that the seed has drawn."""
        return workers[int(self.planned.choice * len(workers))]

    def arm(self, *, each: bool) -> None:
        """Let it strike the first of its targets that comes to its point, or each of them."""
        self.phase = "armed"
        names = [worker.name for worker in self.among(self.conductor.everybody)]
        for eligible in [[name] for name in names] if each else [names]:
            self.world.arm(self.planned, eligible)

    def present(self) -> list[Worker]:
        """Those of its targets that are alive, or have not been started yet: a link and a clock are there before."""
        there = self.conductor.roster.workers
        return self.among(
            worker for worker in self.conductor.everybody if worker.name not in there or there[worker.name].alive
        )

    def drawn(self, workers: list[Worker]) -> list[Worker]:
        """All of them, or one, drawn by the seed: of those that have been started, if there are any."""
        if not workers or is_everybody(self.planned.fault):
            return workers
        return [self.one_of([worker for worker in workers if worker.name in self.conductor.roster.workers] or workers)]

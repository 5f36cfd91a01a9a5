"""Faults of workers: they are killed, stopped and slowed, they come and go, their clocks are off."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import candidates, is_everybody
from mqverify.history.tables import TABLES
from mqverify.workload.groups import Worker
from mqverify.worlds.actions.base import NOBODY, Action

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["AddConsumers", "Crash", "Pause", "RemoveConsumers", "SkewClocks", "Slow"]

_SENDS = {name: index for index, name in enumerate(TABLES["sends"].column_names[2:])}


class _Strike(Action):
    """Strikes workers: at a point, whoever comes there; without one, whoever is there when its trigger is pulled."""

    there: str
    """What a worker must be so that it can be struck."""

    def strike(self, worker: Worker) -> bool:
        """Whether it did: False if the worker had just ended by itself."""
        raise NotImplementedError

    def follow(self, worker: Worker) -> None:
        """What comes after it has struck."""
        raise NotImplementedError

    def act(self) -> None:
        fault = self.planned.fault
        if fault.point is not None:
            self.arm(each=is_everybody(fault))
            return
        workers = self.among(self.conductor.roster.live_workers(running=self.there == "running"))
        if not workers:
            self.fail(f"no {self.planned.target_text} was {self.there} when its trigger was pulled")
            return
        if not is_everybody(fault):
            workers = [self.one_of(workers)]
        self.began_at = self.world.stamp()
        struck = [worker for worker in workers if self.strike(worker)]
        if not struck:
            self.began_at = None
            self.fail(f"{' and '.join(worker.name for worker in workers)} had just ended by itself")
        for worker in struck:
            self.follow(worker)


class Crash(_Strike):
    """SIGKILL, and another incarnation after a while, if there is to be one."""

    there = "alive"

    def strike(self, worker: Worker) -> bool:
        killed = self.world.kill(worker)
        if killed:
            self.conductor.worker_ended(worker, "crashed")
        return killed

    def met(self, worker: Worker) -> None:
        self.conductor.worker_ended(worker, "crashed")
        self.follow(worker)

    def follow(self, worker: Worker) -> None:
        if self.planned.restart_after is None:
            self.over()
            return
        self.phase = "active"
        again = replace(worker, incarnation=worker.incarnation + 1)

        def restart() -> None:
            self.conductor.launch(again)
            self.over()

        self.conductor.appoint(self.planned.restart_after, restart)


class Pause(_Strike):
    """SIGSTOP, and SIGCONT when its time is over."""

    there = "running"  # whoever stands still already cannot be paused, but can be killed

    def strike(self, worker: Worker) -> bool:
        self.conductor.roster.workers[worker.name].paused = True
        paused = self.world.pause(worker)
        self.conductor.roster.workers[worker.name].paused = paused
        return paused

    def met(self, worker: Worker) -> None:
        self.conductor.roster.workers[worker.name].paused = True
        self.follow(worker)

    def follow(self, worker: Worker) -> None:
        self.phase = "active"

        def resume() -> None:
            self.conductor.roster.workers[worker.name].paused = False
            self.world.resume(worker)
            self.over()

        self.conductor.appoint(self.planned.duration, resume)


class Slow(Action):
    """As many handlings as `times` says, or all of them for a time."""

    @property
    def wanted(self) -> int:
        return self.planned.fault.times if self.planned.fault.duration is None else 0

    def act(self) -> None:
        self.arm(each=False)
        if self.planned.fault.duration is not None:

            def end() -> None:
                self.world.disarm(self.planned)
                self.over()

            self.conductor.appoint(self.planned.duration, end)

    def met(self, worker: Worker) -> None:
        if self.planned.fault.duration is None and self.strikes == self.planned.fault.times:
            self.phase = "active"
            self.conductor.appoint(self.planned.handler, self.over)

    def undone(self) -> str:
        if self.strikes:
            return f"it slowed {self.strikes} of {self.planned.fault.times} handlings"
        return super().undone()


class AddConsumers(Action):
    """One after the other joins the group, once its groups have come to start."""

    @property
    def wanted(self) -> int:
        return self.planned.fault.amount or 0

    def act(self) -> None:
        began_at = self.world.stamp()
        for _ in range(self.wanted):
            if self.conductor.join(self.planned.fault.group or "") is None:
                self.why_not = "its group had not come to start when its trigger was pulled"
                break
            self.began_at = began_at
            self.strikes += 1
        self.over()


class RemoveConsumers(Action):
    """Those that were started last leave first."""

    def __init__(self, conductor: "Conductor", planned: PlannedFault) -> None:
        super().__init__(conductor, planned)
        self._leaving: list[str] = []
        """Who was asked to leave, and has not ended yet."""

    @property
    def wanted(self) -> int:
        return self.planned.fault.amount or 0

    def act(self) -> None:
        workers, team = self.conductor.roster.workers, self.planned.fault.group
        members = [one for one in workers.values() if one.alive and not one.leaving and one.worker.team == team]
        leaving = [one.worker for one in reversed(members)][: self.wanted]
        if len(leaving) < self.wanted:
            self.why_not = f"{len(leaving)} of the {self.wanted} consumers that were to leave were alive"
        if not leaving:
            self.phase = "over"
            return
        self.begin()
        self._leaving = [worker.name for worker in leaving]
        for worker in leaving:
            self.conductor.leave(worker)

    def left(self, worker: Worker, ending: str) -> None:
        if worker.name not in self._leaving:
            return
        self._leaving.remove(worker.name)
        if ending == "removed":
            self.strikes += 1
        else:
            self.why_not = f"{worker.name} {ending} before it had left"
        if not self._leaving:
            self.over()

    def undone(self) -> str:
        if self._leaving:
            return f"the run ended before {' and '.join(self._leaving)} had left"
        return super().undone()


class SkewClocks(Action):
    """Until the end of the run. It was put to use if one of those whose clocks are off stamped something."""

    unheard = True

    def __init__(self, conductor: "Conductor", planned: PlannedFault) -> None:
        super().__init__(conductor, planned)
        self._skewed: list[str] = []

    def act(self) -> None:
        present = self.present()
        if not present:
            self.fail(NOBODY.format(self.planned.target_text))
            return
        self.phase, self.began_at = "over", self.world.stamp()
        for name, by in self.planned.fault.options.items():
            fault = self.planned.fault.model_copy(update={"target": (name,)})
            for worker in self.drawn(candidates(fault, present)):
                self._skewed.append(worker.name)
                self.world.skew(worker.name, by)

    def end_of_run(self) -> None:
        if not self._skewed:
            return
        began_at = self.began_at or 0
        sent = (row for name in self._skewed for row in self.world.sends_of(name))
        if any(row[_SENDS["invoked_at"]] > began_at for row in sent):
            self.ended_at = self.world.stamp()
        else:
            self.why_not = f"no {self.planned.target_text} sent anything after its trigger"

"""Runs one scenario once: starts workers, lets faults happen, waits until all is drained, has the log read afresh.

Written once for both worlds, as blocking code: it waits for a notice or for the next time on its agenda, and decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from mqverify.backends.base import Backend
from mqverify.errors import InternalError
from mqverify.faults.plan import PlannedFault, draw_faults
from mqverify.faults.targets import group_of
from mqverify.history.recorder import Row
from mqverify.history.tables import TABLES
from mqverify.workload.groups import ConsumerGroup, Worker, consumers_of, producers_of, resolve_groups
from mqverify.workload.plan import Plan
from mqverify.worlds.base import Busy, Ended, Idle, Notice, Scenario, Struck, Triggered, World
from mqverify.worlds.injector import Injector

__all__ = ["Conductor", "Outcome", "WorkerState"]

_WORKERS = {name: index for index, name in enumerate(TABLES["workers"].column_names[2:])}
_GROUPS = {name: index for index, name in enumerate(TABLES["groups"].column_names[2:])}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `faults` as in `RunSummary`."""

    drained: bool
    give_up_reason: str | None
    ended_at: int
    faults: tuple[tuple[int, str, bool, str | None], ...]


@dataclass
class WorkerState:
    """What the conductor knows of a worker: its current incarnation, and what it last told."""

    worker: Worker
    row: Row
    alive: bool = True
    paused: bool = False
    ready: bool = False
    progress: dict[int, int] | None = None
    ending: str = ""


@dataclass
class _GroupState:
    group: ConsumerGroup
    row: Row
    launched: bool = False


@dataclass(order=True)
class _Appointment:
    time: int
    order: int
    call: Callable[[], None] = field(compare=False)


class Conductor:
    """One run. `patience` is how long nothing may progress before it gives up, in nanoseconds."""

    def __init__(self, world: World, scenario: Scenario, backend: Backend, plan: Plan, patience: int) -> None:
        self.world = world
        self.plan = plan
        self._backend = backend
        self._settings = scenario.settings
        self._workload = scenario.spec.workload
        self._patience = patience
        self._agenda: list[_Appointment] = []
        self._appointments = 0
        self.workers: dict[str, WorkerState] = {}
        self._groups: dict[str, _GroupState] = {}
        self._readings = 0
        self._producers_launched = False
        self._progress_seen = -1
        self._progress_at = 0
        planned = draw_faults(scenario.spec.faults, self._workload.messages, plan.seed)
        self.injector = Injector(self, planned)

    # --- the run -------------------------------------------------------------------------------------------------

    def conduct(self) -> Outcome:
        """Run from the first topic to the last reading."""
        self._provision()
        give_up_reason = None
        while not self._finished():
            notice = self.world.next_notice(self._next_time())
            if notice is not None:
                self._take(notice)
            elif self._agenda and self._agenda[0].time <= self.world.now():
                self._progress_at = self.world.now()
                heappop(self._agenda).call()
            if self._out_of_patience():
                give_up_reason = self._where_it_stands()
                break
        return self._wind_up(give_up_reason)

    def appoint(self, delay: int, call: Callable[[], None]) -> None:
        """Have `call` happen after `delay` nanoseconds; the run does not end before."""
        self._appointments += 1
        heappush(self._agenda, _Appointment(self.world.now() + delay, self._appointments, call))

    def read_afresh(self, reason: str) -> None:
        """Have a fresh reader record what can be read now."""
        self.world.admin.read(self.world.rows, self.world.stamp, self._readings, reason)
        self._readings += 1

    # --- workers -------------------------------------------------------------------------------------------------

    def launch(self, worker: Worker) -> None:
        """Start an incarnation of a worker; the one before is no more."""
        earlier = self.workers.get(worker.name)
        if earlier is not None and earlier.alive:
            raise InternalError(f"{worker.name} is to be started while an incarnation of it is alive")
        row = self.world.rows.add(
            "workers", worker.name, worker.kind, worker.group, worker.incarnation, self.world.stamp(), None, None
        )
        self.workers[worker.name] = WorkerState(worker, row)
        self.world.launch(worker)

    def live_workers(self, running: bool) -> list[Worker]:
        """In the order in which they were first started; with `running`, only those that are not paused."""
        return [state.worker for state in self.workers.values() if state.alive and not (running and state.paused)]

    def group_of(self, planned: PlannedFault) -> str | None:
        """The group that a fault's target lies in."""
        return group_of(planned.fault, tuple(self._groups))

    # --- beginnings ----------------------------------------------------------------------------------------------

    def _provision(self) -> None:
        world = self.world
        world.admin.create(world.rows, world.stamp)
        self.note_places()
        for name, value in self._backend.promises(self._settings):
            world.rows.add("settings", name, None, value, 0)
        groups = resolve_groups(self._workload)
        for group in groups:
            row = world.rows.add(
                "groups", group.name, group.name, self._backend.starts(self._settings, group),
                self._backend.delivery(self._settings), group.consumers, False, None,
            )  # fmt: skip
            self._groups[group.name] = _GroupState(group, row)
        start = self._workload.start
        if start != "producers_first":
            for state in self._groups.values():
                if state.group.joins == "start":
                    self._launch_group(state)
        if start != "consumers_first":
            self._launch_producers()
        self.injector.begin()

    def note_places(self) -> None:
        """Give every partition or stream its id in the history, in the broker's order."""
        since = self.world.now()
        for name in self.world.admin.places():
            self.world.rows.place(name, since)

    def _launch_group(self, state: _GroupState) -> None:
        state.launched = True
        for worker in consumers_of(state.group, single=len(self._workload.groups) == 1):
            self.launch(worker)

    def _launch_producers(self) -> None:
        self._producers_launched = True
        for worker in producers_of(self._workload):
            self.launch(worker)

    # --- the middle ----------------------------------------------------------------------------------------------

    def _take(self, notice: Notice) -> None:
        match notice:
            case Triggered(fault):
                self.injector.triggered(fault)
            case Struck(fault, worker):
                self.injector.struck(fault, worker)
            case Ended(worker, ending, detail):
                self.worker_ended(worker, ending, detail)
            case Idle(worker, progress):
                state = self.workers[worker.name]
                if state.worker == worker:
                    state.progress = None if progress is None else dict(progress)
                    state.ready = state.ready or progress is not None
            case Busy(worker):
                state = self.workers[worker.name]
                if state.worker == worker:
                    state.progress, state.ready = None, True

    def worker_ended(self, worker: Worker, ending: str, detail: str = "") -> None:
        """An incarnation is no more; told again, it changes nothing."""
        state = self.workers[worker.name]
        if state.worker != worker or not state.alive:
            return
        state.alive, state.progress = False, None
        state.ending = f"{ending} ({detail})" if detail else ending
        state.row[_WORKERS["ended_at"]] = self.world.stamp()
        state.row[_WORKERS["ending"]] = ending

    def _finished(self) -> bool:
        """Take the next step that waits for a state of the whole; whether nothing is left to do."""
        if not self._producers_launched:
            if self._everybody_ready():
                self._launch_producers()
            return False
        if self._workload.start == "producers_first" and self._producers_done():
            for state in self._groups.values():
                if state.group.joins == "start" and not state.launched:
                    self._launch_group(state)
        if not self._drained():
            return False
        if self.injector.fire_next_drained():
            return False
        late = [state for state in self._groups.values() if not state.launched]
        for state in late:
            self._launch_group(state)
        return not late

    def _everybody_ready(self) -> bool:
        consumers = [state for state in self.workers.values() if state.worker.kind == "consumer"]
        return all(state.ready or not state.alive for state in consumers)

    def _producers_done(self) -> bool:
        return all(not state.alive for state in self.workers.values() if state.worker.kind == "producer")

    def _drained(self) -> bool:
        """Nothing is owed by the broker, nobody is at work, and nothing stands on the agenda."""
        if self._agenda or not self._producers_done() or self.injector.busy():
            return False
        launched = [state for state in self._groups.values() if state.launched]
        if any(self._progress_of(state) is None for state in launched):
            return False
        ends = self.world.admin.ends()
        return self.world.quiet() and all(not self._behind(state, ends) for state in launched)

    def _progress_of(self, state: _GroupState) -> dict[int, int] | None:
        """The next position of each source over the group's live members; None while one of them is at work."""
        merged: dict[int, int] = {}
        members = 0
        for worker_state in self.workers.values():
            if worker_state.worker.group != state.group.name or not worker_state.alive:
                continue
            if worker_state.progress is None or worker_state.paused:
                return None
            members += 1
            for source, position in worker_state.progress.items():
                merged[source] = max(position, merged.get(source, 0))
        return merged if members else None

    def _behind(self, state: _GroupState, ends: Mapping[int, int]) -> list[str]:
        """The sources at whose end the group is not, in words."""
        progress = self._progress_of(state) or {}
        names = self.world.rows.place_names
        return [
            f"{names[source]} at {progress.get(source, 'no position')} of {end}"
            for source, end in ends.items()
            if end > progress.get(source, 0)
        ]

    # --- the end -------------------------------------------------------------------------------------------------

    def _next_time(self) -> int:
        if self._agenda:
            return self._agenda[0].time
        return self._progress_at + self._patience

    def _out_of_patience(self) -> bool:
        """Whether nothing reached a milestone for longer than the run's patience, and nothing is to come."""
        now = self.world.now()
        if not self._agenda and now < self._progress_at + self._patience:
            return False
        total = self.world.total_progress()
        stood_still = total == self._progress_seen and not self._agenda
        self._progress_seen, self._progress_at = total, now
        return stood_still

    def _where_it_stands(self) -> str:
        """Who is stuck where, for people."""
        ends = self.world.admin.ends()
        parts = []
        for state in self._groups.values():
            behind = self._behind(state, ends) if state.launched else ["it never started"]
            members = [s for s in self.workers.values() if s.worker.group == state.group.name]
            told = [
                f"{s.worker.name} {s.ending or 'paused' if s.paused or not s.alive else 'is at work or waits'}"
                for s in members
                if not s.alive or s.paused or s.progress is None
            ]
            if behind or told:
                state.row[_GROUPS["gave_up"]] = "; ".join([*behind[:3], *told[:3]]) or "not at its end"
                parts.append(f"{state.group.name}: {state.row[_GROUPS['gave_up']]}")
        unsent = self.plan.workload.messages - self.world.count("sent", None)
        if unsent:
            parts.append(f"{unsent} messages were never sent")
        return "nothing progressed any more; " + ("; ".join(parts) or "everybody waits")

    def _wind_up(self, give_up_reason: str | None) -> Outcome:
        world = self.world
        self.read_afresh("end")
        read_at = world.stamp()
        for kind, value in world.admin.footprint().items():
            world.rows.add("footprint", kind, value, read_at)
        ends = world.admin.ends()
        for state in self._groups.values():
            done = give_up_reason is None or (
                state.launched and self._progress_of(state) is not None and not self._behind(state, ends)
            )
            state.row[_GROUPS["drained"]] = done
        faults = self.injector.record()
        ended_at = world.stamp()
        for worker_state in self.workers.values():
            if worker_state.alive:
                worker_state.row[_WORKERS["ended_at"]] = ended_at
                worker_state.row[_WORKERS["ending"]] = "finished"
        return Outcome(give_up_reason is None, give_up_reason, ended_at, faults)

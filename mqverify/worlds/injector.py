"""Makes the faults of one run happen, and notes what came of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mqverify.backends.base import NotDone
from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import candidates, groups_of, is_everybody
from mqverify.history.tables import TABLES
from mqverify.units import SECOND
from mqverify.workload.groups import Worker

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["Injector"]

_SENDS = {name: index for index, name in enumerate(TABLES["sends"].column_names[2:])}
_NOBODY = "no {} was alive when its trigger was pulled"
_REMOVING = {"delete_records", "scavenge", "replay_parked", "delete_stream"}
"""What an administrator does that can take messages out of a place."""
_UNHEARD = _REMOVING | {"lose", "clock_skew"}
"""What may happen to an idle system without any worker having something to tell."""
_TIME_TO_NOTICE = 2 * SECOND
"""So long a drained run waits after such a fault for what may come of it."""


@dataclass
class _State:
    """What became of one planned fault. `phase`: waiting → armed → active → over."""

    planned: PlannedFault
    phase: str = "waiting"
    began_at: int | None = None
    ended_at: int | None = None
    why_not: str | None = None
    triggered: bool = False
    strikes: int = 0
    leaving: list[str] = field(default_factory=list)
    """Who was asked to leave, and has not ended yet."""
    skewed: list[str] = field(default_factory=list)
    """Whose clocks are off."""

    @property
    def wanted(self) -> int:
        """How often it is to strike until it did all that it was asked to do."""
        fault = self.planned.fault
        if fault.kind == "lose" or (fault.kind == "slow" and fault.duration is None):
            return fault.times
        return (fault.amount or 0) if fault.kind in {"add_consumers", "remove_consumers"} else 0

    @property
    def took_effect(self) -> bool:
        """Whether it did all that it was asked to do."""
        return self.began_at is not None and self.why_not is None and self.strikes >= self.wanted


class Injector:
    """The faults of one run. The conductor tells it of triggers and strikes; it acts through the conductor's world."""

    def __init__(self, conductor: "Conductor", planned: tuple[PlannedFault, ...]) -> None:
        self._conductor = conductor
        self._world = conductor.world
        self._states = [_State(fault) for fault in planned]
        self._actions: dict[str, Callable[[_State], None]] = {
            "crash": self._crash,
            "pause": self._pause,
            "slow": self._slow,
            "pass": self._pass_time,
            "cut": self._disturb,
            "delay": self._disturb,
            "lose": self._lose,
            "add_consumers": self._add_consumers,
            "remove_consumers": self._remove_consumers,
            "clock_skew": self._skew_clocks,
        }
        self._actions |= dict.fromkeys(conductor.world.admin.acts(), self._ask_admin)

    def begin(self) -> None:
        """Set every fault waiting for what it waits for."""
        for state in self._states:
            when = state.planned.fault.when
            if when.metric == "now":
                self._act(state)
            elif when.metric == "time":
                delay = max(0, state.planned.threshold - self._world.now())
                self._conductor.appoint(delay, lambda state=state: self._act(state))  # type: ignore[misc]
            elif when.metric != "drained":
                self._world.watch(state.planned)

    def triggered(self, fault: int) -> None:
        self._act(self._states[fault])

    def fire_next_drained(self) -> bool:
        """Everything is drained: let the next fault that waits for it happen, if there is one."""
        for state in self._states:
            if state.phase == "waiting" and state.planned.fault.when.metric == "drained":
                self._act(state)
                if state.planned.kind in _UNHEARD:
                    self._conductor.appoint(_TIME_TO_NOTICE, lambda: None)
                return True
        return False

    def busy(self) -> bool:
        """Whether a fault is under way that has an end of its own to come."""
        return any(state.phase == "active" for state in self._states)

    def struck(self, fault: int, worker: Worker) -> None:
        """An armed fault met its worker."""
        state = self._states[fault]
        planned = state.planned
        state.strikes += 1
        if state.began_at is None:
            state.began_at = self._world.stamp()
        match planned.kind:
            case "crash":
                self._conductor.worker_ended(worker, "crashed")
                self._crashed(state, worker)
            case "pause":
                self._conductor.workers[worker.name].paused = True
                self._paused(state, worker)
            case "slow" if state.strikes == planned.fault.times and planned.fault.duration is None:
                state.phase = "active"
                self._conductor.appoint(planned.handler, lambda: self._over(state))
            case "lose" if state.strikes == planned.fault.times:
                self._over(state)

    def left(self, worker: Worker, ending: str) -> None:
        """One who was asked to leave is no more."""
        for state in self._states:
            if worker.name not in state.leaving:
                continue
            state.leaving.remove(worker.name)
            if ending == "removed":
                state.strikes += 1
            else:
                state.why_not = f"{worker.name} {ending} before it had left"
            if not state.leaving:
                self._over(state)

    def record(self) -> tuple[tuple[int, str, bool, str | None], ...]:
        """Write the faults to the history; (number in the spec, kind, took effect, why not) of each."""
        for state in self._states:
            planned = state.planned
            if state.skewed:
                self._end_skew(state)
            if not state.took_effect and state.why_not is None:
                state.why_not = self._why_not(state)
            self._world.rows.add(
                "faults", planned.number, planned.kind, planned.target_text, planned.describe(),
                state.began_at, state.ended_at, state.took_effect, state.why_not,
            )  # fmt: skip
        return tuple((s.planned.number, s.planned.kind, s.took_effect, s.why_not) for s in self._states)

    def _why_not(self, state: _State) -> str:
        planned = state.planned
        metric = planned.fault.when.metric
        if planned.kind == "slow" and state.strikes:
            return f"it slowed {state.strikes} of {planned.fault.times} handlings"
        if planned.kind == "lose" and state.triggered:
            replies = "a reply" if planned.fault.times == 1 else f"{planned.fault.times} replies"
            return f"{planned.target_text} was to lose {replies}, and lost {state.strikes or 'none'}"
        if state.triggered and state.leaving:
            return f"the run ended before {' and '.join(state.leaving)} had left"
        if state.triggered:
            return f"no {planned.target_text} came to {planned.fault.point or 'a handling'} after its trigger"
        if metric in {"drained", "now", "time"}:
            return f"the run ended before: {planned.describe()}"
        reached = self._world.count(metric, groups_of(planned.fault, self._conductor.groups))
        return f"{metric} reached {reached} of the {planned.threshold} messages that it waits for"

    # --- what each kind does ---------------------------------------------------------------------------------------

    def _act(self, state: _State) -> None:
        state.triggered = True
        action = self._actions.get(state.planned.kind)
        if action is None:
            state.phase, state.why_not = "over", f"nobody can be asked for `{state.planned.kind}` here"
        else:
            action(state)

    def _among(self, state: _State, workers: Iterable[Worker]) -> list[Worker]:
        """Those of the workers that the fault may strike."""
        conductor, fault = self._conductor, state.planned.fault
        leader = None
        if "leader" in fault.target:
            groups = groups_of(fault, conductor.groups)
            leader = self._world.leader(groups[0]) if len(groups) == 1 else None
        return candidates(fault, workers, leader)

    def _strike_now(self, state: _State, strike: Callable[[Worker], None]) -> list[Worker]:
        """Strike one of the live targets, drawn by the seed, or all of them; nobody there is noted."""
        running = state.planned.kind == "pause"  # whoever stands still already cannot be paused, but can be killed
        workers = self._among(state, self._conductor.live_workers(running))
        if not workers:
            there = "running" if running else "alive"
            state.phase, state.why_not = (
                "over",
                f"no {state.planned.target_text} was {there} when its trigger was pulled",
            )
            return []
        if not is_everybody(state.planned.fault):
            workers = [workers[int(state.planned.choice * len(workers))]]
        state.began_at = self._world.stamp()
        for worker in workers:
            strike(worker)
        return workers

    def _arm(self, state: _State) -> None:
        """Let it strike the first of its targets that comes to its point, or each of them."""
        state.phase = "armed"
        names = [worker.name for worker in self._among(state, self._conductor.everybody)]
        if is_everybody(state.planned.fault) and state.planned.kind != "slow":
            for name in names:
                self._world.arm(state.planned, [name])
        else:
            self._world.arm(state.planned, names)

    def _crash(self, state: _State) -> None:
        if state.planned.fault.point is not None:
            self._arm(state)
            return

        def kill(worker: Worker) -> None:
            self._world.kill(worker)
            self._conductor.worker_ended(worker, "crashed")

        for worker in self._strike_now(state, kill):
            self._crashed(state, worker)

    def _crashed(self, state: _State, worker: Worker) -> None:
        if state.planned.restart_after is None:
            self._over(state)
            return
        state.phase = "active"
        again = replace(worker, incarnation=worker.incarnation + 1)

        def restart() -> None:
            self._conductor.launch(again)
            self._over(state)

        self._conductor.appoint(state.planned.restart_after, restart)

    def _pause(self, state: _State) -> None:
        if state.planned.fault.point is not None:
            self._arm(state)
            return

        def pause(worker: Worker) -> None:
            self._conductor.workers[worker.name].paused = True
            self._world.pause(worker)

        for worker in self._strike_now(state, pause):
            self._paused(state, worker)

    def _paused(self, state: _State, worker: Worker) -> None:
        state.phase = "active"

        def resume() -> None:
            self._conductor.workers[worker.name].paused = False
            self._world.resume(worker)
            self._over(state)

        self._conductor.appoint(state.planned.duration, resume)

    def _slow(self, state: _State) -> None:
        self._arm(state)
        if state.planned.fault.duration is not None:

            def end() -> None:
                self._world.disarm(state.planned)
                self._over(state)

            self._conductor.appoint(state.planned.duration, end)

    def _pass_time(self, state: _State) -> None:
        self._conductor.read_afresh(f"before pass of fault {state.planned.number}")
        state.phase, state.began_at = "active", self._world.stamp()
        self._conductor.appoint(state.planned.duration, lambda: self._over(state))

    def _ask_admin(self, state: _State) -> None:
        """Have an administrator do it; what it may remove or move is read before."""
        kind = state.planned.kind
        if kind in _REMOVING:
            self._conductor.read_afresh(f"before {kind} of fault {state.planned.number}")
        began_at = self._world.stamp()
        try:
            self._world.admin.acts()[kind](state.planned)
        except NotDone as reason:
            state.why_not = str(reason)
        else:
            state.began_at = began_at
        self._conductor.note_places()
        self._over(state)

    def _present(self, state: _State) -> list[Worker]:
        """Those of its targets that are alive, or have not been started yet: a link and a clock are there before."""
        there = self._conductor.workers
        return self._among(
            state,
            [worker for worker in self._conductor.everybody if worker.name not in there or there[worker.name].alive],
        )

    def _drawn(self, state: _State, workers: list[Worker]) -> list[Worker]:
        """All of them, or one, drawn by the seed: of those that have been started, if there are any."""
        if not workers or is_everybody(state.planned.fault):
            return workers
        workers = [worker for worker in workers if worker.name in self._conductor.workers] or workers
        return [workers[int(state.planned.choice * len(workers))]]

    def _disturb(self, state: _State) -> None:
        workers = self._drawn(state, self._present(state))
        if not workers:
            worker_end = min(state.planned.fault.target, key=lambda end: end.startswith(("broker", "node")))
            state.phase, state.why_not = "over", _NOBODY.format(worker_end)
            return
        state.phase, state.began_at = "active", self._world.stamp()
        lift = self._world.disturb(state.planned, [worker.name for worker in workers])

        def end() -> None:
            lift()
            if not any(worker.name in self._conductor.workers for worker in workers):
                state.why_not = "it was over before the worker was started"
            self._over(state)

        self._conductor.appoint(state.planned.duration, end)

    def _lose(self, state: _State) -> None:
        state.phase = "armed"
        self._world.lose(state.planned, [worker.name for worker in self._among(state, self._conductor.everybody)])

    def _add_consumers(self, state: _State) -> None:
        began_at = self._world.stamp()
        for _ in range(state.wanted):
            if self._conductor.join(state.planned.fault.group or "") is None:
                state.why_not = "its group had not come to start when its trigger was pulled"
                break
            state.began_at = began_at
            state.strikes += 1
        self._over(state)

    def _remove_consumers(self, state: _State) -> None:
        """Those that were started last leave first."""
        workers, team = self._conductor.workers, state.planned.fault.group
        members = [one for one in workers.values() if one.alive and not one.leaving and one.worker.team == team]
        leaving = [one.worker for one in reversed(members)][: state.wanted]
        if len(leaving) < state.wanted:
            state.why_not = f"{len(leaving)} of the {state.wanted} consumers that were to leave were alive"
        if not leaving:
            state.phase = "over"
            return
        state.phase, state.began_at = "active", self._world.stamp()
        state.leaving = [worker.name for worker in leaving]
        for worker in leaving:
            self._conductor.leave(worker)

    def _skew_clocks(self, state: _State) -> None:
        """Until the end of the run."""
        present = self._present(state)
        if not present:
            state.phase, state.why_not = "over", _NOBODY.format(state.planned.target_text)
            return
        state.phase, state.began_at = "over", self._world.stamp()
        for name, by in state.planned.fault.options.items():
            fault = state.planned.fault.model_copy(update={"target": (name,)})
            for worker in self._drawn(state, candidates(fault, present)):
                state.skewed.append(worker.name)
                self._world.skew(worker.name, by)

    def _end_skew(self, state: _State) -> None:
        """At the end of the run: it was put to use if one of those stamped something."""
        began_at = state.began_at or 0
        if any(
            row[_SENDS["producer"]] in state.skewed and row[_SENDS["invoked_at"]] > began_at
            for row in self._world.rows.tables["sends"]
        ):
            state.ended_at = self._world.stamp()
        else:
            state.why_not = f"no {state.planned.target_text} sent anything after its trigger"

    def _over(self, state: _State) -> None:
        state.phase = "over"
        if state.took_effect:
            state.ended_at = self._world.stamp()

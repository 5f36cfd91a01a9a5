"""Makes the faults of one run happen when their time has come, and notes what came of each."""

from typing import TYPE_CHECKING, Final

from mqverify.faults.plan import PlannedFault
from mqverify.units import SECOND
from mqverify.workload.groups import Worker
from mqverify.worlds.actions import action_of
from mqverify.worlds.actions.base import Action

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["Injector"]

_TIME_TO_NOTICE: Final = 2 * SECOND
"""So long a drained run waits after a fault that nobody hears of for what may come of it."""


class Injector:
    """The faults of one run. The conductor tells it of triggers and strikes; what each kind does is in `actions`."""

    def __init__(self, conductor: "Conductor", planned: tuple[PlannedFault, ...]) -> None:
        self._conductor = conductor
        self._world = conductor.world
        self._actions = [action_of(conductor, fault) for fault in planned]

    def begin(self) -> None:
        """Set every fault waiting for what it waits for."""
        for action in self._actions:
            when = action.planned.fault.when
            if when.metric == "now":
                action.trigger()
            elif when.metric == "time":
                self._conductor.appoint(max(0, action.planned.threshold - self._world.now()), action.trigger)
            elif when.metric != "drained":
                self._world.watch(action.planned)

    def triggered(self, fault: int) -> None:
        """The count that it waits for is reached."""
        self._actions[fault].trigger()

    def fire_next_drained(self) -> bool:
        """Everything is drained: let the next fault that waits for it happen, if there is one."""
        for action in self._actions:
            if action.phase == "waiting" and action.planned.fault.when.metric == "drained":
                action.trigger()
                if action.unheard:
                    self._conductor.appoint(_TIME_TO_NOTICE, lambda: None)
                return True
        return False

    def before(self, planned: PlannedFault) -> Action | None:
        """The repetition of a fault that was planned before this one."""
        earlier = self._actions[planned.identity - 1] if planned.identity else None
        return earlier if earlier is not None and earlier.planned.number == planned.number else None

    def busy(self) -> bool:
        """Whether a fault is under way that has an end of its own to come."""
        return any(action.phase == "active" for action in self._actions)

    def struck(self, fault: int, worker: Worker) -> None:
        """An armed fault met its worker."""
        self._actions[fault].struck(worker)

    def left(self, worker: Worker, ending: str) -> None:
        """One who was asked to leave is no more."""
        for action in self._actions:
            action.left(worker, ending)

    def record(self) -> tuple[tuple[int, str, bool, str | None], ...]:
        """Write the faults to the history; (number in the spec, kind, took effect, why not) of each."""
        for action in self._actions:
            action.conclude()
            planned = action.planned
            self._world.rows.add(
                "faults", planned.number, planned.kind, planned.target_text, planned.describe(),
                action.began_at, action.ended_at, action.took_effect, action.why_not,
            )  # fmt: skip
        return tuple((one.planned.number, one.planned.kind, one.took_effect, one.why_not) for one in self._actions)

"""What the simulated world gives to a worker."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import WorkerRecorder
from mqverify.simulation.process import Process
from mqverify.workload.client import Metric, Point
from mqverify.workload.groups import Worker
from mqverify.workload.sink import Sink
from mqverify.worlds.base import Busy, Idle, Struck
from mqverify.worlds.feed import SimulatedFeed

if TYPE_CHECKING:
    from mqverify.worlds.simulated import SimulatedWorld

__all__ = ["ArmedFault", "SimulatedContext"]


class ArmedFault:
    """A fault that waits at a point for a worker that it may strike."""

    __slots__ = ("eligible", "left", "planned")

    def __init__(self, planned: PlannedFault, eligible: frozenset[str]) -> None:
        self.planned = planned
        self.eligible = eligible
        self.left = planned.fault.times if planned.kind == "slow" and planned.fault.duration is None else None


class SimulatedContext:
    """The `Context` of one incarnation of a worker in the simulated world."""

    def __init__(self, world: "SimulatedWorld", process: Process, worker: Worker, recorder: WorkerRecorder) -> None:
        self.recorder = recorder
        self.dice = world.kernel.stream(worker.name)
        self.finished = False
        self._world = world
        self._process = process
        self.worker = worker
        self.asked_to_stop = False
        self._armed = world.armed
        self._told: Mapping[int, int] | str | None = "nothing"
        self.sleep = world.kernel.sleep
        self.checkpoints: MutableMapping[str, int] = world.checkpoints
        self.sink: Sink | None = None
        self.leads: Callable[[], None] | None = None  # the world's broker knows who leads

    def feed(self, items: Iterable[Any], capacity: int) -> SimulatedFeed:
        return SimulatedFeed(self._process, items, capacity, self._is_idle)

    def now(self) -> int:
        return self._world.kernel.now

    def marker(self, metric: Metric) -> Callable[[int], None]:
        return self._world.progress.marker(metric, self.worker.group)

    def reached(self, point: Point) -> None:
        waiting = self._armed.get(point)
        if waiting:
            self._strike(point, waiting)

    def handling_time(self, planned: int) -> int:
        slow = self._armed.get("handling")
        if not slow:
            return planned
        for armed in slow:
            if self.worker.name in armed.eligible:
                if armed.left is not None:
                    armed.left -= 1
                    if armed.left == 0:
                        slow.remove(armed)
                self._world.post(Struck(armed.planned.identity, self.worker))
                return armed.planned.handler
        return planned

    def stopping(self) -> bool:
        return self.asked_to_stop

    def may_idle(self) -> bool:
        """Whether waiting in vain changes nothing: not for one who is to leave, and has yet to see that."""
        return not self.asked_to_stop

    def wrong_time(self) -> int | None:
        """The look-alike of the library reads the clock of its process, which is off itself."""
        return None

    def idle(self, progress: Mapping[int, int] | None) -> None:
        if progress != self._told:
            self._told = progress
            self._world.post(Idle(self.worker, progress))

    def busy(self) -> None:
        if self._told != "busy":
            self._told = "busy"
            self._world.post(Busy(self.worker))

    def crash(self) -> None:
        self._process.kill()

    def _is_idle(self) -> bool:
        return isinstance(self._told, Mapping) and not self.asked_to_stop

    def _struck_at_last(self, struck: Struck, _failure: BaseException | None) -> None:
        self._world.post(struck)

    def _strike(self, point: str, waiting: list[ArmedFault]) -> None:
        for armed in waiting:
            if self.worker.name not in armed.eligible:
                continue
            waiting.remove(armed)
            struck = Struck(armed.planned.identity, self.worker)
            if point == "in_settle":  # sent, and its reply not seen: at the moment when it would be
                if armed.planned.kind == "crash":
                    self._process.on_end.append(partial(self._struck_at_last, struck))
                    self._process.kill_at_wake(getcurrent())
                else:
                    self._process.pause_at_wake(getcurrent(), partial(self._world.post, struck))
                return
            self._world.post(struck)
            if armed.planned.kind == "pause":
                self._process.pause()
            else:
                self._process.kill()
            return

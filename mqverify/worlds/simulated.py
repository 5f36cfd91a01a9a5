"""The simulated world: virtual time, workers and broker as processes of one kernel, everything drawn from one seed."""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from mqverify.backends.base import Adapter, Backend, Endpoint
from mqverify.errors import InternalError
from mqverify.faults.plan import PlannedFault
from mqverify.faults.progress import Progress
from mqverify.faults.targets import candidates, groups_of, is_everybody
from mqverify.history.recorder import Row, RunRows, WorkerRecorder, left_behind, strictly_increasing
from mqverify.history.tables import TABLES
from mqverify.simulation.future import Future
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import Network
from mqverify.simulation.process import Process
from mqverify.workload.consumer import HandlerFailed
from mqverify.workload.groups import ConsumerGroup, Worker
from mqverify.workload.plan import Plan
from mqverify.workload.sink import Sink
from mqverify.worlds.base import Before, Ended, Notice, Scenario, Struck, Triggered, work
from mqverify.worlds.conductor import Conductor, Outcome
from mqverify.worlds.simulated_context import ArmedFault, SimulatedContext
from mqverify.worlds.simulated_links import SimulatedLinks
from mqverify.worlds.sinks import GroupMemory, MemoryEffects

__all__ = ["EPOCH_MS", "SimulatedWorld", "since_epoch"]

EPOCH_MS = 1_767_225_600_000
"""Unix time of virtual time 0: 2026-01-01T00:00Z, in milliseconds."""

_NOWHERE = Endpoint("simulated:9092")


_PRODUCER = TABLES["sends"].column_names[2:].index("producer")


def since_epoch(unix: int) -> int:
    """A Unix time in nanoseconds → nanoseconds since 2026-01-01, when virtual time starts."""
    return unix - EPOCH_MS * 1_000_000


class SimulatedWorld:
    """One run of one scenario. Make it, call `run`, read `rows`."""

    def __init__(self, scenario: Scenario, backend: Backend, plan: Plan, patience: int) -> None:
        self.kernel = Kernel(plan.seed)
        self.rows = RunRows()
        self.plan = plan
        self.stamp = strictly_increasing(lambda: self.kernel.now)
        self._scenario = scenario
        self._backend = backend
        self._groups: dict[str, ConsumerGroup] = {group.name: group for group in scenario.groups}
        self._everybody = scenario.everybody
        self.checkpoints: dict[str, int] = {}
        late = [one for team in scenario.latecomers.values() for one in team]
        self.progress = Progress(plan.workload.messages, list(self._groups), [one.group.name for one in late])
        self._groups |= {one.group.name: one.group for one in late}
        self._sinks = {name: GroupMemory() for name in self._groups} if scenario.keeps_effects else {}
        self.network = Network(self.kernel)
        self._broker = backend.simulate(self.network, scenario.settings)
        self._broker.record(self.rows, self.stamp)
        self._links = SimulatedLinks(self.network, self._broker, self._post_struck)
        self._inbox: deque[Notice] = deque()
        self._arrival: Future | None = None
        self.armed: dict[str, list[ArmedFault]] = {}
        self._armed_before: set[tuple[int, frozenset[str]]] = set()
        self._processes: dict[str, Process] = {}
        self._contexts: dict[str, SimulatedContext] = {}
        self._skews: dict[str, int] = {}
        self._producers_began = 0
        self._office = self._process("conductor")
        self.admin = self._bind(self._broker.library(self._office)).admin()
        self._patience = patience
        self._failure: BaseException | None = None

    def run(self) -> Outcome:
        """Let it all happen. The history is in `rows`; an exception of our own code leaves as it is."""
        outcome: list[Outcome] = []
        conductor = Conductor(self, self._scenario, self._backend, self.plan, self._patience)

        def body() -> None:
            outcome.append(conductor.conduct())
            self.kernel.stop()

        self._office.spawn(body, main=True)
        with _without_garbage_collection():
            try:
                self.kernel.run()
            finally:  # also when interrupted: what is left of the run must not act when it is collected
                self.kernel.seal()
        if self._failure is not None:
            raise self._failure
        if not outcome:
            raise InternalError("the simulated run stopped before it was over: every actor waits for another")
        return outcome[0]

    # --- what the conductor asks -----------------------------------------------------------------------------------

    @property
    def brokers(self) -> None:
        return None

    def now(self) -> int:
        return self.kernel.now

    def next_notice(self, until: int | None) -> Notice | None:
        if not self._inbox:
            self._arrival = Future(self.kernel)
            self._arrival.wait(None if until is None else max(0, until - self.kernel.now))
            self._arrival = None
        return self._inbox.popleft() if self._inbox else None

    def watch(self, planned: PlannedFault) -> None:
        """Whoever crosses the count and comes to the point next is the first: it is armed before anybody goes on."""
        fault = planned.fault
        told = Triggered(planned.identity)
        at_once = fault.point is not None and not is_everybody(fault) and "leader" not in fault.target

        def reached() -> None:
            if at_once:
                self.arm(planned, [worker.name for worker in candidates(fault, self._everybody)])
            self.post(told)

        self.progress.watch(fault.when.metric, groups_of(fault, self._scenario.groups), planned.threshold, reached)

    def arm(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        names = frozenset(eligible)
        if (planned.identity, names) not in self._armed_before:
            self._armed_before.add((planned.identity, names))
            self.armed.setdefault(planned.fault.point or "handling", []).append(ArmedFault(planned, names))

    def disarm(self, planned: PlannedFault) -> None:
        for armed in self.armed.values():
            armed[:] = [one for one in armed if one.planned is not planned]

    def launch(self, worker: Worker) -> None:
        process = self._process(f"{worker.name}#{worker.incarnation}")
        process.skew = self._skews.get(worker.name, 0)
        self._processes[worker.name] = process
        recorder = WorkerRecorder(
            self.rows, self.stamp, self.plan, worker.name, worker.incarnation, worker.group, worker.shard
        )
        before = Before(*left_behind(self.rows.tables["sends"], worker.name)) if worker.kind == "producer" else Before()
        if worker.kind == "producer" and worker.incarnation == 1:
            self._producers_began = self.kernel.now
        context = self._contexts[worker.name] = SimulatedContext(self, process, worker, recorder)
        observer = _Observer()
        library = self._broker.library(process, observer)
        library.may_idle = context.may_idle
        adapter = self._bind(library, observer)
        group = self._groups[worker.group] if worker.group else None
        if group is not None and self._sinks:
            effects = MemoryEffects(self._sinks[group.name], self.rows, worker, recorder)
            context.sink = Sink(group.sink, effects)
        began = self._producers_began
        process.on_end.append(partial(self._worker_ended, worker, context))

        def body() -> None:
            work(worker, group, self.plan, adapter, context, before, began)
            context.finished = True

        process.spawn(body, main=True)

    def kill(self, worker: Worker) -> bool:
        self._processes[worker.name].kill()
        return True

    def pause(self, worker: Worker) -> bool:
        self._processes[worker.name].pause()
        return True

    def resume(self, worker: Worker) -> None:
        self._processes[worker.name].resume()

    def stop(self, worker: Worker) -> None:
        self._contexts[worker.name].asked_to_stop = True

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], bool]:
        return self._links.disturb(planned, workers)

    def reset(self, planned: PlannedFault, workers: Sequence[str]) -> Sequence[str]:
        return self._links.reset(planned, workers)

    def lose(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        self._links.lose(planned, eligible)

    def skew(self, worker: str, by: int) -> None:
        self._skews[worker] = by
        if worker in self._processes:
            self._processes[worker].skew = by

    def sends_of(self, producer: str) -> Sequence[Row]:
        return [row for row in self.rows.tables["sends"] if row[_PRODUCER] == producer]

    def observe(self) -> None:
        """The look-alikes tell all that they settle."""

    def let_pass(self, planned: PlannedFault) -> None:
        """The kernel jumps over it: the conductor waits until it is over."""

    def leader(self, group: str) -> str | None:
        return self._broker.leader(group)

    def quiet(self) -> bool:
        return not self._inbox

    def count(self, metric: str, groups: Sequence[str] = ()) -> int:
        return self.progress.count(metric, groups)

    def total_progress(self) -> int:
        return self.progress.total()

    # --- what happens ----------------------------------------------------------------------------------------------

    def post(self, notice: Notice) -> None:
        """Tell the conductor."""
        self._inbox.append(notice)
        if self._arrival is not None:
            self._arrival.resolve()

    def _post_struck(self, planned: PlannedFault, name: str) -> None:
        """A fault of links has met a worker."""
        self.post(Struck(planned.identity, self._contexts[name].worker))

    def _process(self, name: str) -> Process:
        process = self.kernel.process(name)
        if name == "conductor":
            process.on_end.append(self._fail)
        return process

    def _bind(self, library: Any, observer: "_Observer | None" = None) -> Adapter:
        adapter = self._backend.bind(library, _NOWHERE, self._scenario.settings, self.plan, "", since_epoch)
        if observer is not None:
            observer.adapter = adapter
        return adapter

    def _fail(self, failure: BaseException | None) -> None:
        """Our own code broke: end the run, and let it be seen."""
        if failure is not None:
            self._failure = failure
            self.kernel.stop()

    def _worker_ended(self, worker: Worker, context: "SimulatedContext", failure: BaseException | None) -> None:
        if failure is None:
            self.post(Ended(worker, "finished" if context.finished else "crashed"))
        elif isinstance(failure, HandlerFailed) or self._backend.is_client_error(failure):
            self.post(Ended(worker, "stopped", f"{type(failure).__name__}: {failure}"))
        else:
            self._fail(failure)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A run makes next to no garbage in cycles, and nothing in it may happen when the collector chooses."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Observer:
    """Hands what the look-alike tells of its own settlements to the consumer that it belongs to."""

    def __init__(self) -> None:
        self.adapter: Any = None

    def settling(self, consumer: Any, offsets: Mapping[Any, Any]) -> Any:
        return self.adapter.observed.settling(consumer, offsets)

    def settled(self, token: Any, error: BaseException | None) -> None:
        self.adapter.observed.settled(token, error)

    def applied(self, event_id: Any, action: str) -> None:
        self.adapter.observed.applied(event_id, action)

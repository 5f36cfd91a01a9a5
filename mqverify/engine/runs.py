"""How the runs of a check are cut into tasks, worked on, and gathered again by scenario.

A task is some seeds of some scenarios: it runs and judges them and hands back findings and summaries only. Tasks are
cut the same way whatever the number of jobs, and folded in order, so that a check's answer never depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import closing
from typing import TYPE_CHECKING

from mqverify.engine.gathered import Clock, Gathered
from mqverify.engine.real_runs import RealRuns
from mqverify.worlds.base import Scenario

if TYPE_CHECKING:
    from mqverify.worlds.chunk import Chunk, Part

    _Awaited = tuple[Future[list[Chunk]], int]

__all__ = ["run_all"]

# A part is some seeds of one scenario, a task some parts. Judging many runs together is cheap, keeping them is not.
_RUNS_OF_PART = 25
_MESSAGES_OF_PART = 50_000
_RUNS_OF_TASK = (25, 400)
_TASKS_WANTED = 8


def run_all(
    scenarios: Sequence[Scenario],
    runs: Mapping[int, int],
    seed: int,
    executor: Executor,
    clock: Clock,
    real: RealRuns,
) -> Iterator[tuple[Scenario, Gathered]]:
    """Work on all scenarios, and hand each on in its order when it is complete, or when the time ran out.

    Closes `real` at the end, whatever that is.
    """
    with closing(real):
        pending = _submit(executor, [one for one in scenarios if one.world == "simulated"], runs, seed, clock.until)
        try:
            for scenario in scenarios:
                gathered = real.result(scenario) if scenario.world == "real" else _gather(pending[scenario.number])
                done, planned = len(gathered.summaries), runs[scenario.number]
                if done < planned and gathered.failure is None and gathered.unsupported is None:
                    gathered.failure, gathered.late = clock.why(done, planned), True
                yield scenario, gathered
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _submit(
    executor: Executor, scenarios: Sequence[Scenario], runs: Mapping[int, int], seed: int, until: float | None
) -> dict[int, list[_Awaited]]:
    """Hand all runs to the executor, in tasks of about equal size; how to get at each scenario's chunks."""
    from mqverify.worlds.chunk import run_simulated_parts

    pending: dict[int, list[_Awaited]] = {scenario.number: [] for scenario in scenarios}
    for task in _tasks(scenarios, runs, seed):
        future = executor.submit(run_simulated_parts, task, until)
        for index, (scenario, _) in enumerate(task):
            pending[scenario.number].append((future, index))
    return pending


def _tasks(scenarios: Sequence[Scenario], runs: Mapping[int, int], seed: int) -> Iterator[list[Part]]:
    least, most = _RUNS_OF_TASK
    wanted = min(most, max(least, sum(runs[scenario.number] for scenario in scenarios) // _TASKS_WANTED))
    task: list[Part] = []
    size = load = 0
    for scenario in scenarios:
        messages = scenario.spec.workload.messages
        step = max(1, min(_RUNS_OF_PART, _MESSAGES_OF_PART // messages))
        for start in range(0, runs[scenario.number], step):
            seeds = list(range(seed + start, seed + min(start + step, runs[scenario.number])))
            task.append((scenario, seeds))
            size, load = size + len(seeds), load + len(seeds) * messages
            if size >= wanted or load >= _MESSAGES_OF_PART:
                yield task
                task, size, load = [], 0, 0
    if task:
        yield task


def _gather(awaited: Sequence[_Awaited]) -> Gathered:
    gathered = Gathered()
    for future, index in awaited:
        gathered.add(future.result()[index])
    return gathered

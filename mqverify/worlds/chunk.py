"""A task of a check: run some seeds of one scenario and judge them together; only findings and summaries come back."""

import time
from collections.abc import Sequence

import duckdb

from mqverify.backends.base import Backend
from mqverify.events import RunSummary
from mqverify.guarantees.findings import Finding
from mqverify.guarantees.judge import judge
from mqverify.guarantees.registry import catalogue
from mqverify.history.load import create_tables, load_rows, load_runs
from mqverify.history.recorder import RunRows
from mqverify.units import SECOND
from mqverify.workload.plan import draw_plan
from mqverify.worlds.base import Scenario, backend_of
from mqverify.worlds.conductor import Outcome
from mqverify.worlds.simulated import SimulatedWorld

__all__ = ["Chunk", "judge_runs", "patience", "run_simulated", "run_simulated_chunk", "summarize"]

Chunk = tuple[list[Finding], list[RunSummary], dict[str, str]]

_LEAST_PATIENCE = 600 * SECOND


def patience(scenario: Scenario, backend: Backend, least: int = _LEAST_PATIENCE) -> int:
    """How long nothing may progress before a run gives up, in nanoseconds.

    Longer than every T of its guarantees, the longest time-out of its settings and the workload's own pace, and at
    least ten minutes.
    """
    times = [
        int(value)
        for expectation in scenario.spec.expectations(scenario.label).values()
        for value in expectation.parameters.values()
        if value.isdecimal()
    ]
    workload = scenario.spec.workload
    pauses = [fault.handler[1] for fault in scenario.spec.faults if fault.handler is not None]
    handlings = [(group.handler or workload.handler).takes[1] for group in workload.groups.values()]
    between_sends = 0 if workload.rate is None else round(SECOND / workload.rate)
    own_pace = 2 * max([between_sends, *pauses, *handlings])
    return max([least, backend.longest_wait(scenario.settings) + SECOND, own_pace, *times])


def run_simulated_chunk(scenario: Scenario, seeds: Sequence[int]) -> Chunk:
    """Run the seeds in the simulated world, and judge all runs at once. Runs are numbered by their seeds."""
    recorded: dict[int, tuple[RunRows, Outcome]] = {}
    summaries = []
    for seed in seeds:
        began = time.perf_counter()
        rows, outcome = run_simulated(scenario, seed)
        recorded[seed] = (rows, outcome)
        wall_ms = round((time.perf_counter() - began) * 1000)
        summaries.append(summarize(scenario, seed, rows, outcome, wall_ms))
    return judge_runs(scenario, recorded), summaries, {}


def run_simulated(scenario: Scenario, seed: int) -> tuple[RunRows, Outcome]:
    """One run: a pure function of scenario and seed."""
    backend = backend_of(scenario)
    plan = draw_plan(scenario.spec.workload, seed)
    world = SimulatedWorld(scenario, backend, plan, patience(scenario, backend))
    outcome = world.run()
    return world.rows, outcome


def summarize(scenario: Scenario, seed: int, rows: RunRows, outcome: Outcome, wall_ms: int) -> RunSummary:
    return RunSummary(
        scenario=scenario.number,
        run=seed,
        seed=seed,
        drained=outcome.drained,
        give_up_reason=outcome.give_up_reason,
        faults=outcome.faults,
        digest=rows.digest(),
        messages=scenario.spec.workload.messages,
        deliveries=len(rows.tables["deliveries"]),
        virtual_ms=outcome.ended_at // 1_000_000,
        wall_ms=wall_ms,
    )


def judge_runs(scenario: Scenario, recorded: dict[int, tuple[RunRows, Outcome]]) -> list[Finding]:
    """Judge what the spec names and this version can judge."""
    expectations = scenario.spec.expectations(scenario.label)
    known = catalogue()
    asked = [name for name in expectations if name in known]
    if not asked:
        return []
    with duckdb.connect(config={"threads": 1}) as connection:
        create_tables(connection)
        load_runs(connection, {run: rows for run, (rows, _) in recorded.items()})
        load_rows(
            connection,
            "runs",
            [
                (run, scenario.number, run, scenario.world, outcome.drained, outcome.ended_at, outcome.give_up_reason)
                for run, (_, outcome) in recorded.items()
            ],
        )
        load_rows(
            connection,
            "parameters",
            [
                (scenario.number, name, parameter, value)
                for name in asked
                for parameter, value in _parameters(name, expectations[name].parameters).items()
            ],
        )
        vocabulary = {scenario.number: backend_of(scenario).vocabulary}
        return judge(connection, {scenario.number: asked}, vocabulary)


def _parameters(name: str, given: dict[str, str]) -> dict[str, str]:
    defaults = {one.name: one.default for one in catalogue()[name].parameters if one.default is not None}
    return {**defaults, **given}

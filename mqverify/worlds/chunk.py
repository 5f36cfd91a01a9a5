"""A task of a check: run some seeds of some scenarios and judge them together; findings and summaries come back."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import duckdb

from mqverify.backends.base import Backend
from mqverify.events import RunSummary, Witness
from mqverify.guarantees.findings import Finding
from mqverify.guarantees.judge import judge
from mqverify.guarantees.registry import catalogue
from mqverify.history.load import create_tables, load_rows, load_runs
from mqverify.history.recorder import Row, RunRows
from mqverify.units import SECOND
from mqverify.workload.plan import draw_plan
from mqverify.worlds.base import Scenario, backend_of
from mqverify.worlds.conductor import Outcome
from mqverify.worlds.selection import judgeable
from mqverify.worlds.simulated import SimulatedWorld

__all__ = [
    "Chunk",
    "Part",
    "database",
    "judge_parts",
    "judge_runs",
    "patience",
    "patience_with_nobody",
    "run_simulated",
    "run_simulated_parts",
    "summarize",
]

Part = tuple[Scenario, Sequence[int]]
"""Some seeds of one scenario."""

Recorded = tuple[RunRows, Outcome]

Chunk = tuple[list[Finding], list[RunSummary], dict[str, str]]
"""What comes back of a part: findings, summaries, details for the report."""

_LEAST_PATIENCE = 600 * SECOND


def patience(scenario: Scenario, backend: Backend, least: int = _LEAST_PATIENCE) -> int:
    """How long nothing may progress before a run gives up, in nanoseconds.

    Longer than every T of its guarantees, the longest time-out of its settings and the workload's own pace, and at
    least ten minutes.
    """
    workload = scenario.spec.workload
    pauses = [fault.handler[1] for fault in scenario.spec.faults if fault.handler is not None]
    pauses += [fault.by[1] for fault in scenario.spec.faults if fault.by is not None]
    groups = scenario.groups
    handlings = [group.handler.takes[1] for group in groups]
    between_sends = 0 if workload.rate is None else round(SECOND / workload.rate)
    settlings = [group.settle.every_time or 0 for group in groups]
    own_pace = 2 * max([between_sends, *pauses, *handlings, *settlings])
    longest_wait = backend.longest_wait(scenario.settings, disturbed=bool(scenario.spec.faults))
    return max([least, longest_wait, own_pace, *_times_of_guarantees(scenario)]) + SECOND


def patience_with_nobody(scenario: Scenario) -> int:
    """How long a run goes on in which no worker is alive and none is to come, in nanoseconds."""
    return max([0, *_times_of_guarantees(scenario)]) + SECOND


def _times_of_guarantees(scenario: Scenario) -> list[int]:
    return [
        int(value)
        for expectation in scenario.spec.expectations(scenario.label).values()
        for value in expectation.parameters.values()
        if value.isdecimal()
    ]


def run_simulated_parts(parts: Sequence[Part], until: float | None = None) -> list[Chunk]:
    """Run the parts in the simulated world, and judge all their runs at once; one chunk for each part.

    From `until` (as `time.time()` tells it) on no further run is begun, and what was run by then comes back. Judging a
    hundred runs together takes little longer than judging ten.
    """
    recorded = []
    summaries = []
    for scenario, seeds in parts:
        of_part: dict[int, Recorded] = {}
        of_part_summaries = []
        for seed in seeds:
            if until is not None and time.time() >= until:
                break
            began = time.perf_counter()
            of_part[seed] = rows, outcome = run_simulated(scenario, seed)
            wall_ms = round((time.perf_counter() - began) * 1000)
            of_part_summaries.append(summarize(scenario, seed, rows, outcome, wall_ms))
        recorded.append((scenario, of_part))
        summaries.append(of_part_summaries)
    return [(findings, told, {}) for findings, told in zip(judge_parts(recorded), summaries, strict=True)]


def run_simulated(scenario: Scenario, seed: int) -> Recorded:
    """One run: a pure function of scenario and seed."""
    backend = backend_of(scenario)
    plan = draw_plan(scenario.spec.workload, seed)
    world = SimulatedWorld(scenario, backend, plan, patience(scenario, backend))
    outcome = world.run()
    return world.rows, outcome


def summarize(scenario: Scenario, seed: int, rows: RunRows, outcome: Outcome, wall_ms: int) -> RunSummary:
    """What reports are told of a run; `wall_ms` is how long it took on this machine."""
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


def judge_runs(scenario: Scenario, recorded: Mapping[int, Recorded]) -> list[Finding]:
    """Judge runs of one scenario, by seed: what the spec names and this version can judge."""
    return judge_parts([(scenario, recorded)])[0]


def judge_parts(parts: Sequence[tuple[Scenario, Mapping[int, Recorded]]]) -> list[list[Finding]]:
    """Judge many runs of several scenarios together; the findings of each part. Runs are named by their seeds."""
    numbered = [(index, seed) for index, (_, recorded) in enumerate(parts) for seed in recorded]
    run_of = {place: run for run, place in enumerate(numbered)}
    asked = [judgeable(scenario) for scenario, _ in parts]
    found: list[list[Finding]] = [[] for _ in parts]
    if not any(asked):
        return found
    with database() as connection:
        create_tables(connection)
        load_runs(connection, {run_of[place]: parts[place[0]][1][place[1]][0] for place in numbered})
        load_rows(connection, "runs", [_run_row(run_of[place], place, parts) for place in numbered])
        load_rows(connection, "parameters", [row for index in range(len(parts)) for row in _parameters(index, parts)])
        vocabulary = {index: backend_of(scenario).vocabulary for index, (scenario, _) in enumerate(parts)}
        for finding in judge(connection, dict(enumerate(asked)), vocabulary):
            index, seed = numbered[finding.run]
            witness = None if finding.witness is None else _named(finding.witness, seed, vocabulary[index])
            scenario = parts[index][0]
            found[index].append(replace(finding, scenario=scenario.number, run=seed, witness=witness))
    return found


def _named(witness: Witness, seed: int, words: Mapping[str, str]) -> Witness:
    """The witness with its run's seed, and its system's own words."""
    return replace(witness, run=seed, place=words["place"], position=words["position"])


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in memory, on one thread; a folder for what does not fit is made only where it is needed."""
    with (
        tempfile.TemporaryDirectory(prefix="mqverify-") as spill,
        duckdb.connect(config={"threads": 1, "temp_directory": spill}) as connection,
    ):
        try:
            yield connection
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # what DuckDB makes of Ctrl-C
                raise KeyboardInterrupt from None
            raise


def _run_row(run: int, place: tuple[int, int], parts: Sequence[tuple[Scenario, Mapping[int, Recorded]]]) -> Row:
    index, seed = place
    scenario, recorded = parts[index]
    outcome = recorded[seed][1]
    return [run, index, seed, scenario.world, outcome.drained, outcome.ended_at, outcome.give_up_reason]


def _parameters(index: int, parts: Sequence[tuple[Scenario, Mapping[int, Recorded]]]) -> Iterator[Row]:
    """Rows of `parameters`: what the spec gives, over the guarantee's defaults."""
    scenario = parts[index][0]
    for name, expectation in scenario.spec.expectations(scenario.label).items():
        guarantee = catalogue().get(name)
        if guarantee is not None:
            defaults = {one.name: one.default for one in guarantee.parameters if one.default is not None}
            for parameter, value in {**defaults, **expectation.parameters}.items():
                yield [index, name, parameter, value]

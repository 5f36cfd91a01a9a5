"""Scenario → runs → verdicts: the one way through the house, told as events.

A task is some seeds of some scenarios: it runs and judges them and hands back findings and summaries only. Tasks are
cut the same way whatever the number of jobs, and folded in order, so that a check's answer never depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

from mqverify import __version__
from mqverify.errors import BackendError
from mqverify.events import (
    CheckFinished,
    CheckStarted,
    Event,
    Planned,
    Result,
    RunFinished,
    RunSummary,
    ScenarioFinished,
    ScenarioStarted,
    Summary,
    VerdictName,
    Warned,
    Witness,
)
from mqverify.guarantees.findings import Finding, Verdict
from mqverify.guarantees.planned import PLANNED
from mqverify.guarantees.registry import catalogue
from mqverify.guarantees.verdicts import fold
from mqverify.spec.model import Expectation, Spec
from mqverify.spec.registry import Registry
from mqverify.units import format_duration
from mqverify.worlds.base import Scenario
from mqverify.worlds.selection import not_judged, select_scenarios, unsupported_reason

if TYPE_CHECKING:
    from mqverify.worlds.chunk import Chunk, Part

    _Awaited = tuple[Future[list[Chunk]], int]

__all__ = ["Options", "check", "plan", "registry"]

_SIMULATED_RUNS = 25

# A part is some seeds of one scenario, a task some parts. Judging many runs together is cheap, keeping them is not.
_RUNS_OF_PART = 25
_MESSAGES_OF_PART = 50_000
_RUNS_OF_TASK = (25, 400)
_TASKS_WANTED = 8


@dataclass(frozen=True)
class Options:
    """What a check is asked to do. `backends`: (name, target or None) as given by `-b`; empty: all, simulated."""

    backends: Sequence[tuple[str, str | None]] = ()
    seed: int = 0
    runs: int | None = None
    fail_fast: bool = False
    exit_zero: bool = False
    fail_on: str = "inconclusive"
    max_time: int | None = None
    """Nanoseconds for the whole check. What has not been run by then is inconclusive."""


@dataclass
class _Gathered:
    """What came back of one scenario."""

    findings: list[Finding] = field(default_factory=list)
    summaries: list[RunSummary] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    """Why runs are missing."""
    late: bool = False
    """They are because the check's time was over."""

    def add(self, chunk: Chunk) -> None:
        findings, summaries, details = chunk
        self.findings += findings
        self.summaries += summaries
        self.details |= details


class _Clock:
    """How long the check may take. No run is stopped in the middle: what has not begun in time is not begun."""

    def __init__(self, max_time: int | None) -> None:
        self._began = time.monotonic()
        self._max_time = max_time
        self.until = None if max_time is None else time.time() + max_time / 1e9
        """As `time.time()` tells it, also in other processes."""

    def wall_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def ran_out(self) -> bool:
        return self.until is not None and time.time() >= self.until

    def why(self, done: int, runs: int) -> str:
        longest = format_duration(self._max_time or 0)
        return f"the check's time, {longest}, was over when {done:,} of {runs:,} runs were done; raise --max-time"


def registry() -> Registry:
    """Everything that a spec may name: the guarantees, the kinds of faults, the systems."""
    from mqverify.backends.eventstore.system import SYSTEM as EVENTSTORE
    from mqverify.backends.kafka.system import SYSTEM as KAFKA
    from mqverify.faults.kinds import FAULT_KINDS

    systems = {system.name: system for system in (KAFKA, EVENTSTORE)}
    return Registry({**catalogue(), **PLANNED}, FAULT_KINDS, systems)


def check(specs: Sequence[Spec], options: Options, executor: Executor) -> Iterator[Event]:
    """Run every scenario of the specs and judge what each spec names. Bad usage raises before anything runs.

    Chunks of runs are worked on by `executor`.
    """
    clock = _Clock(options.max_time)
    scenarios = select_scenarios(specs, options.backends)
    runs = {scenario.number: _run_count(scenario, options) for scenario in scenarios}
    yield CheckStarted(__version__, len(specs), len(scenarios), sum(runs.values()))
    tally = _Tally()
    interrupted = False
    try:
        for scenario, gathered in _run_all(scenarios, runs, options, executor, clock):
            yield _started(scenario, runs[scenario.number])
            for summary in gathered.summaries:
                yield RunFinished(scenario.spec.name, scenario.label, summary)
            results = _results(scenario, gathered)
            for result in results:
                tally.add(result)
            if gathered.failure and not gathered.late:
                yield Warned(f"{scenario.spec.name} on {scenario.label}: {gathered.failure}")
            yield ScenarioFinished(
                scenario.number, scenario.spec.name, scenario.spec.file, scenario.label, results,
                tuple(gathered.details.items()),
            )  # fmt: skip
            if options.fail_fast and any(result.as_expected is False for result in results):
                break
    except KeyboardInterrupt:
        interrupted = True
    yield CheckFinished(
        tally.summary(),
        tally.exit_code(options, interrupted),
        clock.wall_ms(),
        interrupted,
    )


def plan(specs: Sequence[Spec], options: Options) -> list[Planned]:
    """What a check would run, and what it could not judge. Raises what a check raises before anything runs."""
    planned = []
    for scenario in select_scenarios(specs, options.backends):
        names = sorted(scenario.spec.expectations(scenario.label), key=_code)
        reason = unsupported_reason(scenario)
        missing = [] if reason else [(name, why) for name in names if (why := not_judged(scenario, name))]
        planned.append(
            Planned(
                spec=scenario.spec.name,
                file=scenario.spec.file,
                backend=scenario.label,
                system=scenario.system,
                world=scenario.world,
                runs=_run_count(scenario, options),
                guarantees=tuple(names),
                unsupported=reason,
                not_judged=tuple(missing),
            )
        )
    return planned


# --- running ------------------------------------------------------------------------------------------------------


def _run_count(scenario: Scenario, options: Options) -> int:
    if unsupported_reason(scenario):
        return 0
    asked = scenario.spec.runs
    if scenario.world == "real":
        return options.runs or asked.real or 1
    return options.runs or asked.simulated or _SIMULATED_RUNS


def _run_all(
    scenarios: Sequence[Scenario], runs: Mapping[int, int], options: Options, executor: Executor, clock: _Clock
) -> Iterator[tuple[Scenario, _Gathered]]:
    """Work on all scenarios, and hand each on in its order when it is complete, or when the time ran out."""
    pending = _submit(executor, [one for one in scenarios if one.world == "simulated"], runs, options.seed, clock.until)
    try:
        for scenario in scenarios:
            if scenario.world == "real":
                gathered = _run_real(scenario, runs[scenario.number], options.seed, clock)
            else:
                gathered = _gather(pending[scenario.number])
            done, planned = len(gathered.summaries), runs[scenario.number]
            if done < planned and gathered.failure is None:
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


def _gather(awaited: Sequence[_Awaited]) -> _Gathered:
    gathered = _Gathered()
    for future, index in awaited:
        gathered.add(future.result()[index])
    return gathered


def _run_real(scenario: Scenario, runs: int, seed: int, clock: _Clock) -> _Gathered:
    from mqverify.worlds.real_chunk import run_real_chunk

    gathered = _Gathered()
    if not runs or clock.ran_out():
        return gathered
    try:
        chunk, gathered.failure = run_real_chunk(scenario, list(range(seed, seed + runs)), enough=clock.ran_out)
    except BackendError as error:
        gathered.failure = str(error)
    else:
        gathered.add(chunk)
    return gathered


# --- judging ------------------------------------------------------------------------------------------------------


def _started(scenario: Scenario, runs: int) -> ScenarioStarted:
    spec = scenario.spec
    return ScenarioStarted(scenario.number, spec.name, spec.file, scenario.label, scenario.system, scenario.world, runs)


def _results(scenario: Scenario, gathered: _Gathered) -> tuple[Result, ...]:
    return tuple(
        _result(scenario, gathered, name, expectation)
        for name, expectation in sorted(
            scenario.spec.expectations(scenario.label).items(), key=lambda item: _code(item[0])
        )
    )


def _result(scenario: Scenario, gathered: _Gathered, name: str, expectation: Expectation) -> Result:
    verdict = _verdict(scenario, gathered, name)
    spec = scenario.spec
    witness = verdict.witness
    seed = next((s.seed for s in gathered.summaries if witness and s.run == witness.run), None)
    return Result(
        spec=spec.name,
        file=spec.file,
        backend=scenario.label,
        system=scenario.system,
        world=scenario.world,
        guarantee=name,
        code=_code(name),
        expected=expectation.verdict,
        expected_why=expectation.why,
        verdict=verdict.verdict,
        as_expected=_as_expected(scenario, expectation, verdict),
        runs=verdict.runs,
        decided_by=verdict.decided_by,
        obligations=verdict.obligations,
        violations=verdict.violations,
        reason=_reason(scenario, expectation, verdict),
        witness=witness,
        reproduce=_reproduce(scenario, witness, seed),
        decision=spec.decision,
        line=expectation.line,
        figures=verdict.figures,
    )


def _reproduce(scenario: Scenario, witness: Witness | None, seed: int | None) -> str:
    """The run of the witness, told event by event; a real run cannot be repeated, but tried again."""
    file = quote(scenario.spec.file)
    if scenario.target is None and witness is not None:
        keys = dict.fromkeys(event.key for event in witness.events if event.key is not None)
        narrowed = "".join(f" --key {quote(key)}" for key in keys)
        return f"mqverify trace {file} -b {quote(scenario.label)} --seed {seed}{narrowed}"
    target = "" if scenario.target is None else f"={scenario.target}"
    shown = "" if seed is None else f" --seed {seed} --runs 1"
    return f"mqverify check {file} -b {quote(scenario.label + target)}{shown} -v"


def _verdict(scenario: Scenario, gathered: _Gathered, name: str) -> Verdict:
    unsupported = unsupported_reason(scenario) or not_judged(scenario, name)
    if unsupported:
        return Verdict(name, "unsupported", 0, 0, 0, 0, unsupported)
    findings = [finding for finding in gathered.findings if finding.guarantee == name]
    verdict = fold(catalogue()[name], findings, gathered.summaries)
    if gathered.failure and verdict.verdict != "violated":  # a violation outranks every doubt
        return Verdict(name, "inconclusive", verdict.runs, 0, verdict.obligations, 0, gathered.failure)
    return verdict


def _code(name: str) -> str:
    return (catalogue().get(name) or PLANNED[name]).code


def _as_expected(scenario: Scenario, expectation: Expectation, verdict: Verdict) -> bool | None:
    """True, False, or None where nothing was decided against the expectation."""
    if verdict.verdict == expectation.verdict:
        return True
    if verdict.verdict in {"inconclusive", "unsupported"}:
        return None
    if scenario.world == "real" and expectation.verdict == "violated" and verdict.verdict == "held":
        return None  # real schedules cannot be chosen to the last step
    return False


def _reason(scenario: Scenario, expectation: Expectation, verdict: Verdict) -> str:
    if expectation.verdict == "violated" and verdict.verdict == "held":
        if scenario.world == "real":
            return f"not seen: {verdict.reason}"
        return f"expected violated ({expectation.why}), but it held: the waiver is stale; {verdict.reason}"
    return verdict.reason


class _Tally:
    """Counts results and decides the exit code."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = dict.fromkeys(("as_expected", "not_as_expected", "inconclusive", "waived"), 0)
        self._unsupported = 0
        self._supported = 0

    def add(self, result: Result) -> None:
        verdict: VerdictName = result.verdict
        if verdict == "unsupported":
            self._unsupported += 1
        else:
            self._supported += 1
        if result.as_expected is False:
            self._counts["not_as_expected"] += 1
        elif result.as_expected:
            self._counts["as_expected"] += 1
            if verdict == "violated":
                self._counts["waived"] += 1
        elif verdict == "inconclusive":
            self._counts["inconclusive"] += 1

    def summary(self) -> Summary:
        return Summary(unsupported=self._unsupported, **self._counts)

    def exit_code(self, options: Options, interrupted: bool) -> int:
        if interrupted:
            return 130
        code = 0
        if self._counts["not_as_expected"]:
            code = 1
        elif (self._counts["inconclusive"] and options.fail_on == "inconclusive") or not self._supported:
            code = 3
        return 0 if options.exit_zero else code

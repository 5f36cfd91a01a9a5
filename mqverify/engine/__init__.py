"""Scenario → runs → verdicts: the one way through the house, told as events.

`runs.py` has the runs worked on, those on real systems `real_runs.py`; `results.py` says what came of what a spec
expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from mqverify import __version__
from mqverify.backends.base import silent
from mqverify.backends.registry import real_system
from mqverify.engine.gathered import Clock
from mqverify.engine.real_runs import RealRuns, real_jobs
from mqverify.engine.results import code_of, results_of
from mqverify.engine.runs import run_all
from mqverify.events import (
    CheckFinished,
    CheckStarted,
    Event,
    Planned,
    Result,
    RunFinished,
    ScenarioFinished,
    ScenarioStarted,
    Summary,
    VerdictName,
    Warned,
)
from mqverify.guarantees.planned import PLANNED
from mqverify.guarantees.registry import catalogue
from mqverify.spec.model import Spec
from mqverify.spec.registry import Registry
from mqverify.worlds.base import Scenario
from mqverify.worlds.selection import not_judged, select_scenarios, unsupported_reason
from mqverify.worlds.sites import Sites

__all__ = ["Options", "check", "plan", "registry"]

_SIMULATED_RUNS = 25


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
    jobs: int | None = None
    """How many real scenarios are run at a time; None: two a core."""
    allow_broker_faults: bool = False
    """Faults may break the brokers of clusters that were not started for the check."""
    profile: str | None = None
    """Where the way into real systems is said, beside the environment: a table of the user's profiles."""
    tell: Callable[[str], None] = silent
    """Hears what is begun on real systems, and what takes long there; from several threads."""
    verbose: bool = False
    """Tell more of that."""


def registry() -> Registry:
    """Everything that a spec may name: the guarantees, the kinds of faults, the systems."""
    from mqverify.backends.registry import systems
    from mqverify.faults.kinds import FAULT_KINDS

    return Registry({**catalogue(), **PLANNED}, FAULT_KINDS, systems())


def check(specs: Sequence[Spec], options: Options, executor: Executor) -> Iterator[Event]:
    """Run every scenario of the specs and judge what each spec names. Bad usage raises before anything runs.

    Chunks of runs are worked on by `executor`.
    """
    clock = Clock(options.max_time)
    scenarios = _scenarios(specs, options)
    runs = {scenario.number: _run_count(scenario, options) for scenario in scenarios}
    real = _real_runs(scenarios, runs, options, clock)
    yield CheckStarted(__version__, len(specs), len(scenarios), sum(runs.values()))
    tally = _Tally()
    interrupted = False
    try:
        for scenario, gathered in run_all(scenarios, runs, options.seed, executor, clock, real):
            yield _started(scenario, runs[scenario.number])
            for summary in gathered.summaries:
                yield RunFinished(scenario.spec.name, scenario.label, summary)
            results = results_of(scenario, gathered)
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
    for scenario in _scenarios(specs, options):
        names = sorted(scenario.spec.expectations(scenario.label), key=code_of)
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


def _scenarios(specs: Sequence[Spec], options: Options) -> list[Scenario]:
    return select_scenarios(specs, options.backends, options.allow_broker_faults, options.profile)


def _real_runs(scenarios: Sequence[Scenario], runs: Mapping[int, int], options: Options, clock: Clock) -> RealRuns:
    """Nothing is reached yet. Raises UsageError if how to get in is said wrongly."""
    tell, tell_more = options.tell, options.tell if options.verbose else silent
    real = [scenario for scenario in scenarios if scenario.world == "real"]
    systems = sorted({scenario.system for scenario in real})
    access = {system: real_system(system).access(options.profile) for system in systems}
    sites = Sites(real, tell, access)
    return RealRuns(real, runs, options.seed, clock, real_jobs(options.jobs), sites, tell, tell_more)


def _run_count(scenario: Scenario, options: Options) -> int:
    if unsupported_reason(scenario):
        return 0
    asked = scenario.spec.runs
    if scenario.world == "real":
        return options.runs or asked.real or 1
    return options.runs or asked.simulated or _SIMULATED_RUNS


def _started(scenario: Scenario, runs: int) -> ScenarioStarted:
    spec = scenario.spec
    return ScenarioStarted(scenario.number, spec.name, spec.file, scenario.label, scenario.system, scenario.world, runs)


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

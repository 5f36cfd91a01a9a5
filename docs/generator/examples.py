"""Runs of shipped specs that show a guarantee held, and violated."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from shlex import quote

from mqverify import engine
from mqverify.events import CheckFinished, CheckStarted, Event, ScenarioFinished, Summary, VerdictName
from mqverify.report.console import PIPE_WIDTH
from mqverify.report.terminal import TerminalReport
from mqverify.search.executors import make_executor
from mqverify.spec.load import load
from mqverify.spec.model import Expectation, Spec
from mqverify.worlds.selection import not_judged, select_scenarios, unsupported_reason

__all__ = ["Example", "example_of", "expecting"]

_ROOT = Path(__file__).parents[2]
_MOST_SEEDS = 100


@dataclass(frozen=True, slots=True)
class Example:
    """One run, and what the report says of one guarantee."""

    file: str
    """From the repository's root."""
    claim: str
    backend: str
    expected: Expectation
    command: str
    output: str
    """What the command prints of the guarantee, without the line that sums up."""


def example_of(guarantee: str, verdict: VerdictName) -> Example | None:
    """The first shipped spec, by path, that expects the verdict, run with the first seed that shows it.

    None: no shipped spec expects it. A spec that expects it and never shows it is a `LookupError`.
    """
    for spec, label, expected in expecting(guarantee, verdict):
        for seed in range(_MOST_SEEDS):
            finished = _run(spec.file, label, seed)
            result = next(one for one in finished.results if one.guarantee == guarantee)
            if result.verdict == verdict:
                command = f"mqverify check {quote(spec.file)} -b {quote(label)} --seed {seed} --runs 1 -v"
                told = replace(finished, results=(result,), details=())
                return Example(spec.file, spec.claim or spec.name, label, expected, command, _shown(told))
        raise LookupError(f"{spec.file} on {label}: {guarantee} is not {verdict} with seeds below {_MOST_SEEDS}")
    return None


def expecting(guarantee: str, verdict: str) -> Iterator[tuple[Spec, str, Expectation]]:
    """The shipped specs that expect the verdict of the guarantee, by path, with the backend that they expect it of."""
    for spec in _shipped():
        for label in spec.backends:
            expected = spec.expectations(label).get(guarantee)
            if expected is None or expected.verdict != verdict:
                continue
            [scenario] = select_scenarios([spec], [(label, None)])
            if unsupported_reason(scenario) is None and not_judged(scenario, guarantee) is None:
                yield spec, label, expected


@cache
def _shipped() -> Sequence[Spec]:
    """All shipped specs by path, their files as seen from the repository's root."""
    specs = load([_ROOT / "specs"], engine.registry()).specs
    return sorted((spec.model_copy(update={"file": _relative(spec.file)}) for spec in specs), key=lambda one: one.file)


def _relative(file: str) -> str:
    return Path(file).relative_to(_ROOT).as_posix()


@cache
def _run(file: str, label: str, seed: int) -> ScenarioFinished:
    """What comes of one run of a shipped spec on one simulated backend."""
    spec = next(spec for spec in _shipped() if spec.file == file)
    options = engine.Options(backends=((label, None),), seed=seed, runs=1)
    with make_executor(1) as executor:
        events = list(engine.check([spec], options, executor))
    return next(event for event in events if isinstance(event, ScenarioFinished))


def _shown(finished: ScenarioFinished) -> str:
    """What a report on a pipe says of it, expected violations too, but for the line that sums up."""
    stream = io.StringIO()
    report = TerminalReport(stream, verbosity="verbose", width=PIPE_WIDTH)
    for event in _told(finished):
        report.handle(event)
    lines = stream.getvalue().rstrip("\n").splitlines()
    return "\n".join(lines[:-1]).rstrip("\n")


def _told(finished: ScenarioFinished) -> tuple[Event, ...]:
    return CheckStarted("", 1, 1, 1), finished, CheckFinished(Summary(), 0, 0)

"""Two worlds, one spec: whether the simulated and the real system come to the same verdicts.

Each world does its usual runs of each scenario; what is compared is what a check would report. A difference may be
known: a Markdown file names it in a table with the columns `spec`, `guarantee` and `why` (docs/fidelity.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mqverify.backends.registry import real_targets
from mqverify.engine import Options, check
from mqverify.errors import UsageError
from mqverify.events import CheckFinished, Event, Result, ScenarioFinished
from mqverify.spec.model import Spec

__all__ = ["Agreement", "Comparison", "Known", "Pair", "compare_worlds", "read_known"]

Agreement = Literal["agree", "disagree", "undecided", "unsupported"]


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that somebody has written down."""

    spec: str
    """The spec's name, or the end of its path."""
    guarantee: str
    why: str

    def covers(self, result: Result) -> bool:
        return result.guarantee == self.guarantee and (
            result.spec == self.spec or Path(result.file).as_posix().endswith(self.spec)
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """One guarantee of one spec on one backend, in both worlds."""

    simulated: Result
    real: Result
    known: Known | None = None

    @property
    def agreement(self) -> Agreement:
        """Two that were decided agree or not; an expected violation that a real system did not show is no agreement."""
        verdicts = (self.simulated.verdict, self.real.verdict)
        if "unsupported" in verdicts:
            return "unsupported"
        if "inconclusive" in verdicts:
            return "undecided"
        return "agree" if verdicts[0] == verdicts[1] else "disagree"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it. `details` say what the real system was."""

    pairs: tuple[Pair, ...]
    details: Mapping[str, str] = field(default_factory=dict)
    wall_ms: int = 0
    interrupted: bool = False

    def of(self, agreement: Agreement) -> list[Pair]:
        """Those of a kind whose difference is not known."""
        return [pair for pair in self.pairs if pair.agreement == agreement and pair.known is None]

    @property
    def agreed(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.agreement == "agree"]

    @property
    def compared(self) -> list[Pair]:
        """Those that were decided in both worlds."""
        return [pair for pair in self.pairs if pair.agreement in ("agree", "disagree")]

    @property
    def known(self) -> list[Pair]:
        """Those that do not agree, as is known."""
        return [pair for pair in self.pairs if pair.known is not None and pair.agreement in ("disagree", "undecided")]

    @property
    def stale(self) -> list[Pair]:
        """Those that are known to differ, and agree."""
        return [pair for pair in self.agreed if pair.known is not None]

    @property
    def exit_code(self) -> int:
        """0 if all agree or are known not to, 1 if one disagrees, 3 if nothing was compared or one was not decided."""
        if self.interrupted:
            return 130
        if self.of("disagree"):
            return 1
        return 3 if self.of("undecided") or not (self.compared or self.known) else 0


def compare_worlds(
    specs: Sequence[Spec],
    options: Options,
    executor: Executor,
    known: Sequence[Known] = (),
    listen: Callable[[Event], object] = lambda _event: None,
) -> Comparison:
    """Check every scenario of `options.backends` in the simulated world, then in the real one that its target names.

    `listen` hears the events of both checks. Raises UsageError for a backend without a target.
    """
    missing = [name for name, target in options.backends if target is None]
    if missing or not options.backends:
        example = real_targets()[0]
        name = missing[0] if missing else example.partition("=")[0]
        raise UsageError(f"two worlds need a real system: say which with -b {name}=TARGET, such as -b {example}")
    simulated = _World(replace(options, backends=tuple((name, None) for name, _ in options.backends)))
    real = _World(options)
    for world in (simulated, real):
        if not simulated.interrupted:
            world.run(specs, executor, listen)
    pairs = [
        Pair(result, real.results[key], next((one for one in known if one.covers(result)), None))
        for key, result in simulated.results.items()
        if key in real.results
    ]
    return Comparison(
        tuple(pairs), real.details, simulated.wall_ms + real.wall_ms, simulated.interrupted or real.interrupted
    )


class _World:
    """What a check in one world came to."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.results: dict[tuple[str, str, str], Result] = {}
        self.details: dict[str, str] = {}
        self.wall_ms = 0
        self.interrupted = False

    def run(self, specs: Sequence[Spec], executor: Executor, listen: Callable[[Event], object]) -> None:
        for event in check(specs, self._options, executor):
            listen(event)
            if isinstance(event, ScenarioFinished):
                self.details.update(event.details)
                self.results |= {(one.file, one.backend, one.guarantee): one for one in event.results}
            elif isinstance(event, CheckFinished):
                self.wall_ms, self.interrupted = event.wall_ms, event.interrupted


def read_known(path: str) -> list[Known]:
    """The differences of a Markdown file: rows of its tables with the columns `spec`, `guarantee` and `why`.

    Raises UsageError where there is no such file, or no such table in it.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"the known differences cannot be read from {path}: {reason}") from error
    found: list[Known] = []
    columns: dict[str, int] | None = None
    tables = 0
    for line in lines:
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            columns = None
        elif columns is None:
            columns = {cell: number for number, cell in enumerate(cells)}
            tables += {"spec", "guarantee", "why"} <= set(columns)
        elif {"spec", "guarantee", "why"} <= set(columns) and set(line) - set("|-: "):
            if len(cells) != len(columns):
                raise UsageError(f"{path}: this row has not the columns of its table: {line}")
            found.append(Known(*(cells[columns[name]] for name in ("spec", "guarantee", "why"))))
    if not tables:
        raise UsageError(f"{path} has no table with the columns spec, guarantee and why")
    return found

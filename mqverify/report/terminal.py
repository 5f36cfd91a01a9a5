"""The report for people: a table of verdicts, a witness for each that is not as expected, and one line that sums up."""

from dataclasses import replace
from itertools import groupby
from typing import TextIO

from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mqverify.events import (
    CheckFinished,
    CheckStarted,
    Event,
    Result,
    RunFinished,
    RunSummary,
    ScenarioFinished,
    Witness,
)
from mqverify.report import exits
from mqverify.report.console import console_for
from mqverify.report.standard import Verbosity
from mqverify.report.text import count, plain
from mqverify.report.witness import print_witness, trimmed
from mqverify.report.words import is_failure, mark_of, note_of, style_of, summary_line, verdict_and_expectation

__all__ = ["TerminalReport", "run_line"]

_HEADINGS = ("", "backend", "guarantee", "verdict", "expected", "obligations")
_SLOWEST = 5
_NOTE_AT_LEAST = 24
"""Columns that a note must find beside the others; where there is less room it gets lines of its own."""


class TerminalReport:
    """Prints when the check ends, specs in their order, whatever order they finished in."""

    def __init__(
        self, stream: TextIO, *, color: bool = False, verbosity: Verbosity = "normal", width: int | None = None
    ) -> None:
        self._stream = stream
        self._console = console_for(stream, color=color, width=width)
        self._unicode = (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
        self._verbosity = verbosity
        self._planned = 0
        self._scenarios: dict[int, ScenarioFinished] = {}
        self._runs: dict[int, list[RunSummary]] = {}

    def handle(self, event: Event) -> None:
        match event:
            case CheckStarted():
                self._planned = event.scenarios
            case RunFinished() if self._verbosity == "verbose":
                self._runs.setdefault(event.summary.scenario, []).append(event.summary)
            case ScenarioFinished():
                self._scenarios[event.scenario] = event
            case CheckFinished():
                with self._console.capture() as capture:
                    self._print(event)
                self._stream.write(trimmed(capture.get()))
                self._stream.flush()
            case _:
                pass

    def close(self) -> None:
        """Nothing is held open."""

    def _print(self, end: CheckFinished) -> None:
        scenarios = [scenario for _, scenario in sorted(self._scenarios.items())]
        results = [result for scenario in scenarios for result in scenario.results]
        if self._verbosity != "quiet":
            self._print_specs(scenarios, results)
        for scenario in scenarios:
            self._print_witnesses(scenario)
        if end.interrupted:
            what = "interrupted" if end.exit_code == exits.INTERRUPTED else "broken off"
            judged = f"{len(scenarios):,} of {count(self._planned, 'scenario')} judged"
            self._console.print(Text(f"{what}: {judged}", style="yellow"))
        if self._verbosity == "verbose":
            self._print_slowest(scenarios)
        bad = end.summary.not_as_expected or end.summary.inconclusive or end.interrupted
        self._console.print(Text(summary_line(end, results), style="bold" if bad else "bold green"))

    def _print_witnesses(self, scenario: ScenarioFinished) -> None:
        """A block of each result that needs one. What showed one guarantee broken may show another: it is told once."""
        told: dict[Witness, Result] = {}
        for result in _together(scenario.results):
            if is_failure(result) or (self._verbosity == "verbose" and result.verdict == "violated"):
                same = told.setdefault(result.witness, result) if result.witness else result
                print_witness(
                    self._console, result, unicode=self._unicode, same_as=same if same is not result else None
                )
                self._console.print()

    def _print_slowest(self, scenarios: list[ScenarioFinished]) -> None:
        """Where the time goes: the scenarios whose runs took longest, on whichever core they ran."""
        took = {one.scenario: sum(run.wall_ms for run in self._runs.get(one.scenario, ())) for one in scenarios}
        ran = [one for one in scenarios if took[one.scenario]]
        slowest = sorted(ran, key=lambda one: (-took[one.scenario], one.scenario))[:_SLOWEST]
        if len(slowest) < 2:
            return
        self._console.print(Text("slowest:", style="dim"))
        for one in slowest:
            runs = count(len(self._runs.get(one.scenario, ())), "run")
            line = f"{took[one.scenario] / 1000:8.2f} s  {plain(one.file)} on {plain(one.backend)} ({runs})"
            self._console.print(Text(line, style="dim"), soft_wrap=True)
        self._console.print()

    def _print_specs(self, scenarios: list[ScenarioFinished], results: list[Result]) -> None:
        scenarios = [replace(scenario, results=_folded(scenario.results)) for scenario in scenarios]
        widths = _widths([result for one in scenarios for result in one.results], self._unicode)
        wide = sum(widths) + 2 * len(widths) + _NOTE_AT_LEAST <= self._console.width
        for (spec, file), group in groupby(scenarios, key=lambda scenario: (scenario.spec, scenario.file)):
            members = list(group)
            self._print_heading(spec, file, [result for one in members for result in one.results])
            if wide:
                self._console.print(_indented(self._wide_table(members, widths)))
            for scenario in members:
                if not wide:
                    self._print_narrow(scenario)
                self._print_details(scenario)
            self._console.print()

    def _print_heading(self, spec: str, file: str, results: list[Result]) -> None:
        self._console.print(Text.assemble((plain(spec), "bold"), "  ", (plain(file), "dim")))
        decision = next((result.decision for result in results if result.decision), None)
        if decision:
            self._console.print(_indented(Text(f"decision: {plain(decision)}", style="dim")))

    def _wide_table(self, scenarios: list[ScenarioFinished], widths: list[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="none", expand=True)
        for heading, width in zip(_HEADINGS, widths, strict=True):
            justify: JustifyMethod = "right" if heading == "obligations" else "left"
            table.add_column(Text(heading, style="dim"), width=width, no_wrap=True, justify=justify)
        table.add_column(ratio=1, overflow="fold")
        for scenario in scenarios:
            for result in scenario.results:
                style = style_of(result)
                mark, backend, guarantee, verdict, *rest = (Text(cell) for cell in _cells(result, self._unicode))
                mark.stylize(style)
                verdict.stylize(style)
                table.add_row(mark, backend, guarantee, verdict, *rest, Text(self._note(result), style="dim"))
        return table

    def _print_narrow(self, scenario: ScenarioFinished) -> None:
        if scenario.results:
            self._console.print(_indented(Text(_backend(scenario.results[0]), style="dim")))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        for _ in range(3):
            table.add_column(overflow="fold")
        table.add_column(justify="right")
        for result in scenario.results:
            mark, _, guarantee, _, _, obligations = _cells(result, self._unicode)
            style = style_of(result)
            verdict = Text(verdict_and_expectation(result), style=style)
            table.add_row(Text(mark, style=style), Text(guarantee), verdict, Text(obligations))
        self._console.print(_indented(table))
        for result in scenario.results:
            if (note := self._note(result)) and not is_failure(result):  # what is one has a block of its own below
                self._console.print(_indented(Text(f"{plain(result.guarantee)}: {note}", style="dim"), 4))

    def _note(self, result: Result) -> str:
        return note_of(result, verbose=self._verbosity == "verbose")

    def _print_details(self, scenario: ScenarioFinished) -> None:
        for name, value in scenario.details:
            line = Text(f"  {plain(scenario.backend)}: {plain(name)} {plain(value)}", style="dim")
            self._console.print(line, soft_wrap=True)
        for run in sorted(self._runs.get(scenario.scenario, ()), key=lambda run: run.run):
            self._console.print(_indented(Text(run_line(scenario.backend, run), style="dim")))


def _folded(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """One row for all guarantees of a spec that a backend does not support as a whole: they differ in nothing else."""
    if len(results) < 2 or {result.verdict for result in results} != {"unsupported"}:
        return results
    if len({result.reason for result in results}) > 1:
        return results
    alike: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        alike.setdefault((result.expected, result.as_expected, result.expected_why), []).append(result)
    which = "all " if len(alike) == 1 else ""
    return tuple(
        replace(same[0], guarantee=f"{which}{len(same)} guarantees") if len(same) > 1 else same[0]
        for same in alike.values()
    )


def _together(results: tuple[Result, ...]) -> list[Result]:
    """Those without a witness that are so for one reason as one, with all their names."""
    alike: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        same = result.code if result.witness else (result.verdict, result.expected, result.expected_why, result.reason)
        alike.setdefault((result.as_expected, same), []).append(result)
    return [
        replace(
            group[-1],
            guarantee=", ".join([*(f"{one.guarantee} ({one.code})" for one in group[:-1]), group[-1].guarantee]),
        )
        for group in alike.values()
    ]


def _cells(result: Result, unicode: bool) -> list[str]:
    return [
        mark_of(result, unicode=unicode),
        _backend(result),
        plain(result.guarantee),
        result.verdict,
        result.expected,
        f"{result.obligations:,}",
    ]


def _backend(result: Result) -> str:
    return plain(result.backend) + (" (real)" if result.world == "real" else "")


def _widths(results: list[Result], unicode: bool) -> list[int]:
    """Of each column but the note's, over all specs, so that their tables stand in line."""
    rows = [list(_HEADINGS), *(_cells(result, unicode) for result in results)]
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def run_line(backend: str, run: RunSummary) -> str:
    """One run in a line: its seed and digest, how it ended, which faults took effect."""
    faults = [
        f"{plain(kind)} {'took effect' if done else plain(f'did not: {why}')}" for _, kind, done, why in run.faults
    ]
    end = "drained" if run.drained else plain(f"gave up: {run.give_up_reason}")
    counts = f"{count(run.messages, 'message')}, {count(run.deliveries, 'delivery', 'deliveries')}"
    return f"{plain(backend)}, seed {run.seed}: {'; '.join([counts, *faults, end, f'digest {run.digest}'])}"


def _indented(content: Text | Table, by: int = 2) -> Padding:
    return Padding(content, (0, 0, 0, by))

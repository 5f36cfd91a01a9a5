"""The report for a decision record or a comment on a pull request: a table a spec, a witness a failure. Markdown."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO

from mqverify.events import CheckFinished, CheckStarted, Event, Result, ScenarioFinished
from mqverify.report import exits
from mqverify.report.markup import code_block, escaped
from mqverify.report.text import count, plain
from mqverify.report.witness import witness_text
from mqverify.report.words import is_failure, mark_of, note_of, summary_line

__all__ = ["MarkdownReport"]

_WIDTH = 110
"""Columns of a witness: what a browser shows of a block of code without a scroll bar."""


class MarkdownReport:
    """Writes when the check ends: what it came to, each failure with its witness, then all results.

    `most` is how many bytes whoever shows it takes. What would go past that is left out from the end, and counted.
    """

    def __init__(self, stream: TextIO, most: int | None = None) -> None:
        self._stream = stream
        self._most = most
        self._version = ""
        self._planned = 0
        self._scenarios: dict[int, ScenarioFinished] = {}

    def handle(self, event: Event) -> None:
        match event:
            case CheckStarted():
                self._version, self._planned = event.version, event.scenarios
            case ScenarioFinished():
                self._scenarios[event.scenario] = event
            case CheckFinished():
                self._stream.write(self._page(event))
                self._stream.flush()
            case _:
                pass

    def close(self) -> None:
        """Nothing is held open."""

    def _page(self, end: CheckFinished) -> str:
        scenarios = [scenario for _, scenario in sorted(self._scenarios.items())]
        results = [result for scenario in scenarios for result in scenario.results]
        head = ["## mqverify", "", f"**{escaped(summary_line(end, results))}** (mqverify {plain(self._version)})"]
        if end.interrupted:
            what = "Interrupted" if end.exit_code == exits.INTERRUPTED else "Broken off"
            head += ["", f"{what}: {len(scenarios):,} of {count(self._planned, 'scenario')} judged."]
        failures = [_failure(result) for result in results if is_failure(result)]
        tables = [
            _spec(spec, file, [result for scenario in members for result in scenario.results])
            for (spec, file), members in groupby(scenarios, key=lambda scenario: (scenario.spec, scenario.file))
        ]
        sections = [*([["### Not as expected"]] if failures else []), *failures, *tables]
        return "\n".join(self._fitting("\n".join(head), ["\n".join(section) for section in sections])) + "\n"

    def _fitting(self, head: str, sections: Sequence[str]) -> Iterator[str]:
        yield head
        room = None if self._most is None else self._most - len(head.encode()) - 200
        for number, section in enumerate(sections):
            size = len(section.encode()) + 2
            if room is not None and size > room:
                yield f"\n… and {count(len(sections) - number, 'more section')}, for which there is no room here."
                return
            room = None if room is None else room - size
            yield f"\n{section}"


def _failure(result: Result) -> list[str]:
    """A heading that says it all, and what shows it behind it."""
    backend = f"{result.backend}, real" if result.world == "real" else result.backend
    lines = [
        f"#### {mark_of(result)} {escaped(result.guarantee)} on {escaped(backend)}: "
        f"{result.verdict}, expected {result.expected}",
        "",
        f"{escaped(result.spec)}: {escaped(result.reason)}",
        "",
    ]
    if not result.witness:
        return [*lines, *code_block(plain(result.reproduce))]
    block = code_block(witness_text(result, _WIDTH))
    return [*lines, "<details><summary>Witness</summary>", "", *block, "", "</details>"]


def _spec(spec: str, file: str, results: Sequence[Result]) -> list[str]:
    lines = [f"### {escaped(spec)}", "", escaped(file)]
    decision = next((result.decision for result in results if result.decision), None)
    if decision:
        lines[-1] += f", decision: {escaped(decision)}"
    lines += [
        "",
        "| | backend | guarantee | verdict | expected | obligations | why |",
        "|---|---|---|---|---|---:|---|",
    ]
    return [*lines, *(_row(result) for result in results)]


def _row(result: Result) -> str:
    backend = escaped(result.backend) + (" (real)" if result.world == "real" else "")
    verdict = result.verdict if result.as_expected else f"**{result.verdict}**"
    cells = (
        mark_of(result),
        backend,
        f"{escaped(result.guarantee)} ({escaped(result.code)})",
        verdict,
        result.expected,
        f"{result.obligations:,}",
        escaped(note_of(result)),
    )
    return f"| {' | '.join(cells)} |"

"""A result that somebody must understand: what was expected, what happened to which messages, how to see it again."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mqverify.events import Result, WitnessEvent
from mqverify.report.text import count, plain, seconds
from mqverify.report.words import mark_of, style_of

__all__ = ["print_witness"]

_ROOMY = 80
"""From this many columns on, headings of the timeline stand in one line."""


def print_witness(console: Console, result: Result, *, unicode: bool) -> None:
    """The block of one result: a heading, its sentence and timeline if there is a witness, else its reason."""
    heading = Text.assemble(
        (
            f"{mark_of(result, unicode=unicode)} {plain(result.guarantee)} ({plain(result.code)})",
            f"bold {style_of(result)}",
        ),
        f": {result.verdict}, expected {result.expected}",
    )
    console.print(heading)
    console.print(_indented(_facts(result)))
    if result.witness:
        console.print()
        console.print(_indented(Text(plain(result.witness.sentence), style="bold")))
        if result.witness.events:
            console.print()
            console.print(_indented(_timeline(result.witness.events, console.width)))
        console.print()
    for line in _closing(result):
        console.print(_indented(Text(line)))
    if result.reproduce:
        console.print(Text(f"  reproduce: {plain(result.reproduce)}"), soft_wrap=True)


def _facts(result: Result) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("spec", Text(plain(result.spec)))
    table.add_row("file", Text(plain(result.file)))
    table.add_row("backend", Text(f"{plain(result.backend)}, {result.world}"))
    if result.decision:
        table.add_row("decision", Text(plain(result.decision)))
    if result.expected_why:
        table.add_row("expected", Text(f"{result.expected}: {plain(result.expected_why)}"))
    return table


def _closing(result: Result) -> list[str]:
    lines = []
    if result.violations:
        lines.append(
            f"{count(result.violations, 'violation')} in {result.decided_by:,} of {count(result.runs, 'run')}, "
            f"{count(result.obligations, 'obligation')}"
        )
    if result.reason and not (result.witness and result.reason == result.witness.sentence):
        lines.append(plain(result.reason))
    return lines


def _timeline(events: tuple[WitnessEvent, ...], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    rows = [_row(event) for event in events]
    between = "" if width >= _ROOMY else "\n"
    headings = ("time", "actor", "event", "message", f"key{between}#sequence", f"partition{between}@position")
    shown = [index for index in range(len(headings)) if any(row[index] for row in rows)]
    for index in shown:
        table.add_column(
            Text(headings[index]),
            justify="right" if headings[index] in ("time", "message") else "left",
            no_wrap=headings[index] == "time",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    return table


def _row(event: WitnessEvent) -> tuple[str, ...]:
    key = "" if event.key is None else plain(event.key)
    sequence = "" if event.sequence is None else f"#{event.sequence}"
    partition = "" if event.partition is None else plain(event.partition)
    position = "" if event.position is None else f"@{event.position}"
    return (
        seconds(event.at_ns),
        plain(event.actor),
        plain(event.event),
        "" if event.message is None else str(event.message),
        key + sequence,
        partition + position,
    )


def _indented(content: RenderableType) -> RenderableType:
    return Padding(Group(content), (0, 0, 0, 2))

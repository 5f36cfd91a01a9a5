"""A result that somebody must understand: what was expected, what happened to which messages, how to see it again."""

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mqverify.events import Result, WitnessEvent
from mqverify.report.text import clock, count, plain
from mqverify.report.words import mark_of, style_of

__all__ = ["print_witness"]

_ROOMY = 80
"""From this many columns on, message and key have a column each."""
_SHORT = 14
"""What is no longer than this is not broken, so that the words of an event are."""


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
    if result.expected_why and result.expected_why not in result.reason:
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
    longest = max(event.at_ns for event in events)
    rows = [_row(event, longest) for event in events]
    headings: tuple[str, ...] = ("time", "actor", "event", "message", "key#sequence", "partition@position")
    if width < _ROOMY:
        headings = ("time", "actor", "event", "message\nkey#seq.", "partition\n@position")
        rows = [(*row[:3], f"{row[3]} {row[4]}".strip(), row[5]) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 1 if width < _ROOMY else 2, 0, 0), header_style="none")
    for index, heading in enumerate(headings):
        if any(row[index] for row in rows):
            short = max(len(row[index]) for row in rows) <= _SHORT
            justify: JustifyMethod = "right" if heading in ("time", "message") else "left"
            table.add_column(Text(heading, style="dim"), justify=justify, no_wrap=short and index != 2, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[index]) for index in range(len(headings)) if any(other[index] for other in rows)))
    return table


def _row(event: WitnessEvent, longest_ns: int) -> tuple[str, ...]:
    key = "" if event.key is None else plain(event.key)
    sequence = "" if event.sequence is None else f"#{event.sequence}"
    partition = "" if event.partition is None else plain(event.partition)
    position = "" if event.position is None else f"@{event.position}"
    return (
        clock(event.at_ns, longest_ns),
        plain(event.actor),
        plain(event.event),
        "" if event.message is None else str(event.message),
        key + sequence,
        partition + position,
    )


def _indented(content: RenderableType) -> RenderableType:
    return Padding(Group(content), (0, 0, 0, 2))

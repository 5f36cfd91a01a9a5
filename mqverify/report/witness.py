"""A result that somebody must understand: what was expected, what happened to which messages, how to see it again."""

import io
import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mqverify.events import Result, WitnessEvent
from mqverify.report.console import console_for
from mqverify.report.text import clock, count, plain
from mqverify.report.words import mark_of, measured, style_of

__all__ = ["print_timeline", "print_witness", "trimmed", "witness_text"]

_ROOMY = 12
"""Columns that an event longer than that must find in a table."""
_LONGEST_WORD = 30
"""Longer words are names, which may be broken."""


def print_witness(console: Console, result: Result, *, unicode: bool, same_as: Result | None = None) -> None:
    """The block of one result: a heading, its sentence and timeline if there is a witness, else its reason.

    `same_as` has the same witness and was printed before: it is not told again.
    """
    heading = Text.assemble(
        (
            f"{mark_of(result, unicode=unicode)} {plain(result.guarantee)} ({plain(result.code)})",
            f"bold {style_of(result)}",
        ),
        f": {result.verdict}, expected {result.expected}",
    )
    console.print(heading)
    console.print(_indented(_facts(result)))
    if same_as:
        console.print()
        console.print(_indented(Text(f"the same witness as of {plain(same_as.guarantee)} ({same_as.code}) above")))
        console.print()
    elif result.witness:
        console.print()
        console.print(_indented(Text(plain(result.witness.sentence), style="bold")))
        if result.witness.events:
            console.print()
            witness = result.witness
            console.print(_indented(_timeline(witness.events, witness.place, witness.position, console.width - 2)))
        console.print()
    for line in _closing(result):
        console.print(_indented(Text(line)))
    if result.reproduce:
        console.print(Text(f"  reproduce: {plain(result.reproduce)}"), soft_wrap=True)


def witness_text(result: Result, width: int = 120) -> str:
    """The same block as plain lines, for reports that hold it as text."""
    stream = io.StringIO()
    print_witness(console_for(stream, color=False, width=width), result, unicode=True)
    return trimmed(stream.getvalue()).rstrip("\n")


def trimmed(text: str) -> str:
    """Without the blanks that rich fills lines with, also where they are styled."""
    return re.sub(r" +((?:\x1b\[[0-9;]*m| )*)$", lambda match: match[1].replace(" ", ""), text, flags=re.MULTILINE)


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
    if result.figures:
        lines.append(f"measured: {measured(result)}")
    return lines


def print_timeline(console: Console, events: Sequence[WitnessEvent], place: str, position: str) -> None:
    """Events in the order of time, in the system's words for where a message lies. There is at least one."""
    console.print(_timeline(events, place, position, console.width))


def _timeline(events: Sequence[WitnessEvent], place: str, position: str, width: int) -> RenderableType:
    """A table, with shorter headings and fewer columns where whole words need that, else two lines an event."""
    place, position = plain(place), plain(position)
    longest = max(event.at_ns for event in events)
    rows = [_row(event, longest) for event in events]
    full = _table(("time", "actor", "event", "message", "key#sequence", f"{place}@{position}"), rows, 2, width)
    if full is not None:
        return full
    short = [(*row[:3], f"{row[3]} {row[4]}".strip(), row[5]) for row in rows]
    narrow = ("time", "actor", "event", "message\nkey#seq.", f"{place}\n@{position}")
    return _table(narrow, short, 1, width) or _stacked(rows)


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]], gap: int, width: int) -> Table | None:
    """The rows in columns, without those that are empty; None if that leaves the words of events too little room."""
    shown = [index for index in range(len(headings)) if any(row[index] for row in rows)]
    room = width
    for index in shown:
        if headings[index] != "event":
            room -= gap + max(map(cell_len, [*headings[index].splitlines(), *(row[index] for row in rows)]))
    if room < _room_for([row[2] for row in rows]):
        return None
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="none")
    for index in shown:
        justify: JustifyMethod = "right" if headings[index] in {"time", "message"} else "left"
        heading = Text(headings[index], style="dim")
        table.add_column(heading, justify=justify, no_wrap=headings[index] != "event", overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    return table


def _room_for(events: list[str]) -> int:
    """Columns in which no word is broken, and that hold more than a word or two."""
    words = max(cell_len(word) for event in events for word in [*event.split(), ""])
    return max(min(words, _LONGEST_WORD), min(_ROOMY, max(map(cell_len, events))))


def _stacked(rows: list[tuple[str, ...]]) -> RenderableType:
    """Two lines an event: when, who and of what; and what happened."""
    lines: list[RenderableType] = []
    for time, actor, event, message, key, place in rows:
        about = "  ".join(part for part in (time, actor, message and f"message {message}", key, place) if part)
        lines += [Text(about, style="dim"), Padding(Text(event), (0, 0, 0, 2))]
    return Group(*lines)


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

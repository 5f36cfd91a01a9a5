"""A run as a timeline, for people and for programs."""

import json
from dataclasses import asdict
from typing import TextIO

from rich.console import Console
from rich.text import Text

from mqverify import __version__
from mqverify.events import Trace
from mqverify.report.console import console_for
from mqverify.report.json import FORMAT, run_document
from mqverify.report.terminal import run_line
from mqverify.report.text import count, plain
from mqverify.report.witness import print_timeline, trimmed

__all__ = ["write_trace", "write_trace_as_json"]


def write_trace(trace: Trace, stream: TextIO, *, color: bool = False, width: int | None = None) -> None:
    """What was run, its events, and how many are not shown."""
    console = console_for(stream, color=color, width=width)
    with console.capture() as capture:
        _print(trace, console)
    stream.write(trimmed(capture.get()))


def _print(trace: Trace, console: Console) -> None:
    console.print(Text.assemble((plain(trace.spec), "bold"), "  ", (plain(trace.file), "dim")))
    console.print(Text(run_line(trace.backend, trace.summary), style="dim"))
    console.print()
    if trace.events:
        print_timeline(console, trace.events, trace.place, trace.position)
    more = trace.total - len(trace.events)
    if more:
        console.print(Text(f"… and {more:,} more; narrow it with --key, --message or --worker, or raise --limit"))
    console.print()
    closing = f"{count(trace.total, 'event')}; nothing is judged here, `mqverify check` does that"
    console.print(Text(closing, style="dim"))
    if trace.world == "real":
        console.print(
            Text("this run was real, and cannot be repeated: with the same seed another differs", style="dim")
        )


def write_trace_as_json(trace: Trace, stream: TextIO) -> None:
    """One document, described in docs/reference/json.md; ASCII only."""
    document = {
        "format": FORMAT,
        "mqverify": __version__,
        "file": trace.file,
        "system": trace.system,
        "world": trace.world,
        "run": run_document(trace.spec, trace.backend, trace.summary),
        "give_up_reason": trace.summary.give_up_reason,
        "place": trace.place,
        "position": trace.position,
        "total": trace.total,
        "events": [asdict(event) for event in trace.events],
    }
    json.dump(document, stream, indent=2)
    stream.write("\n")

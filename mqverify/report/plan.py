"""What a check would run, for people and for programs: `mqverify check --dry-run`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TextIO

from rich.padding import Padding
from rich.text import Text

from mqverify.events import Planned
from mqverify.report.console import console_for
from mqverify.report.json import FORMAT
from mqverify.report.text import count, plain
from mqverify.report.witness import trimmed

__all__ = ["write_plan", "write_plan_as_json"]


def write_plan(planned: Sequence[Planned], seed: int, stream: TextIO, *, color: bool = False) -> None:
    """A spec after the other, with its backends, and what there is of it all."""
    console = console_for(stream, color=color)
    with console.capture() as capture:
        for (spec, file), members in groupby(planned, key=lambda one: (one.spec, one.file)):
            console.print(Text.assemble((plain(spec), "bold"), "  ", (plain(file), "dim")))
            for one in members:
                head = f"{plain(one.backend)}: {plain(one.system)}, {one.world}, {_runs(one, seed)}"
                console.print(Padding(Text(head), (0, 0, 0, 2)))
                console.print(Padding(_judged(one), (0, 0, 0, 4)))
        specs = len({one.file for one in planned})
        runs = sum(one.runs for one in planned)
        missing = sum(one.unsupported is not None for one in planned)
        closing = f"{count(specs, 'spec')}, {count(len(planned), 'scenario')}, {count(runs, 'run')}; nothing was run"
        console.print()
        console.print(Text(closing + (f"; {missing:,} unsupported" if missing else ""), style="bold"))
    stream.write(trimmed(capture.get()))


def _runs(one: Planned, seed: int) -> str:
    if one.runs < 2:
        return f"seed {seed}" if one.runs else "no run"
    return f"seeds {seed} to {seed + one.runs - 1}"


def _judged(one: Planned) -> Text:
    if one.unsupported:
        return Text(f"unsupported: {plain(one.unsupported)}", style="yellow")
    missing = dict(one.not_judged)
    judged = [name for name in one.guarantees if name not in missing]
    text = Text(", ".join(map(plain, judged)))
    for name, why in missing.items():
        text.append(f"{'; ' if text.plain else ''}{plain(name)} is unsupported: {plain(why)}", style="yellow")
    return text


def write_plan_as_json(planned: Sequence[Planned], seed: int, stream: TextIO) -> None:
    """One document, described in docs/reference/json.md; ASCII only."""
    scenarios = [{**asdict(one), "not_judged": dict(one.not_judged)} for one in planned]
    json.dump({"format": FORMAT, "seed": seed, "scenarios": scenarios}, stream, indent=2)
    stream.write("\n")

"""What `mqverify doctor` found, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

from rich.table import Table
from rich.text import Text

from mqverify.backends.checks import Check
from mqverify.report.console import console_for
from mqverify.report.json import FORMAT
from mqverify.report.text import count, plain
from mqverify.report.witness import trimmed

__all__ = ["write_checks", "write_checks_as_json"]

_STYLES = {"ok": "green", "missing": "bold red", "absent": "dim"}
_SIGNS = {"ok": "ok", "missing": "missing", "absent": "-"}


def write_checks(sections: Sequence[tuple[str, Sequence[Check]]], stream: TextIO, *, color: bool = False) -> None:
    """A table under each heading; below what is not there, how to mend it. A last line says whether all is well."""
    console = console_for(stream, color=color)
    with console.capture() as capture:
        for title, checks in sections:
            console.print(Text(plain(title), style="bold"))
            console.print(_table(checks))
            console.print()
        missing = [check.name for _, checks in sections for check in checks if check.state == "missing"]
        told = f"{count(len(missing), 'thing')} missing: {', '.join(missing)}" if missing else "nothing is missing"
        console.print(Text(plain(told), style="bold red" if missing else "bold green"))
    stream.write(trimmed(capture.get()))


def _table(checks: Sequence[Check]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=18, no_wrap=True)
    table.add_column(min_width=7, no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        found = Text(plain(check.found), style="" if check.state != "absent" else "dim")
        if check.mend:
            found.append(f"\n→ {plain(check.mend, keep=chr(10))}", style="" if check.state == "missing" else "dim")
        table.add_row(f"  {plain(check.name)}", Text(_SIGNS[check.state], style=_STYLES[check.state]), found)
    return table


def write_checks_as_json(sections: Sequence[tuple[str, Sequence[Check]]], stream: TextIO) -> None:
    """One document: `{"format", "ok", "sections": [{"title", "checks": [{"name", "state", "found", "mend"}]}]}`."""
    told = [{"title": title, "checks": [asdict(check) for check in checks]} for title, checks in sections]
    well = all(check.state != "missing" for _, checks in sections for check in checks)
    json.dump({"format": FORMAT, "ok": well, "sections": told}, stream, indent=2)
    stream.write("\n")

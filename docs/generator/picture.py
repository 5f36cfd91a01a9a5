"""The picture of a report that README shows, of the spec that README shows."""

import io
import re
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from mqverify import engine
from mqverify.events import CheckFinished
from mqverify.report.terminal import TerminalReport
from mqverify.search.executors import make_executor
from mqverify.spec.load import load_text

__all__ = ["picture"]

_README: Final = Path(__file__).parents[2] / "README.md"
_SPEC: Final = re.compile(r"<!-- file: (?P<file>\S+) -->\n+```yaml\n(?P<text>spec:.*?)```", re.DOTALL)
_WIDTH: Final = 124
_WALL_MS: Final = 1000
"""How long the check of the picture took: always the same, so that the picture is."""


def picture() -> str:
    """An SVG of what `mqverify check` prints of the first spec in README."""
    found = _SPEC.search(_README.read_text(encoding="utf-8"))
    if found is None:
        raise LookupError("README.md has no spec with `<!-- file: NAME -->` before it")
    spec = load_text(found["text"], found["file"], engine.registry())
    stream = io.StringIO()
    report = TerminalReport(stream, color=True, width=_WIDTH)
    with make_executor(1) as executor:
        for event in engine.check([spec], engine.Options(), executor):
            told = (
                CheckFinished(event.summary, event.exit_code, _WALL_MS) if isinstance(event, CheckFinished) else event
            )
            report.handle(told)
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ mqverify check {found['file']}"))
    console.print(Text.from_ansi(stream.getvalue()))
    svg = console.export_svg(title="mqverify", unique_id="mqverify")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"

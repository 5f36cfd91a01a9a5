"""Shows a diagnostic the way compilers do: where, the line, carets under the mistake, and what to do."""

import unicodedata

from mqverify.spec.diagnostics import Diagnostic
from mqverify.spec.texts import unsafe, visible

__all__ = ["MAX_WIDTH", "render"]

MAX_WIDTH = 100
"""Columns of a source line that are shown; of a longer one, those around the mistake."""

_CUT = "…"
_TAB = "    "


def render(diagnostic: Diagnostic) -> str:
    """Several lines of text, without a line end after the last and without anything that a terminal obeys."""
    place = f"{visible(diagnostic.file)}:{diagnostic.line}:{diagnostic.column}"
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {visible(diagnostic.message)}"]
    number = str(diagnostic.line)
    gutter = " " * len(number)
    lines.append(f"{gutter}--> {place}")
    if diagnostic.source_line.strip():
        source, indent, carets = _window(diagnostic.source_line, diagnostic.column - 1, diagnostic.width)
        lines += [f"{gutter} |", f"{number} | {source}".rstrip(), f"{gutter} | {' ' * indent}{'^' * carets}"]
    if diagnostic.help:
        lines.append(f"{gutter} = help: {visible(diagnostic.help)}")
    lines.append(f"{gutter} = see: mqverify explain {diagnostic.code}")
    return "\n".join(lines)


def _window(source: str, start: int, width: int) -> tuple[str, int, int]:
    """The part of a line to show, how far in the carets begin, and how many there are."""
    source = source.rstrip("\r\n")
    start = min(max(0, start), len(source))
    end = min(max(start + max(1, width), start + 1), max(len(source), start + 1))
    # Only what is near the mistake is ever looked at: a line may be a megabyte long.
    first = max(0, start - MAX_WIDTH)
    cells = [_cell(character) for character in source[first : end + MAX_WIDTH]]
    start, end = start - first, min(end - first, start - first + MAX_WIDTH)
    low, high = _shown(cells, start, end)
    before = _CUT if low > 0 or first > 0 else ""
    after = _CUT if high < len(cells) or first + len(cells) < len(source) else ""
    shown = before + "".join(cells[low:high]) + after
    indent = len(before) + sum(columns(cell) for cell in cells[low:start])
    carets = sum(columns(cell) for cell in cells[start : min(end, high)])
    return shown, indent, max(1, carets)


def _shown(cells: list[str], start: int, end: int) -> tuple[int, int]:
    """Which cells fit: those of the mistake first, then as many before it and after it as there is room for."""
    low, high, room = start, start, MAX_WIDTH
    while high < min(end, len(cells)) and columns(cells[high]) <= room:
        room -= columns(cells[high])
        high += 1
    while room > 0 and (low > 0 or high < len(cells)):
        before = columns(cells[low - 1]) if low > 0 else MAX_WIDTH + 1
        after = columns(cells[high]) if high < len(cells) else MAX_WIDTH + 1
        if before <= room and (start - low <= 60 or after > room):
            low, room = low - 1, room - before
        elif after <= room:
            high, room = high + 1, room - after
        else:
            break
    return low, high


def _cell(character: str) -> str:
    if character == "\t":
        return _TAB
    if unsafe(character):
        return f"\\u{ord(character):04x}"
    return character


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    width = 0
    for character in text:
        if unicodedata.combining(character) or character in "\u200b\u200c\u200d\ufe0e\ufe0f":
            continue
        width += 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
    return width

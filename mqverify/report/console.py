"""Where rich is set up: consoles that print what they are given, and interpret nothing in it."""

import os
from typing import TextIO

from rich.console import Console

__all__ = ["PIPE_WIDTH", "console_for"]

PIPE_WIDTH = 120
"""Columns of a file or a pipe, which have no width of their own; COLUMNS says otherwise."""


def console_for(stream: TextIO, *, color: bool, width: int | None = None) -> Console:
    """A console on the stream. Markup, emoji codes and highlighting are off: names in specs may look like them."""
    if width is None and not stream.isatty() and not os.environ.get("COLUMNS", "").isdecimal():
        width = PIPE_WIDTH
    return Console(
        file=stream,
        width=width,
        color_system="standard" if color else None,
        force_terminal=color or None,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )

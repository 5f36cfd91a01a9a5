"""Texts of specs inside Markdown: they stay texts, whatever they hold."""

import re

from mqverify.report.text import plain

__all__ = ["code_block", "escaped", "prose"]

_MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])|#(?!\w)")
"""What begins markup anywhere in a line. An underscore within a word begins nothing."""
_LEADING = re.compile(r"^(\d*)([-+=.)])")
"""What makes a list, a heading or a rule of a line that begins with it."""
_CALLS = re.compile(r"[@#](?=\w)|\bGH(?=-\d)|:(?=[\w+-]+:)", re.IGNORECASE)
_APART = "&#8203;"
"""A space of no width: a backslash keeps GitHub from none of notifying @somebody, linking #123, drawing an :emoji:."""
_SPAN = re.compile(r"(`[^`]*`)")
_MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\*[]<>|#"})
"""What begins markup in a text that we or the authors of a spec have written with Markdown in mind."""
_DOLLAR = "<span>$</span>"
"""As GitHub's page on mathematical expressions says it: two bare ones make a formula of what is between them."""


def escaped(text: str) -> str:
    """A text on one line, with nothing that Markdown, HTML or GitHub would take for its own."""
    safe = _MARKS.sub(r"\\\g<0>", plain(" ".join(text.split())))
    safe = _LEADING.sub(r"\1\\\2", safe)
    return _CALLS.sub(lambda match: f"{match[0]}{_APART}", safe).replace("$", _DOLLAR)


def prose(text: str) -> str:
    """A text on one line, in a paragraph or a cell, whose code spans are code: nothing else in it is markup."""
    parts = _SPAN.split(plain(" ".join(text.split())))
    return "".join(part.replace("|", "\\|") if part.startswith("`") else part.translate(_MARKUP) for part in parts)


def code_block(text: str) -> list[str]:
    """Lines as they are, in a fence that nothing in them can close. The lines hold no control characters."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *text.splitlines(), fence]

"""Collects the mistakes of one file, each with its place and its source line."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace

from mqverify.spec.diagnostics import Diagnostic
from mqverify.spec.nodes import Mark, Node
from mqverify.spec.texts import visible

__all__ = ["Issues", "did_you_mean", "split_lines"]

MOST = 200
"""More mistakes than this in one file help nobody."""

_LINE_END = re.compile("\r\n|\n|\r")


def split_lines(text: str) -> list[str]:
    return _LINE_END.split(text)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that is closest to a misspelt one."""
    candidates = list(known)
    if len(word) > 100:
        return None
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    for candidate in candidates:
        if candidate.lower().replace("-", "_").replace(" ", "_") == plain:
            return candidate
    close = difflib.get_close_matches(word, candidates, 1, 0.6) or difflib.get_close_matches(plain, candidates, 1, 0.6)
    return close[0] if close else None


class Issues:
    """The mistakes and warnings of one file."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.lines = split_lines(text)
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []

    @property
    def full(self) -> bool:
        """Whether further mistakes are not kept: then no care need be taken over them."""
        return len(self.errors) >= MOST

    def error(self, code: str, message: str, at: Node | Mark, help: str | None = None) -> None:  # noqa: A002
        """Report a mistake; a node is marked as bad, so that nobody complains about it again."""
        if not isinstance(at, Mark):
            if at.bad:
                return
            at.bad = True
        if not self.full:
            self.errors.append(self._diagnostic(code, message, at, help, "error"))

    def warn(self, code: str, message: str, at: Node | Mark, help: str | None = None) -> None:  # noqa: A002
        if len(self.warnings) < MOST:
            self.warnings.append(self._diagnostic(code, message, at, help, "warning"))

    def advise(self, at: Node, help: str) -> None:  # noqa: A002
        """Say better what to do about a mistake that was reported at this node by one who did not know its context."""
        place = (at.mark.line, at.mark.column)
        for index, found in enumerate(self.errors):
            if (found.line, found.column) == place:
                self.errors[index] = replace(found, help=visible(help))

    def _diagnostic(self, code: str, message: str, at: Node | Mark, text: str | None, severity: str) -> Diagnostic:
        mark = at if isinstance(at, Mark) else at.mark
        source = self.lines[mark.line - 1] if 0 < mark.line <= len(self.lines) else ""
        return Diagnostic(
            code,
            visible(message),
            self.file,
            mark.line,
            mark.column,
            mark.width,
            source,
            visible(text) if text is not None else None,
            severity,
        )

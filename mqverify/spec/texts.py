"""Texts from a spec, made fit to be shown: nothing in them that a terminal obeys, and none too long."""

import unicodedata

__all__ = ["quoted", "unsafe", "visible"]

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def unsafe(character: str) -> bool:
    """Whether a terminal or a reader's eye could be deceived by it: controls, directions, line separators."""
    return character in _DIRECTIONS or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """The text on one line, with what is unsafe written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(character):04x}" if unsafe(character) else character for character in text)


def quoted(text: str) -> str:
    """The text in quotes, cut where it is long."""
    return f"'{visible(text if len(text) <= 60 else text[:59] + '…')}'"

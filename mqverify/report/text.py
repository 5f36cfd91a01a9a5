"""Text that may come from a spec, made safe to print. Everything a report prints goes through here."""

import unicodedata

__all__ = ["count", "plain", "seconds"]

_JOINERS = "\u200c\u200d"  # they shape Persian, Indic scripts and emoji, and move nothing
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def plain(text: str, keep: str = "") -> str:
    r"""The text with control characters, bidirectional overrides and the like written out (`\x1b`, `\u202e`).

    Nothing in it can then move the cursor, change colours, reorder what is read or break a line, except the
    characters of `keep`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _harmless(character, keep) else _written_out(character) for character in text)


def _harmless(character: str, keep: str) -> bool:
    return character in keep or character in _JOINERS or unicodedata.category(character) not in _HIDDEN


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 spec`, `12,500 runs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def seconds(at_ns: int) -> str:
    """A moment of a run for people: `12.045 s`; as many digits as the moment has, and at least milliseconds."""
    whole, rest = divmod(at_ns, 1_000_000_000)
    digits = f"{rest:09d}"
    while len(digits) > 3 and digits.endswith("000"):
        digits = digits[:-3]
    return f"{whole:,}.{digits} s"

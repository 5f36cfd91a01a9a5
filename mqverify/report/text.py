"""Text that may come from a spec, made safe to print. Everything a report prints goes through here."""

import unicodedata

from mqverify.units import DAY, HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND

__all__ = ["clock", "count", "plain"]

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


def clock(at_ns: int, longest_ns: int) -> str:
    """A moment of a run, written as the sentences of witnesses do: `6.045000 s`, from an hour on `8d 14:00:03.503`.

    All moments of a table are written like its longest, so that they stand in line.
    """
    if longest_ns < HOUR:
        whole, micros = divmod(at_ns // MICROSECOND, 1_000_000)
        return f"{whole}.{micros:06d} s"
    days, rest = divmod(at_ns, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, rest = divmod(rest, SECOND)
    return f"{days}d {hours:02d}:{minutes:02d}:{seconds:02d}.{rest // MILLISECOND:03d}"

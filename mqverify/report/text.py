"""Text that may come from a spec, made safe to print. Everything a report prints goes through here."""

import unicodedata

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
    """A moment of a run for people, to the microsecond: `6.045000 s`, `1:06.045000`, `8d 00:00:06.045000`.

    All moments of a table are written like its longest, so that they stand in line.
    """
    whole, rest = divmod(at_ns // 1000, 1_000_000)
    if longest_ns < 60_000_000_000:
        return f"{whole}.{rest:06d} s"
    minutes, second = divmod(whole, 60)
    if longest_ns < 3_600_000_000_000:
        return f"{minutes}:{second:02d}.{rest:06d}"
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    prefix = f"{days}d " if longest_ns >= 86_400_000_000_000 else ""
    return f"{prefix}{hour:02d}:{minute:02d}:{second:02d}.{rest:06d}"

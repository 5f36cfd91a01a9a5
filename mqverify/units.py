"""Durations, sizes, rates, shares and ranges: from the words people write to integers, and back.

Durations are nanoseconds, sizes are bytes, rates are messages a second, shares are fractions of 1. What cannot be read
raises `UnitError`, whose `help` says what to write instead.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final, TypeVar

__all__ = [
    "DAY",
    "HOUR",
    "LONGEST",
    "MICROSECOND",
    "MILLISECOND",
    "MINUTE",
    "SECOND",
    "UnitError",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_one_in",
    "parse_range",
    "parse_rate",
    "parse_share",
    "parse_size",
]

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

LONGEST: Final = 36_500 * DAY
"""A hundred years: two of them still fit into 64 bits of nanoseconds."""
LARGEST: Final = 2**62
"""The largest size in bytes."""

_DURATIONS: Final = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "μs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": 7 * DAY,
}
_SIZES: Final = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_PER: Final = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}

_NUMBER: Final = r"[0-9]{1,30}(?:\.[0-9]{1,12})?"
_BARE: Final = re.compile(rf"[-+]?{_NUMBER}")
_DURATION_PART: Final = re.compile(rf"({_NUMBER})([a-zµμ]+)")
_SIZE: Final = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)")
_RATE: Final = re.compile(rf"({_NUMBER}) ?/ ?([a-z]+)")
_SHARE: Final = re.compile(rf"({_NUMBER}) ?%")
_ONE_IN: Final = re.compile(r"1 in ([0-9]{1,30})")

DURATION_HELP: Final = "write a duration with its unit: 500us, 20ms, 5s, 10m, 1h30m, 8d"
SIZE_HELP: Final = "write a size with its unit: 200B, 16KiB, 10MB, 1GiB"

_T = TypeVar("_T", int, float)


class UnitError(ValueError):
    """A quantity that cannot be read; `help` says what would do."""

    def __init__(self, message: str, help: str, *, beyond: bool = False) -> None:  # noqa: A002 - as in a diagnostic
        super().__init__(message)
        self.help = help
        self.beyond = beyond
        """It can be read and is more, or less, than can be."""


def _quote(text: str) -> str:
    shown = text if len(text) <= 40 else text[:39] + "…"
    return f"'{shown}'"


def parse_duration(text: str, *, signed: bool = False) -> int:
    """`1h30m` → nanoseconds."""
    if _BARE.fullmatch(text):
        number = text.lstrip("+")
        raise UnitError(f"{_quote(text)} is a duration without a unit", f"write {number}ms, {number}s, {number}m …")
    body = text[1:] if signed and text.startswith("-") else text
    total, end, last = Fraction(0), 0, LONGEST
    for part in _DURATION_PART.finditer(body):
        factor = _DURATIONS.get(part[2])
        if part.start() != end or factor is None or factor >= last:
            break
        total, end, last = total + Fraction(part[1]) * factor, part.end(), factor
    if not body or end != len(body):
        raise UnitError(f"{_quote(text)} is not a duration", DURATION_HELP)
    if total.denominator != 1:
        raise UnitError(f"{_quote(text)} is finer than a nanosecond", "a nanosecond is the shortest duration there is")
    if total > LONGEST:
        raise UnitError(f"{_quote(text)} is too long", "the longest duration is 36500d (a hundred years)", beyond=True)
    return -int(total) if body is not text else int(total)


def parse_size(text: str) -> int:
    """`1GiB` → bytes."""
    if _BARE.fullmatch(text):
        raise UnitError(f"{_quote(text)} is a size without a unit", f"write {text}B, {text}KiB, {text}MB …")
    match = _SIZE.fullmatch(text)
    factor = _SIZES.get(match[2]) if match else None
    if match is None or factor is None:
        raise UnitError(f"{_quote(text)} is not a size", SIZE_HELP)
    value = Fraction(match[1]) * factor
    if value.denominator != 1:
        raise UnitError(f"{_quote(text)} is not a whole number of bytes", SIZE_HELP)
    if value > LARGEST:
        raise UnitError(f"{_quote(text)} is too large", "the largest size is 4194304TiB", beyond=True)
    return int(value)


def parse_rate(text: str) -> float:
    """`1000/s` → messages a second."""
    if _BARE.fullmatch(text):
        raise UnitError(f"{_quote(text)} is a rate without a unit", f"write {text}/s, {text}/min or {text}/h")
    match = _RATE.fullmatch(text)
    per = _PER.get(match[2]) if match else None
    if match is None or per is None:
        raise UnitError(f"{_quote(text)} is not a rate", "write messages per time: 1000/s, 10/min, 60/h")
    value = float(Fraction(match[1]) / per)
    if not 0 < value <= 1e9:
        raise UnitError(
            f"{_quote(text)} is not a rate that can be kept",
            "a rate is above 0/s and at most 1000000000/s",
            beyond=True,
        )
    return value


def parse_share(text: str) -> float:
    """`20%` → 0.2."""
    if _BARE.fullmatch(text):
        raise UnitError(f"{_quote(text)} is a share without a unit", f"write {text}%")
    match = _SHARE.fullmatch(text)
    if match is None:
        raise UnitError(f"{_quote(text)} is not a share", "write a share of the whole: 20%, 2.5%")
    value = Fraction(match[1]) / 100
    if value > 1:
        raise UnitError(f"{_quote(text)} is more than the whole", "a share is at most 100%", beyond=True)
    return float(value)


def parse_one_in(text: str) -> int:
    """`1 in 1000` → 1000."""
    match = _ONE_IN.fullmatch(" ".join(text.split()))
    if match is None or not 1 <= int(match[1]) <= 10**9:
        raise UnitError(f"{_quote(text)} is not a share of messages", "write 1 in 1000: one of every thousand")
    return int(match[1])


def parse_range(text: str, parse: Callable[[str], _T]) -> tuple[_T, _T]:
    """`1ms..20ms` → both ends; a single value is a range of its own."""
    first, dots, last = text.partition("..")
    if not dots:
        value = parse(text)
        return value, value
    low, high = parse(first.strip()), parse(last.strip())
    if low > high:
        raise UnitError(
            f"the range {_quote(text)} runs backwards", f"write {last.strip()}..{first.strip()}", beyond=True
        )
    return low, high


def format_duration(nanoseconds: int) -> str:
    """The shortest exact spelling: 90s is `1m30s`, 1500ms is `1.5s`."""
    if nanoseconds < 0:
        return "-" + format_duration(-nanoseconds)
    if nanoseconds < MINUTE:
        for unit, factor in (("s", SECOND), ("ms", MILLISECOND), ("us", MICROSECOND)):
            if nanoseconds >= factor:
                return _decimal(Fraction(nanoseconds, factor)) + unit
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    parts = []
    for unit, factor in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        whole, nanoseconds = divmod(nanoseconds, factor)
        if whole:
            parts.append(f"{whole}{unit}")
    if nanoseconds:
        parts.append(_decimal(Fraction(nanoseconds, SECOND)) + "s")
    return "".join(parts)


def format_size(size: int) -> str:
    """The largest unit that says it exactly: 1048576 is `1MiB`, 10000000 is `10MB`."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]}{unit}"
    return f"{size}B"


def _decimal(value: Fraction) -> str:
    """A fraction of a power of ten, exactly, without trailing zeros."""
    whole, rest = divmod(value, 1)
    if not rest:
        return str(whole)
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, 1)
        digits += str(digit)
    return f"{whole}.{digits}"

"""The shapes of numbers with units: durations, sizes, rates, shares, and ranges of them."""

import re
from dataclasses import dataclass
from typing import Any, Final

from mqverify import units
from mqverify.spec.issues import Issues
from mqverify.spec.nodes import Node, Scalar, describe
from mqverify.spec.shapes import INVALID, JsonSchema, Quantity, Whole

__all__ = [
    "DURATION",
    "DURATION_PATTERN",
    "DURATION_RANGE",
    "ONE_IN",
    "RATE",
    "SHARE",
    "SIGNED_DURATION",
    "SIZE",
    "SIZE_PATTERN",
    "CountOrShare",
    "EveryTimeOrCount",
    "Never",
]

_NUMBER: Final = r"[0-9]+(\.[0-9]+)?"
_ONE_DURATION: Final = rf"({_NUMBER}(ns|us|µs|ms|s|m|min|h|d|w))+"
DURATION_PATTERN: Final = f"^{_ONE_DURATION}$"
_RANGE_PATTERN: Final = rf"^{_ONE_DURATION}( ?\.\. ?{_ONE_DURATION})?$"
SIZE_PATTERN: Final = rf"^{_NUMBER} ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
_COUNT_OR_SHARE_PATTERN: Final = (
    rf"^([0-9]+( ?\.\. ?[0-9]+)?|{_NUMBER} ?%( ?\.\. ?{_NUMBER} ?%)?)$"  # 20%..60%, 100..200
)


def _duration_range(text: str) -> tuple[int, int]:
    return units.parse_range(text, units.parse_duration)


def _signed_duration(text: str) -> int:
    return units.parse_duration(text, signed=True)


DURATION: Final = Quantity(units.parse_duration, "a duration such as 5s", DURATION_PATTERN, show=units.format_duration)
DURATION_RANGE: Final = Quantity(_duration_range, "a duration such as 5s, or a range such as 1s..5s", _RANGE_PATTERN)
SIGNED_DURATION: Final = Quantity(_signed_duration, "a duration such as 5s or -5s", f"^-?{_ONE_DURATION}$")
SIZE: Final = Quantity(units.parse_size, "a size such as 200B", SIZE_PATTERN, show=units.format_size)
RATE: Final = Quantity(units.parse_rate, "a rate such as 1000/s", rf"^{_NUMBER} ?/ ?(s|sec|m|min|h)$")
SHARE: Final = Quantity(units.parse_share, "a share such as 20%", rf"^{_NUMBER} ?%$")
ONE_IN: Final = Quantity(units.parse_one_in, "a share such as 1 in 1000", "^1 in [0-9]+$")

_COUNT = re.compile(r"0|[1-9][0-9]{0,24}")


@dataclass(frozen=True)
class CountOrShare:
    """Messages, a share of them, or a range of either. Reads to (low, high, is a share)."""

    what: str = "a number of messages, a share such as 20%, or a range such as 20%..60%"

    def read(self, node: Node, issues: Issues) -> Any:
        if node.bad:
            return INVALID
        if not isinstance(node, Scalar) or node.null:
            issues.error("MQ202", f"expected {self.what}, found {describe(node)}", node)
            return INVALID
        text = node.text.strip()
        try:
            if "%" in text:
                low, high = units.parse_range(text, units.parse_share)
                return low, high, True
            first, last = units.parse_range(text, _count)
            return float(first), float(last), False
        except units.UnitError as error:
            issues.error("MQ206" if error.beyond else "MQ205", str(error), node, error.help)
            return INVALID

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _COUNT_OR_SHARE_PATTERN}]}


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise units.UnitError(f"'{text[:40]}' is not a number of messages", "write 100, 100..200, 20% or 20%..60%")
    return min(int(text), 2**53)


@dataclass(frozen=True)
class EveryTimeOrCount:
    """`every: 5s` or `every: 100`. Reads to (time, count), one of them None."""

    what: str = "a time such as 5s, or a number of messages"

    def read(self, node: Node, issues: Issues) -> Any:
        if isinstance(node, Scalar) and node.plain and _COUNT.fullmatch(node.text):
            count = Whole(1, 10**7, "a number of messages").read(node, issues)
            return INVALID if count is INVALID else (None, count)
        shape = Quantity(units.parse_duration, self.what, "", least=1, show=lambda _: "1ns")
        time = shape.read(node, issues)
        return INVALID if time is INVALID else (time, None)

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "integer", "minimum": 1}, DURATION.schema()]}


@dataclass(frozen=True)
class Never:
    """A range of durations, or `never`, which reads to None."""

    what: str = "a duration such as 5s, a range such as 1s..5s, or never"

    def read(self, node: Node, issues: Issues) -> Any:
        if isinstance(node, Scalar) and node.text == "never":
            return None
        return DURATION_RANGE.read(node, issues)

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"const": "never"}, DURATION_RANGE.schema()]}

"""The shapes that a value of a spec may have: each reads a node, or says what is wrong with it, and describes itself.

One table of shapes gives both the reading of a spec and its JSON Schema, so that the two cannot drift apart. Reading
brings the many ways to write a value to one; what cannot be read is reported once and becomes `INVALID`.
"""

import re
from collections.abc import Callable
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mqverify import units
from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.nodes import Node, Scalar, describe
from mqverify.spec.texts import quoted, unsafe

__all__ = [
    "INVALID",
    "NAME_PATTERN",
    "Choice",
    "Flag",
    "JsonSchema",
    "Line",
    "Name",
    "Number",
    "Quantity",
    "Shape",
    "Text",
    "Whole",
]

JsonSchema = dict[str, Any]

INVALID: Final = object()
"""What reading gives where a mistake was reported."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?")
NAME_PATTERN: Final = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?$"


class Shape(Protocol):
    """Reads one value and describes itself to editors."""

    def read(self, node: Node, issues: Issues) -> Any: ...

    def schema(self) -> JsonSchema: ...


def _scalar(node: Node, issues: Issues, expected: str) -> Scalar | None:
    """The node as a single value, else the mistake is reported."""
    if isinstance(node, Scalar) and not node.null:
        return None if node.bad else node
    issues.error("MQ202", f"expected {expected}, found {describe(node)}", node)
    return None


def _words(node: Node, issues: Issues, expected: str) -> Scalar | None:
    """The node as a text; what YAML takes for a number or a boolean has to be quoted."""
    scalar = _scalar(node, issues, expected)
    if scalar is not None and scalar.plain and (scalar.text in {"true", "false"} or _DECIMAL.fullmatch(scalar.text)):
        kind = "a boolean" if scalar.text in {"true", "false"} else "a number"
        issues.error("MQ202", f"expected {expected}, found {kind}", scalar, f"quote it: '{scalar.text[:40]}'")
        return None
    return scalar


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int = 0
    most: int = 10**9
    what: str = "a whole number"

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _scalar(node, issues, self.what)
        if scalar is None:
            return INVALID
        if not scalar.plain or not _INTEGER.fullmatch(scalar.text):
            advice = "remove the quotes" if not scalar.plain and _INTEGER.fullmatch(scalar.text) else None
            issues.error("MQ202", f"expected {self.what}, found {describe(scalar)}", scalar, advice)
            return INVALID
        value = int(scalar.text) if len(scalar.text) <= 25 else None
        if value is None or not self.least <= value <= self.most:
            issues.error(
                "MQ206", f"{scalar.text[:40]} is out of range", scalar, f"from {self.least} to {self.most} is possible"
            )
            return INVALID
        return value

    def schema(self) -> JsonSchema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number:
    """A number that may have decimals."""

    least: float = 0
    most: float = 1e9
    what: str = "a number"

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _scalar(node, issues, self.what)
        if scalar is None:
            return INVALID
        if not scalar.plain or not _DECIMAL.fullmatch(scalar.text):
            issues.error("MQ202", f"expected {self.what}, found {describe(scalar)}", scalar)
            return INVALID
        value = float(scalar.text)
        if not self.least <= value <= self.most:
            issues.error(
                "MQ206",
                f"{scalar.text[:40]} is out of range",
                scalar,
                f"from {self.least:g} to {self.most:g} is possible",
            )
            return INVALID
        return value

    def schema(self) -> JsonSchema:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Flag:
    """true or false."""

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _scalar(node, issues, "true or false")
        if scalar is None:
            return INVALID
        if scalar.plain and scalar.text in {"true", "false"}:
            return scalar.text == "true"
        issues.error("MQ202", f"expected true or false, found {describe(scalar)}", scalar)
        return INVALID

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice:
    """One of a few words. `instead` says of other words why they are none."""

    words: tuple[str, ...]
    what: str = "word"
    instead: Names[str, str] = field(default_factory=dict)
    of: str = ""
    """The setting whose value it is."""
    beside: str = ""
    """What else may stand here, which another shape reads."""

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _scalar(node, issues, self._list())
        if scalar is None:
            return INVALID
        if scalar.text in self.words:
            return scalar.text
        advice = self.instead.get(scalar.text)
        if advice is None:
            meant = did_you_mean(scalar.text, self.words)
            advice = f"did you mean '{meant}'?" if meant else f"it is {self._list()}"
        unknown = f"value {describe(scalar)} of '{self.of}'" if self.of else f"{self.what} {describe(scalar)}"
        issues.error("MQ204", f"unknown {unknown}", scalar, advice)
        return INVALID

    def _list(self) -> str:
        if self.beside:
            return ", ".join(self.words) + f", or {self.beside}"
        if len(self.words) == 1:
            return self.words[0]
        return ", ".join(self.words[:-1]) + " or " + self.words[-1]

    def schema(self) -> JsonSchema:
        values: list[Any] = list(self.words)
        values += [int(word) for word in self.words if _INTEGER.fullmatch(word)]
        return {"enum": values}


@dataclass(frozen=True)
class Quantity:
    """A number with a unit: the text is handed to one of the readers of `mqverify.units`."""

    parse: Callable[[str], Any]
    what: str
    pattern: str
    least: float | None = None
    show: Callable[[Any], str] = str

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _scalar(node, issues, self.what)
        if scalar is None:
            return INVALID
        try:
            value = self.parse(scalar.text.strip())
        except units.UnitError as error:
            issues.error("MQ206" if error.beyond else "MQ205", str(error), scalar, error.help)
            return INVALID
        lowest = value[0] if isinstance(value, tuple) else value
        if self.least is not None and lowest < self.least:
            issues.error(
                "MQ206", f"{describe(scalar)} is too small", scalar, f"at least {self.show(self.least)} is needed"
            )
            return INVALID
        return value

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True)
class Line:
    """A text of one line, without characters that a terminal obeys."""

    what: str = "a text"
    longest: int = 500

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _words(node, issues, self.what)
        if scalar is None:
            return INVALID
        text = scalar.text.strip()
        bad = next((c for c in text if unsafe(c)), None)
        if bad is not None:
            kind = "a line end" if bad in "\r\n" else f"the control character U+{ord(bad):04X}"
            issues.error(
                "MQ208", f"{kind} in {self.what}", scalar, "it appears in reports: keep it to one printable line"
            )
        elif not text:
            issues.error("MQ208", f"{self.what} that is empty", scalar)
        elif len(text) > self.longest:
            issues.error(
                "MQ208", f"{self.what} of {len(text)} characters", scalar, f"at most {self.longest} are possible"
            )
        else:
            return text
        return INVALID

    def schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1, "maxLength": self.longest}


@dataclass(frozen=True)
class Text:
    """A text of any number of lines."""

    longest: int = 20_000
    what: str = "a text, of several lines if need be"

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _words(node, issues, "a text")
        if scalar is None:
            return INVALID
        bad = next((c for c in scalar.text if c not in "\n\t" and unsafe(c)), None)
        if bad is not None:
            issues.error("MQ208", f"the control character U+{ord(bad):04X} in a text", scalar, "remove it")
            return INVALID
        if len(scalar.text) > self.longest:
            issues.error("MQ208", f"a text of {len(scalar.text)} characters", scalar, f"at most {self.longest}")
            return INVALID
        return scalar.text.strip()

    def schema(self) -> JsonSchema:
        return {"type": "string"}


@dataclass(frozen=True)
class Name:
    """A name that becomes part of topics, groups and command lines."""

    what: str = "a name"

    def read(self, node: Node, issues: Issues) -> Any:
        scalar = _words(node, issues, self.what)
        if scalar is None:
            return INVALID
        if _NAME.fullmatch(scalar.text):
            return scalar.text
        issues.error(
            "MQ208",
            f"{quoted(scalar.text)} cannot be {self.what}",
            scalar,
            "letters a to z, digits, '-', '_' and '.', at most 100, beginning with a letter or digit",
        )
        return INVALID

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": NAME_PATTERN}

"""The shapes that a value of a spec may have: each reads a node, or says what is wrong with it, and describes itself.

One table of shapes gives both the reading of a spec and its JSON Schema, so that the two cannot drift apart. Reading
brings the many ways to write a value to one; what cannot be read is reported once and becomes `INVALID`.
"""

import re
import unicodedata
from collections.abc import Callable
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mqverify import units
from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.nodes import Mapping, Node, Scalar, Sequence, describe

__all__ = [
    "INVALID",
    "Choice",
    "Flag",
    "Line",
    "List",
    "Name",
    "Number",
    "OneOf",
    "Quantity",
    "Record",
    "Shape",
    "Text",
    "Whole",
    "Word",
]

JsonSchema = dict[str, Any]

INVALID: Final = object()
"""What reading gives where a mistake was reported."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?")
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
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
        issues.error("MQ202", f"expected {expected}, found {kind}", scalar, f"quote it: '{_cut(scalar.text)}'")
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
                "MQ206", f"{_cut(scalar.text)} is out of range", scalar, f"from {self.least} to {self.most} is possible"
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
                f"{_cut(scalar.text)} is out of range",
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
        issues.error("MQ204", f"unknown {self.what} {describe(scalar)}", scalar, advice)
        return INVALID

    def _list(self) -> str:
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
            f"{describe_safely(scalar.text)} cannot be {self.what}",
            scalar,
            "letters a to z, digits, '-', '_' and '.', at most 100, beginning with a letter or digit",
        )
        return INVALID

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": NAME_PATTERN}


@dataclass(frozen=True)
class List:
    """A list of values of one shape; a single value is a list of its own where `single` allows it."""

    item: Shape
    single: bool = False
    least: int = 0
    what: str = "a list"

    def read(self, node: Node, issues: Issues) -> Any:
        if node.bad:
            return INVALID
        if self.single and isinstance(node, Scalar) and not node.null:
            value = self.item.read(node, issues)
            return value if value is INVALID else (value,)
        if not isinstance(node, Sequence):
            issues.error("MQ202", f"expected {self.what}, found {describe(node)}", node)
            return INVALID
        values = tuple(self.item.read(item, issues) for item in node.items)
        if len(values) < self.least:
            issues.error("MQ206", f"{self.what} of {len(values)} is too short", node, f"at least {self.least}")
            return INVALID
        return INVALID if any(value is INVALID for value in values) else values

    def schema(self) -> JsonSchema:
        many: JsonSchema = {"type": "array", "items": self.item.schema()}
        if self.least:
            many["minItems"] = self.least
        return {"anyOf": [self.item.schema(), many]} if self.single else many


@dataclass(frozen=True)
class Word:
    """A key of a mapping: what its value is, and one line that says what it means."""

    shape: Shape
    about: str
    required: bool = False


@dataclass(frozen=True)
class Record:
    """A mapping with known keys. Reads to a dictionary of those that are there and right."""

    words: Names[str, Word]
    what: str = "a mapping"
    empty: bool = False
    """Nothing at all is an empty mapping."""
    elsewhere: Names[str, str] = field(default_factory=dict)
    """Keys that are none here, with where they belong."""

    def read(self, node: Node, issues: Issues) -> Any:
        if node.bad:
            return INVALID
        if self.empty and isinstance(node, Scalar) and node.null:
            return {}
        if not isinstance(node, Mapping):
            issues.error("MQ202", f"expected {self.what}, found {describe(node)}", node, self._keys())
            return INVALID
        values: dict[str, Any] = {}
        for entry in node.entries:
            word = self.words.get(entry.key.text)
            if word is None:
                unknown_key(entry.key, self.words, issues, self.elsewhere.get(entry.key.text))
            else:
                values[entry.key.text] = word.shape.read(entry.value, issues)
        for name, word in self.words.items():
            if word.required and name not in values and not self._misspelt(name, node):
                issues.error("MQ201", f"missing key '{name}' in {self.what}", node.mark, word.about)
                node.bad = True
        return values

    def _misspelt(self, name: str, node: Mapping) -> bool:
        """Whether an unknown key, reported already, was meant to be this one."""
        return any(
            entry.key.text not in self.words and did_you_mean(entry.key.text, self.words) == name
            for entry in node.entries
        )

    def _keys(self) -> str:
        return "its keys are " + ", ".join(self.words)

    def schema(self) -> JsonSchema:
        properties = {}
        for name, word in self.words.items():
            properties[name] = {"description": word.about, **word.shape.schema()}
        made: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
        required = [name for name, word in self.words.items() if word.required]
        if required:
            made["required"] = required
        if self.empty:
            made["type"] = ["object", "null"]
        return made


@dataclass(frozen=True)
class OneOf:
    """Several ways to write one thing: which one is meant is plain from the kind of node."""

    scalar: Shape | None = None
    sequence: Shape | None = None
    mapping: Shape | None = None
    what: str = "a value"

    def read(self, node: Node, issues: Issues) -> Any:
        if node.bad:
            return INVALID
        shape = self.mapping if isinstance(node, Mapping) else self.scalar
        if isinstance(node, Sequence):
            shape = self.sequence
        if shape is None:
            issues.error("MQ202", f"expected {self.what}, found {describe(node)}", node)
            return INVALID
        return shape.read(node, issues)

    def schema(self) -> JsonSchema:
        shapes = [shape for shape in (self.scalar, self.sequence, self.mapping) if shape is not None]
        return {"anyOf": [shape.schema() for shape in shapes]}


def unknown_key(key: Scalar, known: Names[str, Any], issues: Issues, advice: str | None = None) -> None:
    """Report a key that is none."""
    if advice is None:
        meant = did_you_mean(key.text, known)
        advice = f"did you mean '{meant}'?" if meant else "its keys are " + ", ".join(known)
    issues.error("MQ203", f"unknown key {describe_safely(key.text)}", key, advice)


def describe_safely(text: str) -> str:
    """A text from a spec in quotes, cut, with what a terminal would obey made visible."""
    shown = "".join(f"\\u{ord(c):04x}" if unsafe(c) else c for c in text[:60])
    return f"'{shown}…'" if len(text) > 60 else f"'{shown}'"


def unsafe(character: str) -> bool:
    """Whether a terminal or a reader's eye could be deceived by it: controls, directions, line separators."""
    return character in _DIRECTIONS or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"

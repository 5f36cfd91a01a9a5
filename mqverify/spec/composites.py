"""Shapes made of shapes: lists, mappings with known keys, and several ways to write one thing."""

from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from typing import Any

from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.nodes import Mapping, Node, Scalar, Sequence, describe
from mqverify.spec.shapes import INVALID, JsonSchema, Shape
from mqverify.spec.texts import quoted

__all__ = ["List", "OneOf", "Record", "Word", "unknown_key"]


@dataclass(frozen=True)
class List:
    """A list of values of one shape; a single value is a list of its own where `single` allows it."""

    item: Shape
    single: bool = False
    least: int = 0
    most: int | None = None
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
        if self.most is not None and len(values) > self.most:
            issues.error("MQ206", f"{self.what} of {len(values)} is too long", node, f"at most {self.most}")
            return INVALID
        return INVALID if any(value is INVALID for value in values) else values

    def schema(self) -> JsonSchema:
        many: JsonSchema = {"type": "array", "items": self.item.schema()}
        if self.least:
            many["minItems"] = self.least
        if self.most is not None:
            many["maxItems"] = self.most
        return {"anyOf": [self.item.schema(), many]} if self.single else many


@dataclass(frozen=True)
class Word:
    """A key of a mapping: what its value is, and one line that says what it means."""

    shape: Shape
    about: str
    required: bool = False


@dataclass(frozen=True)
class Record:
    """A mapping with known keys. Reads to a dictionary of those that are there; what is wrong or missing is INVALID."""

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
            issues.error("MQ202", f"{self.what} is a mapping, found {describe(node)}", node, self._keys())
            return INVALID
        values: dict[str, Any] = {}
        for entry in node.entries:
            word = self.words.get(entry.key.text)
            if word is None:
                unknown_key(entry.key, self.words, issues, self.elsewhere.get(entry.key.text))
            else:
                values[entry.key.text] = word.shape.read(entry.value, issues)
        for name, word in self.words.items():
            if word.required and name not in values:
                values[name] = INVALID
                if not self._misspelt(name, node):
                    issues.error("MQ201", f"missing key '{name}' in {self.what}", node.mark, word.about)
        return values

    def _misspelt(self, name: str, node: Mapping) -> bool:
        """Whether an unknown key, reported already, was meant to be this one."""
        unknown = [entry.key.text for entry in node.entries if entry.key.text not in self.words]
        return any(did_you_mean(word, self.words) == name for word in unknown[:50])

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
    if issues.full:
        return
    if advice is None:
        meant = did_you_mean(key.text, known)
        advice = f"did you mean '{meant}'?" if meant else "its keys are " + ", ".join(known)
    issues.error("MQ203", f"unknown key {quoted(key.text)}", key, advice)

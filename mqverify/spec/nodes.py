"""What a spec's YAML becomes: scalars as written, sequences and mappings, each with its place in the file."""

from dataclasses import dataclass, field

from mqverify.spec.texts import quoted

__all__ = ["Entry", "Mapping", "Mark", "Node", "Scalar", "Sequence", "describe"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file: line and column from 1, columns and width in characters."""

    line: int
    column: int
    width: int = 1


@dataclass(slots=True)
class Scalar:
    """A single value. The text is what was written; nothing has been made of it yet."""

    mark: Mark
    text: str
    plain: bool
    """Written without quotes."""
    bad: bool = False
    """A mistake in it has been reported; nothing more is to be said about it."""

    @property
    def null(self) -> bool:
        return self.plain and self.text in {"", "~", "null", "Null", "NULL"}


@dataclass(slots=True)
class Sequence:
    mark: Mark
    items: "list[Node]" = field(default_factory=list)
    bad: bool = False


@dataclass(slots=True)
class Entry:
    key: Scalar
    value: "Node"


@dataclass(slots=True)
class Mapping:
    mark: Mark
    entries: list[Entry] = field(default_factory=list)
    bad: bool = False

    def get(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key.text == name), None)


Node = Scalar | Sequence | Mapping


def describe(node: Node) -> str:
    """What a node is, in the words of a diagnostic."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.null:
        return "nothing"
    return quoted(node.text)

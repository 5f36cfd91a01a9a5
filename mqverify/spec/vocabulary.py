"""The words of a spec with what they mean, for `mqverify explain`: in the same texts that the JSON Schema has."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Names
from dataclasses import dataclass, replace
from typing import Final

from mqverify.spec.backend_sections import OWN_WORDS
from mqverify.spec.composites import List, OneOf, Record, Word
from mqverify.spec.document import REQUIRED, TOP, TOP_SHAPES
from mqverify.spec.fault_lines import Moment, fault_words
from mqverify.spec.registry import Registry
from mqverify.spec.shapes import Choice, Flag, Number, Shape, Whole
from mqverify.spec.workload_words import WORKLOAD, Groups, Made

__all__ = ["SpecWord", "spec_words", "words_called"]

_DEFAULT: Final = re.compile(r"[.;] Default: (?P<default>.+)$")


@dataclass(frozen=True, slots=True)
class SpecWord:
    """A word at one place of a spec. `path` leads to it from the top: `("workload", "groups", "NAME", "joins")`."""

    path: tuple[str, ...]
    about: str
    values: str
    """What may stand behind it."""
    default: str
    keys: tuple[str, ...]
    """What may stand below it."""
    required: bool

    @property
    def name(self) -> str:
        return self.path[-1]


def spec_words(registry: Registry) -> tuple[SpecWord, ...]:
    """Every word of a spec but names of guarantees, systems and settings, each place once, in the order of a spec."""
    found: dict[tuple[str, ...], SpecWord] = {}
    for word in _all_words(registry):
        found.setdefault(word.path, word)
    return tuple(found.values())


def words_called(name: str, registry: Registry) -> list[SpecWord]:
    """The places of a word, those near the top first: `settle`, or less of them: `workload.settle`, `crash.when`."""
    wanted = name.split(".")
    found = [word for word in spec_words(registry) if word.name == wanted[-1] and _within(wanted, word.path)]
    exact = [word for word in found if word.path == tuple(wanted)]
    return exact if exact and len(wanted) > 1 else sorted(found, key=lambda word: len(word.path))


def _within(parts: Sequence[str], path: Sequence[str]) -> bool:
    """Whether the path has these parts, in this order."""
    rest = iter(path)
    return all(part in rest for part in parts)


def _all_words(registry: Registry) -> Iterator[SpecWord]:
    for name, about in TOP.items():
        shape = TOP_SHAPES.get(name)
        word = _word((name,), about, shape, required=name in REQUIRED)
        keys = {"backends": registry.systems, "faults": registry.fault_kinds, "expect": registry.guarantees}.get(name)
        yield word if keys is None else replace(word, keys=tuple(keys))
        if name == "workload":
            yield from _below(("workload",), WORKLOAD)
        elif name == "backends":
            yield from (_word(("backends", "LABEL", own), text, None) for own, text in OWN_WORDS.items())
        elif name == "faults":
            for kind in registry.fault_kinds.values():
                yield from _of_record(("faults", kind.name), fault_words(kind), skip=kind.name)


def _of_record(path: tuple[str, ...], words: Names[str, Word], skip: str = "") -> Iterator[SpecWord]:
    for name, word in words.items():
        here = path if name == skip else (*path, name)
        if name != skip:
            yield _word(here, word.about, word.shape, required=word.required)
        yield from _below(here, word.shape)


def _below(path: tuple[str, ...], shape: Shape) -> Iterator[SpecWord]:
    """The words of the mappings that a value of this shape may be."""
    for record, inner in _records(path, shape):
        yield from _of_record(inner, record.words)


def _records(path: tuple[str, ...], shape: Shape | None) -> Iterator[tuple[Record, tuple[str, ...]]]:
    match shape:
        case Record():
            yield shape, path
        case Made():
            yield from _records(path, shape.shape)
        case OneOf():
            yield from _records(path, shape.mapping)
        case Groups():
            yield from _records((*path, "NAME"), shape.group)
        case Moment():
            yield from _records(path, shape.record())
        case _:
            pass


def _word(path: tuple[str, ...], about: str, shape: Shape | None, *, required: bool = False) -> SpecWord:
    match = _DEFAULT.search(about)
    keys = tuple(name for record, _ in _records(path, shape) for name in record.words)
    meaning = about[: match.start()] if match else about
    return SpecWord(path, meaning, _values(shape), match["default"] if match else "", keys, required)


def _values(shape: Shape | None) -> str:
    """What a value of this shape looks like, in a line."""
    match shape:
        case Made():
            return _values(shape.shape)
        case Choice():
            return ", ".join(shape.words) + (f", {shape.beside}" if shape.beside else "")
        case Flag():
            return "true, false"
        case Whole() | Number():
            return f"{shape.what}, from {shape.least} to {shape.most}"
        case OneOf():
            return _values(shape.scalar) if isinstance(shape.scalar, Choice) else shape.what
        case List():
            return shape.what
        case Record() | None:
            return ""
        case _:
            return str(getattr(shape, "what", ""))

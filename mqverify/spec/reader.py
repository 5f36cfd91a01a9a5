"""Reads the YAML of a spec into nodes that know their place, and refuses what is not meant for a spec.

Specs are untrusted input. The events of `yaml.parse` are walked one by one and depth, number and aliases are counted
*before* anything is built, so that no bomb goes off; nothing is ever resolved to a Python object. Scalars stay text:
what a word may be is decided by the word, never by YAML. Words that YAML 1.1 makes something surprising of (`on`,
`1:30`, `012`) are mistakes, since an editor or another tool would read them otherwise than we do.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mqverify.spec.issues import Issues, split_lines
from mqverify.spec.nodes import Entry, Mapping, Mark, Node, Scalar, Sequence
from mqverify.spec.texts import quoted

__all__ = ["DEEPEST", "MOST_ALIASES", "MOST_NODES", "read_yaml"]

DEEPEST = 50
_DEEP = f"nested more than {DEEPEST} deep"
_DEPTH_ADVICE = "a spec needs no more than ten"
MOST_NODES = 20_000
"""Nodes of a file with every alias written out."""
MOST_ALIASES = 1_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TOO_DEEP = "exceeded maximum nesting depth"
"""What newer releases of libyaml say of brackets a thousand deep, before they tell of the first of them."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]|(?<!\\A)\ufeff")

_BOOLEAN = re.compile(r"(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_EXPONENT = re.compile(r"[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*[eE][-+]?[0-9]+")
_OCTAL = re.compile(r"[-+]?0[0-9_]+|[-+]?0o[0-7_]+")
_BASED = re.compile(r"[-+]?0[xb][0-9a-fA-F_]+")
_GROUPED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class _Refused(Exception):
    """Reading ends here; the mistake has been reported."""


def read_yaml(text: str, issues: Issues) -> Node | None:
    """The nodes of the file's one document; None if it cannot be read or is empty, with the mistakes reported."""
    bad = _FORBIDDEN.search(text)
    if bad:
        line, column = _place(text, bad.start())
        issues.error(
            "MQ004",
            f"the control character U+{ord(bad[0]):04X} in the file",
            Mark(line, column),
            'remove it; in a quoted text write it as an escape, as in "\\u0007"',
        )
        return None
    text = text.removeprefix("\ufeff")
    try:
        return _Builder(text, issues).document()
    except _Refused:
        return None
    except yaml.YAMLError as error:
        _report_syntax(error, text, issues)
        return None


def _place(text: str, index: int) -> tuple[int, int]:
    before = split_lines(text[:index])
    return len(before), len(before[-1]) + 1


def _report_syntax(error: yaml.YAMLError, text: str, issues: Issues) -> None:
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None)
    start = getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    lines = issues.lines
    if line > len(lines) or (line == len(lines) and not lines[-1]):
        line = len(lines) if lines[-1] or len(lines) == 1 else len(lines) - 1
        column = len(lines[line - 1]) + 1
    if problem == _TOO_DEEP:
        issues.error("MQ006", _DEEP, Mark(line, column), _DEPTH_ADVICE)
        return
    message = f"this is not YAML: {problem}"
    if context and "next token" not in context:
        message += f", {context}"
        if start is not None and start.line + 1 != line:
            message += f" that begins in line {start.line + 1}"
    issues.error("MQ005", message, Mark(line, max(1, column)), _advice(problem, lines[line - 1]))


def _advice(problem: str, source: str) -> str:
    """What usually lies behind a complaint of the YAML parser's."""
    if "\t" in source[: len(source) - len(source.lstrip())]:
        return "indent with spaces: YAML allows no tabs"
    if "expected key" in problem or "expected ':'" in problem or "'-' indicator" in problem:
        return "lines of one block begin in one column: compare with the line above"
    if "',' or" in problem:
        return "a bracket is not closed, or a text inside it has to be quoted"
    if "end of stream" in problem:
        return "a quote is not closed"
    quoting = "quote a text that holds ': ', ' #' or begins with one of @ ` % & * ! [ { | >"
    if "mapping values are not allowed" in problem and source.count(": ") + source.rstrip().endswith(":") < 2:
        return f"begin this line in the same column as the keys beside it: it is indented too far; else {quoting}"
    return quoting


class _Builder:
    """Builds nodes from events, counting as it goes."""

    def __init__(self, text: str, issues: Issues) -> None:
        self._issues = issues
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, tuple[Node | None, int]] = {}
        self._nodes = 0
        self._aliases = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse_second(event, root)
                    break
            elif not isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)):
                root = self._node(event, 1)
        return root

    def _refuse_second(self, event: Any, root: Node | None) -> None:
        if isinstance(root, Mapping) and root.get("spec") is None:
            return  # Not one of ours, whatever follows.
        self._issues.error(
            "MQ010",
            "a second document begins here",
            _mark(event),
            "one spec a file: move what follows '---' to a file of its own",
        )

    def _node(self, event: Any, depth: int) -> Node:
        self._count(event, 1)
        if depth > DEEPEST:
            self._refuse("MQ006", _DEEP, event, _DEPTH_ADVICE)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        anchor, first = event.anchor, self._nodes
        if anchor is not None:
            self._anchors[anchor] = (None, 0)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if getattr(event, "tag", None) is not None:
            self._issues.error(
                "MQ008",
                f"the tag {quoted(event.tag)} is not allowed",
                _mark(event),
                "a spec is plain data: remove the tag",
            )
            node.bad = True
        if anchor is not None:
            self._anchors[anchor] = (node, self._nodes - first + 1)
        return node

    def _alias(self, event: Any) -> Node:
        self._aliases += 1
        if self._aliases > MOST_ALIASES:
            self._refuse("MQ007", f"more than {MOST_ALIASES} aliases", event, "write out what is meant")
        if event.anchor not in self._anchors:
            self._refuse("MQ007", f"the alias {quoted('*' + event.anchor)} has no anchor", event, None)
        node, size = self._anchors[event.anchor]
        if node is None:
            self._refuse("MQ007", f"the alias {quoted('*' + event.anchor)} contains itself", event, None)
        self._count(event, size)
        assert node is not None
        return node

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self._refuse(
                "MQ007", f"more than {MOST_NODES} values, aliases written out", event, "a spec needs a hundred or so"
            )

    def _refuse(self, code: str, message: str, event: Any, advice: str | None) -> None:
        self._issues.error(code, message, _mark(event), advice)
        raise _Refused

    def _scalar(self, event: Any) -> Scalar:
        scalar = Scalar(_mark(event), event.value, event.style is None or event.style == "")
        trap = _trap(scalar) if scalar.plain else None
        if trap:
            what, advice = trap
            self._issues.error("MQ011", f"{quoted(scalar.text)} is {what} to YAML 1.1", scalar, advice)
        return scalar

    def _sequence(self, event: Any, depth: int) -> Sequence:
        sequence = Sequence(_mark(event))
        for inner in self._events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            sequence.items.append(self._node(inner, depth + 1))
        return sequence

    def _mapping(self, event: Any, depth: int) -> Mapping:
        mapping = Mapping(_mark(event))
        seen: dict[str, Mark] = {}
        for inner in self._events:
            if isinstance(inner, yaml.MappingEndEvent):
                break
            key = self._node(inner, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if isinstance(key, Scalar) and self._key_stands(key, seen):
                mapping.entries.append(Entry(key, value))
            elif not isinstance(key, Scalar):
                self._issues.error("MQ012", "a key that is not a word", _mark(inner), "keys are words: 'name: value'")
        return mapping

    def _key_stands(self, key: Scalar, seen: dict[str, Mark]) -> bool:
        """Whether the key is one: a word, not a merge key, and not there already."""
        if key.bad:
            return False
        if key.plain and key.text == "<<":
            self._issues.error("MQ013", "merge keys are not supported", key, "write out what is meant")
        elif key.null:
            self._issues.error("MQ012", "a key without a name", key, "keys are words: 'name: value'")
        elif key.text in seen:
            first = seen[key.text]
            self._issues.error(
                "MQ009",
                f"the key {quoted(key.text)} is there twice",
                key,
                f"the first is in line {first.line}, column {first.column}: YAML would drop one of them silently",
            )
        else:
            seen[key.text] = key.mark
            return True
        return False


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    width = 1
    if isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)) and start.line == end.line:
        width = max(1, end.column - start.column)
    return Mark(start.line + 1, start.column + 1, width)


def _trap(scalar: Scalar) -> tuple[str, str] | None:
    """What YAML 1.1 makes of a plain word that surprises people, and what to write instead."""
    text = scalar.text
    if not text or len(text) > 200:
        return None
    quoted = f"quote it if it is a name or a text: '{text}'"
    if _BOOLEAN.fullmatch(text):
        meant = "false" if text.lower() in {"n", "no", "off", "false"} else "true"
        return "a boolean", f"write {meant}, or {quoted}"
    for pattern, what, advice in (
        (_SEXAGESIMAL, "a number of base 60", "write a duration with its unit, as in 1m30s, or "),
        (_DATE, "a date", ""),
        (_OCTAL, "an octal number", "write the number without leading zeros, or "),
        (_BASED, "a hexadecimal or binary number", "write the number in decimal, or "),
        (_GROUPED, "a number with grouped digits", "write the number without underscores, or "),
        (_EXPONENT, "a floating-point number", "write the number in full, as in 1000, or "),
        (_NOT_FINITE, "a number without end", "write unlimited where a setting has no bound, or "),
    ):
        if pattern.fullmatch(text):
            return what, advice + quoted
    return None

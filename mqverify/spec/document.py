"""From the nodes of one file to a `Spec`, with every mistake reported."""

from typing import Any, Final

from mqverify.spec.backend_sections import backends_schema, read_backends, section_schema
from mqverify.spec.checks import check_spec
from mqverify.spec.composites import List, OneOf, Record, Word, unknown_key
from mqverify.spec.expectations import expectations_schema, read_expectations
from mqverify.spec.fault_lines import FaultLine, adds_consumers, fault_schema, read_fault
from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.model import BackendSection, Expectation, Runs, Spec, Workload
from mqverify.spec.nodes import Entry, Mapping, Node, Sequence, describe
from mqverify.spec.registry import Registry
from mqverify.spec.shapes import JsonSchema, Line, Shape, Text, Whole
from mqverify.spec.supported import unsupported_words
from mqverify.spec.targets import Crew
from mqverify.spec.workload_words import WORKLOAD, Made, read_workload

__all__ = ["REQUIRED", "TOP", "TOP_SHAPES", "document_schema", "read_document"]

_NAME: Final = Line("the spec's name", 200)
_ABOUT: Final = Text()
_DECISION: Final = Line("a citation")
_TAGS: Final = List(Line("a tag", 100), single=True, what="a list of tags")
_COUNT_OF_RUNS: Final = Whole(1, 1_000_000, "a number of runs")
_RUNS: Final = Made(
    OneOf(
        scalar=_COUNT_OF_RUNS,
        mapping=Record(
            {
                "simulated": Word(_COUNT_OF_RUNS, "how many simulated runs. Default: 25"),
                "real": Word(_COUNT_OF_RUNS, "how many runs on a real broker. Default: 1"),
            },
            "'runs'",
        ),
        what="a number of runs, or {simulated: 100, real: 3}",
    ),
    lambda value: Runs(simulated=value, real=value) if isinstance(value, int) else Runs.model_validate(value),
)

TOP: Final = {
    "spec": "the spec's name: one line that says what it promises",
    "about": "what it is about, in words that an architect understands",
    "claim": "what somebody claims and this spec puts to the test, in a sentence: cited, by `mqverify contents`",
    "finding": "what came of the claim, in a sentence: beside it",
    "decision": "the decision record it belongs to: cited in reports, never opened",
    "tags": "tags to select specs by",
    "runs": "how many runs: 10, or {simulated: 100, real: 3}. Default: 25 simulated, one on a real broker",
    "workload": "who sends what, and who handles it how",
    "backends": "what it runs on: a label and its settings",
    "faults": "what goes wrong, and when",
    "expect": "the guarantees that are judged, and what is expected of each",
}
"""The keys at the top of a spec, in the order in which people write them."""

TOP_SHAPES: Final[dict[str, Shape]] = {
    "spec": _NAME,
    "about": _ABOUT,
    "claim": _ABOUT,
    "finding": _ABOUT,
    "decision": _DECISION,
    "tags": _TAGS,
    "runs": _RUNS,
    "workload": WORKLOAD,
}
"""The shapes of those of them that do not depend on what there is to name."""

REQUIRED: Final = ("spec", "workload", "backends", "expect")


def read_document(root: Mapping, file: str, text: str, registry: Registry, issues: Issues) -> Spec | None:
    """The spec, or None with the mistakes reported."""
    entries: dict[str, Entry] = {}
    for entry in root.entries:
        if entry.key.text in TOP:
            entries[entry.key.text] = entry
        elif not entry.key.bad:
            unknown_key(entry.key, TOP, issues)
    _require(root, entries, issues)
    plain = {
        name: shape.read(entries[name].value, issues)
        for name, shape in TOP_SHAPES.items()
        if name in entries and name != "workload"
    }
    workload, crew = read_workload(entries["workload"].value, issues) if "workload" in entries else (None, None)
    lines = _faults(entries.get("faults"), crew, registry, issues)
    expect: dict[str, Expectation] = {}
    if "expect" in entries:
        expect = read_expectations(entries["expect"].value, registry.guarantees, issues)
    backends = read_backends(entries["backends"].value, registry, issues) if "backends" in entries else None
    if workload is not None:
        check_spec(workload, lines, backends or {}, entries, registry, issues)
    if issues.errors or workload is None or backends is None:
        return None
    return _spec(plain, workload, lines, expect, backends, registry, file, text)


def _spec(
    plain: dict[str, Any],
    workload: Workload,
    lines: list[FaultLine],
    expect: dict[str, Expectation],
    backends: dict[str, BackendSection],
    registry: Registry,
    file: str,
    text: str,
) -> Spec:
    sections = {}
    faults = tuple(line.fault for line in lines)
    for label, section in backends.items():
        system = registry.systems[section.system]
        reasons = dict.fromkeys([*section.unsupported, *system.misses(section.settings, workload, faults)])
        sections[label] = section.model_copy(update={"unsupported": tuple(reasons)})
    return Spec(
        name=plain["spec"],
        file=file,
        text=text,
        about=plain.get("about", ""),
        claim=plain.get("claim", ""),
        finding=plain.get("finding", ""),
        decision=plain.get("decision"),
        tags=plain.get("tags", ()),
        runs=plain.get("runs", Runs()),
        workload=workload,
        backends=sections,
        faults=faults,
        expect=expect,
        unsupported=unsupported_words(workload, lines),
    )


def _require(root: Mapping, entries: dict[str, Entry], issues: Issues) -> None:
    strange = [entry.key.text for entry in root.entries if entry.key.text not in TOP]
    for name in REQUIRED:
        if name in entries or any(did_you_mean(key, TOP) == name for key in strange[:50]):
            continue
        if name == "expect" and "backends" in entries and _some_backend_expects(entries["backends"].value):
            continue
        issues.error("MQ201", f"missing key '{name}' in the spec", root.mark, TOP[name])


def _some_backend_expects(node: Node) -> bool:
    return isinstance(node, Mapping) and any(
        isinstance(entry.value, Mapping) and entry.value.get("expect") for entry in node.entries
    )


def _faults(entry: Entry | None, crew: Crew | None, registry: Registry, issues: Issues) -> list[FaultLine]:
    if entry is None or entry.value.bad:
        return []
    node = entry.value
    if not isinstance(node, Sequence):
        issues.error("MQ202", f"expected a list of faults, found {describe(node)}", node, "begin each with '-'")
        return []
    if len(node.items) > 1_000:
        issues.error("MQ206", f"{len(node.items)} faults", node, "at most 1000 are possible")
        return []
    # Those who join in mid-run can be hit as well, so they are read first.
    adding = {number for number, item in enumerate(node.items) if adds_consumers(item)}
    lines: dict[int, FaultLine | None] = {}
    for number in sorted(range(len(node.items)), key=lambda number: number not in adding):
        lines[number] = line = read_fault(node.items[number], registry.fault_kinds, crew, issues)
        if line is not None and number in adding and crew is not None:
            crew = crew.joined_by(line.fault)
    return [line for number in range(len(node.items)) if (line := lines[number]) is not None]


def document_schema(registry: Registry) -> JsonSchema:
    """The schema of a whole spec."""
    shapes: dict[str, JsonSchema] = {
        **{name: shape.schema() for name, shape in TOP_SHAPES.items()},
        "backends": backends_schema(registry),
        "faults": {"type": "array", "items": fault_schema(registry.fault_kinds), "maxItems": 1_000},
        "expect": {"$ref": "#/$defs/expectations"},
    }
    definitions = {name: section_schema(system) for name, system in registry.systems.items()}
    return {
        "type": "object",
        "properties": {name: {"description": about, **shapes[name]} for name, about in TOP.items()},
        "required": ["spec", "workload", "backends"],
        "additionalProperties": False,
        "$defs": {"expectations": expectations_schema(registry.guarantees), **definitions},
    }

"""Reads the lines of `faults:`."""

from collections.abc import Callable
from collections.abc import Mapping as Names
from dataclasses import dataclass
from typing import Any, Final

from mqverify.spec.composites import List, OneOf, Record, Word, unknown_key
from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.model import Fault, When
from mqverify.spec.nodes import Mapping, Node, Scalar, describe
from mqverify.spec.quantities import DURATION_RANGE, SIGNED_DURATION, CountOrShare, Never
from mqverify.spec.registry import FaultKind
from mqverify.spec.shapes import INVALID, Choice, Flag, JsonSchema, Name, Shape, Whole
from mqverify.spec.targets import BROKER_ROLES, Crew, Target, TargetShape, place_target
from mqverify.spec.texts import quoted

__all__ = ["POINTS", "FaultLine", "Moment", "adds_consumers", "fault_schema", "fault_words", "read_fault"]

POINTS: Final = ("before_handle", "in_handler", "before_settle", "in_settle", "after_settle")
_COUNTED: Final = {
    "sent": "messages sent, whatever became of them",
    "acked": "messages whose send was acknowledged",
    "delivered": "distinct messages handed to a consumer of the group",
    "handled": "distinct messages that the group's handlers finished with",
    "settled": "distinct messages that the group has settled",
}


@dataclass(frozen=True)
class Moment:
    """`when:`: `drained`, or one of the counts or `time` in a mapping. Reads to a `When`."""

    what: str = "drained, or one of {handled: 20%}, {handled: 100..200}, {time: 10s} and so on"

    def record(self) -> Record:
        """The mapping that it may be."""
        words = {name: Word(CountOrShare(), about) for name, about in _COUNTED.items()}
        words["time"] = Word(DURATION_RANGE, "time since the run's start")
        return Record(words, "a moment")

    def read(self, node: Node, issues: Issues) -> Any:
        if isinstance(node, Scalar) and not node.null:
            if node.text == "drained":
                return When(metric="drained")
            if not node.bad:
                advice = f"write when: {{{node.text}: 20%}}" if node.text in _COUNTED else "write when: {handled: 20%}"
                meant = did_you_mean(node.text, ("drained",))
                advice = f"did you mean '{meant}'?" if meant else advice
                issues.error("MQ214", f"{describe(node)} is not a moment", node, advice)
            return INVALID
        if not isinstance(node, Mapping):
            issues.error("MQ202", f"expected a moment, found {describe(node)}", node, "write when: {handled: 20%}")
            return INVALID
        values = self.record().read(node, issues)
        if values is INVALID or any(value is INVALID for value in values.values()):
            return INVALID
        if len(values) != 1 or len(node.entries) != 1:
            if not any(entry.key.bad for entry in node.entries):
                issues.error("MQ214", "a moment is one condition", node, "write when: {handled: 20%}, or when: drained")
            return INVALID
        ((metric, value),) = values.items()
        if metric == "time":
            return When(metric="time", low=float(value[0]), high=float(value[1]))
        low, high, share = value
        return When.model_validate({"metric": metric, "low": low, "high": high, "share": share})

    def schema(self) -> JsonSchema:
        mapping = self.record().schema() | {"minProperties": 1, "maxProperties": 1}
        return {"anyOf": [{"const": "drained"}, mapping]}


@dataclass(frozen=True)
class _Nothing:
    """A kind that needs no value of its own."""

    def read(self, node: Node, issues: Issues) -> Any:
        if isinstance(node, Scalar) and (node.null or node.text == "true"):
            return None
        issues.error("MQ202", f"expected nothing here, found {describe(node)}", node)
        return INVALID

    def schema(self) -> JsonSchema:
        return {"enum": [None, True]}


@dataclass(frozen=True)
class _Skew:
    """Workers with how far their clocks are off. Reads to pairs of a target and nanoseconds."""

    target: TargetShape

    def read(self, node: Node, issues: Issues) -> Any:
        if not isinstance(node, Mapping) or node.bad:
            issues.error("MQ202", f"expected {{producer-1: -1h}}, found {describe(node)}", node)
            return INVALID
        if not node.entries:
            issues.error("MQ206", "nobody's clock is off here", node, "write {producer-1: -1h}")
            return INVALID
        pairs = tuple(
            (self.target.read(entry.key, issues), SIGNED_DURATION.read(entry.value, issues)) for entry in node.entries
        )
        return INVALID if any(INVALID in pair for pair in pairs) else pairs

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": SIGNED_DURATION.schema()}


def _subject(kind: FaultKind) -> Shape:
    target = TargetShape(kind.targets, kind.name)
    share = CountOrShare("a position, or a share such as 50%")
    place = Record(
        {
            "partition": Word(Whole(), "the partition", required=True),
            "before": Word(share, "the first position that stays, or a share of what there is", required=True),
        },
        "what is deleted",
    )
    shapes: dict[str, Callable[[], Shape]] = {
        "target": lambda: target,
        "slow": lambda: OneOf(
            scalar=target,
            mapping=Record({"handler": Word(DURATION_RANGE, "how long a handling takes", required=True)}, "'slow'"),
            what="a consumer, or {handler: 40s}",
        ),
        "duration": lambda: DURATION_RANGE,
        "count": lambda: Whole(1, 100_000),
        "link": lambda: List(target, least=2, most=2, what="the two ends of a link, as in [consumer-1, broker]"),
        "ack": lambda: Choice(("ack",), "reply"),
        "place": lambda: place,
        "name": lambda: Name("the name of a key or stream"),
        "skew": lambda: _Skew(TargetShape(("consumer", "producer"), kind.name)),
        "nothing": _Nothing,
    }
    return shapes[kind.subject]()


def fault_words(kind: FaultKind) -> dict[str, Word]:
    """The keys of a line of this kind."""
    takes = {
        "point": Word(Choice(POINTS, "point"), "where in the consumer's loop it strikes"),
        "restart_after": Word(
            Never(), "how long until the process is back; 'never' keeps it dead. Default: 0s, at once"
        ),
        "for": Word(DURATION_RANGE, "how long it lasts"),
        "group": Word(Name("a group's name"), "the group whose consumers are meant, where there are several"),
        "handler": Word(DURATION_RANGE, "how long a handling takes"),
        "by": Word(DURATION_RANGE, "how much later everything arrives"),
        "one_way": Word(Flag(), "only what the first sends to the second is stopped. Default: false"),
        "nth": Word(
            Whole(1, 1_000_000),
            "it begins with that request of theirs after its trigger, counted from 1; of 'lose' only those count whose "
            "reply it can lose. Default: at its trigger",
        ),
        "of": Word(TargetShape(("producer", "consumer"), kind.name), "whose request loses its reply"),
    }
    words = {kind.name: Word(_subject(kind), kind.about, required=True)}
    words |= {name: takes[name] for name in kind.takes}
    words["when"] = Word(Moment(), "what it waits for. Default: at once")
    words["times"] = Word(Whole(1, 1_000), "how often it happens. Default: once")
    return words


@dataclass(frozen=True, slots=True)
class FaultLine:
    """A fault with the nodes that later checks point at."""

    fault: Fault
    kind: FaultKind
    node: Node
    places: Names[str, Node]
    roles: tuple[str, ...]


def adds_consumers(node: Node) -> bool:
    """Whether a line of `faults:` brings consumers."""
    return isinstance(node, Mapping) and node.get("add_consumers") is not None


def read_fault(node: Node, kinds: Names[str, FaultKind], crew: Crew | None, issues: Issues) -> FaultLine | None:
    """One line of `faults:`; None if there is a mistake in it."""
    if node.bad:
        return None
    if isinstance(node, Scalar) and node.text in kinds and kinds[node.text].subject == "nothing":
        return FaultLine(Fault(kind=node.text, line=node.mark.line), kinds[node.text], node, {}, ())
    if not isinstance(node, Mapping):
        issues.error("MQ202", f"expected a fault, found {describe(node)}", node, "such as 'crash: consumer'")
        return None
    kind = _kind_of(node, kinds, issues)
    if kind is None:
        return None
    words = fault_words(kind)
    for entry in node.entries:
        if entry.key.text not in words:
            _unknown_option(entry.key, kind, words, kinds, issues)
    known = Mapping(node.mark, [entry for entry in node.entries if entry.key.text in words])
    values = Record(words, f"'{kind.name}'").read(known, issues)
    clean = values is not INVALID and not any(_invalid(value) for value in values.values())
    places: dict[str, Node] = {entry.key.text: entry.value for entry in known.entries}
    if not clean or not _complete(kind, values, node, issues):
        return None
    placed = _place(kind, values, crew, places, issues)
    if placed is None or any(entry.key.bad for entry in node.entries):
        return None
    targets, group, roles = placed
    fault = Fault.model_validate(
        {"kind": kind.name, "target": targets, "group": group, "line": node.mark.line, **_fields(kind, values)}
    )
    return FaultLine(fault, kind, node, places, roles)


def _invalid(value: Any) -> bool:
    return value is INVALID or (isinstance(value, dict) and INVALID in value.values())


def _kind_of(node: Mapping, kinds: Names[str, FaultKind], issues: Issues) -> FaultKind | None:
    named = [entry.key for entry in node.entries if entry.key.text in kinds]
    if len(named) > 1:
        issues.error(
            "MQ207",
            f"'{named[0].text}' and '{named[1].text}' in one line",
            named[1],
            "begin a fault of its own with '-'",
        )
        return None
    if named:
        return kinds[named[0].text]
    options = {"when", "times", "point", "restart_after", "for", "group", "handler", "by", "one_way", "of", "nth"}
    strange = next((entry.key for entry in node.entries if entry.key.text not in options), None)
    if strange is None:
        issues.error("MQ201", "a fault without its kind", node.mark, "the kinds are " + ", ".join(kinds))
        return None
    meant = did_you_mean(strange.text, kinds)
    advice = f"did you mean '{meant}'?" if meant else "the kinds are " + ", ".join(kinds)
    issues.error("MQ210", f"unknown fault {quoted(strange.text)}", strange, advice)
    return None


def _unknown_option(
    key: Scalar, kind: FaultKind, words: Names[str, Word], kinds: Names[str, FaultKind], issues: Issues
) -> None:
    if any(key.text in other.takes for other in kinds.values()):
        advice = "its keys are " + ", ".join(words)
        issues.error("MQ203", f"'{kind.name}' takes no '{key.text}'", key, advice)
    else:
        unknown_key(key, words, issues)


def _complete(kind: FaultKind, values: dict[str, Any], node: Mapping, issues: Issues) -> bool:
    if kind.subject == "slow":
        subject = values[kind.name]
        if isinstance(subject, dict):
            if "handler" in values:
                issues.error("MQ207", "'handler' is there twice", node.mark, "say once how long a handling takes")
                return False
            values["handler"] = subject["handler"]
        if "for" in values and "times" in values:
            issues.error(
                "MQ207", "'for' and 'times' together", node.mark, "so many handlings, or all of them for so long"
            )
            return False
    for name in kind.needs:
        if name not in values:
            issues.error("MQ201", f"missing key '{name}' in '{kind.name}'", node.mark, fault_words(kind)[name].about)
            return False
    return True


def _place(
    kind: FaultKind, values: dict[str, Any], crew: Crew | None, places: Names[str, Node], issues: Issues
) -> tuple[tuple[str, ...], str | None, tuple[str, ...]] | None:
    """The targets as worker names or roles, the group they are in, and their roles."""
    targets = _targets(kind, values)
    group = values.get("group")
    if crew is None:
        return (), group, ()
    if group is not None and group not in crew.groups:
        meant = did_you_mean(group, crew.groups)
        advice = f"did you mean '{meant}'?" if meant else "the groups are " + ", ".join(crew.groups)
        issues.error("MQ211", f"there is no group {quoted(group)}", places["group"], advice)
        return None
    names = []
    for target in targets:
        placed = place_target(target, group, crew, issues)
        if placed is None:
            return None
        names.append(placed[0])
        group = group or placed[1]
    if not targets and kind.subject == "slow":
        names = ["consumer"]
    if not targets and group is None and "group" in kind.takes and len(crew.groups) == 1:
        group = next(iter(crew.groups))
    if kind.subject == "link" and not _is_link(targets, issues):
        return None
    if kind.name in {"add_consumers", "remove_consumers"} and group is None:
        first = next(iter(crew.groups))
        issues.error(
            "MQ212",
            f"'{kind.name}' could mean any of the groups {', '.join(crew.groups)}",
            places[kind.name],
            f"write group: {first} beside it",
        )
        return None
    return tuple(names), group, tuple(target.role for target in targets)


def _targets(kind: FaultKind, values: dict[str, Any]) -> list[Target]:
    """Those that a line names, in its order."""
    subject = values[kind.name]
    if kind.subject == "skew":
        return [target for target, _ in subject]
    written = subject if isinstance(subject, tuple) else (subject,)
    return [target for target in (*written, values.get("of")) if isinstance(target, Target)]


def _is_link(targets: list[Target], issues: Issues) -> bool:
    """Whether one of the two ends is a worker's and the other a broker's; reported if not."""
    of_brokers = [target for target in targets if target.role in BROKER_ROLES]
    if len(of_brokers) == 1:
        return True
    one, other = targets
    if of_brokers:
        message = f"between '{one.text}' and '{other.text}' there is no worker"
    else:
        message = f"'{one.text}' and '{other.text}' do not talk to each other"
    issues.error(
        "MQ217", message, other.node, "a link runs between a worker and the broker: write [consumer-1, broker]"
    )
    return False


def _fields(kind: FaultKind, values: dict[str, Any]) -> dict[str, Any]:
    """The fields of the model that the values of a line fill."""
    fields: dict[str, Any] = {
        name: values[word]
        for name, word in (
            ("when", "when"),
            ("times", "times"),
            ("point", "point"),
            ("restart_after", "restart_after"),
            ("duration", "for"),
            ("handler", "handler"),
            ("by", "by"),
            ("one_way", "one_way"),
            ("nth", "nth"),
        )
        if word in values
    }
    subject = values[kind.name]
    if kind.subject == "duration":
        fields["duration"] = subject
    elif kind.subject == "count":
        fields["amount"] = subject
    elif kind.subject == "skew":
        fields["options"] = {target.text: skew for target, skew in subject}
    elif kind.subject in {"place", "name"}:
        fields["options"] = subject if isinstance(subject, dict) else {"name": subject}
    return fields


def fault_schema(kinds: Names[str, FaultKind]) -> JsonSchema:
    """One alternative a kind."""
    alternatives: list[JsonSchema] = []
    for kind in kinds.values():
        words = fault_words(kind)
        made = Record(words).schema() | {"description": kind.about}
        needs = [name for name in kind.needs if not (kind.subject == "slow" and name == "handler")]
        made["required"] = [kind.name, *needs]
        alternatives.append(made)
    bare = [kind.name for kind in kinds.values() if kind.subject == "nothing"]
    return {"anyOf": [*alternatives, {"enum": bare}]}

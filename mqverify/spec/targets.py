"""Whom a fault hits: the grammar of targets, and whether there is such a worker."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mqverify.spec.issues import Issues, did_you_mean
from mqverify.spec.model import Fault
from mqverify.spec.nodes import Node, Scalar, describe
from mqverify.spec.shapes import INVALID, JsonSchema
from mqverify.spec.texts import quoted

__all__ = ["BROKER_ROLES", "Crew", "Target", "TargetShape", "partition_of", "place_target"]

BROKER_ROLES: Final = {"broker", "broker of partition 0", "followers of partition 0", "all brokers", "node leader"}
_CONSUMER_ROLES: Final = {"consumer", "leader", "all consumers"}
_NUMBERED: Final = re.compile(r"(consumer|producer|broker)-([1-9][0-9]{0,5})")
_PARTITION: Final = re.compile(r"(broker|followers) of partition (0|[1-9][0-9]{0,5})")
_NODE: Final = re.compile(r"node (leader|follower|[1-9][0-9]{0,2})")

_PATTERNS: Final = {
    "consumer": r"([^/ ]+/)?consumer(-[1-9][0-9]*)?",
    "leader": r"([^/ ]+/)?leader",
    "all consumers": r"([^/ ]+/)?all consumers",
    "producer": r"producer(-[1-9][0-9]*)?",
    "broker": r"broker(-[1-9][0-9]*)?",
    "broker of partition 0": r"broker of partition [0-9]+",
    "followers of partition 0": r"followers of partition [0-9]+",
    "all brokers": r"all brokers",
    "node leader": r"node (leader|follower|[1-9][0-9]*)",
}
_EXAMPLES: Final = {
    "consumer": ("consumer", "consumer-2"),
    "leader": ("leader",),
    "all consumers": ("all consumers",),
    "producer": ("producer", "producer-1"),
    "broker": ("broker",),
    "broker of partition 0": ("broker of partition 0",),
    "followers of partition 0": ("followers of partition 0",),
    "all brokers": ("all brokers",),
    "node leader": ("node leader",),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A target as written: `billing/consumer-2` is role `consumer`, number 2, group `billing`."""

    text: str
    role: str
    number: int | None
    group: str | None
    node: Scalar


@dataclass(frozen=True, slots=True)
class Crew:
    """Who there is to be hit."""

    producers: int
    groups: Mapping[str, int]
    """Consumers of each group, those included who join in mid-run."""

    def joined_by(self, fault: Fault) -> "Crew":
        """With those that an `add_consumers` brings, as often as it happens."""
        if fault.group is None:
            return self
        there = self.groups[fault.group] + (fault.amount or 0) * fault.times
        return Crew(self.producers, {**self.groups, fault.group: there})


@dataclass(frozen=True)
class TargetShape:
    """A target whose role is among those that the fault can hit."""

    roles: tuple[str, ...]
    fault: str

    def read(self, node: Node, issues: Issues) -> Any:
        if node.bad:
            return INVALID
        examples = [example for role in self.roles for example in _EXAMPLES[role]]
        if not isinstance(node, Scalar) or node.null:
            issues.error("MQ202", f"expected a target, found {describe(node)}", node, "such as " + ", ".join(examples))
            return INVALID
        group, slash, rest = node.text.rpartition("/")
        role, number = _role(rest)
        if role is None or (slash and (not group or role not in _CONSUMER_ROLES)):
            meant = did_you_mean(rest if slash else node.text, examples)
            advice = f"did you mean '{meant}'?" if meant else "it is one of " + ", ".join(examples)
            issues.error("MQ211", f"unknown target {quoted(node.text)}", node, advice)
            return INVALID
        if role not in self.roles:
            issues.error("MQ211", f"'{self.fault}' cannot hit '{node.text}'", node, "it can hit " + ", ".join(examples))
            return INVALID
        return Target(rest, role, number, group if slash else None, node)

    @property
    def what(self) -> str:
        return ", ".join(example for role in self.roles for example in _EXAMPLES[role])

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": "^(" + "|".join(_PATTERNS[role] for role in self.roles) + ")$"}


def _role(text: str) -> tuple[str | None, int | None]:
    if text in {*_CONSUMER_ROLES, "producer", "broker", "all brokers"}:
        return text, None
    numbered = _NUMBERED.fullmatch(text)
    if numbered:
        return numbered[1], int(numbered[2])
    of_partition = _PARTITION.fullmatch(text)
    if of_partition:
        return f"{of_partition[1]} of partition 0", int(of_partition[2])
    return ("node leader", None) if _NODE.fullmatch(text) else (None, None)


def partition_of(target: str) -> int | None:
    """The partition that the target of a fault names: `broker of partition 3`, `followers of partition 3`."""
    named = _PARTITION.fullmatch(target)
    return None if named is None else int(named[2])


def place_target(target: Target, group: str | None, crew: Crew, issues: Issues) -> tuple[str, str | None] | None:
    """The worker's name, or the role, and the group it belongs to; None where there is no such one, reported."""
    if target.role not in _CONSUMER_ROLES:
        if target.role == "producer" and target.number is not None and target.number > crew.producers:
            _missing(target, crew.producers, "producer", "the spec", issues)
            return None
        return target.text, None
    if target.group is not None and group is not None and target.group != group:
        issues.error("MQ207", f"'{target.node.text}' is not in the group '{group}'", target.node, "remove one of them")
        return None
    name = target.group or group
    if name is None and len(crew.groups) == 1:
        name = next(iter(crew.groups))
    if name is None:
        if target.number is None and target.role != "leader":
            return target.text, None
        first = next(iter(crew.groups))
        issues.error(
            "MQ212",
            f"'{target.text}' could be in any of the groups {', '.join(crew.groups)}",
            target.node,
            f"write {first}/{target.text}",
        )
        return None
    if name not in crew.groups:
        meant = did_you_mean(name, crew.groups)
        advice = f"did you mean '{meant}'?" if meant else "the groups are " + ", ".join(crew.groups)
        issues.error("MQ211", f"there is no group {quoted(name)}", target.node, advice)
        return None
    if target.number is None:
        return target.text, name
    if target.number > crew.groups[name]:
        where = "the group" if len(crew.groups) == 1 else f"the group '{name}'"
        _missing(target, crew.groups[name], "consumer", where, issues)
        return None
    return (target.text if len(crew.groups) == 1 else f"{name}/{target.text}"), name


def _missing(target: Target, there: int, kind: str, where: str, issues: Issues) -> None:
    advice = f"{where} has {there} {kind}{'s' if there != 1 else ''}: {kind}-1"
    issues.error(
        "MQ211", f"there is no {target.text}", target.node, advice + (f" to {kind}-{there}" if there > 1 else "")
    )

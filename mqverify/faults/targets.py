"""Whom a fault means: pure functions over names."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mqverify.spec.model import Fault
from mqverify.workload.groups import ConsumerGroup, Worker

__all__ = [
    "Link",
    "candidates",
    "groups_of",
    "is_everybody",
    "link_of",
    "names_brokers",
    "on_links",
    "reads_requests",
    "strikes_brokers",
]

_ON_LINKS: Final = frozenset({"cut", "delay", "lose", "reset"})
_BROKER: Final = re.compile(r"broker(-[0-9]+)?$|(broker|followers) of partition |all brokers$|node ")


def is_everybody(fault: Fault) -> bool:
    """`all consumers`, `all brokers`: each of them, not one."""
    return any(target.startswith("all ") for target in fault.target)


def strikes_brokers(fault: Fault) -> bool:
    """Whether it breaks server processes, not workers, and not what is between the two."""
    return fault.kind in {"crash", "pause"} and any(map(names_brokers, fault.target))


def names_brokers(target: str) -> bool:
    """Whether a target means server processes, not workers."""
    return _BROKER.match(target) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """The two ends of a link that a fault names."""

    worker: str
    broker: str
    from_worker: bool
    """Whether the worker's end is named first: that is the way which `one_way` means."""


def link_of(fault: Fault) -> Link:
    first, second = fault.target
    return Link(second, first, from_worker=False) if names_brokers(first) else Link(first, second, from_worker=True)


def on_links(fault: Fault) -> bool:
    """Whether it happens between workers and brokers, so that a real run needs a proxy there."""
    return fault.kind in _ON_LINKS or fault.point == "in_settle"


def reads_requests(fault: Fault) -> bool:
    """Whether it goes by what is asked, so that what passes must not be encrypted."""
    return fault.kind == "lose" or fault.point == "in_settle" or fault.nth is not None


def groups_of(fault: Fault, groups: Sequence[ConsumerGroup]) -> tuple[str, ...]:
    """The groups that a fault's target lies in, by name: all of them where it names neither a group nor a consumer."""
    if fault.group is not None:
        return tuple(group.name for group in groups if group.team == fault.group)
    named = tuple(group.name for group in groups if any(_lies_in(target, group) for target in fault.target))
    return named or tuple(group.name for group in groups)


def _lies_in(target: str, group: ConsumerGroup) -> bool:
    if target == group.name:
        return True
    team, slash, _ = target.rpartition("/")
    return bool(slash) and team == group.team and group.name == group.team


def candidates(fault: Fault, workers: Iterable[Worker], leader: str | None = None) -> list[Worker]:
    """Those workers that the fault may strike, in their order. `leader` names the group's leader, if asked for."""
    return [worker for worker in workers if any(_means(target, fault, worker, leader) for target in fault.target)]


def _means(target: str, fault: Fault, worker: Worker, leader: str | None) -> bool:
    if fault.group is not None and worker.team is not None and worker.team != fault.group:
        return False
    match target:
        case "consumer" | "all consumers":
            return worker.kind == "consumer"
        case "producer" | "all producers":
            return worker.kind == "producer"
        case "leader":
            return worker.name == leader
    return worker.name == target

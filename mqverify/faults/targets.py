"""Whom a fault means: pure functions over names."""

from collections.abc import Iterable, Sequence

from mqverify.spec.model import Fault
from mqverify.workload.groups import Worker

__all__ = ["candidates", "group_of", "is_everybody"]


def is_everybody(fault: Fault) -> bool:
    """`all consumers`: each of them, not one."""
    return any(target.startswith("all ") for target in fault.target)


def group_of(fault: Fault, groups: Sequence[str]) -> str | None:
    """The group that a fault's target lies in: the one it names, else the only one there is."""
    if fault.group is not None:
        return fault.group
    for target in fault.target:
        name, slash, _ = target.partition("/")
        if slash and name in groups:
            return name
    return groups[0] if len(groups) == 1 else None


def candidates(fault: Fault, workers: Iterable[Worker], leader: str | None = None) -> list[Worker]:
    """Those workers that the fault may strike, in their order. `leader` names the group's leader, if asked for."""
    return [worker for worker in workers if any(_means(target, fault, worker, leader) for target in fault.target)]


def _means(target: str, fault: Fault, worker: Worker, leader: str | None) -> bool:
    if fault.group is not None and worker.group is not None and worker.group != fault.group:
        return False
    match target:
        case "consumer" | "all consumers":
            return worker.kind == "consumer"
        case "producer" | "all producers":
            return worker.kind == "producer"
        case "leader":
            return worker.name == leader
    return worker.name == target

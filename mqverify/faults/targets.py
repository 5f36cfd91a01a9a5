"""Whom a fault means: pure functions over names."""

from collections.abc import Iterable

from mqverify.spec.model import Fault
from mqverify.workload.groups import Worker

__all__ = ["candidates", "is_everybody"]


def is_everybody(fault: Fault) -> bool:
    """`all consumers`: each of them, not one."""
    return any(target.startswith("all ") for target in fault.target)


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

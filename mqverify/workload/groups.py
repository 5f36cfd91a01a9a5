"""The consumer groups of a workload, with every default resolved."""

from dataclasses import dataclass
from typing import Literal

from mqverify.spec.model import Handler, Settle, Workload

__all__ = ["ConsumerGroup", "Worker", "consumers_of", "everybody", "producers_of", "resolve_groups"]


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """Consumers who share the work. `start` is None where the backend's own setting decides."""

    name: str
    consumers: int
    joins: Literal["start", "drained"]
    start: Literal["beginning", "end"] | None
    settle: Settle
    commit: Literal["sync", "async"]
    handler: Handler


@dataclass(frozen=True, slots=True)
class Worker:
    """One incarnation of a producer or a consumer."""

    name: str
    """`producer-1`, `consumer-2`, `billing/consumer-2` where there are several groups."""
    kind: Literal["producer", "consumer"]
    number: int
    """From 1."""
    group: str | None
    incarnation: int = 1


def resolve_groups(workload: Workload) -> tuple[ConsumerGroup, ...]:
    """The groups in the order of the spec."""
    return tuple(
        ConsumerGroup(
            name=name,
            consumers=group.consumers or workload.consumers,
            joins=group.joins,
            start=group.start,
            settle=group.settle or workload.settle,
            commit=group.commit or workload.commit,
            handler=group.handler or workload.handler,
        )
        for name, group in workload.groups.items()
    )


def producers_of(workload: Workload) -> tuple[Worker, ...]:
    return tuple(Worker(f"producer-{n}", "producer", n, None) for n in range(1, workload.producers + 1))


def consumers_of(group: ConsumerGroup, single: bool) -> tuple[Worker, ...]:
    """The consumers of a group; `single` says that it is the only one, so that bare names are enough."""
    prefix = "" if single else f"{group.name}/"
    return tuple(Worker(f"{prefix}consumer-{n}", "consumer", n, group.name) for n in range(1, group.consumers + 1))


def everybody(workload: Workload) -> list[Worker]:
    """Every worker that a spec asks for, in its first incarnation: producers, then the consumers of each group."""
    groups = resolve_groups(workload)
    consumers = [worker for group in groups for worker in consumers_of(group, single=len(groups) == 1)]
    return [*producers_of(workload), *consumers]

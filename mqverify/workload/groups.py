"""The consumer groups of a workload, with every default resolved."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mqverify.spec.model import Fault, Handler, Settle, SinkKind, Workload

__all__ = [
    "ConsumerGroup",
    "Delivery",
    "Latecomer",
    "Worker",
    "consumers_of",
    "everybody",
    "latecomers",
    "producers_of",
    "resolve_groups",
]

Delivery = Literal["exclusive", "competing", "own"]
"""How a system gives messages to the consumers of a group: to the one who owns their source, to whoever is free, or all
to each."""


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """Consumers who share the work. `start` is None where the backend's own setting decides."""

    name: str
    team: str
    """The group of the spec. Consumers to whom everything is given are a group each, and together a team."""
    consumers: int
    joins: Literal["start", "drained"]
    start: Literal["beginning", "end"] | None
    settle: Settle
    commit: Literal["sync", "async"]
    handler: Handler
    sink: SinkKind = "plain"
    delivery: Delivery = "exclusive"
    sharded: bool = False
    """Whether each consumer handles its share of the keys only, though everything is given to it."""
    first: int = 1
    """The number of its first consumer."""
    prefix: str = ""
    """What stands before the names of its consumers: `billing/`, or nothing where the spec has a single group."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One incarnation of a producer or a consumer."""

    name: str
    """`producer-1`, `consumer-2`, `billing/consumer-2` where there are several groups."""
    kind: Literal["producer", "consumer"]
    number: int
    """From 1, within the spec's group."""
    group: str | None
    incarnation: int = 1
    team: str | None = None
    shard: int | None = None


def resolve_groups(workload: Workload, delivery: Delivery = "exclusive") -> tuple[ConsumerGroup, ...]:
    """The groups in the order of the spec; a team's consumers are a group each where nothing is shared among them."""
    resolved: list[ConsumerGroup] = []
    for team in workload.groups:
        resolved += _resolve(workload, team, delivery)
    return tuple(resolved)


def _resolve(workload: Workload, team: str, delivery: Delivery, added: int = 0) -> list[ConsumerGroup]:
    """The groups of one team; with `added`, those that so many more consumers are."""
    group = workload.groups[team]
    consumers = group.consumers or workload.consumers
    sharded = workload.shard is not None and delivery == "own"
    apart = delivery == "own" and not sharded and (consumers > 1 or added > 0)
    prefix = "" if len(workload.groups) == 1 else f"{team}/"
    numbers = range(consumers + 1, consumers + added + 1) if added else range(1, consumers + 1)
    return [
        ConsumerGroup(
            name=f"{prefix}consumer-{number}" if apart else team,
            team=team,
            consumers=1 if apart else consumers,
            joins=group.joins,
            start=group.start,
            settle=workload.settle_of(group),
            commit=group.commit or workload.commit,
            handler=group.handler or workload.handler,
            sink=workload.sink_of(group),
            delivery=delivery,
            sharded=sharded,
            first=number,
            prefix=prefix,
        )
        for number in (numbers if apart else (1,))
    ]


@dataclass(frozen=True, slots=True)
class Latecomer:
    """A consumer that a fault brings in mid-run. `group` is a new one where nothing is shared within a team."""

    worker: "Worker"
    group: ConsumerGroup


def latecomers(workload: Workload, delivery: Delivery, faults: Iterable[Fault]) -> dict[str, tuple[Latecomer, ...]]:
    """By team, in the order in which they will join; numbered on from the last that was there from the start."""
    added: dict[str, int] = {}
    for fault in faults:
        if fault.kind == "add_consumers" and fault.group is not None:
            added[fault.group] = added.get(fault.group, 0) + (fault.amount or 0) * fault.times
    return {team: tuple(_latecomers(workload, team, delivery, number)) for team, number in added.items()}


def _latecomers(workload: Workload, team: str, delivery: Delivery, added: int) -> Iterable[Latecomer]:
    there = workload.groups[team].consumers or workload.consumers
    groups = _resolve(workload, team, delivery, added)
    for number in range(there + 1, there + added + 1):
        group = groups[number - there - 1] if delivery == "own" else groups[0]
        yield Latecomer(Worker(f"{group.prefix}consumer-{number}", "consumer", number, group.name, team=team), group)


def producers_of(workload: Workload) -> tuple[Worker, ...]:
    """The producers of a workload, in their first incarnations."""
    return tuple(Worker(f"producer-{n}", "producer", n, None) for n in range(1, workload.producers + 1))


def consumers_of(group: ConsumerGroup) -> tuple[Worker, ...]:
    """The consumers of a group, in their first incarnations."""
    return tuple(
        Worker(
            f"{group.prefix}consumer-{n}",
            "consumer",
            n,
            group.name,
            team=group.team,
            shard=n - 1 if group.sharded else None,
        )
        for n in range(group.first, group.first + group.consumers)
    )


def everybody(workload: Workload, groups: Iterable[ConsumerGroup]) -> list[Worker]:
    """Every worker that a spec asks for, in its first incarnation: producers, then the consumers of each group."""
    return [*producers_of(workload), *(worker for group in groups for worker in consumers_of(group))]

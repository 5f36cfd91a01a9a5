"""Contradictions between the parts of a spec: what each part says is right, and together it cannot be."""

from collections.abc import Mapping as Names
from collections.abc import Sequence
from typing import Final

from mqverify.spec.fault_lines import FaultLine
from mqverify.spec.issues import Issues
from mqverify.spec.model import BackendSection, Handler, SinkKind, Workload
from mqverify.spec.nodes import Entry, Mapping, Mark, Node
from mqverify.spec.quantities import DURATION
from mqverify.spec.registry import Registry
from mqverify.spec.targets import BROKER_ROLES, partition_of
from mqverify.units import format_duration, format_size

__all__ = ["check_spec"]

_LARGEST_PAYLOAD = 32 << 20
_MOST_BYTES = 2 << 30
_COUNTS = ("sent", "acked", "delivered", "handled", "settled")


def check_spec(
    workload: Workload,
    lines: Sequence[FaultLine],
    backends: Names[str, BackendSection],
    entries: Names[str, Entry],
    registry: Registry,
    issues: Issues,
) -> None:
    """Report every contradiction between workload, faults, backends and expectations."""
    node = entries["workload"].value
    assert isinstance(node, Mapping)
    _check_workload(workload, node, issues)
    for line in lines:
        _check_point(line, workload, issues)
        _check_moment(line, workload, issues)
    _check_partitions(lines, backends, workload.keys.count, registry, issues)
    _check_numbers(lines, workload, issues)
    _check_recovery(lines, backends, entries, registry, issues)


def _value(node: Mapping, *names: str) -> Node:
    """The value of the first of these keys that is there, for the carets; else the mapping."""
    return next((entry.value for name in names if (entry := node.get(name)) is not None), node)


def _check_workload(workload: Workload, node: Mapping, issues: Issues) -> None:
    if workload.producers < workload.writers_per_key:
        issues.error(
            "MQ207",
            f"{workload.writers_per_key} writers per key, and {workload.producers} producers",
            _value(node, "writers_per_key"),
            "give it as many producers",
        )
    if workload.transaction is not None and workload.batch is not None:
        issues.error(
            "MQ207",
            "'batch' and 'transaction' together",
            _value(node, "transaction"),
            "messages go in one or the other",
        )
    _check_size(workload, node, issues)
    _check_handler(workload.handler, node, issues)
    for name, group in workload.groups.items():
        if group.handler is not None:
            _check_handler(group.handler, _of_group(node, name), issues)
    _check_sinks(workload, node, issues)
    if workload.in_flight == "one" and (workload.batch or workload.transaction):
        issues.error(
            "MQ207", "'in_flight: one' waits for each message", _value(node, "in_flight"), "a batch goes out at once"
        )


def _check_size(workload: Workload, node: Mapping, issues: Issues) -> None:
    """What would not fit into the memory of the machine that runs it."""
    if workload.payload > _LARGEST_PAYLOAD:
        issues.error(
            "MQ206",
            f"a payload of {format_size(workload.payload)}",
            _value(node, "payload"),
            f"at most {format_size(_LARGEST_PAYLOAD)}; brokers refuse more than 1 MiB by default",
        )
    elif workload.payload * workload.messages > _MOST_BYTES:
        issues.error(
            "MQ206",
            f"{workload.messages} messages of {format_size(workload.payload)}",
            _value(node, "payload", "messages"),
            f"at most {format_size(_MOST_BYTES)} in all: a run is held in memory",
        )


def _of_group(node: Mapping, name: str) -> Mapping:
    """The mapping that a group's own words stand in."""
    for key in ("groups", name):
        entry = node.get(key)
        if entry is None or not isinstance(entry.value, Mapping):
            break
        node = entry.value
    return node


def _check_handler(handler: Handler, node: Mapping, issues: Issues) -> None:
    """Words of a handler that mean nothing without others."""
    written = node.get("handler")
    place = written.value if written is not None and isinstance(written.value, Mapping) else node
    if handler.restart_after is not None and handler.on_failure not in {"stop", "crash"}:
        issues.error(
            "MQ207",
            f"'restart_after' with 'on_failure: {handler.on_failure}', which ends no consumer",
            _value(place, "restart_after"),
            "it goes with on_failure: stop or crash; after a fault, write it in the fault",
        )


def _check_sinks(workload: Workload, node: Mapping, issues: Issues) -> None:
    """`with_effect` stores the position with the effect, so it needs a sink that keeps positions."""
    wrong: dict[Mark, SinkKind] = {}
    for name, group in workload.groups.items():
        sink = workload.sink_of(group)
        if workload.settle_of(group).policy == "with_effect" and sink != "transactional":
            own = _of_group(node, name) if group.sink is not None else node
            wrong[_value(own, "sink").mark] = sink
    for place, sink in wrong.items():
        issues.error(
            "MQ207",
            f"'settle: with_effect' with 'sink: {sink}'",
            place,
            "effect and position go into one transaction: write sink: transactional, or leave the sink out",
        )


def _check_point(line: FaultLine, workload: Workload, issues: Issues) -> None:
    fault = line.fault
    if fault.point is None:
        return
    at = line.places["point"]
    if "consumer" not in line.roles and "leader" not in line.roles and "all consumers" not in line.roles:
        if line.roles:
            whose = "broker" if line.roles[0] in BROKER_ROLES else line.roles[0]
            issues.error("MQ213", f"a {whose} has no point '{fault.point}'", at, "points are in a consumer's loop")
        return
    policies = [
        workload.settle_of(group).policy
        for name, group in workload.groups.items()
        if fault.group is None or name == fault.group
    ]
    if policies and all(fault.point in _LACKING.get(policy, ()) for policy in policies):
        issues.error(
            "MQ213", f"with 'settle: {policies[0]}' the loop has no point '{fault.point}'", at, _INSTEAD[policies[0]]
        )


_LACKING: Final[Names[str, Sequence[str]]] = {
    "automatic": ("in_settle", "after_settle"),
    "with_effect": ("before_settle", "in_settle"),
}
"""Points that the loop does not have, by how it settles."""

_INSTEAD: Final = {
    "automatic": "the client settles by itself inside a later poll: use before_settle, the moment before that poll",
    "with_effect": (
        "effect and position are one transaction: use in_handler, the moment before it, or after_settle, the moment "
        "after it"
    ),
}


def _check_moment(line: FaultLine, workload: Workload, issues: Issues) -> None:
    """A fault that waits for more messages than there are is a mistake; one that may not fire is a warning."""
    when = line.fault.when
    if when.metric in _COUNTS and not when.share and when.high > workload.messages:
        never = when.low > workload.messages
        message = (
            f"this fault {'never happens' if never else 'may not happen'}: it waits for "
            f"{int(when.low if never else when.high)} messages {when.metric}, and the workload has {workload.messages}"
        )
        if never:
            issues.error("MQ215", message, line.places["when"], "write a share, such as 50%")
        else:
            issues.warn("MQ401", message, line.places["when"], "write a share, such as 50%")
    late = any(group.joins == "drained" for group in workload.groups.values())
    if when.metric == "drained" and line.fault.point is not None and not late:
        issues.warn(
            "MQ401",
            f"this fault may not happen: once drained, no consumer comes to '{line.fault.point}'",
            line.places["point"],
            "remove the point, or wait for something earlier",
        )


def _check_partitions(
    lines: Sequence[FaultLine], backends: Names[str, BackendSection], keys: int, registry: Registry, issues: Issues
) -> None:
    for section in backends.values():
        there = registry.systems[section.system].partitions(section.settings, keys)
        for line in lines:
            if there is None:
                continue
            most = max(there, *_totals(lines))
            if line.kind.subject == "place":
                _check_partition(line.fault.options["partition"], line, section.label, most, issues)
            for number in map(partition_of, line.fault.target):
                if number is not None:
                    _check_partition(number, line, section.label, most, issues)
            if line.kind.name != "add_partitions" or line.fault.amount is None:
                continue
            if line.fault.amount <= there:
                issues.error(
                    "MQ216",
                    f"'{section.label}' has {there} partition{'s' if there != 1 else ''} already",
                    line.places["add_partitions"],
                    "it is the new total, and a topic never loses partitions",
                )
            there = max(there, line.fault.amount)


def _totals(lines: Sequence[FaultLine]) -> list[int]:
    """How many partitions there come to be."""
    return [line.fault.amount or 0 for line in lines if line.kind.name == "add_partitions"] or [0]


def _check_partition(number: int, line: FaultLine, label: str, there: int, issues: Issues) -> None:
    if number >= there:
        those = f"{there} partitions: 0 to {there - 1}" if there > 1 else "1 partition: 0"
        issues.error("MQ211", f"there is no partition {number}", line.places[line.kind.name], f"'{label}' has {those}")


def _check_numbers(lines: Sequence[FaultLine], workload: Workload, issues: Issues) -> None:
    """Whether those who are to leave are there, and may."""
    for line in lines:
        kind, fault = line.kind.name, line.fault
        if kind not in {"add_consumers", "remove_consumers"} or fault.group is None:
            continue
        at = line.places[kind]
        if workload.shard is not None:
            issues.error(
                "MQ218",
                f"'{kind}' with 'shard: {workload.shard}', which gives each consumer a share of the keys",
                at,
                "the number of shards stays: remove one of them",
            )
        elif kind == "remove_consumers":
            there = workload.groups[fault.group].consumers or workload.consumers
            there += sum(
                (other.fault.amount or 0) * other.fault.times
                for other in lines
                if other.kind.name == "add_consumers" and other.fault.group == fault.group
            )
            leave = (fault.amount or 0) * fault.times
            if leave > there:
                issues.error("MQ218", f"{leave} consumers are to leave, and there are {there}", at, "remove fewer")
            elif leave == there:
                issues.warn(
                    "MQ403", "nobody is left: what the group has not handled by then it is not owed", at, "remove fewer"
                )


def _check_recovery(
    lines: Sequence[FaultLine],
    backends: Names[str, BackendSection],
    entries: Names[str, Entry],
    registry: Registry,
    issues: Issues,
) -> None:
    """`recovery: {within: T}` below the time a group needs to notice a death is violated by every crash."""
    of_all = entries["expect"].value if "expect" in entries else None
    silent = any(line.kind.name in {"pause", "cut"} for line in lines)
    for section in backends.values():
        takeover = registry.systems[section.system].takeover(section.settings, silent)
        written = _own_expectation(section.label, "recovery", entries) or (
            of_all.get("recovery") if isinstance(of_all, Mapping) else None
        )
        expected = written.value if written else None
        if takeover is None or not isinstance(expected, Mapping) or expected.get("violated") is not None:
            continue
        within = expected.get("within")
        if within is None or within.value.bad:
            continue
        given = DURATION.read(within.value, Issues(issues.file))
        if isinstance(given, int) and given <= takeover:
            issues.warn(
                "MQ402",
                f"'{section.label}' needs up to {format_duration(takeover)} to give a dead consumer's share to another",
                within.value,
                "allow more than that",
            )


def _own_expectation(label: str, guarantee: str, entries: Names[str, Entry]) -> Entry | None:
    """What a backend's own `expect` says of a guarantee, which goes before the spec's."""
    node: Node | None = entries["backends"].value if "backends" in entries else None
    for key in (label, "expect", guarantee):
        entry = node.get(key) if isinstance(node, Mapping) else None
        if entry is None:
            return None
        node = entry.value
    return entry

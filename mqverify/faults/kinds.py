"""The kinds of faults that a spec may name: what each takes, and which of them this version injects."""

from collections.abc import Mapping
from typing import Final

from mqverify.spec.registry import LATER, FaultKind

__all__ = ["FAULT_KINDS"]

_WORKERS: Final = ("consumer", "leader", "all consumers", "producer")
_FAR_ENDS: Final = ("broker", "broker of partition 0", "followers of partition 0", "node leader")
_BROKERS: Final = (*_FAR_ENDS, "all brokers")
_NO_LINK_TO_A_NODE: Final = {"node leader": f"a link to one of several nodes {LATER}"}
_NO_NODE_FAULTS: Final = {"node leader": f"a fault of a node {LATER}"}

_KINDS: Final = (
    FaultKind(
        name="crash",
        about="SIGKILL: the process dies at once; 'consumer' is the first that reaches the point after the trigger, "
        "'broker' any one",
        subject="target",
        targets=_WORKERS + _BROKERS,
        takes=("point", "restart_after", "group"),
        missing_targets=_NO_NODE_FAULTS,
    ),
    FaultKind(
        name="pause",
        about="SIGSTOP, and SIGCONT after 'for': the process freezes wherever it is, its connections stay open",
        subject="target",
        targets=_WORKERS + _BROKERS,
        takes=("point", "for", "group"),
        needs=("for",),
        missing_targets=_NO_NODE_FAULTS,
    ),
    FaultKind(
        name="slow",
        about="handlings take as long as 'handler' says: as many as 'times' says, or all of them for 'for'",
        subject="slow",
        targets=("consumer", "leader", "all consumers"),
        takes=("handler", "for", "group"),
        needs=("handler",),
    ),
    FaultKind(
        name="pass",
        about="time goes by while live workers stay alive: retention, expiry and timers see it",
        subject="duration",
    ),
    FaultKind(
        name="add_partitions",
        about="the topic gets more partitions: the new total",
        subject="count",
    ),
    FaultKind(
        name="cut",
        about="nothing passes between a worker and the broker, both ways or one: what is sent waits for its end, "
        "connections stay open",
        subject="link",
        targets=(*_WORKERS, *_FAR_ENDS),
        takes=("for", "one_way", "nth", "group"),
        needs=("for",),
        missing_targets=_NO_LINK_TO_A_NODE,
    ),
    FaultKind(
        name="delay",
        about="what passes between a worker and the broker comes later, each message by a time of its own",
        subject="link",
        targets=(*_WORKERS, *_FAR_ENDS),
        takes=("by", "for", "nth", "group"),
        needs=("by", "for"),
        missing_targets=_NO_LINK_TO_A_NODE,
    ),
    FaultKind(
        name="lose",
        about="a producer's append or a consumer's settlement is done, its reply is dropped and the connection breaks; "
        "'times' says how many replies in a row",
        subject="ack",
        takes=("of", "nth", "group"),
        needs=("of",),
    ),
    FaultKind(
        name="reset",
        about="all connections between a worker and the broker break at once: what is on its way is lost, and they can "
        "connect anew",
        subject="link",
        targets=(*_WORKERS, *_FAR_ENDS),
        takes=("nth", "group"),
        missing_targets=_NO_LINK_TO_A_NODE,
    ),
    FaultKind(
        name="add_consumers",
        about="so many more consumers join the group, numbered on",
        subject="count",
        takes=("group",),
    ),
    FaultKind(
        name="remove_consumers",
        about="so many consumers leave the group cleanly, those that were started last first",
        subject="count",
        takes=("group",),
    ),
    FaultKind(
        name="delete_records",
        about="an administrator deletes the records of a partition before a position, or that share of them",
        subject="place",
    ),
    FaultKind(
        name="scavenge",
        about="Event Store removes what retention and deletion have marked",
        subject="nothing",
    ),
    FaultKind(
        name="replay_parked",
        about="Event Store puts parked events back into the subscription",
        subject="nothing",
        takes=("group",),
    ),
    FaultKind(
        name="delete_stream",
        about="an administrator deletes the stream of a key",
        subject="name",
    ),
    FaultKind(
        name="clock_skew",
        about="a producer's clock is off from then on: its client stamps records so, and retention believes them",
        subject="skew",
        missing_targets={"consumer": "a consumer stamps no records, and its client's timers are monotonic"},
    ),
)

FAULT_KINDS: Final[Mapping[str, FaultKind]] = {kind.name: kind for kind in _KINDS}
"""By name, in the order in which they are listed to users."""

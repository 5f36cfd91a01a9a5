"""The kinds of faults that a spec may name: what each takes, and which of them this version injects."""

from collections.abc import Mapping
from typing import Final

from mqverify.spec.registry import FaultKind

__all__ = ["FAULT_KINDS"]

_WORKERS: Final = ("consumer", "leader", "all consumers", "producer")
_BROKERS: Final = ("broker", "broker of partition 0", "node leader")
_LATER: Final = "comes with a later version of mqverify"
_NO_BROKER_FAULTS: Final = dict.fromkeys(_BROKERS, f"a fault of a broker {_LATER}")

_KINDS: Final = (
    FaultKind(
        name="crash",
        about="SIGKILL: the process dies at once; 'consumer' is the first that reaches the point after the trigger",
        subject="target",
        targets=_WORKERS + _BROKERS,
        takes=("point", "restart_after", "group"),
        missing_targets=_NO_BROKER_FAULTS,
    ),
    FaultKind(
        name="pause",
        about="SIGSTOP, and SIGCONT after 'for': the process freezes wherever it is, its connections stay open",
        subject="target",
        targets=_WORKERS + _BROKERS,
        takes=("point", "for", "group"),
        needs=("for",),
        missing_targets=_NO_BROKER_FAULTS,
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
        about="nothing passes between the two, one way or both; connections stay open",
        subject="link",
        targets=(*_WORKERS, *_BROKERS),
        takes=("for", "one_way", "group"),
        needs=("for",),
        missing=f"a network partition {_LATER}",
    ),
    FaultKind(
        name="delay",
        about="what passes between the two takes longer",
        subject="link",
        targets=(*_WORKERS, *_BROKERS),
        takes=("by", "for", "group"),
        needs=("by", "for"),
        missing=f"latency on a link {_LATER}",
    ),
    FaultKind(
        name="lose",
        about="the request is done, its reply is dropped and the connection breaks",
        subject="ack",
        takes=("of", "group"),
        missing=f"a lost reply {_LATER}",
    ),
    FaultKind(
        name="add_consumers",
        about="so many more consumers join the group",
        subject="count",
        takes=("group",),
        missing=f"consumers that join in mid-run ('joins: drained' apart): the fault {_LATER}",
    ),
    FaultKind(
        name="remove_consumers",
        about="so many consumers leave the group cleanly",
        subject="count",
        takes=("group",),
        missing=f"consumers that leave in mid-run: the fault {_LATER}",
    ),
    FaultKind(
        name="delete_records",
        about="an administrator deletes the records of a partition before a position or a share",
        subject="place",
        missing=f"deleting records {_LATER}",
    ),
    FaultKind(
        name="scavenge",
        about="Event Store removes what retention and deletion have marked",
        subject="nothing",
        missing=f"a scavenge {_LATER}",
    ),
    FaultKind(
        name="replay_parked",
        about="Event Store puts parked events back into the subscription",
        subject="nothing",
        takes=("group",),
        missing=f"replaying parked events {_LATER}",
    ),
    FaultKind(
        name="delete_stream",
        about="an administrator deletes a stream",
        subject="name",
        missing=f"deleting a stream {_LATER}",
    ),
    FaultKind(
        name="clock_skew",
        about="a worker's clock is off: record timestamps and client timers see it",
        subject="skew",
        missing=f"clock skew {_LATER}",
    ),
)

FAULT_KINDS: Final[Mapping[str, FaultKind]] = {kind.name: kind for kind in _KINDS}
"""By name, in the order in which they are listed to users."""

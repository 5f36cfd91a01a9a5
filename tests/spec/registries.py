"""A registry with made-up guarantees and the real kinds of faults and systems."""

from dataclasses import dataclass

from mqverify.backends.eventstore.system import SYSTEM as EVENTSTORE
from mqverify.backends.kafka.system import SYSTEM as KAFKA
from mqverify.faults.kinds import FAULT_KINDS
from mqverify.spec.registry import Registry


@dataclass(frozen=True)
class FakeParameter:
    name: str
    kind: str
    default: str | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    least: int = 0


@dataclass(frozen=True)
class FakeGuarantee:
    code: str
    name: str
    parameters: tuple[FakeParameter, ...] = ()
    promise: str = "something is promised"
    wants_parameter: bool = False


_GUARANTEES = (
    FakeGuarantee("MQ101", "at_least_once"),
    FakeGuarantee("MQ103", "exactly_once"),
    FakeGuarantee("MQ111", "per_key_ordering"),
    FakeGuarantee("MQ122", "durable_past_retention"),
    FakeGuarantee("MQ124", "replayable", (FakeParameter("state", "text", "fold", choices=("fold", "latest")),)),
    FakeGuarantee("MQ134", "recovery", (FakeParameter("within", "duration", required=True),)),
    FakeGuarantee("MQ138", "balanced", (FakeParameter("at_most", "ratio", required=True),)),
    FakeGuarantee(
        "MQ151",
        "latency",
        (FakeParameter("p99", "duration", required=True), FakeParameter("outside_faults", "flag", "false")),
    ),
    FakeGuarantee(
        "MQ152",
        "footprint",
        (FakeParameter("partitions", "count"), FakeParameter("bytes", "count")),
        wants_parameter=True,
    ),
)

REGISTRY = Registry(
    {guarantee.name: guarantee for guarantee in _GUARANTEES},
    FAULT_KINDS,
    {system.name: system for system in (KAFKA, EVENTSTORE)},
)

BASE = """\
spec: orders survive a crash
about: One of three consumers is killed.
workload:
  messages: 500
  keys: 20
  producers: 2
  consumers: 3
  settle: after_handling
backends:
  kafka:
    partitions: 6
faults:
  - crash: consumer
    when: {handled: 20%..60%}
expect:
  at_least_once: held
"""
"""A spec without mistakes, which tests change."""


def changed(*changes: tuple[str, str]) -> str:
    """The base with lines replaced: (line as it stands, what takes its place)."""
    text = BASE
    for old, new in changes:
        assert text.count(old + "\n") == 1, old
        text = text.replace(old + "\n", new + "\n")
    return text

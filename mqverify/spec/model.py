"""A spec, validated: one shape for every word, units resolved, short forms expanded.

Durations are integer nanoseconds, sizes integer bytes, shares are fractions of 1. `mqverify.spec.document` brings the
many ways to write a word to these shapes *before* pydantic sees them, so that one mistake gives one diagnostic.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BackendSection",
    "Expectation",
    "Fault",
    "Group",
    "Handler",
    "Keys",
    "Runs",
    "Settle",
    "SinkKind",
    "Spec",
    "When",
    "Workload",
]


SinkKind = Literal["plain", "idempotent", "transactional"]
"""What stands behind the handlers of a group: `workload/sink.py`."""


class _Model(BaseModel):
    # Validators are built when a spec is read: a worker process, which is handed one that was, needs none.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Keys(_Model):
    """How many aggregates there are, and how messages fall on them."""

    count: int = Field(default=1, ge=1)
    distribution: Literal["uniform", "zipf", "hot"] = "uniform"
    skew: float | None = None
    """`zipf 1.1`: the exponent; `hot 90%`: the share of the first key, of 1."""


class Handler(_Model):
    takes: tuple[int, int] = (1_000_000, 1_000_000)
    """Nanoseconds, least and most; drawn uniformly for each handling."""
    poison_one_in: int | None = None
    """`poison: 1 in 1000`: that share of the messages fails every time."""
    attempts: int = Field(default=1, ge=1)
    on_failure: Literal["retry", "skip", "park", "stop", "crash"] = "retry"
    close: Literal["always", "clean_only", "never"] = "always"
    restart_after: int | None = None
    """Nanoseconds after which a supervisor starts a consumer again that `stop` or `crash` ended; None: nobody does."""


class Settle(_Model):
    """When a consumer tells the broker that it is done."""

    policy: Literal[
        "before_handling", "before_batch", "after_handling", "after_batch", "automatic", "every", "with_effect"
    ] = "after_handling"
    every_time: int | None = None
    every_count: int | None = None


class Group(_Model):
    """One set of consumers who share the work. What is None follows the workload or the backend's own default."""

    consumers: int | None = Field(default=None, ge=1)
    joins: Literal["start", "drained"] = "start"
    start: Literal["beginning", "end"] | None = None
    settle: Settle | None = None
    commit: Literal["sync", "async"] | None = None
    handler: Handler | None = None
    sink: SinkKind | None = None


class Workload(_Model):
    messages: int = Field(ge=1, le=10_000_000)
    keys: Keys = Keys.model_construct()
    producers: int = Field(default=1, ge=1, le=1_000)
    consumers: int = Field(default=1, ge=1, le=1_000)
    groups: dict[str, Group] = Field(default_factory=lambda: {"group": Group()})
    """In the order of the spec. A spec that names none has the one group `group`."""
    rate: float | None = None
    """Messages a second over all producers; None: as fast as possible."""
    payload: int = Field(default=100, ge=0)
    handler: Handler = Handler.model_construct()
    settle: Settle = Settle.model_construct()
    commit: Literal["sync", "async"] = "sync"
    loop: Literal["poll", "iterator"] = "poll"
    start: Literal["consumers_first", "together", "producers_first"] = "consumers_first"
    shard: Literal["key"] | None = None
    sink: SinkKind | None = None
    """None: not said. Read it through `sink_of`."""
    writers_per_key: int = Field(default=1, ge=1)
    in_flight: Literal["pipelined", "one"] = "pipelined"
    batch: int | None = None
    transaction: int | None = None
    expected_revision: Literal["any", "exact", "no_stream", "exists"] = "any"
    on_unknown: Literal["leave", "retry"] = "leave"

    def settle_of(self, group: Group) -> Settle:
        return group.settle or self.settle

    def sink_of(self, group: Group) -> SinkKind:
        """The sink of a group: the one that is said; else plain, or transactional if it settles with the effect."""
        implied: SinkKind = "transactional" if self.settle_of(group).policy == "with_effect" else "plain"
        return group.sink or self.sink or implied


class When(_Model):
    """What a fault waits for. Counts are of distinct messages."""

    metric: Literal["now", "sent", "acked", "delivered", "handled", "settled", "time", "drained"] = "now"
    low: float = 0
    high: float = 0
    """A range that the seed draws from: messages, or shares of 1 if `share`, or nanoseconds for `time`."""
    share: bool = False


class Fault(_Model):
    """One fault of a spec. Which fields a kind takes is the registry of kinds in `mqverify.faults`."""

    kind: str
    """`crash`, `pause`, `slow`, `pass`, `add_partitions`, `cut`, …"""
    target: tuple[str, ...] = ()
    """`("consumer",)`, `("billing/consumer-1",)`, `("all consumers",)`, `("consumer-1", "broker")` …"""
    when: When = When.model_construct()
    point: Literal["before_handle", "in_handler", "before_settle", "in_settle", "after_settle"] | None = None
    restart_after: tuple[int, int] | None = (0, 0)
    """Nanoseconds, least and most; None: never."""
    duration: tuple[int, int] | None = None
    """`for:`, or the time that a `pass` lets go by."""
    handler: tuple[int, int] | None = None
    """`slow`: how long a handling takes."""
    by: tuple[int, int] | None = None
    """`delay`: how much longer a message takes, nanoseconds, least and most."""
    times: int = Field(default=1, ge=1)
    nth: int | None = Field(default=None, ge=1)
    """`cut`, `delay`, `lose`, `reset`: begin with that request after the trigger, counted from 1; `lose` counts those
    whose reply it can lose. None: at the trigger, the next of them."""
    group: str | None = None
    amount: int | None = None
    """`add_partitions`: the new total; `add_consumers`, `remove_consumers`: how many."""
    one_way: bool = False
    """`cut`: only what the first target sends to the second is held."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What only one kind takes. `delete_records`: `partition`, and `before` as (least, most, whether a share of 1);
    `delete_stream`: `name`, the key; `clock_skew`: the nanoseconds by which each target is ahead, by target."""
    line: int = 0
    """Line in the spec's file, for messages."""


class Expectation(_Model):
    """What a spec expects of one guarantee, with the guarantee's parameters as text in base units."""

    verdict: Literal["held", "violated", "unsupported"] = "held"
    why: str | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    line: int = 0


class BackendSection(_Model):
    """One entry under `backends:`; `settings` is the validated settings model of the system."""

    label: str
    system: str
    settings: Any
    expect: dict[str, Expectation] = Field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    """Why this version of mqverify cannot run it, if it cannot; empty if it can."""
    line: int = 0


class Runs(_Model):
    """How many runs in each world; None: the default."""

    simulated: int | None = Field(default=None, ge=1)
    real: int | None = Field(default=None, ge=1)


class Spec(_Model):
    name: str
    file: str
    """As given on the command line, for messages and reports."""
    text: str
    """The source, for cases and for workers of other machines."""
    about: str = ""
    claim: str = ""
    finding: str = ""
    decision: str | None = None
    tags: tuple[str, ...] = ()
    runs: Runs = Runs.model_construct()
    workload: Workload
    backends: dict[str, BackendSection]
    faults: tuple[Fault, ...] = ()
    expect: dict[str, Expectation] = Field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    """Words of this spec that this version of mqverify knows but cannot run yet, each with its reason."""

    def expectations(self, label: str) -> dict[str, Expectation]:
        """What is expected on one backend: its own `expect` over the spec's, guarantee by guarantee."""
        return {**self.expect, **self.backends[label].expect}

"""What a check tells those who listen: small immutable events, in order. Reports are listeners.

A check begins with `CheckStarted`, tells `RunFinished` for each run and `ScenarioFinished` when all runs of one spec on
one backend are judged, and ends with `CheckFinished`, also when it was interrupted.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CheckFinished",
    "CheckStarted",
    "Event",
    "Figure",
    "Planned",
    "Result",
    "RunFinished",
    "RunSummary",
    "ScenarioFinished",
    "ScenarioStarted",
    "Summary",
    "Trace",
    "VerdictName",
    "Warned",
    "Witness",
    "WitnessEvent",
    "World",
]

VerdictName = Literal["held", "violated", "inconclusive", "unsupported"]
World = Literal["simulated", "real"]


@dataclass(frozen=True, slots=True)
class WitnessEvent:
    """One line of a witness, in the order of time."""

    at_ns: int
    actor: str
    event: str
    message: int | None = None
    key: str | None = None
    sequence: int | None = None
    partition: str | None = None
    """The name of the partition or stream."""
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """The messages and events that show one violation: enough for a person to be convinced in a minute."""

    run: int
    sentence: str
    events: tuple[WitnessEvent, ...]
    place: str = "partition"
    position: str = "position"
    """What the system calls the two, as headings of a timeline: partition and offset, stream and revision."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that a guarantee measured: the worst of all runs, whatever the verdict."""

    name: str
    value: float
    """In base units (nanoseconds, counts, ratios); infinite where it never came to an end."""
    shown: str
    """As people read it: `12.5 ms`."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run: what folding findings to a verdict needs to know of it, and what reports say of it."""

    scenario: int
    run: int
    seed: int
    drained: bool
    give_up_reason: str | None
    faults: tuple[tuple[int, str, bool, str | None], ...]
    """(fault's number in the spec, its kind, took effect, why not), one for each repetition."""
    digest: str
    messages: int
    deliveries: int
    virtual_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Result:
    """One guarantee of one spec on one backend, over all runs."""

    spec: str
    file: str
    backend: str
    system: str
    world: World
    guarantee: str
    code: str
    expected: VerdictName
    expected_why: str | None
    verdict: VerdictName
    as_expected: bool | None
    """None: neither (unsupported, or on a real broker an expected violation that did not show)."""
    runs: int
    decided_by: int
    obligations: int
    violations: int
    reason: str
    witness: Witness | None
    reproduce: str
    """A command line that shows the witness again."""
    decision: str | None = None
    line: int = 0
    """Where in its file the spec says what it expects, from 1; 0 if that is not known."""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of results; `waived` are expected violations that did show."""

    as_expected: int = 0
    not_as_expected: int = 0
    inconclusive: int = 0
    unsupported: int = 0
    waived: int = 0


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """What a check is about to do: how many specs, scenarios and runs in all."""

    version: str
    specs: int
    scenarios: int
    runs: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know that decides no verdict."""

    message: str


@dataclass(frozen=True, slots=True)
class ScenarioStarted:
    """Its results come next; `scenario` is its number in the check, from 0, `runs` how many were planned."""

    scenario: int
    spec: str
    file: str
    backend: str
    system: str
    world: World
    runs: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """One run is over and judged; what was found in it is in the scenario's results."""

    spec: str
    backend: str
    summary: RunSummary


@dataclass(frozen=True, slots=True)
class ScenarioFinished:
    """All runs of one spec on one backend are judged: one result a guarantee, in the order of their codes."""

    scenario: int
    spec: str
    file: str
    backend: str
    results: tuple[Result, ...]
    details: tuple[tuple[str, str], ...] = ()
    """What else is worth knowing: the broker's version, the folder of histories."""


@dataclass(frozen=True, slots=True)
class CheckFinished:
    """The last event of every check. `wall_ms` is how long it took, `interrupted` whether Ctrl-C ended it."""

    summary: Summary
    exit_code: int
    wall_ms: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """One spec on one backend that a check would run: no event, but what `--dry-run` shows."""

    spec: str
    file: str
    backend: str
    system: str
    world: World
    runs: int
    """0 where it is unsupported."""
    guarantees: tuple[str, ...]
    unsupported: str | None
    not_judged: tuple[tuple[str, str], ...]
    """(guarantee, why it is unsupported here), where the others are judged."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened in one run, without a verdict: it is not told during a check, but asked for."""

    spec: str
    file: str
    backend: str
    system: str
    world: World
    summary: RunSummary
    place: str
    position: str
    """What the system calls the two, as in a `Witness`."""
    total: int
    """How many events there are; `events` may be the first of them."""
    events: tuple[WitnessEvent, ...]


Event = CheckStarted | Warned | ScenarioStarted | RunFinished | ScenarioFinished | CheckFinished

"""What judging hands on: findings (one guarantee in one run) and verdicts (one guarantee in one scenario)."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "RunSummary", "Verdict", "VerdictName", "Witness", "WitnessEvent"]

VerdictName = Literal["held", "violated", "inconclusive", "unsupported"]


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


@dataclass(frozen=True, slots=True)
class Finding:
    """One guarantee in one run: how often it was put to the test and how often it broke."""

    scenario: int
    run: int
    guarantee: str
    obligations: int
    violations: int
    doubts: tuple[str, ...] = ()
    """Why this run could not decide it fully: a group that did not drain, evidence that is missing."""
    witness: Witness | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What folding findings to a verdict needs to know of a run, and what reports say of it."""

    scenario: int
    run: int
    seed: int
    drained: bool
    give_up_reason: str | None
    faults: tuple[tuple[int, str, bool, str | None], ...]
    """(fault's number in the spec, its kind, took effect, why not), one each of every repetition."""
    digest: str
    messages: int
    deliveries: int
    virtual_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """One guarantee in one scenario, over all its runs."""

    guarantee: str
    verdict: VerdictName
    runs: int
    decided_by: int
    """How many of the runs stand behind it: violating runs, or runs with all faults in effect and an obligation."""
    obligations: int
    violations: int
    reason: str
    witness: Witness | None = None

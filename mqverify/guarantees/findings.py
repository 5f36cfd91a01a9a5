"""What judging hands on: findings (one guarantee in one run) and verdicts (one guarantee in one scenario)."""

from dataclasses import dataclass

from mqverify.events import Figure, VerdictName, Witness

__all__ = ["Finding", "Verdict"]


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
    figures: tuple[Figure, ...] = ()


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
    figures: tuple[Figure, ...] = ()
    """Of each name the greatest of all runs."""

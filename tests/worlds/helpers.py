"""Short ways to a run."""

from mqverify import engine
from mqverify.guarantees.findings import Finding
from mqverify.history.recorder import RunRows
from mqverify.history.tables import TABLES
from mqverify.spec.load import load_text
from mqverify.worlds.base import Scenario
from mqverify.worlds.chunk import judge_runs, run_simulated
from mqverify.worlds.conductor import Outcome

__all__ = ["findings", "judged", "run", "scenario", "table"]


def scenario(text: str, label: str = "kafka") -> Scenario:
    """The scenario of a spec given as text."""
    return Scenario(0, load_text(text, "test.yaml", engine.registry()), label)


def run(text: str, seed: int = 0, label: str = "kafka") -> tuple[RunRows, Outcome]:
    """One simulated run of a spec."""
    return run_simulated(scenario(text, label), seed)


def table(rows: RunRows, name: str) -> list[dict[str, object]]:
    """A table's rows as dictionaries."""
    columns = [column for column in TABLES[name].column_names if column not in {"run", "stage"}]
    return [dict(zip(columns, row, strict=True)) for row in rows.tables[name]]


def judged(text: str, seed: int, label: str, rows: RunRows, outcome: Outcome) -> dict[str, Finding]:
    """What judging a run that has been made finds, by guarantee."""
    return {one.guarantee: one for one in judge_runs(scenario(text, label), {seed: (rows, outcome)})}


def findings(text: str, seed: int = 0, label: str = "kafka") -> dict[str, Finding]:
    """What judging one run finds, by guarantee."""
    one = scenario(text, label)
    return {finding.guarantee: finding for finding in judge_runs(one, {seed: run_simulated(one, seed)})}

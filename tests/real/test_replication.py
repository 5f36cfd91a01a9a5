"""Three real brokers that are killed and frozen: what is acknowledged, and what a fresh reader finds of it."""

from pathlib import Path

import pytest

from mqverify import engine
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
from mqverify.history.tables import TABLES
from mqverify.spec.load import load
from mqverify.worlds.chunk import judge_runs
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios, unsupported_reason

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

SPECS = Path(__file__).parents[2] / "specs/replication"


@pytest.fixture(scope="module")
def site(has_kafka):
    with LocalCluster(3) as cluster:
        yield LocalSite(cluster)


def run(site, name, label):
    """The rows of a run, and the verdicts that its guarantees have."""
    (spec,) = load([SPECS / name], engine.registry()).specs
    (scenario,) = select_scenarios([spec], [(label, "local:3")])
    assert unsupported_reason(scenario) is None
    site.heal()
    rows, outcome = run_real(scenario, 0, site, lambda _: None)
    assert [(kind, took_effect) for _, kind, took_effect, _ in outcome.faults] == [("pause", True), ("crash", True)]
    findings = judge_runs(scenario, {0: (rows, outcome)})
    verdicts = {finding.guarantee: finding.violations for finding in findings}
    return rows, verdicts


def rows_of(rows, table):
    names = TABLES[table].column_names[2:]
    return [dict(zip(names, row, strict=True)) for row in rows.tables[table]]


def missing(rows):
    """Acknowledged, and not found by the reader of the end."""
    acked = {row["message"] for row in rows_of(rows, "sends") if row["outcome"] == "acked"}
    return acked - {row["message"] for row in rows_of(rows, "log")}


def test_with_acks_1_what_a_dead_leader_had_alone_is_lost(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, violations = run(site, "acks-and-a-dead-leader.yaml", "acks_1")
    assert missing(rows)
    assert violations["durable"] == len(missing(rows))
    assert violations["consistent_positions"] > 0
    assert not [row for row in rows_of(rows, "faults") if row["kind"] == "unclean_election"]
    (reading,) = rows_of(rows, "readings")
    assert reading["complete"]


def test_with_acks_all_the_same_loses_nothing(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, violations = run(site, "acks-and-a-dead-leader.yaml", "acks_all")
    assert missing(rows) == set()
    assert not any(violations.values())


def test_an_unclean_election_loses_what_all_one_replicas_acknowledged(site, tmp_path, monkeypatch):
    """It is in the history, and so is what it excuses: offsets that were given twice."""
    monkeypatch.chdir(tmp_path)
    rows, violations = run(site, "unclean-election.yaml", "unclean_on")
    assert missing(rows)
    assert violations["durable"] == len(missing(rows))
    (election,) = [row for row in rows_of(rows, "faults") if row["kind"] == "unclean_election"]
    crash = next(row for row in rows_of(rows, "faults") if row["kind"] == "crash")
    assert election["target"] == "partition 0"
    assert crash["began_at"] < election["began_at"] < crash["ended_at"]
    assert not violations["consistent_positions"]

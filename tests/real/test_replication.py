"""Three real brokers that are killed and frozen: what is acknowledged, and what a fresh reader finds of it."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from mqverify import engine
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
from mqverify.errors import BackendLost
from mqverify.history.tables import TABLES
from mqverify.spec.load import load
from mqverify.worlds.chunk import judge_runs
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios, unsupported_reason

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

SPECS = Path(__file__).parents[2] / "specs/replication"


@pytest.fixture(scope="module")
def cluster(has_kafka):
    with LocalCluster(3) as cluster:
        yield cluster


@pytest.fixture
def site(cluster):
    cluster.make_whole()
    return LocalSite(cluster)


def run(site, name, label):
    """The rows of a run, and the verdicts that its guarantees have."""
    (spec,) = load([SPECS / name], engine.registry()).specs
    (scenario,) = select_scenarios([spec], [(label, "local:3")])
    assert unsupported_reason(scenario) is None
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


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def leader_and_copies(cluster, topic):
    """The leader and the copies in sync of partition 0, as a broker tells that can; (None, []) if none can."""
    for number in set(cluster.alive()) - set(cluster.paused()):
        try:
            with closing(KafkaAdminClient(bootstrap_servers=cluster.address(number))) as admin:
                partition = admin.describe_topics([topic])[0]["partitions"][0]
                return partition["leader_id"], partition["isr_nodes"]
        except KafkaError:
            continue
    return None, []


def end_of(cluster, topic):
    with closing(KafkaConsumer(bootstrap_servers=cluster.bootstrap.split(","))) as consumer:
        return consumer.end_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)]


def send(cluster, topic, count):
    """Acknowledged by all copies in sync."""
    there = [cluster.address(number) for number in cluster.alive()]
    with closing(KafkaProducer(bootstrap_servers=there, acks="all")) as producer:
        for _ in range(count):
            producer.send(topic, b"message").get(60)


def test_three_brokers_lose_what_they_may_lose_and_are_whole_again(cluster, site):
    """acks=1: acknowledged by a leader whose followers stand still, lost when it dies; the election is clean. With
    unclean elections a copy that lacks what all in sync acknowledged may lead, and the controller's log says so.
    """
    assert list(cluster.numbers()) == [1, 2, 3]
    assert sorted(cluster.pids) == cluster.nodes == [1, 2, 3, 100]
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap.split(","))) as admin:
        unclean = {"unclean.leader.election.enable": "true"}
        admin.create_topics({"one": {"assignments": {0: [1, 2, 3]}}})
        admin.create_topics({"unclean": {"assignments": {0: [2, 3]}, "configs": unclean}})
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap.split(","), acks=1, enable_idempotence=False)
    with closing(producer):
        for _ in range(10):
            producer.send("one", b"message").get(60)
        cluster.pause(2)
        cluster.pause(3)
        for _ in range(20):
            producer.send("one", b"message").get(60)
        cluster.kill(1)
    cluster.resume(2)
    cluster.resume(3)
    wait_until(lambda: leader_and_copies(cluster, "one")[0] in (2, 3))
    site.check()  # what a fault killed is not gone
    site.heal()
    assert leader_and_copies(cluster, "one") == (1, [1, 2, 3])
    assert end_of(cluster, "one") < 30
    assert cluster.unclean_elections("one") == []

    send(cluster, "unclean", 5)
    cluster.kill(3)
    wait_until(lambda: leader_and_copies(cluster, "unclean") == (2, [2]))
    send(cluster, "unclean", 7)
    cluster.kill(2)
    before = time.time()
    cluster.restart(3)
    wait_until(lambda: cluster.unclean_elections("unclean"))
    ((partition, at, leader),) = cluster.unclean_elections("unclean")
    assert (partition, leader) == (0, 3)
    assert before < at / 1e9 < time.time()
    site.heal()
    assert end_of(cluster, "unclean") == 5

    os.kill(cluster.pids[2], signal.SIGKILL)
    wait_until(lambda: cluster.gone() == [2])
    with pytest.raises(BackendLost, match="went away in mid-run: node 2"):
        site.check()

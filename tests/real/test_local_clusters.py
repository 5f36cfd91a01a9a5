"""Clusters of several brokers, secured ones, and those that are kept: what a user of each relies on."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from mqverify.backends.kafka.kept import find_kept
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
from mqverify.errors import BackendLost

pytestmark = [
    pytest.mark.real_kafka,
    pytest.mark.usefixtures("has_kafka"),
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),  # kafka-python, when it is refused
]


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


def test_three_brokers_lose_what_they_may_lose_and_are_whole_again():
    """acks=1: acknowledged by a leader whose followers stand still, lost when it dies; the election is clean. With
    unclean elections a copy that lacks what all in sync acknowledged may lead, and the controller's log says so.
    """
    with LocalCluster(3) as cluster:
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
        site = LocalSite(cluster)
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
        ((partition, at_ms, leader),) = cluster.unclean_elections("unclean")
        assert (partition, leader) == (0, 3)
        assert before < at_ms / 1000 < time.time()
        site.heal()
        assert end_of(cluster, "unclean") == 5

        os.kill(cluster.pids[2], signal.SIGKILL)
        wait_until(lambda: cluster.gone() == [2])
        with pytest.raises(BackendLost, match="went away in mid-run: node 2"):
            site.check()


@pytest.mark.parametrize("security", ["tls", "plain", "scram"])
def test_a_secured_cluster_lets_in_only_who_shows_who_he_is(security):
    with LocalCluster(security=security) as cluster:
        endpoint = cluster.endpoint
        with closing(KafkaAdminClient(bootstrap_servers=endpoint.address, **endpoint.options)) as admin:
            admin.create_topics({"t": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
        with closing(KafkaProducer(bootstrap_servers=endpoint.address, **endpoint.options)) as producer:
            assert producer.send("t", b"message").get(30).offset == 0
        wrong = [{}]
        if security == "tls":
            wrong.append({"security_protocol": "SSL"})  # it trusts another authority
        else:
            wrong.append({**endpoint.options, "sasl_plain_password": "guessed"})
        for options in wrong:
            with pytest.raises(KafkaError):
                KafkaAdminClient(bootstrap_servers=endpoint.address, bootstrap_timeout_ms=3000, **options)
        secrets = [value for name, value in endpoint.options.items() if "password" in name]
        commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        assert not [secret for secret in secrets if secret in commands or secret in repr(endpoint)]


def mqverify(*arguments):
    return subprocess.run([sys.executable, "-m", "mqverify", *arguments], capture_output=True, text=True)


def test_a_kept_cluster_outlives_the_command_and_can_be_broken_by_another(monkeypatch, tmp_path):
    # so deep that the path of a socket in it is too long for the kernel
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("deep-" * 20)))
    try:
        ran = mqverify("up")
        assert ran.returncode == 0, ran.stderr
        cluster = find_kept()
        assert f"-b kafka={cluster.bootstrap}" in ran.stdout
        again = mqverify("up")
        assert (again.returncode, "is up already" in again.stdout) == (0, True)
        assert mqverify("up", "--brokers", "3").returncode == 2

        doctor = mqverify("doctor", "-b", f"kafka={cluster.bootstrap}", "--output-format", "json")
        checks = {check["name"]: check["state"] for check in json.loads(doctor.stdout)["sections"][1]["checks"]}
        assert (doctor.returncode, set(checks.values())) == (0, {"ok"})
        assert {"reachable", "create topics", "delete topics", "faults of brokers"} <= set(checks)
        with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap)) as admin:
            assert not [topic for topic in admin.list_topics() if topic.startswith("mqverify-")]

        pid = cluster.pid
        cluster.pause(1)
        cluster.close()  # as when whoever paused it is killed: it does not stay so
        wait_until(lambda: not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" T"))
        cluster = find_kept()
        cluster.kill(1)
        cluster.close()
        cluster = find_kept()
        assert (cluster.alive(), cluster.gone()) == ([], [])
        LocalSite(cluster).heal()
        assert cluster.alive() == [1]
        pid = cluster.pid
        cluster.close()
    finally:
        down = mqverify("down")
    assert (down.returncode, "is down" in down.stdout) == (0, True)
    assert not Path(f"/proc/{pid}").exists()
    assert mqverify("down").stdout == "no Apache Kafka was up\n"

"""Secured clusters, and those that are kept: what a user of each relies on."""

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from mqverify.backends.kafka.kept import find_kept
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite

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


BROKEN = """
spec: the only broker dies and comes back
workload: {messages: 200, keys: 10, producers: 1, consumers: 1, rate: 400/s}
backends: {kafka: {partitions: 1, replication_factor: 1, auto_offset_reset: earliest}}
faults: [{crash: broker, when: {acked: 30%}, restart_after: 1s}]
expect: {durable: held}
"""


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

        monkeypatch.chdir(tmp_path)
        Path("spec.yaml").write_text(BROKEN)
        check = ("check", "spec.yaml", "-b", f"kafka=localhost:{cluster.ports[0]}", "--output-format", "json")
        [result] = json.loads(mqverify(*check).stdout)["results"]
        assert (result["verdict"], "with --allow-broker-faults only" in result["reason"]) == ("unsupported", True)
        pid = cluster.pid
        ran = mqverify(*check, "--allow-broker-faults")
        answer = json.loads(ran.stdout)
        assert (ran.returncode, answer["results"][0]["verdict"]) == (0, "held"), ran.stderr
        assert [fault["took_effect"] for run in answer["runs"] for fault in run["faults"]] == [True]
        assert "--allow-broker-faults" in answer["results"][0]["reproduce"]
        assert (cluster.alive(), cluster.pid != pid) == ([1], True), "it is another process, and stays"

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

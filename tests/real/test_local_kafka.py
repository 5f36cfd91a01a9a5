"""A real broker, started and stopped; whatever happens to mqverify, it does not stay."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from mqverify.backends.kafka import local, nodes
from mqverify.backends.kafka.local import LocalCluster
from mqverify.errors import BackendUnavailable

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]


def is_running(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def wait_until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_messages_go_through_a_group(kafka_broker):
    address = kafka_broker.bootstrap
    assert address.startswith("127.0.0.1:")
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics({"orders": {"num_partitions": 2, "replication_factor": 1}})
    producer = KafkaProducer(bootstrap_servers=address, acks="all")
    sent = [producer.send("orders", key=b"k%d" % (i % 5), value=b"%d" % i) for i in range(100)]
    producer.close()
    assert all(future.get(10).offset >= 0 for future in sent)
    consumer = KafkaConsumer(
        "orders", bootstrap_servers=address, group_id="g", auto_offset_reset="earliest", enable_auto_commit=False,
        session_timeout_ms=3000, heartbeat_interval_ms=500,
    )  # fmt: skip
    got = []
    wait_until(lambda: got.extend(r for rs in consumer.poll(200).values() for r in rs) or len(got) >= 100, 30)
    consumer.commit()
    consumer.close()
    admin.close()
    assert sorted(int(record.value) for record in got) == list(range(100))


def test_it_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = []
    broker = LocalCluster()
    assert not broker.is_alive
    broker.start(said.append)
    pid, address = broker.pid, broker.bootstrap
    assert broker.is_alive
    assert is_running(pid)
    assert broker.folder.parent == tmp_path
    assert "Kafka Server started" in broker.log(1).read_text()
    assert broker.version in said[-1]
    broker.stop()
    broker.stop()
    assert not broker.is_alive
    assert not is_running(pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is read")
def test_it_listens_on_loopback_only(kafka_broker):
    inodes = {str(link.readlink()) for link in Path(f"/proc/{kafka_broker.pid}/fd").iterdir() if link.is_symlink()}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{kafka_broker.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.append(fields[1].partition(":")[0])
    assert len(listening) == 2
    assert {address[-8:] for address in listening} == {"0100007F"}


STARTING = """
import sys, time
from mqverify.backends.kafka.local import LocalCluster
broker = LocalCluster()
broker.start()
print(broker.pid, broker._processes._supervisor.pid, broker.folder, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def another_mqverify():
    """A process that has a broker: it, the broker's pid, the supervisor's pid, the broker's folder."""
    process = subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE, text=True)
    pid, supervisor, folder = process.stdout.readline().split()
    yield process, int(pid), int(supervisor), Path(folder)
    process.kill()
    process.wait()
    process.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_broker_ends_when_mqverify_is_killed(another_mqverify, how):
    process, pid, supervisor, folder = another_mqverify
    assert is_running(pid)
    process.send_signal(how)
    process.wait(10)
    wait_until(lambda: not is_running(pid) and not is_running(supervisor) and not folder.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does this on Linux only")
def test_the_broker_ends_when_its_supervisor_is_killed(another_mqverify):
    _, pid, supervisor, _ = another_mqverify
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))


def test_a_broker_that_dies_is_seen():
    with LocalCluster() as broker:
        os.kill(broker.pid, signal.SIGKILL)
        wait_until(lambda: broker.gone() == [1])
        assert not broker.is_alive
        assert "Kafka Server started" in broker.log_tail()


def test_a_taken_port_is_given_up_for_another(monkeypatch):
    real = local.free_ports
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answers = iter([[taken.getsockname()[1]]])
        monkeypatch.setattr(local, "free_ports", lambda *asked: next(answers, None) or real(*asked))
        with LocalCluster() as broker:
            assert broker.bootstrap != f"127.0.0.1:{taken.getsockname()[1]}"
            assert broker.is_alive


def test_a_broker_that_cannot_start_says_why_and_where(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BackendUnavailable, match=r"(?s)could not format.*Invalid value never") as caught:
        LocalCluster(settings={"broker.session.timeout.ms": "never"}).start()
    (folder,) = tmp_path.iterdir()
    assert str(folder) in str(caught.value)


def test_a_broker_that_takes_too_long_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(nodes, "_READY", b"no such line")
    broker = LocalCluster(timeout=6)
    with pytest.raises(BackendUnavailable, match=r"did not (come up|format its folder) within 6 s"):
        broker.start()
    assert not broker.is_alive
    assert broker.pids == {}


def test_a_broker_comes_back_with_its_data_and_its_address():
    """Crash is SIGKILL, restart is on the same ports and data; neither is the cluster gone, nor a pause."""
    with LocalCluster() as broker:
        address, first = broker.bootstrap, broker.pid
        producer = KafkaProducer(bootstrap_servers=address, acks="all")
        with closing(KafkaAdminClient(bootstrap_servers=address)) as admin:
            admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}})
        producer.send("kept", b"before").get(20)
        producer.close()
        broker.kill(1)
        assert not is_running(first)
        assert (broker.alive(), broker.gone()) == ([], [])
        broker.restart(1)
        assert broker.alive() == [1]
        assert broker.pid != first
        broker.pause(1)
        assert subprocess.run(["ps", "-o", "stat=", "-p", str(broker.pid)], capture_output=True).stdout[:1] == b"T"
        assert broker.alive() == broker.paused() == [1]
        broker.make_whole()
        assert broker.paused() == []
        consumer = KafkaConsumer("kept", bootstrap_servers=address, auto_offset_reset="earliest", group_id=None)
        got = []
        wait_until(lambda: got.extend(r.value for rs in consumer.poll(200).values() for r in rs) or got, 30)
        consumer.close()
        assert got == [b"before"]

"""Clusters that are there already: what is left on them of runs that were killed or lost, secrets, their settings."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from mqverify.backends.kafka.local import LocalCluster
from mqverify.errors import HistoryError
from mqverify.history.records import RecordFile

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

SPEC = """
spec: a question of {name}
workload: {{messages: {messages}, keys: 10, producers: 1, consumers: 2, settle: after_batch{rate}}}
backends:
  kafka: {{partitions: 2, auto_offset_reset: earliest, session_timeout: 6s{settings}}}
expect: {{at_least_once: held}}
"""


@pytest.fixture(autouse=True)
def folders_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


def write(name, messages=100, rate="", settings=""):
    path = Path(f"{name}.yaml")
    path.write_text(SPEC.format(name=name, messages=messages, rate=rate, settings=settings))
    return str(path)


STARTED = []


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.communicate()


def start(*arguments, **environment):
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started the tests beside it
    try:
        STARTED.append(
            subprocess.Popen(
                [sys.executable, "-m", "mqverify", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **environment},
            )
        )
    finally:
        signal.signal(signal.SIGINT, heeded)
    return STARTED[-1]


def ran(*arguments, **environment):
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def records():
    """Of each worker that has begun its kind, its pid, and how many records it has written."""
    files = [RecordFile(path) for path in Path(".mqverify/runs").glob("*/*.records")]
    counts = [sum(1 for _ in file) for file in files]  # it closes them, too
    return [
        (file.header.kind, file.header.pid, count) for file, count in zip(files, counts, strict=True) if file.header
    ]


def is_in_mid_run():
    """Consumers have handled something, and much is to come."""
    with suppress(HistoryError):  # a record is just being written
        return any(kind == "consumer" and count > 10 for kind, _, count in records())
    return False


def is_running(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def things_of_ours(address):
    admin = KafkaAdminClient(bootstrap_servers=address)
    names = [*admin.list_topics(), *(group["group_id"] for group in admin.list_groups())]
    admin.close()
    return sorted(name for name in names if name.startswith("mqverify-"))


LONG = {"messages": 20_000, "rate": ", rate: 100/s"}


def test_what_a_killed_run_left_is_cleaned_and_nothing_else(kafka_broker):
    address = kafka_broker.bootstrap
    admin = KafkaAdminClient(bootstrap_servers=address)
    stranger, alike = "mqverify-messages", "mqverify-0123abcd-messages"
    admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1} for name in (stranger, alike)})
    mqverify = start("check", write("kill", **LONG), "-b", f"kafka={address}")
    wait_until(is_in_mid_run)
    code, out, _ = ran("clean", "-b", f"kafka={address}")
    assert (code, "0 things removed" in out, "are at work" in out) == (0, True, True), "a live run keeps its things"
    made = set(things_of_ours(address)) - {stranger, alike}
    assert {name[18:] for name in made} == {"messages", "group"}
    mqverify.send_signal(signal.SIGKILL)
    mqverify.communicate(timeout=30)
    pids = [pid for _, pid, _ in records()]
    wait_until(lambda: not any(is_running(pid) for pid in pids))

    code, out, _ = ran("clean", "-b", f"kafka={address}", "--dry-run")
    assert (code, "2 things would be removed" in out) == (0, True)
    assert made <= set(things_of_ours(address))
    code, out, _ = ran("clean", "-b", f"kafka={address}")
    assert (code, "2 things removed" in out, alike in out, stranger in out) == (0, True, True, False)
    assert "1 thing of runs that are not known here" in out
    assert str(Path(".mqverify/runs").absolute()) in out, "the records are evidence, and stay"
    assert all(count for kind, _, count in records() if kind == "consumer")
    assert things_of_ours(address) == sorted([stranger, alike])

    code, out, _ = ran("clean", "-b", f"kafka={address}", "--foreign")
    assert (code, things_of_ours(address)) == (0, [stranger])
    admin.delete_topics([stranger])
    admin.close()


def test_an_interrupt_ends_all_runs_and_leaves_nothing_on_the_broker(kafka_broker):
    address = kafka_broker.bootstrap
    specs = [write(name, **LONG) for name in ("one", "two", "three")]
    mqverify = start("check", *specs, "-b", f"kafka={address}", "-j", "2", "--output-format", "json")
    wait_until(lambda: is_in_mid_run() and len(list(Path(".mqverify/runs").iterdir())) == 2)
    mqverify.send_signal(signal.SIGINT)
    out, err = mqverify.communicate(timeout=30)
    assert (mqverify.returncode, json.loads(out)["exit_code"]) == (130, 130)
    assert err.count("did not come to its end") == 2
    assert not any(is_running(pid) for _, pid, _ in records())
    assert things_of_ours(address) == []


def test_a_broker_that_stops_in_mid_run_is_no_verdict():
    with LocalCluster() as broker:
        address = broker.bootstrap
        mqverify = start("check", write("stop", **LONG), "-b", f"kafka={address}", "--output-format", "json")
        wait_until(is_in_mid_run)
        broker.stop()
        out, err = mqverify.communicate(timeout=90)
    assert mqverify.returncode == 3, err
    (result,) = json.loads(out)["results"]
    assert (result["verdict"], result["as_expected"]) == ("inconclusive", None)
    assert f"the Kafka at {address} went away in mid-run" in result["reason"]
    assert all(count for kind, _, count in records() if kind == "consumer")
    code, out, err = ran("check", write("later"), "-b", f"kafka={address}")
    assert (code, f"no Kafka can be reached at {address}" in err) == (3, True)


def test_brokers_that_are_not_ours_have_to_be_as_the_spec_says(kafka_broker):
    address = kafka_broker.bootstrap
    specs = [
        write("as-they-are", settings=", group_min_session_timeout: 500ms"),
        write("otherwise", settings=", offsets_retention: 1m"),
    ]
    code, out, err = ran("check", *specs, "-b", f"kafka={address}", "--output-format", "json")
    assert code == 0, err
    found = {result["spec"]: result for result in json.loads(out)["results"]}
    assert found["a question of as-they-are"]["verdict"] == "held"
    assert found["a question of otherwise"]["verdict"] == "unsupported"
    assert (
        "broker 1 has offsets.retention.minutes = 10080, and the spec says 1"
        in found["a question of otherwise"]["reason"]
    )


@pytest.mark.parametrize("security", ["tls", "scram"])
def test_security_reaches_every_client_and_no_output(security, tmp_path):
    with LocalCluster(security=security) as broker:
        options = broker.endpoint.options
        names = {"sasl_plain_username": "sasl_username", "sasl_plain_password": "sasl_password"}
        given = {f"MQVERIFY_KAFKA_{names.get(name, name).upper()}": str(value) for name, value in options.items()}
        where = ("-b", f"kafka={broker.bootstrap}")
        code, out, err = ran("check", write("secret"), *where, "-v", "--report", "json=report.json", **given)
        assert code == 0, out + err
        assert ran("clean", *where, **given)[:2] == (0, f"kafka={broker.bootstrap}: 0 things removed\n")
        wrong = {**given, "MQVERIFY_KAFKA_SASL_PASSWORD": "wrong horse"} if security == "scram" else {}
        code, out_wrong, err_wrong = ran("check", write("secret"), *where, **wrong)
        assert (code, "no Kafka answers there" in err_wrong) == (3, True), err_wrong
        long = start("check", write("long", **LONG), *where, "-v", **given)
        wait_until(is_in_mid_run)
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        long.send_signal(signal.SIGINT)
        told = long.communicate(timeout=30)
    secret = options.get("sasl_plain_password", options["ssl_cafile"])
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "run.json" for path in written)
    for text in (out, err, out_wrong, err_wrong, shown, *told):
        assert secret not in text
        assert "wrong horse" not in text
    for path in written:
        assert secret.encode() not in path.read_bytes(), path

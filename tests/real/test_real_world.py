"""Specs on a real broker: workers that are really killed and frozen, and what is left of a run that goes wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mqverify import engine
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
from mqverify.errors import BackendLost, InternalError
from mqverify.history.recorder import RunRows
from mqverify.history.records import RecordFile
from mqverify.history.tables import TABLES
from mqverify.spec.load import load
from mqverify.worlds import children, real_chunk
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios, unsupported_reason

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

SPEC = """
spec: a test
workload:
  messages: 300
  keys: 20
  producers: 2
  consumers: 2
  handler: {{takes: 1ms{handler}}}
  settle: {settle}
backends:
  kafka:
    {{partitions: 4, session_timeout: 2s, heartbeat_interval: 500ms, group_min_session_timeout: 500ms}}
{faults}
expect:
  at_least_once: held
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scenario_of(settle="after_handling", faults="", handler=""):
    path = Path("spec.yaml")
    path.write_text(SPEC.format(settle=settle, faults=faults, handler=handler))
    (scenario,) = select_scenarios(load([path], engine.registry()).specs, [("kafka", "local")])
    assert unsupported_reason(scenario) is None
    return scenario


def rows_of(rows: RunRows, table):
    names = TABLES[table].column_names[2:]
    return [dict(zip(names, row, strict=True)) for row in rows.tables[table]]


def run(site, scenario):
    said = []
    rows, outcome = run_real(scenario, 0, site, said.append)
    assert not Path(".mqverify").exists()
    return rows, outcome


def handled(rows):
    return Counter(row["message"] for row in rows_of(rows, "deliveries") if row["result"] == "handled")


def is_running(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_without_faults_everything_is_handled_once(kafka_site):
    rows, outcome = run(kafka_site, scenario_of(settle="after_batch"))
    assert (outcome.drained, outcome.give_up_reason, outcome.faults) == (True, None, ())
    assert handled(rows) == Counter(range(300))
    assert {row["outcome"] for row in rows_of(rows, "sends")} == {"acked"}
    assert {row["outcome"] for row in rows_of(rows, "settlements")} == {"acked"}
    assert sorted(row["message"] for row in rows_of(rows, "log")) == list(range(300))
    assert Counter(row["ending"] for row in rows_of(rows, "workers")) == {"finished": 4}
    positions = {(row["partition"], row["position"]): row["message"] for row in rows_of(rows, "log")}
    for row in rows_of(rows, "sends"):
        assert positions[row["partition"], row["position"]] == row["message"]


CRASH = """
faults:
  - crash: consumer
    when: {handled: 30%}
    point: POINT
    restart_after: 1s
"""


def test_killed_between_handle_and_settle(kafka_site):
    """The handled message has no settlement, and is delivered to another process."""
    rows, outcome = run(kafka_site, scenario_of(faults=CRASH.replace("POINT", "before_settle")))
    assert outcome.drained
    assert outcome.faults == ((0, "crash", True, None),)
    (crashed,) = (row for row in rows_of(rows, "workers") if row["ending"] == "crashed")
    deliveries = rows_of(rows, "deliveries")
    of_crashed = [
        row for row in deliveries
        if (row["consumer"], row["incarnation"]) == (crashed["worker"], 1) and row["result"] == "handled"
    ]  # fmt: skip
    last = max(of_crashed, key=lambda row: row["ended_at"])
    assert not [
        row for row in rows_of(rows, "settlements")
        if row["consumer"] == crashed["worker"] and row["incarnation"] == 1 and row["source"] == last["source"]
        and row["source_position"] > last["source_position"]
    ]  # fmt: skip
    again = [row for row in deliveries if row["message"] == last["message"] and row is not last]
    assert [row["result"] for row in again] == ["handled"]
    assert (again[0]["consumer"], again[0]["incarnation"]) != (crashed["worker"], 1)
    assert handled(rows) == Counter(range(300)) + Counter([last["message"]])
    # It killed itself at the very message that made the count: 90 of 300, all others of whoever else was at work.
    assert last["ended_at"] <= crashed["ended_at"]
    before = {row["message"] for row in deliveries if row["result"] == "handled" and row["ended_at"] < last["ended_at"]}
    assert 89 <= len(before) <= 91


@pytest.mark.parametrize("point", ["in_handler", "after_settle"])
def test_the_other_points_lose_and_repeat_nothing(kafka_site, point):
    rows, outcome = run(kafka_site, scenario_of(faults=CRASH.replace("POINT", point)))
    assert (outcome.drained, outcome.faults) == (True, ((0, "crash", True, None),))
    assert handled(rows) == Counter(range(300))


def test_settled_before_the_batch_and_killed_loses_the_rest_of_it(kafka_site):
    rows, outcome = run(kafka_site, scenario_of("before_batch", CRASH.replace("POINT", "before_handle")))
    assert outcome.drained
    crashed = {row["worker"] for row in rows_of(rows, "workers") if row["ending"] == "crashed"}
    in_hand = {
        row["message"] for row in rows_of(rows, "deliveries")
        if row["consumer"] in crashed and row["incarnation"] == 1 and row["started_at"] is None
    }  # fmt: skip
    missing = set(range(300)) - set(handled(rows))
    assert missing
    assert missing == in_hand


def test_a_crash_without_a_point_and_a_killed_producer(kafka_site):
    """A restarted producer goes on after the last message that it invoked."""
    faults = """
faults:
  - {crash: producer, when: {sent: 50}, restart_after: 100ms}
  - {crash: consumer-2, when: {handled: 60}, restart_after: never}
"""
    rows, outcome = run(kafka_site, scenario_of(faults=faults))
    assert outcome.drained
    assert [took for _, _, took, _ in outcome.faults] == [True, True]
    sends = rows_of(rows, "sends")
    assert sorted(row["message"] for row in sends) == list(range(300))
    acked = {row["message"] for row in sends if row["outcome"] == "acked"}
    assert acked <= set(handled(rows))
    endings = {(row["worker"], row["incarnation"]): row["ending"] for row in rows_of(rows, "workers")}
    assert endings["consumer-2", 1] == "crashed"
    assert ("consumer-2", 2) not in endings
    assert sorted(ending for (worker, _), ending in endings.items() if worker.startswith("producer")) == [
        "crashed", "finished", "finished",
    ]  # fmt: skip


def test_a_paused_consumer_is_a_zombie_when_it_comes_back(kafka_site):
    faults = """
faults:
  - {pause: consumer, when: {handled: 30%}, point: before_settle, for: 6s}
"""
    rows, outcome = run(kafka_site, scenario_of(faults=faults))
    assert outcome.drained
    (fault,) = rows_of(rows, "faults")
    assert 5.9e9 < fault["ended_at"] - fault["began_at"] < 8e9
    refused = [row for row in rows_of(rows, "settlements") if row["outcome"] == "failed"]
    assert refused
    assert refused[0]["invoked_at"] - fault["began_at"] > 5.9e9
    twice = [message for message, times in handled(rows).items() if times > 1]
    assert twice
    assert set(handled(rows)) == set(range(300))


def test_a_short_pause_of_an_idle_group_ends(kafka_site):
    """Whoever was frozen tells again that it is idle, though nothing is new to it."""
    faults = "faults:\n  - {pause: consumer-1, when: {time: 4s}, for: 500ms}\n"
    _, outcome = run(kafka_site, scenario_of(faults=faults))
    assert (outcome.drained, outcome.faults) == (True, ((0, "pause", True, None),))
    assert outcome.ended_at < 30e9


def test_handlers_that_stop_their_workers_end_in_giving_up(kafka_site, monkeypatch):
    monkeypatch.setattr(real_chunk, "patience", lambda *_: 6_000_000_000)
    rows, outcome = run(kafka_site, scenario_of(handler=", poison: 1 in 300, on_failure: stop"))
    assert not outcome.drained
    assert re.search(r"consumer-1 stopped \(HandlerFailed: message \d+ could not", outcome.give_up_reason)
    endings = {row["worker"]: row["ending"] for row in rows_of(rows, "workers")}
    assert (endings["consumer-1"], endings["consumer-2"]) == ("stopped", "stopped")
    assert Counter(row["result"] for row in rows_of(rows, "deliveries"))["failed"] == 2


def test_handlers_that_crash_their_workers_are_crashes_of_the_spec(kafka_site, monkeypatch):
    monkeypatch.setattr(real_chunk, "patience", lambda *_: 6_000_000_000)
    rows, outcome = run(kafka_site, scenario_of(handler=", poison: 1 in 300, on_failure: crash"))
    assert not outcome.drained
    endings = {row["worker"]: row["ending"] for row in rows_of(rows, "workers")}
    assert (endings["consumer-1"], endings["consumer-2"]) == ("crashed", "crashed")


def test_a_consumers_fault_may_wait_for_what_producers_did(kafka_site):
    faults = CRASH.replace("POINT", "before_settle").replace("handled: 30%", "sent: 30%")
    rows, outcome = run(kafka_site, scenario_of(faults=faults))
    assert (outcome.drained, outcome.faults) == (True, ((0, "crash", True, None),))
    (crashed,) = (row for row in rows_of(rows, "workers") if row["ending"] == "crashed")
    assert crashed["kind"] == "consumer"


def kept_folder(said):
    return Path(re.search(r"is in (\S+)$", said[-1])[1])


def consumers_have_recorded(folder):
    return any(len(path.read_bytes().rstrip(b"\0")) > 5_000 for path in folder.glob("*consumer*.records"))


def test_a_broker_that_dies_in_mid_run_leaves_the_workers_files():
    scenario = scenario_of()
    said = []
    with LocalCluster() as broker:

        def kill_broker():
            wait_until(lambda: any(consumers_have_recorded(folder) for folder in Path(".mqverify/runs").glob("*")))
            os.kill(broker.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_broker)
        killer.start()
        with pytest.raises(BackendLost, match="went away in mid-run"):
            run_real(scenario, 0, LocalSite(broker), said.append)
        killer.join()
    folder = kept_folder(said)
    files = list(folder.glob("*.records"))
    assert len(files) >= 2
    for path in files:
        records = RecordFile(path)
        assert list(records) or "producer" in path.name  # a producer may have been about to begin
        assert records.header is None or not is_running(records.header.pid)
    assert (folder / "broker.log").exists()
    assert json.loads((folder / "run.json").read_text())["spec_text"] == scenario.spec.text


def test_a_worker_that_somebody_else_kills_ends_the_run_and_says_so(kafka_site):
    """The system, short of memory, kills just so; it must not pass for a crash of the spec."""

    scenario = scenario_of()

    def kill_consumer():
        wait_until(lambda: any(consumers_have_recorded(folder) for folder in Path(".mqverify/runs").glob("*")))
        (path,) = Path(".mqverify/runs").glob("*/*consumer-1.1.records")
        records = RecordFile(path)
        records.close()
        os.kill(records.header.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_consumer)
    killer.start()
    with pytest.raises(BackendLost, match=r"consumer-1 \(pid \d+\) was killed by SIGKILL, which no fault asked for"):
        run_real(scenario, 0, kafka_site, lambda _: None)
    killer.join()


RUNNING = """
import sys
from mqverify import engine
from mqverify.spec.load import load
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.selection import select_scenarios
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
(scenario,) = select_scenarios(load(["spec.yaml"], engine.registry()).specs, [("kafka", "local")])
def say(message): print(message, flush=True)
with LocalCluster() as broker:
    say(broker.pid)
    run_real(scenario, 0, LocalSite(broker), say, say)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_mqverify_killed_in_mid_run_leaves_readable_files_and_no_process(how):
    scenario_of()
    mqverify = subprocess.Popen(
        [sys.executable, "-c", RUNNING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    broker = int(mqverify.stdout.readline())
    folder = Path(re.search(r"record to (\S+);", mqverify.stdout.readline())[1])
    wait_until(lambda: consumers_have_recorded(folder))
    mqverify.send_signal(how)
    mqverify.communicate(timeout=30)
    files = list(folder.glob("*.records"))
    assert len(files) >= 3  # both consumers, and a producer at least
    pids = []
    for path in files:
        records = RecordFile(path)
        assert sum(1 for _ in records) > 0 or "producer" in path.name
        pids.append(records.header.pid)
    wait_until(lambda: not any(is_running(pid) for pid in [broker, *pids]))


def test_a_worker_that_breaks_is_our_bug_and_says_where_to_look(kafka_site, monkeypatch):
    monkeypatch.setattr(children.WorkerTask, "__reduce__", lambda _self: (int, ("not a task",)), raising=False)
    with pytest.raises(InternalError, match=r"worker process consumer-\d broke: .* see \S+stderr") as caught:
        run_real(scenario_of(), 0, kafka_site, lambda _: None)
    path = Path(str(caught.value).rpartition("see ")[2])
    assert "ValueError" in path.read_text()


def test_consumers_join_and_leave_cleanly_on_a_real_broker(kafka_site):
    faults = (
        "faults: [{add_consumers: 2, when: {handled: 20%}}, {remove_consumers: 3, when: {handled: 40%}}, "
        "{delete_records: {partition: 0, before: 50%}, when: drained}]"
    )
    rows, outcome = run(kafka_site, scenario_of(faults=faults))
    assert outcome.drained, outcome.give_up_reason
    assert outcome.faults == tuple((n, k, True, None) for n, k in enumerate(KINDS))
    endings = {row["worker"]: row["ending"] for row in rows_of(rows, "workers") if row["kind"] == "consumer"}
    assert endings == {
        "consumer-1": "finished", "consumer-2": "removed", "consumer-3": "removed", "consumer-4": "removed",
    }  # fmt: skip
    assert set(handled(rows)) == set(range(300))
    assert all(row["outcome"] == "acked" for row in rows_of(rows, "settlements")), "who leaves has settled"
    [limit] = [row for row in rows_of(rows, "settings") if row["name"] == "delete_records"]
    firsts = [row["first_position"] for row in rows_of(rows, "bounds") if row["partition"] == 0]
    assert firsts == [0, int(limit["value"])]


KINDS = ("add_consumers", "remove_consumers", "delete_records")


def test_a_consumer_that_is_to_leave_hears_it_even_before_it_has_started(kafka_site):
    rows, outcome = run(kafka_site, scenario_of(faults="faults: [{remove_consumers: 1}]"))
    assert outcome.drained, outcome.give_up_reason
    assert outcome.faults == ((0, "remove_consumers", True, None),)
    assert set(handled(rows)) == set(range(300))

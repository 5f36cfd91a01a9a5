"""One shipped spec in both worlds, through the command line: the same verdicts, the same kind of evidence."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mqverify.backends.kafka.local import LocalCluster

pytestmark = [pytest.mark.real_kafka, pytest.mark.usefixtures("has_kafka")]

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs/settling/after-handling.yaml"


PARKING = """
spec: poison goes to a dead-letter topic
workload:
  messages: 60
  keys: 6
  consumers: 2
  handler: {poison: 1 in 20, attempts: 2, on_failure: park}
backends: {kafka: {partitions: 2, auto_offset_reset: earliest}}
expect: {at_least_once: held, exactly_once: held, settle_safety: held, no_head_of_line_blocking: {within: 10s}}
"""


AGAIN = """
spec: a producer dies, and sends again what it is not sure of
workload: {messages: 300, keys: 10, producers: 2, rate: 200/s, on_unknown: retry, groups: [one, two]}
backends: {kafka: {partitions: 2, auto_offset_reset: earliest}}
faults: [{crash: producer, when: {acked: 50%}, restart_after: 1s}]
expect: {at_least_once: held, durable: held}
"""


def check(backend: str, folder: Path, spec: Path = SPEC) -> dict[str, Any]:
    command = [sys.executable, "-m", "mqverify", "check", str(spec), "-b", backend, "--output-format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def verdicts(answer: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {result["guarantee"]: (result["verdict"], result["as_expected"]) for result in answer["results"]}


def test_the_crash_spec_has_the_same_verdicts_in_both_worlds(tmp_path: Path) -> None:
    simulated, real = check("kafka", tmp_path), check("kafka=local", tmp_path)
    assert verdicts(simulated) == verdicts(real)
    assert {result["world"] for result in simulated["results"]} == {"simulated"}
    assert {result["world"] for result in real["results"]} == {"real"}
    for answer in (simulated, real):
        [twice] = [result for result in answer["results"] if result["guarantee"] == "exactly_once"]
        events = twice["witness"]["events"]
        handlers = [event["actor"] for event in events if event["event"] == "handled it"]
        assert len(handlers) == 2
        assert handlers[0] != handlers[1], "another process, or another incarnation"
        assert "dies" in [event["event"] for event in events]
        assert all(("pid " in name) == (answer is real) for name in handlers), "processes have ids"
    assert list(tmp_path.glob(".mqverify/runs/*")) == [], "a good run leaves no files"


def test_parked_messages_are_found_in_the_dead_letter_topic_of_both_worlds(
    kafka_broker: LocalCluster, tmp_path: Path
) -> None:
    spec = tmp_path / "parking.yaml"
    spec.write_text(PARKING)
    simulated, real = check("kafka", tmp_path, spec), check(f"kafka={kafka_broker.bootstrap}", tmp_path, spec)
    assert verdicts(simulated) == verdicts(real)
    assert {verdict for verdict, _ in verdicts(real).values()} == {"held"}


def test_a_producer_that_is_killed_sends_again_what_it_is_not_sure_of(
    kafka_broker: LocalCluster, tmp_path: Path
) -> None:
    spec = tmp_path / "again.yaml"
    spec.write_text(AGAIN)
    real = check(f"kafka={kafka_broker.bootstrap}", tmp_path, spec)
    assert {verdict for verdict, _ in verdicts(real).values()} == {"held"}
    [run] = real["runs"]
    assert run["deliveries"] >= 2 * run["messages"], "two groups"


def test_a_real_run_is_traced_and_cannot_be_repeated(kafka_broker: LocalCluster, tmp_path: Path) -> None:
    spec = tmp_path / "again.yaml"
    spec.write_text(AGAIN)
    command = ["trace", "again.yaml", "-b", f"kafka={kafka_broker.bootstrap}", "--key", "key-1", "--limit", "1000"]
    ran = subprocess.run([sys.executable, "-m", "mqverify", *command], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "handled it" in ran.stdout
    assert "fault" in ran.stdout
    assert "this run was real, and cannot be repeated" in ran.stdout

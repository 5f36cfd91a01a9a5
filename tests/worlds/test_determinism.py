"""A simulated run is a pure function of scenario and seed: whatever the process, the hash seed, the number of jobs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SPEC = """
spec: everything at once
workload:
  messages: 200
  keys: {count: 20, distribution: zipf 1.1}
  producers: 2
  groups: {billing: {consumers: 3}, shipping: {consumers: 2, settle: after_batch}}
  handler: {takes: 1ms..5ms}
  rate: 500/s
backends:
  kafka: {partitions: 4, session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest, metadata_max_age: 1s}
faults:
  - {crash: billing/consumer-2, when: {handled: 20%..60%}, point: before_settle, restart_after: 1s..20s}
  - {pause: consumer, group: shipping, when: {handled: 20%..60%}, for: 10s}
  - {crash: producer, when: {sent: 10%..90%}, restart_after: 1s}
  - {add_partitions: 6, when: {sent: 50%}}
  - {pass: 8d, when: drained}
expect: {at_least_once: held}
"""


COMINGS_AND_GOINGS = """
spec: links, replies, clocks, consumers and records
workload:
  messages: 200
  keys: 20
  producers: 2
  groups: {billing: {consumers: 3}, shipping: {consumers: 2, settle: after_batch}}
  handler: {takes: 1ms..5ms}
  rate: 500/s
backends:
  kafka: {partitions: 4, session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest}
faults:
  - {clock_skew: {producer: -1h}, when: {sent: 10%..50%}}
  - {cut: [consumer, broker], group: billing, when: {handled: 20%..60%}, for: 1s..20s}
  - {delay: [broker, all consumers], when: {handled: 10%..50%}, by: 10ms..1s, for: 5s}
  - {lose: ack, of: producer, when: {sent: 10%..50%}, times: 2}
  - {add_consumers: 2, group: shipping, when: {acked: 30%..70%}}
  - {remove_consumers: 2, group: billing, when: {settled: 30%..70%}}
  - {delete_records: {partition: 1, before: 10%..90%}, when: drained}
expect: {at_least_once: held}
"""


EVENT_STORE = """
spec: everything at once
workload:
  messages: 200
  keys: {count: 20, distribution: zipf 1.1}
  producers: 2
  writers_per_key: 2
  expected_revision: exact
  on_unknown: retry
  groups: {billing: {consumers: 3}, shipping: {consumers: 2, settle: after_batch}}
  handler: {takes: 1ms..5ms, poison: 1 in 100, attempts: 3, on_failure: park}
  rate: 500/s
backends:
  pinned: {system: eventstore, subscribe: persistent, strategy: pinned, message_timeout: 5s, max_age: 7d}
  single: {system: eventstore, subscribe: persistent, stream: one, event_buffer_size: 3}
  all: {system: eventstore, subscribe: persistent, strategy: round_robin, read: all}
faults:
  - {crash: billing/consumer-2, when: {handled: 20%..60%}, point: before_settle, restart_after: 1s..20s}
  - {pause: consumer, group: shipping, when: {handled: 20%..60%}, for: 10s}
  - {crash: producer, when: {sent: 10%..90%}, restart_after: 1s}
  - {pass: 8d, when: drained}
expect: {at_least_once: held}
"""


ON_EVENT_STORE = """
spec: links, replies, consumers and an administrator
workload:
  messages: 100
  keys: 10
  producers: 2
  consumers: 3
  handler: {takes: 1ms..5ms, poison: 1 in 50, attempts: 2, on_failure: park}
  rate: 500/s
backends:
  persistent: {system: eventstore, subscribe: persistent, strategy: round_robin, message_timeout: 5s}
faults:
  - {cut: [consumer, broker], when: {handled: 20%..60%}, for: 1s..20s}
  - {delay: [broker, all consumers], when: {handled: 10%..50%}, by: 10ms..1s, for: 5s}
  - {lose: ack, of: producer, when: {sent: 10%..50%}, times: 2}
  - {add_consumers: 2, when: {acked: 30%..70%}}
  - {remove_consumers: 2, when: {settled: 30%..70%}}
  - {replay_parked: , when: drained}
  - {delete_stream: key-3, when: drained}
  - {scavenge: , when: drained}
expect: {at_least_once: held}
"""


def check(path: Path, hash_seed: str, *options: str) -> dict[str, object]:
    command = [sys.executable, "-m", "mqverify", "check", str(path), "--output-format", "json", *options]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=False
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def digests(answer: dict[str, object]) -> list[str]:
    return [run["digest"] for run in answer["runs"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spec", "backends"), [(SPEC, 1), (COMINGS_AND_GOINGS, 1), (ON_EVENT_STORE, 1), (EVENT_STORE, 3)]
)
def test_ten_processes_with_different_hash_seeds_leave_equal_histories(
    tmp_path: Path, spec: str, backends: int
) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(spec)
    answers = [check(path, str(number), "--runs", "2", "-j", "1") for number in range(1, 11)]
    assert {tuple(digests(answer)) for answer in answers} == {tuple(digests(answers[0]))}
    assert len(set(digests(answers[0]))) == 2 * backends, "different seeds are different runs"


@pytest.mark.parametrize("spec", [SPEC, EVENT_STORE])
def test_the_number_of_jobs_changes_nothing(tmp_path: Path, spec: str) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(spec)
    one = check(path, "0", "--runs", "30", "-j", "1")
    two = check(path, "0", "--runs", "30", "-j", "2")
    assert digests(one) == digests(two)
    assert one["results"] == two["results"]

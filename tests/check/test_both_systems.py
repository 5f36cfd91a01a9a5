"""One spec on both systems, each expectation flipped: every witness tells its story in its system's own words."""

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.check.test_check import mqverify

SPEC = """\
spec: a consumer is killed between handling and settling
workload: {messages: 60, keys: 6, consumers: 2, handler: {takes: 2ms}}
backends:
  kafka: {partitions: 2, auto_offset_reset: earliest, session_timeout: 6s, heartbeat_interval: 1s}
  persistent: {system: eventstore, subscribe: persistent, strategy: round_robin, event_buffer_size: 4}
  catch_up: {system: eventstore, subscribe: catch_up, read: all}
faults: [{crash: consumer-2, when: {handled: 50%}, point: before_settle, restart_after: 5s}]
expect: {EXPECTED}
"""


def write(folder: Path, expected: str) -> Path:
    path = folder / "both.yaml"
    path.write_text(SPEC.replace("{EXPECTED}", expected))
    return path


def test_as_expected_on_both(tmp_path: Path) -> None:
    path = write(tmp_path, "{at_least_once: held, exactly_once: {violated: duplicates are the price of a crash}}")
    done = mqverify("check", path)
    assert done.returncode == 0, done.stdout
    assert "6 as expected (3 violated as expected)" in done.stdout


@pytest.mark.parametrize("backend", ["kafka", "persistent", "catch_up"])
def test_flipped_the_witness_speaks_the_systems_language(
    tmp_path: Path, backend: str, snapshot: SnapshotAssertion
) -> None:
    path = write(tmp_path, "{exactly_once: held}")
    done = mqverify("check", path, "-b", backend, "--runs", "1", "-j", "1")
    assert done.returncode == 1
    shown = done.stdout.replace(str(path), "both.yaml")
    assert shown.splitlines()[:-1] == snapshot  # without the time that it took

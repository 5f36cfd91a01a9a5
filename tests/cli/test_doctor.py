"""`mqverify doctor`, `up` and `down` where no broker is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def mqverify(tmp_path):
    """Run a command on a machine that has no tools, an empty cache and an empty state."""
    environment = {name: value for name, value in os.environ.items() if name not in ("KAFKA_HOME", "JAVA_HOME")}
    environment |= {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mqverify", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**environment, **more}, cwd=Path(__file__).parents[2]
        )

    return run


def test_a_machine_that_can_only_simulate_is_well(mqverify):
    ran = mqverify("doctor")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "no `java` on the PATH" in ran.stdout
    assert "nothing is missing" in ran.stdout


def test_what_was_asked_for_and_is_not_there_is_missing(mqverify):
    ran = mqverify("doctor", "-b", "kafka=local", "--output-format", "json")
    assert ran.returncode == 3
    told = json.loads(ran.stdout)
    assert told["ok"] is False
    own, local = told["sections"]
    assert {check["state"] for check in own["checks"]} <= {"ok", "absent"}
    (missing,) = [check for check in local["checks"] if check["state"] == "missing"]
    assert missing["name"] == "kafka=local"
    assert "install one, or set JAVA_HOME" in missing["mend"]


def test_a_cluster_that_does_not_answer_is_missing(mqverify):
    ran = mqverify("doctor", "-b", f"kafka={NOWHERE}")
    assert ran.returncode == 3
    assert "1 thing missing: reachable" in ran.stdout


@pytest.mark.parametrize("asked", ["rabbit", "kafka=local:x"])
def test_what_there_is_not_is_a_mistake(mqverify, asked):
    ran = mqverify("doctor", "-b", asked)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "there is" in ran.stderr


def test_a_narrow_terminal_loses_nothing(mqverify):
    ran = mqverify("doctor", COLUMNS="60")
    assert max(map(len, ran.stdout.splitlines())) <= 60
    assert "…" not in ran.stdout


def test_down_where_nothing_is_up_is_no_mistake(mqverify, tmp_path):
    (tmp_path / "mqverify" / "kafka").mkdir(parents=True)  # what a power cut left
    (tmp_path / "mqverify" / "kafka" / "cluster.json").write_text("{}")
    ran = mqverify("down")
    assert (ran.returncode, ran.stdout) == (0, "no Apache Kafka was up\n")
    assert not (tmp_path / "mqverify" / "kafka").exists()


def test_up_without_java_says_what_to_do(mqverify):
    ran = mqverify("up")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "install one, or set JAVA_HOME" in ran.stderr

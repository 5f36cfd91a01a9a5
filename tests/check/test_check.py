"""`mqverify check` as a user and a CI job meet it: the real engine, in processes of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"


def mqverify(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqverify", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MQVERIFY_")}
    return subprocess.run(
        command, cwd=cwd, env={**clean, "COLUMNS": "120", **environment}, capture_output=True, text=True, check=False
    )


def copy(tmp_path: Path, name: str, old: str = "", new: str = "") -> Path:
    """A copy of a shipped spec, with one place changed."""
    path = tmp_path / Path(name).name
    text = (SPECS / name).read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_a_shipped_spec_is_as_expected_in_json(tmp_path: Path) -> None:
    spec = SPECS / "settling/after-handling.yaml"
    done = mqverify("check", spec, "-b", "kafka", "--output-format", "json", "--runs", "5")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["format"] == 1
    assert answer["exit_code"] == 0
    assert len(answer["runs"]) == 5
    assert {run["drained"] for run in answer["runs"]} == {True}
    by_name = {result["guarantee"]: result for result in answer["results"]}
    assert by_name["at_least_once"]["verdict"] == "held"
    assert by_name["at_least_once"]["world"] == "simulated"
    assert by_name["at_least_once"]["obligations"] == 1000
    assert by_name["exactly_once"]["verdict"] == "violated"
    assert by_name["exactly_once"]["as_expected"] is True


def test_a_flipped_expectation_fails_with_a_witness(tmp_path: Path) -> None:
    flipped = copy(
        tmp_path,
        "settling/after-handling.yaml",
        "exactly_once: {violated: duplicates after a crash are the price of settling after handling}",
        "exactly_once: held",
    )
    done = mqverify("check", flipped, "-b", "kafka", "--output-format", "json", "--runs", "3")
    assert done.returncode == 1
    [result] = [one for one in json.loads(done.stdout)["results"] if one["guarantee"] == "exactly_once"]
    assert result["as_expected"] is False
    witness = result["witness"]
    message = next(event["message"] for event in witness["events"] if event["message"] is not None)
    assert f"message {message}" in witness["sentence"]
    assert "key-" in witness["sentence"]
    assert "consumer-" in witness["sentence"]
    told = " ".join(event["event"] for event in witness["events"])
    for part in ("sends it", "starts handling", "handled it", "dies", "commits offset"):
        assert part in told
    assert any(event["position"] is not None and event["partition"] for event in witness["events"])
    times = [event["at_ns"] for event in witness["events"]]
    assert times == sorted(times)


def test_a_stale_waiver_fails(tmp_path: Path) -> None:
    stale = copy(tmp_path, "settling/after-handling.yaml", "settle_safety: held", "settle_safety: {violated: old news}")
    done = mqverify("check", stale, "--runs", "2")
    assert done.returncode == 1
    assert "the waiver is stale" in " ".join(done.stdout.split())


def test_misspelt_keys_in_three_files_are_all_told_and_nothing_runs() -> None:
    done = mqverify("check", ROOT / "fixtures/misspelt")
    assert done.returncode == 2
    assert done.stdout == ""
    for place, hint in (
        ("after-handling.yaml:10:3", "messages"),
        ("two-groups.yaml:18:5", "partitions"),
        ("every-hundred.yaml:24:5", "point"),
    ):
        assert place in done.stderr
        assert f"did you mean '{hint}'" in done.stderr
    assert done.stderr.count("error[") == 3


def test_a_fault_that_can_never_fire_is_inconclusive(tmp_path: Path) -> None:
    never = copy(tmp_path, "settling/after-handling.yaml", "when: {handled: 20%..60%}", "when: {time: 2h}")
    text = never.read_text().replace("point: before_settle", "point: before_handle")
    never.write_text(text)
    done = mqverify("check", never, "--runs", "2")
    assert done.returncode == 3, done.stdout
    assert "crash" in done.stdout
    assert "took effect in none of 2 runs" in " ".join(done.stdout.split())
    assert mqverify("check", never, "--runs", "2", "--fail-on", "violated").returncode == 0
    assert mqverify("check", never, "--runs", "2", "--exit-zero").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "no/such/folder"], "no/such/folder"),
        (["check", "specs", "-b", "pulsar"], "pulsar"),
        (["check", "specs", "-k", "nothing like it"], "nothing like it"),
        (["check", "specs", "-b", "kafka=mars"], "mars"),
        (["check", "specs", "--report", "pdf=x"], "pdf"),
        (["check", "docs"], "no spec"),
    ],
)
def test_what_cannot_be_asked_is_a_mistake_of_usage(arguments: list[str], says: str) -> None:
    done = mqverify(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_system_has_no_notion_of_is_unsupported_there(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(
        "spec: both\nworkload: {messages: 10, consumers: 2, settle: automatic}\n"
        "backends: {kafka: {}, eventstore: {subscribe: persistent}}\nexpect: {at_least_once: held}\n"
    )
    done = mqverify("check", path, "--output-format", "json", "--runs", "1")
    answer = json.loads(done.stdout)
    verdicts = {result["backend"]: result["verdict"] for result in answer["results"]}
    assert verdicts == {"kafka": "held", "eventstore": "unsupported"}
    assert done.returncode == 0
    assert mqverify("check", path, "-b", "eventstore").returncode == 3, "nothing but unsupported"


def test_reports_are_written_beside_the_text(tmp_path: Path) -> None:
    shutil.copy(SPECS / "groups/two-groups.yaml", tmp_path)
    report = tmp_path / "report.json"
    done = mqverify("check", tmp_path, "-b", "kafka", "--runs", "1", "--report", f"json={report}")
    assert done.returncode == 0
    assert json.loads(report.read_text())["summary"]["as_expected"] == 3
    assert "as expected" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_it_soon_with_what_was_known_and_leaves_no_process(tmp_path: Path, jobs: str) -> None:
    shutil.copy(SPECS / "groups/two-groups.yaml", tmp_path / "a.yaml")
    command = [sys.executable, "-m", "mqverify", "check", str(tmp_path), "--runs", "5000", "-j", jobs]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not [pid for pid in _children(process.pid) if _is_busy(pid)]:
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, err
    assert "interrupted" in out + err
    assert "Traceback" not in out + err
    while _children(process.pid):  # the last of them is about to go; a hanging one fails the test by its time limit
        os.sched_yield()


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-g", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _is_busy(pid: int) -> bool:
    """Whether a process has DuckDB loaded: it is past its imports and at work."""
    try:
        return "duckdb" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False

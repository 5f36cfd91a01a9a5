"""The command as a process: start-up, signals, closed pipes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_mqverify.py")


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(FAKE), name, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["check", "--help"]])
def test_starts_without_the_heavy_packages(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from mqverify.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stderr.split()}
    assert "typer" in loaded
    assert not loaded & {"duckdb", "numpy", "kafka", "rich", "yaml", "greenlet", "hypothesis", "asyncio"}
    assert "mqverify.spec.model" not in ran.stderr.split()


def test_prints_its_version() -> None:
    ran = subprocess.run([sys.executable, "-m", "mqverify", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"mqverify {__import__('mqverify').__version__}\n"


@pytest.mark.parametrize("output", ["text", "json"])
def test_ctrl_c_prints_what_is_known_and_exits_with_130(output: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    process = start("hanging", "check", "-j", "1", "specs", "--output-format", output, "--report", f"json={report}")
    assert process.stderr is not None
    assert process.stderr.readline() == "hanging\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    if output == "json":
        assert json.loads(out)["exit_code"] == 130
    else:
        assert "interrupted: 0 of 2 scenarios judged" in out
    assert json.loads(report.read_text())["exit_code"] == 130


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_closed_pipe_is_quiet(output: str) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, str(FAKE), "mixed", "check", "-j", "1", "specs", "--output-format", output]
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert ran.returncode == 141
    assert ran.stderr.replace("warning: expected violation of exactly_once not seen\n", "") == ""


def test_mistakes_that_nobody_reads_are_mistakes_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("spec: x\n" + "".join(f"key{number}: 1\n" for number in range(200)))
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "mqverify", "validate", str(tmp_path)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=write, text=True, check=False)
    os.close(write)
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_stream_that_is_closed_hides_what_is_told_and_nothing_else(closed: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = f"exec '{sys.executable}' '{FAKE}' good check -j 1 specs --report json='{report}' {closed}>&-"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert json.loads(report.read_text())["exit_code"] == 0
    assert ("as expected" in ran.stdout) == (closed == "2")


def test_being_ended_is_told_as_ctrl_c_is(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    process = start("hanging", "check", "-j", "1", "specs", "--report", f"json={report}")
    assert process.stderr is not None
    assert process.stderr.readline() == "hanging\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: 0 of 2 scenarios judged" in out
    assert json.loads(report.read_text())["exit_code"] == 130


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "specs"],
        ["check", "specs", "--output-format", "json"],
        ["--help"],
        ["--version"],
        ["validate", "specs"],
    ],
)
def test_a_full_disk_is_told_in_a_line(arguments: list[str]) -> None:
    with FULL.open("w") as full:
        command = [sys.executable, str(FAKE), "good", *arguments]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (4, "error: standard output cannot be written: No space left on device\n")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["schema"], ["list"], ["explain", "MQ101"]])
def test_a_full_disk_is_no_bug_of_long_answers_either(arguments: list[str]) -> None:
    with FULL.open("w") as full:
        command = [sys.executable, "-m", "mqverify", *arguments]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (4, "error: standard output cannot be written: No space left on device\n")


def test_a_terminal_that_knows_ascii_only() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, str(FAKE), "good", "check", "-j", "1", "specs"]
    ran = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"+  kafka" in ran.stdout
    assert b"\\u30ad" not in ran.stdout
    assert rb"\u03b2" in ran.stdout

"""`--dry-run`, `--max-time`, the slowest, and `init`, with the real engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml
from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[2]


def mqverify(*arguments: object, cwd: Path = ROOT, columns: int = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqverify", *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "COLUMNS": str(columns)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_a_dry_run_says_what_would_run(snapshot: SnapshotAssertion) -> None:
    specs = [
        "specs/groups/two-groups.yaml",
        "specs/settling/every-five-seconds.yaml",
        "specs/concurrency/no-stream.yaml",
    ]
    for columns in (60, 120):
        ran = mqverify("check", *specs, "--dry-run", "--seed", 3, columns=columns)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout == snapshot


def test_a_dry_run_plans_what_a_check_runs() -> None:
    asked = ("check", "specs/settling/after-batch.yaml", "--runs", 2, "--seed", 5, "--output-format", "json")
    plan = json.loads(mqverify(*asked, "--dry-run").stdout)
    ran = json.loads(mqverify(*asked).stdout)
    assert plan["seed"] == 5
    assert sum(one["runs"] for one in plan["scenarios"]) == len(ran["runs"])
    planned = [(one["backend"], name) for one in plan["scenarios"] for name in one["guarantees"]]
    assert planned == [(one["backend"], one["guarantee"]) for one in ran["results"]]


def test_a_dry_run_finds_mistakes_and_writes_no_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    spec = "specs/settling/after-batch.yaml"
    assert mqverify("check", spec, "--dry-run", "-b", "nats").returncode == 2
    assert mqverify("check", spec, "--dry-run", "--output-format", "junit").returncode == 2
    assert mqverify("check", spec, "--dry-run", "--report", f"json={report}").returncode == 0
    assert not report.exists()


def test_what_does_not_run_in_time_is_inconclusive() -> None:
    """However fast the machine is, a nanosecond is over before the first run."""
    for jobs in (1, 2):
        ran = mqverify(
            "check", "specs/settling/after-batch.yaml", "--max-time", "1ns", "-j", jobs, "--output-format", "json"
        )
        report = json.loads(ran.stdout)
        assert (ran.returncode, ran.stderr) == (3, "")
        assert report["runs"] == []
        for result in report["results"]:
            assert (result["verdict"], result["as_expected"]) == ("inconclusive", None)
            assert "the check's time, 1ns, was over when 0 of" in result["reason"]


def test_enough_time_changes_nothing() -> None:
    asked = ("check", "specs/settling/after-batch.yaml", "-b", "kafka", "--runs", 2, "--output-format", "json")
    with_limit, without = (json.loads(mqverify(*asked, *more).stdout) for more in (("--max-time", "1h"), ()))
    assert with_limit["results"] == without["results"]


def test_verbose_names_the_slowest() -> None:
    ran = mqverify("check", "specs/settling/after-batch.yaml", "specs/settling/before-batch.yaml", "-v", "--runs", 2)
    told = ran.stdout[ran.stdout.index("slowest:") :].splitlines()
    seconds = [float(line.split()[0]) for line in told[1:] if " s  specs/" in line]
    assert 2 <= len(seconds) <= 5
    assert seconds == sorted(seconds, reverse=True)


def test_a_first_spec_is_green_known_to_its_schema_and_red_as_its_comment_says(tmp_path: Path) -> None:
    made = mqverify("init", cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    spec = tmp_path / "specs" / "orders.yaml"
    first = spec.read_text().splitlines()[0]
    schema = json.loads((spec.parent / first.split("$schema=")[1]).read_text())
    jsonschema.validate(yaml.safe_load(spec.read_text()), schema)
    command = next(line for line in made.stdout.splitlines() if line.startswith("  mqverify check ")).split()
    assert mqverify(*command[1:3], "--runs", 5, cwd=tmp_path).returncode == 0
    before = spec.read_text()
    assert "settle: after_handling      # try: before_handling." in before
    spec.write_text(before.replace("settle: after_handling", "settle: before_handling"))
    assert mqverify("check", "specs", "--runs", 5, cwd=tmp_path).returncode == 1


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    for name in ("orders.yaml", "mqverify.schema.json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("mine")
        ran = mqverify("init", tmp_path / name)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "nothing is overwritten" in ran.stderr
        assert [path.read_text() for path in (tmp_path / name).iterdir()] == ["mine"]

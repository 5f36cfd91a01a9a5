"""Defaults of options: flag before environment before file before what is built in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.conftest import Ran

Run = Callable[..., Ran]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "below" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "below" / "deep")
    return tmp_path


def test_flag_goes_before_environment_before_file(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pyproject.toml").write_text(
        "[tool.mqverify]\nseed = 7\nruns = 3\nmax-time = '5s'\nfail-on = 'violated'\n"
    )
    monkeypatch.setenv("MQVERIFY_SEED", "8")
    monkeypatch.setenv("MQVERIFY_RUNS", "4")
    options = run("good", "check", "specs", "--seed", "9").engine.asked[1][1]
    assert (options["seed"], options["runs"], options["max_time"]) == (9, 4, 5_000_000_000)
    assert options["fail_on"] == "violated"
    assert options["fail_fast"] is False


def test_lists_flags_and_both_spellings(run: Run, project: Path) -> None:
    (project / "mqverify.toml").write_text(
        'backend = ["kafka=local", "x"]\ntag = "crash"\nfail_fast = true\nkeyword = "orders"\n'
    )
    specs, options = run("good", "check", "specs").engine.asked[1]
    assert options["backends"] == (("kafka", "local"), ("x", None))
    assert options["fail_fast"] is True
    assert specs == ["orders survive a consumer crash"]


def test_the_nearest_file_that_speaks_of_mqverify_counts(run: Run, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.mqverify]\nseed = 7\n")
    (project / "below" / "deep" / "pyproject.toml").write_text("[project]\nname = 'mqverify-specs'\n")
    assert run("good", "check", "specs").engine.asked[1][1]["seed"] == 7
    (project / "below" / "mqverify.toml").write_text("seed = 8\n")
    assert run("good", "check", "specs").engine.asked[1][1]["seed"] == 8


WRONG = """\
[project]
name = "x"
seed = 3

[tool.mqverify]
sed = 7
seed = "seven"
output-format = "xml"
max_time = "4"
fail-fast = 1
dry-run = true
runs = 0

[tool.mqverify.tracee]
limit = 3

[tool.mqverify.trace]
limit = true
"""


def test_all_mistakes_are_told_with_their_places(run: Run, project: Path, snapshot: SnapshotAssertion) -> None:
    (project / "pyproject.toml").write_text(WRONG)
    ran = run("good", "check", "specs")
    assert (ran.code, ran.out) == (2, "")
    assert ran.engine.asked == []
    assert ran.err.replace(str(project), "PROJECT") == snapshot


def test_what_is_not_toml_is_told_with_its_place(run: Run, project: Path) -> None:
    (project / "mqverify.toml").write_text("seed = 7\nruns = = 3\n")
    ran = run("good", "check", "specs")
    assert ran.code == 2
    assert "error[MQ023]" in ran.err
    assert "mqverify.toml:2:8" in ran.err


def test_help_is_had_whatever_the_file_says(run: Run, project: Path) -> None:
    (project / "mqverify.toml").write_text("sed = 7\n")
    assert run("good", "--help").code == 0


@pytest.mark.parametrize("value", ["4", "0s", "soon"])
def test_a_time_needs_a_unit(value: str, run: Run) -> None:
    ran = run("good", "check", "specs", "--max-time", value)
    assert (ran.code, ran.out) == (2, "")
    assert "--max-time" in ran.err

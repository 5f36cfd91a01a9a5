"""`mqverify check` as a user sees it: what it prints where, and how it exits."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cli.conftest import Ran

Run = Callable[..., Ran]

EXITS = {
    "good": 0,
    "mixed": 1,
    "undecided": 3,
    "misspelt": 2,
    "nowhere": 2,
    "no broker": 3,
    "broken promise": 4,
    "bug": 4,
}


@pytest.mark.parametrize(("name", "code"), EXITS.items())
def test_exit_codes(name: str, code: int, run: Run) -> None:
    ran = run(name, "check", "specs")
    assert ran.code == code
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize("name", ["good", "mixed", "hostile"])
def test_prints(name: str, run: Run, snapshot: SnapshotAssertion) -> None:
    ran = run(name, "check", "specs")
    assert {"out": ran.out, "err": ran.err} == snapshot


@pytest.mark.parametrize("name", ["misspelt", "nowhere"])
def test_a_mistake_prints_nothing_on_standard_output(name: str, run: Run) -> None:
    ran = run(name, "check", "specs", "--output-format", "json")
    assert ran.out == ""
    assert "error" in ran.err


def test_a_mistake_is_shown_with_its_place(run: Run) -> None:
    err = run("misspelt", "check", "specs").err
    assert "a.yaml:3:5" in err
    assert "nothing was run" in err


def test_a_bug_says_how_to_report_it_and_shows_the_traceback_on_request_only(run: Run) -> None:
    ran = run("bug", "check", "specs")
    assert "bug of mqverify" in ran.err
    assert "ValueError: \\x1b[31mthe bug" in ran.err
    assert "\x1b" not in ran.err
    assert "Traceback" in run("bug", "check", "specs", "-v").err


def test_what_was_known_before_a_failure_is_reported(run: Run) -> None:
    ran = run("no broker", "check", "specs")
    assert "broken off: 0 of 2 scenarios judged" in ran.out
    assert "error: no broker at kafka:9092" in ran.err


def test_json_alone_is_on_standard_output_and_warnings_are_not(run: Run) -> None:
    ran = run("mixed", "check", "specs", "--output-format", "json")
    assert json.loads(ran.out)["exit_code"] == ran.code == 1
    assert "warning: expected violation of exactly_once not seen" in ran.err


def test_options_reach_the_engine(run: Run) -> None:
    ran = run("good", "check", "a.yaml", "b", "-b", "kafka=local", "-b", "x", "--seed", "7", "--runs", "3", "-x",
              "--exit-zero", "--fail-on", "violated")  # fmt: skip
    paths, (_, options) = ran.engine.asked
    assert paths == ["a.yaml", "b"]
    assert callable(options.pop("tell"))
    assert options == {
        "backends": (("kafka", "local"), ("x", None)),
        "seed": 7,
        "runs": 3,
        "fail_fast": True,
        "exit_zero": True,
        "fail_on": "violated",
        "max_time": None,
        "jobs": 1,
        "allow_broker_faults": False,
        "profile": None,
        "verbose": False,
    }


def test_options_come_from_the_environment_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQVERIFY_SEED", "7")
    monkeypatch.setenv("MQVERIFY_BACKEND", "kafka=local")
    monkeypatch.setenv("MQVERIFY_RUNS", "5")
    options = run("good", "check", "specs", "--runs", "2").engine.asked[1][1]
    assert (options["seed"], options["runs"], options["backends"]) == (7, 2, (("kafka", "local"),))


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["-k", "YEAR"], ["a year later"]),
        (["-k", "settling/"], ["orders survive a consumer crash"]),
        (["--tag", "orders"], ["orders survive a consumer crash"]),
        (["--tag", "orders", "--tag", "retention"], ["orders survive a consumer crash", "a year later"]),
    ],
)
def test_chooses_specs(options: list[str], chosen: list[str], run: Run) -> None:
    assert run("good", "check", "specs", *options).engine.asked[1][0] == chosen


def test_specs_are_chosen_from_the_environment_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQVERIFY_KEYWORD", "YEAR")
    assert run("good", "check", "specs").engine.asked[1][0] == ["a year later"]
    monkeypatch.delenv("MQVERIFY_KEYWORD")
    monkeypatch.setenv("MQVERIFY_TAG", "orders nothing")
    assert run("good", "check", "specs").engine.asked[1][0] == ["orders survive a consumer crash"]


def test_help_promises_what_there_is(run: Run) -> None:
    text = " ".join(run("good", "check", "--help").out.split())
    assert "kafka=local" in text
    assert "kafka=HOST:PORT[,HOST:PORT]" in text
    assert "MQVERIFY_KEYWORD" in text


@pytest.mark.parametrize("options", [["-k", "nothing"], ["--tag", "nothing"], ["-k", "year", "--tag", "crash"]])
def test_choosing_nothing_is_a_mistake(options: list[str], run: Run) -> None:
    ran = run("good", "check", "specs", *options)
    assert ran.code == 2
    assert "none of the 2 specs matches" in ran.err
    assert len(ran.engine.asked) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "specs", "--runs", "0"],
        ["check", "specs", "--seed", "-1"],
        ["check", "specs", "--fail-on", "held"],
        ["check", "specs", "--output-format", "xml"],
        ["check", "specs", "--no-such-option"],
        ["no-such-command"],
        ["check", "specs", "--report", "json"],
        ["check", "specs", "--report", "xml=report.xml"],
        ["check", "specs", "--report", "json=no/such/folder/report.json"],
        ["check", "specs", "--report", "json=/"],
    ],
)
def test_wrong_usage_exits_with_2_before_anything_runs(arguments: list[str], run: Run) -> None:
    ran = run("good", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "rror: " in ran.err
    assert len(ran.engine.asked) < 2


def test_writes_reports_to_files(run: Run, tmp_path: Path) -> None:
    options = ["--report", f"json={tmp_path}/r.json", "--report", f"text={tmp_path}/r.txt"]
    ran = run("mixed", "check", "specs", "-q", *options)
    assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == 1
    assert "a year later" in (tmp_path / "r.txt").read_text()
    assert "\x1b" not in (tmp_path / "r.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "r.txt"]
    assert ran.code == 1


def test_a_check_that_never_began_leaves_no_report(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    options = ["--report", f"json={tmp_path}/old.json", "--report", f"json={tmp_path}/new.json", "-k", "nothing"]
    assert run("good", "check", "specs", *options).code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.json", "old")]


def test_colour_is_wanted_or_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run("mixed", "check", "specs").out
    assert "\x1b[" in run("mixed", "check", "specs", "--color", "always").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("mixed", "check", "specs").out
    assert "\x1b" not in run("mixed", "check", "specs", "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("mixed", "check", "specs").out
    assert "\x1b[" in run("mixed", "check", "specs", "--color", "always").out


def test_columns_decide_the_width_of_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = run("good", "check", "specs").out
    monkeypatch.setenv("COLUMNS", "60")
    narrow = run("good", "check", "specs").out
    assert max(map(len, narrow.splitlines())) <= 60 < max(map(len, wide.splitlines()))

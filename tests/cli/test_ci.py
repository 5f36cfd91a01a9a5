"""What `check` does by itself where CI runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml

from mqverify.report.progress import ProgressReport
from mqverify.report.standard import standard_reports
from tests.cli.conftest import Ran
from tests.report.test_github import Runner

Run = Callable[..., Ran]


def test_text_on_github_has_annotations_and_a_summary(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = run("mixed", "check", "specs").out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    ran = run("mixed", "check", "specs")
    assert ran.code == 1
    assert [command.name for command in Runner(ran.out).commands] == ["error", "error", "warning"]
    assert plain in ran.out
    assert (tmp_path / "summary").read_text().startswith("## mqverify\n")


def test_json_on_github_stays_json(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert json.loads(run("mixed", "check", "specs", "--output-format", "json").out)["exit_code"] == 1
    assert (tmp_path / "summary").exists()


def test_mistakes_are_annotated_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["check", "specs"], ["validate", "specs"]):
        ran = run("misspelt", *arguments, "--output-format", "github")
        [command] = Runner(ran.out).commands
        assert (ran.code, command.properties["file"], command.properties["line"]) == (2, "a.yaml", "3")
        assert run("misspelt", *arguments).out == ""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert len(Runner(run("misspelt", "validate", "specs").out).commands) == 1


def test_formats_on_standard_output(run: Run) -> None:
    assert JUnitXml.fromstring(run("mixed", "check", "specs", "--output-format", "junit").out.encode()).failures == 2
    assert run("mixed", "check", "specs", "--output-format", "markdown").out.startswith("## mqverify\n")
    lines = run("mixed", "check", "specs", "--output-format", "jsonl").out.splitlines()
    assert json.loads(lines[-1])["event"] == "check_finished"


@pytest.mark.parametrize(("environment", "bar"), [({"CI": "true"}, False), ({}, True)])
def test_ci_wants_no_bar(environment: dict[str, str], bar: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    [progress, *_] = standard_reports("text", "normal", "never", environment)
    assert isinstance(progress, ProgressReport)
    assert progress._wants_bar is bar

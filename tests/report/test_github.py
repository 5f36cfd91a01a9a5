"""Annotations, read as GitHub's runner reads them, and the summary of a step."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mqverify.errors import UsageError
from mqverify.events import Event
from mqverify.report import deliver
from mqverify.report.github import GithubReport, StepSummary, Unheard, annotate_mistakes
from mqverify.report.terminal import TerminalReport
from mqverify.spec.diagnostics import Diagnostic
from tests.report import samples


@dataclass
class Command:
    name: str
    properties: dict[str, str]
    data: str


class Runner:
    """The workflow commands in an output, as actions/runner parses them (ActionCommand.TryParseV2, stop-commands)."""

    def __init__(self, output: str) -> None:
        self.commands: list[Command] = []
        self.text: list[str] = []
        stopped = None
        for line in output.split("\n"):
            command = self._parse(line)
            if stopped is not None:
                stopped = None if command and command.name == stopped else stopped
            elif command is None:
                self.text.append(line)
            elif command.name == "stop-commands":
                stopped = command.data
            else:
                self.commands.append(command)
        assert stopped is None

    @staticmethod
    def _parse(line: str) -> Command | None:
        line = line.lstrip()
        if not line.startswith("::") or (end := line.find("::", 2)) < 0:
            return None
        name, _, rest = line[2:end].partition(" ")
        properties = {}
        for pair in filter(None, (pair.strip() for pair in rest.split(","))):
            key, _, value = pair.partition("=")
            properties[key] = Runner._unescaped(value, (("%3A", ":"), ("%2C", ",")))
        return Command(name, properties, Runner._unescaped(line[end + 2 :]))

    @staticmethod
    def _unescaped(text: str, more: tuple[tuple[str, str], ...] = ()) -> str:
        for escape, character in (("%0D", "\r"), ("%0A", "\n"), *more, ("%25", "%")):
            text = text.replace(escape, character)
        return text


def told(events: list[Event]) -> Runner:
    stream = io.StringIO()
    deliver(iter(events), [GithubReport(stream)])
    return Runner(stream.getvalue())


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


def test_an_error_for_a_failure_and_a_warning_for_what_was_not_decided() -> None:
    runner = told(samples.MIXED)
    assert [(one.name, one.properties["title"]) for one in runner.commands] == [
        ("error", "mqverify MQ101 at_least_once on competing: violated, expected held"),
        ("error", "mqverify MQ103 exactly_once on competing: held, expected violated"),
        ("warning", "mqverify MQ122 durable_past_retention on competing: inconclusive, expected held"),
    ]
    first = runner.commands[0]
    assert first.data.split("\n") == [
        f"a year later: {samples.WITNESS.sentence}",
        f"reproduce: {samples.VIOLATED.reproduce}",
    ]
    assert "2 not as expected" in runner.text[0]


def test_leads_to_the_line_of_the_expectation() -> None:
    [command] = told(samples.check_of([replace(samples.VIOLATED, line=17)])).commands
    assert (command.properties["file"], command.properties["line"]) == ("specs/settling/crash.yaml", "17")


def test_a_file_is_named_from_the_root_of_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    monkeypatch.chdir(tmp_path / "service")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    for file, named in (("specs/a.yaml", "service/specs/a.yaml"), ("/elsewhere/a.yaml", "/elsewhere/a.yaml")):
        [command] = told(samples.check_of([replace(samples.VIOLATED, file=file)])).commands
        assert command.properties["file"] == named


@pytest.mark.parametrize("name", ["100% of a:b, c=d::e", "::error::x", "a%0Ab", "x\r\n::error file=y::z", ",title=x"])
def test_names_are_told_as_they_are_and_make_no_command(name: str) -> None:
    hostile = replace(samples.VIOLATED, spec=name, backend=name, file=name, reason=name, reproduce=name)
    [command] = told(samples.check_of([hostile])).commands
    shown = name.replace("\r", r"\r").replace("\n", r"\n")
    assert list(command.properties) == ["file", "line", "title"]
    assert command.properties["file"] == shown
    assert command.properties["title"] == f"mqverify MQ101 at_least_once on {shown}: violated, expected held"
    assert command.data == f"{shown}: {shown}\nreproduce: {shown}"


def failures(count: int, files: int) -> list[Event]:
    return samples.check_of(
        *[[replace(samples.VIOLATED, file=f"{n % files}.yaml", line=n + 1, backend=f"b{n}")] for n in range(count)]
    )


@pytest.mark.parametrize(("count", "files", "annotations"), [(9, 9, 9), (10, 10, 9), (10, 3, 3), (400, 57, 9)])
def test_stays_below_what_github_shows_of_a_step(count: int, files: int, annotations: int) -> None:
    commands = told(failures(count, files)).commands
    assert len(commands) == annotations
    text = "\n".join(f"{one.properties['title']}\n{one.data}" for one in commands)
    for n in range(count):
        assert f"on b{n}: violated" in text, "none is lost"


def test_specs_make_no_commands_of_a_report_for_people() -> None:
    stream = io.StringIO()
    hostile = replace(samples.VIOLATED, spec="::error::forged", reason="::add-mask::x")
    deliver(iter(samples.check_of([hostile])), [Unheard(stream, TerminalReport(stream, width=200))])
    assert "::error::forged" in stream.getvalue()
    assert Runner(stream.getvalue()).commands == []
    twice = io.StringIO()
    deliver(iter(samples.check_of([hostile])), [Unheard(twice, TerminalReport(twice, width=200))])
    assert twice.getvalue().splitlines()[0] != stream.getvalue().splitlines()[0], "the token cannot be known before"


def test_mistakes_in_specs_stand_where_they_are() -> None:
    stream = io.StringIO()
    mistakes = [
        Diagnostic("MQ201", "unknown key 'mesages'", "a.yaml", 3, 5, help="did you mean 'messages'?"),
        Diagnostic("MQ014", "skipped", "b.yaml", 1, 1, severity="warning"),
    ]
    annotate_mistakes(mistakes, stream)
    error, warning = Runner(stream.getvalue()).commands
    assert error.properties == {"file": "a.yaml", "line": "3", "col": "5", "title": "mqverify MQ201: mistake in a spec"}
    assert error.data == "unknown key 'mesages'\nhelp: did you mean 'messages'?"
    assert (warning.name, warning.properties["file"]) == ("warning", "b.yaml")


def test_the_summary_of_a_step_is_added_to(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    summary.write_text("from a command before\n\n")
    for _ in range(2):
        deliver(iter(samples.MIXED), [StepSummary(str(summary))])
    text = summary.read_text()
    assert text.startswith("from a command before\n\n## mqverify\n")
    assert text.count("## mqverify\n") == 2


def test_the_summary_of_a_step_stays_below_githubs_limit(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    summary.write_text("x" * 1_000_000)
    deliver(iter(failures(400, 57)), [StepSummary(str(summary))])
    assert 1_000_000 < summary.stat().st_size <= 1024 * 1024
    assert "400 not as expected" in summary.read_text()


def test_a_summary_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GITHUB_STEP_SUMMARY"):
        StepSummary(str(tmp_path))

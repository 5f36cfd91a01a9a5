"""Reports for GitHub Actions: annotations on the lines of specs, and the summary of a step.

Annotations are workflow commands, lines on standard output (docs.github.com, "Workflow commands for GitHub Actions").
GitHub shows ten errors and ten warnings of a step and drops the others, so many become one a file.
"""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mqverify.errors import UsageError
from mqverify.events import CheckFinished, Event, Result, ScenarioFinished
from mqverify.report.delivery import Report
from mqverify.report.markdown import MarkdownReport
from mqverify.report.text import count, plain
from mqverify.report.words import is_failure, summary_line

if TYPE_CHECKING:
    from mqverify.spec.diagnostics import Diagnostic

__all__ = ["GithubReport", "StepSummary", "Unheard", "annotate_mistakes"]

_MOST = 9
"""One less than GitHub shows, so that what else a step says has room."""

_LARGEST_SUMMARY = 1024 * 1024
"""GitHub's limit on the summary of one step, in bytes."""


@dataclass(frozen=True, slots=True)
class _Annotation:
    level: str
    file: str
    line: int
    title: str
    message: str
    """Lines of plain text."""
    column: int | None = None


class GithubReport:
    """Prints annotations when the check ends, and a line that sums up unless somebody else does (`alone`)."""

    def __init__(self, stream: TextIO, *, alone: bool = True) -> None:
        self._stream = stream
        self._alone = alone
        self._results: dict[int, tuple[Result, ...]] = {}

    def handle(self, event: Event) -> None:
        match event:
            case ScenarioFinished():
                self._results[event.scenario] = event.results
            case CheckFinished():
                results = [result for _, of_one in sorted(self._results.items()) for result in of_one]
                _annotate(self._stream, [_of_result(result) for result in results if is_failure(result)])
                if self._alone:
                    self._stream.write(f"{summary_line(event, results)}\n")
                self._stream.flush()
            case _:
                pass

    def close(self) -> None:
        """Nothing is held open."""


class Unheard:
    """A report that a runner must not obey: what is in specs may look like workflow commands."""

    def __init__(self, stream: TextIO, report: Report) -> None:
        self._stream = stream
        self._report = report

    def handle(self, event: Event) -> None:
        if not isinstance(event, CheckFinished):
            self._report.handle(event)
            return
        token = secrets.token_hex(16)  # what nobody can write into a spec beforehand
        self._stream.write(f"::stop-commands::{token}\n")
        try:
            self._report.handle(event)
        finally:
            self._stream.write(f"::{token}::\n")
            self._stream.flush()

    def close(self) -> None:
        self._report.close()


class StepSummary:
    """Appends the Markdown report to the step's summary, which later commands of the step add to as well."""

    def __init__(self, path: str) -> None:
        self._heard: list[Event] = []
        try:
            self._stream = Path(path).open("a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise UsageError(f"GITHUB_STEP_SUMMARY: cannot write {path}: {error.strerror or error}") from None

    def handle(self, event: Event) -> None:
        self._heard.append(event)
        if not isinstance(event, CheckFinished):
            return
        report = MarkdownReport(self._stream, most=_LARGEST_SUMMARY - self._stream.tell())
        for heard in self._heard:
            report.handle(heard)

    def close(self) -> None:
        self._stream.close()


def annotate_mistakes(diagnostics: "Iterable[Diagnostic]", stream: TextIO) -> None:
    """Mistakes and warnings of specs as annotations, where they are."""
    annotations = []
    for one in diagnostics:
        message = plain(one.message) + (f"\nhelp: {plain(one.help)}" if one.help else "")
        level = "warning" if one.severity == "warning" else "error"
        title = f"{one.code}: mistake in a spec" if level == "error" else one.code
        annotations.append(_Annotation(level, one.file, one.line, title, message, one.column))
    _annotate(stream, annotations)
    stream.flush()


def _of_result(result: Result) -> _Annotation:
    level = "warning" if result.verdict == "inconclusive" else "error"
    title = f"{result.code} {result.guarantee} on {result.backend}: {result.verdict}, expected {result.expected}"
    message = f"{plain(result.spec)}: {plain(result.reason)}\nreproduce: {plain(result.reproduce)}"
    return _Annotation(level, result.file, max(1, result.line), title, message)


def _annotate(stream: TextIO, annotations: Sequence[_Annotation]) -> None:
    for level in ("error", "warning"):
        for one in _few([one for one in annotations if one.level == level]):
            stream.write(_command(one) + "\n")


def _few(annotations: Sequence[_Annotation]) -> Sequence[_Annotation]:
    """As many as GitHub shows: where there are more, one a file, and the last of those for all files that are left."""
    if len(annotations) <= _MOST:
        return annotations
    files: dict[str, list[_Annotation]] = {}
    for one in annotations:
        files.setdefault(one.file, []).append(one)
    groups = list(files.values())
    if len(groups) > _MOST:
        groups = [*groups[: _MOST - 1], [one for group in groups[_MOST - 1 :] for one in group]]
    return [_together(group) for group in groups]


def _together(group: Sequence[_Annotation]) -> _Annotation:
    if len(group) == 1:
        return group[0]
    first = group[0]
    several = len({one.file for one in group}) > 1
    what = count(len(group), "problem") + (f" in {len({one.file for one in group}):,} files" if several else "")
    lines = [f"{one.file}:{one.line}: " * several + f"line {one.line}: " * (not several) + one.title for one in group]
    return _Annotation(first.level, first.file, first.line, what, "\n".join(map(plain, lines)))


def _command(one: _Annotation) -> str:
    """`::error file=…,line=…,title=…::…`, escaped as actions/toolkit does (packages/core/src/command.ts)."""
    properties = {"file": _in_the_repository(one.file), "line": str(one.line)}
    if one.column is not None:
        properties["col"] = str(one.column)
    properties["title"] = f"mqverify {one.title}"
    told = ",".join(f"{name}={_escaped_property(plain(value))}" for name, value in properties.items())
    return f"::{one.level} {told}::{_escaped(one.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _in_the_repository(file: str, environment: Mapping[str, str] = os.environ) -> str:
    """The file as GitHub knows it: from the root of the workspace, wherever in it the command ran."""
    workspace = environment.get("GITHUB_WORKSPACE")
    if workspace:
        try:
            return Path(os.path.realpath(file)).relative_to(os.path.realpath(workspace)).as_posix()
        except (ValueError, OSError):  # elsewhere, or no path at all
            pass
    return file

"""What a check prints by itself: the report on standard output; progress and warnings on standard error."""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TextIO

from mqverify.errors import OutputError
from mqverify.events import CheckFinished, Event
from mqverify.report.delivery import Report
from mqverify.report.files import FORMATS

__all__ = [
    "ColorChoice",
    "OutputFormat",
    "Verbosity",
    "output_error",
    "runs_on_github",
    "standard_reports",
    "tell_on_stderr",
    "told_as_output_error",
    "wants_color",
]

OutputFormat = Literal["text", "json", "jsonl", "junit", "markdown", "github"]
Verbosity = Literal["quiet", "normal", "verbose"]
_TELLING = threading.Lock()

ColorChoice = Literal["auto", "always", "never"]


def standard_reports(
    output_format: OutputFormat,
    verbosity: Verbosity,
    color: ColorChoice,
    environment: Mapping[str, str] = os.environ,
) -> list[Report]:
    """The report on standard output; progress and warnings; in a step of GitHub Actions annotations and its summary."""
    from mqverify.report.progress import ProgressReport

    bar = verbosity != "quiet" and not environment.get("CI")
    progress = ProgressReport(sys.stderr, color=wants_color(color, sys.stderr), bar=bar)
    on_github = runs_on_github(environment)
    reports: list[Report] = []
    if output_format == "text":
        from mqverify.report.terminal import TerminalReport

        reports.append(TerminalReport(sys.stdout, color=wants_color(color, sys.stdout), verbosity=verbosity))
        if on_github:
            from mqverify.report.github import GithubReport, Unheard

            reports = [Unheard(sys.stdout, reports[0]), GithubReport(sys.stdout, alone=False)]
    elif output_format == "github":
        from mqverify.report.github import GithubReport

        reports.append(GithubReport(sys.stdout))
    else:
        reports.append(FORMATS[output_format](sys.stdout))
    told: list[Report] = [_StandardOutput(report) for report in reports]
    if on_github and (summary := environment.get("GITHUB_STEP_SUMMARY")):
        from mqverify.report.github import StepSummary

        told.append(StepSummary(summary))
    return [progress, *told]


def tell_on_stderr(message: str) -> None:
    """Say something while a check runs, on a line of its own, also from several threads and above a bar."""
    from mqverify.report.text import plain

    with _TELLING:
        sys.stderr.write(f"mqverify: {plain(message)}\n")
        sys.stderr.flush()


def runs_on_github(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a step of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


class _StandardOutput:
    """A report on standard output. What cannot be written is told as that, unless its reader has gone."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def handle(self, event: Event) -> None:
        with told_as_output_error():
            self._report.handle(event)
            if isinstance(event, CheckFinished):
                sys.stdout.flush()

    def close(self) -> None:
        self._report.close()


def output_error(error: OSError) -> OutputError:
    """What is told when standard output takes no more."""
    return OutputError(f"standard output cannot be written: {error.strerror or error}")


@contextmanager
def told_as_output_error() -> Iterator[None]:
    """What goes wrong inside is said of standard output; that its reader has gone stays a `BrokenPipeError`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(error) from error


def wants_color(choice: ColorChoice, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to print colours: the option decides, else NO_COLOR, else FORCE_COLOR, else whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"

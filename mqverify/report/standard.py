"""What a check prints by itself: the report on standard output; progress and warnings on standard error."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TextIO

from mqverify.errors import OutputError
from mqverify.events import CheckFinished, Event
from mqverify.report.delivery import Sink

__all__ = [
    "ColorChoice",
    "OutputFormat",
    "Verbosity",
    "output_error",
    "standard_reports",
    "told_as_output_error",
    "wants_color",
]

OutputFormat = Literal["text", "json"]
Verbosity = Literal["quiet", "normal", "verbose"]
ColorChoice = Literal["auto", "always", "never"]


def standard_reports(output_format: OutputFormat, verbosity: Verbosity, color: ColorChoice) -> list[Sink]:
    from mqverify.report.progress import ProgressReport

    progress = ProgressReport(sys.stderr, color=wants_color(color, sys.stderr), bar=verbosity != "quiet")
    if output_format == "json":
        from mqverify.report.json import JsonReport

        return [progress, _StandardOutput(JsonReport(sys.stdout))]
    from mqverify.report.terminal import TerminalReport

    terminal = TerminalReport(sys.stdout, color=wants_color(color, sys.stdout), verbosity=verbosity)
    return [progress, _StandardOutput(terminal)]


class _StandardOutput:
    """A report on standard output. What cannot be written is told as that, unless its reader has gone."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def handle(self, event: Event) -> None:
        with told_as_output_error():
            self._sink.handle(event)
            if isinstance(event, CheckFinished):
                sys.stdout.flush()

    def close(self) -> None:
        self._sink.close()


def output_error(error: OSError) -> OutputError:
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

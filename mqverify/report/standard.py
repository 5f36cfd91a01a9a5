"""What a check prints by itself: the report on standard output; progress and warnings on standard error."""

import os
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

from mqverify.report.delivery import Sink

__all__ = ["ColorChoice", "OutputFormat", "Verbosity", "standard_reports", "wants_color"]

OutputFormat = Literal["text", "json"]
Verbosity = Literal["quiet", "normal", "verbose"]
ColorChoice = Literal["auto", "always", "never"]


def standard_reports(output_format: OutputFormat, verbosity: Verbosity, color: ColorChoice) -> list[Sink]:
    from mqverify.report.progress import ProgressReport

    progress = ProgressReport(sys.stderr, color=wants_color(color, sys.stderr), bar=verbosity != "quiet")
    if output_format == "json":
        from mqverify.report.json import JsonReport

        return [progress, JsonReport(sys.stdout)]
    from mqverify.report.terminal import TerminalReport

    return [progress, TerminalReport(sys.stdout, color=wants_color(color, sys.stdout), verbosity=verbosity)]


def wants_color(choice: ColorChoice, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to print colours: the option decides, else NO_COLOR, else FORCE_COLOR, else whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"

"""Reports in files, named as `FORMAT=PATH`: checked before anything runs, written whole or not at all."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from mqverify.errors import UsageError
from mqverify.events import CheckFinished, Event
from mqverify.report.delivery import Report

__all__ = ["FORMATS", "open_reports"]


def _json(stream: TextIO) -> Report:
    from mqverify.report.json import JsonReport

    return JsonReport(stream)


def _text(stream: TextIO) -> Report:
    from mqverify.report.terminal import TerminalReport

    return TerminalReport(stream)


def _jsonl(stream: TextIO) -> Report:
    from mqverify.report.jsonl import JsonLinesReport

    return JsonLinesReport(stream)


def _junit(stream: TextIO) -> Report:
    from mqverify.report.junit import JunitReport

    return JunitReport(stream)


def _markdown(stream: TextIO) -> Report:
    from mqverify.report.markdown import MarkdownReport

    return MarkdownReport(stream)


FORMATS: dict[str, Callable[[TextIO], Report]] = {
    "json": _json,
    "jsonl": _jsonl,
    "junit": _junit,
    "markdown": _markdown,
    "text": _text,
}
"""Name of a format to what makes its report. A new one is one file and a line here."""


def open_reports(wanted: Iterable[str]) -> list[Report]:
    """A report for each `FORMAT=PATH`; a UsageError for what cannot be written, before anything runs."""
    chosen: dict[Path, str] = {}
    for text in wanted:
        name, separator, path = text.partition("=")
        if not separator or not path:
            raise UsageError(f"--report {text}: say FORMAT=PATH, for example --report json=report.json")
        if name not in FORMATS:
            raise UsageError(f"--report {text}: there is no format {name!r}; there are: {', '.join(FORMATS)}")
        target = Path(path).absolute()
        if target in chosen:
            raise UsageError(f"--report {text}: {chosen[target]} is written to the same file")
        chosen[target] = text
    reports: list[Report] = []
    try:
        for target, text in chosen.items():
            reports.append(_FileReport(target, text))
    except BaseException:
        for report in reports:
            report.close()
        raise
    return reports


class _FileReport:
    """A report written beside its place and moved there when it is whole. A device or a pipe is written to as it is."""

    def __init__(self, target: Path, wanted: str) -> None:
        self._wanted = wanted
        self._target = Path(os.path.realpath(target))
        self._direct = self._target.exists() and not self._target.is_file()
        self._draft = self._target
        if not self._direct:
            self._draft = self._target.with_name(f".{self._target.name}.{os.getpid()}.part")
        self._whole = False
        try:
            if not self._direct and self._target.exists():
                self._target.open("a").close()  # a file that may not be written is not replaced either
            self._stream = self._draft.open("w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise self._refused(error) from None
        self._report = FORMATS[wanted.partition("=")[0]](self._stream)

    def handle(self, event: Event) -> None:
        try:
            self._report.handle(event)
        except OSError as error:
            raise self._refused(error) from None
        self._whole = self._whole or isinstance(event, CheckFinished)

    def close(self) -> None:
        try:
            self._report.close()
            self._stream.close()
            if self._whole and not self._direct:
                self._draft.replace(self._target)
        except OSError as error:
            raise self._refused(error) from None
        finally:
            if not self._direct:
                self._draft.unlink(missing_ok=True)

    def _refused(self, error: OSError) -> UsageError:
        reason = error.strerror or str(error)
        return UsageError(f"--report {self._wanted}: cannot write {self._target}: {reason}")

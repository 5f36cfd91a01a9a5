"""What is told while a check runs, on standard error: warnings always, a bar on a terminal only."""

from typing import Any, TextIO

from mqverify.events import CheckFinished, CheckStarted, Event, RunFinished, ScenarioStarted, Warned
from mqverify.report.text import count, plain

__all__ = ["ProgressReport"]


class ProgressReport:
    """Warnings as they come, a progress bar if wanted and possible, and at the end what an exit code of 0 hides."""

    def __init__(self, stream: TextIO, *, color: bool = False, bar: bool = True) -> None:
        self._stream = stream
        self._color = color
        self._wants_bar = bar and stream.isatty()
        self._bar: Any = None
        self._task: Any = None

    def handle(self, event: Event) -> None:
        match event:
            case CheckStarted() if self._wants_bar:
                self._start(event.runs)
            case ScenarioStarted() if self._bar:
                self._bar.update(self._task, description=plain(f"{event.spec} · {event.backend}")[:60])
            case RunFinished() if self._bar:
                self._bar.advance(self._task)
            case Warned():
                self._warn(event.message)
            case CheckFinished():
                self._stop()
                self._tell_what_zero_hides(event)
            case _:
                pass

    def close(self) -> None:
        self._stop()

    def _start(self, runs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from mqverify.report.console import console_for

        self._bar = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console_for(self._stream, color=self._color),
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("", total=runs)
        self._bar.start()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _warn(self, message: str) -> None:
        text = f"warning: {plain(message)}"
        if self._bar:
            self._bar.console.print(text, soft_wrap=True)
        else:
            print(text, file=self._stream)

    def _tell_what_zero_hides(self, end: CheckFinished) -> None:
        if end.exit_code != 0:
            return
        if end.summary.not_as_expected:
            self._warn(f"{count(end.summary.not_as_expected, 'result')} not as expected; the exit code is 0 on request")
        if end.summary.inconclusive:
            self._warn(f"{count(end.summary.inconclusive, 'result')} not decided; the exit code is 0 on request")

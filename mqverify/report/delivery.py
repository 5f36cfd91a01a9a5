"""From the stream of events to all who listen: every report hears every event, in order, and is closed at the end."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from mqverify.errors import InternalError
from mqverify.events import CheckFinished, CheckStarted, Event, Result, ScenarioFinished, Summary
from mqverify.report import exits

__all__ = ["Report", "deliver"]


class Report(Protocol):
    """A report: listens to the events of one check. `CheckFinished` is the last that it hears."""

    def handle(self, event: Event) -> None: ...

    def close(self) -> None:
        """Called once, whatever happened. Without a `CheckFinished` before, there is no report."""


def deliver(events: Iterator[Event], reports: Sequence[Report]) -> int:
    """Hand all events to all reports, and return the check's exit code.

    Ctrl-C ends the check, and so does an exception out of it: the reports then still hear a `CheckFinished` with what
    was known until then, so that a report of an hour's work is not lost to its last minute.
    """
    delivery = _Delivery(reports)
    with ExitStack() as stack:
        for report in reports:
            stack.callback(report.close)
        if isinstance(events, Generator):
            stack.callback(events.close)  # so that the check stops at once if a report broke off
        try:
            code = delivery.tell_all(events)
            if code is None:
                raise InternalError("a check ended without a CheckFinished")
        except KeyboardInterrupt as interrupt:
            code = delivery.tell_all(_rest(events, interrupt))
            return delivery.end_early(exits.INTERRUPTED) if code is None else code
        except BrokenPipeError:
            raise
        except Exception as error:
            delivery.end_early(exits.code_of(error))
            raise
        else:
            return code


def _rest(events: Iterator[Event], interrupt: KeyboardInterrupt) -> Iterator[Event]:
    """What the check still has to say when it is told of a Ctrl-C that did not hit itself, but a report."""
    if not isinstance(events, Generator):
        return
    try:
        yield events.throw(interrupt)
        yield from events
    except (KeyboardInterrupt, StopIteration):
        return


class _Delivery:
    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports
        self._results: list[Result] = []
        self._exit_code: int | None = None
        self._began: float | None = None

    def tell_all(self, events: Iterator[Event]) -> int | None:
        """Tell them to the end of the check, and return its exit code; None if they do not come to an end."""
        for event in events:
            if isinstance(event, CheckStarted):
                self._began = time.monotonic()
            elif isinstance(event, ScenarioFinished):
                self._results.extend(event.results)
            elif isinstance(event, CheckFinished):
                return self._end(replace(event, exit_code=exits.INTERRUPTED) if event.interrupted else event)
            self._tell(event)
        return None

    def end_early(self, exit_code: int) -> int:
        """End with what is known, unless the check had not begun or the reports have heard an end already."""
        if self._began is None:
            return exit_code
        wall_ms = round((time.monotonic() - self._began) * 1000)
        return self._end(CheckFinished(_summary(self._results), exit_code, wall_ms, interrupted=True))

    def _end(self, event: CheckFinished) -> int:
        if self._exit_code is None:
            self._exit_code = event.exit_code
            self._tell(event)
        return self._exit_code

    def _tell(self, event: Event) -> None:
        """Tell all, also when one of them fails: a full disk or a closed pipe takes no other report with it."""
        failures = []
        for report in self._reports:
            try:
                report.handle(event)
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
        if failures:
            raise failures[0]


def _summary(results: Sequence[Result]) -> Summary:
    expected = [result for result in results if result.as_expected]
    others = [result for result in results if not result.as_expected]
    return Summary(
        as_expected=len(expected),
        not_as_expected=sum(
            result.as_expected is False and result.verdict in ("held", "violated") for result in others
        ),
        inconclusive=sum(result.verdict == "inconclusive" for result in others),
        unsupported=sum(result.verdict == "unsupported" for result in others),
        waived=sum(result.verdict == "violated" for result in expected),
    )

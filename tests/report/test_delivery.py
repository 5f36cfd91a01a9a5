"""Events reach all reports, and the reports hear an end, whatever happens in between."""

from collections.abc import Iterator

import pytest

from mqverify.errors import BackendLost, InternalError, UsageError
from mqverify.events import CheckFinished, CheckStarted, Event, RunFinished, ScenarioFinished
from mqverify.report import deliver
from tests.report import samples


class Listener:
    def __init__(self, stumbles_at: type[Event] | None = None, over: type[BaseException] = KeyboardInterrupt) -> None:
        self.heard: list[Event] = []
        self.closed = 0
        self._stumbles_at = stumbles_at
        self._over = over

    def handle(self, event: Event) -> None:
        if self._stumbles_at and isinstance(event, self._stumbles_at):
            self._stumbles_at = None
            raise self._over
        self.heard.append(event)

    def close(self) -> None:
        self.closed += 1

    @property
    def end(self) -> CheckFinished:
        [*others, last] = self.heard
        assert isinstance(last, CheckFinished)
        assert not any(isinstance(event, CheckFinished) for event in others)
        return last


def engine(events: list[Event]) -> Iterator[Event]:
    """Ends itself when it is interrupted."""
    try:
        yield from events[:-1]
    except KeyboardInterrupt:
        yield samples.INTERRUPTED[-1]
    else:
        yield events[-1]


def test_all_hear_everything_in_order() -> None:
    first, second = Listener(), Listener()
    assert deliver(iter(samples.MIXED), [first, second]) == 1
    assert first.heard == second.heard == samples.MIXED
    assert first.closed == second.closed == 1


def test_a_ctrl_c_in_a_sink_is_passed_on_to_the_check() -> None:
    listener = Listener(stumbles_at=RunFinished)
    assert deliver(engine(samples.MIXED), [listener]) == 130
    assert listener.end.interrupted
    assert listener.end.exit_code == 130
    assert listener.end.wall_ms == 2_000
    assert listener.closed == 1


@pytest.mark.parametrize("stops_itself", [True, False])
def test_a_ctrl_c_that_the_check_does_not_survive(stops_itself: bool) -> None:
    def events() -> Iterator[Event]:
        yield from samples.MIXED[:5]
        if stops_itself:
            raise KeyboardInterrupt

    listener = Listener(None if stops_itself else RunFinished)
    assert deliver(events(), [listener]) == 130
    assert listener.end.exit_code == 130


def test_a_check_that_breaks_off_ends_with_what_was_known() -> None:
    def events() -> Iterator[Event]:
        for event in samples.MIXED:
            yield event
            if isinstance(event, ScenarioFinished):
                raise BackendLost("gone")

    listener = Listener()
    with pytest.raises(BackendLost):
        deliver(events(), [listener])
    assert listener.end.interrupted
    assert listener.end.exit_code == 3
    assert (listener.end.summary.as_expected, listener.end.summary.waived) == (3, 1)
    assert listener.closed == 1


def test_a_check_that_never_begins_is_told_to_nobody() -> None:
    def events() -> Iterator[Event]:
        raise UsageError("no such backend")
        yield CheckStarted("", 0, 0, 0)

    listener = Listener()
    with pytest.raises(UsageError):
        deliver(events(), [listener])
    assert listener.heard == []
    assert listener.closed == 1


def test_a_check_without_an_end_is_a_bug() -> None:
    with pytest.raises(InternalError):
        deliver(iter(samples.MIXED[:-1]), [])


def test_a_closed_pipe_ends_it_without_another_word() -> None:
    listener = Listener(stumbles_at=ScenarioFinished, over=BrokenPipeError)
    with pytest.raises(BrokenPipeError):
        deliver(engine(samples.MIXED), [listener])
    assert not any(isinstance(event, CheckFinished) for event in listener.heard)


def test_a_sink_that_fails_takes_no_other_report_with_it() -> None:
    failing, listener = Listener(stumbles_at=CheckFinished, over=OSError), Listener()
    with pytest.raises(OSError):
        deliver(iter(samples.MIXED), [failing, listener])
    assert listener.heard == samples.MIXED
    assert failing.closed == listener.closed == 1

"""What standard error is told: warnings always, a bar on a terminal only."""

import io

import pytest

from mqverify.report import deliver
from mqverify.report.progress import ProgressReport
from tests.report import samples


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_pipe_warnings_are_all_there_is() -> None:
    stream = io.StringIO()
    deliver(iter(samples.HOSTILE_CHECK), [ProgressReport(stream)])
    [line] = stream.getvalue().splitlines()
    assert line.startswith("warning: \\x1b[31mred")


@pytest.mark.parametrize("bar", [True, False])
def test_a_terminal_gets_a_bar_unless_quiet(bar: bool) -> None:
    stream = Terminal()
    deliver(iter(samples.MIXED), [ProgressReport(stream, bar=bar)])
    assert "warning: expected violation of exactly_once not seen" in stream.getvalue()
    assert ("/51" in stream.getvalue()) == bar


def test_an_exit_code_of_zero_hides_nothing() -> None:
    stream = io.StringIO()
    deliver(iter(samples.check_of([samples.STALE, samples.INCONCLUSIVE], exit_code=0)), [ProgressReport(stream)])
    assert stream.getvalue().splitlines() == [
        "warning: 1 result not as expected; the exit code is 0 on request",
        "warning: 1 result not decided; the exit code is 0 on request",
    ]

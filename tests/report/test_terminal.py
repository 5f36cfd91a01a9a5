"""The report for people, as snapshots: what it looks like in a narrow window, a wide one and a pipe."""

import io
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from mqverify.events import Event, Figure, WitnessEvent
from mqverify.report import deliver
from mqverify.report.standard import Verbosity
from mqverify.report.terminal import TerminalReport
from tests.report import samples

CHECKS = {
    "all good": samples.ALL_GOOD,
    "mixed": samples.MIXED,
    "interrupted": samples.INTERRUPTED,
    "hostile": samples.HOSTILE_CHECK,
    "nothing judged": samples.INTERRUPTED[:1],
}


def printed(
    events: list[Event], *, width: int | None = None, color: bool = False, verbosity: Verbosity = "normal"
) -> str:
    stream = io.StringIO()
    deliver(_interrupted_at_the_end(events), [TerminalReport(stream, color=color, verbosity=verbosity, width=width)])
    return stream.getvalue()


def _interrupted_at_the_end(events: list[Event]):
    """The events, and a Ctrl-C where they have no end."""
    yield from events
    raise KeyboardInterrupt


@pytest.mark.parametrize("width", [60, 160])
@pytest.mark.parametrize("name", CHECKS)
def test_looks_like_this(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert printed(CHECKS[name], width=width) == snapshot


@pytest.mark.parametrize("verbosity", ["quiet", "verbose"])
def test_says_less_or_more(verbosity: Verbosity, snapshot: SnapshotAssertion) -> None:
    assert printed(samples.MIXED, verbosity=verbosity) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("name", ["all good", "mixed", "interrupted"])
def test_never_wider_than_the_window(name: str, width: int) -> None:
    """Only what is to be copied (the line that reproduces) or followed (a path) is not broken."""
    for line in printed(CHECKS[name], width=width).splitlines():
        assert len(line) <= width or "reproduce: " in line or "histories" in line


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("width", [60, 160])
def test_without_colour_prints_no_escape_and_with_colour_the_same_words(name: str, width: int) -> None:
    plain = printed(CHECKS[name], width=width)
    assert "\x1b" not in plain
    coloured = printed(CHECKS[name], width=width, color=True)
    assert "\x1b[" in coloured
    assert _without_styles(coloured) == plain


def _without_styles(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("width", [60, 160])
def test_hostile_names_reach_the_terminal_written_out(width: int) -> None:
    text = printed(samples.HOSTILE_CHECK, width=width, verbosity="verbose")
    assert not set(text) & set("\x1b\u202e\u2066\r\x07\x9b")
    assert "\\x1b[31mred" in text
    assert "[bold]loud[/bold] :boom:" in text.replace("\n", " ")


def test_a_terminal_without_unicode_gets_ascii_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    deliver(iter(samples.check_of([samples.HELD, samples.VIOLATED])), [TerminalReport(stream)])
    text = raw.getvalue().decode("ascii")
    assert "+  kafka" in text
    assert "x  kafka" in text


def test_specs_are_printed_in_their_order_whatever_finished_first() -> None:
    events = samples.MIXED
    shuffled = [*events[:1], *reversed(events[1:-1]), events[-1]]
    assert printed(shuffled).splitlines()[-1] == printed(events).splitlines()[-1]
    assert printed(shuffled) == printed(events)


def test_a_spec_that_is_unsupported_as_a_whole_has_one_row() -> None:
    names = ("latency", "at_least_once", "replayable")
    group = [replace(samples.UNSUPPORTED, guarantee=name, reason="Event Store comes later") for name in names]
    for width in (60, 160):
        text = printed(samples.check_of(group, [samples.HELD]), width=width)
        assert text.count("Event Store comes later") == 1
        assert "all 3 guarantees" in text
        assert not any(name in text for name in ("latency", "replayable"))
    waived = replace(group[0], expected="unsupported", as_expected=True, expected_why="no such notion")
    text = printed(samples.check_of([waived, *group[1:]]), width=160)
    assert "2 guarantees" in text
    assert "latency" in text
    assert "all" not in text.split()


def test_guarantees_without_a_verdict_for_different_reasons_keep_their_rows() -> None:
    group = [samples.UNSUPPORTED, replace(samples.UNSUPPORTED, guarantee="recovery", reason="another")]
    for events in (samples.check_of(group), samples.check_of([samples.UNSUPPORTED, samples.HELD])):
        assert "guarantees" not in printed(events, width=160)


def test_a_witness_of_two_guarantees_is_told_once() -> None:
    second = replace(samples.VIOLATED, guarantee="exactly_once", code="MQ103")
    text = printed(samples.check_of([samples.VIOLATED, second]), width=160, verbosity="quiet")
    assert text.count(samples.WITNESS.sentence) == 1
    assert "the same witness as of at_least_once (MQ101) above" in text
    assert text.count("reproduce: ") == 2
    other = printed(samples.check_of([samples.VIOLATED], [second]), width=160, verbosity="quiet")
    assert other.count(samples.WITNESS.sentence) == 2, "of another scenario it is told again"


@pytest.mark.parametrize("width", [50, 60, 70, 80, 90, 100, 120])
def test_no_word_of_an_event_is_broken(width: int) -> None:
    events = (
        WitnessEvent(6_045_000_021, "billing/consumer-12", "commits offset 18, acknowledged at 6.046 s", 17, "key-3", 4,
                     "orders-0", 18),
        WitnessEvent(8 * 86_400_000_000_000, "fresh reader", "is refused, unfortunately", 17, "key-3", 4, "orders-0"),
    )  # fmt: skip
    witness = replace(samples.WITNESS, events=events)
    text = printed(samples.check_of([replace(samples.VIOLATED, witness=witness)]), width=width)
    for word in ("acknowledged", "unfortunately", "billing/consumer-12", "8d 00:00:00.000"):
        assert word in text


@pytest.mark.parametrize("width", [60, 160])
def test_what_was_measured_is_told_of_held_results_too(width: int) -> None:
    figures = (Figure("p99", 12e6, "12 ms"), Figure("slowest", 30e6, "30 ms"))
    text = " ".join(printed(samples.check_of([replace(samples.HELD, figures=figures)]), width=width).split())
    assert "p99 12 ms, slowest 30 ms (the worst of 25 runs)" in text
    assert samples.HELD.reason not in text
    text = printed(samples.check_of([replace(samples.VIOLATED, figures=figures, runs=1)]), width=width)
    assert "measured: p99 12 ms, slowest 30 ms\n" in text

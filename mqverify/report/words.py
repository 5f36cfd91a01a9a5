"""How results are put into words for people. Every mark has its word beside it: nothing is told by colour alone."""

from collections.abc import Sequence

from mqverify.events import CheckFinished, Result
from mqverify.report.text import plain

__all__ = [
    "is_failure",
    "is_unseen",
    "mark_of",
    "measured",
    "note_of",
    "style_of",
    "summary_line",
    "verdict_and_expectation",
]

_MARKS = {
    "good": ("✓", "+"),
    "bad": ("✗", "x"),
    "undecided": ("?", "?"),
    "unsupported": ("–", "-"),
    "unseen": ("~", "~"),
}
_STYLES = {"good": "green", "bad": "red", "undecided": "yellow", "unsupported": "yellow", "unseen": "yellow"}


def _kind(result: Result) -> str:
    if result.as_expected:
        return "good"
    if result.verdict == "inconclusive":
        return "undecided"
    if result.as_expected is False:
        return "bad"
    return "unsupported" if result.verdict == "unsupported" else "unseen"


def mark_of(result: Result, *, unicode: bool = True) -> str:
    """The one character, or in ASCII the few, that stand before a result."""
    return _MARKS[_kind(result)][0 if unicode else 1]


def style_of(result: Result) -> str:
    """How a result is coloured, in the words of rich."""
    return _STYLES[_kind(result)]


def is_failure(result: Result) -> bool:
    """Whether a report must say more of it than its verdict: it is not as expected, or was not decided."""
    return _kind(result) in ("bad", "undecided")


def is_unseen(result: Result) -> bool:
    """Whether it is an expected violation that did not show on a real broker: a warning, no failure."""
    return _kind(result) == "unseen"


def verdict_and_expectation(result: Result) -> str:
    """The verdict, and what was expected where that is not plain from it."""
    if result.as_expected and result.verdict == result.expected:
        return result.verdict if result.verdict == "held" else f"{result.verdict}, as expected"
    return f"{result.verdict}, expected {result.expected}"


def note_of(result: Result, *, verbose: bool = False) -> str:
    """What a reader asks next: why it is so. Held as expected by all runs needs no note but what was measured."""
    if result.as_expected and result.verdict != "held":
        return plain(result.expected_why or result.reason)
    if result.verdict != "held":
        return plain(result.reason)
    needless = result.as_expected and result.decided_by >= result.runs and not verbose
    return "; ".join(part for part in (measured(result), "" if needless else plain(result.reason)) if part)


def measured(result: Result) -> str:
    """What was measured, of all runs the worst; empty if nothing was."""
    if not result.figures:
        return ""
    figures = ", ".join(f"{plain(figure.name)} {plain(figure.shown)}" for figure in result.figures)
    return f"{figures} (the worst of {result.runs:,} runs)" if result.runs > 1 else figures


def summary_line(end: CheckFinished, results: Sequence[Result]) -> str:
    """The last line of a report: how many results of each kind, and how long it took."""
    summary = end.summary
    waived = f" ({summary.waived:,} violated as expected)" if summary.waived else ""
    unseen = sum(is_unseen(result) for result in results)
    parts = [
        f"{summary.as_expected:,} as expected{waived}",
        f"{summary.not_as_expected:,} not as expected",
        f"{summary.inconclusive:,} inconclusive",
        f"{summary.unsupported:,} unsupported",
    ]
    if unseen:
        parts.append(f"{unseen:,} expected violation{'' if unseen == 1 else 's'} not seen")
    return f"{', '.join(parts)} in {end.wall_ms / 1000:.1f} s"

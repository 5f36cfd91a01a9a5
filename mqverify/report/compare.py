"""Both worlds side by side: how many verdicts agree, and each that does not, with both witnesses."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, TextIO

from rich.text import Text

from mqverify import __version__
from mqverify.report.console import console_for
from mqverify.report.json import result_document
from mqverify.report.text import count, plain
from mqverify.report.witness import print_witness, trimmed

if TYPE_CHECKING:
    from rich.console import Console

    from mqverify.engine.compare import Comparison, Pair

__all__ = ["FORMAT", "agreement_line", "write_comparison", "write_comparison_as_json"]

FORMAT = 1
"""Changes when a program that reads the document must change."""


def write_comparison(
    comparison: "Comparison", stream: TextIO, *, color: bool = False, width: int | None = None
) -> None:
    """For people: what does not agree, what could not be compared, and one line that sums up."""
    console = console_for(stream, color=color, width=width)
    unicode = (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
    with console.capture() as capture:
        for name, value in comparison.details.items():
            console.print(Text(f"{plain(name)}: {plain(value)}", style="dim"), soft_wrap=True)
        for pair in [*comparison.of("disagree"), *comparison.of("undecided")]:
            _print_pair(console, pair, unicode)
        for pair in comparison.known:
            _line(console, f"known to differ: {_named(pair)}: {pair.known.why if pair.known else ''}")
        for pair in comparison.stale:
            _line(console, f"known to differ, but it agrees: {_named(pair)}")
        _print_unsupported(console, comparison)
        style = "bold green" if comparison.exit_code == 0 else "bold"
        console.print(Text(agreement_line(comparison), style=style), soft_wrap=True)
    stream.write(trimmed(capture.get()))
    stream.flush()


def agreement_line(comparison: "Comparison") -> str:
    """`both worlds: 118 of 120 verdicts agree (98.3 %), 2 known to differ; …`."""
    agreed, compared = len(comparison.agreed), len(comparison.compared)
    share = f" ({100 * agreed / compared:.1f} %)" if compared else ""
    parts = [f"both worlds: {agreed:,} of {count(compared, 'verdict')} agree{share}"]
    if comparison.known:
        parts.append(f"{len(comparison.known):,} known to differ")
    if comparison.of("undecided"):
        parts.append(f"{len(comparison.of('undecided')):,} not decided in one world or both")
    unsupported = [pair for pair in comparison.pairs if pair.agreement == "unsupported"]
    if unsupported:
        parts.append(f"{len(unsupported):,} unsupported in one world or both")
    if comparison.interrupted:
        parts.append("interrupted")
    return f"{', '.join(parts)} in {comparison.wall_ms / 1000:.1f} s"


def _print_pair(console: "Console", pair: "Pair", unicode: bool) -> None:
    console.print()
    verdicts = f"simulated {pair.simulated.verdict}, real {pair.real.verdict}"
    console.print(Text(f"{_named(pair)}: {verdicts}", style="bold"), soft_wrap=True)
    for result in (pair.simulated, pair.real):
        print_witness(console, result, unicode=unicode)
    console.print()


def _print_unsupported(console: "Console", comparison: "Comparison") -> None:
    """Why, the most frequent reason first."""
    reasons = Counter(
        f"{result.world}: {result.reason}"
        for pair in comparison.pairs
        if pair.agreement == "unsupported"
        for result in (pair.simulated, pair.real)
        if result.verdict == "unsupported"
    )
    for reason, times in reasons.most_common():
        _line(console, f"not compared, {count(times, 'verdict')}, unsupported {reason}")


def _line(console: "Console", text: str) -> None:
    console.print(Text(plain(text), style="dim"), soft_wrap=True)


def _named(pair: "Pair") -> str:
    one = pair.simulated
    return plain(f"{one.guarantee} of {one.file} on {one.backend}")


def write_comparison_as_json(comparison: "Comparison", stream: TextIO) -> None:
    """For programs: all pairs with both results as `mqverify check` tells them, and the counts."""
    document = {
        "format": FORMAT,
        "mqverify": __version__,
        "details": dict(comparison.details),
        "pairs": [_pair(pair) for pair in comparison.pairs],
        "summary": {
            "agree": len(comparison.agreed),
            "compared": len(comparison.compared),
            "disagree": len(comparison.of("disagree")),
            "known": len(comparison.known),
            "undecided": len(comparison.of("undecided")),
            "unsupported": sum(pair.agreement == "unsupported" for pair in comparison.pairs),
        },
        "exit_code": comparison.exit_code,
    }
    json.dump(document, stream, indent=2)
    stream.write("\n")


def _pair(pair: "Pair") -> dict[str, Any]:
    return {
        "spec": pair.simulated.spec,
        "file": pair.simulated.file,
        "backend": pair.simulated.backend,
        "guarantee": pair.simulated.guarantee,
        "agreement": pair.agreement,
        "known": None if pair.known is None else pair.known.why,
        "simulated": result_document(pair.simulated),
        "real": result_document(pair.real),
    }

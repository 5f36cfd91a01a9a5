"""The report for decision records and pull requests."""

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from syrupy.assertion import SnapshotAssertion

from mqverify.events import Event, Witness, WitnessEvent
from mqverify.report import deliver
from mqverify.report.markdown import MarkdownReport
from mqverify.report.markup import code_block, escaped
from mqverify.report.text import plain
from tests.report import samples


def written(events: list[Event], most: int | None = None) -> str:
    stream = io.StringIO()
    deliver(iter(events), [MarkdownReport(stream, most)])
    return stream.getvalue()


def shown(markdown: str) -> str:
    """As GitHub shows it, as far as the syntax goes: HTML, with tables and struck-out text."""
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))


@pytest.mark.parametrize("name", ["ALL_GOOD", "MIXED", "INTERRUPTED", "HOSTILE_CHECK"])
def test_looks_like_this(name: str, snapshot: SnapshotAssertion) -> None:
    assert written(getattr(samples, name)) == snapshot


def test_a_row_for_each_result_and_reasons_of_waivers() -> None:
    rows = [line for line in written(samples.MIXED).splitlines() if line.startswith("| ") and "MQ" in line]
    assert len(rows) == 8
    assert samples.WAIVED.expected_why in rows[1]


def test_a_failure_shows_its_witness_and_how_to_see_it_again() -> None:
    text = written(samples.MIXED)
    for event in samples.WITNESS.events:
        assert event.event in text
    assert f"reproduce: {samples.VIOLATED.reproduce}" in text


HOSTILE = [
    "a | b || c",
    "`code` ``` ~~~ ~~gone~~",
    "<script>alert(1)</script> <img src=x onerror=y> &lt; <!--",
    "[x](javascript:alert) ![x](y) [[x]] <http://x>",
    "**bold** __bold__ *a* _a_ ***",
    "# heading",
    "- item",
    "1. item",
    "+ item",
    "---",
    "</details>",
    "\\`x\\` \\",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_stays_a_name(text: str) -> None:
    assert re.sub("\u200b", "", shown(escaped(text))) == f"<p>{_html(text)}</p>\n"
    [cell] = re.findall(r"<td>(.*)</td>", shown(f"| a |\n|---|\n| {escaped(text)} |\n"))
    assert cell == _html(text)


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_name_stays_a_name(text: str) -> None:
    html = shown(f"| a |\n|---|\n| x {escaped(text)} |\n").replace("<span>$</span>", "$").replace("\u200b", "")
    [cell] = re.findall(r"<td>(.*)</td>", html)
    assert cell == _html(f"x {plain(' '.join(text.split()))}".strip())


@pytest.mark.parametrize("text", ["@somebody", "mail me@here", "#12", "key-3#4", "GH-7", "a/b#7", ":boom:"])
def test_nobody_is_called_and_nothing_linked(text: str) -> None:
    assert not re.search(r"[@#]\w|GH-|:\w+:", shown(escaped(text)))


def test_dollars_make_no_formula() -> None:
    assert escaped("$all and $ce-orders") == "<span>$</span>all and <span>$</span>ce-orders"


@pytest.mark.parametrize("text", ["```\nx", "``````", "~~~", "@me #1 </details>"])
def test_nothing_closes_a_block_of_code(text: str) -> None:
    html = shown("\n".join(code_block(text)))
    assert html == f'<pre><code class="language-text">{_html(text)}\n</code></pre>\n'


def test_a_witness_of_hostile_names_stays_in_its_block() -> None:
    name = "``` </details> | @me\n# x"
    witness = Witness(0, name, (WitnessEvent(0, name, name, 1, name, 0, name, 0),))
    html = shown(written(samples.check_of([replace(samples.VIOLATED, spec=name, reason=name, witness=witness)])))
    assert html.count("<details>") == html.count("</details>") == 1
    assert html.count("<h") == 4


def test_leaves_out_what_is_too_much_and_says_so() -> None:
    many = samples.check_of(*[[replace(samples.VIOLATED, spec=f"spec {n}", file=f"{n}.yaml")] for n in range(50)])
    text = written(many, most=20_000)
    assert len(text.encode()) <= 20_000
    assert re.search(r"… and \d+ more sections, for which there is no room here\.\n$", text)
    assert "50 not as expected" in text

"""How a diagnostic looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from mqverify.errors import SpecError
from mqverify.spec.diagnostics import Diagnostic
from mqverify.spec.load import load_text
from mqverify.spec.render import render
from mqverify.spec.texts import unsafe
from tests.spec.registries import BASE, REGISTRY


def test_rendered_mistakes(snapshot: SnapshotAssertion) -> None:
    text = (
        BASE.replace("messages", "mesages")
        .replace("consumers: 3", "consumers: three")
        .replace("partitions: 6", "retention_ms: 604800000")
        .replace("crash: consumer", "crsh: consumer")
        .replace("at_least_once: held", "latency: {p99: 500}")
    )
    with pytest.raises(SpecError) as raised:
        load_text(text, "specs/orders.yaml", REGISTRY)
    assert "\n\n".join(render(each) for each in raised.value.diagnostics) == snapshot


def test_the_shape() -> None:
    found = Diagnostic(
        "MQ203",
        "unknown key 'mesages'",
        "specs/orders.yaml",
        14,
        9,
        7,
        "        mesages: 500",
        "did you mean 'messages'?",
    )
    assert render(found) == (
        "error[MQ203]: unknown key 'mesages'\n"
        "  --> specs/orders.yaml:14:9\n"
        "   |\n"
        "14 |         mesages: 500\n"
        "   |         ^^^^^^^\n"
        "   = help: did you mean 'messages'?\n"
        "   = see: mqverify explain MQ203"
    )


@pytest.mark.parametrize(
    ("source", "column", "width", "shown", "carets"),
    [
        ("\ta: b", 2, 1, "    a: b", "    ^"),
        ("\t\ta: b", 3, 1, "        a: b", "        ^"),
        ("注文: x", 5, 1, "注文: x", "      ^"),
        ("注文: x", 1, 2, "注文: x", "^^^^"),
        ("e\u0301: x", 4, 1, "e\u0301: x", "  ^"),
        ("a\x1b[31m: x", 1, 6, "a\\u001b[31m: x", "^" * 11),
        ("\u202ea: x", 2, 1, "\\u202ea: x", "      ^"),
        ("short", 6, 1, "short", "     ^"),
        ("short", 60, 9, "short", "     ^"),
        ("short", 5, 900, "short", "    ^"),
    ],
)
def test_carets_stand_below_what_they_mean(source: str, column: int, width: int, shown: str, carets: str) -> None:
    lines = render(Diagnostic("MQ203", "m", "f", 1, column, width, source)).split("\n")
    assert lines[3:5] == [f"1 | {shown}", f"  | {carets}"]


def test_long_lines_are_cut_around_the_carets(snapshot: SnapshotAssertion) -> None:
    source = "a: " + "x" * 5_000 + " wrong " + "y" * 5_000
    blocks = [render(Diagnostic("MQ203", "m", "f", 1, column, width, source)) for column, width in
              ((1, 1), (5_005, 5), (10_000, 5), (4, 5_000))]  # fmt: skip
    assert all(len(line) < 110 for block in blocks for line in block.split("\n"))
    assert "\n\n".join(blocks) == snapshot


def test_nothing_in_it_is_obeyed_by_a_terminal() -> None:
    evil = "a\x1b]0;x\x07\r\nb\u202e\u2028"
    shown = render(Diagnostic("MQ203", evil, evil, 3, 2, 4, evil, evil))
    assert not any(map(unsafe, shown.replace("\n", "")))
    assert len(shown.split("\n")) == 7


@given(st.text(max_size=300), st.integers(-5, 400), st.integers(-5, 400))
def test_any_diagnostic_can_be_shown(source: str, column: int, width: int) -> None:
    lines = render(Diagnostic("MQ203", "m", "f", 7, column, width, source, "h")).split("\n")
    assert lines[-1] == "  = see: mqverify explain MQ203"
    if len(lines) > 4:
        assert "^" in lines[4]

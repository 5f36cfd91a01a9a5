"""Nothing that moves a cursor, hides or reorders text gets through; all scripts do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqverify.report.text import clock, plain

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    "text",
    ["orders", "ключ", "注文", "مفتاح", "कुंजी", "می‌خواهم", "👩‍🚀", "[red]x[/red]", "a\u00a0b", "é", "e\u0301"],
)
def test_leaves_words_of_every_script_alone(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x9b1m", r"\x9b1m"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\u2066\u200f\u061c", r"\u2066\u200f\u061c"),
        ("\u2028", r"\u2028"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("\u200b\u00ad", r"\u200b\xad"),
        ("\x00\x7f", r"\x00\x7f"),
    ],
)
def test_writes_out_what_is_not_a_word(text: str, written: str) -> None:
    assert plain(text) == written


@given(st.text())
def test_is_safe_and_stays_as_it_is_the_second_time(text: str) -> None:
    safe = plain(text)
    safe.encode("utf-8")
    assert not set(safe) & {chr(code) for code in [*range(32), *range(127, 160), 0x202E, 0x2066]}
    assert plain(safe) == safe


@pytest.mark.parametrize(
    ("at_ns", "longest_ns", "shown"),
    [
        (0, 0, "0.000000 s"),
        (6_045_000_021, 6_045_000_021, "6.045000 s"),
        (6_045_000_021, 61 * SECOND, "6.045000 s"),
        (52_203_501_000_000, 52_203_501_000_000, "0d 14:30:03.501"),
        (61 * SECOND, 8 * 86_400 * SECOND, "0d 00:01:01.000"),
        (8 * 86_400 * SECOND + 50_403_503_999_999, 9 * 86_400 * SECOND, "8d 14:00:03.503"),
        (8 * 86_400 * SECOND + 1_000, 8 * 86_400 * SECOND + 1_000, "8d 00:00:00.000"),
    ],
)
def test_moments(at_ns: int, longest_ns: int, shown: str) -> None:
    assert clock(at_ns, longest_ns) == shown

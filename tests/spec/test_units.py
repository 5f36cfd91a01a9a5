"""Quantities: text to integers and back."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqverify import units


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1ns", 1),
        ("20us", 20_000),
        ("20µs", 20_000),
        ("2ms", 2_000_000),
        ("0s", 0),
        ("1.5s", 1_500_000_000),
        ("5m", 300 * units.SECOND),
        ("5min", 300 * units.SECOND),
        ("1h30m", 90 * units.MINUTE),
        ("1d12h", 36 * units.HOUR),
        ("8d", 8 * units.DAY),
        ("1w", 7 * units.DAY),
        ("36500d", units.LONGEST),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert units.parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", "without a unit"),
        ("0", "without a unit"),
        ("-5", "without a unit"),
        ("5 s", "not a duration"),
        ("5S", "not a duration"),
        ("s", "not a duration"),
        ("", "not a duration"),
        ("30m1h", "not a duration"),
        ("1h1h", "not a duration"),
        ("-5s", "not a duration"),
        ("5y", "not a duration"),
        ("٣s", "not a duration"),
        ("0.5ns", "finer than a nanosecond"),
        ("36501d", "too long"),
    ],
)
def test_what_is_no_duration(text: str, says: str) -> None:
    with pytest.raises(units.UnitError, match=says) as raised:
        units.parse_duration(text)
    assert raised.value.help


def test_a_number_without_a_unit_is_told_which_units_there_are() -> None:
    with pytest.raises(units.UnitError) as raised:
        units.parse_duration("20")
    assert raised.value.help == "write 20ms, 20s, 20m …"
    assert not raised.value.beyond


def test_signed_durations() -> None:
    assert units.parse_duration("-1h", signed=True) == -units.HOUR
    assert units.format_duration(-units.HOUR) == "-1h"


@pytest.mark.parametrize(
    ("text", "size"),
    [("200B", 200), ("16KiB", 16384), ("10kB", 10_000), ("10MB", 10_000_000), ("1.5 GiB", 3 * 2**29), ("1TiB", 2**40)],
)
def test_sizes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["200", "200b", "1.5B", "10mb", "1 XB", "-5B", "9999999999TiB", "B"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(units.UnitError):
        units.parse_size(text)


@pytest.mark.parametrize(("text", "rate"), [("1000/s", 1000), ("10/min", 1 / 6), ("60/h", 1 / 60), ("0.5/s", 0.5)])
def test_rates(text: str, rate: float) -> None:
    assert units.parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["1000", "0/s", "1000/d", "s/1", "-1/s", "1e3/s", "2000000000/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(units.UnitError):
        units.parse_rate(text)


def test_shares_and_ranges() -> None:
    assert units.parse_share("20%") == 0.2
    assert units.parse_range("20%..60%", units.parse_share) == (0.2, 0.6)
    assert units.parse_range("1ms .. 20ms", units.parse_duration) == (1_000_000, 20_000_000)
    assert units.parse_range("2ms", units.parse_duration) == (2_000_000, 2_000_000)
    assert units.parse_one_in("1 in 1000") == 1000
    for text in ("60%..20%", "20%..", "..20%", "20%..60%..80%", "120%", "20"):
        with pytest.raises(units.UnitError):
            units.parse_range(text, units.parse_share)
    for text in ("2 in 10", "1 in 0", "1in10", "1 in ten", "1 in -5"):
        with pytest.raises(units.UnitError):
            units.parse_one_in(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (20_000, "20us"),
        (1_500_000, "1.5ms"),
        (90 * units.SECOND, "1m30s"),
        (90 * units.MINUTE, "1h30m"),
        (8 * units.DAY, "8d"),
        (units.DAY + 1, "1d0.000000001s"),
    ],
)
def test_durations_as_text(nanoseconds: int, text: str) -> None:
    assert units.format_duration(nanoseconds) == text


def test_sizes_as_text() -> None:
    assert [units.format_size(size) for size in (0, 200, 1024, 10_000, 10_000_000, 2**30)] == [
        "0B", "200B", "1KiB", "10kB", "10MB", "1GiB",
    ]  # fmt: skip


@given(st.integers(0, units.LONGEST))
def test_every_duration_survives_its_text(nanoseconds: int) -> None:
    assert units.parse_duration(units.format_duration(nanoseconds)) == nanoseconds


@given(st.integers(0, 2**62))
def test_every_size_survives_its_text(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size


@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_a_unit_error(text: str) -> None:
    for parse in (units.parse_duration, units.parse_size, units.parse_rate, units.parse_share, units.parse_one_in):
        with suppress(units.UnitError):
            parse(text)

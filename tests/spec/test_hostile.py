"""Specs from people who mean harm: a diagnosis or a usage error, at once; never a traceback, a crash or a hang."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqverify.errors import SpecError, UsageError
from mqverify.spec.load import LARGEST_FILE, load, load_text
from mqverify.spec.render import render
from mqverify.spec.texts import unsafe
from tests.spec.registries import BASE, REGISTRY, changed

AT_ONCE = 3.0
"""Seconds; what is hostile is refused far sooner, and a loaded machine is slow."""

BOMB = "spec: bomb\na: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
)
ALPHABETS = "заказы", "注文", "طلبات", "הזמנות", "παραγγελίες", "ऑर्डर", "주문", "ສັ່ງ", "🛒👩‍👩‍👧", "e\u0301t\u00e9"


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("MQ007", BOMB),
        ("MQ007", "spec: &a [*a]"),
        ("MQ007", "spec: *nowhere"),
        ("MQ007", "spec: x\na: &a 1\nb: [" + "*a, " * 2000 + "]"),
        ("MQ007", "spec: x\na: [" + "x, " * 200_000 + "]"),
        ("MQ006", "[" * 100_000),
        ("MQ006", "{a: " * 100_000),
        ("MQ006", "- " * 100_000),
        ("MQ006", "? " * 100_000),
        ("MQ006", "spec: x\nworkload: " + "[" * 60 + "]" * 60),
        ("MQ006", "\n".join(" " * n + "a:" for n in range(1000))),
        ("MQ008", "spec: !!python/object/apply:os.system ['true']"),
        ("MQ008", "spec: x\nworkload: !!python/name:os.system {}"),
        ("MQ008", "spec: x\nworkload: !!map {messages: 1}"),
        ("MQ004", "spec: a\x00b"),
        ("MQ004", "spec: a\x1b[2Jb"),
        ("MQ004", "spec: a\u2028b: c"),
        ("MQ004", "spec: a\x85b: c"),
        ("MQ004", "spec: \ud800"),
        ("MQ002", "spec: " + "x" * LARGEST_FILE),
        ("MQ208", "spec: " + "x" * 100_000),
        ("MQ208", 'spec: "a\\0b"'),
        ("MQ208", 'spec: "a\\u202eb"'),
        ("MQ005", "spec: 'x"),
        ("MQ005", "spec: [x"),
        ("MQ005", "%YAML 9.9\n---\nspec: x"),
        ("MQ203", "spec: x\n" + "".join(f"key{n}: 1\n" for n in range(5000))),
        ("MQ203", 'spec: x\n"\\e[31mred": 1'),
        ("MQ203", "spec: x\n" + "k" * 1000 + ": 1"),
    ],
    ids=lambda value: value[:30].encode("unicode_escape").decode() if isinstance(value, str) else value,
)
def test_refused(code: str, text: str) -> None:
    with pytest.raises(SpecError) as raised:
        load_text(text, "hostile.yaml", REGISTRY)
    assert code in {each.code for each in raised.value.diagnostics}
    assert len(raised.value.diagnostics) <= 210
    for each in raised.value.diagnostics:
        shown = render(each)
        assert not any(map(unsafe, shown.replace("\n", "")))
        assert max(map(len, shown.split("\n"))) < 1500


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("  messages: 500", "  messages: " + "9" * 100_000),
        ("  messages: 500", "  messages: 1e999"),
        ("  messages: 500", "  messages: -" + "9" * 50),
        ("    partitions: 6", "    retention: " + "9" * 29 + "d"),
        ("    partitions: 6", "    retention: 9999999w"),
        ("    partitions: 6", "    retention.ms: " + "9" * 24),
        ("    partitions: 6", "    retention.ms: " + "9" * 5000),
        ("    partitions: 6", "    session.timeout.ms: " + "9" * 24),
        ("    partitions: 6", "    retention_bytes: " + "9" * 29 + "TiB"),
        ("    partitions: 6", "    partitions: " + "1" * 10_000),
        ("    when: {handled: 20%..60%}", "    when: {handled: " + "9" * 5000 + "}"),
        ("    when: {handled: 20%..60%}", "    when: {time: " + "9" * 29 + "h}"),
        ("  keys: 20", "  rate: " + "9" * 29 + "/s"),
        ("  keys: 20", "  rate: 0/s"),
        ("  keys: 20", "  payload: " + "1" * 5000 + "B"),
        ("  keys: 20", "  handler: {takes: " + "1h" * 10_000 + "}"),
        ("  keys: 20", "  handler: {poison: 1 in " + "9" * 29 + "}"),
        ("  keys: 20", "  keys: {count: 5, distribution: zipf 1e999}"),
        ("  keys: 20", "  keys: {count: 5, distribution: zipf ٣}"),
        ("  keys: 20", "  groups: [" + ", ".join(f"g{n}" for n in range(1000)) + "]"),
        ("  - crash: consumer", "  - crash: consumer-" + "9" * 5000),
        ("  - crash: consumer", "  - crash: consumer-٣"),
        ("  at_least_once: held", "  recovery: {within: " + "9" * 29 + "d}"),
        ("  at_least_once: held", "  exactly_once: {violated: " + "x" * 10_000 + "}"),
    ],
    ids=lambda value: value[:40],
)
def test_enormous_values_are_refused(line: str, value: str) -> None:
    text = changed((line, value))
    if "retention.ms: 9" in value and len(value) < 50:
        return  # As in Kafka, a retention beyond counting never ends.
    with pytest.raises(SpecError) as raised:
        load_text(text, "hostile.yaml", REGISTRY)
    assert len(raised.value.diagnostics) == 1
    assert len(render(raised.value.diagnostics[0])) < 2000


@pytest.mark.parametrize("word", ALPHABETS)
def test_every_script_is_a_name_or_a_mistake(word: str) -> None:
    text = BASE.replace("orders survive a crash", word).replace("about: One", f"tags: [{word}]\nabout: {word}. One")
    assert load_text(text, "orders.yaml", REGISTRY).name == word
    for misplaced in (
        BASE.replace("  keys:", f"  {word}: 1\n  keys:"),
        BASE.replace("  kafka:", f"  {word}:"),
        BASE.replace("crash: consumer", f"{word}: consumer"),
        BASE.replace("at_least_once", word),
        BASE.replace("  keys: 20", f"  groups: [{word}]"),
        BASE.replace("    partitions: 6", f"    {word}: 6"),
    ):
        with pytest.raises(SpecError) as raised:
            load_text(misplaced, "orders.yaml", REGISTRY)
        assert len(raised.value.diagnostics) == 1
        assert word in raised.value.diagnostics[0].message


def test_a_file_of_100_mb_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    assert _codes(path) == ["MQ002"]


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert _codes(tmp_path / "pipe.yaml") == ["MQ001"]
    assert _codes(tmp_path) == ["MQ001"]


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_does_not_hang(device: str) -> None:
    with pytest.raises((SpecError, UsageError)):
        load([device], REGISTRY)


def test_a_link_to_a_device_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    assert _codes(tmp_path / "zero.yaml") == ["MQ001"]
    with pytest.raises(UsageError):  # In a folder it leads out of it.
        load([str(tmp_path)], REGISTRY)


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"\xff\xfes\x00p\x00e\x00c\x00", 1, 1),
        (b"spec: x\nabout: caf\xe9\n", 2, 11),
        (b"spec: x\n\n\xc0\xaf", 3, 1),
        (b"spec: \xed\xa0\x80", 1, 7),
        ("spec: größe ".encode() + b"\xf5", 1, 13),
    ],
)
def test_what_is_not_utf8(tmp_path: Path, data: bytes, line: int, column: int) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as raised:
        load([str(path)], REGISTRY)
    (found,) = raised.value.diagnostics
    assert (found.code, found.line, found.column) == ("MQ003", line, column)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load([str(path)], REGISTRY).specs[0].name == "orders survive a crash"
    path.write_bytes(b"\xef\xbb\xbf" + b"spce: x\r\nworkload: {}\r\nexpect: {}")
    with pytest.raises(SpecError) as raised:
        load([str(path)], REGISTRY)
    assert (raised.value.diagnostics[0].line, raised.value.diagnostics[0].column) == (1, 1)
    assert raised.value.diagnostics[0].source_line == "spce: x"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(BASE)

    def refuse(*_args: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert _codes(path) == ["MQ001"]


@pytest.mark.parametrize("path", ["", "no/such/folder", "a\x00b", "x" * 5000])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(UsageError):
        load([path], REGISTRY)


def _codes(path: Path) -> list[str]:
    with pytest.raises(SpecError) as raised:
        load([str(path)], REGISTRY)
    return [each.code for each in raised.value.diagnostics]

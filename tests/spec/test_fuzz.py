"""Whatever is in a file: a spec or a `SpecError`, and every diagnostic lies inside the file and can be shown."""

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqverify.errors import SpecError
from mqverify.spec.codes import CODES
from mqverify.spec.diagnostics import Diagnostic
from mqverify.spec.load import load_text
from mqverify.spec.render import render
from mqverify.spec.texts import unsafe
from tests.spec.registries import BASE, REGISTRY, changed

RICH = changed(
    (
        "  settle: after_handling",
        "  groups: {a: , b: {settle: {every: 5s}}}\n  handler: {takes: 1ms..2ms}\n  rate: 5/s",
    ),
    ("    partitions: 6", "    partitions: 6\n    retention.ms: 1000\n  es: {system: eventstore, max_age: 3d}"),
    ("  - crash: consumer", "  - slow: {handler: 4s}\n    for: 5s\n  - pass: 8d\n  - crash: a/consumer-1"),
    ("  at_least_once: held", "  at_least_once: held\n  latency: {p99: 5ms, violated: why}\n  replayable: held"),
)
SYNTAX = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "!!x ",
    "~",
    "'",
    '"',
    "|",
    ">",
    "#",
    "%",
    "\t",
    "?",
    "...",
]
WORDS = [
    "on",
    "1:30",
    "1e3",
    "012",
    "unlimited",
    "never",
    "per_key",
    "-1",
    "0",
    "9" * 20,
    "\u202e",
    "é",
    "null",
    "..",
    "5s",
]
TOKENS = sorted({*SYNTAX, *WORDS, *RICH.replace(":", " : ").replace(",", " , ").split()})


def read(text: str) -> None:
    """Read it; what is wrong with it must be said properly."""
    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        load_text(text, "fuzz.yaml", REGISTRY)
    except SpecError as error:
        diagnostics = error.diagnostics or (Diagnostic("none", "", "", 0, 0),)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for each in diagnostics:
        assert each.code in CODES
        assert 1 <= each.line <= len(lines), each
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1, each
        assert each.width >= 1
        assert not any(map(unsafe, render(each).replace("\n", "")))


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read(text)
    read("spec: x\n" + text)


@given(st.lists(st.sampled_from(TOKENS), max_size=40))
def test_any_heap_of_words(tokens: list[str]) -> None:
    read("spec: x\n" + " ".join(tokens))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_specs(data: st.DataObject) -> None:
    text = RICH
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.sampled_from(TOKENS) | st.text(max_size=5)) + text[end:]
    read(text)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=10)
KEYS = st.sampled_from(TOKENS) | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES | st.sampled_from(TOKENS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_value_at_any_place(data: st.DataObject) -> None:
    document = yaml.safe_load(RICH)
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(VALUES)
        break
    read(yaml.safe_dump(document, allow_unicode=True))


def test_the_rich_spec_is_right() -> None:
    for text in (BASE, RICH):
        assert load_text(text, "rich.yaml", REGISTRY).name == "orders survive a crash"

"""The JSON Schema takes what the reader takes, and refuses words that it does not know."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqverify import engine
from mqverify.errors import SpecError
from mqverify.spec.load import load, load_text
from mqverify.spec.schema import json_schema
from tests.spec.registries import BASE, REGISTRY, changed
from tests.spec.test_bad_specs import CASES
from tests.spec.test_fuzz import RICH, TOKENS

SCHEMA = json_schema(REGISTRY)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

GOOD = [
    BASE,
    "spec: least\nworkload: {messages: 1}\nbackends: {kafka: }\nexpect: {at_least_once: held}",
    changed(("  keys: 20", "  keys: {count: 20, distribution: hot 90%}")),
    changed(("  settle: after_handling", "  settle: {every: 5s}")),
    changed(("  settle: after_handling", "  settle: {every: 100}\n  rate: 10/min\n  payload: 1.5KiB")),
    changed(("  settle: after_handling", "  groups: [a, b]\n  handler: {takes: 1ms..20ms, poison: 1 in 1000}")),
    changed(("  settle: after_handling", "  groups: {a: , b: {joins: drained, settle: {every: 5s}}}")),
    changed(("    when: {handled: 20%..60%}", "    when: drained\n    restart_after: never")),
    changed(("    when: {handled: 20%..60%}", "    when: {time: 1s..2s}\n    point: in_settle\n    times: 3")),
    changed(("    when: {handled: 20%..60%}", "    when: {acked: 100}")),
    changed(("    when: {handled: 20%..60%}", "    when: {acked: 100..200}")),
    changed(("  - crash: consumer", "  - slow: {handler: 40s}")),
    changed(("  - crash: consumer", "  - scavenge\n  - pass: 8d\n  - replay_parked:\n  - crash: g/consumer-1")),
    changed(("  - crash: consumer", "  - cut: [consumer-1, broker of partition 0]\n    for: 5s\n    one_way: true")),
    changed(("  - crash: consumer", "  - delete_records: {partition: 0, before: 50%}")),
    changed(("  - crash: consumer", "  - clock_skew: {producer-1: -1h}")),
    changed(("    partitions: 6", "    partitions: per_key\n    retention: unlimited\n    acks: 1")),
    changed(("    partitions: 6", "    retention.ms: -1\n    acks: all\n    cleanup_policy: [compact, delete]")),
    changed(("    partitions: 6", "    system: kafka\n    partition_assignment_strategy: range")),
    changed(("    partitions: 6", "    partitions: 6\n  mine: {system: kafka}\n  eventstore: {stream: per_key % 16}")),
    changed(("    partitions: 6", "    partitions: 6\n  es: {system: eventstore, max_age: 30d, max_count: unlimited}")),
    changed(
        ("  at_least_once: held", "  latency: {p99: 500ms, outside_faults: true}\n  recovery: {unsupported: not here}")
    ),
    changed(("  at_least_once: held", "  exactly_once: {violated: because}\n  balanced: {at_most: 1.5}")),
    changed(("  at_least_once: held", "  footprint: {bytes: 5}\n  at_least_once: held")),
    changed(("    partitions: 6", "    partition_assignment_strategy: [range, round_robin]")),
    changed(("about: One of three consumers is killed.", "runs: 5\ntags: one\ndecision: docs/7.md")),
]
WORDS = {"MQ203", "MQ204", "MQ210", "MQ220", "MQ221", "MQ302"}
WORDS_MISSING = [changes for code, _, changes in CASES if code == "MQ222"]
MISSPELT = [(code, changes) for code, _, changes in CASES if code in WORDS]


def parsed(text: str) -> Any:
    return yaml.safe_load(text.replace("⟦", "").replace("⟧", ""))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", GOOD)
def test_what_the_reader_takes(text: str) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(parsed(text))]
    assert errors == []
    if "g/consumer-1" not in text:
        load_text(text, "good.yaml", REGISTRY)


@pytest.mark.parametrize(("code", "changes"), MISSPELT)
def test_what_is_misspelt(code: str, changes: list[tuple[str, str]]) -> None:
    assert list(VALIDATOR.iter_errors(parsed(changed(*changes))))


@pytest.mark.parametrize("changes", WORDS_MISSING)
def test_what_lacks_a_parameter(changes: list[tuple[str, str]]) -> None:
    assert list(VALIDATOR.iter_errors(parsed(changed(*changes))))


def test_every_word_is_described() -> None:
    workload = SCHEMA["properties"]["workload"]["properties"]
    kafka = SCHEMA["$defs"]["kafka"]["properties"]
    for name, word in [*SCHEMA["properties"].items(), *workload.items(), *kafka.items()]:
        assert word.get("description"), name
    assert "Default: 7d" in kafka["retention"]["description"]
    assert kafka["retention.ms"]["type"] == "integer"


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.data())
def test_what_the_reader_takes_the_schema_takes(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from([RICH, *GOOD])).split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    token = data.draw(st.sampled_from([*TOKENS, "5", "5s", "50%", "1.5", "true", "5MB", "kafka", "10..20"]))
    words[place] = token + "\n" * words[place].count("\n")
    text = " ".join(words)
    try:
        load_text(text, "x.yaml", REGISTRY)
    except SpecError:
        return
    assert not list(VALIDATOR.iter_errors(yaml.load(text, Loader=yaml.CSafeLoader)))


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "specs").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_specs_are_right_to_reader_and_schema(path: Path) -> None:
    registry = engine.registry()
    loaded = load([path], registry)
    assert loaded.warnings == ()
    text = path.read_text(encoding="utf-8")
    assert not list(jsonschema.Draft202012Validator(json_schema(registry)).iter_errors(yaml.safe_load(text)))

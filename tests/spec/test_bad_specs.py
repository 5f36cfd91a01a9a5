"""Specs with a mistake: the code, and the exact place of the carets, which the cases mark with ⟦ and ⟧."""

import pytest

from mqverify.errors import SpecError
from mqverify.spec.load import load_text
from tests.spec.registries import BASE, REGISTRY, changed

SPEC, ABOUT, MESSAGES, KEYS = (
    "spec: orders survive a crash",
    "about: One of three consumers is killed.",
    "  messages: 500",
    "  keys: 20",
)
PRODUCERS, CONSUMERS, SETTLE = "  producers: 2", "  consumers: 3", "  settle: after_handling"
KAFKA, PARTITIONS = "  kafka:", "    partitions: 6"
CRASH, WHEN, HELD = "  - crash: consumer", "    when: {handled: 20%..60%}", "  at_least_once: held"
GROUPS = (CONSUMERS, "  groups: [billing, shipping]\n  consumers: 3")

CASES = [
    # the file and its YAML
    ("MQ005", "not YAML", [(ABOUT, "about: order⟦:⟧ the first one")]),
    ("MQ005", "begin this line in the same column", [(KEYS, "   keys⟦:⟧ 20")]),
    ("MQ005", "quote a text that holds", [(ABOUT, "about: order⟦:⟧ the first one")]),
    ("MQ005", "tabs", [(PARTITIONS, "⟦\t⟧partitions: 6")]),
    ("MQ008", "allowed", [(MESSAGES, "  messages: ⟦!!python/object:os.system 5⟧")]),
    ("MQ008", "allowed", [(MESSAGES, "  messages: ⟦!custom 5⟧")]),
    ("MQ009", "there twice", [(KEYS, "  keys: 20\n  ⟦keys⟧: 30")]),
    ("MQ009", "there twice", [(HELD, "  at_least_once: held\n  ⟦at_least_once⟧: {violated: why}")]),
    ("MQ010", "second document", [(HELD, "  at_least_once: held\n⟦-⟧--\nspec: two")]),
    ("MQ011", "boolean", [(SPEC, "spec: ⟦on⟧")]),
    ("MQ011", "boolean", [(ABOUT, "tags: [crash, ⟦no⟧]")]),
    ("MQ011", "base 60", [(WHEN, "    restart_after: ⟦1:30⟧")]),
    ("MQ011", "floating-point", [(MESSAGES, "  messages: ⟦1e3⟧")]),
    ("MQ011", "octal", [(MESSAGES, "  messages: ⟦012⟧")]),
    ("MQ011", "hexadecimal", [(MESSAGES, "  messages: ⟦0x1f⟧")]),
    ("MQ011", "grouped", [(MESSAGES, "  messages: ⟦10_000⟧")]),
    ("MQ011", "date", [(ABOUT, "tags: ⟦2026-01-01⟧")]),
    ("MQ011", "without end", [(MESSAGES, "  messages: ⟦.inf⟧")]),
    ("MQ012", "not a word", [(KEYS, "  ? ⟦[⟧a]\n  : 1")]),
    ("MQ012", "without a name", [(KEYS, "  ⟦~⟧: 20")]),
    ("MQ013", "merge keys", [(PARTITIONS, "    ⟦<<⟧: {partitions: 6}")]),
    # words
    ("MQ201", "'messages'", [(MESSAGES + "\n" + KEYS, "  ⟦k⟧eys: 20")]),
    ("MQ201", "'expect'", [(SPEC, "⟦s⟧pec: no guarantees"), ("expect:\n" + HELD, "tags: [x]")]),
    ("MQ201", "without its kind", [(CRASH + "\n" + WHEN, "  - ⟦w⟧hen: drained")]),
    ("MQ201", "missing key 'for'", [(CRASH, "  - ⟦p⟧ause: consumer")]),
    ("MQ202", "'three'", [(CONSUMERS, "  consumers: ⟦three⟧")]),
    ("MQ202", "found a list", [(CONSUMERS, "  consumers: ⟦[⟧3]")]),
    ("MQ202", "quotes", [(CONSUMERS, "  consumers: ⟦'3'⟧")]),
    ("MQ202", "list of faults", [("faults:\n" + CRASH + "\n" + WHEN, "faults: ⟦{⟧crash: consumer}")]),
    ("MQ202", "found nothing", [(SETTLE, "  settle:⟦ ⟧")]),
    ("MQ202", "found a number", [(SPEC, "spec: ⟦2026⟧")]),
    ("MQ203", "unknown key 'mesages'", [(MESSAGES, "  ⟦mesages⟧: 500")]),
    ("MQ203", "unknown key 'fault'", [("faults:", "⟦fault⟧:")]),
    ("MQ203", "'crash' takes no 'for'", [(WHEN, "    ⟦for⟧: 5s")]),
    ("MQ203", "unknown key 'handeld'", [(WHEN, "    when: {⟦handeld⟧: 20%}")]),
    ("MQ204", "did you mean 'after_handling'?", [(SETTLE, "  settle: ⟦after_handeling⟧")]),
    ("MQ204", "{every: 5s}", [(SETTLE, "  settle: ⟦every⟧")]),
    ("MQ011", "write at_least_once: held", [(HELD, "  at_least_once: ⟦yes⟧")]),
    ("MQ011", "write at_least_once: {violated: why", [(HELD, "  at_least_once: ⟦no⟧")]),
    ("MQ011", "write footprint: {partitions: 6}", [(HELD, "  footprint: ⟦on⟧")]),
    ("MQ204", "write at_least_once: held", [(HELD, "  at_least_once: ⟦true⟧")]),
    ("MQ204", "unknown verdict", [(HELD, "  at_least_once: ⟦hold⟧")]),
    ("MQ205", "write 5ms, 5s", [(SETTLE, "  handler: {takes: ⟦5⟧}")]),
    ("MQ205", "1000/s", [(SETTLE, "  rate: ⟦1000⟧")]),
    ("MQ205", "200B", [(SETTLE, "  payload: ⟦200⟧")]),
    ("MQ205", "not a duration", [(WHEN, "    restart_after: ⟦5 parsecs⟧")]),
    ("MQ205", "zipf 1.1", [(KEYS, "  keys: {count: 20, distribution: ⟦zipfy⟧}")]),
    ("MQ205", "unlimited", [(PARTITIONS, "    retention: ⟦-1⟧")]),
    ("MQ205", "write 60%", [(WHEN, "    when: {handled: ⟦20%..60⟧}")]),
    ("MQ206", "more than the whole", [(WHEN, "    when: {handled: ⟦120%⟧}")]),
    ("MQ206", "runs backwards", [(WHEN, "    when: {handled: ⟦60%..20%⟧}")]),
    ("MQ206", "from 1 to", [(CONSUMERS, "  consumers: ⟦0⟧")]),
    ("MQ206", "from 1 to", [(MESSAGES, f"  messages: ⟦{'9' * 30}⟧")]),
    ("MQ206", "too long", [(WHEN, f"    restart_after: ⟦{'9' * 20}d⟧")]),
    ("MQ206", "at least 1MiB", [(PARTITIONS, "    segment_bytes: ⟦100kB⟧")]),
    ("MQ206", "cannot be unlimited", [(PARTITIONS, "    session_timeout: ⟦unlimited⟧")]),
    ("MQ206", "finer", [(PARTITIONS, "    session_timeout: ⟦1500us⟧")]),
    ("MQ207", "in one line", [(WHEN, "    ⟦pass⟧: 8d")]),
    ("MQ207", "'for' and 'times'", [(CRASH, "  - ⟦s⟧low: {handler: 40s}\n    for: 5s\n    times: 2")]),
    ("MQ207", "another label", [(PARTITIONS, "    system: ⟦eventstore⟧")]),
    ("MQ207", "not in the group", [GROUPS, (CRASH, "  - crash: ⟦billing/consumer-1⟧\n    group: shipping")]),
    ("MQ207", "ends no consumer", [(SETTLE, "  handler: {restart_after: ⟦2s⟧}")]),
    ("MQ207", "together", [(HELD, "  at_least_once: {violated: why, ⟦unsupported⟧: why}")]),
    ("MQ207", "'sink: plain'", [(SETTLE, "  settle: with_effect\n  sink: ⟦plain⟧")]),
    ("MQ207", "'sink: idempotent'", [(SETTLE, "  sink: ⟦idempotent⟧\n  groups: {a: {settle: with_effect}}")]),
    ("MQ207", "'sink: plain'", [(SETTLE, "  settle: with_effect\n  groups: {a: {sink: ⟦plain⟧}}")]),
    ("MQ208", "a group's name", [(SETTLE, "  groups: [⟦billing/eu⟧]")]),
    ("MQ208", "U+001B", [(SPEC, 'spec: ⟦"orders\\e[2J"⟧')]),
    ("MQ208", "backend's label", [(KAFKA + "\n" + PARTITIONS, "  ⟦заказы⟧: {system: kafka}")]),
    # faults
    ("MQ210", "did you mean 'crash'?", [(CRASH, "  - ⟦crsh⟧: consumer")]),
    ("MQ211", "consumer-1 to consumer-3", [(CRASH, "  - crash: ⟦consumer-9⟧")]),
    ("MQ211", "producer-3", [(CRASH, "  - crash: ⟦producer-3⟧")]),
    ("MQ211", "did you mean 'consumer'?", [(CRASH, "  - crash: ⟦consumr⟧")]),
    ("MQ211", "'slow' cannot hit", [(CRASH, "  - slow: ⟦producer⟧\n    handler: 5s")]),
    ("MQ211", "no group 'biling'", [GROUPS, (CRASH, "  - crash: ⟦biling/consumer-1⟧")]),
    ("MQ211", "no group 'biling'", [GROUPS, (CRASH, "  - crash: consumer\n    group: ⟦biling⟧")]),
    ("MQ212", "billing/consumer-2", [GROUPS, (CRASH, "  - crash: ⟦consumer-2⟧")]),
    ("MQ212", "billing/leader", [GROUPS, (CRASH, "  - crash: ⟦leader⟧")]),
    ("MQ213", "no point", [(SETTLE, "  settle: automatic"), (WHEN, "    point: ⟦after_settle⟧")]),
    ("MQ213", "no point", [(SETTLE, "  settle: with_effect"), (WHEN, "    point: ⟦before_settle⟧")]),
    ("MQ213", "no point", [(SETTLE, "  settle: with_effect"), (WHEN, "    point: ⟦in_settle⟧")]),
    ("MQ211", "no partition 6", [(CRASH, "  - crash: ⟦broker of partition 6⟧")]),
    ("MQ211", "no partition 9", [(CRASH, "  - pause: ⟦followers of partition 9⟧\n    for: 2s")]),
    ("MQ211", "'cut' cannot hit", [(CRASH, "  - cut: [consumer, ⟦all brokers⟧]\n    for: 2s")]),
    ("MQ213", "a broker has no point", [(CRASH, "  - crash: all brokers\n    point: ⟦in_handler⟧")]),
    ("MQ213", "producer", [(CRASH, "  - crash: producer\n    point: ⟦in_handler⟧")]),
    ("MQ214", "when: {handled: 20%}", [(WHEN, "    when: ⟦handled⟧")]),
    ("MQ214", "one condition", [(WHEN, "    when: ⟦{⟧handled: 20%, sent: 30%}")]),
    ("MQ215", "never happens: it waits for 9000", [(WHEN, "    when: ⟦{⟧handled: 9000}")]),
    ("MQ216", "6 partitions already", [(CRASH, "  - add_partitions: ⟦6⟧")]),
    ("MQ216", "20 partitions already", [(PARTITIONS, "    partitions: per_key"), (CRASH, "  - add_partitions: ⟦12⟧")]),
    ("MQ216", "12 partitions already", [(CRASH, "  - add_partitions: 12\n  - add_partitions: ⟦12⟧")]),
    ("MQ201", "missing key 'of'", [(CRASH, "  - ⟦l⟧ose: ack")]),
    ("MQ206", "too long", [(CRASH, "  - cut: ⟦[⟧consumer-1, broker, consumer-2]\n    for: 1s")]),
    ("MQ206", "nobody's clock", [(CRASH, "  - clock_skew: ⟦{⟧}")]),
    ("MQ211", "unknown target 'consumr'", [(CRASH, "  - clock_skew: {⟦consumr⟧: 1h}")]),
    ("MQ211", "producer-3", [(CRASH, "  - clock_skew: {⟦producer-3⟧: 1h}")]),
    ("MQ211", "6 partitions: 0 to 5", [(CRASH, "  - delete_records: ⟦{⟧partition: 6, before: 50%}")]),
    ("MQ211", "consumer-1 to consumer-5", [(CRASH, "  - crash: ⟦consumer-6⟧\n  - add_consumers: 2")]),
    ("MQ212", "write group: billing", [GROUPS, (CRASH, "  - add_consumers: ⟦2⟧")]),
    ("MQ217", "write [consumer-1, broker]", [(CRASH, "  - cut: [consumer-1, ⟦consumer-2⟧]\n    for: 1s")]),
    ("MQ217", "there is no worker", [(CRASH, "  - delay: [broker, ⟦broker⟧]\n    by: 1s\n    for: 1s")]),
    ("MQ218", "there are 3", [(CRASH, "  - remove_consumers: ⟦4⟧")]),
    (
        "MQ218",
        "6 consumers are to leave, and there are 5",
        [(CRASH, "  - add_consumers: 2\n  - remove_consumers: ⟦2⟧\n    times: 3")],
    ),
    ("MQ218", "shard: key", [(SETTLE, "  shard: key"), (CRASH, "  - add_consumers: ⟦1⟧")]),
    # expectations
    ("MQ220", "did you mean 'at_least_once'?", [(HELD, "  ⟦at_least_onze⟧: held")]),
    ("MQ220", "did you mean 'at_least_once'?", [(HELD, "  ⟦MQ101⟧: held")]),
    ("MQ220", "unknown guarantee", [(PARTITIONS, "    expect: {⟦durability⟧: held}")]),
    ("MQ221", "did you mean 'state'?", [(HELD, "  replayable: {⟦stat⟧: fold}")]),
    ("MQ221", "a comma ends", [(HELD, "  exactly_once: {violated: a crash, ⟦then a second try⟧}")]),
    ("MQ221", "needs no key", [(HELD, "  exactly_once: {⟦held⟧: true}")]),
    ("MQ222", "write recovery: {within: 5s}", [(HELD, "  ⟦recovery⟧: held")]),
    ("MQ222", "write footprint: {partitions: 6}", [(HELD, "  ⟦footprint⟧: held")]),
    ("MQ222", "needs one of 'partitions', 'bytes'", [(HELD, "  ⟦footprint⟧: {violated: why}")]),
    ("MQ223", "without a reason", [(HELD, "  exactly_once: ⟦violated⟧")]),
    ("MQ223", "without a reason", [(HELD, "  exactly_once: {⟦violated⟧: }")]),
    # backends and settings
    ("MQ301", "what system", [(KAFKA + "\n" + PARTITIONS, "  ⟦mine⟧: {partitions: 3}")]),
    ("MQ301", "did you mean 'kafka'?", [(KAFKA, "  ⟦kafak⟧:")]),
    ("MQ302", "did you mean 'partitions'?", [(PARTITIONS, "    ⟦partition⟧: 6")]),
    ("MQ302", "'session_timeout: …'", [(PARTITIONS, "    ⟦session_timeout_ms⟧: 6000")]),
    ("MQ302", "settle: automatic", [(PARTITIONS, "    ⟦enable.auto.commit⟧: true")]),
    ("MQ303", "one setting", [(PARTITIONS, "    retention: 7d\n    ⟦retention.ms⟧: 604800000")]),
    ("MQ304", "the broker refuses", [(PARTITIONS, "    session_timeout: ⟦5s⟧")]),
    ("MQ304", "heartbeat_interval", [(PARTITIONS, "    session_timeout: 6s\n    heartbeat_interval: ⟦6s⟧")]),
    ("MQ304", "enable_idempotence", [(PARTITIONS, "    acks: ⟦1⟧\n    enable_idempotence: true")]),
    ("MQ304", "delivery_timeout", [(PARTITIONS, "    delivery_timeout: ⟦10s⟧")]),
    ("MQ304", "kafka-python refuses", [(PARTITIONS, "    fetch_max_wait: ⟦30s⟧")]),
    ("MQ304", "read_batch_size", [(KAFKA + "\n" + PARTITIONS, "  eventstore: {history_buffer_size: ⟦100⟧}")]),
    ("MQ305", "bare number", [(PARTITIONS, "    retention.ms: ⟦7d⟧")]),
]


@pytest.mark.parametrize(("code", "says", "changes"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_one_mistake_is_one_diagnostic_at_its_place(code: str, says: str, changes: list[tuple[str, str]]) -> None:
    marked = changed(*changes)
    start, end = marked.index("⟦"), marked.index("⟧") - 1
    text = marked.replace("⟦", "").replace("⟧", "")
    before = text[:start].split("\n")
    with pytest.raises(SpecError) as raised:
        load_text(text, "orders.yaml", REGISTRY)
    assert len(raised.value.diagnostics) == 1, raised.value.diagnostics
    found = raised.value.diagnostics[0]
    assert (found.code, found.line, found.column) == (code, len(before), len(before[-1]) + 1), found
    assert found.width == end - start, found
    assert found.source_line == text.split("\n")[found.line - 1]
    assert found.severity == "error"
    assert says in found.message + " " + (found.help or "")


def test_lines_and_columns_count_from_one() -> None:
    with pytest.raises(SpecError) as raised:
        load_text(BASE.replace("  keys: 20", "  kees: 20"), "orders.yaml", REGISTRY)
    (found,) = raised.value.diagnostics
    assert (found.file, found.line, found.column, found.width) == ("orders.yaml", 5, 3, 4)
    assert found.source_line == "  kees: 20"
    assert found.help == "did you mean 'keys'?"


def test_columns_count_characters_not_bytes() -> None:
    with pytest.raises(SpecError) as raised:
        load_text(changed((HELD, "  exactly_once: {violated: größer 😀, stat: 1}")), "orders.yaml", REGISTRY)
    (found,) = raised.value.diagnostics
    assert (found.line, found.column, found.width) == (16, 38, 4)


def test_all_mistakes_of_a_spec_come_at_once_in_order() -> None:
    text = changed((MESSAGES, "  mesages: 500"), (CRASH, "  - crash: consumer-9"), (HELD, "  at_least_onze: held"))
    with pytest.raises(SpecError) as raised:
        load_text(text, "orders.yaml", REGISTRY)
    places = [(each.code, each.line) for each in raised.value.diagnostics]
    assert places == [("MQ203", 4), ("MQ211", 13), ("MQ220", 16)]
    assert str(raised.value) == "3 mistakes in the specs"


def test_the_base_has_no_mistake() -> None:
    assert load_text(BASE, "orders.yaml", REGISTRY).name == "orders survive a crash"

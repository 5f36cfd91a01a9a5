"""Each way to write a word comes to one shape."""

from typing import Any

import pytest

from mqverify.spec.load import load_text
from mqverify.spec.model import Fault, Group, Handler, Keys, Runs, Settle, Spec, When, Workload
from mqverify.units import DAY, HOUR, MILLISECOND, SECOND
from tests.spec.registries import REGISTRY, changed

KEYS, SETTLE, PARTITIONS = "  keys: 20", "  settle: after_handling", "    partitions: 6"
CRASH, WHEN, HELD = "  - crash: consumer", "    when: {handled: 20%..60%}", "  at_least_once: held"


def read(*changes: tuple[str, str]) -> Spec:
    return load_text(changed(*changes), "orders.yaml", REGISTRY)


def fault(line: str, *more: tuple[str, str]) -> Fault:
    return read((CRASH + "\n" + WHEN, f"  - {line}"), *more).faults[0]


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ("keys: 7", "keys", Keys(count=7)),
        ("keys: {count: 7}", "keys", Keys(count=7)),
        ("keys: {count: 7, distribution: zipf 1.1}", "keys", Keys(count=7, distribution="zipf", skew=1.1)),
        ("keys: {count: 7, distribution: hot 90%}", "keys", Keys(count=7, distribution="hot", skew=0.9)),
        ("keys: {count: 7, distribution: uniform}", "keys", Keys(count=7)),
        ("rate: 600/min", "rate", 10.0),
        ("payload: 1KiB", "payload", 1024),
        ("handler: {takes: 2ms}", "handler", Handler(takes=(2 * MILLISECOND, 2 * MILLISECOND))),
        (
            "handler: {takes: 1ms..20ms, poison: 1 in 1000, attempts: 3, on_failure: stop, close: clean_only}",
            "handler",
            Handler(
                takes=(MILLISECOND, 20 * MILLISECOND),
                poison_one_in=1000,
                attempts=3,
                on_failure="stop",
                close="clean_only",
            ),
        ),
        ("handler: {takes: 0s}", "handler", Handler(takes=(0, 0))),
        ("settle: automatic", "settle", Settle(policy="automatic")),
        ("settle: {every: 5s}", "settle", Settle(policy="every", every_time=5 * SECOND)),
        ("settle: {every: 100}", "settle", Settle(policy="every", every_count=100)),
        ("commit: async", "commit", "async"),
        ("loop: iterator", "loop", "iterator"),
        ("start: together", "start", "together"),
        ("in_flight: one", "in_flight", "one"),
        ("groups: [billing, shipping]", "groups", {"billing": Group(), "shipping": Group()}),
        ("groups: {billing: , shipping: {}}", "groups", {"billing": Group(), "shipping": Group()}),
        (
            "groups: {rebuild: {joins: drained, start: beginning, consumers: 1, settle: {every: 1s}, commit: async}}",
            "groups",
            {
                "rebuild": Group(
                    joins="drained",
                    start="beginning",
                    consumers=1,
                    settle=Settle(policy="every", every_time=SECOND),
                    commit="async",
                )
            },
        ),
    ],
)
def test_words_of_the_workload(written: str, field: str, value: Any) -> None:
    name = written.partition(":")[0]
    if name in {"keys", "settle"}:
        spec = read((KEYS if name == "keys" else SETTLE, "  " + written))
    else:
        spec = read((SETTLE, "  " + written))
    assert getattr(spec.workload, field) == value


def test_defaults() -> None:
    spec = load_text(
        "spec: least\nworkload: {messages: 1}\nbackends: {kafka: }\nexpect: {at_least_once: held}", "x", REGISTRY
    )
    assert spec.workload == Workload(messages=1)
    assert list(spec.workload.groups) == ["group"]
    assert (spec.about, spec.decision, spec.tags, spec.runs, spec.faults) == ("", None, (), Runs(), ())
    assert spec.backends["kafka"].settings.partitions == 1


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("when: drained", When(metric="drained")),
        ("when: {handled: 100}", When(metric="handled", low=100, high=100)),
        ("when: {acked: 100..200}", When(metric="acked", low=100, high=200)),
        ("when: {settled: 20%}", When(metric="settled", low=0.2, high=0.2, share=True)),
        ("when: {delivered: 20% .. 60%}", When(metric="delivered", low=0.2, high=0.6, share=True)),
        ("when: {time: 10s}", When(metric="time", low=10 * SECOND, high=10 * SECOND)),
        ("when: {time: 1s..10s}", When(metric="time", low=SECOND, high=10 * SECOND)),
        ("times: 1", When(metric="now")),
    ],
)
def test_moments(written: str, when: When) -> None:
    assert fault(f"crash: consumer\n    {written}").when == when


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("crash: consumer", {"kind": "crash", "target": ("consumer",), "group": "group", "restart_after": (0, 0)}),
        ("crash: consumer-2", {"target": ("consumer-2",), "group": "group"}),
        ("crash: group/consumer-2", {"target": ("consumer-2",), "group": "group"}),
        ("crash: leader", {"target": ("leader",), "group": "group"}),
        ("crash: all consumers", {"target": ("all consumers",)}),
        ("crash: producer", {"target": ("producer",), "group": None}),
        ("crash: producer-2\n    times: 3", {"target": ("producer-2",), "times": 3}),
        ("crash: consumer\n    restart_after: never", {"restart_after": None}),
        ("crash: consumer\n    restart_after: 1s..5s", {"restart_after": (SECOND, 5 * SECOND)}),
        ("crash: consumer\n    point: in_settle", {"point": "in_settle"}),
        ("crash: all consumers\n    point: in_handler", {"target": ("all consumers",), "point": "in_handler"}),
        ("pause: all consumers\n    point: in_handler\n    for: 5s", {"target": ("all consumers",)}),
        ("pause: consumer\n    for: 30s", {"duration": (30 * SECOND, 30 * SECOND)}),
        ("slow: consumer\n    handler: 40s", {"handler": (40 * SECOND, 40 * SECOND), "target": ("consumer",)}),
        ("slow: {handler: 40s}", {"handler": (40 * SECOND, 40 * SECOND), "target": ("consumer",), "group": "group"}),
        ("slow: leader\n    handler: 1s\n    for: 10s", {"duration": (10 * SECOND, 10 * SECOND)}),
        ("pass: 8d", {"duration": (8 * DAY, 8 * DAY), "target": ()}),
        ("add_partitions: 12", {"amount": 12}),
        (
            "cut: [consumer-1, broker]\n    for: 20s\n    one_way: true",
            {"target": ("consumer-1", "broker"), "one_way": True},
        ),
        ("delay: [producer, broker]\n    by: 200ms..1s\n    for: 20s", {"by": (200 * MILLISECOND, SECOND)}),
        ("lose: ack\n    of: producer", {"kind": "lose", "target": ("producer",)}),
        ("add_consumers: 2", {"amount": 2}),
        ("delete_records: {partition: 0, before: 50%}", {"options": {"partition": 0, "before": (0.5, 0.5, True)}}),
        ("scavenge", {"kind": "scavenge"}),
        ("scavenge:\n    when: drained", {"when": When(metric="drained")}),
        ("replay_parked:", {"kind": "replay_parked"}),
        ("add_consumers: 2\n    group: group", {"amount": 2, "group": "group"}),
        ("remove_consumers: 1", {"amount": 1, "group": "group"}),
        ("cut: [broker, consumer]\n    for: 1s..3s", {"target": ("broker", "consumer"), "group": "group"}),
        ("lose: ack\n    of: consumer-2\n    times: 3", {"target": ("consumer-2",), "times": 3}),
        ("replay_parked", {"kind": "replay_parked"}),
        ("delete_stream: key-3", {"options": {"name": "key-3"}}),
        ("clock_skew: {producer-1: -1h}", {"options": {"producer-1": -HOUR}, "target": ("producer-1",)}),
    ],
)
def test_faults(line: str, fields: dict[str, Any]) -> None:
    found = fault(line)
    assert {name: getattr(found, name) for name in fields} == fields
    assert found.line == 13


def test_targets_in_several_groups() -> None:
    groups = (SETTLE, "  groups: [billing, shipping]")
    assert fault("crash: billing/consumer-2", groups).target == ("billing/consumer-2",)
    assert fault("crash: consumer-2\n    group: billing", groups).target == ("billing/consumer-2",)
    assert fault("crash: leader\n    group: billing", groups).group == "billing"
    assert fault("crash: shipping/leader", groups).group == "shipping"
    assert fault("crash: consumer", groups).group is None


def test_expectations() -> None:
    spec = read(
        (
            HELD,
            "  at_least_once: held\n"
            "  exactly_once: {violated: duplicates after a crash}\n"
            "  latency: {p99: 500ms, outside_faults: true}\n"
            "  balanced: {at_most: 1.5, violated: shares differ}\n"
            "  footprint: {partitions: 6}\n"
            "  replayable: {state: latest}\n"
            "  recovery: {unsupported: not here}",
        ),
        (PARTITIONS, "    expect: {at_least_once: {violated: it is acks 0}}"),
    )
    expect = spec.expectations("kafka")
    assert expect["at_least_once"].verdict == "violated"
    assert spec.expect["at_least_once"].verdict == "held"
    assert (expect["exactly_once"].verdict, expect["exactly_once"].why) == ("violated", "duplicates after a crash")
    assert expect["latency"].parameters == {"p99": "500000000", "outside_faults": "true"}
    assert expect["balanced"].parameters == {"at_most": "1.5"}
    assert expect["balanced"].verdict == "violated"
    assert expect["footprint"].parameters == {"partitions": "6"}
    assert expect["replayable"].parameters == {"state": "latest"}
    assert (expect["recovery"].verdict, expect["recovery"].line) == ("unsupported", 22)


def test_anchors_and_aliases_are_written_out() -> None:
    text = changed((SETTLE, "  groups: {a: &g {consumers: 2}, b: *g}"))
    groups = load_text(text, "x", REGISTRY).workload.groups
    assert groups["a"] == groups["b"] == Group(consumers=2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((SETTLE, "  batch: 10"), "batch: 10"),
        ((SETTLE, "  transaction: 10"), "transaction: 10"),
        ((CRASH, "  - crash: node leader"), "crash: a fault of a node"),
        ((CRASH, "  - delay: [node leader, producer]\n    by: 1s\n    for: 1s"), "delay: a link to one of several"),
        ((CRASH, "  - cut: [consumer, broker-2]\n    for: 1s"), "cut: a second broker"),
    ],
)
def test_words_of_later_versions_are_unsupported_not_unknown(change: tuple[str, str], reason: str) -> None:
    spec = read(change)
    assert len(spec.unsupported) == 1
    assert spec.unsupported[0].startswith(reason)
    assert "later version" in spec.unsupported[0]


def test_this_version_supports_the_rest() -> None:
    for change in (
        (SETTLE, "  handler: {poison: 1 in 10, on_failure: crash, attempts: 2}"),
        (SETTLE, "  groups: {a: {joins: drained, start: beginning}}\n  start: producers_first\n  loop: iterator"),
        (CRASH, "  - pause: producer\n    for: 5s"),
        (CRASH, "  - add_partitions: 12"),
        (CRASH, "  - cut: [consumer-1, broker-1]\n    for: 5s"),
        (CRASH, "  - cut: [consumer-1, followers of partition 5]\n    for: 5s"),
        (CRASH, "  - crash: all brokers\n    restart_after: never"),
        (CRASH, "  - pause: followers of partition 5\n    for: 2s"),
        (CRASH, "  - crash: broker of partition 5\n  - crash: broker-2"),
        (CRASH, "  - delay: [broker, all consumers]\n    by: 1s..2s\n    for: 5s"),
        (CRASH, "  - lose: ack\n    of: consumer-2\n    times: 3"),
        (CRASH, "  - add_consumers: 2\n  - crash: consumer-5\n  - remove_consumers: 4"),
        (CRASH, "  - delete_records: {partition: 5, before: 1000}"),
        (CRASH, "  - clock_skew: {producer-1: -1h, producer-2: 5m}"),
        (SETTLE, "  sink: idempotent\n  groups: {a: {settle: with_effect, sink: transactional}, b: {sink: plain}}"),
    ):
        spec = read(change)
        assert spec.unsupported == ()
        assert spec.backends["kafka"].unsupported == ()


def test_who_settles_with_the_effect_has_a_transactional_sink_unless_told() -> None:
    groups = "{a: {settle: with_effect}, b: {sink: idempotent}, c: {}, d: {sink: transactional}}"
    workload = read((SETTLE, f"  groups: {groups}")).workload
    assert [workload.sink_of(group) for group in workload.groups.values()] == [
        "transactional", "idempotent", "plain", "transactional",
    ]  # fmt: skip
    everywhere = read((SETTLE, "  settle: with_effect\n  groups: {a: {}, b: {settle: after_batch}}")).workload
    assert [everywhere.sink_of(group) for group in everywhere.groups.values()] == ["transactional", "plain"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("settle: with_effect", "no effect can be stored with it"),
        ("sink: transactional", "a transactional sink would refuse them"),
        ("sink: idempotent", None),
    ],
)
def test_of_a_persistent_subscription_the_server_keeps_the_position(words: str, reason: str | None) -> None:
    both = (
        "    partitions: 6\n  persistent: {system: eventstore}\n  catch_up: {system: eventstore, subscribe: catch_up}"
    )
    spec = read((PARTITIONS, both), (SETTLE, f"  {words}"))
    assert spec.unsupported == ()
    assert spec.backends["kafka"].unsupported == spec.backends["catch_up"].unsupported == ()
    if reason is None:
        assert spec.backends["persistent"].unsupported == ()
    else:
        (told,) = spec.backends["persistent"].unsupported
        assert reason in told


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("10", Runs(simulated=10, real=10)),
        ("{simulated: 100}", Runs(simulated=100)),
        ("{simulated: 100, real: 3}", Runs(simulated=100, real=3)),
    ],
)
def test_runs_of_both_worlds_or_of_each(text: str, runs: Runs) -> None:
    assert read((SETTLE, SETTLE + f"\nruns: {text}")).runs == runs


def test_what_one_system_lacks_leaves_the_others_alone() -> None:
    both = "    partitions: 6\n  eventstore: {stream: per_key % 16, strategy: pinned}"
    spec = read((PARTITIONS, both), (SETTLE, "  settle: automatic"))
    assert spec.unsupported == ()
    assert spec.backends["kafka"].unsupported == ()
    assert "automatic" in spec.backends["eventstore"].unsupported[0]
    assert spec.backends["eventstore"].settings.strategy == "Pinned"


@pytest.mark.parametrize(
    ("changes", "code", "line"),
    [
        ([(WHEN, "    when: {handled: 100..9000}")], "MQ401", 14),
        ([(WHEN, "    when: drained\n    point: in_handler")], "MQ401", 15),
        ([(HELD, "  recovery: {within: 5s}")], "MQ402", 16),
        ([(CRASH, f"  - remove_consumers: 1\n    times: 3\n{CRASH}")], "MQ403", 13),
    ],
)
def test_what_can_never_be_decided_is_a_warning(
    changes: list[tuple[str, str]], code: str, line: int, tmp_path: Any
) -> None:
    from mqverify.spec.load import load

    path = tmp_path / "a.yaml"
    path.write_text(changed(*changes))
    (warning,) = load([path], REGISTRY).warnings
    assert (warning.code, warning.line, warning.severity) == (code, line, "warning")


def test_a_warning_of_recovery_heeds_what_a_backend_expects_of_its_own(tmp_path: Any) -> None:
    from mqverify.spec.load import load

    path = tmp_path / "a.yaml"
    path.write_text(
        changed(
            (HELD, "  recovery: {within: 5s}"), (PARTITIONS, PARTITIONS + "\n    expect: {recovery: {within: 90s}}")
        )
    )
    assert load([path], REGISTRY).warnings == ()
    path.write_text(
        changed(
            (HELD, "  recovery: {within: 90s}"), (PARTITIONS, PARTITIONS + "\n    expect: {recovery: {within: 5s}}")
        )
    )
    (warning,) = load([path], REGISTRY).warnings
    assert (warning.code, warning.line) == ("MQ402", 12)
    path.write_text(changed((HELD, "  recovery: {within: 5s, violated: sessions last longer}")))
    assert load([path], REGISTRY).warnings == (), "who expects it violated knows"

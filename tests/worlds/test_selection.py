"""What the real world cannot give is told before anything runs."""

import pytest

from mqverify import engine
from mqverify.backends.kafka.real import RealKafka
from mqverify.errors import UsageError
from mqverify.spec.load import load_text
from mqverify.worlds.base import Scenario
from mqverify.worlds.selection import select_scenarios, unsupported_reason

SPEC = """
spec: a question
workload: {{messages: 100, consumers: 2{workload}}}
backends: {{kafka: {{partitions: 2{backend}}}}}
faults: [{fault}]
expect: {{at_least_once: held}}
"""


def on(text: str, target: str | None, breaks_brokers: bool = False) -> Scenario:
    spec = load_text(text, "test.yaml", engine.registry())
    [found] = select_scenarios([spec], [("kafka", target)], breaks_brokers)
    return found


@pytest.mark.parametrize(
    ("workload", "backend", "fault", "reason"),
    [
        ("", "", "", None),
        ("", "", "{crash: consumer, when: {handled: 50%}, point: before_settle}", None),
        ("", "", "{pause: consumer, for: 10s}", None),
        ("", "", "{pass: 8d, when: drained}", None),
        ("", "", "{pass: 5s, when: {handled: 50%}}", None),
        ("", "", "{pass: 8d, when: {handled: 50%}}", "needs `when: drained`"),
        ("", "", "{pass: 8d, when: drained}, {clock_skew: {producer-1: 30m}}", "beside a clock that is ahead"),
        ("", "", "{add_partitions: 4}", None),
        ("", "", "{cut: [consumer, broker], for: 5s}", None),
        ("", "", "{delay: [producer, broker], by: 1s, for: 5s}", None),
        ("", "", "{lose: ack, of: producer}", None),
        ("", "", "{clock_skew: {producer-1: -1h}}", None),
        ("", "", "{add_consumers: 2}", None),
        ("", "", "{remove_consumers: 1, when: {handled: 50%}}", None),
        ("", "", "{delete_records: {partition: 0, before: 50%}, when: drained}", None),
        ("", "", "{crash: consumer, when: {handled: 50%}, point: in_settle}", None),
        ("", "", "{crash: leader, when: {handled: 50%}}", None),
        ("", "", "{crash: all consumers, when: {handled: 50%}, point: in_handler}", None),
        ("", "", "{reset: [producer, broker], nth: 3}", None),
        ("", "", "{crash: consumer, when: {handled: 50%}, restart_after: 8d}", "it would take 8d"),
        (", rate: 2/h", "", "", "it would take 2d2h"),
        ("", "", "{slow: consumer, handler: 1s, times: 3}", None),
        (", settle: automatic", "", "", None),
        (", groups: {a: {}, b: {joins: drained}}", "", "", None),
        ("", ", client: java", "", "client profile java"),
    ],
)
def test_reasons(workload: str, backend: str, fault: str, reason: str | None) -> None:
    text = SPEC.format(workload=workload, backend=backend, fault=fault)
    assert unsupported_reason(on(text, None)) is None
    found = unsupported_reason(on(text, "local"))
    assert (found is None) if reason is None else (found is not None and reason in found)


OF_PARTITION = ", replication_factor: 3"
NOT_SIMULATED = "the simulated world has one broker, which never fails; write -b kafka=local"


@pytest.mark.parametrize(
    ("backend", "fault", "target", "reason"),
    [
        ("", "{crash: broker, when: {acked: 5}}", None, f"crash: broker: {NOT_SIMULATED}"),
        ("", "{crash: broker, when: {acked: 5}}", "local", None),
        ("", "{crash: broker of partition 1}", "local:3", None),
        ("", "{crash: all brokers, restart_after: 3s}", "HOST:9092", "`crash: all brokers`: "),
        ("", "{pause: followers of partition 0, for: 2s}", "local:3", "with replication_factor: 1 there are none"),
        (OF_PARTITION, "{pause: followers of partition 0, for: 2s}", "local:3", None),
        (OF_PARTITION, "{pause: followers of partition 0, for: 2s}", None, f"{NOT_SIMULATED}:3"),
        (OF_PARTITION, "", None, f"replication_factor: 3: {NOT_SIMULATED}:3"),
        (OF_PARTITION, "", "local", "-b kafka=local has one broker; write -b kafka=local:3"),
        ("", "{crash: broker-2}", "local", "-b kafka=local has one broker"),
        ("", "{crash: broker-2}", "local:3", None),
        ("", "{cut: [consumer, broker of partition 0], for: 5s}", None, f"cut: broker of partition 0: {NOT_SIMULATED}"),
        ("", "{cut: [consumer, broker of partition 0], for: 5s}", "HOST:9092", None),
        (", unclean_leader_election_enable: true", "", None, None),
    ],
)
def test_faults_of_brokers_need_brokers_that_are_ours(
    backend: str, fault: str, target: str | None, reason: str | None
) -> None:
    found = unsupported_reason(on(SPEC.format(workload="", backend=backend, fault=fault), target))
    assert (found is None) if reason is None else (found is not None and reason in found)


@pytest.mark.parametrize(
    ("backend", "fault", "allowed", "reason"),
    [
        ("", "{crash: broker-2, restart_after: 1s}", False, "are broken with --allow-broker-faults only"),
        ("", "{crash: broker-2, restart_after: 1s}", True, None),
        ("", "{crash: broker-4, restart_after: 1s}", True, "has 3 brokers"),
        (OF_PARTITION, "", False, None),
        (", replication_factor: 5", "", False, "has 3 brokers"),
    ],
)
def test_a_kept_cluster_is_broken_where_that_is_allowed(
    backend: str, fault: str, allowed: bool, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RealKafka, "own_brokers", lambda _self, _target: 3)
    found = unsupported_reason(on(SPEC.format(workload="", backend=backend, fault=fault), "HOST:9092", allowed))
    assert (found is None) if reason is None else (found is not None and reason in found)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("{lose: ack, of: producer}", "`lose` goes by"),
        ("{reset: [producer, broker], nth: 3}", "`reset` with `nth` goes by"),
        ("{crash: consumer, when: {handled: 50%}, point: in_settle}", "`crash` at in_settle goes by"),
        ("{cut: [consumer, broker], for: 5s}", None),
        ("{reset: [producer, broker], times: 2}", None),
    ],
)
def test_what_goes_by_requests_cannot_be_had_over_tls(
    fault: str, what: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQVERIFY_KAFKA_SECURITY_PROTOCOL", "SSL")
    text = SPEC.format(workload="", backend="", fault=fault)
    found = unsupported_reason(on(text, "HOST:9092"))
    assert (found is None) if what is None else (found is not None and what in found and "TLS" in found)
    assert unsupported_reason(on(text, "local")) is None, "a broker of our own has no security"


TWO = """
spec: a question
workload: {messages: 100}
backends: {everything: {system: eventstore}, some: {system: eventstore, max_count: 5}, stream: {system: kafka}}
expect: {at_least_once: held}
"""


def selected(*backends: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    spec = load_text(TWO, "test.yaml", engine.registry())
    return [(one.label, one.target) for one in select_scenarios([spec], backends)]


def test_a_backend_is_named_by_its_label_or_its_system() -> None:
    assert selected(("eventstore", None)) == [("everything", None), ("some", None)]
    assert selected(("some", None), ("kafka", "local")) == [("some", None), ("stream", "local")]


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("eventstore", "local", "-b eventstore=local: no real eventstore can be reached yet, .*: write -b eventstore;"),
        ("some", "esdb://x", "-b some=esdb://x: no real eventstore can be reached yet, .*: write -b some;"),
        ("eventstore", "local", "what is real so far is -b kafka=local, -b kafka=local:3, -b kafka=HOST:PORT"),
        (
            "stream",
            "elsewhere",
            "-b stream=elsewhere: that is no place where a kafka can be; there is -b kafka=local, .*-b kafka=HOST",
        ),
    ],
)
def test_a_target_that_cannot_be_reached_is_told_as_it_was_typed(name: str, target: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        selected((name, target))

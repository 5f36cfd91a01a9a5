"""Kafka's and Event Store's settings: defaults, spellings, and what the systems refuse."""

from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.range import RangePartitionAssignor

from mqverify.backends.eventstore.settings import EventStoreSettings
from mqverify.backends.kafka.settings import KafkaSettings
from mqverify.spec.load import load_text
from mqverify.spec.registry import settings_of
from mqverify.units import DAY, MINUTE, SECOND
from tests.spec.registries import REGISTRY, changed


def kafka(*lines: str) -> Any:
    text = changed(("    partitions: 6", "\n".join("    " + line for line in lines)))
    return load_text(text, "x", REGISTRY).backends["kafka"].settings


@pytest.mark.parametrize(("part", "client"), [("producer", KafkaProducer), ("consumer", KafkaConsumer)])
def test_defaults_are_those_of_kafka_python(part: Any, client: Any) -> None:
    ours = KafkaSettings().native(part, defaults=True)
    theirs = client.DEFAULT_CONFIG
    assert set(ours) <= set(theirs)
    ours.pop("partitioner", None)
    if part == "consumer":
        names = ",".join(each.name for each in theirs["partition_assignment_strategy"])
        assert ours.pop("partition_assignment_strategy") == names
    else:
        assert (ours.pop("acks"), theirs["acks"]) == ("all", -1)
    assert ours == {name: theirs[name] for name in ours}


def test_defaults_are_those_of_the_client_whose_habits_are_simulated() -> None:
    """docs/facts/kafka.md §A.1; idempotence as it is in effect (§E.2)."""
    told = {client: kafka(f"client: {client}").native("producer", defaults=True) for client in ("java", "librdkafka")}
    assert (told["java"]["linger_ms"], told["java"]["enable_idempotence"]) == (5, True)
    assert told["librdkafka"]["enable_idempotence"] is False
    assert told["librdkafka"]["max_in_flight_requests_per_connection"] == 1_000_000
    assert told["librdkafka"]["delivery_timeout_ms"] == 300_000
    assert kafka("client: java", "linger: 7ms").native("producer", defaults=True)["linger_ms"] == 7
    assert kafka("acks: 1").native("producer", defaults=True)["enable_idempotence"] is False
    assert "enable_idempotence" not in kafka("acks: 1").native("producer")


def test_defaults_of_topic_and_broker() -> None:
    assert KafkaSettings().native("topic", defaults=True) == {
        "retention.ms": 604_800_000,
        "retention.bytes": -1,
        "segment.bytes": 2**30,
        "segment.ms": 604_800_000,
        "cleanup.policy": "delete",
        "min.insync.replicas": 1,
        "unclean.leader.election.enable": "false",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": 1_048_588,
    }
    assert KafkaSettings().native("broker", defaults=True) == {
        "offsets.retention.minutes": 10_080,
        "offsets.retention.check.interval.ms": 600_000,
        "producer.id.expiration.ms": 86_400_000,
        "log.retention.check.interval.ms": 300_000,
        "log.initial.task.delay.ms": 30_000,
        "group.initial.rebalance.delay.ms": 3_000,
        "group.min.session.timeout.ms": 6_000,
        "group.max.session.timeout.ms": 1_800_000,
    }


def test_only_what_a_spec_sets_is_handed_to_kafka() -> None:
    settings = kafka("acks: 1", "session_timeout: 6s", "retention: unlimited", "offsets_retention: 1d", "linger: 5ms")
    assert settings.native("producer") == {"acks": 1, "linger_ms": 5}
    assert settings.native("consumer") == {"session_timeout_ms": 6000}
    assert settings.native("topic") == {"retention.ms": -1}
    assert settings.native("broker") == {"offsets.retention.minutes": 1440}


def test_kafka_python_takes_what_it_is_handed() -> None:
    settings = kafka("partition_assignment_strategy: [range]", "partitioner: default", "retries: unlimited")
    assert settings.native("consumer") == {"partition_assignment_strategy": (RangePartitionAssignor,)}
    assert settings.native("producer") == {"retries": float("inf")}


@pytest.mark.parametrize(
    ("short", "native", "field", "value"),
    [
        ("retention: 7d", "retention.ms: 604800000", "retention", 7 * DAY),
        ("retention: unlimited", "retention.ms: -1", "retention", None),
        ("retention_bytes: 1GiB", "retention.bytes: 1073741824", "retention_bytes", 2**30),
        ("segment: 1h", "segment.ms: 3600000", "segment", 60 * MINUTE),
        ("session_timeout: 10s", "session.timeout.ms: 10000", "session_timeout", 10 * SECOND),
        ("offsets_retention: 1d", "offsets.retention.minutes: 1440", "offsets_retention", DAY),
        ("min_insync_replicas: 2", "min.insync.replicas: 2", "min_insync_replicas", 2),
        ("auto_offset_reset: earliest", "auto.offset.reset: earliest", "auto_offset_reset", "earliest"),
        ("cleanup_policy: [compact, delete]", "cleanup.policy: compact,delete",
         "cleanup_policy", ("compact", "delete")),
        ("message_timestamp_type: log_append_time", "message.timestamp.type: LogAppendTime",
         "message_timestamp_type", "LogAppendTime"),
        ("enable_idempotence: false", "enable.idempotence: false", "enable_idempotence", False),
        ("partition_assignment_strategy: roundrobin", "partition.assignment.strategy: roundrobin",
         "partition_assignment_strategy", ("roundrobin",)),
        ("partition_assignment_strategy: round_robin", "partition.assignment.strategy: roundrobin",
         "partition_assignment_strategy", ("roundrobin",)),
        ("partition_assignment_strategy: cooperative_sticky", "partition.assignment.strategy: cooperative-sticky",
         "partition_assignment_strategy", ("cooperative-sticky",)),
        ("partition_assignment_strategy: [range, round_robin]", "partition.assignment.strategy: range,roundrobin",
         "partition_assignment_strategy", ("range", "roundrobin")),
        ("acks: all", "acks: -1", "acks", "all"),
    ],
)  # fmt: skip
def test_both_spellings_mean_the_same(short: str, native: str, field: str, value: Any) -> None:
    assert getattr(kafka(short), field) == value
    assert getattr(kafka(native), field) == value


@pytest.mark.parametrize(
    ("lines", "idempotent"),
    [
        ((), True),
        (("acks: 1",), False),
        (("retries: 0",), False),
        (("max_in_flight_requests_per_connection: 6",), False),
        (("enable_idempotence: false",), False),
        (("client: librdkafka",), False),
        (("client: librdkafka", "enable_idempotence: true"), True),
    ],
)
def test_idempotence_in_effect(lines: tuple[str, ...], idempotent: bool) -> None:
    assert kafka("partitions: 6", *lines).idempotent is idempotent


def test_a_poll_interval_below_the_session_is_what_kafka_python_allows() -> None:
    assert kafka("max_poll_interval: 2s").max_poll_interval == 2 * SECOND


def test_a_short_session_beside_a_lower_bound_is_accepted() -> None:
    settings = kafka("session_timeout: 3s", "group_min_session_timeout: 1s", "heartbeat_interval: 1s")
    assert settings.session_timeout == 3 * SECOND


@pytest.mark.parametrize("line", ["cleanup_policy: compact", "partitioner: sticky",
                                  "partition_assignment_strategy: cooperative-sticky"])  # fmt: skip
def test_settings_of_later_versions_are_unsupported(line: str) -> None:
    text = changed(("    partitions: 6", "    " + line))
    (reason,) = load_text(text, "x", REGISTRY).backends["kafka"].unsupported
    assert reason.startswith(line.partition(":")[0])
    assert "later version" in reason


@pytest.mark.parametrize("model", [KafkaSettings, EventStoreSettings])
def test_every_setting_says_what_it_is(model: Any) -> None:
    settings = settings_of(model)
    assert set(settings) == set(model.model_fields)
    for name, setting in settings.items():
        assert setting.about, name
        assert setting.source, name
        assert setting.part, name
        default = model.model_fields[name].default
        assert default is not None or setting.none, name
        if setting.kind == "choice" and default is not None:
            assert default in setting.words.values(), name
    natives = [setting.native for setting in settings.values() if setting.native]
    assert len(natives) == len(set(natives))


def test_names_follow_from_native_names() -> None:
    for name, setting in settings_of(KafkaSettings).items():
        if setting.native is not None:
            native = setting.native.replace(".", "_")
            assert native in {name, f"{name}_ms", f"{name}_minutes"}, name

"""Settings of the broker and of topics, with Kafka's native names and defaults.

Names of `BrokerSettings` are the native ones with underscores; a time unit is dropped because values are nanoseconds
(`log.retention.check.interval.ms` is `log_retention_check_interval`). Topic configurations arrive as Kafka's strings.
Source of the defaults: docs/facts/kafka.md §B.1, §B.3, §C.1; Kafka's `ServerLogConfigs`, `GroupCoordinatorConfig`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from kafka.errors import InvalidConfigurationError

from mqverify.simulation.kernel import MILLISECOND, SECOND

__all__ = ["DAY", "EPOCH_MS", "BrokerSettings", "TopicConfig", "wall_clock_ms"]

DAY = 86_400 * SECOND
EPOCH_MS = 1_767_225_600_000
"""Virtual time 0 on the wall clock: 2026-01-01T00:00Z, in milliseconds since 1970."""


def wall_clock_ms(now: int) -> int:
    """What a computer's clock says, in milliseconds since 1970, at virtual time `now`."""
    return EPOCH_MS + now // MILLISECOND


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The broker's settings; −1 is unlimited where Kafka says so."""

    num_partitions: int = 1
    auto_create_topics_enable: bool = True
    message_max_bytes: int = 1_048_588
    min_insync_replicas: int = 1

    log_retention: int = 7 * DAY
    log_retention_bytes: int = -1
    log_segment_bytes: int = 1 << 30
    log_roll: int = 7 * DAY
    log_cleanup_policy: str = "delete"
    log_message_timestamp_type: str = "CreateTime"
    log_message_timestamp_after_max: int = 3600 * SECOND
    log_retention_check_interval: int = 300 * SECOND
    log_initial_task_delay: int = 30 * SECOND

    producer_id_expiration: int = DAY

    offsets_retention: int = 7 * DAY
    offsets_retention_check_interval: int = 600 * SECOND
    offset_metadata_max_bytes: int = 4096

    group_initial_rebalance_delay: int = 3 * SECOND
    group_min_session_timeout: int = 6 * SECOND
    group_max_session_timeout: int = 1800 * SECOND


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """One topic's configuration, times in milliseconds as in Kafka's log."""

    retention_ms: int
    retention_bytes: int
    segment_bytes: int
    segment_ms: int
    cleanup_policy: str
    timestamp_type: str
    timestamp_after_max_ms: int
    max_message_bytes: int
    min_insync_replicas: int

    @classmethod
    def of(cls, settings: BrokerSettings, given: Mapping[str, object]) -> "TopicConfig":
        """The configuration of a topic created with `given`; raises `InvalidConfigurationError` as a broker would."""
        values: dict[str, object] = _defaults(settings)
        for native, value in given.items():
            if native == "unclean.leader.election.enable":
                continue  # with one broker there is nobody else to elect
            name = _FIELDS.get(native)
            if name is None:
                raise InvalidConfigurationError(f"Unknown topic config name: {native}")
            values[name] = _parsed(native, name, value)
        policy = str(values["cleanup_policy"])
        if policy not in ("delete", ""):
            raise InvalidConfigurationError(f"cleanup.policy={policy} is not modelled; only delete, or none")
        return cls(**values)  # type: ignore[arg-type]

    def native(self) -> dict[str, str]:
        """As `describe_configs` tells it."""
        return {native: str(getattr(self, name)) for native, name in _FIELDS.items() if not native.startswith("int")}


_FIELDS = {
    "retention.ms": "retention_ms",
    "retention.bytes": "retention_bytes",
    "segment.bytes": "segment_bytes",
    "internal.segment.bytes": "segment_bytes",
    "segment.ms": "segment_ms",
    "cleanup.policy": "cleanup_policy",
    "message.timestamp.type": "timestamp_type",
    "message.timestamp.after.max.ms": "timestamp_after_max_ms",
    "max.message.bytes": "max_message_bytes",
    "min.insync.replicas": "min_insync_replicas",
}
_LEAST = {
    "retention.ms": -1,
    "retention.bytes": -1,
    "segment.bytes": 1 << 20,  # rejected below since 4.0 (docs/facts/kafka.md §B.1, KIP-1030)
    "internal.segment.bytes": 14,
    "segment.ms": 1,
    "message.timestamp.after.max.ms": 0,
    "max.message.bytes": 0,
    "min.insync.replicas": 1,
}
_WORDS = {"cleanup_policy", "timestamp_type"}

assert {field.name for field in fields(TopicConfig)} == set(_FIELDS.values())


def _parsed(native: str, name: str, value: object) -> object:
    if name in _WORDS:
        return str(value).strip()
    try:
        number = int(str(value))
    except ValueError:
        raise InvalidConfigurationError(f"Invalid value {value} for configuration {native}: Not a number") from None
    if number < _LEAST[native]:
        raise InvalidConfigurationError(
            f"Invalid value {value} for configuration {native}: Value must be at least {_LEAST[native]}"
        )
    return number


def _defaults(settings: BrokerSettings) -> dict[str, object]:
    def milliseconds(value: int) -> int:
        return -1 if value < 0 else value // MILLISECOND

    return {
        "retention_ms": milliseconds(settings.log_retention),
        "retention_bytes": settings.log_retention_bytes,
        "segment_bytes": settings.log_segment_bytes,
        "segment_ms": milliseconds(settings.log_roll),
        "cleanup_policy": settings.log_cleanup_policy,
        "timestamp_type": settings.log_message_timestamp_type,
        "timestamp_after_max_ms": milliseconds(settings.log_message_timestamp_after_max),
        "max_message_bytes": settings.message_max_bytes,
        "min_insync_replicas": settings.min_insync_replicas,
    }

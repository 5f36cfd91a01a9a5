"""Kafka's settings as a spec writes them, with their native defaults.

The name is the native one with dots as underscores and without a time unit, because the value carries it: `retention`
is `retention.ms`, and `segment` is `segment.ms` (`segment_bytes` is `segment.bytes`). Defaults are those of
kafka-python 3.0.12 for clients and of Apache Kafka 4.x for topics and brokers. Durations are nanoseconds; None is
without bound, or unset where Kafka has no default.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from mqverify.backends.kafka.client_settings import ClientSettings
from mqverify.backends.kafka.native import Part, native_value, with_classes
from mqverify.backends.kafka.setting_tables import BROKER, duration
from mqverify.spec.registry import settings_of
from mqverify.units import DAY, MILLISECOND, MINUTE, SECOND

__all__ = ["KafkaSettings", "Part"]


class KafkaSettings(ClientSettings):
    """The settings of a backend whose system is Kafka: topic, clients, broker."""

    # broker
    offsets_retention: Annotated[
        int,
        duration(
            BROKER,
            "offsets.retention.minutes",
            "how long an empty group's committed offsets are kept",
            unit=MINUTE,
            least=MINUTE,
            breaks="a group that rests longer starts where auto_offset_reset says",
        ),
    ] = 7 * DAY
    offsets_retention_check_interval: Annotated[
        int,
        duration(
            BROKER,
            "offsets.retention.check.interval.ms",
            "how often committed offsets that expired are looked for",
            least=MILLISECOND,
        ),
    ] = 10 * MINUTE
    producer_id_expiration: Annotated[
        int,
        duration(
            BROKER,
            "producer.id.expiration.ms",
            "how long a partition remembers an idempotent producer that rests",
            least=MILLISECOND,
            breaks="after a longer rest a retry can duplicate records in spite of idempotence",
        ),
    ] = DAY
    log_retention_check_interval: Annotated[
        int,
        duration(BROKER, "log.retention.check.interval.ms", "how often old segments are looked for", least=MILLISECOND),
    ] = 5 * MINUTE
    log_initial_task_delay: Annotated[
        int, duration(BROKER, "log.initial.task.delay.ms", "how long after its start a broker looks first", least=0)
    ] = 30 * SECOND
    group_initial_rebalance_delay: Annotated[
        int,
        duration(BROKER, "group.initial.rebalance.delay.ms", "how long a new group waits for more members", least=0),
    ] = 3 * SECOND
    group_min_session_timeout: Annotated[
        int,
        duration(BROKER, "group.min.session.timeout.ms", "the shortest session a broker accepts", least=MILLISECOND),
    ] = 6 * SECOND
    group_max_session_timeout: Annotated[
        int, duration(BROKER, "group.max.session.timeout.ms", "the longest session a broker accepts", least=MILLISECOND)
    ] = 30 * MINUTE

    @property
    def idempotent(self) -> bool:
        """Whether the producer is idempotent in effect: kafka-python drops it where other settings forbid it."""
        if "enable_idempotence" in self.model_fields_set:
            return self.enable_idempotence
        if self.client == "librdkafka":
            return False
        return self.acks == "all" and self.retries != 0 and self.max_in_flight_requests_per_connection <= 5

    def native(self, part: Part, *, defaults: bool = False) -> dict[str, Any]:
        """The settings of one part under native names and in native units, for handing to Kafka.

        Topics and brokers have dotted names (`retention.ms`), clients those of kafka-python (`session_timeout_ms`) and
        its classes where it wants classes. Only what the spec sets is there, since kafka-python tells what is set from
        what is its default. With `defaults` all of them are, for reports: classes by their names, the defaults those of
        the client whose habits are simulated, and idempotence as it is in effect.
        """
        found = {}
        habits = self._habits(part) if defaults else {}
        for name, setting in settings_of(type(self)).items():
            if part not in setting.part or not (defaults or name in self.model_fields_set):
                continue
            value = getattr(self, name)
            if value is None and setting.none == "unset":
                continue
            native = setting.native or name
            if part in {"producer", "consumer"}:
                native = native.replace(".", "_")
            if native in habits and name not in self.model_fields_set:
                found[native] = habits[native]
            else:
                found[native] = native_value(value, setting, part)
        if "enable_idempotence" in found and defaults:
            found["enable_idempotence"] = self.idempotent
        return found if defaults else with_classes(found)

    def _habits(self, part: Part) -> Mapping[str, Any]:
        """Where the defaults of the client differ from kafka-python's, by kafka-python's names."""
        from mqverify.simulation.kafka.profiles import PROFILES

        profile = PROFILES[self.client]
        return {"producer": profile.producer, "consumer": profile.consumer}.get(part, {})

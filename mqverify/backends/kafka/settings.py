"""Kafka's settings as a spec writes them, with their native defaults.

The name is the native one with dots as underscores and without a time unit, because the value carries it: `retention`
is `retention.ms`, and `segment` is `segment.ms` (`segment_bytes` is `segment.bytes`). Defaults are those of
kafka-python 3.0.12 for clients and of Apache Kafka 4.x for topics and brokers. Durations are nanoseconds; None is
without bound, or unset where Kafka has no default.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict

from mqverify.backends.kafka.native import Part, native_value, with_classes
from mqverify.backends.kafka.setting_tables import (
    BROKER,
    CLIENT,
    CONSUMER,
    OWN,
    PRODUCER,
    TOPIC,
    choice,
    choices,
    count,
    duration,
    flag,
    size,
)
from mqverify.spec.registry import settings_of
from mqverify.units import DAY, MILLISECOND, MINUTE, SECOND

__all__ = ["KafkaSettings", "Part"]

Assignor = Literal["range", "roundrobin", "sticky", "cooperative-sticky"]


class KafkaSettings(BaseModel):
    """The settings of a backend whose system is Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    # mqverify's own words
    partitions: Annotated[
        int | Literal["per_key"],
        count(
            OWN,
            1,
            10_000,
            "how many partitions the topic has, or per_key: one for each key",
            also=("per_key",),
            breaks="order is kept within a partition only, and a group has no more working consumers than partitions",
        ),
    ] = 1
    record_key: Annotated[
        Literal["key", "none"],
        choice(
            OWN,
            ("key", "none"),
            "whether a record carries the message's key",
            breaks="without it a key's messages are spread over all partitions, and their order is lost",
        ),
    ] = "key"
    client: Annotated[
        Literal["kafka-python", "java", "librdkafka"],
        choice(
            OWN,
            ("kafka-python", "java", "librdkafka"),
            "whose client's habits are simulated",
            breaks="clients differ in partitioner, defaults, and in when they commit by themselves",
        ),
    ] = "kafka-python"
    replication_factor: Annotated[
        int,
        count(OWN, 1, 7, "on how many brokers each partition lies", breaks="with one, a broker's disk is all there is"),
    ] = 1

    # topic
    retention: Annotated[
        int | None,
        duration(
            TOPIC,
            "retention.ms",
            "how long a record is kept at least",
            none="unlimited",
            least=0,
            breaks="a record older than this is deleted, read or not: a late consumer never sees it",
        ),
    ] = 7 * DAY
    retention_bytes: Annotated[
        int | None,
        size(
            TOPIC,
            "retention.bytes",
            "how much of a partition is kept at least",
            none="unlimited",
            least=0,
            breaks="the oldest records are deleted when a partition grows beyond it, read or not",
        ),
    ] = None
    segment_bytes: Annotated[
        int,
        size(
            TOPIC,
            "segment.bytes",
            "how large a segment grows; only whole segments are deleted",
            least=1024 * 1024,
            most=2**31 - 1,
            breaks="a large segment keeps records longer than retention asks",
        ),
    ] = 1024 * 1024 * 1024
    internal_segment_bytes: Annotated[
        int | None,
        size(TOPIC, "internal.segment.bytes", "segments smaller than Kafka allows, for tests", none="unset", least=14),
    ] = None
    segment: Annotated[
        int,
        duration(
            TOPIC,
            "segment.ms",
            "how long a segment takes records before a new one begins",
            least=MILLISECOND,
            breaks="in a slow topic a record lives up to retention + segment",
        ),
    ] = 7 * DAY
    cleanup_policy: Annotated[
        tuple[Literal["delete", "compact"], ...],
        choices(
            TOPIC,
            "cleanup.policy",
            ("delete", "compact"),
            "delete old segments, or keep the last value of each key",
            later=("compact",),
            breaks="compaction deletes all but the last record of a key: no history to replay",
        ),
    ] = ("delete",)
    min_insync_replicas: Annotated[
        int,
        count(
            TOPIC,
            1,
            7,
            "how many replicas must have a record before acks=all acknowledges it",
            "min.insync.replicas",
            breaks="with 1, an acknowledged record may be on a single broker",
        ),
    ] = 1
    message_timestamp_type: Annotated[
        Literal["CreateTime", "LogAppendTime"],
        choice(
            TOPIC,
            {"create_time": "CreateTime", "log_append_time": "LogAppendTime"},
            "whose clock a record's timestamp is",
            "message.timestamp.type",
            breaks="with the producer's clock, a wrong clock deletes records early or late",
        ),
    ] = "CreateTime"
    max_message_bytes: Annotated[
        int, size(TOPIC, "max.message.bytes", "the largest batch of records that the topic takes", least=0)
    ] = 1048588

    # producer
    acks: Annotated[
        Literal["all", 1, 0],
        choice(
            PRODUCER,
            {"all": "all", "1": 1, "0": 0, "-1": "all"},
            "who must have a record before it is acknowledged",
            breaks="with 1 a leader's death, with 0 any lost connection loses acknowledged records",
        ),
    ] = "all"
    enable_idempotence: Annotated[
        bool,
        flag(
            PRODUCER,
            "enable.idempotence",
            "whether the broker drops what a retry sends twice",
            breaks="without it a lost reply duplicates records, and several in flight reorder them",
        ),
    ] = True
    max_in_flight_requests_per_connection: Annotated[
        int,
        count(
            PRODUCER,
            1,
            1_000_000,
            "how many requests are under way at once",
            "max.in.flight.requests.per.connection",
            breaks="above 1 without idempotence, a retry reorders records",
        ),
    ] = 5
    retries: Annotated[
        int | None,
        count(
            PRODUCER,
            0,
            2**31 - 1,
            "how often a send is tried again",
            none="unlimited",
            breaks="with 0 every hiccup is a failed send",
        ),
    ] = None
    linger: Annotated[int, duration(PRODUCER, "linger.ms", "how long a batch waits for more records", least=0)] = 0
    batch_size: Annotated[
        int,
        size(PRODUCER, "batch.size", "how large a batch of records grows before it is sent", least=0, most=2**31 - 1),
    ] = 16 * 1024
    delivery_timeout: Annotated[
        int,
        duration(
            PRODUCER,
            "delivery.timeout.ms",
            "when a send is given up, counted from its call",
            least=0,
            breaks="what is given up may have been written: its outcome is unknown",
        ),
    ] = 2 * MINUTE
    partitioner: Annotated[
        Literal["default", "sticky"],
        choice(
            PRODUCER,
            ("default", "sticky"),
            "where records without a key go: at random, or in runs",
            later=("sticky",),
            breaks="clients of other languages hash keys differently: one key, two partitions",
        ),
    ] = "default"
    max_block: Annotated[
        int, duration(PRODUCER, "max.block.ms", "how long a send waits for metadata or for room", least=0)
    ] = MINUTE
    max_request_size: Annotated[
        int, size(PRODUCER, "max.request.size", "how large a request is at most", least=1, most=2**31 - 1)
    ] = 1024 * 1024

    # producer and consumer
    request_timeout: Annotated[
        int, duration(CLIENT, "request.timeout.ms", "how long a client waits for a reply", least=MILLISECOND)
    ] = 30 * SECOND
    retry_backoff: Annotated[
        int, duration(CLIENT, "retry.backoff.ms", "how long a client waits before it tries again", least=0)
    ] = 100 * MILLISECOND
    metadata_max_age: Annotated[
        int,
        duration(
            CLIENT,
            "metadata.max.age.ms",
            "how old a client's knowledge of partitions may be",
            least=MILLISECOND,
            breaks="new partitions are seen that late; a consumer that starts at the end misses what came before",
        ),
    ] = 5 * MINUTE

    # consumer
    session_timeout: Annotated[
        int,
        duration(
            CONSUMER,
            "session.timeout.ms",
            "how long without a heartbeat until a consumer counts as dead",
            least=MILLISECOND,
            breaks="a dead consumer's partitions lie idle that long",
        ),
    ] = 45 * SECOND
    heartbeat_interval: Annotated[
        int,
        duration(
            CONSUMER,
            "heartbeat.interval.ms",
            "how often a consumer shows that it lives",
            least=MILLISECOND,
            breaks="near the session's length, one lost heartbeat costs the partitions",
        ),
    ] = 3 * SECOND
    max_poll_interval: Annotated[
        int,
        duration(
            CONSUMER,
            "max.poll.interval.ms",
            "how long between two polls until a consumer leaves its group",
            least=MILLISECOND,
            breaks="a handler slower than this is handled again elsewhere",
        ),
    ] = 5 * MINUTE
    max_poll_records: Annotated[
        int,
        count(
            CONSUMER,
            1,
            1_000_000,
            "how many records a poll returns at most",
            "max.poll.records",
            breaks="the batch is what a crash repeats or loses",
        ),
    ] = 500
    auto_offset_reset: Annotated[
        Literal["latest", "earliest", "none"],
        choice(
            CONSUMER,
            ("latest", "earliest", "none"),
            "where a group starts that has no valid committed offset",
            "auto.offset.reset",
            breaks="latest skips silently what it has not seen; earliest repeats",
        ),
    ] = "latest"
    auto_commit_interval: Annotated[
        int,
        duration(
            CONSUMER,
            "auto.commit.interval.ms",
            "with settle: automatic, how often the client commits",
            least=MILLISECOND,
        ),
    ] = 5 * SECOND
    fetch_max_wait: Annotated[
        int, duration(CONSUMER, "fetch.max.wait.ms", "how long a fetch waits for fetch_min_bytes", least=0)
    ] = 500 * MILLISECOND
    fetch_min_bytes: Annotated[
        int, size(CONSUMER, "fetch.min.bytes", "how much a fetch waits for", least=0, most=2**31 - 1)
    ] = 1
    fetch_max_bytes: Annotated[
        int, size(CONSUMER, "fetch.max.bytes", "how much a fetch brings at most", least=0, most=2**31 - 1)
    ] = 50 * 1024 * 1024
    max_partition_fetch_bytes: Annotated[
        int,
        size(
            CONSUMER,
            "max.partition.fetch.bytes",
            "how much a fetch brings of one partition",
            least=0,
            most=2**31 - 1,
            breaks="what lies in the client's buffer is handled even after the partition went to another",
        ),
    ] = 1024 * 1024
    isolation_level: Annotated[
        Literal["read_uncommitted", "read_committed"],
        choice(
            CONSUMER,
            ("read_uncommitted", "read_committed"),
            "whether records of open and aborted transactions are read",
            "isolation.level",
        ),
    ] = "read_uncommitted"
    partition_assignment_strategy: Annotated[
        tuple[Assignor, ...],
        choices(
            CONSUMER,
            "partition.assignment.strategy",
            {
                "range": "range",
                "round_robin": "roundrobin",
                "sticky": "sticky",
                "cooperative_sticky": "cooperative-sticky",
                "roundrobin": "roundrobin",
                "cooperative-sticky": "cooperative-sticky",
            },
            "how a group shares partitions",
            later=("sticky", "cooperative_sticky"),
            breaks="range leaves consumers without work where topics have few partitions",
        ),
    ] = ("range", "roundrobin")

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
    log_retention_check_interval: Annotated[
        int,
        duration(BROKER, "log.retention.check.interval.ms", "how often old segments are looked for", least=MILLISECOND),
    ] = 5 * MINUTE
    log_initial_task_delay: Annotated[
        int, duration(BROKER, "log.initial.task.delay.ms", "how long after its start a broker looks first", least=0)
    ] = 30 * SECOND
    unclean_leader_election_enable: Annotated[
        bool,
        flag(
            BROKER,
            "unclean.leader.election.enable",
            "whether a replica that lags may become leader",
            breaks="acknowledged records are lost when it does",
        ),
    ] = False
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
        what is its default. With `defaults` all of them are, for reports: classes by their names.
        """
        found = {}
        for name, setting in settings_of(type(self)).items():
            if part not in setting.part or not (defaults or name in self.model_fields_set):
                continue
            value = getattr(self, name)
            if value is None and setting.none == "unset":
                continue
            native = setting.native or name
            if part in {"producer", "consumer"}:
                native = native.replace(".", "_")
            found[native] = native_value(value, setting, part)
        return found if defaults else with_classes(found)

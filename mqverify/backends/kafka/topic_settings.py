"""Kafka's settings of a topic, and mqverify's own words about it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from mqverify.backends.kafka.setting_tables import OWN, TOPIC, choice, choices, count, duration, flag, size
from mqverify.units import DAY, MILLISECOND

__all__ = ["TopicSettings"]


class TopicSettings(BaseModel):
    """What a spec says of the topic, and whose client reads and writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

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
    unclean_leader_election_enable: Annotated[
        bool,
        flag(
            TOPIC,
            "unclean.leader.election.enable",
            "whether a replica that lags may become leader",
            breaks="acknowledged records are lost when it does",
        ),
    ] = False
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

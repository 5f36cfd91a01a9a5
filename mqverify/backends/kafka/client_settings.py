"""Kafka's settings of producers and consumers. Defaults are kafka-python's."""

from typing import Annotated, Literal

from mqverify.backends.kafka.setting_tables import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    choice,
    choices,
    count,
    duration,
    flag,
    size,
)
from mqverify.backends.kafka.topic_settings import TopicSettings
from mqverify.units import MILLISECOND, MINUTE, SECOND

__all__ = ["ClientSettings"]


Assignor = Literal["range", "roundrobin", "sticky", "cooperative-sticky"]


class ClientSettings(TopicSettings):
    """What a spec says of the clients, after the topic: in this order settings are listed."""

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
        int,
        duration(
            CLIENT,
            "request.timeout.ms",
            "how long a client waits for a reply",
            least=MILLISECOND,
            breaks="what had no reply may have been done: without idempotence its retry duplicates records",
        ),
    ] = 30 * SECOND
    retry_backoff: Annotated[
        int,
        duration(
            CLIENT,
            "retry.backoff.ms",
            "how long a client waits before it tries again",
            least=0,
            breaks="what was in flight behind a failed batch overtakes it meanwhile, without idempotence",
        ),
    ] = 100 * MILLISECOND
    reconnect_backoff: Annotated[
        int,
        duration(
            CLIENT,
            "reconnect.backoff.ms",
            "how long a client waits before it connects again; doubled after each failure",
            least=0,
        ),
    ] = 50 * MILLISECOND
    reconnect_backoff_max: Annotated[
        int,
        duration(
            CLIENT,
            "reconnect.backoff.max.ms",
            "the longest wait before a client connects again",
            least=0,
            breaks="after a long cut a client comes back that late",
        ),
    ] = 30 * SECOND
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

"""Kafka as a system that a spec may name: which settings contradict each other, and what this version cannot run."""

from collections.abc import Iterable, Sequence
from typing import Final

from mqverify.backends.kafka.settings import KafkaSettings
from mqverify.spec.model import Fault, Workload
from mqverify.spec.registry import LATER, Contradiction, System, settings_of
from mqverify.units import MINUTE, format_duration

__all__ = ["SYSTEM"]


def _contradictions(settings: KafkaSettings) -> Iterable[Contradiction]:
    yield from _session(settings)
    yield from _producer(settings)
    if not settings.fetch_max_wait < settings.request_timeout < 9 * MINUTE:
        yield Contradiction(
            ("fetch_max_wait", "request_timeout"),
            "kafka-python refuses these: fetch_max_wait < request_timeout < 9m (connections.max.idle.ms) must hold",
            f"fetch_max_wait is {format_duration(settings.fetch_max_wait)}, "
            f"request_timeout {format_duration(settings.request_timeout)}",
        )
    strategies = set(settings.partition_assignment_strategy)
    if "cooperative-sticky" in strategies and len(strategies) > 1:
        yield Contradiction(
            ("partition_assignment_strategy",),
            "kafka-python refuses eager and cooperative assignors together",
            "write cooperative_sticky alone",
        )


def _session(settings: KafkaSettings) -> Iterable[Contradiction]:
    session = format_duration(settings.session_timeout)
    if settings.heartbeat_interval >= settings.session_timeout:
        yield Contradiction(
            ("heartbeat_interval", "session_timeout"),
            f"heartbeat_interval {format_duration(settings.heartbeat_interval)} is not below session_timeout {session}",
            "a third of session_timeout or less is usual",
        )
    lowest, highest = settings.group_min_session_timeout, settings.group_max_session_timeout
    if lowest > highest:
        yield Contradiction(
            ("group_min_session_timeout", "group_max_session_timeout"),
            "group_min_session_timeout is above group_max_session_timeout",
            "no session would be accepted",
        )
    elif not lowest <= settings.session_timeout <= highest:
        below = settings.session_timeout < lowest
        bound = "group_min_session_timeout" if below else "group_max_session_timeout"
        yield Contradiction(
            ("session_timeout", bound),
            f"the broker refuses session_timeout {session}: {bound} is {format_duration(lowest if below else highest)}",
            f"{'raise' if below else 'lower'} it, or {'lower' if below else 'raise'} {bound} beside it",
        )
    if settings.client == "librdkafka" and settings.max_poll_interval < settings.session_timeout:
        yield Contradiction(
            ("max_poll_interval", "session_timeout"),
            "librdkafka refuses a max_poll_interval below session_timeout",
            f"session_timeout is {session}",
        )


def _producer(settings: KafkaSettings) -> Iterable[Contradiction]:
    given = settings.model_fields_set
    if settings.enable_idempotence and "enable_idempotence" in given:
        conflicts = [
            (name, text)
            for name, wrong, text in (
                ("acks", settings.acks != "all", f"acks: {settings.acks}"),
                ("retries", settings.retries == 0, "retries: 0"),
                (
                    "max_in_flight_requests_per_connection",
                    settings.max_in_flight_requests_per_connection > 5,
                    "more than 5 in flight",
                ),
            )
            if wrong
        ]
        if conflicts:
            yield Contradiction(
                (conflicts[0][0], "enable_idempotence"),
                f"the client refuses enable_idempotence: true with {' and '.join(text for _, text in conflicts)}",
                "remove enable_idempotence: it is off by itself then",
            )
    if "delivery_timeout" in given and settings.delivery_timeout < settings.linger + settings.request_timeout:
        yield Contradiction(
            ("delivery_timeout",),
            f"delivery_timeout {format_duration(settings.delivery_timeout)} is below linger + request_timeout "
            f"{format_duration(settings.linger + settings.request_timeout)}",
            "raise it, or lower request_timeout beside it",
        )


def _limits(settings: KafkaSettings) -> Iterable[str]:
    """What this version of mqverify does not do yet."""
    for name, setting in settings_of(KafkaSettings).items():
        value = getattr(settings, name)
        chosen = value if isinstance(value, tuple) else (value,)
        for word in setting.later:
            if setting.words[word] in chosen:
                yield f"{name}: {word} {LATER}"


_OF_EVENT_STORE: Final = {
    "scavenge": "Kafka removes old segments by itself: there is no scavenge to ask for",
    "replay_parked": "Kafka has no parked messages: nobody replays a dead-letter topic",
    "delete_stream": "Kafka has no streams: delete_records takes records out of a partition",
}


def _misses(settings: KafkaSettings, workload: Workload, faults: Sequence[Fault]) -> Iterable[str]:
    """What Kafka has no notion of."""
    for fault in faults:
        if fault.kind in _OF_EVENT_STORE:
            yield f"{fault.kind}: {_OF_EVENT_STORE[fault.kind]}"
        if fault.kind == "lose" and settings.acks == 0 and any(end.startswith("producer") for end in fault.target):
            yield "lose: with acks: 0 the broker sends no reply to an append, so none can be lost"
    if workload.expected_revision != "any":
        yield "Kafka has no expected revision"
    if workload.shard is not None:
        yield "Kafka shares partitions among the consumers of a group: there is nothing to shard"


SYSTEM: Final = System(
    name="kafka",
    title="Kafka",
    model=KafkaSettings,
    contradictions=_contradictions,
    limits=_limits,
    misses=_misses,
    elsewhere={
        "shard": "it is a key of the workload, for catch-up subscriptions: Kafka shares partitions by itself",
        "enable_auto_commit": "say it with the workload: settle: automatic",
        "bootstrap_servers": "where it runs is said on the command line: -b kafka=local",
        "group_id": "the groups are named under workload: groups: [billing, shipping]",
        "transactional_id": "say it with the workload: transaction: 10 (messages in one)",
        "topic": "topics are created for the run, with names of their own",
        "num_partitions": "write partitions: 6",
    },
    partitions=lambda settings, keys: keys if settings.partitions == "per_key" else settings.partitions,
    takeover=lambda settings, _silent: settings.session_timeout + settings.heartbeat_interval,
)

"""Event Store as a system that a spec may name: which settings contradict each other, and what it has no notion of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mqverify.backends.eventstore.binding import reads, streams_wanted
from mqverify.backends.eventstore.settings import EventStoreSettings
from mqverify.spec.model import Fault, Workload
from mqverify.spec.registry import Contradiction, System
from mqverify.units import SECOND

__all__ = ["SETTLING", "SYSTEM"]

_AUTOMATIC: Final = "esdbclient settles nothing by itself: settle: automatic is Kafka's"
_NO_POSITION: Final = "the server keeps the position of a persistent subscription"

SETTLING: Final[Mapping[str, Mapping[str, str | None]]] = {
    "persistent": {
        "before_handling": None,
        "before_batch": None,
        "after_handling": None,
        "after_batch": None,
        "every": None,
        "automatic": _AUTOMATIC,
        "with_effect": f"{_NO_POSITION}: no effect can be stored with it",
    },
    "catch_up": {
        "before_handling": None,
        "before_batch": None,
        "after_handling": None,
        "after_batch": None,
        "every": None,
        "automatic": _AUTOMATIC,
        "with_effect": None,
    },
}
"""Which settling exists for which subscription; a text is why it does not."""


def _contradictions(settings: EventStoreSettings) -> Iterable[Contradiction]:
    if settings.subscribe == "persistent" and settings.history_buffer_size <= settings.read_batch_size:
        yield Contradiction(
            ("history_buffer_size", "read_batch_size"),
            f"the server refuses history_buffer_size {settings.history_buffer_size}: it has to be above "
            f"read_batch_size {settings.read_batch_size}",
            "raise it, or lower read_batch_size beside it",
        )
    if settings.min_checkpoint_count > settings.max_checkpoint_count:
        yield Contradiction(
            ("min_checkpoint_count", "max_checkpoint_count"),
            "min_checkpoint_count is above max_checkpoint_count",
            "swap them",
        )
    if settings.subscribe == "catch_up" and "strategy" in settings.model_fields_set:
        yield Contradiction(
            ("strategy",),
            "a catch-up subscription has no strategy: its consumers share nothing",
            "write subscribe: persistent, or remove it",
        )


def _misses(settings: EventStoreSettings, workload: Workload, faults: Sequence[Fault]) -> Iterable[str]:
    """What Event Store cannot do of a spec."""
    yield from _of_sources(settings, workload)
    yield from _of_groups(settings, workload, faults)
    yield from _of_faults(settings, faults)


def _of_sources(settings: EventStoreSettings, workload: Workload) -> Iterable[str]:
    """A subscription follows one source, and links only lead anywhere if they are resolved."""
    keys = workload.keys.count
    streams = streams_wanted(settings, keys)
    source = reads(settings)
    if source == "stream" and streams > 1:
        yield (
            f"a subscription follows one stream, and stream: {settings.stream} makes {streams}: "
            "write read: category, read: all or stream: one"
        )
    if source == "correlation" and keys > 1:
        yield (
            f"a subscription follows one correlation, and there are {keys} keys: write read: category or read: all, "
            "or keys: 1"
        )
    if source == "category" and settings.stream == "one":
        yield "stream: one has a name without '-', so it is in no category: write read: stream or read: all"
    links = source in {"category", "correlation"}
    if links and not settings.resolve_links and "resolve_links" in settings.model_fields_set:
        yield (
            f"read: {source} gives links, and with resolve_links: false no consumer sees the events they lead to: "
            "write resolve_links: true, or remove it"
        )


def _of_groups(settings: EventStoreSettings, workload: Workload, faults: Sequence[Fault]) -> Iterable[str]:
    persistent = settings.subscribe == "persistent"
    if persistent and workload.shard is not None:
        yield "the server shares a persistent subscription's events among its consumers: there is nothing to shard"
    for name, group in workload.groups.items():
        reason = SETTLING[settings.subscribe][workload.settle_of(group).policy]
        if reason is not None:
            yield reason
        elif persistent and workload.sink_of(group) == "transactional":
            yield (
                f"{_NO_POSITION}, and hands events out again in another order: a transactional sink would refuse them: "
                "write sink: idempotent"
            )
        handler = group.handler or workload.handler
        if not persistent and handler.on_failure == "park":
            yield (
                "a catch-up subscription has no parked stream: write subscribe: persistent for on_failure: park, "
                "or another on_failure"
            )
        if persistent:
            added = sum((fault.amount or 0) * fault.times for fault in faults if _adds_to(name, fault))
            yield from _refused_consumers(settings, workload, name, (group.consumers or workload.consumers) + added)


def _adds_to(group: str, fault: Fault) -> bool:
    return fault.kind == "add_consumers" and fault.group == group


def _refused_consumers(settings: EventStoreSettings, workload: Workload, name: str, consumers: int) -> Iterable[str]:
    most = settings.max_subscriber_count
    if 0 < most < consumers:
        of_group = "" if len(workload.groups) == 1 else f" of {name}"
        yield (
            f"the server refuses all but {most} of the {consumers} consumers{of_group}: "
            f"raise max_subscriber_count to {consumers}, or write 0 for any number"
        )


_NOT_OF_EVENT_STORE: Final = {
    "add_partitions": "Event Store has no partitions",
    "delete_records": "Event Store has no such request: write truncate_before, or delete_stream",
    "clock_skew": "the node stamps events with its own clock, whatever a client's says",
}


def _of_faults(settings: EventStoreSettings, faults: Sequence[Fault]) -> Iterable[str]:
    catch_up = settings.subscribe == "catch_up"
    for fault in faults:
        if fault.kind in _NOT_OF_EVENT_STORE:
            yield f"{fault.kind}: {_NOT_OF_EVENT_STORE[fault.kind]}"
        if fault.kind == "replay_parked" and catch_up:
            yield "replay_parked: a catch-up subscription has no parked stream: write subscribe: persistent"
        if fault.kind == "lose" and catch_up and not all(map(_is_producer, fault.target)):
            yield (
                "lose: ack, of: consumer: a catch-up subscription acknowledges nothing to the server, and its "
                "checkpoint is the application's own: write subscribe: persistent, or of: producer"
            )
        if "leader" in fault.target:
            yield f"{fault.kind}: the consumers of a subscription have no leader"
        if fault.point == "in_settle" and settings.subscribe == "persistent":
            yield (
                "point: in_settle: nobody answers an acknowledgement of a persistent subscription, so there is no "
                "moment between the two: write before_settle or after_settle"
            )


def _is_producer(target: str) -> bool:
    """Whether a target of a fault is one: `producer`, `producer-2`, and not `billing/consumer-2`."""
    return target.rpartition("/")[2].startswith("producer")


def _takeover(settings: EventStoreSettings, silent: bool) -> int | None:
    """Events of a connection that closes are given to others at once; of one that stays open when they time out."""
    return settings.message_timeout + SECOND if silent and settings.subscribe == "persistent" else None


SYSTEM: Final = System(
    name="eventstore",
    title="Event Store",
    model=EventStoreSettings,
    contradictions=_contradictions,
    misses=_misses,
    elsewhere={
        "shard": "it is a key of the workload: shard: key",
        "partitions": "Event Store keeps streams: write stream: per_key, or stream: one",
        "group": "the groups are named under workload: groups: [billing, shipping]",
        "group_name": "the groups are named under workload: groups: [billing, shipping]",
        "stream_name": "streams are created for the run; which there are is said by stream: per_key, or stream: one",
        "current_version": "say it with the workload: expected_revision: exact",
        "uri": "where it runs is not said in a spec; this version runs Event Store in the simulated world",
    },
    takeover=_takeover,
)

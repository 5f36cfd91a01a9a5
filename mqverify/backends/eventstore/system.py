"""Event Store as a system that a spec may name. This version knows it and cannot run it yet."""

from collections.abc import Iterable
from typing import Any, Final

from mqverify.backends.eventstore.settings import EventStoreSettings
from mqverify.spec.registry import Contradiction, System

__all__ = ["SYSTEM"]


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


def _limits(_settings: Any) -> Iterable[str]:
    yield "Event Store comes with a later version of mqverify"


SYSTEM: Final = System(
    name="eventstore",
    title="Event Store",
    model=EventStoreSettings,
    contradictions=_contradictions,
    limits=_limits,
    elsewhere={
        "partitions": "Event Store keeps streams: write stream: per_key, or stream: one",
        "group": "the groups are named under workload: groups: [billing, shipping]",
        "uri": "where it runs is said on the command line: -b eventstore=esdb://HOST:2113",
    },
)

"""What the client tells of persistent subscriptions and projections: esdbclient's own records, in its units."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mqverify.simulation.eventstore import protocol
from mqverify.simulation.kernel import SECOND

__all__ = ["ProjectionStatistics", "SubscriptionInfo"]

_SETTINGS: Final = (
    "resolve_links", "consumer_strategy", "message_timeout", "max_retry_count", "min_checkpoint_count",
    "max_checkpoint_count", "checkpoint_after", "max_subscriber_count", "live_buffer_size", "read_batch_size",
    "history_buffer_size", "extra_statistics",
)  # fmt: skip


@dataclass
class SubscriptionInfo:
    """A persistent subscription. Durations are seconds; positions are texts, `"41"` or `"C:123/P:123"`."""

    event_source: str
    group_name: str
    status: str
    average_per_second: int
    total_items: int
    count_since_last_measurement: int
    last_checkpointed_event_position: str
    last_known_event_position: str
    resolve_links: bool
    start_from: str
    message_timeout: float
    extra_statistics: bool
    max_retry_count: int
    live_buffer_size: int
    history_buffer_size: int
    read_batch_size: int
    checkpoint_after: float
    min_checkpoint_count: int
    max_checkpoint_count: int
    read_buffer_count: int
    live_buffer_count: int
    retry_buffer_count: int
    total_in_flight_messages: int
    outstanding_messages_count: int
    consumer_strategy: str
    max_subscriber_count: int
    parked_message_count: int

    @classmethod
    def of(cls, group: protocol.GroupInfo) -> "SubscriptionInfo":
        """Rates are 0: the node does not measure them."""
        settings = group.settings
        start = -1 if settings.from_end else settings.start
        return cls(
            event_source="$all" if group.stream is None else group.stream,
            group_name=group.group,
            status=group.status,
            average_per_second=0,
            total_items=group.total_items,
            count_since_last_measurement=0,
            last_checkpointed_event_position=group.last_checkpointed,
            last_known_event_position=group.last_known,
            resolve_links=settings.resolve_links,
            start_from=f"C:{start}/P:{start}" if group.stream is None else str(start),
            message_timeout=settings.message_timeout / SECOND,
            extra_statistics=False,
            max_retry_count=settings.max_retry_count,
            live_buffer_size=settings.live_buffer_size,
            history_buffer_size=settings.history_buffer_size,
            read_batch_size=settings.read_batch_size,
            checkpoint_after=settings.checkpoint_after / SECOND,
            min_checkpoint_count=settings.min_checkpoint_count,
            max_checkpoint_count=settings.max_checkpoint_count,
            read_buffer_count=group.read_buffer_count,
            live_buffer_count=group.live_buffer_count,
            retry_buffer_count=group.retry_buffer_count,
            total_in_flight_messages=group.in_flight,
            outstanding_messages_count=group.outstanding,
            consumer_strategy=settings.strategy,
            max_subscriber_count=settings.max_subscriber_count,
            parked_message_count=group.parked,
        )

    def updated(self, given: Mapping[str, Any], position: int | None) -> dict[str, Any]:
        """All settings that an update sends: each is rewritten (`update_all_kwargs`, `update_stream_kwargs`).

        What is None in `given` stays as it is; where to start, too, if both `from_end` and `position` are None.
        """
        from_end = given["from_end"]
        if from_end is None and position is None:
            text = self.start_from.split("/")[0].split(":")[1] if self.event_source == "$all" else self.start_from
            from_end = int(text) == -1
            position = int(text) if int(text) > 0 else None
        settings = {name: getattr(self, name) if given[name] is None else given[name] for name in _SETTINGS}
        return {"from_end": from_end or False, "position": position, **settings}


@dataclass(frozen=True)
class ProjectionStatistics:
    """A projection; what the node does not keep is 0 or empty."""

    core_processing_time: int
    version: int
    epoch: int
    effective_name: str
    writes_in_progress: int
    reads_in_progress: int
    partitions_cached: int
    status: str
    state_reason: str
    name: str
    mode: str
    position: str
    progress: float
    last_checkpoint: str
    events_processed_after_restart: int
    checkpoint_status: str
    buffered_events: int
    write_pending_events_before_checkpoint: int
    write_pending_events_after_checkpoint: int

    @classmethod
    def of(cls, projection: protocol.ProjectionStatistics) -> "ProjectionStatistics":
        return cls(
            core_processing_time=0,
            version=0,
            epoch=0,
            effective_name=projection.name,
            writes_in_progress=0,
            reads_in_progress=0,
            partitions_cached=0,
            status=projection.status,
            state_reason="",
            name=projection.name,
            mode="Continuous",
            position=f"C:{projection.position}/P:{projection.position}",
            progress=projection.progress,
            last_checkpoint="",
            events_processed_after_restart=0,
            checkpoint_status="",
            buffered_events=0,
            write_pending_events_before_checkpoint=0,
            write_pending_events_after_checkpoint=0,
        )

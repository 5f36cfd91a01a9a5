"""Provisioning on esdbclient's API, and what is still owed to groups; the fresh reader is `reader.py`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mqverify.backends.base import NotDone
from mqverify.backends.eventstore.acts import AdminActs
from mqverify.backends.eventstore.binding import ALL, Binding, seconds
from mqverify.backends.eventstore.reader import FreshReader, Seen, caught_up
from mqverify.backends.eventstore.revisions import has_more, last_position
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import RunRows
from mqverify.units import SECOND
from mqverify.workload.groups import ConsumerGroup

__all__ = ["EventStoreAdmin"]

_COUNTS: Final = (
    "max_retry_count", "min_checkpoint_count", "max_checkpoint_count", "max_subscriber_count", "live_buffer_size",
    "read_batch_size", "history_buffer_size",
)  # fmt: skip


class EventStoreAdmin:
    """Sets streams up, creates subscriptions, looks at them, reads, removes."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._client = binding.client("mqverify")
        self._reader = FreshReader(binding, self._client)
        self._last_seen = Seen(0, 0, 0)
        self._opened: dict[str, int] = {}
        """Of each group with a subscription: the last position that it need not know of."""
        self._acts = AdminActs(binding, self._client, self._opened)

    def create(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Enable the projection that writes the source's links; say what streams keep. Streams come with appends."""
        self._acts.note_in(rows, stamp)
        if self._binding.projection is not None:
            self._client.enable_projection(name=self._binding.projection)
        metadata = self._stream_metadata()
        if metadata:
            for stream in self._binding.streams:
                self._client.set_stream_metadata(stream, metadata=metadata)

    def open_group(self, group: ConsumerGroup, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Create its subscription, if the server keeps one."""
        binding = self._binding
        if not binding.persistent:
            return
        from_end = binding.from_end(group)
        options = {"from_end": from_end, **self._subscription_options()}
        if binding.source == ALL:
            options |= binding.own_streams
            self._client.create_subscription_to_all(binding.group_id(group.name), **options)
        else:
            self._client.create_subscription_to_stream(binding.group_id(group.name), binding.source, **options)
        self._opened[group.name] = last_position(self._client, binding, binding.source) if from_end else -1

    def remove(self) -> Sequence[str]:
        """Delete the subscriptions and the streams; links to what is gone stay, as the server keeps them."""
        exceptions = self._binding.library.exceptions
        for group in self._opened:
            source = None if self._binding.source == ALL else self._binding.source
            self._client.delete_subscription(self._binding.group_id(group), source)
        for stream in self._binding.streams:
            try:
                self._client.delete_stream(stream, current_version=self._binding.library.StreamState.ANY)
            except exceptions.NotFound:
                continue
        return ()

    def brokers(self) -> Mapping[int, str]:
        return {}

    def acts(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        return self._acts.by_kind()

    def committed(self) -> Mapping[str, Mapping[int, int]]:
        return {}  # no real one can be reached

    def let_pass(self, passed: int, by: int, wait: Callable[[float], None], tell: Callable[[str], None]) -> None:
        raise NotDone("no real Event Store can be reached, whose $maxAge could be lowered")

    def places(self) -> list[str]:
        return self._binding.places()

    def read(self, rows: RunRows, stamp: Callable[[], int], reading: int, reason: str) -> int:
        self._last_seen = self._reader.read(rows, stamp, reading, reason)
        return self._last_seen.following

    def holders(self, place: int) -> Sequence[int]:
        raise NotDone("each node of Event Store holds every stream")

    def unsound(self) -> Mapping[int, str]:
        return {}

    def unclean_elections(self) -> Sequence[tuple[int, int, int]]:
        return ()

    def footprint(self) -> Mapping[str, int]:
        """What the last reading saw: `streams` of the run that have an event, and the `bytes` of their events."""
        return {"partitions": 0, "streams": self._last_seen.streams, "bytes": self._last_seen.bytes}

    def close(self) -> None:
        self._client.close()

    def behind(self, progress: Mapping[str, Mapping[int, int]]) -> Mapping[str, Sequence[str]]:
        binding = self._binding
        if not caught_up(self._client, binding):
            return {group: [f"the projection {binding.projection} has not caught up"] for group in progress}
        if not binding.persistent:
            return {group: self._not_delivered(reached) for group, reached in progress.items()}
        last = last_position(self._client, binding, binding.source)
        return {group: self._not_done(group, last) for group in progress}

    def _not_delivered(self, reached: Mapping[int, int]) -> list[str]:
        """What a catch-up subscription has yet to be given."""
        binding = self._binding
        position = reached.get(binding.source_place)
        waiting = has_more(self._client, binding, position or 0)
        if waiting is None:
            return []
        stands = "no position" if position is None else position
        return [f"{self._source_name} at {stands}, where {waiting} waits"]

    def _not_done(self, group: str, last: int) -> list[str]:
        """What the server knows to be on its way to a group, or does not know of yet."""
        binding = self._binding
        source = None if binding.source == ALL else binding.source
        info = self._client.get_subscription_info(binding.group_id(group), source)
        counts = (
            (info.read_buffer_count, "to be pushed"),
            (info.retry_buffer_count, "to be pushed again"),
            (info.outstanding_messages_count, "pushed and not acknowledged"),
        )
        told = [f"{count} event{'s' if count > 1 else ''} {what}" for count, what in counts if count]
        if max(_position(info.last_known_event_position), self._opened.get(group, -1)) < last:
            told.append(f"the subscription has not come to {last} of {self._source_name}")
        elif not told and "OutstandingPageRequest" in info.status:
            told.append("the subscription is reading")
        elif not told and "ReplayingParkedMessages" in info.status:
            told.append("the subscription is replaying what it had parked")
        return told

    @property
    def _source_name(self) -> str:
        return self._binding.places()[self._binding.source_place]

    def _stream_metadata(self) -> dict[str, int]:
        settings = self._binding.settings
        found = {
            "$maxAge": None if settings.max_age is None else settings.max_age // SECOND,
            "$maxCount": settings.max_count,
            "$tb": settings.truncate_before,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _subscription_options(self) -> dict[str, Any]:
        settings = self._binding.settings
        return {
            "resolve_links": self._binding.resolve_links,
            "consumer_strategy": settings.strategy,
            "message_timeout": seconds(settings.message_timeout),
            "checkpoint_after": seconds(settings.checkpoint_after),
            **{name: getattr(settings, name) for name in _COUNTS},
        }


def _position(text: str) -> int:
    """`41` or `C:123/P:123` as the server tells a position; −1: it knows none."""
    number = text.strip('"').partition("/")[0].removeprefix("C:")
    return int(number) if number else -1

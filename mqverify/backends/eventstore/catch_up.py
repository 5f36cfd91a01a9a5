"""A consumer of a catch-up subscription on esdbclient's API: it is given everything, and keeps its own checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mqverify.backends.eventstore.binding import ALL, Binding
from mqverify.backends.eventstore.revisions import last_position
from mqverify.backends.eventstore.subscription import IN_BATCHES, Subscription
from mqverify.units import MICROSECOND
from mqverify.workload.client import Context, Received, Rejection
from mqverify.workload.groups import ConsumerGroup

__all__ = ["CatchUpConsumerClient"]

STORING: Final = 200 * MICROSECOND
"""How long the application takes to store its checkpoint: a write to a database of its own."""

_BATCH: Final = 100
"""Events that the application takes at once where it works in batches."""


class CatchUpConsumerClient:
    """Iterates over a subscription from its own checkpoint on, or from its sink's position where the sink keeps one.

    A checkpoint is the position behind the last event that it covers, so it settles everything below. It is one for
    each group, and for each shard of one. What falls to another shard is not handled, and not recorded. If the
    subscription breaks it subscribes again, behind the last event that it took.
    """

    redelivers = False

    def __init__(
        self, binding: Binding, context: Context, name: str, group: ConsumerGroup, shard: int | None = None
    ) -> None:
        self._binding = binding
        self._context = context
        self._recorder = context.recorder
        self._decode = binding.plan.payloads.decode
        self._group = group
        self._shard = shard
        self._checkpoint = group.name if shard is None else f"{group.name}/shard-{shard}"
        self._most = _BATCH if group.settle.policy in IN_BATCHES else 1
        self._next: int | None = None
        """The position behind the last event that it took."""
        self._client = binding.client(name)
        self._start_from = "kept"
        self._subscription = Subscription(binding, context, self._most, self._subscribe, self._opened, self._lost)

    def start(self) -> None:
        self._next, self._start_from = self._subscription.insist(self._start)
        self._subscription.start()

    def poll(self, timeout: int) -> Sequence[Received]:
        until = self._context.now() + timeout
        while True:
            events = self._subscription.take(max(0, until - self._context.now()), self._most)
            received = [one for event in events if (one := self._receive(event)) is not None]
            if received or not events or events[-1].is_system_event:
                return received  # nothing, if the server only told of itself: the loop tells how far it has come

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        last = received[-1]
        token = self._recorder.settling(last.source, last.position + 1, "checkpoint", "below")
        self._context.checkpoints[self._checkpoint] = last.position + 1
        self._context.sleep(STORING)
        self._recorder.settled(token, "acked")
        return True

    def reject(self, received: Received, action: Rejection) -> bool:
        """There is nobody to tell: a skip is a checkpoint past the event."""
        return False

    def progress(self) -> Mapping[int, int] | None:
        if self._next is None or not self._subscription.is_open:
            return None
        return {self._binding.source_place: self._next}

    def close(self, clean: bool) -> None:
        self._subscription.close()
        self._client.close()

    def _opened(self) -> None:
        token = self._recorder.assigned(self._binding.source_place)
        self._recorder.start_known(token, self._next, self._start_from)
        self._start_from = "kept"

    def _lost(self) -> None:
        self._recorder.lost(self._binding.source_place)

    def _start(self) -> tuple[int, str]:
        """The first position that it wants, and why."""
        sink = self._context.sink
        kept = None if sink is None else sink.position(self._binding.source_place)
        if kept is not None:
            return kept, "sink"
        stored = self._context.checkpoints.get(self._checkpoint)
        if stored is not None:
            return stored, "committed"
        if self._binding.from_end(self._group):
            return last_position(self._client, self._binding, self._binding.source) + 1, "end"
        return 0, "beginning"

    def _subscribe(self) -> Any:
        """Subscriptions begin behind a position; None is the beginning."""
        binding = self._binding
        after = self._next - 1 if self._next else None
        if binding.source == ALL:
            return self._client.subscribe_to_all(
                commit_position=after, resolve_links=binding.resolve_links, **binding.own_streams
            )
        return self._client.subscribe_to_stream(
            binding.source, stream_position=after, resolve_links=binding.resolve_links
        )

    def _receive(self, event: Any) -> Received | None:
        """Record a delivery; None for an event of another shard, and what the server tells of its own (a deletion)."""
        binding = self._binding
        position = binding.source_position(event)
        self._next = position + 1
        if event.is_system_event:
            return None
        message, key, sequence, intact = self._decode(event.data)
        if self._shard is not None:
            number = 0 if message is None else binding.plan.key_numbers[message]
            if number % self._group.consumers != self._shard:
                return None
        source, place = binding.source_place, binding.place_of.get(event.stream_name)
        facts = (message, key, sequence, place, event.stream_position, source, position, intact)
        return Received(self._recorder.delivered(*facts), message, source, position, facts, event)

"""A consumer of a persistent subscription on esdbclient's API: the server shares events, each settled by itself."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from mqverify.backends.eventstore.binding import ALL, Binding, seconds
from mqverify.workload.client import Context, Feed, Received, Rejection
from mqverify.workload.groups import ConsumerGroup

__all__ = ["PersistentConsumerClient"]

_IN_BATCHES = frozenset({"before_batch", "after_batch"})


class PersistentConsumerClient:
    """Iterates over a subscription that the admin has created; acks and nacks each event.

    Nobody answers an ack, so a settlement's outcome stays unknown, unless a world that sees the server tells that it
    was applied (`applied`). If the subscription breaks it is opened again: the library does not do that by itself
    (docs/facts/eventstore.md §F5).
    """

    redelivers = True

    def __init__(self, binding: Binding, context: Context, name: str, group: ConsumerGroup) -> None:
        settings = binding.settings
        self._binding = binding
        self._context = context
        self._recorder = context.recorder
        self._decode = binding.plan.payloads.decode
        self._group = binding.group_id(group.name)
        self._most = settings.event_buffer_size if group.settle.policy in _IN_BATCHES else 1
        self._asked: dict[UUID, int] = {}
        """Of each event the settlement asked for last, by the id that it is acknowledged by."""
        self._flushed_at = 0
        """By when everything that was settled has left the client."""
        self._feed: Feed | None = None
        self._subscription: Any = None
        self._client = binding.client(name)

    def start(self) -> None:
        binding, settings = self._binding, self._binding.settings
        token = self._recorder.assigned(binding.source_place)
        options = {
            "event_buffer_size": settings.event_buffer_size,
            "max_ack_batch_size": settings.max_ack_batch_size,
            "max_ack_delay": seconds(settings.max_ack_delay),
            "stopping_grace": seconds(settings.stopping_grace),
        }
        if binding.source == ALL:
            self._subscription = self._client.read_subscription_to_all(self._group, **options)
        else:
            self._subscription = self._client.read_subscription_to_stream(self._group, binding.source, **options)
        self._recorder.start_known(token, None, "committed")  # the server goes on where it was, and keeps it to itself
        self._feed = self._context.feed(self._subscription, settings.event_buffer_size)

    def poll(self, timeout: int) -> Sequence[Received]:
        assert self._feed is not None
        try:
            return [self._receive(event) for event in self._feed.take(timeout, self._most)]
        except self._binding.library.exceptions.GrpcError:
            self._recorder.lost(self._binding.source_place)
            self.start()
            return ()

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        for one in received:
            self._ask(one, "ack")
            self._subscription.ack(one.native)
        return True

    def reject(self, received: Received, action: Rejection) -> bool:
        self._ask(received, action)
        self._subscription.nack(received.native, action)
        return True

    def progress(self) -> Mapping[int, int] | None:
        """The broker alone knows it, and only once it has been told everything."""
        if self._subscription is None or self._context.now() < self._flushed_at:
            return None
        return {}

    def close(self, clean: bool) -> None:
        if self._subscription is not None:
            self._subscription.stop()
        self._client.close()

    def applied(self, event_id: UUID, _action: str) -> None:
        """The server did what was asked for an event: it was outstanding still."""
        token = self._asked.pop(event_id, None)
        if token is not None:
            self._recorder.settled(token, "acked")

    def _ask(self, received: Received, action: str) -> None:
        self._asked[received.native.ack_id] = self._recorder.settling(
            received.source, received.position, action, "one", "consumer", received.message
        )
        self._flushed_at = self._context.now() + self._binding.settings.max_ack_delay

    def _receive(self, event: Any) -> Received:
        binding = self._binding
        message, key, sequence, intact = self._decode(event.data)
        source, position = binding.source_place, binding.source_position(event)
        place = binding.place_of.get(event.stream_name)
        facts = (message, key, sequence, place, event.stream_position, source, position, intact)
        redelivered = event.retry_count or 0
        token = self._recorder.delivered(*facts, redelivered=redelivered)
        return Received(token, message, source, position, facts, event, redelivered + 1)

"""A consumer of a persistent subscription on esdbclient's API: the server shares events, each settled by itself."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from mqverify.backends.eventstore.binding import ALL, Binding, seconds
from mqverify.backends.eventstore.subscription import IN_BATCHES, Subscription
from mqverify.workload.client import Context, Received, Rejection
from mqverify.workload.groups import ConsumerGroup

__all__ = ["PersistentConsumerClient"]


class PersistentConsumerClient:
    """Iterates over a subscription that the admin has created; acks and nacks each event.

    Nobody answers an ack, so a settlement's outcome stays unknown, unless a world that sees the server tells that it
    was applied (`applied`). If the subscription breaks it is opened again.
    """

    redelivers = True

    def __init__(self, binding: Binding, context: Context, name: str, group: ConsumerGroup) -> None:
        settings = binding.settings
        self._binding = binding
        self._context = context
        self._recorder = context.recorder
        self._decode = binding.plan.payloads.decode
        self._group = binding.group_id(group.name)
        self._most = settings.event_buffer_size if group.settle.policy in IN_BATCHES else 1
        self._asked: dict[UUID, list[tuple[str, int]]] = {}
        """What was asked for each event and is not known to be applied, by the id that it is acknowledged by, in the
        order of asking: actions and settlements. Empty where nobody tells what was applied.
        """
        self._flushed_at = 0
        """By when everything that was settled has left the client."""
        self._client = binding.client(name)
        self._subscription = Subscription(
            binding, context, settings.event_buffer_size, self._subscribe, self._joined, self._lost
        )

    def start(self) -> None:
        self._subscription.start()

    def poll(self, timeout: int) -> Sequence[Received]:
        """What the server tells of its own among them (a stream of a category was deleted) is acknowledged, no more."""
        events = self._subscription.take(timeout, self._most)
        return [self._receive(event) for event in events if not self._is_of_the_server(event)]

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        for one in received:
            self._ask(one, "ack")
            self._subscription.native.ack(one.native)
        return True

    def reject(self, received: Received, action: Rejection) -> bool:
        self._ask(received, action)
        self._subscription.native.nack(received.native, action)
        return True

    def progress(self) -> Mapping[int, int] | None:
        """The broker alone knows it, and only once it has been told everything."""
        if not self._subscription.is_open or self._context.now() < self._flushed_at:
            return None
        return {}

    def close(self, clean: bool) -> None:
        self._subscription.close()
        self._client.close()

    def applied(self, event_id: UUID, action: str) -> None:
        """The server did what was asked for an event: it was outstanding still.

        An event may have come again and been settled again before the server has seen the first of it. It takes what it
        is asked in order: the first such action is meant, and what was asked before that was in vain.
        """
        asked = self._asked.get(event_id, [])
        for number, (one, token) in enumerate(asked):
            if one == action:
                self._recorder.settled(token, "acked")
                del asked[: number + 1]
                break
        if not asked:
            self._asked.pop(event_id, None)

    def _is_of_the_server(self, event: Any) -> bool:
        if not event.is_system_event:
            return False
        self._subscription.native.ack(event)
        self._flushed_at = self._context.now() + self._binding.settings.max_ack_delay
        return True

    def _ask(self, received: Received, action: str) -> None:
        token = self._recorder.settling(received.source, received.position, action, "one", "consumer", received.message)
        if self._binding.observed:
            self._asked.setdefault(received.native.ack_id, []).append((action, token))
        self._flushed_at = self._context.now() + self._binding.settings.max_ack_delay

    def _subscribe(self) -> Any:
        binding, settings = self._binding, self._binding.settings
        options = {
            "event_buffer_size": settings.event_buffer_size,
            "max_ack_batch_size": settings.max_ack_batch_size,
            "max_ack_delay": seconds(settings.max_ack_delay),
            "stopping_grace": seconds(settings.stopping_grace),
        }
        if binding.source == ALL:
            return self._client.read_subscription_to_all(self._group, **options)
        return self._client.read_subscription_to_stream(self._group, binding.source, **options)

    def _joined(self) -> None:
        """The server goes on where the group was, and keeps it to itself."""
        self._recorder.start_known(self._recorder.assigned(self._binding.source_place), None, "committed")

    def _lost(self) -> None:
        """What was asked for on it and is not known to be applied stays unknown: an event may come again now."""
        self._asked.clear()
        self._recorder.lost(self._binding.source_place)

    def _receive(self, event: Any) -> Received:
        binding = self._binding
        message, key, sequence, intact = self._decode(event.data)
        source, position = binding.source_place, binding.received_position(event)
        place = binding.place_of.get(event.stream_name)
        facts = (message, key, sequence, place, event.stream_position, source, position, intact)
        redelivered = event.retry_count or 0
        token = self._recorder.delivered(*facts, redelivered=redelivered)
        # Of a replayed event the position may be unknown: nobody here settles by positions.
        return Received(token, message, source, cast(int, position), facts, event, redelivered + 1)

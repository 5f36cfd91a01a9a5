"""A consumer of a persistent subscription as the application iterates it (esdbclient's `persistent.py`)."""

from typing import Any, Literal
from uuid import UUID

from mqverify.simulation.eventstore.channel import Channel
from mqverify.simulation.eventstore.exceptions import (
    CancelledByClient,
    EventStoreDBClientException,
    ExceptionIteratingRequests,
    SubscriptionConfirmationError,
)
from mqverify.simulation.eventstore.failures import rpc_error
from mqverify.simulation.eventstore.protocol import Confirmed, Failed, ReadGroup
from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.eventstore.settlements import Settlements
from mqverify.simulation.eventstore.subscriptions import Responses

__all__ = ["PersistentSubscription"]

_ACTIONS = ("unknown", "park", "retry", "skip", "stop")


class PersistentSubscription(Responses):
    """Events that the node pushes to this consumer, each to be acked or nacked. Made once the node has confirmed it.

    When the call ends, `__next__` raises; nothing joins again by itself, and what was not sent is lost.
    """

    def __init__(
        self,
        channel: Channel,
        group_name: str,
        stream_name: str | None,
        event_buffer_size: int,
        max_ack_batch_size: int,
        max_ack_delay: float,
        stopping_grace: float,
        timeout: float | None,
    ) -> None:
        assert isinstance(event_buffer_size, int)
        assert event_buffer_size > 0
        self._settlements = Settlements(
            channel.kernel, channel.process, self._send, self._fail,
            max_ack_batch_size, max_ack_delay, stopping_grace,
        )  # fmt: skip
        request = ReadGroup(stream_name, group_name, event_buffer_size)
        super().__init__(channel, request, timeout)
        try:
            first = self._confirmation()
            if type(first) is not Confirmed:
                raise EventStoreDBClientException(f"Expected subscription confirmation, got: {first}")
            source, _, group = first.subscription_id.partition("::")
            if group != group_name or source != ("$all" if stream_name is None else stream_name):
                raise SubscriptionConfirmationError
        except Exception:
            self._abort()
            raise
        self._subscription_id: str = first.subscription_id

    @property
    def subscription_id(self) -> str:
        return self._subscription_id

    def __next__(self) -> RecordedEvent:
        try:
            event = self._next()
        except CancelledByClient:
            raise StopIteration from None
        return event

    def ack(self, item: UUID | RecordedEvent) -> None:
        """Queue the word that `item` is handled (`Settlements`)."""
        self._settlements.add(self._get_event_id(item), "ack")

    def nack(self, item: UUID | RecordedEvent, action: Literal["unknown", "park", "retry", "skip", "stop"]) -> None:
        """Queue the word that `item` is not handled, and what the node shall do with it."""
        assert action in _ACTIONS
        self._settlements.add(self._get_event_id(item), action)

    def stop(self) -> None:
        """Send what is queued, give the node `stopping_grace` to take it, and leave. Other tasks' iterations end."""
        if not self._is_stopped:
            self._is_stopped = True
            self._settlements.stop()
            self._cancel()
            self._channel.streamers.pop(id(self), None)

    def _abort(self) -> None:
        self._is_stopped = True
        self._settlements.abort()
        self._cancel()
        self._channel.streamers.pop(id(self), None)

    @staticmethod
    def _get_event_id(item: UUID | RecordedEvent) -> UUID:
        if isinstance(item, RecordedEvent):
            return item.id if item.link is None else item.link.id
        return item

    def _send(self, request: Any) -> bool:
        if not self._ended:
            self._call.send(request)
        return not self._ended

    def _fail(self, cause: Exception) -> None:
        def failure() -> Exception:
            error = ExceptionIteratingRequests()
            error.__cause__ = cause
            return error

        self._cancel(failure)

    def _error(self, failed: Failed) -> Exception:
        return rpc_error(failed)

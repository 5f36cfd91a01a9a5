"""Persistent subscriptions from the client's side: create, update, delete, look at, join.

esdbclient's `PersistentSubscriptionsService`; its defaults are not the node's (docs/facts/eventstore.md §A1).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mqverify.simulation.eventstore.connected import ConnectedClient
from mqverify.simulation.eventstore.exceptions import NotFound
from mqverify.simulation.eventstore.failures import info_error
from mqverify.simulation.eventstore.information import SubscriptionInfo
from mqverify.simulation.eventstore.persistent_subscription import PersistentSubscription
from mqverify.simulation.eventstore.protocol import (
    AllFilter,
    CreateGroup,
    DeleteGroup,
    GroupSettings,
    InfoOfGroup,
    ListGroups,
    ReplayParked,
    UpdateGroup,
)
from mqverify.simulation.eventstore.reading import (
    DEFAULT_CHECKPOINT_INTERVAL_MULTIPLIER,
    DEFAULT_EXCLUDE_FILTER,
    DEFAULT_WINDOW_SIZE,
    all_filter,
)
from mqverify.simulation.eventstore.retries import retried
from mqverify.simulation.kernel import MILLISECOND

__all__ = ["PersistentClient"]

MESSAGE_TIMEOUT: Final = 30.0
MAX_RETRY_COUNT: Final = 10
MIN_CHECKPOINT_COUNT: Final = 10
MAX_CHECKPOINT_COUNT: Final = 1000
CHECKPOINT_AFTER: Final = 2.0
EVENT_BUFFER_SIZE: Final = 150
MAX_ACK_BATCH_SIZE: Final = 50
MAX_ACK_DELAY: Final = 0.2
STOPPING_GRACE: Final = 0.2
MAX_SUBSCRIBER_COUNT: Final = 5
LIVE_BUFFER_SIZE: Final = 500
READ_BATCH_SIZE: Final = 200
HISTORY_BUFFER_SIZE: Final = 500

_NO_FILTER: Final = AllFilter()
_UPDATABLE: Final = {name: name for name in ("DispatchToSingle", "RoundRobin", "Pinned")}
"""The strategies that `UpdateReq` can name; another raises `KeyError`, as in esdbclient."""


def _nanoseconds(seconds: float) -> int:
    """Rounded to milliseconds, as they are on the wire."""
    return round(1000 * seconds) * MILLISECOND


def _settings(given: Mapping[str, Any], position: int | None, chosen: AllFilter = _NO_FILTER) -> GroupSettings:
    """What goes to the node of a method's arguments `given`, or of what an update keeps."""
    return GroupSettings(
        start=position or 0,
        from_end=given["from_end"] and position is None,
        resolve_links=given["resolve_links"],
        strategy=given["consumer_strategy"],
        message_timeout=_nanoseconds(given["message_timeout"]),
        max_retry_count=given["max_retry_count"],
        min_checkpoint_count=given["min_checkpoint_count"],
        max_checkpoint_count=given["max_checkpoint_count"],
        checkpoint_after=_nanoseconds(given["checkpoint_after"]),
        max_subscriber_count=given["max_subscriber_count"],
        live_buffer_size=given["live_buffer_size"],
        read_batch_size=given["read_batch_size"],
        history_buffer_size=given["history_buffer_size"],
        filter=chosen,
    )


class PersistentClient(ConnectedClient):
    """The methods for persistent subscriptions. Durations are seconds."""

    @retried
    def create_subscription_to_all(
        self,
        group_name: str,
        *,
        from_end: bool = False,
        commit_position: int | None = None,
        resolve_links: bool = False,
        filter_exclude: Sequence[str] = DEFAULT_EXCLUDE_FILTER,
        filter_include: Sequence[str] = (),
        filter_by_stream_name: bool = False,
        window_size: int = DEFAULT_WINDOW_SIZE,
        checkpoint_interval_multiplier: int = DEFAULT_CHECKPOINT_INTERVAL_MULTIPLIER,
        consumer_strategy: str = "DispatchToSingle",
        message_timeout: float = MESSAGE_TIMEOUT,
        max_retry_count: int = MAX_RETRY_COUNT,
        min_checkpoint_count: int = MIN_CHECKPOINT_COUNT,
        max_checkpoint_count: int = MAX_CHECKPOINT_COUNT,
        checkpoint_after: float = CHECKPOINT_AFTER,
        max_subscriber_count: int = MAX_SUBSCRIBER_COUNT,
        live_buffer_size: int = LIVE_BUFFER_SIZE,
        read_batch_size: int = READ_BATCH_SIZE,
        history_buffer_size: int = HISTORY_BUFFER_SIZE,
        extra_statistics: bool = False,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        chosen = all_filter(filter_exclude, filter_include, filter_by_stream_name)
        settings = _settings(locals(), commit_position, chosen)
        self._channel.ask(CreateGroup(None, group_name, settings), self._deadline(timeout))

    @retried
    def create_subscription_to_stream(
        self,
        group_name: str,
        stream_name: str,
        *,
        from_end: bool = False,
        stream_position: int | None = None,
        resolve_links: bool = False,
        consumer_strategy: str = "DispatchToSingle",
        message_timeout: float = MESSAGE_TIMEOUT,
        max_retry_count: int = MAX_RETRY_COUNT,
        min_checkpoint_count: int = MIN_CHECKPOINT_COUNT,
        max_checkpoint_count: int = MAX_CHECKPOINT_COUNT,
        checkpoint_after: float = CHECKPOINT_AFTER,
        max_subscriber_count: int = MAX_SUBSCRIBER_COUNT,
        live_buffer_size: int = LIVE_BUFFER_SIZE,
        read_batch_size: int = READ_BATCH_SIZE,
        history_buffer_size: int = HISTORY_BUFFER_SIZE,
        extra_statistics: bool = False,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        settings = _settings(locals(), stream_position)
        self._channel.ask(CreateGroup(stream_name, group_name, settings), self._deadline(timeout))

    @retried
    def update_subscription_to_all(
        self,
        group_name: str,
        *,
        from_end: bool | None = None,
        commit_position: int | None = None,
        resolve_links: bool | None = None,
        consumer_strategy: str | None = None,
        message_timeout: float | None = None,
        max_retry_count: int | None = None,
        min_checkpoint_count: int | None = None,
        max_checkpoint_count: int | None = None,
        checkpoint_after: float | None = None,
        max_subscriber_count: int | None = None,
        live_buffer_size: int | None = None,
        read_batch_size: int | None = None,
        history_buffer_size: int | None = None,
        extra_statistics: bool | None = None,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        """Rewrites all settings from what `get_subscription_info` tells, with these changes. The filter stays."""
        self._update(None, group_name, commit_position, locals())

    @retried
    def update_subscription_to_stream(
        self,
        group_name: str,
        stream_name: str,
        *,
        from_end: bool | None = None,
        stream_position: int | None = None,
        resolve_links: bool | None = None,
        consumer_strategy: str | None = None,
        message_timeout: float | None = None,
        max_retry_count: int | None = None,
        min_checkpoint_count: int | None = None,
        max_checkpoint_count: int | None = None,
        checkpoint_after: float | None = None,
        max_subscriber_count: int | None = None,
        live_buffer_size: int | None = None,
        read_batch_size: int | None = None,
        history_buffer_size: int | None = None,
        extra_statistics: bool | None = None,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        """Rewrites all settings from what `get_subscription_info` tells, with these changes."""
        self._update(stream_name, group_name, stream_position, locals())

    @retried
    def delete_subscription(
        self, group_name: str, stream_name: str | None = None, *, timeout: float | None = None, credentials: Any = None
    ) -> None:
        self._channel.ask(DeleteGroup(stream_name, group_name), self._deadline(timeout))

    @retried
    def replay_parked_events(
        self, group_name: str, stream_name: str | None = None, *, timeout: float | None = None, credentials: Any = None
    ) -> None:
        """Have the node push all parked events again."""
        self._channel.ask(ReplayParked(stream_name, group_name), self._deadline(timeout))

    @retried
    def get_subscription_info(
        self, group_name: str, stream_name: str | None = None, *, timeout: float | None = None, credentials: Any = None
    ) -> SubscriptionInfo:
        return SubscriptionInfo.of(self._channel.ask(InfoOfGroup(stream_name, group_name), timeout, info_error))

    @retried
    def list_subscriptions(
        self, *, timeout: float | None = None, credentials: Any = None
    ) -> Sequence[SubscriptionInfo]:
        return self._list(ListGroups(), timeout)

    @retried
    def list_subscriptions_to_stream(
        self, stream_name: str, *, timeout: float | None = None, credentials: Any = None
    ) -> Sequence[SubscriptionInfo]:
        return self._list(ListGroups(stream_name, of_all_streams=False), timeout)

    @retried
    def read_subscription_to_all(
        self,
        group_name: str,
        *,
        event_buffer_size: int = EVENT_BUFFER_SIZE,
        max_ack_batch_size: int = MAX_ACK_BATCH_SIZE,
        max_ack_delay: float = MAX_ACK_DELAY,
        stopping_grace: float = STOPPING_GRACE,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> PersistentSubscription:
        """Join as a consumer. Only joining is tried again."""
        return PersistentSubscription(
            self._channel, group_name, None,
            event_buffer_size, max_ack_batch_size, max_ack_delay, stopping_grace, timeout,
        )  # fmt: skip

    @retried
    def read_subscription_to_stream(
        self,
        group_name: str,
        stream_name: str,
        *,
        event_buffer_size: int = EVENT_BUFFER_SIZE,
        max_ack_batch_size: int = MAX_ACK_BATCH_SIZE,
        max_ack_delay: float = MAX_ACK_DELAY,
        stopping_grace: float = STOPPING_GRACE,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> PersistentSubscription:
        """Join as a consumer. Only joining is tried again."""
        return PersistentSubscription(
            self._channel, group_name, stream_name,
            event_buffer_size, max_ack_batch_size, max_ack_delay, stopping_grace, timeout,
        )  # fmt: skip

    def _update(self, stream: str | None, group: str, position: int | None, given: Mapping[str, Any]) -> None:
        info = self.get_subscription_info(group, stream, timeout=given["timeout"])
        settings = info.updated(given, position)
        settings["consumer_strategy"] = _UPDATABLE[settings["consumer_strategy"]]
        request = UpdateGroup(stream, group, _settings(settings, settings["position"]))
        self._channel.ask(request, self._deadline(given["timeout"]))

    def _list(self, request: ListGroups, timeout: float | None) -> list[SubscriptionInfo]:
        try:
            return [SubscriptionInfo.of(group) for group in self._channel.ask(request, timeout, info_error)]
        except NotFound:
            return []

"""Reading streams and `$all`, once or as catch-up subscriptions (esdbclient's `StreamsService.read`)."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final, Literal

from mqverify.simulation.eventstore.connected import ConnectedClient
from mqverify.simulation.eventstore.exceptions import NotFound
from mqverify.simulation.eventstore.protocol import AllFilter, ReadAll, ReadStream, SubscribeAll, SubscribeStream
from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.eventstore.retries import retried
from mqverify.simulation.eventstore.subscriptions import CatchupSubscription, ReadResponse, StreamState

__all__ = [
    "DEFAULT_CHECKPOINT_INTERVAL_MULTIPLIER",
    "DEFAULT_EXCLUDE_FILTER",
    "DEFAULT_WINDOW_SIZE",
    "ESDB_PERSISTENT_CONFIG_EVENTS_REGEX",
    "ESDB_SYSTEM_EVENTS_REGEX",
    "Reading",
    "all_filter",
]

ESDB_SYSTEM_EVENTS_REGEX: Final = r"\$.+"
ESDB_PERSISTENT_CONFIG_EVENTS_REGEX: Final = r"PersistentConfig\d+"
DEFAULT_EXCLUDE_FILTER: Final = (ESDB_SYSTEM_EVENTS_REGEX, ESDB_PERSISTENT_CONFIG_EVENTS_REGEX)
DEFAULT_WINDOW_SIZE: Final = 30
DEFAULT_CHECKPOINT_INTERVAL_MULTIPLIER: Final = 5


def all_filter(exclude: Sequence[str], include: Sequence[str], by_stream_name: bool) -> AllFilter:
    """The filter that esdbclient makes of its patterns; what is to be included goes first.

    `("A", "B")` included becomes `^A|B$`: what begins with A, or ends with B (docs/facts/eventstore.md §F5.3).
    """
    if include:
        patterns = [include] if isinstance(include, str) else include
        return AllFilter("^" + "|".join(patterns) + "$", by_stream_name)
    if exclude:
        patterns = [exclude] if isinstance(exclude, str) else exclude
        return AllFilter("^(?!(" + "|".join(pattern + "$" for pattern in patterns) + "))", by_stream_name)
    return AllFilter()


class Reading(ConnectedClient):
    """The methods that read. Reads start at a position, catch-up subscriptions behind it."""

    @retried
    def get_stream(
        self,
        stream_name: str,
        *,
        stream_position: int | None = None,
        backwards: bool = False,
        resolve_links: bool = False,
        limit: int = sys.maxsize,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> Sequence[RecordedEvent]:
        with self.read_stream(
            stream_name,
            stream_position=stream_position,
            backwards=backwards,
            resolve_links=resolve_links,
            limit=limit,
            timeout=timeout,
        ) as events:
            return tuple(events)

    def read_stream(
        self,
        stream_name: str,
        *,
        stream_position: int | None = None,
        backwards: bool = False,
        resolve_links: bool = False,
        limit: int = sys.maxsize,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> ReadResponse:
        """Nothing is tried again here: what fails raises from the iteration."""
        request = ReadStream(stream_name, stream_position, backwards, limit, resolve_links)
        return ReadResponse(self._channel, request, stream_name, timeout)

    def read_all(
        self,
        *,
        commit_position: int | None = None,
        backwards: bool = False,
        resolve_links: bool = False,
        filter_exclude: Sequence[str] = DEFAULT_EXCLUDE_FILTER,
        filter_include: Sequence[str] = (),
        filter_by_stream_name: bool = False,
        limit: int = sys.maxsize,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> ReadResponse:
        """Nothing is tried again here: what fails raises from the iteration."""
        chosen = all_filter(filter_exclude, filter_include, filter_by_stream_name)
        request = ReadAll(commit_position, backwards, limit, resolve_links, chosen)
        return ReadResponse(self._channel, request, None, timeout)

    @retried
    def get_current_version(
        self, stream_name: str, *, timeout: float | None = None, credentials: Any = None
    ) -> int | Literal[StreamState.NO_STREAM]:
        """The revision of the last event; `NO_STREAM` also where the stream is deleted."""
        try:
            last = list(self.read_stream(stream_name, backwards=True, limit=1, timeout=timeout))[0]  # noqa: RUF015
        except NotFound:
            return StreamState.NO_STREAM
        return last.stream_position

    @retried
    def get_commit_position(
        self,
        *,
        filter_exclude: Sequence[str] = DEFAULT_EXCLUDE_FILTER,
        filter_include: Sequence[str] = (),
        filter_by_stream_name: bool = False,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> int:
        """The position of the last event of the database that the filter lets through, or 0."""
        for event in self.read_all(
            backwards=True,
            filter_exclude=filter_exclude,
            filter_include=filter_include,
            filter_by_stream_name=filter_by_stream_name,
            limit=1,
            timeout=timeout,
        ):
            assert event.commit_position is not None
            return event.commit_position
        return 0

    @retried
    def get_stream_metadata(
        self, stream_name: str, *, timeout: float | None = None, credentials: Any = None
    ) -> tuple[dict[str, Any], int | Literal[StreamState.NO_STREAM]]:
        """A stream's metadata and the version of its metastream."""
        try:
            found = self.get_stream(f"$${stream_name}", backwards=True, limit=1, timeout=timeout)
        except NotFound:
            return {}, StreamState.NO_STREAM
        return json.loads(found[0].data), found[0].stream_position

    @retried
    def subscribe_to_stream(
        self,
        stream_name: str,
        *,
        stream_position: int | None = None,
        from_end: bool = False,
        resolve_links: bool = False,
        include_caught_up: bool = False,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> CatchupSubscription:
        """Only opening it is tried again. `timeout` is for the whole subscription."""
        from_end = from_end and stream_position is None
        request = SubscribeStream(stream_name, stream_position, from_end, resolve_links)
        return CatchupSubscription(self._channel, request, stream_name, timeout, include_caught_up=include_caught_up)

    @retried
    def subscribe_to_all(
        self,
        *,
        commit_position: int | None = None,
        from_end: bool = False,
        resolve_links: bool = False,
        filter_exclude: Sequence[str] = DEFAULT_EXCLUDE_FILTER,
        filter_include: Sequence[str] = (),
        filter_by_stream_name: bool = False,
        include_checkpoints: bool = False,
        window_size: int = DEFAULT_WINDOW_SIZE,
        checkpoint_interval_multiplier: int = DEFAULT_CHECKPOINT_INTERVAL_MULTIPLIER,
        include_caught_up: bool = False,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> CatchupSubscription:
        """Only opening it is tried again. System events, links among them, are filtered out unless asked for."""
        request = SubscribeAll(
            commit_position,
            from_end and commit_position is None,
            resolve_links,
            all_filter(filter_exclude, filter_include, filter_by_stream_name),
            window_size * checkpoint_interval_multiplier,
        )
        return CatchupSubscription(self._channel, request, None, timeout, include_checkpoints, include_caught_up)

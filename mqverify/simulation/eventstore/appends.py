"""Writing to streams: append, delete, tombstone, metadata (esdbclient's `StreamsService`).

An append of one event is another RPC than one of several, and fails otherwise (docs/facts/eventstore.md §C2, §F2).
"""

import json
from collections.abc import Iterable
from typing import Any

from mqverify.simulation.eventstore.connected import ConnectedClient
from mqverify.simulation.eventstore.exceptions import WrongCurrentVersion
from mqverify.simulation.eventstore.failures import append_error, batch_append_error, deletion_error
from mqverify.simulation.eventstore.protocol import Append, DeleteStream, Expected, WrongVersion
from mqverify.simulation.eventstore.records import NewEvent
from mqverify.simulation.eventstore.retries import retried
from mqverify.simulation.eventstore.subscriptions import StreamState

__all__ = ["Appends"]

_EXPECTED: dict[StreamState, Expected] = {
    StreamState.ANY: "any",
    StreamState.NO_STREAM: "no_stream",
    StreamState.EXISTS: "exists",
}


def _expected(current_version: int | StreamState) -> Expected:
    if isinstance(current_version, int):
        assert current_version >= 0
        return current_version
    assert isinstance(current_version, StreamState)
    return _EXPECTED[current_version]


class Appends(ConnectedClient):
    """The methods that write. They return the commit position of the last event, where they return anything."""

    @retried
    def append_events(
        self,
        stream_name: str,
        *,
        current_version: int | StreamState,
        events: Iterable[NewEvent],
        timeout: float | None = None,
        credentials: Any = None,
    ) -> int:
        """As `append_to_stream`; both try again, so that the events may be sent up to sixteen times."""
        return self.append_to_stream(
            stream_name, current_version=current_version, events=events, timeout=timeout, credentials=credentials
        )

    def append_event(
        self,
        stream_name: str,
        *,
        current_version: int | StreamState,
        event: NewEvent,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> int:
        return self.append_to_stream(
            stream_name, current_version=current_version, events=event, timeout=timeout, credentials=credentials
        )

    @retried
    def append_to_stream(
        self,
        /,
        stream_name: str,
        *,
        current_version: int | StreamState,
        events: NewEvent | Iterable[NewEvent],
        timeout: float | None = None,
        credentials: Any = None,
    ) -> int:
        """Append one event, or several in one piece.

        A generator is empty when a second attempt reads it: nothing is sent then, and that succeeds
        (docs/facts/eventstore.md §C1).
        """
        if isinstance(events, NewEvent):
            request = Append(stream_name, _expected(current_version), (events,))
            answer = self._channel.ask(request, self._deadline(timeout), append_error)
        else:
            request = Append(stream_name, _expected(current_version), tuple(events))
            answer = self._channel.ask(
                request, self._deadline(timeout), lambda failed: batch_append_error(failed, stream_name)
            )
        if type(answer) is WrongVersion:
            if answer.current is None:
                raise WrongCurrentVersion(f"Stream {stream_name!r} does not exist")
            raise WrongCurrentVersion(f"Stream position of last event is {answer.current} not {current_version}")
        position: int = answer.position
        return position

    @retried
    def delete_stream(
        self,
        stream_name: str,
        *,
        current_version: int | StreamState,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        """Hide all events of the stream; the next append makes it exist again, with the next number."""
        self._delete(DeleteStream(stream_name, _expected(current_version)), timeout)

    @retried
    def tombstone_stream(
        self,
        stream_name: str,
        *,
        current_version: int | StreamState,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        """End the stream for ever."""
        self._delete(DeleteStream(stream_name, _expected(current_version), tombstone=True), timeout)

    def set_stream_metadata(
        self,
        stream_name: str,
        *,
        metadata: dict[str, Any],
        current_version: int | StreamState = StreamState.ANY,
        timeout: float | None = None,
        credentials: Any = None,
    ) -> None:
        """Append to the stream's metastream, at whose own version it may be expected to be."""
        event = NewEvent(type="$metadata", data=json.dumps(metadata).encode(), id=self._new_id())
        self.append_event(f"$${stream_name}", current_version=current_version, event=event, timeout=timeout)

    def _delete(self, request: DeleteStream, timeout: float | None) -> None:
        self._channel.ask(request, self._deadline(timeout), deletion_error)

"""The producer on esdbclient's API: one synchronous append a message."""

from typing import Any

from mqverify.backends.eventstore.binding import Binding
from mqverify.backends.eventstore.outcomes import append_outcome, one_try
from mqverify.backends.eventstore.revisions import current_revision
from mqverify.workload.client import Context, Unsure

__all__ = ["EventStoreProducerClient"]

_NO_STREAM = -1


class EventStoreProducerClient:
    """Appends with `append_to_stream`; records each try and what came of it.

    An append answers with a commit position, never with the revision, so an acknowledged send has a stream and no
    position. Under `expected_revision: exact` it expects what it last knew: its own last append, else what it asked
    for. After a conflict the message is given up, since of two writers one wins, and what it knew is forgotten.
    """

    def __init__(self, binding: Binding, context: Context, name: str) -> None:
        self._binding = binding
        self._now = context.now
        self._recorder = context.recorder
        self._acked = context.marker("acked")
        self._error = binding.library.exceptions.EventStoreDBClientException
        self._state = binding.library.StreamState
        self._expects = binding.plan.workload.expected_revision
        self._known: dict[str, int] = {}
        self.unsure: list[Unsure] = []
        self._client = binding.client(name)

    def send(self, message: int, attempt: int = 1, expected: int | None = None) -> None:
        binding, recorder = self._binding, self._recorder
        place = binding.place_of_message(message)
        stream = binding.streams[place]
        if attempt == 1:
            try:
                expected = self._expected(stream)
            except self._error:  # nobody knows what to expect, so nothing is sent
                recorder.send_completed(recorder.send_invoked(message, attempt, None), "failed")
                return
        event = binding.event(message, attempt)
        token = recorder.send_invoked(message, attempt, expected)
        began = self._now()
        try:
            self._client.append_to_stream(stream, current_version=self._version(expected), events=event)
        except self._error as error:
            outcome = append_outcome(error, expected, one_try(self._now() - began))
            recorder.send_completed(token, outcome)
            self._known.pop(stream, None)
            if outcome == "unknown":
                self.unsure.append((message, attempt, expected))
            return
        if expected is not None:
            self._known[stream] = expected + 1
        recorder.send_completed(token, "acked", place)
        self._acked(message)

    def wait(self) -> None:
        """Every outcome is known once `send` returns."""

    def close(self) -> None:
        self._client.close()

    def _expected(self, stream: str) -> int | None:
        """The revision that a first try expects; None for any, or for whatever there is."""
        if self._expects == "no_stream":
            return _NO_STREAM
        if self._expects != "exact":
            return None
        known = self._known.get(stream)
        return current_revision(self._client, self._binding, stream) if known is None else known

    def _version(self, expected: int | None) -> Any:
        """What esdbclient calls it."""
        if expected is None:
            return self._state.EXISTS if self._expects == "exists" else self._state.ANY
        return self._state.NO_STREAM if expected == _NO_STREAM else expected

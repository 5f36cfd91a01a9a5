"""What an administrator of Event Store can be asked to do: delete a stream, scavenge, replay parked events."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from mqverify.backends.base import NotDone
from mqverify.backends.eventstore.binding import ALL, Binding
from mqverify.backends.eventstore.revisions import last_position
from mqverify.faults.plan import PlannedFault
from mqverify.history.recorder import Row, RunRows

__all__ = ["DELETED", "AdminActs"]

DELETED: Final = 2**63 - 1
"""The `$tb` of a stream that was deleted, until somebody appends to it again (docs/facts/eventstore.md §C3)."""


class AdminActs:
    """Acts on one run's streams and subscriptions. `opened` holds the groups that have a subscription by now."""

    def __init__(self, binding: Binding, client: Any, opened: Collection[str]) -> None:
        self._binding = binding
        self._client = client
        self._opened = opened
        self._note_limit: Callable[[int, int], Row | None] = lambda _place, _before: None

    def note_in(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """From now on write down what may be removed."""
        self._note_limit = lambda place, before: rows.add("settings", "truncate_before", place, str(before), stamp())

    def by_kind(self) -> Mapping[str, Callable[[PlannedFault], None]]:
        return {
            "scavenge": self._scavenge,
            "replay_parked": self._replay_parked,
            "delete_stream": self._delete_stream,
        }

    def _scavenge(self, planned: PlannedFault) -> None:
        """Remove what retention and deletion have marked. Streams hid it already; `$all` shows it until now.

        esdbclient has no such call, so this is asked of whoever runs the node.
        """
        scavenge = getattr(self._binding.library, "scavenge", None)
        if scavenge is None:
            raise NotDone("esdbclient has no call for a scavenge")
        before = self._in_all()
        scavenge()
        if self._in_all() == before:
            raise NotDone("nothing of the run had expired or been deleted, so there was nothing to remove")

    def _replay_parked(self, planned: PlannedFault) -> None:
        """Have the server push parked events again: of one group, or of all that there are by now."""
        binding = self._binding
        meant = planned.fault.group
        groups = [group for group in self._opened if meant is None or group == meant]
        parked = [group for group in groups if last_position(self._client, binding, binding.parked_stream(group)) >= 0]
        if not parked:
            raise NotDone(f"nothing was parked for {meant or 'any group'}")
        for group in parked:
            source = None if binding.source == ALL else binding.source
            self._client.replay_parked_events(binding.group_id(group), source)

    def _delete_stream(self, planned: PlannedFault) -> None:
        """Soft-delete the stream that holds a key, or the stream of that name, whatever revision it ends at.

        What may be gone from then on is all that it has: that is noted first, and made exact once it is known.
        """
        name = planned.fault.options["name"]
        stream = self._stream_of(name)
        note = self._note_limit(self._binding.place_of[stream], DELETED)
        try:
            self._client.delete_stream(stream, current_version=self._binding.library.StreamState.ANY)
        except self._binding.library.exceptions.NotFound:
            if note is not None:
                note[2] = "0"
            raise NotDone(f"nothing had been appended to {self._shown(stream)}") from None
        if note is not None:
            note[2] = str(self._deleted_before(stream))

    def _in_all(self) -> list[int]:
        """The positions of the run's events in `$all`."""
        with self._client.read_all(**self._binding.own_streams) as events:
            return [int(event.commit_position) for event in events]

    def _stream_of(self, name: str) -> str:
        binding = self._binding
        for stream in binding.streams:
            if name in (stream, self._shown(stream)):
                return stream
        message = next((number for number, key in enumerate(binding.plan.keys) if key == name), None)
        if message is None:
            raise NotDone(f"the run has no key and no stream {name}")
        return binding.streams[binding.place_of_message(message)]

    def _shown(self, stream: str) -> str:
        """Its name as a spec and a history show it."""
        return self._binding.places()[self._binding.place_of[stream]]

    def _deleted_before(self, stream: str) -> int:
        """The number before which a stream that was just deleted has nothing any more.

        Somebody may have appended to it again: then its metadata tells the number with which it begins again.
        """
        [metadata] = self._client.get_stream(f"$${stream}", backwards=True, limit=1)
        begins = self._client.get_stream_metadata(stream)[0].get("$tb", DELETED)
        if begins != DELETED:
            return int(begins)
        with self._client.read_all(backwards=True, **self._binding.own_streams) as events:
            for event in events:
                if event.stream_name == stream and event.commit_position < metadata.commit_position:
                    return int(event.stream_position) + 1
        return 0

"""Whether an append is written, was written already, or does not fit its stream.

Exactly docs/facts/eventstore.md §C1 (`IndexWriter.CheckCommit`). Ids are compared alone, never data. With an expected
revision they are compared with the log itself ("strong"); with `any` and `exists` only with a bounded memory of recent
writes ("weak"), which holds one place for an id, is evicted under load and does not survive a restart.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from mqverify.simulation.eventstore.protocol import Appended, Expected, Failed, WrongVersion
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent

__all__ = ["ID_CACHE_BYTES", "RecentIds", "check_commit"]

ID_CACHE_BYTES: Final = 8 << 20
"""`ESConsts.CommitedEventsMemCacheLimit`."""

_CHARGE: Final = 64
"""Bytes that an id costs in that memory beside its stream's name: 60 to 100 thousand events fit."""


class RecentIds:
    """Where ids were lately written: stream and number. The oldest are forgotten once `limit` bytes are used."""

    __slots__ = ("_limit", "_order", "_places", "_used")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places: dict[int, tuple[str, int]] = {}
        self._order: deque[int] = deque()
        self._used = 0

    def place(self, id: UUID) -> tuple[str, int] | None:  # noqa: A002
        return self._places.get(id.int)

    def remember(self, id: UUID, stream: str, number: int) -> None:  # noqa: A002
        """Of an id that is written again only the last place is known (#1173)."""
        while self._used >= self._limit and self._order:
            self._forget(self._order.popleft())
        key = id.int
        self._forget(key)
        self._places[key] = (stream, number)
        self._order.append(key)
        self._used += _CHARGE + 2 * len(stream)

    def clear(self) -> None:
        self._places.clear()
        self._order.clear()
        self._used = 0

    def _forget(self, key: int) -> None:
        place = self._places.pop(key, None)
        if place is not None:
            self._used -= _CHARGE + 2 * len(place[0])


def check_commit(
    stream: str,
    written: Sequence[RecordedEvent],
    expected: Expected,
    events: Sequence[NewEvent],
    recent: RecentIds,
    soft_deleted: bool,
    has_metadata: bool,
    scavenged: int = 0,
) -> Appended | WrongVersion | Failed | None:
    """What to answer instead of writing `events` behind those `written` to `stream`; None: write them.

    `soft_deleted` and `has_metadata` tell of the stream's metadata. So many of its first events as are `scavenged` are
    found in the memory of recent writes only. Tombstoned streams do not come here.
    """
    last = len(written) - 1
    if expected == "any":
        return _known(stream, written, events, recent)
    if expected == "exists":
        if soft_deleted:
            return Failed("stream_deleted", f"Event stream '{stream}' is deleted.")
        if last < 0 and not has_metadata:
            return WrongVersion(None)
        return _known(stream, written, events, recent)
    after = -1 if expected == "no_stream" else expected
    if after == last:
        return None  # whatever the ids: they may be duplicates of earlier ones (#1898, #2274)
    if after > last:
        return WrongVersion(last if last >= 0 else None)

    def is_there(number: int, event: NewEvent) -> bool:
        if number >= len(written) or written[number].id != event.id:
            return False
        return number >= scavenged or recent.place(event.id) == (stream, number)

    return _repeats(written, after, events, soft_deleted and expected == "no_stream", is_there)


def _known(
    stream: str, written: Sequence[RecordedEvent], events: Sequence[NewEvent], recent: RecentIds
) -> Appended | WrongVersion | None:
    """Weak idempotence. The last event's place counts, wherever in the stream the others are."""
    number = -1
    for index, event in enumerate(events):
        place = recent.place(event.id)
        if place is None or place[0] != stream:
            return _corrupted(written) if index else None
        number = place[1]
    return _already(written, number) if events else None


def _repeats(
    written: Sequence[RecordedEvent],
    after: int,
    events: Sequence[NewEvent],
    may_recreate: bool,
    is_there: Callable[[int, NewEvent], bool],
) -> Appended | WrongVersion | None:
    """Strong idempotence: whether `events` are just what was written behind number `after`."""
    for number, event in enumerate(events, after + 1):
        if not is_there(number, event):
            first = number == after + 1
            return None if first and may_recreate else _corrupted(written)
    return _already(written, after + len(events)) if events else _corrupted(written)


def _already(written: Sequence[RecordedEvent], number: int) -> Appended:
    return Appended(number, written[number].commit_position or 0)


def _corrupted(written: Sequence[RecordedEvent]) -> WrongVersion:
    """`WrongExpectedVersion`, also for `CorruptedIdempotency`: part of the batch is there and part is not."""
    return WrongVersion(len(written) - 1 if written else None)

"""Catch-up subscriptions at the node: history in pages, then live, and back where a client is slow.

Exactly docs/facts/eventstore.md §B (`Enumerator.StreamSubscription`, `AllSubscription`, `AllSubscriptionFiltered`).
The node keeps nothing of a subscription once its call has ended. A subscription is sent no more than a window of events
that its client has not yet taken (`Credit`). What is written meanwhile waits in a live queue, and once that overflows
the subscription reads on from the last event sent: nothing is dropped, reordered or sent twice.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

from mqverify.simulation.eventstore.filters import EventFilter
from mqverify.simulation.eventstore.log import TOMBSTONE, Log
from mqverify.simulation.eventstore.metadata import SOFT_DELETED
from mqverify.simulation.eventstore.protocol import (
    CaughtUp,
    CheckpointReached,
    Confirmed,
    Events,
    Failed,
    SubscribeAll,
    SubscribeStream,
)
from mqverify.simulation.eventstore.records import RecordedEvent

__all__ = ["LIVE_QUEUE", "PAGE", "CatchUpSubscriptions"]

PAGE: Final = 32
"""Events of one read (`ReadBatchSize`)."""
LIVE_QUEUE: Final = 32
"""Events that may wait for a live subscriber; of more the oldest are dropped, and it reads on from the log."""


class _Source(Protocol):
    """Where a subscription is in what it reads."""

    def failure(self) -> Failed | None:
        """Why it cannot be read at all."""

    def at_end(self) -> bool:
        """Whether all that was written has been read."""

    def take(self, count: int, now: int, live: bool) -> tuple[Sequence[RecordedEvent], int | None]:
        """The next up to `count` events, and a checkpoint that is due behind them."""

    def checkpoint(self) -> int | None:
        """A checkpoint for how far it has come, if it is further than the last one."""

    def renumbered(self, now_at: Callable[[int], int]) -> None:
        """Records were removed from the log: `now_at` says where one is now, by its index."""


class _StreamSource:
    """One stream. History is read as its metadata lets see it at that time; live events are passed on as they come."""

    __slots__ = ("_log", "_name", "_next")

    def __init__(self, log: Log, name: str, first: int) -> None:
        self._log = log
        self._name = name
        self._next = first

    def failure(self) -> Failed | None:
        if self._log.last_revision(self._name) == SOFT_DELETED:
            return Failed("stream_deleted", f"Event stream '{self._name}' is deleted.")
        return None

    def at_end(self) -> bool:
        return self._next > self._log.last_revision(self._name)

    def take(self, count: int, now: int, live: bool) -> tuple[Sequence[RecordedEvent], int | None]:
        stream = self._log.stream(self._name)
        if stream is None:
            return (), None
        if live:
            page = stream.events[self._next : self._next + count]
            if stream.tombstone is not None and len(page) < count:
                page.append(stream.tombstone)
        else:
            found = self._log.read_stream(self._name, self._next, count, now)
            page = [] if isinstance(found, Failed) else found
        self._next = page[-1].stream_position + 1 if page else max(self._next, len(stream.events))
        return page, None

    def checkpoint(self) -> int | None:
        return None

    def renumbered(self, now_at: Callable[[int], int]) -> None:
        """A stream's numbers stay."""


class _AllSource:
    """`$all`, which no metadata touches. With a filter it tells now and then how far it has come."""

    __slots__ = ("_considered", "_index", "_interval", "_last_checkpoint", "_log", "_matches")

    def __init__(self, log: Log, first: int, matches: EventFilter, interval: int) -> None:
        self._log = log
        self._index = first
        self._matches = matches
        self._interval = interval if matches.filters else 0
        self._considered = 0
        self._last_checkpoint = -1

    def failure(self) -> Failed | None:
        return None

    def at_end(self) -> bool:
        return self._index >= len(self._log.records)

    def take(self, count: int, now: int, live: bool) -> tuple[Sequence[RecordedEvent], int | None]:
        records, matches = self._log.records, self._matches
        begin = index = self._index
        end = len(records)
        if self._interval:
            end = min(end, begin + self._interval - self._considered)
        page: list[RecordedEvent] = []
        while index < end and len(page) < count:
            if matches(records[index]):
                page.append(records[index])
            index += 1
        self._index = index
        self._considered += index - begin
        if not self._interval or self._considered < self._interval:
            return page, None
        self._considered = 0
        return page, self.checkpoint()

    def checkpoint(self) -> int | None:
        position = self._log.records[self._index - 1].commit_position if self._interval and self._index else None
        if position is None or position <= self._last_checkpoint:
            return None
        self._last_checkpoint = position
        return position

    def renumbered(self, now_at: Callable[[int], int]) -> None:
        self._index = now_at(self._index)


class _Subscription:
    """One subscription: catching up, or live with `waiting` events that its client has no room for."""

    __slots__ = ("_log", "_reply", "_resolve", "_window", "ended", "live", "on_the_way", "source", "token", "waiting")

    def __init__(
        self, token: Any, source: _Source, log: Log, resolve: bool, window: int, reply: Callable[[Any, Any], None]
    ) -> None:
        self.token = token
        self.source = source
        self.live = False
        self.ended = False
        self.waiting = 0
        self.on_the_way = 0
        """Events sent that the client has not taken."""
        self._log = log
        self._resolve = resolve
        self._window = window
        self._reply = reply

    def go_on(self, now: int) -> None:
        """Send what there is and what the client has room for."""
        while not self.live and not self.ended:
            failure = self.source.failure()
            if failure is not None:
                self._end(failure)
            elif self.source.at_end():
                self._go_live()
            elif not self._send(PAGE, now):
                return
        while not self.ended and not self.source.at_end() and self._send(max(1, self.waiting), now):
            pass
        if self.source.at_end():
            self.waiting = 0

    def written(self, count: int, now: int) -> None:
        """`count` events that it wants were written."""
        if self.live:
            self.waiting += count
            self.go_on(now)
            if self.waiting > LIVE_QUEUE:
                self.live = False
                self.waiting = 0

    def _go_live(self) -> None:
        self.live = True
        self._tell_checkpoint(self.source.checkpoint())
        self._reply(self.token, CaughtUp())

    def _send(self, most: int, now: int) -> bool:
        """Read and send up to `most` events; False where the client has no room for any."""
        room = self._window - self.on_the_way
        if room <= 0:
            return False
        page, checkpoint = self.source.take(min(room, most), now, self.live)
        if page:
            self.on_the_way += len(page)
            if self.live:
                self.waiting -= len(page)
            resolved = self._log.resolved
            self._reply(self.token, Events([resolved(event, now) for event in page] if self._resolve else page))
        if not page or page[-1].type == TOMBSTONE:
            failure = self.source.failure()
            if failure is not None:
                self._end(failure)
        self._tell_checkpoint(checkpoint)
        return True

    def _tell_checkpoint(self, position: int | None) -> None:
        if position is not None:
            self._reply(self.token, CheckpointReached(position))

    def _end(self, failure: Failed) -> None:
        self.ended = True
        self._reply(self.token, failure)


class CatchUpSubscriptions:
    """All of one node. Each is known by the token of its call."""

    def __init__(self, log: Log, window: int, dice: random.Random, reply: Callable[[Any, Any], None]) -> None:
        self._log = log
        self._window = window
        self._dice = dice
        self._reply = reply
        self._of_token: dict[Any, _Subscription] = {}
        self._of_stream: dict[str, dict[Any, _Subscription]] = {}
        self._of_all: dict[Any, tuple[_Subscription, EventFilter]] = {}
        self._stream_of: dict[Any, str] = {}
        log.watchers.append(self._written)
        log.renumbered.append(self._renumbered)

    def subscribe_stream(self, request: SubscribeStream, token: Any, now: int) -> None:
        """Positions are exclusive. A stream that does not exist is waited for; a tombstoned one fails."""
        name = request.stream
        first = self._log.last_revision(name) + 1 if request.from_end else _behind(request.after)
        source = _StreamSource(self._log, name, first)
        failure = source.failure()
        if failure is not None:
            self._reply(token, failure)
            return
        subscription = self._start(source, request.resolve_links, token)
        self._of_stream.setdefault(name, {})[token] = subscription
        self._stream_of[token] = name
        self._go_on(subscription, now)

    def subscribe_all(self, request: SubscribeAll, token: Any, now: int) -> None:
        """Fails with `invalid_position` where `after` is no position of a record (or of the log's ends)."""
        log = self._log
        first = len(log.records) if request.from_end else 0
        if request.after is not None and not request.from_end:
            if not log.is_position(request.after):
                self._reply(token, Failed("invalid_position", "Trying to read from an invalid position."))
                return
            first = log.index_of(request.after + 1)
        matches = EventFilter(request.filter)
        subscription = self._start(
            _AllSource(log, first, matches, request.checkpoint_interval), request.resolve_links, token
        )
        self._of_all[token] = (subscription, matches)
        self._go_on(subscription, now)

    def credit(self, events: int, token: Any, now: int) -> None:
        """The client of `token` has taken so many events."""
        subscription = self._of_token.get(token)
        if subscription is not None:
            subscription.on_the_way = max(0, subscription.on_the_way - events)
            self._go_on(subscription, now)

    def cancelled(self, token: Any) -> None:
        """The call has ended: forget the subscription."""
        self._of_token.pop(token, None)
        self._of_all.pop(token, None)
        name = self._stream_of.pop(token, None)
        if name is not None:
            self._of_stream[name].pop(token)
            if not self._of_stream[name]:
                del self._of_stream[name]

    def _start(self, source: _Source, resolve: bool, token: Any) -> _Subscription:
        subscription = _Subscription(token, source, self._log, resolve, self._window, self._reply)
        self._of_token[token] = subscription
        self._reply(token, Confirmed(str(UUID(int=self._dice.getrandbits(128), version=4))))
        return subscription

    def _go_on(self, subscription: _Subscription, now: int) -> None:
        subscription.go_on(now)
        if subscription.ended:
            self.cancelled(subscription.token)

    def _renumbered(self, now_at: Callable[[int], int]) -> None:
        for subscription in self._of_token.values():
            subscription.source.renumbered(now_at)

    def _written(self, records: Sequence[RecordedEvent]) -> None:
        now = records[-1].created
        for subscription, matches in self._of_all.values():
            subscription.written(sum(map(matches, records)), now)
        if not self._of_stream:
            return
        counts: dict[str, int] = {}
        for record in records:
            if record.stream_name in self._of_stream:
                counts[record.stream_name] = counts.get(record.stream_name, 0) + 1
        for name, count in counts.items():
            for subscription in tuple(self._of_stream[name].values()):
                subscription.written(count, now)
                if subscription.ended:
                    self.cancelled(subscription.token)


def _behind(after: int | None) -> int:
    return 0 if after is None else after + 1

"""One connection through the proxy, without its sockets: bytes and the time in; what is due, and when to break, out.

Each direction is a lane that keeps its order. What a cut holds of a connection whose sender has closed it is forgotten
after a while, as an operating system gives up what a closed socket left behind (`simulation/network.ORPHANED`).
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from mqverify.backends.base import Conversation
from mqverify.simulation.network import ORPHANED
from mqverify.worlds.proxy.rules import Hold, Loss, Rules, Way

__all__ = ["END", "MOST_QUEUED", "Lane", "Tunnel"]

END: Final = b""
"""In a lane: the sender has closed its end."""

MOST_QUEUED: Final = 4 << 20
"""Bytes that wait in a lane at most: then its sender is not listened to any more, and its own buffers fill."""

_MOST_MUTED: Final = 1_000_000_000
"""Nanoseconds after a lost reply within which the requests behind it are answered, or never."""

_ON_ITS_WAY: Final = 5_000_000
"""Nanoseconds for what is on its way up when a reply is lost: it is done too, before the connection is reset."""


class Lane:
    """One direction: pieces with the time at which they are due, or None while they are held."""

    __slots__ = ("_items", "_last", "queued", "stopped")

    def __init__(self) -> None:
        self._items: deque[tuple[int | None, bytes]] = deque()
        self._last = 0
        self.queued = 0
        self.stopped = False
        """Whether all that comes from now on is held, whatever the network does."""

    def put(self, piece: bytes, due: int | None) -> None:
        if due is not None:
            due = self._last = max(due, self._last)
        self._items.append((due, piece))
        self.queued += len(piece)

    def take(self, now: int) -> Iterator[bytes]:
        """What is due, in order."""
        items = self._items
        while items:
            due, piece = items[0]
            if due is None or due > now:
                return
            items.popleft()
            self.queued -= len(piece)
            yield piece

    def held(self) -> list[bytes]:
        """Take out what is held."""
        kept = [item for item in self._items if item[0] is not None]
        held = [piece for due, piece in self._items if due is None]
        self._items = deque(kept)
        self.queued = sum(len(piece) for _, piece in kept)
        return held

    def clear(self) -> None:
        self._items.clear()
        self.queued = 0

    @property
    def next_due(self) -> int | None:
        return self._items[0][0] if self._items else None


class Tunnel:
    """What is between one connection of a worker and the one to a broker that is made for it."""

    def __init__(self, rules: Rules, worker: str, broker: str, conversation: Conversation | None, now: int) -> None:
        """Without a `conversation` nothing is read of what passes: it is encrypted."""
        self.worker = worker
        self.broker = broker
        self.lanes: dict[Way, Lane] = {"up": Lane(), "down": Lane()}
        self.opened = False
        """Whether a connection to the broker was begun."""
        self.opens_at = now + sum(rules.lateness(worker, broker, way) for way in self.lanes)
        self.broken = False
        """It is to be reset, at the worker's end. Nothing passes any more."""
        self.reset_at: int | None = None
        for way in self.lanes if rules.disturbances else ():
            rules.note_traffic(worker, broker, way)  # a connection is to be made
        self._rules = rules
        self._conversation = conversation
        self._expected: deque[tuple[int, Loss | Hold | None]] = deque()
        """Requests that were passed on and are not answered, by their numbers."""
        self._muted_until: int | None = None
        """A reply was lost: no more leaves. It is reset by then, or once all that it passed on has been answered."""
        self._closed_at: dict[Way, int] = {}
        """When the sender of a lane has closed it."""

    # -- what arrives ----------------------------------------------------------------------------------------------

    def from_worker(self, data: bytes, now: int) -> None:
        if self._conversation is None:
            self._send("up", data, now)
            return
        for frame, request in self._conversation.requests(data):
            self._rules.requested(self.worker, self.broker)
            if self.broken:
                return
            if request.answered:
                mark = None
                if self._muted_until is None:
                    mark = self._rules.mark(self.worker, request)
                else:
                    self.reset_at = self._muted_until
                self._expected.append((request.number, mark))
            self._send("up", frame, now)

    def from_broker(self, data: bytes, now: int) -> None:
        if self._conversation is None:
            self._send("down", data, now)
            return
        for piece, number in self._conversation.replies(data):
            if number is not None:
                self._replied(number, now)
            if self._muted_until is None:
                self._send("down", piece, now, begins=number is not None)
        if self._muted_until is not None and not self._expected:
            self.reset_at = min(self._muted_until, now + _ON_ITS_WAY)

    def ended(self, way: Way, now: int, *, abruptly: bool = False) -> None:
        """The sender of that way has closed the connection: abruptly, what it had not got through is gone with it."""
        if way in self._closed_at:
            return
        if abruptly:
            self.lanes[way].clear()
        self._closed_at[way] = now
        self._send(way, END, now)
        if way == "up":
            self._unmark()

    # -- what changes ----------------------------------------------------------------------------------------------

    def release(self, now: int) -> None:
        """A cut was lifted, or a held reply may go: what nothing holds any more goes on its way."""
        for way, lane in self.lanes.items():
            if lane.stopped or self._rules.cuts(self.worker, self.broker, way):
                continue
            held = lane.held()
            closed_at = self._closed_at.get(way)
            if closed_at is not None and now - closed_at > ORPHANED:
                continue
            for piece in held:
                self._send(way, piece, now)

    def break_up(self) -> None:
        """Reset it now: what is on its way is lost."""
        self.broken = True
        for lane in self.lanes.values():
            lane.clear()
        self._unmark()

    # -- what is to be done ----------------------------------------------------------------------------------------

    def may_open(self, now: int) -> bool:
        """Whether the connection to the broker can be begun: it takes both ways."""
        return not self.opened and now >= self.opens_at and not self._is_cut()

    def next_due(self) -> int | None:
        """When something is due that does not wait for anybody."""
        if self.opened:
            dues = [lane.next_due for lane in self.lanes.values()]
        else:
            dues = [None if self._is_cut() else self.opens_at]
        return min((due for due in (*dues, self.reset_at) if due is not None), default=None)

    def tick(self, now: int) -> None:
        if self.reset_at is not None and now >= self.reset_at:
            self.broken = True

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_cut(self) -> bool:
        return any(self._rules.cuts(self.worker, self.broker, way) for way in self.lanes)

    def _send(self, way: Way, piece: bytes, now: int, *, begins: bool = True) -> None:
        """Have a piece go its way. One that begins no message comes with the one that it belongs to."""
        lane, rules = self.lanes[way], self._rules
        if rules.disturbances:
            rules.note_traffic(self.worker, self.broker, way)
        if lane.stopped or (rules.disturbances and rules.cuts(self.worker, self.broker, way)):
            lane.put(piece, None)
        elif rules.disturbances and begins:
            lane.put(piece, now + rules.lateness(self.worker, self.broker, way))
        else:
            lane.put(piece, now)

    def _replied(self, number: int, now: int) -> None:
        mark = None
        while self._expected:  # one that the broker never answered lies before it
            expected, mark = self._expected.popleft()
            if expected == number:
                break
        if self._muted_until is not None or mark is None:
            return
        if isinstance(mark, Loss):
            self.reset_at = self._muted_until = now + _MOST_MUTED
            mark.struck(self.worker)
        elif mark.take(self.worker):
            self.lanes["down"].stopped = True
            mark.held(self.worker, self._let_go)

    def _let_go(self) -> None:
        self.lanes["down"].stopped = False

    def _unmark(self) -> None:
        for _, mark in self._expected:
            if isinstance(mark, Loss):
                self._rules.unmark(mark)
        self._expected.clear()

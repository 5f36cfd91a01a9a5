"""The sockets of one tunnel: what is read goes into its lanes, what is due comes out of them."""

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from mqverify.worlds.proxy.rules import Way
from mqverify.worlds.proxy.tunnel import END, MOST_QUEUED, Tunnel

__all__ = ["Connection"]

_CHUNK: Final = 256 << 10
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: a socket that is closed sends RST, and nothing else any more (socket(7))."""
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Connection:
    """A worker's socket, and the one to the broker once there is one."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        tunnel: Tunnel,
        worker: socket.socket,
        open_ones: "dict[Connection, None]",
        timed: "dict[Connection, None]",
    ) -> None:
        """It is among `open_ones` until it is closed, and among `timed` while something of it is due later."""
        self.tunnel = tunnel
        self._selector = selector
        self._open_ones = open_ones
        self._timed = timed
        self._worker = _End(worker)
        self._broker: _End | None = None
        open_ones[self] = None

    def pump(self, now: int) -> None:
        """Move what is due, and see to what is to happen then."""
        if self not in self._open_ones:
            return
        tunnel = self.tunnel
        tunnel.tick(now)
        if tunnel.may_open(now):
            self._open()
        if tunnel.broken:
            self.close(abruptly=True)
        elif self._broker is not None:
            self._move("up", self._broker, now)
            self._move("down", self._worker, now)
            if self._worker.closed:
                self.close()
        elif self._worker.ended:
            self.close()
        if self not in self._open_ones:
            return
        if tunnel.next_due() is None:
            self._timed.pop(self, None)
        else:
            self._timed[self] = None
        self._listen()

    def reset(self) -> None:
        """RST to both ends: what is on its way is lost."""
        self.tunnel.break_up()
        if self._broker is not None:
            self._broker.reset_on_close()
        self.close(abruptly=True)

    def close(self, *, abruptly: bool = False) -> None:
        """Close both sockets; `abruptly`: with RST to the worker."""
        if abruptly:
            self._worker.reset_on_close()
        for end in (self._worker, self._broker):
            if end is not None:
                end.close(self._selector)
        self._open_ones.pop(self, None)
        self._timed.pop(self, None)

    def _open(self) -> None:
        """Begin to connect to the broker."""
        self.tunnel.opened = True
        host, _, port = self.tunnel.broker.rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            family, kind, protocol, _, address = found[0]
            to_broker = socket.socket(family, kind, protocol)
        except OSError:
            self.tunnel.break_up()
            return
        to_broker.setblocking(False)
        to_broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        to_broker.connect_ex(address)  # whether that comes to something is seen as it is read
        self._broker = _End(to_broker, connected=False)

    def _move(self, way: Way, end: "_End", now: int) -> None:
        """From a lane to the socket that it leads to."""
        for piece in self.tunnel.lanes[way].take(now):
            end.give(piece)
        end.flush()

    def _listen(self) -> None:
        """Have the selector watch what is of use."""
        ways: list[tuple[Way, _End, _End | None]] = [("up", self._worker, self._broker)]
        if self._broker is not None:
            ways.append(("down", self._broker, self._worker))
        for way, end, other in ways:
            queued = self.tunnel.lanes[way].queued + (0 if other is None else other.unsent)
            end.watch(self._selector, queued < MOST_QUEUED, partial(self._ready, way, end))

    def _ready(self, way: Way, end: "_End", events: int) -> None:
        """A socket can be read or written."""
        if self not in self._open_ones:
            return
        now = time.monotonic_ns()
        if events & _WRITE:
            end.connected = True
        if events & _READ:
            data = end.read()
            if data:
                (self.tunnel.from_worker if way == "up" else self.tunnel.from_broker)(data, now)
            elif data is not None:
                self.tunnel.ended(way, now, abruptly=end.broke)
        self.pump(now)


class _End:
    """One socket, and what waits to be written to it."""

    def __init__(self, of: socket.socket, *, connected: bool = True) -> None:
        self._socket = of
        self._waiting: deque[memoryview] = deque()
        self._watched = 0
        self._closing = False
        self.connected = connected
        self.unsent = 0
        self.ended = False
        """Nothing comes from it any more."""
        self.broke = False
        """It was reset, or could not be reached."""
        self.closed = False
        """What was to be written is written, and that it ends."""

    def read(self) -> bytes | None:
        """What there is; nothing at its end; None if there is nothing yet."""
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            self._break()
            self.ended = True
            return b""
        self.ended = not data
        return data

    def give(self, piece: bytes) -> None:
        """Have it written, in its turn."""
        if piece == END:
            self._closing = True
        elif not self.broke:
            self._waiting.append(memoryview(piece))
            self.unsent += len(piece)

    def flush(self) -> None:
        """Write what can be written now."""
        while self._waiting and self.connected:
            piece = self._waiting[0]
            try:
                sent = self._socket.send(piece)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._break()
                break
            self.unsent -= sent
            if sent < len(piece):
                self._waiting[0] = piece[sent:]
                return
            self._waiting.popleft()
        if self._closing and not self._waiting and not self.closed:
            self.closed = True
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def watch(self, selector: selectors.BaseSelector, wanted: bool, ready: Callable[[int], None]) -> None:
        """Have the selector tell when it can be read, if that is wanted, and when what waits can be written."""
        events = _READ if wanted and not self.ended else 0
        if not self.broke and (self._waiting or not self.connected):
            events |= _WRITE
        if events == self._watched:
            return
        if not events:
            selector.unregister(self._socket)
        elif self._watched:
            selector.modify(self._socket, events, ready)
        else:
            selector.register(self._socket, events, ready)
        self._watched = events

    def reset_on_close(self) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def close(self, selector: selectors.BaseSelector) -> None:
        if self._watched:
            selector.unregister(self._socket)
            self._watched = 0
        self._socket.close()

    def _break(self) -> None:
        """It takes nothing any more; whether that is an end of what it sends, reading shows."""
        self.broke = True
        self._waiting.clear()
        self.unsent = 0

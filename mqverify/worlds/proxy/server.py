"""The proxy and its thread. What is to become of a message is decided elsewhere (`tunnel.py`, `rules.py`)."""

import base64
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from mqverify.backends.base import Conversation
from mqverify.errors import InternalError
from mqverify.worlds.proxy.connection import Connection
from mqverify.worlds.proxy.rules import Countdown, Disturbance, Hold, Loss, Rules
from mqverify.worlds.proxy.tunnel import Tunnel

__all__ = ["Proxy"]

_LONGEST_HEAD: Final = 8 << 10
_MOST_SECONDS: Final = 30.0
"""So long its thread may take for what it is asked."""
_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_NOT_ALLOWED: Final = b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\n\r\n"
_WHO_ARE_YOU: Final = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"
_FORBIDDEN: Final = b"HTTP/1.1 403 Forbidden\r\n\r\n"

T = TypeVar("T")


class Proxy:
    """Made, it listens; `url(worker)` is where a worker finds it.

    What is asked of it is done when the call returns. It may be asked from any thread but its own: that one calls what
    countdowns, losses and holds were given, and there `disturb_here` and `reset_here` are the ones to use.
    """

    def __init__(self, brokers: Iterable[str], converse: Callable[[], Conversation] | None) -> None:
        """`brokers`: the addresses, `HOST:PORT`, that may be asked for. `converse` reads a connection; None: none."""
        self._brokers = frozenset(brokers)
        self._password = secrets.token_hex(16)
        self._converse = converse
        self._rules = Rules()
        self._guests: dict[_Guest, None] = {}
        self._connections: dict[Connection, None] = {}
        self._timed: dict[Connection, None] = {}
        self._orders: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._over = False
        self._failure: BaseException | None = None
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._waking, self._wake = socket.socketpair()
        self._waking.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._waking, selectors.EVENT_READ, self._obey)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def url(self, worker: str) -> str:
        """With the worker as its user, in hexadecimal digits: client libraries do not unquote names."""
        return f"http://{worker.encode().hex()}:{self._password}@127.0.0.1:{self.port}"

    # -- what is to go wrong -------------------------------------------------------------------------------------------

    def disturb(self, disturbance: Disturbance) -> None:
        """From now on."""
        self._order(lambda: self.disturb_here(disturbance))

    def lift(self, disturbance: Disturbance) -> bool:
        """End it, if it has begun; whether anything was to pass meanwhile."""

        def lift() -> bool:
            if disturbance in self._rules.disturbances:
                self._rules.disturbances.remove(disturbance)
                self._release()
            return disturbance.met

        return self._order(lift)

    def lose(self, loss: Loss) -> None:
        self._order(lambda: self._rules.losses.append(loss))

    def hold(self, hold: Hold) -> None:
        self._order(lambda: self._rules.holds.append(hold))

    def let_go(self, release: Callable[[], None]) -> None:
        """Let a reply go that a hold has held."""

        def let_go() -> None:
            release()
            self._release()

        self._order(let_go)

    def count_down(self, countdown: Countdown) -> None:
        self._order(lambda: self._rules.countdowns.append(countdown))

    def reset(self, workers: Collection[str], brokers: Collection[str] | None) -> list[str]:
        """Break all connections between these (None: all brokers) at once; those of the workers that had any."""
        return self._order(lambda: self.reset_here(workers, brokers))

    def disturb_here(self, disturbance: Disturbance) -> None:
        self._rules.disturbances.append(disturbance)

    def reset_here(self, workers: Collection[str], brokers: Collection[str] | None) -> list[str]:
        names = []
        for connection in list(self._connections):
            tunnel = connection.tunnel
            if tunnel.worker in workers and (brokers is None or tunnel.broker in brokers):
                names.append(tunnel.worker)
                connection.reset()
        return list(dict.fromkeys(names))

    # -- its life ------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises InternalError if it broke."""
        if self._failure is not None:
            raise InternalError("the proxy before the brokers broke") from self._failure

    def close(self) -> None:
        """End all connections, and listen no more."""
        self._over = True
        self._wake.send(b".")
        self._thread.join(_MOST_SECONDS)
        for one in (self._wake, self._waking, self._listener):
            one.close()

    def _order(self, what: Callable[[], T]) -> T:
        """Have it done by the proxy's thread, and wait for that."""
        self.check()
        done: Future[T] = Future()
        self._orders.append((what, done))
        self._wake.send(b".")
        try:
            return done.result(_MOST_SECONDS)
        except TimeoutError:
            self.check()
            raise InternalError("the proxy before the brokers does not answer") from None

    # -- its thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._over:
                for key, events in self._selector.select(self._seconds_left()):
                    key.data(events)
                now = time.monotonic_ns()
                for connection in list(self._timed):
                    connection.pump(now)
        except BaseException as error:  # noqa: BLE001 - `check` tells it
            self._failure = error
        finally:
            for connection in list(self._connections):
                connection.close()
            for guest in list(self._guests):
                guest.leave()
            self._selector.close()

    def _seconds_left(self) -> float | None:
        """Until something is due; None if nothing is."""
        dues = [due for connection in self._timed if (due := connection.tunnel.next_due()) is not None]
        return max(0.0, (min(dues) - time.monotonic_ns()) / 1e9) if dues else None

    def _obey(self, _events: int) -> None:
        with suppress(BlockingIOError):
            self._waking.recv(4096)
        for _ in range(len(self._orders)):
            what, done = self._orders.popleft()
            try:
                done.set_result(what())
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                done.set_exception(error)

    def _release(self) -> None:
        now = time.monotonic_ns()
        for connection in list(self._connections):
            connection.tunnel.release(now)
            connection.pump(now)

    def _accept(self, _events: int) -> None:
        with suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Guest(self._selector, accepted, self._guests, self._welcome)

    def _welcome(self, accepted: socket.socket, head: bytes, rest: bytes) -> bool:
        """Answer a guest; True if it is led to where it wants."""
        answer, asked = self._answer(head)
        with suppress(OSError):
            accepted.send(answer)
        if asked is None:
            return False
        # The answer comes at once, whatever is in the way: kafka-python waits for it without a pause, as for a socket
        # that is being connected. What it sends next waits as it should, within its time for connecting.
        now = time.monotonic_ns()
        tunnel = Tunnel(self._rules, *asked, self._converse() if self._converse is not None else None, now)
        connection = Connection(self._selector, tunnel, accepted, self._connections, self._timed)
        if rest:
            tunnel.from_worker(rest, now)
        connection.pump(now)
        return True

    def _answer(self, head: bytes) -> tuple[bytes, tuple[str, str] | None]:
        """The answer to the head of a request, and which worker asks for which broker, if it may."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, broker, *_ = [*first.split(" "), "", ""]
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if method != "CONNECT":
            return _NOT_ALLOWED, None
        worker = self._worker_of(fields.get("proxy-authorization", ""))
        if worker is None:
            return _WHO_ARE_YOU, None
        return (_ESTABLISHED, (worker, broker)) if broker in self._brokers else (_FORBIDDEN, None)

    def _worker_of(self, authorization: str) -> str | None:
        """The worker that gives its name and the password (RFC 7617); None if that is not one."""
        scheme, _, credentials = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(credentials).decode("ascii").partition(":")
            worker = bytes.fromhex(user).decode()
        except ValueError:
            return None
        return worker if scheme.lower() == "basic" and secrets.compare_digest(password, self._password) else None


class _Guest:
    """Somebody who has come, and not said yet where to."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        accepted: socket.socket,
        guests: "dict[_Guest, None]",
        welcome: Callable[[socket.socket, bytes, bytes], bool],
    ) -> None:
        self._selector = selector
        self._socket = accepted
        self._guests = guests
        self._welcome = welcome
        self._head = b""
        guests[self] = None
        selector.register(accepted, selectors.EVENT_READ, self._read)

    def _read(self, _events: int) -> None:
        try:
            data = self._socket.recv(_LONGEST_HEAD)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if data and not end and len(head) < _LONGEST_HEAD:
            return
        self._selector.unregister(self._socket)
        del self._guests[self]
        if not end or not self._welcome(self._socket, head, rest):
            self._socket.close()

    def leave(self) -> None:
        self._socket.close()

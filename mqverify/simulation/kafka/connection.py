"""One connection of a client to the broker: requests in flight, time-outs, how it breaks and how it is torn down.

kafka-python's `KafkaConnection` (`net/connection.py`), over two links. Where a connection ends, all that is in flight
on it fails with one error:

- `RequestTimedOutError`: a request had no reply within its time-out, and the client closed the connection;
- `KafkaConnectionError`: the broker's end reset it.

What the client wrote before it tore a connection down is the kernel's by then, which goes on trying to get it through
(`transport.abort` shuts the socket down and closes it: the data, then a FIN). So what a cut holds of it arrives once
the cut is over, late and perhaps after the retry on the next connection, unless the kernel gave up before (`ORPHANED`).
Replies to a closed connection go nowhere.

On a network without a disturbance every request is answered, so nothing is timed there: a connection begins to watch
its requests when something goes wrong, and ends when all is well again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaConnectionError, RequestTimedOutError

from mqverify.simulation.kafka.protocol import Fetch
from mqverify.simulation.network import MOST_LATENCY, ORPHANED
from mqverify.simulation.renewals import Event

if TYPE_CHECKING:
    from mqverify.simulation.kafka.cluster import SimulatedKafka
    from mqverify.simulation.process import Process

__all__ = ["Connection", "InFlight"]

Then = Callable[[Any], Any]


class InFlight:
    """A request on its way or at the broker, which knows it by this token. `then(reply)` or `failed(error)` follows."""

    __slots__ = ("connection", "due", "failed", "leapt", "then", "timeout")

    def __init__(
        self, connection: Connection, then: Then, failed: Then | None, timeout: int, due: int, leapt: int | None = None
    ) -> None:
        self.connection = connection
        self.then = then
        self.failed = failed
        self.timeout = timeout
        self.due = due
        """When it has had no reply for too long."""
        self.leapt = leapt
        """Of a fetch, which the broker may hold: how much idle time had been leapt over when it was sent. It does not
        age by what is leapt over afterwards, since its reply moves along (`Kernel.leapt`)."""


class Connection:
    """Requests go out, replies come back, both in order. Made by `SimulatedKafka.connect`, open from the beginning.

    `lost(in_flight, error)` is told in the client's process when it broke; it has the requests fail. `troubled()` is
    told when something went wrong on the way to the broker.
    """

    __slots__ = (
        "_cluster", "_kernel", "_opened", "_watchdog", "closed", "down", "in_flight", "lost", "muted", "process",
        "refused", "troubled", "up", "watched",
    )  # fmt: skip

    def __init__(self, cluster: SimulatedKafka, process: Process, name: str) -> None:
        self._cluster = cluster
        self._kernel = cluster.kernel
        self._watchdog: Event | None = None
        self._opened: Callable[[], None] | None = None
        self.process = process
        self.up = cluster.network.link(f"{name}/up", process, cluster.process)
        self.down = cluster.network.link(f"{name}/down", cluster.process, process)
        self.in_flight: dict[InFlight, None] = {}
        self.lost: Callable[[list[InFlight], BaseException], Any] | None = None
        self.troubled: Callable[[], Any] | None = None
        self.closed = False
        """At the client: nothing is listened to any more."""
        self.watched = False
        """At the client: requests may time out."""
        self.muted = False
        """At the broker: no reply leaves any more."""
        self.refused = False
        """At the broker: it has reset the connection, and drops what still arrives on it."""

    # -- the client's end ------------------------------------------------------------------------------------------

    def open(self, opened: Callable[[], None]) -> None:
        """Knock first: `opened()` happens in the client's process when the broker has answered."""
        self._opened = opened
        self.up.send(self._cluster.accept, self)

    def accepted(self) -> None:
        if not self.closed and self._opened is not None:
            self._opened()

    def send(self, request: Any, then: Then, failed: Then | None, timeout: int) -> None:
        """Send a request that is answered, or fails with this connection, after `timeout` nanoseconds at the latest."""
        kernel = self._kernel
        if self._cluster.network.countdowns:
            self._cluster.network.requested(self.process)
        leapt = kernel.leapt if isinstance(request, Fetch) else None
        waiting = InFlight(self, then, failed, timeout, kernel.now + timeout, leapt)
        self.in_flight[waiting] = None
        self.up.send(self._cluster.receive, request, waiting)
        if self.watched:
            self._time()
        elif not self._cluster.process.running:
            self.watch()

    def post(self, request: Any) -> None:
        """Send a request that is never answered (`acks=0`)."""
        if self._cluster.network.countdowns:
            self._cluster.network.requested(self.process)
        self.up.send(self._cluster.receive, request, InFlight(self, _ignore, None, 0, 0))

    def deliver(self, waiting: InFlight, reply: Any) -> None:
        if not self.closed:
            del self.in_flight[waiting]
            waiting.then(reply)

    def close(self) -> None:
        """The client is done with it: no reply arrives any more; what was sent still reaches the broker."""
        self.closed = True
        if self._watchdog is not None:
            self._kernel.cancel(self._watchdog)
            self._watchdog = None
        self.in_flight.clear()
        self._cluster.forget(self)
        self.up.send(self._cluster.disconnected, self)
        if not self._cluster.network.passes(self.process, self._cluster.process):
            self._kernel.call_at(self._kernel.now + ORPHANED, self.up.drop)

    def end(self, _failure: BaseException | None) -> None:
        """The process ended, one way or the other, and its kernel closes what it had open."""
        if not self.closed:
            self.close()

    def give_up(self) -> None:
        """The broker never answered the knock: nothing is retransmitted any more."""
        self.closed = True
        self._cluster.forget(self)
        self.up.drop()

    def broken(self) -> None:
        """The broker's end reset it."""
        if not self.closed:
            self._fail(KafkaConnectionError("socket disconnected"))

    def _fail(self, error: BaseException) -> None:
        in_flight = list(self.in_flight)
        self.close()
        if self.lost is not None:
            self.lost(in_flight, error)

    # -- time-outs -------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Something is wrong between here and there: from now on requests are timed."""
        if not self.closed and not self.watched:
            self.watched = True
            self._time()
            if self.troubled is not None:
                self.troubled()

    def _time(self) -> None:
        """One watchdog for all, for the first that would be overdue."""
        if not self.in_flight:
            return
        due = min(self._due(waiting) for waiting in self.in_flight)
        if self._watchdog is not None:
            if self._watchdog[0] <= due:
                return
            self._kernel.cancel(self._watchdog)
        self._watchdog = self._kernel.call_at(due, self._check, process=self.process)

    def _due(self, waiting: InFlight) -> int:
        return waiting.due + (0 if waiting.leapt is None else self._kernel.leapt - waiting.leapt)

    def _check(self) -> None:
        self._watchdog = None
        now = self._kernel.now
        overdue = next((waiting for waiting in self.in_flight if self._due(waiting) <= now), None)
        if overdue is not None:
            self._fail(RequestTimedOutError(f"Request timed out after {overdue.timeout // 1_000_000} ms"))
        elif self._all_is_well():
            self.watched = False
        else:
            self._time()

    def _all_is_well(self) -> bool:
        soon = self._kernel.now + MOST_LATENCY
        return (
            self._cluster.process.running
            and self._cluster.network.undisturbed(self.process, self._cluster.process)
            and self.up.busy_until <= soon
            and self.down.busy_until <= soon
        )


def _ignore(_: Any) -> None:
    pass

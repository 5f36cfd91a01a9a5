"""What is wrong between workers and brokers just now, and what is to go wrong: pure, and the same for all connections.

The words mean what they mean in the simulated network (`simulation/network.py`): a *cut* holds what is sent until it is
lifted, a *delay* makes it late, a *loss* swallows a reply. Times are nanoseconds of the monotonic clock.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

from mqverify.backends.base import Request

__all__ = ["Countdown", "Disturbance", "Hold", "Loss", "Rules", "Way"]

Way = Literal["up", "down"]
"""`up`: from a worker to a broker."""


@dataclass(eq=False, slots=True)
class Disturbance:
    """A cut or a delay, between workers (by name) and brokers (by address; None: all of them)."""

    workers: frozenset[str]
    brokers: frozenset[str] | None
    ways: Collection[Way]
    by: Callable[[], int] | None
    """How much later one message comes; None cuts."""
    met: bool = False
    """Whether anything was to pass while it was there."""

    def concerns(self, worker: str, broker: str, way: Way) -> bool:
        return way in self.ways and worker in self.workers and (self.brokers is None or broker in self.brokers)


@dataclass(eq=False, slots=True)
class Loss:
    """The replies to the next `times` requests of that kind are to be lost, after `skip` others."""

    workers: frozenset[str]
    kind: Literal["append", "settle"]
    struck: Callable[[str], None]
    """Told the worker's name when a reply is swallowed."""
    times: int
    skip: int


@dataclass(eq=False, slots=True)
class Hold:
    """Replies to settlements of these workers are watched: the first that comes when it `takes` is held back."""

    workers: frozenset[str]
    is_armed: Callable[[str], bool]
    """Asked with the worker's name, before its request is passed on."""
    take: Callable[[str], bool]
    """Whether this reply is the one. Asked when it has come, so that the request is done."""
    held: Callable[[str, Callable[[], None]], None]
    """Told the worker's name, and what to call to let the reply go."""


@dataclass(eq=False, slots=True)
class Countdown:
    """`call(worker)` comes before the last of so many requests is passed on."""

    workers: frozenset[str]
    brokers: frozenset[str] | None
    left: int
    call: Callable[[str], None]


@dataclass(eq=False, slots=True)
class Rules:
    """All of it, in the order in which it was asked for."""

    disturbances: list[Disturbance] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    countdowns: list[Countdown] = field(default_factory=list)

    def cuts(self, worker: str, broker: str, way: Way) -> bool:
        """Whether what is sent now that way is held."""
        return any(one.by is None and one.concerns(worker, broker, way) for one in self.disturbances)

    def lateness(self, worker: str, broker: str, way: Way) -> int:
        """How much later a message comes that is sent now."""
        return sum(one.by() for one in self.disturbances if one.by is not None and one.concerns(worker, broker, way))

    def note_traffic(self, worker: str, broker: str, way: Way) -> None:
        """Something is to pass now, that way."""
        for one in self.disturbances:
            one.met = one.met or one.concerns(worker, broker, way)

    def requested(self, worker: str, broker: str) -> None:
        """A request is about to be passed on: count it, and have happen what waited for it."""
        for one in list(self.countdowns):
            if worker in one.workers and (one.brokers is None or broker in one.brokers):
                one.left -= 1
                if one.left == 0:
                    self.countdowns.remove(one)
                    one.call(worker)

    def mark(self, worker: str, request: Request) -> Loss | Hold | None:
        """What is to become of the reply to this request, if not the usual."""
        for loss in self.losses:
            if worker in loss.workers and request.kind == loss.kind:
                if loss.skip:
                    loss.skip -= 1
                    continue
                loss.times -= 1
                if loss.times == 0:
                    self.losses.remove(loss)
                return loss
        if request.kind == "settle":
            return next((one for one in self.holds if worker in one.workers and one.is_armed(worker)), None)
        return None

    def unmark(self, loss: Loss) -> None:
        """The reply never came: another is to be lost in its place."""
        loss.times += 1
        if loss not in self.losses:
            self.losses.append(loss)

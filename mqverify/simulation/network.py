"""The network between simulated processes: links with latency, in order, and what is wrong with them.

A `Link` is one direction of one connection. What is sent arrives after a latency drawn from the link's own dice, never
before what was sent earlier on it (TCP). What arrives at a paused process waits there; at a dead one it is lost: the
kernel sees to both.

A `Network` knows what is wrong just now: a *cut* holds what is sent until it is lifted, as TCP does with what it cannot
get through; a *delay* makes it late. Connections stay open under both; giving up is the client's affair. An end is a
process, by its name without what stands behind `#`: every incarnation of a worker is behind the same wire.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from mqverify.simulation.kernel import MICROSECOND, SECOND, Kernel
from mqverify.simulation.process import Process

__all__ = ["LEAST_LATENCY", "MOST_LATENCY", "ORPHANED", "Disturbance", "Link", "Losses", "Network", "end_of"]

LEAST_LATENCY: Final = 100 * MICROSECOND
MOST_LATENCY: Final = 400 * MICROSECOND
ORPHANED: Final = 100 * SECOND
"""How long an operating system goes on sending what a closed connection left behind, that it is closed among it: Linux,
`tcp_orphan_retries`, 8 by default (tcp(7)). A peer that a cut hides for longer never hears of it."""


class Disturbance:
    """What is wrong between two sets of ends, until it is lifted. `by` is the delay of one message; None cuts."""

    __slots__ = ("by", "destinations", "held", "sources")

    def __init__(self, sources: frozenset[str], destinations: frozenset[str], by: Callable[[], int] | None) -> None:
        self.sources = sources
        self.destinations = destinations
        self.by = by
        self.held: list[tuple[Link, Callable[..., Any], tuple[Any, ...]]] = []
        """What waits for a cut to be lifted, in the order in which it was sent."""

    def concerns(self, source: str, destination: str) -> bool:
        return source in self.sources and destination in self.destinations


class Countdown:
    """Requests that are still to come before something happens."""

    __slots__ = ("call", "ends", "left")

    def __init__(self, ends: frozenset[str], left: int, call: Callable[[str], None]) -> None:
        self.ends = ends
        self.left = left
        self.call = call


class Network:
    """All links of one simulated world."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.disturbances: list[Disturbance] = []
        self.on_disturbance: list[Callable[[], None]] = []
        """Told whenever something goes wrong somewhere, so that nobody watches a network on which all is well."""
        self.countdowns: list[Countdown] = []

    def link(self, name: str, source: Process, destination: Process) -> "Link":
        """One direction of a connection. `name` names its dice."""
        return Link(self, name, source, destination)

    def cut(self, sources: Iterable[str], destinations: Iterable[str]) -> Disturbance:
        """From now on nothing passes from one of the sources to one of the destinations; the other way is free."""
        return self._disturb(Disturbance(frozenset(sources), frozenset(destinations), None))

    def delay(self, sources: Iterable[str], destinations: Iterable[str], by: Callable[[], int]) -> Disturbance:
        """From now on what is sent so takes `by()` nanoseconds longer, each message anew."""
        return self._disturb(Disturbance(frozenset(sources), frozenset(destinations), by))

    def lift(self, disturbance: Disturbance) -> None:
        """All is well again there. What a cut held goes on its way now, unless another cut holds it."""
        self.disturbances.remove(disturbance)
        held, disturbance.held = disturbance.held, []
        for link, call, arguments in held:
            if not link.dropped:
                link.send(call, *arguments)

    def count_down(self, ends: Iterable[str], requests: int, call: Callable[[str], None]) -> None:
        """Have `call(end)` happen as the last of so many requests is sent by these ends, just before it leaves."""
        self.countdowns.append(Countdown(frozenset(ends), requests, call))

    def requested(self, process: Process) -> None:
        """A process is about to send a request. Connections tell, where there are `countdowns`."""
        end = end_of(process)
        for one in list(self.countdowns):
            if end in one.ends:
                one.left -= 1
                if one.left == 0:
                    self.countdowns.remove(one)
                    one.call(end)

    def passes(self, source: Process, destination: Process) -> bool:
        """Whether what is sent now gets through: no cut is in its way."""
        return self.cut_between(source, destination) is None

    def connects(self, one: Process, other: Process) -> bool:
        """Whether a new connection can be made between the two just now: it takes both ways."""
        return self.passes(one, other) and self.passes(other, one)

    def cut_between(self, source: Process, destination: Process) -> Disturbance | None:
        """The cut that holds what is sent so, if there is one."""
        for disturbance in self.disturbances:
            if disturbance.by is None and disturbance.concerns(end_of(source), end_of(destination)):
                return disturbance
        return None

    def undisturbed(self, one: Process, other: Process) -> bool:
        """Whether nothing is wrong between the two, either way."""
        ends = end_of(one), end_of(other)
        return not any(each.concerns(*ends) or each.concerns(*ends[::-1]) for each in self.disturbances)

    def lateness(self, source: Process, destination: Process) -> int:
        """How much longer a message sent now takes, in nanoseconds."""
        ends = end_of(source), end_of(destination)
        return sum(one.by() for one in self.disturbances if one.by is not None and one.concerns(*ends))

    def _disturb(self, disturbance: Disturbance) -> Disturbance:
        self.disturbances.append(disturbance)
        for tell in self.on_disturbance:
            tell()
        return disturbance


def end_of(process: Process) -> str:
    """The end of the network that a process sits at."""
    return process.name.partition("#")[0]


class _Loss:
    """Replies to be lost: `times` of them, after `skip` others."""

    __slots__ = ("ends", "kinds", "skip", "struck", "times")

    def __init__(
        self, ends: frozenset[str], kinds: tuple[type, ...], struck: Callable[[str], None], times: int, skip: int
    ) -> None:
        self.ends = ends
        self.kinds = kinds
        self.struck = struck
        self.times = times
        self.skip = skip


class Losses:
    """Replies that are to be lost: the next to a request of one of some kinds that comes from one of some ends."""

    def __init__(self) -> None:
        self._planned: list[_Loss] = []

    def __bool__(self) -> bool:
        return bool(self._planned)

    def plan(
        self, ends: frozenset[str], kinds: tuple[type, ...], struck: Callable[[str], None], times: int, nth: int
    ) -> None:
        """Lose so many in a row, from the `nth` on; `struck(end)` is for whoever loses one to call at that moment."""
        self._planned.append(_Loss(ends, kinds, struck, times, nth - 1))

    def take(self, kind: type, process: Process) -> Callable[[], None] | None:
        """If the reply to this request of `process` is to be lost: what to call when it is. It is then done with."""
        end = end_of(process)
        for loss in self._planned:
            if end not in loss.ends or kind not in loss.kinds:
                continue
            if loss.skip:
                loss.skip -= 1
                continue
            loss.times -= 1
            if not loss.times:
                self._planned.remove(loss)
            return partial(loss.struck, end)
        return None


class Link:
    """One direction of one connection. Made by `Network.link`."""

    __slots__ = ("_kernel", "_last", "_network", "_random", "destination", "dropped", "source")

    def __init__(self, network: Network, name: str, source: Process, destination: Process) -> None:
        self._network = network
        self._kernel = network.kernel
        self._random = network.kernel.stream(f"network/{name}").random
        self._last = 0
        self.source = source
        self.destination = destination
        self.dropped = False
        """Whether what a cut holds of it is forgotten: the connection was torn down meanwhile."""

    def send(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Have `call(*arguments)` happen at the destination when the message arrives."""
        kernel = self._kernel
        time = kernel.now + LEAST_LATENCY + int(self._random() * (MOST_LATENCY - LEAST_LATENCY))
        network = self._network
        if network.disturbances:
            cut = network.cut_between(self.source, self.destination)
            if cut is not None:
                cut.held.append((self, call, arguments))
                return
            time += network.lateness(self.source, self.destination)
        if time < self._last:
            time = self._last
        self._last = time
        kernel.call_at(time, call, *arguments, process=self.destination)

    @property
    def busy_until(self) -> int:
        """When the last of what was sent arrives; what a cut holds is not counted."""
        return self._last

    def drop(self) -> None:
        """Forget what a cut holds of it: nothing of it arrives any more."""
        self.dropped = True

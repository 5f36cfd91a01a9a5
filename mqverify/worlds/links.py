"""Faults of links in the real world: what workers and brokers say to each other passes a proxy that has them happen."""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from mqverify.backends.base import Admin, Endpoint, NotDone, RealSystem, Site
from mqverify.errors import BackendUnavailable
from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import link_of, reads_requests
from mqverify.spec.targets import partition_of
from mqverify.workload.groups import Worker
from mqverify.workload.plan import stream
from mqverify.worlds.board import Board
from mqverify.worlds.proxy import Proxy
from mqverify.worlds.proxy.rules import Countdown, Disturbance, Hold, Loss, Way

__all__ = ["Happened", "Links"]


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault has met a worker on its way. With `let_go` the reply to its settlement is held until that is called."""

    fault: PlannedFault
    worker: str
    let_go: Callable[[], None] | None = None


class Links:
    """Of one run. What happened is fetched with `take`; `pipe` can be read when there is something."""

    def __init__(
        self,
        faults: Sequence[PlannedFault],
        workers: Sequence[Worker],
        real: RealSystem,
        site: Site,
        admin: Admin,
        board: Board,
        seed: int,
    ) -> None:
        """Raises BackendUnavailable if a fault reads what is encrypted."""
        conversations = real.conversations(site.endpoint)
        if conversations is None and any(reads_requests(planned.fault) for planned in faults):
            raise BackendUnavailable("a fault goes by what clients ask, which nobody can read on its way over TLS")
        self._real = real
        self._endpoint = site.endpoint
        self._admin = admin
        self._board = board
        self._seed = seed
        self._happened: deque[Happened] = deque()
        self.pipe, self._bell = os.pipe()
        os.set_blocking(self.pipe, False)
        os.set_blocking(self._bell, False)
        self._numbered = admin.brokers()
        known = [address.strip() for address in site.endpoint.address.split(",")]
        self._proxy = Proxy([*known, *self._numbered.values()], conversations)
        for planned in faults:
            if planned.fault.point == "in_settle":
                self._watch_settlements(planned, [worker.name for worker in workers])

    def endpoint(self, worker: str) -> Endpoint:
        """How a worker gets to the brokers."""
        return self._real.through(self._endpoint, self._proxy.url(worker))

    def take(self) -> list[Happened]:
        """What has happened since the last call. Raises InternalError if the proxy broke."""
        self._proxy.check()
        with suppress(BlockingIOError):
            os.read(self.pipe, 4096)
        return [self._happened.popleft() for _ in range(len(self._happened))]

    def close(self) -> None:
        self._proxy.close()
        os.close(self.pipe)
        os.close(self._bell)

    # --- faults ----------------------------------------------------------------------------------------------------

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], bool]:
        """As `World.disturb`. Raises NotDone where nobody can tell which broker is meant."""
        fault, proxy = planned.fault, self._proxy
        link = link_of(fault)
        ways: Collection[Way] = ("up", "down")
        if fault.one_way:
            ways = ["up" if link.from_worker else "down"]
        by = None
        if fault.by is not None:
            by = partial(stream(self._seed, f"fault-{planned.number}/{planned.identity}").randint, *fault.by)
        disturbance = Disturbance(frozenset(workers), self._brokers(link.broker), ways, by)
        if fault.nth is None:
            proxy.disturb(disturbance)
        else:

            def begin(worker: str) -> None:
                proxy.disturb_here(disturbance)
                self._tell(Happened(planned, worker))

            proxy.count_down(Countdown(disturbance.workers, disturbance.brokers, fault.nth, begin))
        return lambda: proxy.lift(disturbance)

    def reset(self, planned: PlannedFault, workers: Sequence[str]) -> Sequence[str]:
        """As `World.reset`. Raises NotDone where nobody can tell which broker is meant."""
        proxy, brokers = self._proxy, self._brokers(link_of(planned.fault).broker)

        def reset(_worker: str) -> None:
            for name in proxy.reset_here(workers, brokers):
                self._tell(Happened(planned, name))

        if planned.fault.nth is not None:
            proxy.count_down(Countdown(frozenset(workers), brokers, planned.fault.nth, reset))
            return ()
        had_one = proxy.reset(workers, brokers)
        for name in had_one:
            self._tell(Happened(planned, name))
        return had_one

    def lose(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        fault = planned.fault
        self._proxy.lose(
            Loss(
                frozenset(eligible),
                "append" if fault.target[0].startswith("producer") else "settle",
                lambda worker: self._tell(Happened(planned, worker)),
                fault.times,
                (fault.nth or 1) - 1,
            )
        )

    def let_go(self, happened: Happened) -> None:
        """Have the reply go on its way that is held."""
        if happened.let_go is not None:
            self._proxy.let_go(happened.let_go)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _watch_settlements(self, planned: PlannedFault, workers: Sequence[str]) -> None:
        """The point `in_settle` is here: when the reply to a settlement has come and its consumer has not seen it.

        The board knows for whom it is armed: in the same step in which a worker's message makes its count.
        """
        board = self._board

        def held(worker: str, let_go: Callable[[], None]) -> None:
            self._tell(Happened(planned, worker, let_go))

        armed, take = partial(board.is_armed, planned), partial(board.take, planned)
        self._proxy.hold(Hold(frozenset(workers), armed, take, held))

    def _tell(self, happened: Happened) -> None:
        """In whatever thread."""
        self._happened.append(happened)
        with suppress(BlockingIOError):  # full: nobody has listened for a while, and will find all of it
            os.write(self._bell, b".")

    def _brokers(self, far_end: str) -> frozenset[str] | None:
        """The addresses, as brokers tell them, of those that the far end of a link means; None: all of them.

        Raises NotDone where nobody can tell which they are.
        """
        partition = partition_of(far_end)
        if partition is None:
            return None
        leader, *followers = self._admin.holders(partition)
        meant = followers if far_end.startswith("followers") else [leader]
        if not meant:
            raise NotDone(f"nobody but its leader holds partition {partition}")
        return frozenset(self._numbered[number] for number in meant if number in self._numbered)

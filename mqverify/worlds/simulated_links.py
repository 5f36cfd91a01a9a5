"""What happens between workers and the simulated broker: links that are cut or slow, connections and replies lost."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal

from mqverify.backends.base import SimulatedBroker
from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import link_of
from mqverify.simulation.network import Disturbance, Network

__all__ = ["SimulatedLinks"]


class SimulatedLinks:
    """Of one run. `struck(planned, worker name)` is called when a fault meets a worker."""

    def __init__(self, network: Network, broker: SimulatedBroker, struck: Callable[[PlannedFault, str], None]) -> None:
        self._network = network
        self._broker = broker
        self._struck = struck

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], bool]:
        network, fault = self._network, planned.fault
        ways = [(workers, self._broker.ends), (self._broker.ends, workers)]
        if not link_of(fault).from_worker:
            ways.reverse()
        if fault.one_way:
            ways.pop()
        disturbances: list[Disturbance] = []

        def begin() -> None:
            if fault.by is None:
                disturbances.extend(network.cut(sources, destinations) for sources, destinations in ways)
                return
            dice = network.kernel.stream(f"fault-{planned.number}/{planned.identity}")
            by = partial(dice.randint, *fault.by)
            disturbances.extend(network.delay(sources, destinations, by) for sources, destinations in ways)

        def lift() -> bool:
            for disturbance in disturbances:
                network.lift(disturbance)
            return True

        if fault.nth is None:
            begin()
        else:

            def struck(name: str) -> None:
                begin()
                self._struck(planned, name)

            network.count_down(workers, fault.nth, struck)
        return lift

    def reset(self, planned: PlannedFault, workers: Sequence[str]) -> Sequence[str]:
        def reset() -> Sequence[str]:
            had_one = self._broker.reset(workers)
            for name in had_one:
                self._struck(planned, name)
            return had_one

        if planned.fault.nth is None:
            return reset()

        def nth(_name: str) -> None:
            reset()

        self._network.count_down(workers, planned.fault.nth, nth)
        return ()

    def lose(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        of: Literal["producer", "consumer"] = (
            "producer" if planned.fault.target[0].startswith("producer") else "consumer"
        )
        struck = partial(self._struck, planned)
        self._broker.lose(frozenset(eligible), of, struck, planned.fault.times, planned.fault.nth or 1)

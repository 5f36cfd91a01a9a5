"""Faults of brokers: server processes that were started for the run are killed and stopped, and come back.

The conductor goes on while a broker starts, since another may have to be resumed before it can take part. A fault is
under way until the replicas that its broker holds are in sync again, for a minute at the most: only then is what is
acknowledged to be seen by those who read.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from mqverify.backends.base import Brokers, NotDone
from mqverify.faults.plan import PlannedFault
from mqverify.spec.targets import partition_of
from mqverify.units import MILLISECOND, SECOND
from mqverify.worlds.actions.base import Action

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["CrashBroker", "PauseBroker", "meant_brokers"]

_LOOK_EVERY: Final = 200 * MILLISECOND
_LONGEST_HEALING: Final = 60 * SECOND
_SHOWN_WITHIN: Final = 2 * SECOND
"""After which a leader has learned how far its followers are, and shows readers that much (docs/facts/kafka.md §0, 8).
One that stood still for a moment was in sync all the while; what acks=1 acknowledged meanwhile is shown when it has
fetched it."""


def meant_brokers(conductor: "Conductor", planned: PlannedFault, target: str, among: list[int]) -> list[int]:
    """The numbers of the brokers that a target of a fault means, of those that it may strike.

    Raises NotDone where nobody can tell, or where it means none.
    """
    partition = partition_of(target)
    if target == "all brokers":
        meant = among
    elif partition is not None:
        leader, *followers = conductor.world.admin.holders(partition)
        meant = [leader] if target.startswith("broker") else followers
        if not meant:
            raise NotDone(f"nobody but its leader holds partition {partition}")
    elif target == "broker":
        meant = among[int(planned.choice * len(among)) :][:1]
    else:
        meant = [int(target.removeprefix("broker-"))]
    struck = [number for number in meant if number in among]
    if not struck:
        raise NotDone(f"no {target} was there when its trigger was pulled")
    return struck


class _BrokerFault(Action):
    """Strikes brokers when its trigger is pulled, and knows whether all of them were there to be struck."""

    unheard = True

    def __init__(self, conductor: "Conductor", planned: PlannedFault) -> None:
        super().__init__(conductor, planned)
        self._missing = 0
        """Brokers that are still to come back."""

    def strike(self, brokers: Brokers, number: int) -> None:
        raise NotImplementedError

    def follow(self, brokers: Brokers, number: int) -> None:
        """What comes after it has struck."""
        raise NotImplementedError

    def standing(self, brokers: Brokers) -> list[int]:
        """Those that it may strike."""
        paused = self.conductor.paused_brokers
        return [number for number in brokers.alive() if number not in paused]

    def act(self) -> None:
        brokers = self.world.brokers
        if brokers is None:
            self.fail("the servers here are not mqverify's to break")
            return
        try:
            struck = meant_brokers(self.conductor, self.planned, self.planned.fault.target[0], self.standing(brokers))
        except NotDone as reason:
            self.fail(str(reason))
            return
        self.begin()
        self._missing = len(struck)
        for number in struck:
            self.strike(brokers, number)
        for number in struck:
            self.follow(brokers, number)

    def back(self) -> None:
        """One of those that it struck is back; the last one ends the fault once the replicas are in sync."""
        self._missing -= 1
        if self._missing:
            return
        self.ended_at = self.world.stamp()
        deadline = self.world.now() + _LONGEST_HEALING

        def look() -> None:
            if self.world.admin.unsound() and self.world.now() < deadline:
                self.conductor.appoint(_LOOK_EVERY, look)
            else:
                self.phase = "over"
                self.conductor.appoint(_SHOWN_WITHIN, lambda: None)

        look()


class CrashBroker(_BrokerFault):
    """SIGKILL, and a start on the same data after a while, if there is to be one."""

    def standing(self, brokers: Brokers) -> list[int]:
        return list(brokers.alive())

    def strike(self, brokers: Brokers, number: int) -> None:
        brokers.kill(number)
        self.conductor.paused_brokers.discard(number)

    def follow(self, brokers: Brokers, number: int) -> None:
        if self.planned.restart_after is None:
            self.over()
        else:
            self.conductor.appoint(self.planned.restart_after, lambda: self._restart(brokers, number))

    def _restart(self, brokers: Brokers, number: int) -> None:
        executor = ThreadPoolExecutor(1, "restart-of-broker")
        starting = executor.submit(brokers.restart, number)
        executor.shutdown(wait=False)

        def look() -> None:
            if starting.done():
                starting.result()
                self.back()
            else:
                self.conductor.appoint(_LOOK_EVERY, look)

        look()


class PauseBroker(_BrokerFault):
    """SIGSTOP, and SIGCONT when its time is over."""

    def strike(self, brokers: Brokers, number: int) -> None:
        brokers.pause(number)
        self.conductor.paused_brokers.add(number)

    def follow(self, brokers: Brokers, number: int) -> None:
        def resume() -> None:
            if number in self.conductor.paused_brokers:  # else it was killed meanwhile
                self.conductor.paused_brokers.discard(number)
                brokers.resume(number)
            self.back()

        self.conductor.appoint(self.planned.duration, resume)

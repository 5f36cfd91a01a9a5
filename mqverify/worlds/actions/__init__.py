"""What each kind of fault does in a run, and what becomes of it: one class a kind, one object a planned fault.

The injector says when; an action acts through the conductor and its world, and knows whether it took effect.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import strikes_brokers
from mqverify.worlds.actions.base import Action
from mqverify.worlds.actions.brokers import CrashBroker, PauseBroker
from mqverify.worlds.actions.surroundings import AskAdmin, Disturb, Lose, PassTime, Reset
from mqverify.worlds.actions.workers import AddConsumers, Crash, Pause, RemoveConsumers, SkewClocks, Slow

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["Action", "action_of"]

_ACTIONS: Final[Mapping[str, type[Action]]] = {
    "crash": Crash,
    "pause": Pause,
    "slow": Slow,
    "pass": PassTime,
    "cut": Disturb,
    "delay": Disturb,
    "lose": Lose,
    "reset": Reset,
    "add_consumers": AddConsumers,
    "remove_consumers": RemoveConsumers,
    "clock_skew": SkewClocks,
}

_OF_BROKERS: Final[Mapping[str, type[Action]]] = {"crash": CrashBroker, "pause": PauseBroker}


def action_of(conductor: "Conductor", planned: PlannedFault) -> Action:
    """What the fault's kind does; a kind that is not known here is an administrator's."""
    if strikes_brokers(planned.fault):
        return _OF_BROKERS[planned.kind](conductor, planned)
    return _ACTIONS.get(planned.kind, AskAdmin)(conductor, planned)

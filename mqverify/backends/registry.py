"""The backends there are, by the name of their system: mqverify's own, and those that other packages bring.

Another package brings one by an entry point of the group `mqverify.backends`, called as its system is: an object or a
module that is a `Plugin`.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Protocol

from mqverify.backends.base import Backend, RealSystem
from mqverify.errors import BackendUnavailable
from mqverify.spec.registry import System

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["OWN", "Plugin", "backend", "names", "real_system", "real_targets", "systems"]

OWN = ("kafka", "eventstore")


class Plugin(Protocol):
    """What an entry point names. `docs/writing-a-backend.md` shows one."""

    SYSTEM: System
    """Its words in a spec; called as the entry point is."""

    def backend(self) -> Backend: ...


@cache
def _plugins() -> Mapping[str, "EntryPoint"]:
    from importlib import metadata

    return {point.name: point for point in metadata.entry_points(group="mqverify.backends") if point.name not in OWN}


@cache
def _plugin(system: str) -> Plugin:
    """Raises KeyError where no package brings it."""
    found: Plugin = _plugins()[system].load()
    return found


def names() -> tuple[str, ...]:
    """Of all systems, mqverify's own first."""
    return (*OWN, *sorted(_plugins()))


def systems() -> dict[str, System]:
    """All systems that a spec may name."""
    from mqverify.backends.eventstore.system import SYSTEM as EVENTSTORE
    from mqverify.backends.kafka.system import SYSTEM as KAFKA

    own = {system.name: system for system in (KAFKA, EVENTSTORE)}
    return own | {name: _plugin(name).SYSTEM for name in names()[len(OWN) :]}


def backend(system: str) -> Backend:
    """The backend of a system; its module is imported only now."""
    if system == "kafka":
        from mqverify.backends.kafka.backend import KafkaBackend

        return KafkaBackend()
    if system == "eventstore":
        from mqverify.backends.eventstore.backend import EventStoreBackend

        return EventStoreBackend()
    return _plugin(system).backend()


def real_targets() -> list[str]:
    """What may follow `-b`, in every form, for every system that can be had."""
    return [f"{name}={form}" for name in names() if (real := backend(name).real) for form in real.targets]


def real_system(system: str) -> RealSystem:
    """How real ones are had. Raises BackendUnavailable where it is simulated only."""
    real = backend(system).real
    if real is None:
        raise BackendUnavailable(f"no real {system} can be reached yet, it runs in the simulated world only")
    return real

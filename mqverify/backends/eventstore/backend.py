"""Event Store as a backend: what the worlds ask of it beyond the adapter."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from mqverify.backends.base import Endpoint, RealSystem, SimulatedBroker
from mqverify.backends.eventstore.adapter import EventStoreAdapter
from mqverify.backends.eventstore.binding import ALL, Binding, delivery_of
from mqverify.backends.eventstore.settings import EventStoreSettings
from mqverify.history.recorder import RunRows
from mqverify.simulation.network import Network
from mqverify.simulation.process import Process
from mqverify.spec.registry import Setting, settings_of
from mqverify.units import DAY, SECOND
from mqverify.workload.groups import ConsumerGroup, Delivery
from mqverify.workload.plan import Plan

__all__ = ["EventStoreBackend"]

_TICK: Final = SECOND
"""The server looks every second for what has timed out (docs/facts/eventstore.md §A1)."""

_EXCEPTIONS: Final = frozenset({"esdbclient.exceptions", "mqverify.simulation.eventstore.exceptions"})


class _SimulatedNode:
    """The node model as the worlds see it: what it settles goes into the history, and to who asked for it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._observers: dict[Process, Any] = {}

    def library(self, process: Process, observer: Any = None) -> Any:
        if observer is not None:
            self._observers[process] = observer
        return self._store.library(process, observer)

    def leader(self, group: str) -> str | None:
        """No consumer of a subscription leads the others."""
        return None

    @property
    def ends(self) -> tuple[str, ...]:
        return ("node",)

    def lose(
        self,
        workers: frozenset[str],
        of: Literal["producer", "consumer"],
        struck: Callable[[str], None],
        times: int = 1,
        nth: int = 1,
    ) -> None:
        self._store.lose(workers, of == "consumer", struck, times, nth)

    def reset(self, workers: Collection[str]) -> Sequence[str]:
        names: Sequence[str] = self._store.reset(workers)
        return names

    def record(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Write down checkpoints and events parked; tell consumers which of their acks and nacks were applied.

        Names of places are those of streams, since a simulated run has no prefix.
        """

        def settled(stream: str | None, group: str, position: int | None, action: str, covers: str) -> None:
            source = rows.place(stream or ALL)
            asked_at = stamp()
            rows.add(
                "settlements", "server", None, group, None, source, position, covers, None, action, "server",
                asked_at, stamp(), "acked",
            )  # fmt: skip

        def on_checkpoint(stream: str | None, group: str, position: int, _now: int) -> None:
            settled(stream, group, position + 1, "checkpoint", "below")

        def on_park(stream: str | None, group: str, event: Any, reason: str, _now: int) -> None:
            if _CLIENT_ASKED not in reason:
                settled(stream, group, _position(stream, event), "park", "one")

        def on_settled(_stream: str | None, _group: str, event_id: Any, action: str, call: Any, _now: int) -> None:
            observer = self._observers.get(call.connection.process)
            if observer is not None:
                observer.applied(event_id, action)

        observers = self._store.node.groups.observers
        observers.on_checkpoint.append(on_checkpoint)
        observers.on_park.append(on_park)
        observers.on_settled.append(on_settled)


_CLIENT_ASKED: Final = "NAK'ed"
"""Of the reason why an event was parked: a consumer's nack said so (§A5), and that is a settlement of its own."""


def _position(stream: str | None, event: Any) -> int | None:
    """Where an event lies along the source of the group that it was parked for.

    None of a link that comes from the parked stream: it was parked once more, and nothing says where it had come from.
    """
    if stream is None:
        return int(event.commit_position)
    if event.link is not None and event.link.stream_name == stream:
        return int(event.link.stream_position)
    return int(event.stream_position) if event.stream_name == stream else None


class EventStoreBackend:
    """Event Store through esdbclient."""

    system = "eventstore"
    has: Collection[str] = ("expected_revision",)
    vocabulary: Mapping[str, str] = {"position": "revision", "place": "stream"}
    real: RealSystem | None = None

    def simulate(self, network: Network, settings: Any) -> SimulatedBroker:
        from mqverify.simulation.eventstore.cluster import SimulatedEventStore
        from mqverify.simulation.eventstore.settings import NodeSettings

        return _SimulatedNode(SimulatedEventStore(network.kernel, NodeSettings(), network))

    def bind(
        self,
        library: Any,
        endpoint: Endpoint,
        settings: Any,
        plan: Plan,
        prefix: str,
        since_start: Callable[[int], int],
    ) -> EventStoreAdapter:
        """A stream's category ends at the first '-', so the prefix must hold none."""
        return EventStoreAdapter(Binding(library, endpoint, settings, plan, prefix.replace("-", "_"), since_start))

    def starts(self, settings: Any, group: ConsumerGroup) -> str:
        if group.start is not None:
            return group.start
        return "end" if settings.from_end else "beginning"

    def delivery(self, settings: Any) -> Delivery:
        delivery: Delivery = delivery_of(settings)
        return delivery

    def promises(self, settings: Any) -> Iterable[tuple[str, str]]:
        """What streams keep in the generic words, and every setting by its native name."""
        yield "retention", _text(settings.max_age)
        yield "max_count", _text(settings.max_count)
        yield "truncate_before", _text(settings.truncate_before)
        yield "clock", "shared"
        for name, setting in settings_of(EventStoreSettings).items():
            yield f"{setting.part[0]}.{setting.native or name}", _native(getattr(settings, name), setting)

    def is_client_error(self, error: BaseException) -> bool:
        return any(kind.__module__ in _EXCEPTIONS for kind in type(error).__mro__)

    def longest_wait(self, settings: Any, disturbed: bool = True) -> int:
        """The longest after which the server or a client acts by itself.

        An event that nobody can handle is given out `max_retry_count + 1` times before it is parked, each time for its
        whole time-out; for a day of that, not for ever.
        """
        if settings.subscribe != "persistent":
            return 0
        once = int(settings.message_timeout) + _TICK
        until_parked = min(once * (int(settings.max_retry_count) + 1), max(once, DAY))
        flushed = int(settings.max_ack_delay) + int(settings.stopping_grace)
        return max(until_parked, int(settings.checkpoint_after) + _TICK, flushed)


def _text(value: int | None) -> str:
    return "unlimited" if value is None else str(value)


def _native(value: Any, setting: Setting) -> str:
    """A setting's value in the units of its native name."""
    if value is None:
        return setting.none or ""
    if setting.kind == "duration":
        return str(value // setting.unit)
    return str(value).lower() if isinstance(value, bool) else str(value)

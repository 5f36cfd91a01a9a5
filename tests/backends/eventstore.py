"""The Event Store backend on a simulated node, without a world: an application is a function of its adapter."""

from collections.abc import Callable, Mapping
from typing import Any

from mqverify.backends.base import Endpoint
from mqverify.backends.eventstore.adapter import EventStoreAdapter
from mqverify.backends.eventstore.backend import EventStoreBackend
from mqverify.backends.eventstore.binding import Binding
from mqverify.backends.eventstore.settings import EventStoreSettings
from mqverify.history.recorder import RunRows, WorkerRecorder, strictly_increasing
from mqverify.history.tables import TABLES
from mqverify.spec.model import Keys, Workload
from mqverify.workload.plan import Plan, draw_plan
from mqverify.worlds.simulated import since_epoch
from tests.simulation.eventstore.harness import Harness

__all__ = ["Bench", "binding", "plan_of"]


def plan_of(keys: int = 1, messages: int = 10, **words: Any) -> Plan:
    return draw_plan(Workload(messages=messages, keys=Keys(count=keys), **words), seed=0)


def binding(plan: Plan | None = None, prefix: str = "", library: Any = None, **settings: Any) -> Binding:
    return Binding(
        library, Endpoint("HOST:2113"), EventStoreSettings(**settings), plan or plan_of(), prefix, since_epoch
    )


class Bench:
    """A node, a plan, settings, and what is recorded."""

    def __init__(self, plan: Plan | None = None, **settings: Any) -> None:
        self.plan = plan or plan_of()
        self.settings = EventStoreSettings(**settings)
        self.harness = Harness()
        self.rows = RunRows()
        self.stamp = strictly_increasing(lambda: self.harness.kernel.now)
        self._runs = 0

    def run(self, application: Callable[[EventStoreAdapter], Any]) -> Any:
        """What `application(adapter)` returns, called in a process of its own."""
        backend = EventStoreBackend()

        def body(library: Any) -> Any:
            return application(backend.bind(library, Endpoint("HOST:2113"), self.settings, self.plan, "", since_epoch))

        self._runs += 1
        return self.harness.run(body, f"application-{self._runs}")

    def context(self) -> "BenchContext":
        return BenchContext(self)

    def append(self, adapter: EventStoreAdapter, *messages: int) -> None:
        """As another application would."""
        client = adapter.binding.client("another")
        any_version = adapter.binding.library.StreamState.ANY
        for message in messages:
            stream = adapter.binding.streams[adapter.binding.place_of_message(message)]
            client.append_to_stream(stream, current_version=any_version, events=adapter.binding.event(message, 1))

    def table(self, name: str) -> list[Mapping[str, Any]]:
        columns = TABLES[name].column_names[2:]
        return [dict(zip(columns, row, strict=True)) for row in self.rows.tables[name]]

    def clear(self) -> None:
        for rows in self.rows.tables.values():
            rows.clear()


class BenchContext:
    """As much of a `Context` as producers ask for."""

    def __init__(self, bench: Bench) -> None:
        self.now = lambda: bench.harness.kernel.now
        self.sleep = bench.harness.kernel.sleep
        self.recorder = WorkerRecorder(bench.rows, bench.stamp, bench.plan, "producer-1", 1)
        self.marked: list[int] = []

    def marker(self, _metric: str) -> Callable[[int], None]:
        return self.marked.append

"""Whether a backend keeps the protocols of `mqverify.backends.base`, seen from outside."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from mqverify.backends.base import Adapter, Backend, Endpoint, silent
from mqverify.backends.registry import real_system
from mqverify.guarantees.registry import DELIVERIES, FEATURES
from mqverify.history.recorder import RunRows, strictly_increasing
from mqverify.history.tables import TABLES
from mqverify.simulation.kernel import Kernel
from mqverify.simulation.network import Network
from mqverify.workload.plan import Plan, draw_plan
from mqverify.worlds.base import Scenario, backend_of
from mqverify.worlds.chunk import run_simulated
from mqverify.worlds.clock import RunClock
from mqverify.worlds.real_chunk import run_real
from mqverify.worlds.simulated import since_epoch

__all__ = ["check_admin", "check_history", "check_promises", "run_twice"]


def check_promises(scenario: Scenario) -> list[str]:
    """What reports, the conductor and the guarantees' queries go by."""
    backend, settings = backend_of(scenario), scenario.settings
    promises = list(backend.promises(settings))
    names = Counter(name for name, _ in promises)
    delivery = backend.delivery(settings)
    starts = {backend.starts(settings, group) for group in scenario.groups}
    return _found(
        (backend.system == scenario.system, f"`system` is {backend.system!r}, not {scenario.system!r}"),
        ({"position", "place"} <= set(backend.vocabulary), "`vocabulary` lacks its words for position and place"),
        (set(backend.has) <= set(FEATURES), f"`has` names what is no feature: there are {', '.join(FEATURES)}"),
        (delivery in DELIVERIES, f"`delivery` is {delivery!r}: it is one of {', '.join(DELIVERIES)}"),
        (starts <= {"beginning", "end"}, f"`starts` is {sorted(starts)}: it is `beginning` or `end`"),
        (backend.longest_wait(settings) >= 0, "`longest_wait` is not a time: it is nanoseconds"),
        (not backend.is_client_error(ValueError()), "`is_client_error` takes any ValueError for the client library's"),
        (max(names.values(), default=1) == 1, "`promises` names a setting twice"),
        (all(isinstance(text, str) for pair in promises for text in pair), "`promises` are pairs of texts"),
        *((name in names, f"`promises` lacks {name!r}") for name in ("retention", "clock")),
    )


def check_history(scenario: Scenario) -> list[str]:
    """One run without faults: what it leaves is whole, and its rows refer to each other."""
    plan = draw_plan(scenario.spec.workload, 0)
    rows = _Rows(_run(scenario))
    places = rows.of("places")
    of_places = {row["id"] for row in places}
    sends = [row for row in rows.of("sends") if row["outcome"] == "acked"]
    readings = rows.of("readings")
    if not readings:
        return ["nobody read what is there: `read` records a row of `readings` for each pass"]
    bounds = rows.of("bounds")
    log = [row for row in rows.of("log") if row["place"] == "main"]
    whole = {row["message"] for row in log if row["intact"] and row["message"] is not None}
    acked = {row["message"] for row in sends}
    strange = [row for row in log if row["message"] is not None and plan.keys[row["message"]] != row["key"]]
    promised = {row["name"] for row in rows.of("settings")}
    return _found(
        (bool(acked), "no send was acknowledged"),
        (len({row["name"] for row in places}) == len(places), "two places have one name"),
        (len(of_places) == len(places), "two places have one number"),
        ({row["partition"] for row in log} <= of_places, "the log has places that `places` does not name"),
        ({row["partition"] for row in bounds} <= of_places, "bounds are of places that `places` does not name"),
        (all(row["complete"] for row in readings), "a reading is not complete, although nothing was wrong"),
        (acked <= whole, f"the fresh reader did not find {len(acked - whole)} of {len(acked)} acknowledged messages"),
        (not strange, f"the fresh reader found {len(strange)} messages under another key than their own"),
        (
            all(row["first_position"] <= row["read_to"] <= row["end_position"] for row in bounds),
            "bounds are not first_position <= read_to <= end_position",
        ),
        (_rising(log), "positions of a place do not rise within a reading"),
        ({row["message"] for row in rows.of("deliveries")} >= acked, "not all acknowledged messages were delivered"),
        (all(row["intact"] for row in rows.of("deliveries")), "messages were delivered that are not what was sent"),
        ({"retention", "clock"} <= promised, "the history's settings lack what the backend promises"),
    )


def run_twice(scenario: Scenario) -> list[str]:
    """A simulated run is a pure function of scenario and seed."""
    first, again = (run_simulated(scenario, 1)[0].digest() for _ in range(2))
    return _found((first == again, "two runs with seed 1 have different histories: something is not drawn from it"))


def check_admin(scenario: Scenario) -> list[str]:
    """Two administrators with prefixes of their own: what one removes is gone, and what the other made is not."""
    problems: list[str] = []
    plan = draw_plan(scenario.spec.workload, 0)
    _with_adapters(scenario, plan, lambda one, other: problems.extend(_administer(scenario, one, other)))
    return problems


def _administer(scenario: Scenario, one: Adapter, other: Adapter) -> Iterator[str]:
    stamp = strictly_increasing(lambda: 0)
    rows = RunRows()
    with closing(one.admin()) as admin, closing(other.admin()) as neighbour:
        for each in (admin, neighbour):
            each.create(rows, stamp)
            for group in scenario.groups:
                each.open_group(group, rows, stamp)
        names = admin.places()
        if len(set(names)) != len(names):
            yield "`places` names one place twice"
        if any(value < 0 for value in admin.footprint().values()):
            yield "`footprint` counts less than nothing"
        admin.remove()
        if not _reads(neighbour, stamp):
            yield "`remove` removed what another run had made"
        neighbour.remove()
    with closing(one.admin()) as admin:
        try:
            admin.create(rows, stamp)
        except Exception as error:  # noqa: BLE001 - whatever a client library raises
            yield f"what `remove` removed cannot be created again: {type(error).__name__}: {error}"
        else:
            admin.remove()


def _reads(admin: Any, stamp: Callable[[], int]) -> bool:
    rows = RunRows()
    try:
        admin.read(rows, stamp, 0, "testing")
    except Exception:  # noqa: BLE001 - whatever a client library raises
        return False
    return all(row["complete"] for row in _Rows(rows).of("readings"))


# -- worlds ------------------------------------------------------------------------------------------------------------


def _run(scenario: Scenario) -> RunRows:
    if scenario.target is None:
        return run_simulated(scenario, 0)[0]
    with closing(real_system(scenario.system).reach(scenario.target, scenario.settings, silent)) as site:
        return run_real(scenario, 0, site, silent)[0]


def _with_adapters(scenario: Scenario, plan: Plan, use: Callable[[Adapter, Adapter], object]) -> None:
    """Two adapters on one empty system, each with a prefix of its own."""
    backend, settings = backend_of(scenario), scenario.settings
    if scenario.target is None:
        _in_a_kernel(backend, settings, plan, use)
        return
    prefix = f"mqverify-{secrets.token_hex(4)}-"
    real = real_system(scenario.system)
    with (
        tempfile.TemporaryDirectory(prefix="mqverify-") as folder,
        closing(real.reach(scenario.target, settings, silent)) as site,
    ):
        clock = RunClock.starting_now(Path(folder))
        one, other = (
            backend.bind(real.library(), site.endpoint, settings, plan, f"{prefix}{name}-", clock.since_start)
            for name in ("one", "other")
        )
        use(one, other)


def _in_a_kernel(backend: Backend, settings: Any, plan: Plan, use: Callable[[Adapter, Adapter], object]) -> None:
    kernel = Kernel(0)
    broker = backend.simulate(Network(kernel), settings)
    process = kernel.process("testing")
    library, endpoint = broker.library(process), Endpoint("simulated:9092")
    one, other = (backend.bind(library, endpoint, settings, plan, f"{name}-", since_epoch) for name in ("one", "other"))
    ended: list[BaseException | None] = []
    process.on_end.append(ended.append)
    process.on_end.append(lambda _: kernel.stop())
    process.spawn(lambda: use(one, other), main=True)
    try:
        kernel.run()
    finally:
        kernel.seal()
    if not ended:
        raise RuntimeError("the administrator waits for something that never happens")
    if ended[0] is not None:
        raise ended[0]


class _Rows:
    """The rows of a history by the names of their columns."""

    def __init__(self, rows: RunRows) -> None:
        self._rows = rows

    def of(self, table: str) -> list[dict[str, Any]]:
        names = TABLES[table].column_names[2:]
        return [dict(zip(names, row, strict=True)) for row in self._rows.tables[table]]


def _rising(log: list[dict[str, Any]]) -> bool:
    last: dict[tuple[int, int], int] = {}
    for row in log:
        place = (row["reading"], row["partition"])
        if row["position"] <= last.get(place, -1):
            return False
        last[place] = row["position"]
    return True


def _found(*looked_at: tuple[bool, str]) -> list[str]:
    return [problem for well, problem in looked_at if not well]

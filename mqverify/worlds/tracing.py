"""One run, told event by event instead of judged: one of the simulated world can be had again, a real one never."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from mqverify.backends.base import silent
from mqverify.backends.registry import real_system
from mqverify.errors import BackendUnavailable, UsageError
from mqverify.events import Trace
from mqverify.guarantees.trace import trace_events
from mqverify.history.load import create_tables, load_rows, load_runs
from mqverify.history.recorder import RunRows
from mqverify.spec.issues import did_you_mean
from mqverify.spec.model import Spec
from mqverify.spec.texts import quoted
from mqverify.worlds.base import Scenario, backend_of
from mqverify.worlds.chunk import database, run_simulated, summarize
from mqverify.worlds.conductor import Outcome
from mqverify.worlds.selection import select_scenarios, unsupported_reason

__all__ = ["Wanted", "trace"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; nothing said: all. Keys and messages add up, a worker is one more condition."""

    keys: Sequence[str] = ()
    messages: Sequence[int] = ()
    worker: str | None = None
    limit: int | None = None
    """The first so many of them."""


def trace(
    spec: Spec,
    backend: tuple[str, str | None] | None,
    seed: int,
    wanted: Wanted,
    *,
    breaks_brokers: bool = False,
    profile: str | None = None,
    tell: Callable[[str], None] = silent,
) -> Trace:
    """Run a spec once on one backend (name and target as `-b` has them), and tell what happened. Nothing is judged.

    `breaks_brokers` and `profile` as `select_scenarios` takes them; `tell` hears what takes long on a real system.
    Raises UsageError where a name matches nothing, or several; BackendUnavailable for what is unsupported; where a
    real system cannot be had, or is lost, another BackendError.
    """
    scenario = _scenario(spec, backend, breaks_brokers, profile)
    began = time.perf_counter()
    rows, outcome = _run(scenario, seed, tell)
    summary = summarize(scenario, seed, rows, outcome, round((time.perf_counter() - began) * 1000))
    messages = _messages(rows, wanted)
    _require_worker(rows, wanted.worker)
    words = backend_of(scenario).vocabulary
    with database() as connection:
        create_tables(connection)
        load_runs(connection, {0: rows})
        load_rows(connection, "runs", [_run_row(scenario, seed, outcome)])
        total, events = trace_events(
            connection,
            words,
            messages=messages,
            narrowed=bool(wanted.keys or wanted.messages),
            worker=wanted.worker,
            limit=wanted.limit,
        )
    return Trace(
        spec.name, spec.file, scenario.label, scenario.system, scenario.world, summary, words["place"],
        words["position"], total, events,
    )  # fmt: skip


def _run(scenario: Scenario, seed: int, tell: Callable[[str], None]) -> tuple[RunRows, Outcome]:
    if scenario.world == "simulated":
        return run_simulated(scenario, seed)
    from mqverify.worlds.real_chunk import run_real
    from mqverify.worlds.sites import Sites

    access = {scenario.system: real_system(scenario.system).access(scenario.profile)}
    with closing(Sites([scenario], tell, access)) as sites, sites.lend(scenario) as site:
        return run_real(scenario, seed, site, tell)


def _run_row(scenario: Scenario, seed: int, outcome: Outcome) -> list[object]:
    return [0, 0, seed, scenario.world, outcome.drained, outcome.ended_at, outcome.give_up_reason]


def _scenario(
    spec: Spec, backend: tuple[str, str | None] | None, breaks_brokers: bool, profile: str | None
) -> Scenario:
    scenarios = select_scenarios([spec], [] if backend is None else [backend], breaks_brokers, profile)
    if len(scenarios) > 1:
        labels = ", ".join(scenario.label for scenario in scenarios)
        raise UsageError(f"one run is traced, on one backend: say which with -b; there are {labels}")
    reason = unsupported_reason(scenarios[0])
    if reason:
        raise BackendUnavailable(f"{spec.name} on {scenarios[0].label} is unsupported: {reason}")
    return scenarios[0]


def _messages(rows: RunRows, wanted: Wanted) -> set[int]:
    """The numbers of the messages that are asked for. A `sends` row begins with message and key."""
    keys: dict[str, set[int]] = {}
    for message, key, *_ in rows.tables["sends"]:
        keys.setdefault(key, set()).add(message)
    sent = {message for of_key in keys.values() for message in of_key}
    if not wanted.keys and not wanted.messages:
        return sent
    for key in wanted.keys:
        if key not in keys:
            meant = did_you_mean(key, keys)
            hint = f"did you mean {meant}?" if meant else f"there are {_some(list(keys))}"
            raise UsageError(f"--key {quoted(key)}: no message of this run has that key; {hint}")
    for message in wanted.messages:
        if message not in sent:
            raise UsageError(f"--message {message}: there is none in this run; there are 0 to {max(sent, default=0)}")
    return {*wanted.messages, *(message for key in wanted.keys for message in keys[key])}


def _require_worker(rows: RunRows, worker: str | None) -> None:
    names = list(dict.fromkeys(row[0] for row in rows.tables["workers"]))
    if worker is not None and worker not in names:
        raise UsageError(f"--worker {quoted(worker)}: nobody is called that in this run; there are {_some(names)}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:6])} … {names[-1]}"

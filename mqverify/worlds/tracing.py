"""One run of the simulated world, told event by event instead of judged."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

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


def trace(spec: Spec, backend: str | None, seed: int, wanted: Wanted) -> Trace:
    """Run a spec once on one backend, simulated, and tell what happened. Nothing is judged.

    Raises UsageError where a name matches nothing, or several; BackendUnavailable for what is unsupported.
    """
    scenario = _scenario(spec, backend)
    began = time.perf_counter()
    rows, outcome = run_simulated(scenario, seed)
    summary = summarize(scenario, seed, rows, outcome, round((time.perf_counter() - began) * 1000))
    messages = _messages(rows, wanted)
    _require_worker(rows, wanted.worker)
    words = backend_of(scenario).vocabulary
    with database() as connection:
        create_tables(connection)
        load_runs(connection, {0: rows})
        load_rows(connection, "runs", [_run_row(seed, outcome)])
        total, events = trace_events(
            connection,
            words,
            messages=messages,
            narrowed=bool(wanted.keys or wanted.messages),
            worker=wanted.worker,
            limit=wanted.limit,
        )
    return Trace(
        spec.name, spec.file, scenario.label, scenario.system, summary, words["place"], words["position"], total, events
    )


def _run_row(seed: int, outcome: Outcome) -> list[object]:
    return [0, 0, seed, "simulated", outcome.drained, outcome.ended_at, outcome.give_up_reason]


def _scenario(spec: Spec, backend: str | None) -> Scenario:
    name, separator, _ = (backend or "").partition("=")
    if separator:
        file = quote(spec.file)
        raise UsageError(
            f"-b {backend}: a run on a real broker cannot be repeated, so there is none to trace; write -b {name} "
            f"to trace the spec simulated; `mqverify check {file} -b {backend} -v` shows what a real run did"
        )
    scenarios = select_scenarios([spec], [(name, None)] if backend else [])
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

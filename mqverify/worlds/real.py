"""The real world: a real broker, workers as processes of the operating system, wall-clock time.

A crash is SIGKILL, a pause SIGSTOP … SIGCONT. Each incarnation of a worker records to a file of its own in the run's
folder; when the run is over the files are replayed into the history, and the folder is removed. Whatever goes wrong
before that, the folder stays, and it is told where it is.
"""

import json
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mqverify import __version__
from mqverify.backends.base import Backend, Brokers, Site
from mqverify.backends.registry import real_system
from mqverify.errors import BackendLost
from mqverify.faults.plan import PlannedFault, draw_faults
from mqverify.faults.targets import names_brokers
from mqverify.history.files import replay
from mqverify.history.recorder import Row, RunRows, left_behind, strictly_increasing
from mqverify.units import format_duration
from mqverify.workload.groups import Worker, everybody
from mqverify.workload.plan import Plan
from mqverify.worlds.base import Before, Busy, Ended, Notice, Scenario, Struck, Triggered
from mqverify.worlds.board import Board
from mqverify.worlds.children import Child, wait_for_any
from mqverify.worlds.clock import LONGEST_WAITED_FOR, RunClock
from mqverify.worlds.conductor import Conductor, Outcome
from mqverify.worlds.links import Happened, Links, on_links
from mqverify.worlds.observed import Observations
from mqverify.worlds.run_locks import RunLock
from mqverify.worlds.sinks import add_effects, make_file, sinks_file
from mqverify.worlds.sites import Stopped

__all__ = ["RealWorld", "new_run_folder"]

_SECONDS_TO_REMOVE = 5.0
_FOLDER_TRIES = 10
_LOOK_EVERY = 0.05
"""Seconds between looks whether a process has ended."""


def new_run_folder(seed: int) -> Path:
    """A new folder for what the workers of one run record: in `.mqverify/runs` here, else where temporary files go."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{seed}-"
    parent = Path.cwd() / ".mqverify" / "runs"
    for _ in range(_FOLDER_TRIES):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=name, dir=parent))
        except FileNotFoundError:  # another run was the last in there, and has just removed it
            continue
        except OSError:
            break
    return Path(tempfile.mkdtemp(prefix=f"mqverify-run-{name}"))


class RealWorld:
    """One run of one scenario on a site. Make it, call `run`, read `rows`; then `close`."""

    def __init__(
        self,
        scenario: Scenario,
        backend: Backend,
        plan: Plan,
        patience: int,
        patience_with_nobody: int,
        site: Site,
        folder: Path,
        tell: Callable[[str], None],
    ) -> None:
        self.rows = RunRows()
        self.plan = plan
        self.folder = folder
        self._scenario = scenario
        self._backend = backend
        self._patience = patience, patience_with_nobody
        self._site = site
        self._tell = tell
        self._passed: list[str] = []
        self._prefix = f"mqverify-{secrets.token_hex(4)}-"
        # Drawn from the seed, as the conductor and every worker process do for themselves: a pure function of few
        # microseconds, and the processes share a spec and a seed, not objects.
        faults = draw_faults(scenario.spec.faults, plan.workload.messages, plan.seed)
        self._breaks_brokers = any(names_brokers(end) for fault in faults for end in fault.fault.target)
        self._faults = {fault.identity: fault for fault in faults}
        self._board = Board(folder / "board", plan.workload.messages, scenario.groups, scenario.everybody, faults)
        self._children: list[Child] = []
        self._inbox: deque[Notice] = deque()
        self._clock = RunClock.starting_now(folder)
        self.stamp = strictly_increasing(self.now)
        self._observations = Observations(self.stamp)
        self._describe()
        if scenario.keeps_effects:
            make_file(sinks_file(folder))
        real = real_system(scenario.system)
        adapter = backend.bind(
            real.library(), site.endpoint, scenario.settings, plan, self._prefix, self._clock.since_start
        )
        self.admin = adapter.admin(site.brokers)
        everyone = everybody(plan.workload, scenario.groups)
        everyone += [one.worker for team in scenario.latecomers.values() for one in team]
        meddles = any(on_links(fault) for fault in scenario.spec.faults)
        self._links = Links(faults, everyone, real, site, self.admin, self._board, plan.seed) if meddles else None
        """Only where a fault needs it does what workers and brokers say to each other pass through us."""
        self._lock = RunLock(self._prefix, self._about())
        self.left: Sequence[str] = ()
        """What the run made on the broker and could not remove, in words for people."""

    def run(self) -> Outcome:
        """Let it all happen; then the history is in `rows`. No worker is left, however it ends."""
        conductor = Conductor(self, self._scenario, self._backend, self.plan, *self._patience)
        try:
            outcome = conductor.conduct()
        except BaseException:
            with suppress(BackendLost):  # what went wrong first is what is told
                self._end_all()
            raise
        self._end_all()
        self._replay(self.rows, self._children, outcome.ended_at)
        self._observations.add_unexplained(self.rows)
        if self._scenario.keeps_effects:
            add_effects(sinks_file(self.folder), self.rows, outcome.ended_at)
        return replace(outcome, details={"time": ", ".join(self._passed)}) if self._passed else outcome

    def close(self, keep: bool) -> None:
        """Remove what the run made on the broker and, unless it is to be kept, its folder.

        After a run that broke off (`keep`) as far as that is soon done: the rest is for `mqverify clean`.
        """
        if self._links is not None:
            self._links.close()
        gone = keep and self._is_gone()
        self.left = _within(_SECONDS_TO_REMOVE if keep else None, self._give_up if gone else self._remove)
        self._lock.release(removed=not self.left)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # others may have runs there
                self.folder.parent.rmdir()
                self.folder.parent.parent.rmdir()

    def _is_gone(self) -> bool:
        try:
            self._site.check()
        except BackendLost:
            return True
        except Stopped:
            return False
        return False

    def _give_up(self) -> Sequence[str]:
        self.admin.close()
        return ["all that it made"]

    def _remove(self) -> Sequence[str]:
        try:
            return self.admin.remove()
        except Exception as error:
            if not self._backend.is_client_error(error):
                raise
            return [f"all that it made ({type(error).__name__})"]
        finally:
            self.admin.close()

    # --- what the conductor asks -----------------------------------------------------------------------------------

    @property
    def brokers(self) -> Brokers | None:
        return self._site.brokers

    def now(self) -> int:
        return self._clock.now()

    def next_notice(self, until: int | None) -> Notice | None:
        while not self._inbox:
            left = _LOOK_EVERY if until is None else min(_LOOK_EVERY, (until - self.now()) / 1e9)
            if left < 0:
                return None
            self._listen(left)
        return self._inbox.popleft()

    def quiet(self) -> bool:
        self._listen(0)
        return not self._inbox

    def watch(self, planned: PlannedFault) -> None:
        if self._board.watch(planned):
            self._inbox.append(Triggered(planned.identity))

    def arm(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        self._board.arm(planned, eligible)

    def disarm(self, planned: PlannedFault) -> None:
        self._board.disarm(planned)

    def launch(self, worker: Worker) -> int | None:
        task = {
            "scenario": self._scenario,
            "seed": self.plan.seed,
            "worker": worker,
            "endpoint": self._links.endpoint(worker.name) if self._links is not None else self._site.endpoint,
            "prefix": self._prefix,
            "clock": self._clock,
            "folder": self.folder,
            "before": self._before(worker.name) if worker.kind == "producer" else Before(),
        }
        try:
            self._children.append(Child(len(self._children), task))
        except OSError as error:
            raise BackendLost(
                f"the worker process {worker.name} cannot be started: {error.strerror}; ask for fewer workers, or "
                "raise the limits on processes and open files (`ulimit -u`, `ulimit -n`)"
            ) from error
        return self._children[-1].pid

    def kill(self, worker: Worker) -> None:
        child = self._child(worker)
        self.observe()
        with self._board.lock:
            child.signal(signal.SIGKILL)
        child.wait_until_dead()
        self._take(child)
        self.observe()

    def pause(self, worker: Worker) -> None:
        child = self._child(worker)
        self.observe()
        with self._board.lock:
            child.signal(signal.SIGSTOP)
            child.wait_until_stopped()
        self.observe()

    def resume(self, worker: Worker) -> None:
        self.observe()
        self._child(worker).signal(signal.SIGCONT)

    def stop(self, worker: Worker) -> None:
        self._child(worker).ask_to_stop()

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], None]:
        return self._meddled.disturb(planned, workers)

    def reset(self, planned: PlannedFault, workers: Sequence[str]) -> None:
        self._meddled.reset(planned, workers)

    def lose(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        self._meddled.lose(planned, eligible)

    @property
    def _meddled(self) -> Links:
        assert self._links is not None, "a fault of links is in the spec, so there is a proxy"
        return self._links

    def skew(self, worker: str, by: int) -> None:
        self._board.skew(worker, by)

    def sends_of(self, producer: str) -> Sequence[Row]:
        rows = RunRows()
        self._replay(rows, [child for child in self._children if child.worker.name == producer])
        return rows.tables["sends"]

    def let_pass(self, planned: PlannedFault) -> None:
        """Have the broker do what it would have done meanwhile, then have the run's clock jump; wait for a moment."""
        length = planned.duration
        if length <= LONGEST_WAITED_FOR:
            return
        began = time.monotonic()
        passed = length + sum(before for _, before in self._clock.passes())
        self.admin.let_pass(passed, self.now() + length, self._wait, self._tell)
        self._listen(0)
        if any(isinstance(notice, Busy | Struck | Ended) for notice in self._inbox):
            raise BackendLost(
                "somebody went to work while time was made to pass, which only an idle system can: run again"
            )
        self._clock.jump(length)
        self._passed.append(f"{format_duration(length)} passed in {time.monotonic() - began:.1f} s")

    def observe(self) -> None:
        """Read what the groups have settled. Not while a broker may be down: it must not be waited for."""
        if not self._breaks_brokers:
            try:
                self._observations.observe(self.admin.committed)
            except Exception as error:
                if not self._backend.is_client_error(error):
                    raise

    def _wait(self, seconds: float) -> None:
        """Let real time pass, and hear what happens meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._listen(min(left, _LOOK_EVERY))

    def leader(self, group: str) -> str | None:
        """Whoever made the group's last assignment, which is what a Kafka client does as the leader."""
        self._listen(0)
        leaders = [child for child in self._children if child.worker.group == group and child.led_at >= 0]
        return max(leaders, key=lambda child: child.led_at).worker.name if leaders else None

    def count(self, metric: str, groups: Sequence[str] = ()) -> int:
        return self._board.count(metric, groups)

    def total_progress(self) -> int:
        return self._board.total()

    # --- what happens ----------------------------------------------------------------------------------------------

    def _listen(self, seconds: float) -> None:
        """Wait for what workers tell, at most so long, and put it into the inbox.

        A trigger is told before the strike that follows from it, but through another pipe: a second look at all pipes
        finds it, and it is put first.
        """
        self._site.check()
        live = [child for child in self._children if not child.over]
        wait_for_any(live, seconds, [] if self._links is None else [self._links.pipe])
        happened = [] if self._links is None else self._links.take()
        found: list[Notice] = []
        for _ in range(2):
            for child in live:
                found += child.notices()
        found.sort(key=lambda notice: not isinstance(notice, Triggered))
        for notice in found:
            self._post(notice)
        for one in happened:
            self._post_happened(one)

    def _post_happened(self, happened: Happened) -> None:
        """A fault of links has met a worker: it broke its connection, or it is to die before a reply."""
        child = next(child for child in reversed(self._children) if child.worker.name == happened.worker)
        struck = Struck(happened.fault.identity, child.worker)
        if happened.let_go is None:
            self._inbox.append(struck)
        elif not child.is_dead():
            with self._board.lock:
                child.signal(signal.SIGSTOP if happened.fault.kind == "pause" else signal.SIGKILL)
            self._post(struck)
        self._meddled.let_go(happened)

    def _take(self, child: Child) -> None:
        for notice in child.notices():
            self._post(notice)

    def _post(self, notice: Notice) -> None:
        """Put a notice into the inbox; a strike only when its worker is dead, or has stopped."""
        self._inbox.append(notice)
        if isinstance(notice, Ended) and notice.worker.kind == "consumer":
            self.observe()
        if not isinstance(notice, Struck):
            return
        child, kind = self._child(notice.worker), self._faults[notice.fault].kind
        if kind == "pause":
            child.wait_until_stopped()
            self.observe()
        elif kind == "crash":
            child.wait_until_dead()
            self._take(child)

    def _child(self, worker: Worker) -> Child:
        return next(child for child in reversed(self._children) if child.worker == worker)

    def _before(self, name: str) -> Before:
        """What the earlier incarnations of a producer have left behind."""
        return Before(*left_behind(self.sends_of(name), name))

    def _end_all(self) -> None:
        deaf: BackendLost | None = None
        for child in self._children:
            child.signal(signal.SIGKILL)
        for child in self._children:
            try:
                child.wait_until_dead()
            except BackendLost as error:
                deaf = error
            child.close()
        if deaf is not None:
            raise deaf

    def _replay(self, rows: RunRows, children: Iterable[Child], until: int | None = None) -> None:
        keys = list(dict.fromkeys(self.plan.keys))
        for child in children:
            if child.records.exists():
                replay(child.records, rows, self.plan, keys, until)

    def _describe(self) -> None:
        """Say in the folder what the files are, for whoever finds it after a run that was killed."""
        about = json.dumps(self._about(), indent=2)
        (self.folder / "run.json").write_text(f"{about}\n", encoding="utf-8")

    def _about(self) -> Mapping[str, Any]:
        spec = self._scenario.spec
        return {
            "mqverify": __version__,
            "spec_file": spec.file,
            "spec_text": spec.text,
            "backend": self._scenario.label,
            "target": self._scenario.target,
            "cluster": self._site.details.get("cluster"),
            "seed": self.plan.seed,
            "prefix": self._prefix,
            "epoch_ms": self._clock.epoch // 1_000_000,
            "pid": os.getpid(),
            "folder": str(self.folder),
        }


def _within(seconds: float | None, call: Callable[[], Sequence[str]]) -> Sequence[str]:
    """What the call returns; if it takes longer, or fails, that it does. It goes on in a thread then."""
    if seconds is None:
        return call()
    answers: list[Sequence[str]] = []

    def attempt() -> None:
        with suppress(Exception):
            answers.append(call())

    thread = threading.Thread(target=attempt, name="removal", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else ["some of what it made"]

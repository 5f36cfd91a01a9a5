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
from pathlib import Path
from typing import Any

from mqverify import __version__
from mqverify.backends.base import Backend, Site
from mqverify.errors import BackendLost, InternalError
from mqverify.faults.plan import PlannedFault, draw_faults
from mqverify.history.files import replay
from mqverify.history.recorder import RunRows, left_behind, strictly_increasing
from mqverify.workload.groups import Worker
from mqverify.workload.plan import Plan
from mqverify.worlds.base import Before, Notice, Scenario, Struck, Triggered
from mqverify.worlds.board import Board
from mqverify.worlds.children import Child, wait_for_any
from mqverify.worlds.clock import RunClock
from mqverify.worlds.conductor import Conductor, Outcome
from mqverify.worlds.run_locks import RunLock
from mqverify.worlds.sinks import add_effects, make_file, sinks_file
from mqverify.worlds.sites import Stopped
from mqverify.worlds.worker_process import library_of

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
        site: Site,
        folder: Path,
    ) -> None:
        self.rows = RunRows()
        self.plan = plan
        self.folder = folder
        self._scenario = scenario
        self._backend = backend
        self._patience = patience
        self._site = site
        self._prefix = f"mqverify-{secrets.token_hex(4)}-"
        # Drawn from the seed, as the conductor and every worker process do for themselves: a pure function of few
        # microseconds, and the processes share a spec and a seed, not objects.
        faults = draw_faults(scenario.spec.faults, plan.workload.messages, plan.seed)
        self._faults = {fault.identity: fault for fault in faults}
        self._board = Board(folder / "board", plan.workload.messages, scenario.groups, faults)
        self._children: list[Child] = []
        self._inbox: deque[Notice] = deque()
        self._clock = RunClock.starting_now()
        self.stamp = strictly_increasing(self.now)
        self._describe()
        if scenario.keeps_effects:
            make_file(sinks_file(folder))
        library = library_of(scenario.system)
        adapter = backend.bind(library, site.endpoint, scenario.settings, plan, self._prefix, self._clock.since_start)
        self.admin = adapter.admin()
        self._lock = RunLock(self._prefix, self._about())
        self.left: Sequence[str] = ()
        """What the run made on the broker and could not remove, in words for people."""

    def run(self) -> Outcome:
        """Let it all happen; then the history is in `rows`. No worker is left, however it ends."""
        conductor = Conductor(self, self._scenario, self._backend, self.plan, self._patience)
        try:
            outcome = conductor.conduct()
        except BaseException:
            with suppress(BackendLost):  # what went wrong first is what is told
                self._end_all()
            raise
        self._end_all()
        self._replay(self.rows, self._children, outcome.ended_at)
        if self._scenario.keeps_effects:
            add_effects(sinks_file(self.folder), self.rows, outcome.ended_at)
        return outcome

    def close(self, keep: bool) -> None:
        """Remove what the run made on the broker and, unless it is to be kept, its folder.

        After a run that broke off (`keep`) as far as that is soon done: the rest is for `mqverify clean`.
        """
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
        """Let it strike. Each worker knows whether it is eligible: in this world that hangs on names only."""
        self._board.arm(planned)

    def disarm(self, planned: PlannedFault) -> None:
        self._board.disarm(planned)

    def launch(self, worker: Worker) -> None:
        task = {
            "scenario": self._scenario,
            "seed": self.plan.seed,
            "worker": worker,
            "endpoint": self._site.endpoint,
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

    def kill(self, worker: Worker) -> None:
        child = self._child(worker)
        with self._board.lock:
            child.signal(signal.SIGKILL)
        child.wait_until_dead()
        self._take(child)

    def pause(self, worker: Worker) -> None:
        child = self._child(worker)
        with self._board.lock:
            child.signal(signal.SIGSTOP)
            child.wait_until_stopped()

    def resume(self, worker: Worker) -> None:
        self._child(worker).signal(signal.SIGCONT)

    def stop(self, worker: Worker) -> None:
        self._child(worker).ask_to_stop()

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], None]:
        raise InternalError(f"`{planned.kind}` is unsupported in the real world")

    def lose(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        raise InternalError("`lose` is unsupported in the real world")

    def skew(self, worker: str, by: int) -> None:
        raise InternalError("`clock_skew` is unsupported in the real world")

    def leader(self, group: str) -> str | None:
        return None

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
        wait_for_any(live, seconds)
        found: list[Notice] = []
        for _ in range(2):
            for child in live:
                found += child.notices()
        found.sort(key=lambda notice: not isinstance(notice, Triggered))
        for notice in found:
            self._post(notice)

    def _take(self, child: Child) -> None:
        for notice in child.notices():
            self._post(notice)

    def _post(self, notice: Notice) -> None:
        """Put a notice into the inbox; a strike only when its worker is dead, or has stopped."""
        self._inbox.append(notice)
        if not isinstance(notice, Struck):
            return
        child = self._child(notice.worker)
        if self._faults[notice.fault].kind == "pause":
            child.wait_until_stopped()
        else:
            child.wait_until_dead()
            self._take(child)

    def _child(self, worker: Worker) -> Child:
        return next(child for child in reversed(self._children) if child.worker == worker)

    def _before(self, name: str) -> Before:
        """What the earlier incarnations of a producer have left behind."""
        rows = RunRows()
        self._replay(rows, [child for child in self._children if child.worker.name == name])
        return Before(*left_behind(rows.tables["sends"], name))

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

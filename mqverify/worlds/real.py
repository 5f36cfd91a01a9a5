"""The real world: a real broker, workers as processes of the operating system, wall-clock time.

A crash is SIGKILL, a pause SIGSTOP … SIGCONT. Each incarnation of a worker records to a file of its own in the run's
folder; when the run is over the files are replayed into the history, and the folder is removed. Whatever goes wrong
before that, the folder stays, and it is told where it is.
"""

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
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
from mqverify.faults.targets import names_brokers, on_links
from mqverify.history.recorder import Row, RunRows, left_behind, strictly_increasing
from mqverify.history.replay import replay
from mqverify.units import format_duration
from mqverify.workload.groups import Worker
from mqverify.workload.plan import Plan
from mqverify.worlds.base import Before, Busy, Ended, Notice, Scenario, Struck, Triggered
from mqverify.worlds.board import Board
from mqverify.worlds.clock import LONGEST_WAITED_FOR, RunClock
from mqverify.worlds.conductor import Conductor, Outcome
from mqverify.worlds.links import Links
from mqverify.worlds.observed import Observations
from mqverify.worlds.run_locks import RunLock
from mqverify.worlds.sinks import add_effects, make_file, sinks_file
from mqverify.worlds.sites import Stopped
from mqverify.worlds.workforce import LOOK_EVERY, Workforce

__all__ = ["RealWorld", "new_run_folder"]

_LOOKS = 6
"""How often it is looked whether a run stands still before it gives up."""

_SECONDS_TO_REMOVE = 5.0
_FOLDER_TRIES = 10


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
        self._board = Board(folder / "board", plan.workload.messages, scenario.groups, scenario.everybody, faults)
        self._clock = RunClock.starting_now(folder)
        self.stamp = strictly_increasing(self.now)
        self._observations = Observations(self.stamp)
        self._describe()
        self._keeps_effects = scenario.keeps_effects
        if self._keeps_effects:
            make_file(sinks_file(folder))
        real = real_system(scenario.system)
        adapter = backend.bind(
            real.library(), site.endpoint, scenario.settings, plan, self._prefix, self._clock.since_start
        )
        self.admin = adapter.admin(site.brokers)
        self._links: Links | None = None
        """Only where a fault needs it does what workers and brokers say to each other pass through us."""
        if any(on_links(fault) for fault in scenario.spec.faults):
            everybody = scenario.everybody
            self._links = Links(faults, everybody, real, site, self.admin, self._board, plan.seed)
        common = {
            "scenario": scenario,
            "seed": plan.seed,
            "prefix": self._prefix,
            "clock": self._clock,
            "folder": folder,
            "keeps_effects": self._keeps_effects,
        }
        self._workforce = Workforce(common, faults, self._board, site, self._links, self.observe)
        self._lock = RunLock(self._prefix, self._about())
        self.left: Sequence[str] = ()
        """What the run made on the broker and could not remove, in words for people."""

    def run(self) -> Outcome:
        """Let it all happen; then the history is in `rows`. No worker is left, however it ends."""
        conductor = Conductor(self, self._scenario, self._backend, self.plan, *self._patience, _LOOKS)
        try:
            outcome = conductor.conduct()
        except BaseException:
            with suppress(BackendLost):  # what went wrong first is what is told
                self._workforce.end_all()
            raise
        self._workforce.end_all()
        self._replay(self.rows, self._workforce.records(), outcome.ended_at)
        self._observations.add_unexplained(self.rows)
        if self._keeps_effects:
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
            with suppress(Stopped):
                self._site.check()
        except BackendLost:
            return True
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
        workforce = self._workforce
        while not workforce.inbox:
            left = LOOK_EVERY if until is None else min(LOOK_EVERY, (until - self.now()) / 1e9)
            if left < 0:
                return None
            workforce.listen(left)
        return workforce.inbox.popleft()

    def quiet(self) -> bool:
        self._workforce.listen(0)
        return not self._workforce.inbox

    def watch(self, planned: PlannedFault) -> None:
        if self._board.watch(planned):
            self._workforce.post(Triggered(planned.identity))

    def arm(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        self._board.arm(planned, eligible)

    def disarm(self, planned: PlannedFault) -> None:
        self._board.disarm(planned)

    def launch(self, worker: Worker) -> int:
        before = Before()
        if worker.kind == "producer":
            before = Before(*left_behind(self.sends_of(worker.name), worker.name))
        return self._workforce.launch(worker, before)

    def kill(self, worker: Worker) -> bool:
        return self._workforce.kill(worker)

    def pause(self, worker: Worker) -> bool:
        return self._workforce.pause(worker)

    def resume(self, worker: Worker) -> None:
        self._workforce.resume(worker)

    def stop(self, worker: Worker) -> None:
        self._workforce.stop(worker)

    def leader(self, group: str) -> str | None:
        return self._workforce.leader(group)

    def disturb(self, planned: PlannedFault, workers: Sequence[str]) -> Callable[[], bool]:
        return self._meddled.disturb(planned, workers)

    def reset(self, planned: PlannedFault, workers: Sequence[str]) -> Sequence[str]:
        return self._meddled.reset(planned, workers)

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
        self._replay(rows, self._workforce.records(producer))
        return rows.tables["sends"]

    def let_pass(self, planned: PlannedFault) -> None:
        """Have the broker do what it would have done meanwhile, then have the run's clock jump; wait for a moment."""
        length = planned.duration
        if length <= LONGEST_WAITED_FOR:
            return
        began = time.monotonic()
        passed = length + sum(before for _, before in self._clock.passes())
        self.admin.let_pass(passed, self.now() + length, self._workforce.wait, self._tell)
        self._workforce.listen(0)
        if any(isinstance(notice, Busy | Struck | Ended) for notice in self._workforce.inbox):
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

    def count(self, metric: str, groups: Sequence[str] = ()) -> int:
        return self._board.count(metric, groups)

    def total_progress(self) -> int:
        return self._board.total()

    # --- inside ----------------------------------------------------------------------------------------------------

    def _replay(self, rows: RunRows, records: Iterable[Path], until: int | None = None) -> None:
        keys = list(dict.fromkeys(self.plan.keys))
        for path in records:
            replay(path, rows, self.plan, keys, until)

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

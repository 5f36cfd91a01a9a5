"""One worker of a real run, as a process of its own: the same loop and the same adapter, on the real client library.

Run by `mqverify.worlds.children`: `python -m mqverify.worlds.worker_process RECORDS`, with messages on stdin: first a
pickled `WorkerTask`, later perhaps `stop`. It appends what happens to the file RECORDS, and dies with its parent,
whatever that dies of.
"""

import ctypes
import gc
import json
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mqverify.backends.registry import real_system
from mqverify.errors import MqverifyError
from mqverify.faults.plan import PlannedFault, draw_faults
from mqverify.history.files import FileRecorder
from mqverify.history.records import WorkerHeader
from mqverify.workload.client import Metric, Point
from mqverify.workload.consumer import HandlerFailed
from mqverify.workload.plan import draw_plan, stream
from mqverify.workload.sink import Sink
from mqverify.worlds.base import backend_of, work
from mqverify.worlds.board import Board
from mqverify.worlds.checkpoints import FileCheckpoints
from mqverify.worlds.children import WorkerTask
from mqverify.worlds.feed import ThreadFeed
from mqverify.worlds.sinks import FileEffects, sinks_file

__all__ = ["RealContext", "main"]

_PR_SET_PDEATHSIG = 1
_PARENT_POLL_SECONDS = 0.5
_SHORTEST_SLEEP = 50_000
_TELL_AGAIN_AFTER = 1_000_000_000


def _pass_by(point: Point) -> None:
    """Where no fault of the run can strike."""


class RealContext:
    """The `Context` of this process."""

    def __init__(
        self,
        task: WorkerTask,
        board: Board,
        faults: tuple[PlannedFault, ...],
        recorder: FileRecorder,
        asked_to_stop: threading.Event,
    ) -> None:
        self.recorder = recorder
        self.dice = stream(task.seed, task.worker.name)
        self.checkpoints: MutableMapping[str, int] = FileCheckpoints(task.folder)
        self.stopping = asked_to_stop.is_set
        self.sink: Sink | None = None
        self._board = board
        self._group = task.worker.group
        self.now = task.clock.now
        self._pipe = task.notices
        self._told: Any = "nothing"
        self._told_at = 0
        self._faults: dict[str, list[PlannedFault]] = {}
        for fault in faults:
            if fault.kind == "slow" or fault.fault.point not in {None, "in_settle"}:
                self._faults.setdefault(fault.fault.point or "handling", []).append(fault)
        self._worker = task.worker.name
        self._armed = board.lookout(self._worker)
        self._may_be_skewed = any(fault.kind == "clock_skew" for fault in faults)
        self.reached: Callable[[Point], None] = self._reached if self._faults else _pass_by
        self.leads: Callable[[], None] | None = None
        if any("leader" in fault.fault.target for fault in faults):
            self.leads = lambda: self.tell("leads", self.now())

    def tell(self, *words: Any) -> None:
        """Write one notice to the parent."""
        os.write(self._pipe, json.dumps(words).encode() + b"\n")

    def feed(self, items: Iterable[Any], capacity: int) -> ThreadFeed:
        return ThreadFeed(items, capacity)

    def sleep(self, duration: int) -> None:
        """Sleep; what is shorter than a sleep's own cost is left out."""
        if duration >= _SHORTEST_SLEEP:
            time.sleep(duration / 1e9)

    def marker(self, metric: Metric) -> Callable[[int], None]:
        group = None if metric in {"sent", "acked"} else self._group
        return self._board.marker(metric, group, lambda fault: self.tell("triggered", fault))

    def _reached(self, point: Point) -> None:
        fault = self._struck_at(point) if self._armed() else None
        if fault is None:
            return
        if fault.kind == "pause":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            self.crash()

    def handling_time(self, planned: int) -> int:
        fault = self._struck_at("handling") if self._armed() else None
        return planned if fault is None else fault.handler

    def _struck_at(self, point: str) -> PlannedFault | None:
        """The fault that strikes here and now, if one does; it is told before."""
        for fault in self._faults.get(point, ()):
            if self._board.take(fault, self._worker):
                self.tell("struck", fault.identity)
                return fault
        return None

    def wrong_time(self) -> int | None:
        skew = self._board.skew_of(self._worker) if self._may_be_skewed else 0
        return time.time_ns() + skew if skew else None

    def idle(self, progress: Mapping[int, int] | None) -> None:
        """Tell it when it changes, and again from time to time: after a pause the parent has forgotten it."""
        now = time.monotonic_ns()
        if progress != self._told or now - self._told_at > _TELL_AGAIN_AFTER:
            self._told, self._told_at = progress, now
            self.tell("idle", progress)

    def busy(self) -> None:
        if self._told != "busy":
            self._told = "busy"
            self.tell("busy")

    def crash(self) -> None:
        """Die as if killed. It is told before, since any other death by a signal was not asked for."""
        self.tell("dies")
        os.kill(os.getpid(), signal.SIGKILL)


def _heard() -> bytes | None:
    """The next message of the parent; None if it is no more."""
    message, wanted = b"", 8
    while len(message) < wanted:
        chunk = os.read(0, wanted - len(message))
        if not chunk:
            return None
        message += chunk
        if wanted == 8 and len(message) == wanted:
            wanted += int.from_bytes(message, "big")
    return message[8:]


def _die_with(parent: int, asked_to_stop: threading.Event) -> None:
    """See to it that this process ends when its parent does: by the kernel on Linux, and by watching, anywhere.

    Who watches also hears when the parent asks the worker to stop.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
            if readable:
                if _heard() is None:
                    break
                asked_to_stop.set()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _work(task: WorkerTask, records: Path, asked_to_stop: threading.Event) -> tuple[str, str, RealContext]:
    """Do the worker's work to its end; how it ended, and why."""
    scenario, worker = task.scenario, task.worker
    workload = scenario.spec.workload
    backend, plan = backend_of(scenario), draw_plan(workload, task.seed)
    faults = draw_faults(scenario.spec.faults, workload.messages, task.seed)
    groups = {group.name: group for group in scenario.groups}
    board = Board(task.folder / "board", workload.messages, scenario.groups, scenario.everybody, faults)
    header = WorkerHeader(
        worker.name, worker.kind, worker.incarnation, worker.group, worker.shard, os.getpid(), task.clock.origin
    )  # fmt: skip
    recorder = FileRecorder(records, header, list(dict.fromkeys(plan.keys)), task.clock.monotonic)
    context = RealContext(task, board, faults, recorder, asked_to_stop)
    try:
        library = real_system(scenario.system).library()
        group = groups[worker.group] if worker.group else None
        if group is not None and task.keeps_effects:
            effects = FileEffects(sinks_file(task.folder), worker, context.recorder, board.lock)
            context.sink = Sink(group.sink, effects)
        adapter = backend.bind(library, task.endpoint, scenario.settings, plan, task.prefix, task.clock.since_start)
        began = board.producers_began(context.now()) if worker.kind == "producer" else 0
        plan.payloads.remembers = False
        gc.freeze()  # the plan and the modules live as long as the process: not to be looked through again and again
        work(worker, group, plan, adapter, context, task.before, began)
    except MqverifyError as error:
        return "failed", str(error), context
    except Exception as error:  # noqa: BLE001 - whatever the application's library raises
        traceback.print_exc()
        if isinstance(error.__cause__, MqverifyError):  # a listener's, as the library passes it on
            return "failed", str(error.__cause__), context
        ours = not isinstance(error, HandlerFailed) and not backend.is_client_error(error)
        return "broken" if ours else "stopped", f"{type(error).__name__}: {error}", context
    return "finished", "", context


def main(arguments: list[str]) -> int:
    message = _heard()
    if message is None:
        return 1
    task: WorkerTask = pickle.loads(message)
    asked_to_stop = threading.Event()
    _die_with(task.parent, asked_to_stop)
    ending, detail, context = _work(task, Path(arguments[0]), asked_to_stop)
    context.tell("ended", ending, detail)
    return 1 if ending in {"broken", "failed"} else 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)  # threads of the client library cannot hold it up

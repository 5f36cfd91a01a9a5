"""Worker processes of a real run, as the parent sees them: started, stopped, killed, listened to."""

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqverify.backends.base import Endpoint
from mqverify.errors import BackendLost, InternalError
from mqverify.workload.groups import Worker
from mqverify.worlds.base import Before, Busy, Ended, Idle, Notice, Scenario, Struck, Triggered
from mqverify.worlds.clock import RunClock

__all__ = ["Child", "WorkerTask", "file_stem", "wait_for_any"]

_STOP_SECONDS = 10.0

_OF_BROKEN_CODE = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS}
)


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """All that a worker process needs to know.

    It is handed over pickled, on its stdin, which then stays open: to be told to stop, and to notice the parent's end.
    """

    scenario: Scenario
    seed: int
    worker: Worker
    endpoint: Endpoint
    prefix: str
    clock: RunClock
    folder: Path
    before: Before
    """What a producer's earlier incarnations have left behind."""
    keeps_effects: bool
    """Whether effects are recorded."""
    parent: int
    notices: int
    """The file number that notices are written to, as lines of JSON."""


def file_stem(worker: Worker) -> str:
    """How the files of one incarnation are called: without what a file's name may not hold."""
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in worker.name)
    return f"{name[:80]}.{worker.incarnation}"


class Child:
    """One incarnation of a worker. What it tells is fetched with `notices()`, its end included."""

    def __init__(self, number: int, task_without_pipe: Mapping[str, Any]) -> None:
        self.worker: Worker = task_without_pipe["worker"]
        folder: Path = task_without_pipe["folder"]
        stem = f"{number:03d}-{file_stem(self.worker)}"
        self.records = folder / f"{stem}.records"
        self._errors = folder / f"{stem}.stderr"
        self._partial = b""
        self._told: tuple[str, str] | None = None
        self._is_to_die = False
        """Whether we killed it, or it told that it kills itself."""
        self._over = False
        self.led_at = -1
        """When it last shared out the work of its group, as its leader; -1 if it never did."""
        self.pipe, writing = os.pipe()
        os.set_blocking(self.pipe, False)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "mqverify.worlds.worker_process", str(self.records)],
                    stdin=subprocess.PIPE, stdout=errors, stderr=errors, env=environment, pass_fds=(writing,),
                    start_new_session=True,
                )  # fmt: skip
        except OSError:
            os.close(self.pipe)
            raise
        finally:
            os.close(writing)
        task = WorkerTask(**task_without_pipe, parent=os.getpid(), notices=writing)
        self._say(pickle.dumps(task))

    def ask_to_stop(self) -> None:
        """Let it finish what it has in hand, and leave. One that is stopped hears it when it goes on."""
        self._say(b"stop")

    def _say(self, message: bytes) -> None:
        """Write a message, with its length before it, to the process's stdin."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died already; its end is noticed as any other
            self._process.stdin.write(len(message).to_bytes(8, "big") + message)
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        if self._process.returncode is None:
            self._is_to_die = self._is_to_die or number == signal.SIGKILL
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait_until_stopped(self) -> None:
        """Wait until a SIGSTOP that is on its way has arrived, so that a later SIGCONT does not overtake it.

        Raises BackendLost if it does not: a pause that nobody is sure of must not count.
        """
        deadline = time.monotonic() + _STOP_SECONDS
        while not self._has_changed(os.WUNTRACED):
            if time.monotonic() >= deadline:
                raise self._deaf("SIGSTOP")
            time.sleep(0.001)

    def wait_until_dead(self) -> None:
        """Wait for the end of a process that is being killed. Raises BackendLost if it lives on."""
        deadline = time.monotonic() + _STOP_SECONDS
        while not self.is_dead():
            if time.monotonic() >= deadline:
                raise self._deaf("SIGKILL")
            time.sleep(0.001)

    def is_dead(self) -> bool:
        if self._process.returncode is None:
            self._has_changed(0)
        return self._process.returncode is not None

    @property
    def was_killed(self) -> bool:
        """Whether it died of SIGKILL, as far as it was heard with work before it: who has told its end was through."""
        return self._process.returncode == -signal.SIGKILL and self._told is None

    def _has_changed(self, options: int) -> bool:
        """Ask the kernel; True if it stopped or ended. (`Popen` would take a stop for an end.)"""
        if self._process.returncode is not None:
            return True
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG | options)
        except ChildProcessError:  # somebody else has waited for it
            self._process.returncode = -signal.SIGKILL
            return True
        if pid and not os.WIFSTOPPED(status):
            self._process.returncode = os.waitstatus_to_exitcode(status)
        return bool(pid)

    def notices(self) -> list[Notice]:
        """What it has told since the last call; as the last of all, that it ended.

        Raises InternalError if it broke by an exception of our own code, BackendLost if it could not go on.
        """
        if self._over:
            return []
        dead = self.is_dead()  # before the pipe is read, so that nothing comes after
        found = [notice for line in self._lines() if (notice := self._read(line)) is not None]
        if dead:
            self.close()
            found.append(self._ended())
        return found

    def close(self) -> None:
        """Listen no more."""
        if not self._over:
            self._over = True
            os.close(self.pipe)
            if self._process.stdin is not None:
                with suppress(BrokenPipeError):
                    self._process.stdin.close()

    @property
    def over(self) -> bool:
        """Whether its end has been told."""
        return self._over

    def _lines(self) -> list[bytes]:
        data = self._partial
        with suppress(BlockingIOError):
            while chunk := os.read(self.pipe, 65_536):
                data += chunk
        *lines, self._partial = data.split(b"\n")
        return lines

    def _read(self, line: bytes) -> Notice | None:
        what, *rest = json.loads(line)
        match what:
            case "idle":
                progress = rest[0]
                return Idle(self.worker, None if progress is None else {int(k): v for k, v in progress.items()})
            case "busy":
                return Busy(self.worker)
            case "triggered":
                return Triggered(rest[0])
            case "struck":
                return Struck(rest[0], self.worker)
            case "dies":
                self._is_to_die = True
            case "leads":
                self.led_at = rest[0]
            case "ended":
                self._told = (rest[0], rest[1])
        return None

    def _ended(self) -> Ended:
        status = self._process.returncode
        if self._told is None and status is not None and status < 0:
            if status != -signal.SIGKILL or not self._is_to_die:
                raise self._killed_by_somebody(-status)
            return Ended(self.worker, "crashed")
        ending, detail = self._told or ("broken", f"it ended with exit status {status}")
        if ending == "finished":
            return Ended(self.worker, "finished", detail)
        if ending == "stopped":
            return Ended(self.worker, "stopped", detail)
        if ending == "failed":
            raise BackendLost(f"{self.worker.name} could not go on: {detail}")
        raise InternalError(f"the worker process {self.worker.name} broke: {detail}; see {self._errors}")

    def _deaf(self, what: str) -> BackendLost:
        return BackendLost(
            f"the worker process {self.worker.name} (pid {self.pid}) did not obey {what} within {_STOP_SECONDS:g} s, "
            f"so this run cannot go on; it may hang in a call to the system (`ps -o stat,wchan -p {self.pid}` shows "
            "it): look for a disk or a network drive that does not answer, then run again"
        )

    def _killed_by_somebody(self, number: int) -> BackendLost | InternalError:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        killed = (
            f"the worker process {self.worker.name} (pid {self.pid}) was killed by {name}, which no fault asked for"
        )
        if number in _OF_BROKEN_CODE:
            return InternalError(f"{killed}: compiled code broke in it; see {self._errors}")
        return BackendLost(
            f"{killed}: most often the system does that when memory runs out (see the system's log); "
            "ask for fewer workers or free memory, then run again"
        )


def wait_for_any(children: Sequence[Child], seconds: float, pipes: Sequence[int] = ()) -> None:
    """Wait, at most so long, until one of them has told something, or has ended. There may be thousands.

    Or until one of the pipes can be read.
    """
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.pipe, selectors.EVENT_READ)
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        selector.select(max(0.0, seconds))

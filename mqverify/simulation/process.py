"""The unit of fate: a process owns tasks (greenlets) and timers; a crash or a pause takes them all.

A dead process's tasks stay as they are, untouched, until the kernel is sealed; only then `Killed` is thrown to unwind
them, and every primitive of a dead process raises it, so that no `finally` of an application acts inside the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from mqverify.simulation.kernel import Kernel

__all__ = ["Killed", "Process", "Task"]


class Killed(BaseException):
    """Unwinds the code of a dead process, after the run. Applications must not catch it, and cannot act if they do."""


class Task(greenlet):  # type: ignore[misc]
    """One thread of a process: blocking code that runs until it waits."""

    process: Process


class Process:
    """What crashes, pauses and restarts as one. `alive` and `paused` are for reading only.

    `skew` is how far its clock is ahead of virtual time, in nanoseconds: what it stamps with the time of day says so.

    `on_end` callables are told once, when the process dies (with None) or when its main task returns or raises (with
    the exception or None); they run inside the run and must not block.
    """

    __slots__ = ("_backlog", "alive", "at_wake", "kernel", "name", "on_end", "paused", "skew", "tasks")

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.name = name
        self.alive = True
        self.paused = False
        self.skew = 0
        self.tasks: list[Task] = []
        self.at_wake: tuple[Task, Callable[[], None]] | None = None
        self.on_end: list[Callable[[BaseException | None], None]] = []
        self._backlog: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    @property
    def running(self) -> bool:
        return self.alive and not self.paused

    def spawn(self, body: Callable[[], Any], main: bool = False) -> Task:
        """Start `body` as a task of this process, at once. When the `main` one ends, the process ends."""
        self.kernel.require_alive(self)

        def run() -> None:
            failure: BaseException | None = None
            try:
                body()
            except Killed:
                return
            except BaseException as error:  # noqa: BLE001  (whatever the application raised is its process's end)
                failure = error
            if self.alive and (main or failure is not None):
                self._end(failure)

        task = Task(run, self.kernel.hub)
        task.process = self
        self.tasks.append(task)
        self.kernel.ready.append(task)
        return task

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more. If the caller is of this process, this never returns."""
        if self.alive:
            self._end(None)
        if getattr(getcurrent(), "process", None) is self:
            self.kernel.hub.switch()

    def kill_at_wake(self, task: Task) -> None:
        """The process dies when `task` is next woken: what it waited for has happened, and it never sees it."""
        self.at_wake = task, self.kill

    def pause_at_wake(self, task: Task, paused: Callable[[], None]) -> None:
        """It is paused when `task` is next woken, which sees what it waited for on resuming. `paused` is told then."""

        def pause() -> None:
            self.at_wake = None
            self.pause()
            self._backlog.append((task.switch, ()))
            paused()

        self.at_wake = task, pause

    def pause(self) -> None:
        """SIGSTOP: what arrives or falls due waits until `resume`. A task cannot pause its own process and go on."""
        self.paused = True
        current = getcurrent()
        if getattr(current, "process", None) is self:
            self._backlog.append((current.switch, ()))
            self.kernel.hub.switch()

    def resume(self) -> None:
        """SIGCONT: what fell due meanwhile happens now, in its order."""
        self.paused = False
        backlog, self._backlog = self._backlog, []
        for call, arguments in backlog:
            self.kernel.call_at(self.kernel.now, call, *arguments, process=self)

    def defer(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self.alive:
            self._backlog.append((call, arguments))

    def _end(self, failure: BaseException | None) -> None:
        self.alive = False
        for tell in self.on_end:
            tell(failure)

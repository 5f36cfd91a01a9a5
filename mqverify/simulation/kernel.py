"""Virtual time: a heap of events, processes that can be killed and paused, and blocking code on greenlets.

The unit of fate is a `Process`: it owns tasks (greenlets) and timers; a crash or a pause takes them all. A dead
process's tasks stay as they are, untouched, until `seal()`; only then `Killed` is thrown to unwind them, and every
primitive of a dead process raises it, so that no `finally` of an application acts inside the run.

Two events at one time happen in the order in which they were made. Nothing here reads a clock, hashes or iterates
a set.

*Renewals*: a timer that only renews (a heartbeat, an empty fetch, a poll time-out, a watchdog whose holder is alive) is
made with `renews=`; where nothing but renewals stands before the next event of substance, they are all shifted to it
together, so an idle week costs nothing and relative times are kept.
"""

import random
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = ["MICROSECOND", "MILLISECOND", "SECOND", "Event", "Future", "Kernel", "Killed", "Process", "Task", "always"]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# Idle stretches shorter than this are lived through; longer ones are jumped over.
_SHORT_IDLE = SECOND

# [time, order, process or None, call or None once cancelled, arguments, renews or None, later time or 0]: a list, so
# that the heap compares in C and a pending event can be cancelled, postponed or shifted in place.
Event = list[Any]
Renews = Callable[[], bool]


def always() -> bool:
    """`renews=always`: a timer that only renews whatever else happens."""
    return True


class Killed(BaseException):
    """Unwinds the code of a dead process, after the run. Applications must not catch it, and cannot act if they do."""


class Task(greenlet):  # type: ignore[misc]
    """One thread of a process: blocking code that runs until it waits."""

    process: "Process"


class Process:
    """What crashes, pauses and restarts as one. `alive` and `paused` are for reading only.

    `on_end` callables are told once, when the process dies (with None) or when its main task returns or raises (with
    the exception or None); they run inside the run and must not block.
    """

    __slots__ = ("_backlog", "alive", "doomed", "kernel", "name", "on_end", "paused", "tasks")

    def __init__(self, kernel: "Kernel", name: str) -> None:
        self.kernel = kernel
        self.name = name
        self.alive = True
        self.paused = False
        self.tasks: list[Task] = []
        self.doomed: Task | None = None
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
        self.doomed = task

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


class Future:
    """A value that comes later; one or more tasks may wait for it. Resolved once; later results are ignored."""

    __slots__ = ("_kernel", "_waiting", "callbacks", "done", "error", "value")

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._waiting: list[Task] = []
        self.callbacks: list[Callable[[Future], None]] = []
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None

    def resolve(self, value: Any = None, error: BaseException | None = None) -> None:
        if self.done:
            return
        self.done, self.value, self.error = True, value, error
        self._kernel.ready.extend(self._waiting)
        self._waiting.clear()
        for tell in self.callbacks:
            tell(self)

    def wait(self, timeout: int | None = None, renews: Renews | None = None) -> bool:
        """Block the current task until resolved or for `timeout` nanoseconds; whether it is resolved."""
        if not self.done and (timeout is None or timeout > 0):
            self._kernel.block(self._waiting, timeout, renews)
        return self.done

    def result(self, timeout: int | None = None) -> Any:
        """Wait and return the value or raise the error; `TimeoutError` where it did not come in time."""
        if not self.wait(timeout):
            raise TimeoutError
        if self.error is not None:
            raise self.error
        return self.value


class Kernel:
    """One simulated world: its time (`now`, nanoseconds since the start), its processes, its dice."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0
        self.hub = getcurrent()
        self.ready: deque[Task] = deque()
        self.processes: list[Process] = []
        self._heap: list[Event] = []
        self._order = 0
        self._stopped = False

    def stream(self, name: str) -> random.Random:
        """The dice of one actor, its own, so that adding or removing an actor does not disturb the others."""
        return random.Random(f"{self.seed}/{name}")

    def process(self, name: str) -> Process:
        process = Process(self, name)
        self.processes.append(process)
        return process

    def call_at(
        self,
        time: int,
        call: Callable[..., Any],
        *arguments: Any,
        process: Process | None = None,
        renews: Renews | None = None,
    ) -> Event:
        """Have `call(*arguments)` happen at `time`, unless `process` is dead then; while it is paused, later."""
        self._order += 1
        event = [time, self._order, process, call, arguments, renews, 0]
        heappush(self._heap, event)
        return event

    @staticmethod
    def cancel(event: Event) -> None:
        event[3] = None

    @staticmethod
    def postpone(event: Event, time: int) -> None:
        """Move a pending event to a later `time`: a watchdog that is put off at every sign of life costs nothing."""
        event[6] = time

    def sleep(self, duration: int, renews: Renews | None = None) -> None:
        """Block the current task for `duration` nanoseconds."""
        task = getcurrent()
        self.require_alive(task.process)
        until = self.now + duration
        heap = self._heap
        if not self.ready and renews is None and (not heap or heap[0][0] > until):
            self.now = until  # nobody else has anything to do before: no switch needed
            return
        self._order += 1
        heappush(heap, [until, self._order, task.process, task.switch, (), renews, 0])
        self.hub.switch()

    def block(self, waiting: list[Task], timeout: int | None, renews: Renews | None) -> None:
        """Put the current task into `waiting` until somebody moves it to `ready`, or for `timeout` nanoseconds."""
        task = getcurrent()
        self.require_alive(task.process)
        waiting.append(task)
        if timeout is None:
            self.hub.switch()
            return
        event = self.call_at(self.now + timeout, self._time_out, waiting, task, process=task.process, renews=renews)
        self.hub.switch()
        event[3] = None

    def run(self) -> None:
        """Let everything happen, in order, until `stop()` is called or nothing is left to happen."""
        heap, ready = self._heap, self.ready
        while not self._stopped:
            if ready:
                self._wake(ready.popleft())
                continue
            if not heap:
                return
            event = heappop(heap)
            time, _, process, call, arguments, renews, later = event
            if call is None:
                continue
            if later > time:
                event[0], event[6] = later, 0
                heappush(heap, event)
                continue
            if renews is not None and self._jump(event):
                continue
            if process is not None and not (process.alive and not process.paused):
                process.defer(call, arguments)
                continue
            self.now = time
            call(*arguments)

    def stop(self) -> None:
        """End `run` after the current event."""
        self._stopped = True

    def seal(self) -> None:
        """After the run: bury every process, and unwind the code of the dead with `Killed`."""
        self._stopped = True
        for process in self.processes:
            process.alive = False
        for process in self.processes:
            for task in process.tasks:
                if task and not task.dead:
                    task.throw(Killed)
        self._heap.clear()
        self.ready.clear()

    @staticmethod
    def require_alive(process: Process) -> None:
        if not process.alive:
            raise Killed

    def _wake(self, task: Task) -> None:
        process = task.process
        if not process.alive:
            return
        if process.paused:
            process.defer(task.switch, ())
        elif process.doomed is task:
            process.kill()
        else:
            task.switch()

    def _time_out(self, waiting: list[Task], task: Task) -> None:
        if task in waiting:
            waiting.remove(task)
            self.ready.append(task)

    def _jump(self, first: Event) -> bool:
        """Shift the renewals from `first` on to the next event of substance, if that is far away."""
        following = self._heap[0] if self._heap else first
        if following[0] - first[0] <= _SHORT_IDLE and following[3] is not None and not _renewing(following):
            return False
        substance = [max(event[0], event[6]) for event in self._heap if event[3] is not None and not _renewing(event)]
        if not substance or not _renewing(first):
            return False
        distance = min(substance) - first[0]
        if distance <= _SHORT_IDLE:
            return False
        self._heap.append(first)
        for event in self._heap:
            if event[3] is not None and _renewing(event):
                event[0] += distance
                event[6] += distance if event[6] else 0
        heapify(self._heap)
        return True


def _renewing(event: Event) -> bool:
    """Whether nothing of substance happens by this event: it only renews, or its process cannot act."""
    process, renews = event[2], event[5]
    return (process is not None and not process.running) or (renews is not None and renews())

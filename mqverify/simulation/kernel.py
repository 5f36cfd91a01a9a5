"""Virtual time: a heap of events, and blocking code of processes on greenlets.

Two events at one time happen in the order in which they were made. Nothing here reads a clock, hashes or iterates
a set.

Timers that only renew are made with `renews=`, so that an idle week costs nothing (`renewals.py`).
"""

import random
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from greenlet import getcurrent

from mqverify.simulation.process import Killed, Process, Task
from mqverify.simulation.renewals import Event, Renews, jump

__all__ = ["MICROSECOND", "MILLISECOND", "SECOND", "Kernel"]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class Kernel:
    """One simulated world: its time (`now`, nanoseconds since the start), its processes, its dice."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0
        self.leapt = 0
        """Nanoseconds of idle time that were leapt over: `now - leapt` is the time that actors lived through."""
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
        heappush(heap, [until, self._order, task.process, self._wake, (task,), renews, 0])
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
            if process is not None and not process.running:
                process.defer(call, arguments)
                continue
            if renews is not None and (distance := jump(heap, event)):
                self.leapt += distance
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
        elif process.at_wake is not None and process.at_wake[0] is task:
            process.at_wake[1]()
        else:
            task.switch()

    def _time_out(self, waiting: list[Task], task: Task) -> None:
        if task in waiting:
            waiting.remove(task)
            self.ready.append(task)

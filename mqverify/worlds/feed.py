"""What an iterator of a client library yields, fetched beside the loop: by a simulated task, or by a thread.

An application that iterates over a subscription has no other way to wait only for a time: such iterators block.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mqverify.simulation.future import Future
from mqverify.simulation.process import Process

__all__ = ["SimulatedFeed", "ThreadFeed"]


class SimulatedFeed:
    """A `Feed`. While `idle()`, waiting in vain changes nothing, and costs nothing (simulation/renewals.py)."""

    def __init__(self, process: Process, items: Iterable[Any], capacity: int, idle: Callable[[], bool]) -> None:
        self._kernel = process.kernel
        self._capacity = capacity
        self._idle = idle
        self._waiting: deque[Any] = deque()
        self._arrival: Future | None = None
        self._room: Future | None = None
        self._failure: Exception | None = None
        process.spawn(lambda: self._fetch(items))

    def take(self, timeout: int, most: int) -> Sequence[Any]:
        waiting = self._waiting
        if not waiting and self._failure is None:
            self._arrival = Future(self._kernel)
            self._arrival.wait(timeout, self._idle)
            self._arrival = None
        if not waiting and self._failure is not None:
            raise self._failure
        taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        if taken and self._room is not None:
            self._room.resolve()
            self._room = None
        return taken

    def _fetch(self, items: Iterable[Any]) -> None:
        try:
            for item in items:
                self._waiting.append(item)
                if self._arrival is not None:
                    self._arrival.resolve()
                if len(self._waiting) >= self._capacity:
                    self._room = Future(self._kernel)
                    self._room.wait()
        except Exception as error:  # noqa: BLE001  (whatever the library raises is raised where it is taken)
            self._failure = error
            if self._arrival is not None:
                self._arrival.resolve()


class ThreadFeed:
    """A `Feed` of the real world."""

    def __init__(self, items: Iterable[Any], capacity: int) -> None:
        self._waiting: queue.Queue[tuple[Any, Exception | None]] = queue.Queue(capacity)
        self._failure: Exception | None = None
        threading.Thread(target=self._fetch, args=(items,), name="feed", daemon=True).start()

    def take(self, timeout: int, most: int) -> Sequence[Any]:
        taken: list[Any] = []
        while len(taken) < most and self._failure is None:
            try:
                item, self._failure = self._waiting.get(not taken, timeout / 1e9)
            except queue.Empty:
                return taken
            if self._failure is None:
                taken.append(item)
        if not taken and self._failure is not None:
            raise self._failure
        return taken

    def _fetch(self, items: Iterable[Any]) -> None:
        try:
            for item in items:
                self._waiting.put((item, None))
        except Exception as error:  # noqa: BLE001  (whatever the library raises is raised where it is taken)
            self._waiting.put((None, error))

"""What an iterator of a client library yields, fetched beside the loop: by a simulated task, or by a thread.

An application that iterates over a subscription has no other way to wait only for a time: such iterators block.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mqverify.simulation.future import Future
from mqverify.workload.client import FeedEnded

if TYPE_CHECKING:
    from mqverify.simulation.process import Process

__all__ = ["SimulatedFeed", "ThreadFeed"]


class SimulatedFeed:
    """A `Feed`. While `idle()`, waiting in vain changes nothing, and costs nothing (simulation/renewals.py)."""

    def __init__(self, process: "Process", items: Iterable[Any], capacity: int, idle: Callable[[], bool]) -> None:
        self._kernel = process.kernel
        self._capacity = capacity
        self._idle = idle
        self._waiting: deque[Any] = deque()
        self._arrival: Future | None = None
        self._room: Future | None = None
        self._end: Exception | None = None
        self._closed = False
        process.spawn(lambda: self._fetch(items))

    def take(self, timeout: int, most: int) -> Sequence[Any]:
        waiting = self._waiting
        if not waiting and self._end is None:
            self._arrival = Future(self._kernel)
            self._arrival.wait(timeout, self._idle)
            self._arrival = None
        if not waiting and self._end is not None:
            raise self._end
        taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        if taken:
            self._make_room()
        return taken

    def close(self) -> None:
        self._closed = True
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.resolve()
            self._room = None

    def _fetch(self, items: Iterable[Any]) -> None:
        end: Exception = FeedEnded()
        try:
            for item in items:
                self._waiting.append(item)
                if self._arrival is not None:
                    self._arrival.resolve()
                if len(self._waiting) >= self._capacity and not self._closed:
                    self._room = Future(self._kernel)
                    self._room.wait()
                if self._closed:
                    break
        except Exception as error:  # noqa: BLE001  (whatever the library raises is raised where it is taken)
            end = error
        self._end = end
        if self._arrival is not None:
            self._arrival.resolve()


class ThreadFeed:
    """A `Feed` of the real world."""

    def __init__(self, items: Iterable[Any], capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[Any] = deque()
        self._end: Exception | None = None
        self._closed = False
        self._changed = threading.Condition()
        """Told of each change of the three."""
        self._thread = threading.Thread(target=self._fetch, args=(items,), name="feed", daemon=True)
        self._thread.start()

    def take(self, timeout: int, most: int) -> Sequence[Any]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._end is not None, timeout / 1e9)
            if not self._waiting and self._end is not None:
                raise self._end
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fetch(self, items: Iterable[Any]) -> None:
        end: Exception = FeedEnded()
        try:
            for item in items:
                if not self._put(item):
                    break
        except Exception as error:  # noqa: BLE001  (whatever the library raises is raised where it is taken)
            end = error
        with self._changed:
            self._end = end
            self._changed.notify_all()

    def _put(self, item: Any) -> bool:
        """Keep an item, wait for room for the next one; whether there is anybody to take it."""
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._capacity)
            return not self._closed

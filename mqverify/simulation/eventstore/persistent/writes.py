"""What the subsystem writes into the log: one queue of appends, each with its latency, in order.

Parked messages and checkpoints go through it together, so the log has a message in the parked stream before it has a
checkpoint that passes it (docs/facts/eventstore.md §A5). What was not written when the process ends is lost.
"""

import random
from collections.abc import Callable
from typing import Any

from mqverify.simulation.kernel import MICROSECOND
from mqverify.simulation.timers import Timers

__all__ = ["WriteQueue", "read_latency"]

_LEAST_READ = 50 * MICROSECOND
_MOST_READ = 300 * MICROSECOND
_LEAST_WRITE = 300 * MICROSECOND
_MOST_WRITE = 1000 * MICROSECOND


def read_latency(dice: random.Random) -> int:
    """Nanoseconds until a read of the log is answered."""
    return _LEAST_READ + int(dice.random() * (_MOST_READ - _LEAST_READ))


class WriteQueue:
    """Each write happens 0.3 to 1 ms after it was asked for, and never before an earlier one."""

    __slots__ = ("_dice", "_last", "_pending", "_timers")

    def __init__(self, timers: Timers, dice: random.Random) -> None:
        self._timers = timers
        self._dice = dice
        self._last = 0
        self._pending: dict[int, Any] = {}

    def submit(self, write: Callable[[int], None], now: int) -> None:
        """Have `write(now)` called in its turn."""
        time = now + _LEAST_WRITE + int(self._dice.random() * (_MOST_WRITE - _LEAST_WRITE))
        self._last = max(self._last, time)
        number = next(reversed(self._pending), 0) + 1
        self._pending[number] = self._timers.at(self._last, self._write, write, number)

    def drop(self) -> None:
        """The process ends: what is not written is lost."""
        for timer in self._pending.values():
            self._timers.cancel(timer)
        self._pending.clear()

    def _write(self, write: Callable[[int], None], number: int, now: int) -> None:
        del self._pending[number]
        write(now)

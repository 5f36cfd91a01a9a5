"""The clock of a real run: the machine's monotonic one, and what server's times are by it."""

import time
from dataclasses import dataclass
from typing import Self

__all__ = ["RunClock"]


@dataclass(frozen=True, slots=True)
class RunClock:
    """When a run began. All its processes have the same."""

    origin: int
    """`time.monotonic_ns()` then."""
    epoch: int
    """Unix time then, in nanoseconds; whole milliseconds, as Kafka counts."""

    @classmethod
    def starting_now(cls) -> Self:
        return cls(time.monotonic_ns(), time.time_ns() // 1_000_000 * 1_000_000)

    def now(self) -> int:
        """Nanoseconds since the run's start."""
        return time.monotonic_ns() - self.origin

    def since_start(self, unix: int) -> int:
        """A Unix time in nanoseconds → nanoseconds since the run's start."""
        return unix - self.epoch

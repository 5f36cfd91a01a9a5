"""The clock of a real run: the machine's monotonic one, what server's times are by it, and the time that was let pass.

Days that a spec lets pass (`pass: 8d`) are not waited for: once the broker has done what it would have done meanwhile,
the clock of the run jumps. Where it does is in a small file of the run's folder, mapped by all of the run's processes,
so that a jump is the same for all of them at once. A sleep, a session, a timer of a client library go by the machine's
clock; everything that the history tells, and all that workers and the conductor wait for, goes by this one.
"""

import mmap
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mqverify.units import SECOND

__all__ = ["LONGEST_WAITED_FOR", "MOST_PASSES", "RunClock"]

LONGEST_WAITED_FOR = 10 * SECOND
"""What a spec lets pass is waited for up to here; what is longer is jumped over."""

MOST_PASSES = 255
"""How often a run's clock can jump."""

_TOTAL = struct.Struct("=q")
"""How far the clock has jumped in all, in nanoseconds: the first eight bytes, written last."""
_PASS = struct.Struct("=qq")
"""Unix time of a jump, whole milliseconds in nanoseconds, and how far it was; one after the other from byte 16 on."""
_SIZE = _PASS.size * (1 + MOST_PASSES)
_MILLISECOND = 1_000_000


@dataclass(frozen=True)
class RunClock:
    """When a run began, and where the cell of its jumps lies. All its processes have the same."""

    origin: int
    """`time.monotonic_ns()` then."""
    epoch: int
    """Unix time then, in nanoseconds; whole milliseconds, as Kafka counts."""
    cell: Path
    """The file of the jumps."""
    _map: Any = field(init=False, repr=False, compare=False)
    _passed: Any = field(init=False, repr=False, compare=False)
    """The same bytes as 64-bit numbers: the first is how far it has jumped in all, and is read for every record."""

    def __post_init__(self) -> None:
        with self.cell.open("r+b") as file:
            object.__setattr__(self, "_map", mmap.mmap(file.fileno(), _SIZE))
        object.__setattr__(self, "_passed", memoryview(self._map).cast("q"))

    def __reduce__(self) -> Any:
        return RunClock, (self.origin, self.epoch, self.cell)

    @classmethod
    def starting_now(cls, folder: Path) -> Self:
        """A clock that starts now; its cell is made in that folder."""
        cell = folder / "clock"
        cell.write_bytes(bytes(_SIZE))
        return cls(time.monotonic_ns(), time.time_ns() // _MILLISECOND * _MILLISECOND, cell)

    def monotonic(self) -> int:
        """The machine's monotonic clock, with all that was let pass: what stamps of records are made of."""
        now: int = time.monotonic_ns() + self._passed[0]
        return now

    def now(self) -> int:
        """Nanoseconds since the run's start."""
        now: int = time.monotonic_ns() - self.origin + self._passed[0]
        return now

    def since_start(self, unix: int) -> int:
        """A Unix time in nanoseconds → nanoseconds since the run's start.

        A record's timestamp has milliseconds; the one of a jump itself lies behind it.
        """
        passed = sum(length for at, length in self.passes() if at <= unix) if self._passed[0] else 0
        return unix - self.epoch + passed

    def passes(self) -> list[tuple[int, int]]:
        """The jumps so far: (Unix time in nanoseconds, how far), in order."""
        found = []
        for number in range(1, MOST_PASSES + 1):
            at, length = _PASS.unpack_from(self._map, _PASS.size * number)
            if not length:
                break
            found.append((at, length))
        return found

    def jump(self, length: int) -> None:
        """Have so many nanoseconds be over, for all processes of the run. Only one process does that.

        Raises ValueError where nothing is to pass, or it was done `MOST_PASSES` times.
        """
        number = len(self.passes()) + 1
        if length <= 0 or number > MOST_PASSES:
            raise ValueError(f"the clock cannot jump by {length} ns for the {number}. time")
        at = time.time_ns() // _MILLISECOND * _MILLISECOND
        _PASS.pack_into(self._map, _PASS.size * number, at, length)
        _TOTAL.pack_into(self._map, 0, _TOTAL.unpack_from(self._map)[0] + length)

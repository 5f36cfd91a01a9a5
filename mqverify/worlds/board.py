"""What the processes of one real run share: counts of distinct messages, and the faults that wait for them.

A file, mapped by all, with a lock for what must be one step. A message that was counted is a byte in it, so a count is
the number of these bytes, and who marks one needs no lock. Only while a fault waits for a count each new message takes
the lock: the worker whose message makes the count arms the fault in that same step, and the first eligible worker that
comes to the fault's point takes it, alone, or each of them takes its own. A byte of its own tells a worker whether
anything is armed for it; to read it needs no lock. Nobody may be stopped or killed by us while it holds the lock, so
whoever does that holds it himself (`with board.lock`).
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import candidates, groups_of, is_everybody
from mqverify.workload.groups import ConsumerGroup, Worker

__all__ = ["Board"]

_PRODUCER_METRICS = ("sent", "acked")
_CONSUMER_METRICS = ("delivered", "handled", "settled")
_COUNT = struct.Struct("=q")

# A fault's own two bytes, before the number of its strikes.
_WATCHED, _FIRED = range(2)
_SLOT_SIZE = 2
# A worker's byte for each fault: 0 before it is armed. Before these there is one that says whether any is armed.
_ARMED, _OVER = 1, 2


class _Lock:
    """Between processes a lock on the file, between the threads of one a mutex. The kernel frees a dead holder's."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._mutex = threading.Lock()

    def __enter__(self) -> None:
        self._mutex.acquire()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._mutex.release()


class Board:
    """The board in the file `path`, made if it is not there. All processes name the same messages, groups, faults."""

    def __init__(
        self,
        path: Path,
        messages: int,
        groups: Sequence[ConsumerGroup],
        workers: Sequence[Worker],
        faults: Sequence[PlannedFault],
    ) -> None:
        self._messages = messages
        self._groups = tuple(group.name for group in groups)
        self._groups_of = {fault.identity: groups_of(fault.fault, groups) for fault in faults}
        self._faults = tuple(faults)
        self._workers = {worker.name: number for number, worker in enumerate(workers)}
        self._at_once = {
            fault.identity: [worker.name for worker in candidates(fault.fault, workers)]
            for fault in faults
            if _strikes_by_itself(fault) and "leader" not in fault.fault.target  # who leads, only the parent knows
        }
        counters = [(metric, "") for metric in _PRODUCER_METRICS]
        counters += [(metric, group) for group in self._groups for metric in _CONSUMER_METRICS]
        self._numbers = {counter: number for number, counter in enumerate(counters)}
        self._strikes_at = _COUNT.size * (1 + len(counters))  # the first is `producers_began`
        self._skews_at = self._strikes_at + _COUNT.size * len(faults)
        self._slots_at = self._skews_at + _COUNT.size * len(workers)
        self._armed_at = self._slots_at + _SLOT_SIZE * len(faults)
        self._seen_at = self._armed_at + (1 + len(faults)) * len(workers)
        size = self._seen_at + messages * len(counters)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(file).st_size == 0:
            os.ftruncate(file, size)
        self._map = mmap.mmap(file, size)
        self.lock = _Lock(file)

    # --- counting ------------------------------------------------------------------------------------------------

    def count(self, metric: str, groups: Sequence[str] = ()) -> int:
        """How many distinct messages reached it in the slowest of these groups; without any, of all."""
        names = ("",) if metric in _PRODUCER_METRICS else groups or self._groups
        return min((self._counted(self._numbers[metric, name]) for name in names), default=0)

    def total(self) -> int:
        return self._marked(self._seen_at, self._messages * len(self._numbers))

    def marker(self, metric: str, group: str | None, fired: Callable[[int], None]) -> Callable[[int], None]:
        """A callable that counts a message, once; `fired` is told of each fault that this triggers.

        It is told before any worker can meet the fault.
        """
        number = self._numbers[metric, group or ""]
        seen_at = self._seen_at + number * self._messages
        waiting = [
            fault
            for fault in self._faults
            if fault.fault.when.metric == metric
            and (metric in _PRODUCER_METRICS or group in self._groups_of[fault.identity])
        ]
        board = self._map

        def mark(message: int) -> None:
            place = seen_at + message
            if board[place]:
                return
            if waiting:
                self._mark_exactly(number, place, waiting, fired)
            else:
                board[place] = 1

        def mark_only(message: int) -> None:
            board[seen_at + message] = 1

        return mark if waiting else mark_only

    def _mark_exactly(self, number: int, place: int, waiting: list[PlannedFault], fired: Callable[[int], None]) -> None:
        """Count a message in one step with what this triggers; strike those off `waiting` that wait no more.

        The running count is right as long as a fault waits for it, since then everybody comes this way.
        """
        board, count_at = self._map, _COUNT.size * (1 + number)
        with self.lock:
            if board[place]:
                return
            board[place] = 1
            _COUNT.pack_into(board, count_at, _COUNT.unpack_from(board, count_at)[0] + 1)
            for fault in tuple(waiting):
                if self._is_due(fault):
                    fired(fault.identity)
                    self._fire(fault)
                if self._is(fault, _FIRED):
                    waiting.remove(fault)

    def _counted(self, number: int) -> int:
        return self._marked(self._seen_at + number * self._messages, self._messages)

    def _marked(self, start: int, length: int) -> int:
        """How many of these bytes are 1; the others are 0. `bytes.count` takes thrice as long where they are mixed."""
        return int.from_bytes(self._map[start : start + length], "little").bit_count()

    # --- faults --------------------------------------------------------------------------------------------------

    def watch(self, planned: PlannedFault) -> bool:
        """Have the fault triggered when its count is reached; True if that is so already."""
        with self.lock:
            self._set(planned, _WATCHED)
            due = self._is_due(planned)
            if due:
                self._fire(planned)
            return due

    def arm(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        """Let it strike one of these workers, or each (`all consumers` at a point), unless that was so already.

        One that slows strikes as often as its `times` says, or until it is disarmed.
        """
        with self.lock:
            self._arm(planned, eligible)

    def disarm(self, planned: PlannedFault) -> None:
        with self.lock:
            self._disarm(planned, *self._workers)

    def lookout(self, worker: str) -> Callable[[], int]:
        """A callable that says whether any fault is armed for the worker: quick, since it is asked at every point."""
        return partial(self._map.__getitem__, self._begin(worker))

    def is_armed(self, planned: PlannedFault, worker: str) -> bool:
        """Whether the fault may strike this worker now."""
        return self._map[self._place(planned, worker)] == _ARMED

    def take(self, planned: PlannedFault, worker: str) -> bool:
        """Whether the fault strikes this worker now. If it strikes but once, nobody else can take it then."""
        place = self._place(planned, worker)
        if self._map[place] != _ARMED:
            return False
        with self.lock:
            if self._map[place] != _ARMED:
                return False
            if _strikes_each(planned):
                self._disarm(planned, worker)
                return True
            strikes_at = self._strikes_at + _COUNT.size * planned.identity
            strikes = _COUNT.unpack_from(self._map, strikes_at)[0] + 1
            _COUNT.pack_into(self._map, strikes_at, strikes)
            most = _most_strikes(planned)
            if most is not None and strikes >= most:
                self._disarm(planned, *self._workers)
            return True

    def skew(self, worker: str, by: int) -> None:
        """Set the clock of a worker, whatever incarnation of it is there, so many nanoseconds ahead of time."""
        _COUNT.pack_into(self._map, self._skews_at + _COUNT.size * self._workers[worker], by)

    def skew_of(self, worker: str) -> int:
        skew: int = _COUNT.unpack_from(self._map, self._skews_at + _COUNT.size * self._workers[worker])[0]
        return skew

    def producers_began(self, now: int) -> int:
        """When the first producer began, which is now if none has."""
        with self.lock:
            began: int = _COUNT.unpack_from(self._map, 0)[0]
            if not began:
                began = max(1, now)
                _COUNT.pack_into(self._map, 0, began)
            return began

    def _is_due(self, planned: PlannedFault) -> bool:
        if not self._is(planned, _WATCHED) or self._is(planned, _FIRED):
            return False
        metric = planned.fault.when.metric
        names = ("",) if metric in _PRODUCER_METRICS else self._groups_of[planned.identity]
        counts = (_COUNT.unpack_from(self._map, _COUNT.size * (1 + self._numbers[metric, name]))[0] for name in names)
        return min(counts, default=0) >= planned.threshold

    def _fire(self, planned: PlannedFault) -> None:
        self._set(planned, _FIRED)
        self._arm(planned, self._at_once.get(planned.identity, ()))

    def _arm(self, planned: PlannedFault, eligible: Iterable[str]) -> None:
        for worker in eligible:
            place = self._place(planned, worker)
            if not self._map[place]:
                self._map[place] = self._map[self._begin(worker)] = _ARMED

    def _disarm(self, planned: PlannedFault, *workers: str) -> None:
        """For good: whoever arms it late must not have it strike again."""
        for worker in workers:
            begin = self._begin(worker)
            self._map[self._place(planned, worker)] = _OVER
            self._map[begin] = _ARMED in self._map[begin + 1 : begin + 1 + len(self._faults)]

    def _begin(self, worker: str) -> int:
        """A worker's bytes lie side by side."""
        return self._armed_at + (1 + len(self._faults)) * self._workers[worker]

    def _place(self, planned: PlannedFault, worker: str) -> int:
        return self._begin(worker) + 1 + planned.identity

    def _is(self, planned: PlannedFault, what: int) -> bool:
        return self._map[self._slots_at + _SLOT_SIZE * planned.identity + what] == 1

    def _set(self, planned: PlannedFault, what: int) -> None:
        self._map[self._slots_at + _SLOT_SIZE * planned.identity + what] = 1


def _strikes_by_itself(planned: PlannedFault) -> bool:
    """Whether workers have it happen to themselves: at a point, or when they begin to handle."""
    return planned.fault.point is not None or planned.kind == "slow"


def _strikes_each(planned: PlannedFault) -> bool:
    return planned.kind != "slow" and is_everybody(planned.fault)


def _most_strikes(planned: PlannedFault) -> int | None:
    """How often it strikes; None if that is not bounded."""
    if planned.kind != "slow":
        return 1
    return planned.fault.times if planned.fault.duration is None else None

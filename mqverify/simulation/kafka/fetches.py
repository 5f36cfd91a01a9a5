"""Fetches: answered at once if there is enough data or an error, else they wait for data (`DelayedFetch`)."""

from collections.abc import Callable
from typing import Any

from kafka.errors import OffsetOutOfRangeError, UnknownTopicOrPartitionError

from mqverify.simulation.kafka.log import PartitionLog
from mqverify.simulation.kafka.protocol import Fetch, Fetched, FetchReply
from mqverify.simulation.timers import Timers

__all__ = ["Fetches"]


class _Waiting:
    __slots__ = ("logs", "request", "timer", "token")

    def __init__(self, request: Fetch, token: Any, logs: list[PartitionLog]) -> None:
        self.request = request
        self.token = token
        self.logs = logs
        self.timer: Any = None


class Fetches:
    """The fetches of one broker that wait, and how one is answered."""

    def __init__(self, logs: dict[Any, PartitionLog], timers: Timers, reply: Callable[[Any, Any], None]) -> None:
        self._logs = logs
        self._timers = timers
        self._reply = reply

    def fetch(self, request: Fetch, token: Any, now: int) -> None:
        """One fetch. It waits up to `max_wait` for `min_bytes`; an error or no partition at all ends the wait."""
        partitions, size, failed = self._read(request)
        if size >= request.min_bytes or failed or request.max_wait <= 0 or not request.positions:
            self._reply(token, FetchReply(partitions))
            return
        waiting = _Waiting(request, token, [self._logs[partition] for partition, _ in request.positions])
        for log in waiting.logs:
            log.waiting.append(waiting)
        waiting.timer = self._timers.at(
            now + request.max_wait, self._time_out, waiting, renews=lambda: self._brings_nothing(waiting)
        )

    def wake(self, log: PartitionLog, now: int) -> None:
        """Something happened to `log`: answer the fetches that now have what they wait for."""
        for waiting in list(log.waiting):
            partitions, size, failed = self._read(waiting.request)
            if size >= waiting.request.min_bytes or failed:
                self._answer(waiting, partitions)

    def forget(self, connection: Any) -> None:
        """The client of `connection` is gone: nobody waits any more."""
        for log in self._logs.values():
            for waiting in [waiting for waiting in log.waiting if waiting.token.connection is connection]:
                self._stop(waiting)

    def _brings_nothing(self, waiting: _Waiting) -> bool:
        """Whether the answer would be empty, and so would bring nothing but the next fetch."""
        positions = waiting.request.positions
        return all(log.end_offset == offset for log, (_, offset) in zip(waiting.logs, positions, strict=True))

    def _time_out(self, waiting: _Waiting, now: int) -> None:
        partitions, _, _ = self._read(waiting.request)
        self._answer(waiting, partitions)

    def _answer(self, waiting: _Waiting, partitions: list[Fetched]) -> None:
        self._stop(waiting)
        self._reply(waiting.token, FetchReply(partitions))

    def _stop(self, waiting: _Waiting) -> None:
        self._timers.cancel(waiting.timer)
        for log in waiting.logs:
            log.waiting.remove(waiting)

    def _read(self, request: Fetch) -> tuple[list[Fetched], int, bool]:
        """What the logs have for the request: partitions, bytes, whether any partition is in error.

        The first partition with data gives at least one batch, whatever the limits say (KIP-74).
        """
        answer: list[Fetched] = []
        total, failed = 0, False
        for partition, offset in request.positions:
            log = self._logs.get(partition)
            if log is None:
                failed = True
                answer.append(Fetched(partition, offset, UnknownTopicOrPartitionError, [], -1))
                continue
            if offset == log.end_offset:
                continue  # nothing new, nothing to tell (as in an incremental fetch session, KIP-227)
            limit = min(request.partition_max_bytes, request.max_bytes - total)
            try:
                records, size = log.read(offset, limit, total == 0)
            except OffsetOutOfRangeError:
                failed = True
                answer.append(Fetched(partition, offset, OffsetOutOfRangeError, [], log.end_offset))
                continue
            total += size
            answer.append(Fetched(partition, offset, None, records, log.end_offset))
        return answer, total, failed

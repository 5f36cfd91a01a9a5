"""Recording in the real world: a worker appends to a file of its own, and the file is replayed into rows afterwards.

`FileRecorder` has the methods of `WorkerRecorder`. Each call puts one record into the mapped file before it returns, so
whatever kills the worker, its history is whole up to the last step: the pages are the kernel's, not the process's, and
it costs no call to the system, which would hand the interpreter's lock to another thread too. `replay` makes the same
calls, with the recorded times, to a `WorkerRecorder`: rows are built there and nowhere else.
"""

import mmap
import os
import struct
import threading
import time
from binascii import crc32
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqverify.errors import HistoryError
from mqverify.history.recorder import Messages, RunRows, WorkerRecorder
from mqverify.history.records import (
    BATCH_HEAD,
    BLOCK_SIZE,
    CALLS,
    CELL_PRIME,
    CELL_UNIT,
    FIELDS,
    FOREIGN_KEY,
    FORMS,
    LONGEST_STAMP,
    MARK,
    MOST_IN_BATCH,
    NO_KEY,
    NULL,
    TAIL,
    WORDS,
    Form,
    Record,
    RecordFile,
    WorkerHeader,
    batch_head,
    cells_after,
)

__all__ = ["FOREIGN", "FileRecorder", "Replayed", "replay"]

FOREIGN = "?"
"""What a key that the plan does not have comes back as; a fixed-size record holds no text. No planned key is this."""

_KINDS = {call.method: number for number, call in enumerate(CALLS)}
_CODES = {name: {word: code for code, word in enumerate(words)} for name, words in WORDS.items()}

_SEND_INVOKED, _SEND_COMPLETED = FORMS[_KINDS["send_invoked"]], FORMS[_KINDS["send_completed"]]
_DELIVERED = FORMS[_KINDS["delivered"]]
_HANDLER_STARTED, _HANDLER_ENDED = FORMS[_KINDS["handler_started"]], FORMS[_KINDS["handler_ended"]]
_SETTLING, _SETTLED = FORMS[_KINDS["settling"]], FORMS[_KINDS["settled"]]
_START_KNOWN = FORMS[_KINDS["start_known"]]
_ASSIGNED, _REVOKED, _LOST = (FORMS[_KINDS[name]] for name in ("assigned", "revoked", "lost"))
_INTEGERS = {
    call.method: [(name, kind.removesuffix("?"), kind.endswith("?")) for name, kind in call.integers] for call in CALLS
}
_INTACT = WORDS["intact"].index("yes")
_OUTCOMES, _RESULTS, _STARTS = _CODES["outcome"], _CODES["result"], _CODES["start_from"]
_ACTIONS, _COVERS, _SETTLERS = _CODES["action"], _CODES["covers"], _CODES["settled_by"]


def _or_null(value: int | None) -> int:
    return NULL if value is None else value


class FileRecorder:
    """Records what one incarnation of one worker does in a new file at `path`; threads may share it.

    `keys` are the plan's distinct keys. Every call raises HistoryError if the disk takes no more, and then the recorder
    is closed, because what follows a torn record cannot be read.
    """

    def __init__(
        self, path: Path, header: WorkerHeader, keys: Sequence[str], now: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._path = path
        self._keys = {key: number for number, key in enumerate(keys)}
        self._lock = threading.Lock()
        self._now = now
        self._origin = header.origin
        self._last = -1
        self._sends = self._deliveries = self._settlements = self._assignments = 0
        """How many tokens of each kind were given."""
        self._cells: Any = None
        """The block with the last batch, as 64-bit numbers, for the handlers of the deliveries from … to."""
        self._cells_from = self._cells_to = self._cells_at = 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise HistoryError(f"{path} cannot be written: {error.strerror}") from error
        head = header.pack()
        self._block, self._at = 0, BLOCK_SIZE
        self._write(head, 0)
        self._open_block(0, len(head))

    def clock(self) -> int:
        """A stamp: nanoseconds since the run's origin, later than every one before."""
        with self._lock:
            return self._stamp()

    def close(self) -> None:
        """Close the file, and cut off what was not used of it; nothing is lost without it."""
        with self._lock:
            if self._file >= 0:
                with suppress(OSError):
                    os.ftruncate(self._file, self._block * BLOCK_SIZE + self._at)
                self._end()

    # --- producers -----------------------------------------------------------------------------------------------

    def send_invoked(self, message: int, attempt: int = 1, expected: int | None = None) -> int:
        with self._lock:
            self._append(_SEND_INVOKED, message, attempt, NULL if expected is None else expected)
            self._sends += 1
            return self._sends - 1

    def send_completed(
        self,
        token: int,
        outcome: str,
        partition: int | None = None,
        position: int | None = None,
        record_time: int | None = None,
        stored_bytes: int | None = None,
        actual: int | None = None,
    ) -> None:
        with self._lock:
            self._append(
                _SEND_COMPLETED, _OUTCOMES[outcome], token, _or_null(partition), _or_null(position),
                _or_null(record_time), _or_null(stored_bytes), _or_null(actual),
            )  # fmt: skip

    # --- consumers -----------------------------------------------------------------------------------------------

    def delivered(
        self,
        message: int | None,
        key: str | None,
        sequence: int | None,
        partition: int | None,
        position: int | None,
        source: int,
        source_position: int | None,
        intact: bool = True,
        redelivered: int | None = None,
        delivery: int | None = None,
        attempt: int = 1,
    ) -> int:
        with self._lock:
            self._append(
                _DELIVERED, int(intact), _or_null(message), self._key(key), _or_null(sequence), _or_null(partition),
                _or_null(position), source, _or_null(source_position), _or_null(redelivered), _or_null(delivery),
                attempt,
            )  # fmt: skip
            self._deliveries += 1
            return self._deliveries - 1

    def delivered_together(
        self, deliveries: Sequence[tuple[int | None, str | None, int | None, int, int, bool]]
    ) -> Sequence[int]:
        first = self._deliveries
        for start in range(0, len(deliveries), MOST_IN_BATCH):
            integers: list[int] = []
            known = self._keys
            for message, key, sequence, source, position, intact in deliveries[start : start + MOST_IN_BATCH]:
                if message is None or sequence is None or key not in known:
                    integers += (_or_null(message), self._key(key), _or_null(sequence), source, position, intact)
                else:
                    integers += (message, known[key], sequence, source, position, intact)
            with self._lock:
                self._append_batch(integers)
        return range(first, self._deliveries)

    def handler_started(self, token: int) -> None:
        with self._lock:
            if self._cells_from <= token < self._cells_to:
                stamp = self._now() - self._origin  # as in `_stamp`; these are most of all calls
                if stamp <= self._last:
                    stamp = self._last + 1
                if stamp < LONGEST_STAMP:
                    self._last = stamp
                    self._cells[self._cells_at + 2 * token] = stamp * CELL_UNIT
                    return
            self._append(_HANDLER_STARTED, token)

    def handler_ended(self, token: int, result: str) -> None:
        with self._lock:
            code = _RESULTS[result]
            if self._cells_from <= token < self._cells_to:
                stamp = self._now() - self._origin
                if stamp <= self._last:
                    stamp = self._last + 1
                if stamp < LONGEST_STAMP:
                    self._last = stamp
                    self._cells[self._cells_at + 2 * token + 1] = stamp * CELL_UNIT + code * CELL_PRIME
                    return
            self._append(_HANDLER_ENDED, code, token)

    def settling(
        self,
        source: int,
        source_position: int | None,
        action: str,
        covers: str,
        settled_by: str = "consumer",
        message: int | None = None,
    ) -> int:
        with self._lock:
            self._append(
                _SETTLING, _ACTIONS[action], _COVERS[covers], _SETTLERS[settled_by], source, _or_null(source_position),
                _or_null(message),
            )  # fmt: skip
            self._settlements += 1
            return self._settlements - 1

    def settled(self, token: int, outcome: str) -> None:
        with self._lock:
            self._append(_SETTLED, _OUTCOMES[outcome], token)

    def assigned(self, source: int, epoch: int | None = None) -> int:
        return self._assignment(_ASSIGNED, source, epoch)

    def start_known(self, token: int, start_position: int | None, start_from: str) -> None:
        with self._lock:
            self._append(_START_KNOWN, _STARTS[start_from], token, _or_null(start_position))

    def revoked(self, source: int, epoch: int | None = None) -> None:
        self._assignment(_REVOKED, source, epoch)

    def lost(self, source: int, epoch: int | None = None) -> None:
        self._assignment(_LOST, source, epoch)

    # --- how; all with the lock held ---------------------------------------------------------------------------------

    def _assignment(self, form: Form, source: int, epoch: int | None) -> int:
        with self._lock:
            self._append(form, source, _or_null(epoch))
            self._assignments += 1
            return self._assignments - 1

    def _key(self, key: str | None) -> int:
        return NO_KEY if key is None else self._keys.get(key, FOREIGN_KEY)

    def _stamp(self) -> int:
        stamp = self._now() - self._origin
        if stamp <= self._last:
            stamp = self._last + 1
        self._last = stamp
        return stamp

    def _append(self, form: Form, *fields: int) -> None:
        """Write one record: its codes and integers."""
        code, body, whole, size = form
        at = self._at
        if at + size > BLOCK_SIZE:
            self._open_block(self._block + 1)
            at = 0
        stamp = self._now() - self._origin  # as in `_stamp`: a call less for each record
        if stamp <= self._last:
            stamp = self._last + 1
        checksum = crc32(body.pack(code, stamp, *fields))
        whole.pack_into(self._map, at, code, stamp, *fields, checksum, MARK)  # in this order, the mark last
        self._last = stamp
        self._at = at + size

    def _append_batch(self, integers: Sequence[int]) -> None:
        """Write deliveries, of six integers each, and have cells for their handlers."""
        count = len(integers) // FIELDS
        body = struct.pack(f"<{len(integers)}q", *integers)
        used = BATCH_HEAD.size + len(body) + TAIL.size
        if cells_after(self._at + used) + 16 * count > BLOCK_SIZE:
            self._open_block(self._block + 1)
        at = self._at
        end = at + used
        head = batch_head(self._stamp(), count)
        # The head first, in order; then the body, in whatever order the machine copies; then the tail, the mark last.
        BATCH_HEAD.pack_into(self._map, at, *head)
        start = at + BATCH_HEAD.size
        self._map[start : start + len(body)] = body
        checksum = crc32(body, crc32(BATCH_HEAD.pack(*head)))
        TAIL.pack_into(self._map, end - TAIL.size, checksum, MARK)
        self._last += count - 1
        self._cells = memoryview(self._map).cast("q")
        self._cells_from, self._cells_to = self._deliveries, self._deliveries + count
        self._cells_at = cells_after(end) // 8 - 2 * self._cells_from
        self._deliveries += count
        self._at = cells_after(end) + 16 * count

    def _open_block(self, number: int, used: int = 0) -> None:
        """Go on in a new block of the file. It is written with zeros, so that a full disk is noticed here and now."""
        start = number * BLOCK_SIZE
        self._write(bytes(BLOCK_SIZE - used), start + used)
        try:
            self._map = mmap.mmap(self._file, BLOCK_SIZE, offset=start)
        except OSError as error:
            raise self._failed(str(error.strerror)) from error
        self._block, self._at = number, used

    def _write(self, data: bytes, start: int) -> None:
        if self._file < 0:
            raise HistoryError(f"{self._path} is closed: nothing more can be recorded")
        try:
            written = os.pwrite(self._file, data, start)
        except OSError as error:
            raise self._failed(str(error.strerror)) from error
        if written != len(data):
            raise self._failed("the disk is full")

    def _failed(self, why: str) -> HistoryError:
        self._end()
        return HistoryError(f"{self._path} cannot be written: {why}")

    def _end(self) -> None:
        """Close the file; whatever is to be recorded after that needs a new block, which cannot be had."""
        os.close(self._file)
        self._file = -1
        self._at = BLOCK_SIZE
        self._cells_to = 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a worker's file held. Times are nanoseconds since the run's origin."""

    header: WorkerHeader | None
    """None if the worker was killed before it had written its first word."""
    records: int
    torn: int
    """Bytes of a last record that was being written when the worker was killed."""
    first: int | None
    last: int | None


def replay(path: Path, rows: RunRows, messages: Messages, keys: Sequence[str], until: int | None = None) -> Replayed:
    """Add to `rows` what a worker recorded in `path`; `messages` and `keys` are those of its plan.

    What it recorded after the time `until`, when the run was over, is left out.

    Raises HistoryError if the file is not a worker's, is damaged other than by a torn end, or does not fit the plan.
    What was read before that is in `rows`.
    """
    opened = RecordFile(path)
    header = opened.header
    if header is None:
        opened.close()
        return Replayed(None, 0, opened.torn, None, None)
    replayer = _Replayer(path, rows, messages, keys, header)
    for record in opened:
        if until is None or record.stamp <= until:
            replayer.add(record)
    return Replayed(header, replayer.records, opened.torn, replayer.first, replayer.last)


class _Replayer:
    def __init__(
        self, path: Path, rows: RunRows, messages: Messages, keys: Sequence[str], header: WorkerHeader
    ) -> None:
        self.records = 0
        self.first: int | None = None
        self.last: int | None = None
        self.stamp: int | None = None
        self._path = path
        self._keys = keys
        self._recorder = WorkerRecorder(
            rows, self._clock, messages, header.worker, header.incarnation, header.consumer_group, header.shard
        )
        # How many there are of each thing that an integer may number.
        self._counts = {"message": len(messages.keys), "send": 0, "delivery": 0, "settlement": 0, "assignment": 0}

    def _clock(self) -> int:
        assert self.stamp is not None
        return self.stamp

    def add(self, record: Record) -> None:
        call = record.call
        self.stamp = record.stamp
        self.last = max(self.last or 0, record.stamp)
        if self.first is None:
            self.first = record.stamp
        arguments: dict[str, Any] = {}
        for name, code in zip(call.words, record.codes, strict=True):
            words = WORDS[name]
            if code >= len(words):
                raise HistoryError(f"{self._path}: record {self.records}: {name} has the unknown code {code}")
            arguments[name] = code == _INTACT if name == "intact" else words[code]
        counts = self._counts
        for (name, kind, nullable), value in zip(_INTEGERS[call.method], record.integers, strict=True):
            if value == NULL:
                if not nullable:
                    raise self._cannot_be(call.method, name, None)
                arguments[name] = None
            elif kind == "int":
                arguments[name] = value
            elif kind == "key":
                if not FOREIGN_KEY <= value < len(self._keys):
                    raise self._cannot_be(call.method, name, value)
                arguments[name] = None if value == NO_KEY else FOREIGN if value == FOREIGN_KEY else self._keys[value]
            elif 0 <= value < counts[kind]:
                arguments[name] = value
            else:
                raise self._cannot_be(call.method, name, value)
        getattr(self._recorder, call.method)(**arguments)
        if call.makes is not None:
            counts[call.makes] += 1
        self.records += 1

    def _cannot_be(self, method: str, name: str, value: int | None) -> HistoryError:
        return HistoryError(f"{self._path}: record {self.records}, {method}: {name} cannot be {value}")

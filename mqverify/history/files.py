"""Recording in the real world: a worker appends to a file of its own, and the file is replayed into rows afterwards.

`FileRecorder` has the methods of `WorkerRecorder`. Each call puts one record into the mapped file before it returns, so
whatever kills the worker, its history is whole up to the last step: the pages are the kernel's, not the process's, and
it costs no call to the system, which would hand the interpreter's lock to another thread too. `replay.py` brings the
rows back.
"""

import mmap
import os
import struct
import threading
import time
from binascii import crc32
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mqverify.errors import HistoryError
from mqverify.history.records import (
    BATCH,
    BATCH_HEAD,
    BLOCK_SIZE,
    CALLS,
    CELL_UNIT,
    FIELDS,
    FOREIGN_KEY,
    FORMS,
    MARK,
    MOST_IN_BATCH,
    NO_KEY,
    NULL,
    SENDS,
    TAIL,
    WORDS,
    Form,
    WorkerHeader,
    cells_after,
    counted_head,
)
from mqverify.history.send_rows import CELL_PRIME, LONGEST_STAMP, ROW_SIZE, ROWS, complete, invoke

__all__ = ["FileRecorder"]

_KINDS = {call.method: number for number, call in enumerate(CALLS)}
_CODES = {name: {word: code for code, word in enumerate(words)} for name, words in WORDS.items()}

_SEND_INVOKED, _SEND_COMPLETED = FORMS[_KINDS["send_invoked"]], FORMS[_KINDS["send_completed"]]
_DELIVERED = FORMS[_KINDS["delivered"]]
_HANDLER_STARTED, _HANDLER_ENDED = FORMS[_KINDS["handler_started"]], FORMS[_KINDS["handler_ended"]]
_SETTLING, _SETTLED = FORMS[_KINDS["settling"]], FORMS[_KINDS["settled"]]
_START_KNOWN = FORMS[_KINDS["start_known"]]
_ASSIGNED, _REVOKED, _LOST = (FORMS[_KINDS[name]] for name in ("assigned", "revoked", "lost"))
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
        self._tables: list[tuple[mmap.mmap, int]] = []
        """The tables of sends: block and where in it their rows begin."""
        self._rows = 0
        """How many sends they have room for."""
        self._in_rows = True
        """Whether sends are still recorded there: not after one that a row cannot hold."""
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
            token = self._sends
            if self._in_rows and expected is None:
                stamp = self._now() - self._origin  # as in `_stamp`
                if stamp <= self._last:
                    stamp = self._last + 1
                if token >= self._rows:
                    self._open_table(stamp)
                block, at = self._tables[-1]
                if invoke(block, at + token % ROWS * ROW_SIZE, message, attempt, stamp):
                    self._last = stamp
                    self._sends = token + 1
                    return token
            self._in_rows = False
            self._append(_SEND_INVOKED, message, attempt, _or_null(expected))
            self._rows = min(self._rows, token)
            self._sends = token + 1
            return token

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
            code = _OUTCOMES[outcome]
            if token < self._rows and actual is None:
                stamp = self._now() - self._origin
                if stamp <= self._last:
                    stamp = self._last + 1
                block, at = self._tables[token // ROWS]
                if complete(
                    block, at + token % ROWS * ROW_SIZE, stamp, code, partition, position, record_time, stored_bytes
                ):
                    self._last = stamp
                    return
            self._append(
                _SEND_COMPLETED, code, token, _or_null(partition), _or_null(position), _or_null(record_time),
                _or_null(stored_bytes), _or_null(actual),
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
        head = counted_head(BATCH, self._stamp(), count)
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

    def _open_table(self, stamp: int) -> None:
        """Have room for more sends; the first of them has this stamp too."""
        used = BATCH_HEAD.size + TAIL.size
        if cells_after(self._at + used) + ROWS * ROW_SIZE > BLOCK_SIZE:
            self._open_block(self._block + 1)
        head = counted_head(SENDS, stamp, ROWS)
        BATCH_HEAD.pack_into(self._map, self._at, *head)
        TAIL.pack_into(self._map, self._at + BATCH_HEAD.size, crc32(BATCH_HEAD.pack(*head)), MARK)
        start = cells_after(self._at + used)
        self._tables.append((self._map, start))
        self._rows += ROWS
        self._at = start + ROWS * ROW_SIZE

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
        self._cells_to = self._rows = 0

"""Recording in the real world: a worker appends to a file of its own, and the file is replayed into rows afterwards.

`FileRecorder` has the methods of `WorkerRecorder`. Each call appends one record with one unbuffered write before it
returns, so whatever kills the worker, its history is whole up to the last step. `replay` makes the same calls, with the
recorded times, to a `WorkerRecorder`: rows are built there and nowhere else.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqverify.errors import HistoryError
from mqverify.history.recorder import Messages, RunRows, WorkerRecorder, strictly_increasing
from mqverify.history.records import CALLS, FOREIGN_KEY, NO_KEY, NULL, WORDS, Record, RecordFile, WorkerHeader, pack

__all__ = ["FOREIGN", "FileRecorder", "Replayed", "replay"]

FOREIGN = "?"
"""What a key that the plan does not have comes back as; a fixed-size record holds no text. No planned key is this."""

_KINDS = {call.method: number for number, call in enumerate(CALLS)}
_CODES = {name: {word: code for code, word in enumerate(words)} for name, words in WORDS.items()}

_SEND_INVOKED, _SEND_COMPLETED = _KINDS["send_invoked"], _KINDS["send_completed"]
_DELIVERED = _KINDS["delivered"]
_HANDLER_STARTED, _HANDLER_ENDED = _KINDS["handler_started"], _KINDS["handler_ended"]
_SETTLING, _SETTLED = _KINDS["settling"], _KINDS["settled"]
_START_KNOWN = _KINDS["start_known"]
_OUTCOMES, _RESULTS, _STARTS = _CODES["outcome"], _CODES["result"], _CODES["start_from"]
_ACTIONS, _COVERS, _SETTLERS = _CODES["action"], _CODES["covers"], _CODES["settled_by"]
_INTEGERS = 10
_FILLERS = tuple((NULL,) * (_INTEGERS - count) for count in range(_INTEGERS + 1))


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
        origin = header.origin
        self._path = path
        self._keys = {key: number for number, key in enumerate(keys)}
        self._lock = threading.Lock()
        self._stamp = strictly_increasing(lambda: now() - origin)
        self._tokens = {"send": 0, "delivery": 0, "settlement": 0, "assignment": 0}
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise HistoryError(f"{path} cannot be written: {error.strerror}") from error
        self._write(header.pack())

    def clock(self) -> int:
        """A stamp: nanoseconds since the run's origin, later than every one before."""
        with self._lock:
            return self._stamp()

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    # --- producers -----------------------------------------------------------------------------------------------

    def send_invoked(self, message: int, attempt: int = 1, expected: int | None = None) -> int:
        return self._append(_SEND_INVOKED, (message, attempt, _or_null(expected)), makes="send")

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
        integers = (
            token, _or_null(partition), _or_null(position), _or_null(record_time), _or_null(stored_bytes),
            _or_null(actual),
        )  # fmt: skip
        self._append(_SEND_COMPLETED, integers, _OUTCOMES[outcome])

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
        integers = (
            _or_null(message), NO_KEY if key is None else self._keys.get(key, FOREIGN_KEY), _or_null(sequence),
            _or_null(partition), _or_null(position), source, _or_null(source_position), _or_null(redelivered),
            _or_null(delivery), attempt,
        )  # fmt: skip
        return self._append(_DELIVERED, integers, int(intact), makes="delivery")

    def handler_started(self, token: int) -> None:
        self._append(_HANDLER_STARTED, (token,))

    def handler_ended(self, token: int, result: str) -> None:
        self._append(_HANDLER_ENDED, (token,), _RESULTS[result])

    def settling(
        self,
        source: int,
        source_position: int | None,
        action: str,
        covers: str,
        settled_by: str = "consumer",
        message: int | None = None,
    ) -> int:
        integers = (source, _or_null(source_position), _or_null(message))
        codes = _ACTIONS[action], _COVERS[covers], _SETTLERS[settled_by]
        return self._append(_SETTLING, integers, *codes, makes="settlement")

    def settled(self, token: int, outcome: str) -> None:
        self._append(_SETTLED, (token,), _OUTCOMES[outcome])

    def assigned(self, source: int, epoch: int | None = None) -> int:
        return self._assignment("assigned", source, epoch)

    def start_known(self, token: int, start_position: int | None, start_from: str) -> None:
        self._append(_START_KNOWN, (token, _or_null(start_position)), _STARTS[start_from])

    def revoked(self, source: int, epoch: int | None = None) -> None:
        self._assignment("revoked", source, epoch)

    def lost(self, source: int, epoch: int | None = None) -> None:
        self._assignment("lost", source, epoch)

    # --- how -----------------------------------------------------------------------------------------------------

    def _assignment(self, method: str, source: int, epoch: int | None) -> int:
        return self._append(_KINDS[method], (source, _or_null(epoch)), makes="assignment")

    def _append(
        self, kind: int, integers: tuple[int, ...], code: int = 0, code_2: int = 0, code_3: int = 0, makes: str = ""
    ) -> int:
        """Append one record; the token of the row that it `makes`, if it does."""
        with self._lock:
            filler = _FILLERS[len(integers)]
            self._write(pack(kind, code, code_2, code_3, self._stamp(), *integers, *filler))
            if not makes:
                return -1
            token = self._tokens[makes]
            self._tokens[makes] = token + 1
            return token

    def _write(self, data: bytes) -> None:
        if self._file < 0:
            raise HistoryError(f"{self._path} is closed: nothing more can be recorded")
        try:
            written = os.write(self._file, data)
            why = "the disk is full"
        except OSError as error:
            written, why = 0, str(error.strerror)
        if written != len(data):
            os.close(self._file)
            self._file = -1
            raise HistoryError(f"{self._path} cannot be written: {why}")


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
    return Replayed(header, replayer.records, opened.torn, replayer.first, replayer.stamp)


class _Replayer:
    def __init__(
        self, path: Path, rows: RunRows, messages: Messages, keys: Sequence[str], header: WorkerHeader
    ) -> None:
        self.records = 0
        self.first: int | None = None
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
        if self.first is None:
            self.first = record.stamp
        arguments: dict[str, Any] = {}
        for name, code in zip(call.words, record.codes, strict=False):
            word = self._word(name, code)
            arguments[name] = word == "yes" if name == "intact" else word
        for (name, kind), value in zip(call.integers, record.integers, strict=False):
            arguments[name] = self._value(call.method, name, kind, value)
        getattr(self._recorder, call.method)(**arguments)
        if call.makes is not None:
            self._counts[call.makes] += 1
        self.records += 1

    def _word(self, name: str, code: int) -> str:
        words = WORDS[name]
        if code >= len(words):
            raise HistoryError(f"{self._path}: record {self.records}: {name} has the unknown code {code}")
        return words[code]

    def _value(self, method: str, name: str, kind: str, value: int | None) -> Any:
        bare = kind.removesuffix("?")
        if value is None and bare != kind:
            return None
        if value is not None:
            if bare == "int":
                return value
            if bare == "key" and FOREIGN_KEY <= value < len(self._keys):
                return None if value == NO_KEY else FOREIGN if value == FOREIGN_KEY else self._keys[value]
            if bare in self._counts and 0 <= value < self._counts[bare]:
                return value
        raise HistoryError(f"{self._path}: record {self.records}, {method}: {name} cannot be {value}")

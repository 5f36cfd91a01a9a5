"""From a worker's file back to rows: the recorded calls, with their times, are made to a `WorkerRecorder`.

Rows are built there and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqverify.errors import HistoryError
from mqverify.history.recorder import Messages, RunRows, WorkerRecorder
from mqverify.history.records import CALLS, FOREIGN_KEY, NO_KEY, NULL, WORDS, Record, RecordFile, WorkerHeader
from mqverify.history.send_rows import SendRow

__all__ = ["FOREIGN", "Replayed", "replay"]

FOREIGN = "?"
"""What a key that the plan does not have comes back as; a fixed-size record holds no text. No planned key is this."""

_INTEGERS = {
    call.method: [(name, kind.removesuffix("?"), kind.endswith("?")) for name, kind in call.integers] for call in CALLS
}
_INTACT = WORDS["intact"].index("yes")
_OUTCOMES = WORDS["outcome"]


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
        if isinstance(record, SendRow):
            replayer.add_send(record, until)
        elif until is None or record.stamp <= until:
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
        self._note(record.stamp)
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

    def add_send(self, row: SendRow, until: int | None) -> None:
        """Make the one or two calls of a row."""
        recorder, (partition, position, record_time, stored_bytes) = self._recorder, row.answer
        if until is not None and row.invoked_at > until:
            return
        if not 0 <= row.message < self._counts["message"]:
            raise self._cannot_be("send_invoked", "message", row.message)
        self._note(row.invoked_at)
        token = recorder.send_invoked(row.message, row.attempt)
        self._counts["send"] += 1
        self.records += 1
        if not row.completed_at or (until is not None and row.completed_at > until):
            return
        if row.outcome >= len(_OUTCOMES):
            raise HistoryError(f"{self._path}: record {self.records}: outcome has the unknown code {row.outcome}")
        self._note(row.completed_at)
        recorder.send_completed(token, _OUTCOMES[row.outcome], partition, position, record_time, stored_bytes)
        self.records += 1

    def _note(self, stamp: int) -> None:
        self.stamp = stamp
        if self.last is None or stamp > self.last:
            self.last = stamp
        if self.first is None:
            self.first = stamp

    def _cannot_be(self, method: str, name: str, value: int | None) -> HistoryError:
        return HistoryError(f"{self._path}: record {self.records}, {method}: {name} cannot be {value}")

"""What a run leaves behind, row by row: `RunRows` for one run, `WorkerRecorder` for one incarnation of a worker.

The same methods are called in both worlds. In the simulated one they write rows; in the real one
`mqverify.history.files.FileRecorder` has the same methods, appends a fixed-size record for each call before the next
step, and the records are replayed into a `WorkerRecorder` afterwards. So rows are built in one place.

A recorder stamps every call with `clock()`, which strictly increases within a simulated run and within a real worker.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from mqverify.history.tables import TABLES

__all__ = ["Messages", "Row", "RunRows", "WorkerRecorder", "left_behind", "strictly_increasing"]

Row = list[Any]

_PID = TABLES["workers"].column_names[2:].index("pid")
"""The last column: what a machine calls a process says nothing of what happened."""


class Messages(Protocol):
    """What the plan knows of each message, by its number: `keys[message]` and `sequences[message]`."""

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def sequences(self) -> Sequence[int]: ...


def strictly_increasing(now: Callable[[], int]) -> Callable[[], int]:
    """A clock for recorders: the later of `now()` and the last stamp + 1."""
    last = -1

    def stamp() -> int:
        nonlocal last
        time = now()
        last = time if time > last else last + 1
        return last

    return stamp


class RunRows:
    """The rows of one run, a list a table, in the order of `own_columns` (without `run` and `stage`)."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {name: [] for name in TABLES if name not in {"runs", "parameters"}}
        self._place_ids: dict[str, int] = {}

    def add(self, table: str, *values: Any) -> Row:
        row = list(values)
        self.tables[table].append(row)
        return row

    def place(self, name: str, since: int = 0) -> int:
        """The id of a partition, stream or category, given at its first mention."""
        number = self._place_ids.get(name)
        if number is None:
            number = self._place_ids[name] = len(self._place_ids)
            self.add("places", number, name, since)
        return number

    @property
    def place_names(self) -> list[str]:
        return list(self._place_ids)

    def digest(self) -> str:
        """SHA-256 of all rows, without the run's number and process ids: equal for equal histories, on any machine."""
        digest = hashlib.sha256()
        for name in sorted(self.tables):
            rows = self.tables[name]
            if name == "workers":
                rows = [row[:_PID] for row in rows]
            digest.update(name.encode())
            digest.update(json.dumps(rows, separators=(",", ":")).encode())
        return digest.hexdigest()


# Where in a row the later calls write.
_SENDS = {name: i for i, name in enumerate(TABLES["sends"].column_names[2:])}
_DELIVERIES = {name: i for i, name in enumerate(TABLES["deliveries"].column_names[2:])}
_SETTLEMENTS = {name: i for i, name in enumerate(TABLES["settlements"].column_names[2:])}
_ASSIGNMENTS = {name: i for i, name in enumerate(TABLES["assignments"].column_names[2:])}
_STARTED_AT, _ENDED_AT, _RESULT = (_DELIVERIES[name] for name in ("started_at", "ended_at", "result"))
_SETTLED_AT, _SETTLED = _SETTLEMENTS["completed_at"], _SETTLEMENTS["outcome"]
_START, _START_FROM, _DONE_AT = (_ASSIGNMENTS[name] for name in ("start_position", "start_from", "done_at"))


def left_behind(sends: Iterable[Row], producer: str) -> tuple[int, tuple[tuple[int, int, int | None], ...]]:
    """How many messages a producer has begun to send, and which of them ended in doubt.

    The latter as (message, tries, the revision expected).
    """
    last = {row[_SENDS["message"]]: row for row in sends if row[_SENDS["producer"]] == producer}
    unsure = (row for row in last.values() if row[_SENDS["outcome"]] == "unknown")
    return len(last), tuple((row[_SENDS["message"]], row[_SENDS["try"]], row[_SENDS["expected"]]) for row in unsure)


class WorkerRecorder:
    """Records what one incarnation of one worker does. Tokens that calls return name the row for later calls."""

    def __init__(
        self,
        rows: RunRows,
        clock: Callable[[], int],
        messages: Messages,
        worker: str,
        incarnation: int,
        consumer_group: str | None = None,
        shard: int | None = None,
    ) -> None:
        self.clock = clock
        self._messages = messages
        self._worker = worker
        self._incarnation = incarnation
        self._group = consumer_group
        self._shard = shard
        self._sends: list[Row] = []
        self._deliveries: list[Row] = []
        self._settlements: list[Row] = []
        self._assignments: list[Row] = []
        self._all_sends = rows.tables["sends"]
        self._all_deliveries = rows.tables["deliveries"]
        self._all_settlements = rows.tables["settlements"]
        self._all_assignments = rows.tables["assignments"]

    # --- producers -----------------------------------------------------------------------------------------------

    def send_invoked(self, message: int, attempt: int = 1, expected: int | None = None) -> int:
        """A send begins; until told otherwise its outcome is `unknown`."""
        row = [
            message, self._messages.keys[message], self._messages.sequences[message], self._worker,
            self._incarnation, attempt, None, None, expected, None, None,
            None, None, None, self.clock(), None, "unknown",
        ]  # fmt: skip
        self._sends.append(row)
        self._all_sends.append(row)
        return len(self._sends) - 1

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
        """The client library told the application: `acked`, `failed` for certain, or `unknown`."""
        row = self._sends[token]
        row[_SENDS["actual"]] = actual
        row[_SENDS["partition"]], row[_SENDS["position"]] = partition, position
        row[_SENDS["record_time"]], row[_SENDS["stored_bytes"]] = record_time, stored_bytes
        row[_SENDS["completed_at"]], row[_SENDS["outcome"]] = self.clock(), outcome

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
        """The client library returned a message. Attempts in place give the token of the first as `delivery`."""
        token = len(self._deliveries)
        row = [
            token if delivery is None else delivery, attempt, redelivered, message, key, sequence, self._worker,
            self._incarnation, self._group, self._shard, partition, position, source, source_position,
            self.clock(), None, None, None, intact,
        ]  # fmt: skip
        self._deliveries.append(row)
        self._all_deliveries.append(row)
        return token

    def delivered_together(
        self, deliveries: Sequence[tuple[int | None, str | None, int | None, int, int, bool]]
    ) -> Sequence[int]:
        """One poll returned these, from sources that are the places where they lie too; their tokens.

        Of each: message, key, sequence, source, position, intact.
        """
        delivered = self.delivered
        return [
            delivered(message, key, sequence, source, position, source, position, intact)
            for message, key, sequence, source, position, intact in deliveries
        ]

    def handler_started(self, token: int) -> None:
        self._deliveries[token][_STARTED_AT] = self.clock()

    def handler_ended(self, token: int, result: str) -> None:
        """The handler ended: `handled`, `failed` or `refused`."""
        row = self._deliveries[token]
        row[_ENDED_AT] = self.clock()
        row[_RESULT] = result

    def settling(
        self,
        source: int,
        source_position: int | None,
        action: str,
        covers: str,
        settled_by: str = "consumer",
        message: int | None = None,
    ) -> int:
        """A settlement is about to be asked for; until told otherwise its outcome is `unknown`."""
        row = [
            self._worker, self._incarnation, self._group, self._shard, source, source_position, covers, message,
            action, settled_by, self.clock(), None, "unknown",
        ]  # fmt: skip
        self._settlements.append(row)
        self._all_settlements.append(row)
        return len(self._settlements) - 1

    def settled(self, token: int, outcome: str) -> None:
        row = self._settlements[token]
        row[_SETTLED_AT], row[_SETTLED] = self.clock(), outcome

    def assigned(self, source: int, epoch: int | None = None) -> int:
        """A source was given to this consumer; where it starts is not known yet."""
        return self._assignment(source, epoch, "assigned")

    def start_known(self, token: int, start_position: int | None, start_from: str) -> None:
        """Where it starts is settled; the position is None where the broker keeps it to itself."""
        row = self._assignments[token]
        row[_START], row[_START_FROM], row[_DONE_AT] = start_position, start_from, self.clock()

    def revoked(self, source: int, epoch: int | None = None) -> None:
        self._assignment(source, epoch, "revoked")

    def lost(self, source: int, epoch: int | None = None) -> None:
        self._assignment(source, epoch, "lost")

    def _assignment(self, source: int, epoch: int | None, change: str) -> int:
        row = [
            self._worker, self._incarnation, self._group, source, self._shard, epoch, change, self.clock(),
            None, None, None,
        ]  # fmt: skip
        self._assignments.append(row)
        self._all_assignments.append(row)
        return len(self._assignments) - 1

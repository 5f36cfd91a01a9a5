"""Where the effects of handlers lie: in memory in the simulated world, in SQLite in the real one.

Either outlives every crash of a consumer, and is shared by the consumers of a group. The rules are in
`mqverify.workload.sink`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from mqverify.errors import HistoryError
from mqverify.history.recorder import RunRows
from mqverify.history.tables import TABLES
from mqverify.workload.client import Received, Recorder
from mqverify.workload.groups import Worker

__all__ = ["FileEffects", "GroupMemory", "MemoryEffects", "add_effects", "make_file", "sinks_file"]

_NOTHING = nullcontext()
_DELIVERIES = {name: i for i, name in enumerate(TABLES["deliveries"].column_names[2:])}

_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE effects (
  consumer_group TEXT, message INTEGER, key TEXT, sequence INTEGER, consumer TEXT, incarnation INTEGER,
  source INTEGER, source_position INTEGER, applied_at INTEGER
);
CREATE INDEX effects_of_messages ON effects (consumer_group, message);
CREATE TABLE positions (
  consumer_group TEXT, shard INTEGER, source INTEGER, position INTEGER, PRIMARY KEY (consumer_group, shard, source)
);
"""
_NO_SHARD = -1


class GroupMemory:
    """What the sink of one group holds in the simulated world."""

    def __init__(self) -> None:
        self.messages: set[int] = set()
        """Those with an effect; asked for one by one only."""
        self.positions: dict[tuple[int | None, int], int] = {}
        """By shard and source."""


class MemoryEffects:
    """An `EffectStore` in memory. Nothing can come between two steps that do not wait, so a transaction is nothing."""

    def __init__(self, memory: GroupMemory, rows: RunRows, worker: Worker, recorder: Recorder) -> None:
        self._memory = memory
        self._rows = rows
        self._worker = worker
        self._recorder = recorder

    def transaction(self) -> AbstractContextManager[None]:
        return _NOTHING

    def has(self, message: int) -> bool:
        return message in self._memory.messages

    def position(self, source: int) -> int | None:
        return self._memory.positions.get((self._worker.shard, source))

    def move(self, source: int, position: int) -> None:
        self._memory.positions[self._worker.shard, source] = position

    def add(self, received: Received) -> None:
        if received.message is not None:
            self._memory.messages.add(received.message)
        worker = self._worker
        self._rows.add(
            "effects", worker.group, *received.facts[:3], worker.name, worker.incarnation, received.source,
            received.position, self._recorder.clock(),
        )  # fmt: skip


def sinks_file(folder: Path) -> Path:
    """The file of a real run's sinks, in the run's folder."""
    return folder / "sinks.sqlite"


def make_file(path: Path) -> None:
    """Make the file of a real run's sinks, before the first of its consumers. Raises HistoryError if it cannot be."""
    with _told(path):
        connection = sqlite3.connect(path)
        try:
            connection.executescript(_TABLES)
        finally:
            connection.close()


class FileEffects:
    """An `EffectStore` in the SQLite file that `make_file` made. Raises HistoryError if the disk takes no more.

    A process that is killed in a transaction leaves nothing of it. Nobody is to be frozen in one, since all others
    would wait: `lock` is what whoever kills or freezes a consumer holds meanwhile, and it keeps the threads of one
    process apart. Data is not forced to the disk: it is processes that die here, never the machine.
    """

    def __init__(self, path: Path, worker: Worker, recorder: Recorder, lock: AbstractContextManager[None]) -> None:
        self._path = path
        self._worker = worker
        self._recorder = recorder
        self._lock = lock
        self._place = (worker.group, _NO_SHARD if worker.shard is None else worker.shard)
        with _told(path):
            # A client library may call a listener, which asks for positions, in a thread of its own.
            self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous = OFF")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock, _told(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def has(self, message: int) -> bool:
        found = self._connection.execute(
            "SELECT 1 FROM effects WHERE consumer_group = ? AND message = ?", (self._worker.group, message)
        )
        return found.fetchone() is not None

    def position(self, source: int) -> int | None:
        found = self._connection.execute(
            "SELECT position FROM positions WHERE consumer_group = ? AND shard = ? AND source = ?",
            (*self._place, source),
        ).fetchone()
        return None if found is None else int(found[0])

    def move(self, source: int, position: int) -> None:
        self._connection.execute("REPLACE INTO positions VALUES (?, ?, ?, ?)", (*self._place, source, position))

    def add(self, received: Received) -> None:
        worker = self._worker
        self._connection.execute(
            "INSERT INTO effects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                worker.group, *received.facts[:3], worker.name, worker.incarnation, received.source,
                received.position, self._recorder.clock(),
            ),
        )  # fmt: skip


def add_effects(path: Path, rows: RunRows, until: int) -> None:
    """Add to `rows` what the sinks of a real run hold, in the order of time; without what came after `until`.

    The sink is the truth: where a consumer died after its effect was kept and before it could say so, its handling
    ended, with that effect.
    """
    with _told(path):
        connection = sqlite3.connect(path)
        try:
            found = connection.execute("SELECT * FROM effects ORDER BY applied_at, consumer, rowid").fetchall()
        finally:
            connection.close()
    open_ones = {
        tuple(row[_DELIVERIES[name]] for name in ("consumer", "incarnation", "source", "source_position")): row
        for row in rows.tables["deliveries"]
        if row[_DELIVERIES["started_at"]] is not None and row[_DELIVERIES["result"]] is None
    }
    for effect in found:
        if effect[-1] > until:
            continue
        rows.add("effects", *effect)
        row = open_ones.get(tuple(effect[4:8]))
        if row is not None and effect[-1] > row[_DELIVERIES["started_at"]]:
            row[_DELIVERIES["ended_at"]], row[_DELIVERIES["result"]] = effect[-1], "handled"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite raises, as an error of ours that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise HistoryError(f"{path} cannot be read or written: {error}") from error

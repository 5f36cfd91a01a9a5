"""Histories by hand: a few lines say what happened, and a guarantee is judged on it.

Times are whole milliseconds; what is given no time happens one millisecond after the last thing. Partitions are
`orders-0`, `orders-1` … with ids 0, 1 …; messages are numbered by hand and take the next position of their partition.

    history = History()
    history.send(0, key="a")
    history.assign("consumer-1", start=0)
    history.handle(0, "consumer-1")
    history.commit("consumer-1", below=1)
    assert history.verdict("at_least_once").verdict == "held"
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from mqverify.events import RunSummary
from mqverify.guarantees.findings import Finding, Verdict
from mqverify.guarantees.judge import judge
from mqverify.guarantees.registry import find
from mqverify.guarantees.verdicts import fold
from mqverify.history.load import create_tables, load_rows, load_runs
from mqverify.history.recorder import RunRows

__all__ = ["DAY", "KAFKA", "History", "judge_all", "verdict_of"]

MS = 1_000_000
DAY = 86_400_000
"""A day in milliseconds."""
KAFKA = {"position": "offset", "place": "partition"}
NEVER = -1


class History:
    """One run, written by hand. Methods return what later calls need (the time in milliseconds when they ended)."""

    def __init__(self, run: int = 0, scenario: int = 0, *, partitions: int = 1, world: str = "simulated") -> None:
        self.run, self.scenario, self.world = run, scenario, world
        self.now = 0
        self.rows = RunRows()
        self.give_up_reason: str | None = None
        self.parameters: dict[tuple[str, str], str] = {}
        self._next: dict[int, int] = defaultdict(int)
        self._positions: dict[int, tuple[int, int]] = {}
        self._messages: dict[int, tuple[str, int]] = {}
        self._sequences: dict[str, int] = defaultdict(int)
        self._tries: dict[int, int] = defaultdict(int)
        self._deliveries = self._readings = self._faults = 0
        for number in range(partitions):
            self.rows.place(f"orders-{number}")

    # --- what the run was ----------------------------------------------------------------------------------------

    def group(self, name: str = "group", *, starts: str = "beginning", delivery: str = "exclusive", consumers: int = 1,
              drained: bool = True, gave_up: str | None = None, team: str | None = None) -> None:  # fmt: skip
        """A group; without any call there is one, named `group`, that starts at the beginning and drained."""
        self.rows.add("groups", name, team or name, starts, delivery, consumers, drained, gave_up)

    def worker(self, name: str, *, group: str = "group", kind: str = "consumer", incarnation: int = 1, began: int = 0,
               ended: int | None = None, ending: str | None = None, pid: int | None = None) -> None:  # fmt: skip
        owner = group if kind == "consumer" else None
        ended_at = None if ended is None else ended * MS
        self.rows.add("workers", name, kind, owner, incarnation, began * MS, ended_at, ending, pid)

    def shard(self, key: str, shard: int, group: str = "group") -> None:
        self.rows.add("shards", group, key, shard)

    def place(self, name: str, since: int = 0) -> int:
        return self.rows.place(name, since * MS)

    def setting(self, name: str, value: object, *, place: int | None = None, since: int = 0) -> None:
        self.rows.add("settings", name, place, str(value), since * MS)

    def parameter(self, guarantee: str, name: str, value: object) -> None:
        self.parameters[guarantee, name] = str(value)

    def fault(self, kind: str, *, at: int | None = None, until: int | None = None, took_effect: bool = True,
              why_not: str | None = None, target: str = "", number: int | None = None) -> None:  # fmt: skip
        began = self._tick(at)
        ended = began if until is None else until
        self.now = max(self.now, ended)
        fault = self._faults if number is None else number
        self._faults += 1
        times = (began * MS, ended * MS) if took_effect else (None, None)
        self.rows.add("faults", fault, kind, target, kind, *times, took_effect, why_not)

    # --- producers -----------------------------------------------------------------------------------------------

    def send(self, message: int, key: str = "a", *, partition: int = 0, position: int | None = None,
             at: int | None = None, acked: int | None = None, outcome: str = "acked", producer: str = "producer-1",
             sequence: int | None = None, lands: bool | None = None, located: bool = True,
             record_time: int | None = None, size: int = 100,
             transaction: int | None = None, expected: int | None = None,
             actual: int | None = None) -> int:  # fmt: skip
        """One try; it takes the next position if it `lands` (by default: if acked), known to the ack if `located`."""
        invoked = self._tick(at)
        completed = self._tick(acked)
        if message not in self._messages:
            self._messages[message] = (key, self._sequences[key] if sequence is None else sequence)
            self._sequences[key] += 1
        self._tries[message] += 1
        if lands is None:
            lands = outcome == "acked"
        if lands:
            place = self._next[partition] if position is None else position
            self._next[partition] = max(self._next[partition], place + 1)
            self._positions.setdefault(message, (partition, place))
        known = located and outcome == "acked"
        self.rows.add(
            "sends", message, *self._messages[message], producer, 1, self._tries[message], None, transaction,
            expected, actual,
            partition if known else None, place if known and lands else None,
            (invoked if record_time is None else record_time) * MS if known else None, size if known else None,
            invoked * MS, completed * MS, outcome,
        )  # fmt: skip
        return completed

    def sends(self, count: int, keys: Sequence[str] = ("a",), **others: Any) -> None:
        """Messages 0 … count − 1, their keys in turn."""
        for message in range(count):
            self.send(message, keys[message % len(keys)], **others)

    # --- consumers -----------------------------------------------------------------------------------------------

    def deliver(self, message: int | None, consumer: str = "consumer-1", *, group: str = "group", incarnation: int = 1,
                partition: int | None = None, position: int | None = None, source: int | None = None,
                source_position: int | None = None, at: int | None = None, started: int | None = None,
                ended: int | None = None, result: str | None = None, key: str | None = None,
                sequence: int | None = None,
                intact: bool = True, shard: int | None = None, delivery: int | None = None, attempt: int = 1,
                ) -> int:  # fmt: skip
        """A delivery. The handler is entered if `started` is given or there is a result; `started=NEVER` never."""
        where = (0, 0) if message is None else self._positions.get(message, (0, 0))
        partition = where[0] if partition is None else partition
        position = where[1] if position is None else position
        known = (None, None) if message is None else self._messages.get(message, (None, None))
        delivered = self._tick(at)
        started_at = self._tick(started) * MS if (started is not None or result is not None) else None
        ended_at = self._tick(ended) * MS if result is not None else None
        number = self._deliveries if delivery is None else delivery
        self._deliveries += 1
        self.rows.add(
            "deliveries", number, attempt, None, message, known[0] if key is None else key,
            known[1] if sequence is None else sequence, consumer, incarnation, group, shard, partition, position,
            partition if source is None else source, position if source_position is None else source_position,
            delivered * MS, started_at, ended_at, result, intact,
        )  # fmt: skip
        return self.now

    def handle(self, message: int, consumer: str = "consumer-1", **others: Any) -> int:
        """A delivery that is handled."""
        return self.deliver(message, consumer, result="handled", **others)

    def handles(self, messages: Iterable[int], consumer: str = "consumer-1", **others: Any) -> None:
        for message in messages:
            self.handle(message, consumer, **others)

    def effect(self, message: int, consumer: str = "consumer-1", *, group: str = "group", incarnation: int = 1,
               at: int | None = None) -> None:  # fmt: skip
        """An effect in the group's sink."""
        source, position = self._positions.get(message, (0, 0))
        self.rows.add("effects", group, message, *self._messages[message], consumer, incarnation, source, position,
                      self._tick(at) * MS)  # fmt: skip

    def settle(self, consumer: str = "consumer-1", *, action: str = "commit", covers: str = "below", position: int = 0,
               message: int | None = None, source: int = 0, group: str = "group", incarnation: int = 1,
               shard: int | None = None, at: int | None = None, done: int | None = None, outcome: str = "acked",
               settled_by: str = "consumer") -> None:  # fmt: skip
        """A settlement; one of unknown outcome has no completion unless `done` is given."""
        invoked = self._tick(at)
        completed = None if outcome == "unknown" and done is None else self._tick(done) * MS
        self.rows.add(
            "settlements", consumer, incarnation, group, shard, source, position, covers, message, action, settled_by,
            invoked * MS, completed, outcome,
        )  # fmt: skip

    def commit(self, consumer: str = "consumer-1", *, below: int, **others: Any) -> None:
        """Kafka's commit of offset `below`: everything before it is settled."""
        self.settle(consumer, position=below, **others)

    def settle_one(self, message: int, action: str = "ack", consumer: str = "consumer-1", **others: Any) -> None:
        """A persistent subscription's ack, or nack (`retry`, `park`, `skip`), of one message."""
        source, position = self._positions[message]
        self.settle(
            consumer, action=action, covers="one", message=message, position=position,
            source=others.pop("source", source), **others,
        )  # fmt: skip

    def assign(self, consumer: str = "consumer-1", *, start: int | None = 0, start_from: str | None = "reset_beginning",
               source: int = 0, group: str = "group", incarnation: int = 1, shard: int | None = None,
               at: int | None = None,
               done: int | None = None) -> None:  # fmt: skip
        asked = self._tick(at)
        done_at = None if start is None else self._tick(done) * MS
        self.rows.add("assignments", consumer, incarnation, group, source, shard, None, "assigned", asked * MS, start,
                      start_from, done_at)  # fmt: skip

    def revoke(self, consumer: str = "consumer-1", *, change: str = "revoked", source: int = 0, group: str = "group",
               incarnation: int = 1, shard: int | None = None, at: int | None = None) -> None:  # fmt: skip
        self.rows.add("assignments", consumer, incarnation, group, source, shard, None, change, self._tick(at) * MS,
                      None, None, None)  # fmt: skip

    # --- the fresh reader ----------------------------------------------------------------------------------------

    def read(self, found: Iterable[int], *, partition: int = 0, at: int | None = None, first: int = 0,
             end: int | None = None, read_to: int | None = None, reason: str = "end", reader: str = "partition",
             isolation: str | None = None, visible: str | None = None) -> int:  # fmt: skip
        """A reading of one partition that finds these messages, at the positions of their sends."""
        return self.read_log(
            [(message, self._positions[message][1]) for message in found], partition=partition, at=at, first=first,
            end=end, read_to=read_to, reason=reason, reader=reader, isolation=isolation, visible=visible,
        )  # fmt: skip

    def read_log(self, found: Sequence[tuple[int, int]], *, partition: int = 0, at: int | None = None, first: int = 0,
                 end: int | None = None, read_to: int | None = None, reason: str = "end", reader: str = "partition",
                 isolation: str | None = None, visible: str | None = None,
                 source: int | None = None) -> int:  # fmt: skip
        """A reading of one partition that finds (message, position) pairs; it reads to the end, unless told."""
        read_at = self._tick(at)
        end = self._next[partition] if end is None else end
        read_to = end if read_to is None else read_to
        number, self._readings = self._readings, self._readings + 1
        place = partition if source is None else source
        self.rows.add("readings", number, reader, source, isolation, reason, read_to >= end)
        self.rows.add("bounds", number, "main", None, place, first, end, read_to, read_at * MS)
        for message, position in found:
            key, sequence = self._messages[message]
            self.rows.add("log", number, "main", None, partition, position, place, position, message, key, sequence, 0,
                          100, visible or "committed", True)  # fmt: skip
        return number

    def read_parked(
        self, found: Iterable[int], *, group: str = "group", at: int | None = None, reason: str = "end"
    ) -> None:
        """A reading of the parked place of a group, to its end."""
        place = self.rows.place(f"{group}-parked")
        read_at = self._tick(at)
        number, self._readings = self._readings, self._readings + 1
        messages = list(found)
        self.rows.add("readings", number, "stream", None, None, reason, True)
        self.rows.add("bounds", number, "parked", group, place, 0, len(messages), len(messages), read_at * MS)
        for position, message in enumerate(messages):
            key, sequence = self._messages[message]
            self.rows.add("log", number, "parked", group, place, position, place, position, message, key, sequence, 0,
                          100, "committed", True)  # fmt: skip

    # --- judging -------------------------------------------------------------------------------------------------

    def finding(self, guarantee: str) -> Finding:
        return judge_all([self], guarantee)[0]

    def verdict(self, guarantee: str) -> Verdict:
        return verdict_of([self], guarantee)

    @property
    def drained(self) -> bool:
        return all(row[5] for row in self.rows.tables["groups"])

    def summary(self) -> RunSummary:
        faults = tuple((row[0], row[1], row[6], row[7]) for row in self.rows.tables["faults"])
        return RunSummary(self.scenario, self.run, self.run, self.drained, self.give_up_reason, faults, "", 0, 0, 0, 0)

    def _tick(self, at: int | None) -> int:
        time = self.now + 1 if at is None else at
        self.now = max(self.now, time)
        return time


def judge_all(
    histories: Sequence[History], *guarantees: str, vocabulary: Mapping[int, Mapping[str, str]] | None = None
) -> list[Finding]:
    """Judge histories (whose runs differ) together."""
    connection = duckdb.connect()
    create_tables(connection)
    for history in histories:
        if not history.rows.tables["groups"]:
            history.group()
        if all(name != "clock" for name, *_ in history.rows.tables["settings"]):
            history.setting("clock", "shared")
    load_runs(connection, {history.run: history.rows for history in histories})
    load_rows(
        connection, "runs",
        [
            (one.run, one.scenario, one.run, one.world, one.drained, (one.now + 1) * MS, one.give_up_reason)
            for one in histories
        ],
    )  # fmt: skip
    given = {(one.scenario, *name): value for one in histories for name, value in one.parameters.items()}
    load_rows(connection, "parameters", [(*name, value) for name, value in given.items()])
    scenarios = sorted({one.scenario for one in histories})
    words = dict.fromkeys(scenarios, KAFKA) if vocabulary is None else vocabulary
    return judge(connection, dict.fromkeys(scenarios, guarantees), words)


def verdict_of(histories: Sequence[History], guarantee: str) -> Verdict:
    """The verdict of one guarantee over histories of one scenario."""
    found = find(guarantee)
    assert found is not None
    return fold(found, judge_all(histories, guarantee), [one.summary() for one in histories])

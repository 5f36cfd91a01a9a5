"""Sinks: the same rules on both stores, what a real one survives, and what comes of them in a run."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mqverify.errors import HistoryError
from mqverify.history.recorder import RunRows
from mqverify.spec.model import SinkKind
from mqverify.workload.client import Received
from mqverify.workload.groups import Worker
from mqverify.workload.sink import Sink
from mqverify.worlds.sinks import FileEffects, GroupMemory, MemoryEffects, add_effects, make_file, sinks_file
from tests.worlds.helpers import findings, run, table


class Clock:
    """A recorder that only tells the time."""

    def __init__(self) -> None:
        self.time = 0

    def clock(self) -> int:
        self.time += 1
        return self.time


class Group:
    """The sinks of consumers of one group or several, in one world."""

    def __init__(self, where: str, folder: Path) -> None:
        self._file = sinks_file(folder) if where == "file" else None
        if self._file is not None:
            make_file(self._file)
        self._clock = Clock()
        self._memories: dict[str, GroupMemory] = {}
        self._rows = RunRows()

    def sink(
        self, kind: SinkKind, consumer: str = "consumer-1", group: str = "group", shard: int | None = None
    ) -> Sink:
        worker = Worker(consumer, "consumer", 1, group, shard=shard)
        if self._file is not None:
            return Sink(kind, FileEffects(self._file, worker, self._clock, nullcontext()))
        memory = self._memories.setdefault(group, GroupMemory())
        return Sink(kind, MemoryEffects(memory, self._rows, worker, self._clock))

    def effects(self) -> list[tuple[Any, ...]]:
        """(group, message, consumer, source, position) of every effect, in order."""
        if self._file is not None:
            add_effects(self._file, self._rows, 1_000_000)
        found = table(self._rows, "effects")
        names = ("consumer_group", "message", "consumer", "source", "source_position")
        return [tuple(row[name] for name in names) for row in found]


@pytest.fixture(params=["memory", "file"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Group:
    return Group(request.param, tmp_path)


def received(message: int | None, position: int, source: int = 0) -> Received:
    return Received(0, message, source, position, (message, "key-1", 3, source, position, source, position, True))


def test_a_plain_sink_takes_every_effect(group: Group) -> None:
    sink = group.sink("plain")
    assert [sink.apply(received(7, 4)), sink.apply(received(7, 4)), sink.apply(received(6, 3))] == [True] * 3
    assert sink.position(0) is None
    assert [row[1] for row in group.effects()] == [7, 7, 6]


def test_an_idempotent_sink_has_one_effect_of_a_message_whoever_brings_it_from_wherever(group: Group) -> None:
    one, two = group.sink("idempotent"), group.sink("idempotent", "consumer-2")
    assert one.apply(received(7, 4))
    assert two.apply(received(7, 9)), "that it is there already is no refusal"
    assert two.apply(received(3, 2)), "by id, not by position"
    assert one.position(0) is None
    assert group.effects() == [("group", 7, "consumer-1", 0, 4), ("group", 3, "consumer-2", 0, 2)]


def test_an_idempotent_sink_cannot_tell_what_has_no_id(group: Group) -> None:
    sink = group.sink("idempotent")
    assert [sink.apply(received(None, 0)), sink.apply(received(None, 0))] == [True, True]
    assert len(group.effects()) == 2


def test_a_transactional_sink_refuses_what_lies_behind_its_position(group: Group) -> None:
    zombie, other = group.sink("transactional"), group.sink("transactional", "consumer-2")
    assert zombie.position(0) is None
    assert zombie.apply(received(0, 0))
    assert other.position(0) == 1
    assert other.apply(received(1, 1))
    assert not zombie.apply(received(1, 1)), "the zombie's write"
    assert not zombie.apply(received(9, 0)), "by position, not by id"
    assert zombie.apply(received(5, 8)), "past it is as good as at it: positions leave numbers out"
    assert other.position(0) == 9
    assert [row[1:3] for row in group.effects()] == [(0, "consumer-1"), (1, "consumer-2"), (5, "consumer-1")]


def test_what_is_passed_over_moves_the_position_and_has_no_effect(group: Group) -> None:
    sink = group.sink("transactional")
    assert sink.pass_over(received(0, 0))
    assert sink.position(0) == 1
    assert not sink.pass_over(received(0, 0))
    assert not sink.apply(received(0, 0))
    assert group.sink("plain").pass_over(received(3, 3)), "where no positions are kept, there is none to move"
    assert group.effects() == []


def test_positions_are_of_a_group_a_source_and_a_shard(group: Group) -> None:
    assert group.sink("transactional").apply(received(0, 5))
    assert group.sink("transactional", group="other").position(0) is None
    assert group.sink("transactional", shard=0).position(0) is None
    assert group.sink("transactional", shard=0).apply(received(1, 2))
    assert group.sink("transactional", shard=1).position(0) is None
    assert group.sink("transactional").position(1) is None
    assert group.sink("transactional").position(0) == 6


def test_effects_of_groups_are_apart(group: Group) -> None:
    assert group.sink("idempotent", group="a").apply(received(0, 0))
    assert group.sink("idempotent", group="b").apply(received(0, 0))
    assert [row[0] for row in group.effects()] == ["a", "b"]


KILLED_IN_A_TRANSACTION = """
import os, signal, sys
from contextlib import nullcontext
from pathlib import Path
from mqverify.workload.sink import Sink
from mqverify.worlds.sinks import FileEffects
from tests.worlds.test_sinks import Clock, Worker, received

store = FileEffects(Path(sys.argv[1]), Worker("consumer-1", "consumer", 1, "group"), Clock(), nullcontext())
sink = Sink("transactional", store)
assert sink.apply(received(0, 0))
add = store.add
def killed(one):
    add(one)
    os.kill(os.getpid(), signal.SIGKILL)
store.add = killed
sink.apply(received(1, 1))
"""


def test_a_process_killed_in_a_transaction_leaves_all_of_the_last_one_and_nothing_of_this(tmp_path: Path) -> None:
    file = sinks_file(tmp_path)
    make_file(file)
    done = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_TRANSACTION, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    sink = Sink(
        "transactional", FileEffects(file, Worker("consumer-2", "consumer", 2, "group"), Clock(), nullcontext())
    )
    assert sink.position(0) == 1
    assert sink.apply(received(1, 1)), "and nobody else is held up"
    rows = RunRows()
    add_effects(file, rows, 1_000)
    assert [(row["message"], row["consumer"]) for row in table(rows, "effects")] == [
        (0, "consumer-1"),
        (1, "consumer-2"),
    ]


def test_who_dies_between_the_effect_and_saying_so_has_handled_it(tmp_path: Path) -> None:
    """The sink is the truth: the message is behind its position, so nobody will handle it again."""
    file = sinks_file(tmp_path)
    make_file(file)
    clock = Clock()
    clock.time = 10
    sink = Sink("transactional", FileEffects(file, Worker("consumer-1", "consumer", 1, "group"), clock, nullcontext()))
    assert sink.apply(received(5, 2))
    rows = RunRows()
    facts = (5, "key-1", 3, "consumer-1", 1, "group", None, 0, 2, 0, 2)
    rows.add("deliveries", 0, 1, None, *facts, 8, 9, None, None, True)
    rows.add(
        "deliveries", 1, 1, None, 6, "key-1", 4, "consumer-1", 1, "group", None, 0, 3, 0, 3, 8, None, None, None, True
    )
    add_effects(file, rows, 10)
    assert table(rows, "effects") == [], "what came after the run's end is no part of it"
    add_effects(file, rows, 11)
    first, second = table(rows, "deliveries")
    assert (first["result"], first["ended_at"]) == ("handled", 11)
    assert (second["result"], second["ended_at"]) == (None, None)


def test_a_file_that_cannot_be_written_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"nowhere/sinks\.sqlite"):
        make_file(sinks_file(tmp_path / "nowhere"))


# --- runs

RUN = """
spec: sinks
workload: {{messages: 120, keys: 12, producers: 2, consumers: 3, handler: {{takes: 2ms{handler}}}, {settle}}}
backends:
  kafka: {{partitions: 6, session_timeout: 6s, heartbeat_interval: 1s, auto_offset_reset: earliest}}
  catch_up: {{system: eventstore, subscribe: catch_up}}
faults: [{fault}]
expect: {{at_least_once: held, exactly_once: held, per_partition_ordering: held, legal_resume: held}}
"""
ZOMBIE = "{pause: consumer, when: {handled: 40}, point: POINT, for: 20s}"
CRASH = "{crash: consumer, when: {handled: 40}, point: POINT, restart_after: 1s}"


def text(settle: str, fault: str = "", point: str = "in_handler", handler: str = "") -> str:
    return RUN.format(settle=settle, fault=fault.replace("POINT", point), handler=handler)


def effects_of(rows: RunRows) -> list[object]:
    return sorted(row["message"] for row in table(rows, "effects"))  # type: ignore[type-var]


@pytest.mark.parametrize("seed", range(5))
def test_a_zombies_write_is_refused_with_effect(seed: int) -> None:
    """§5.18."""
    spec = text("settle: with_effect", ZOMBIE)
    rows, outcome = run(spec, seed)
    assert outcome.drained
    assert effects_of(rows) == list(range(120))
    refused = [row for row in table(rows, "deliveries") if row["result"] == "refused"]
    assert {row["consumer"] for row in refused} != set()
    assert table(rows, "settlements") == [], "the broker is told nothing"
    found = findings(spec, seed)
    assert {name: one.violations for name, one in found.items()} == dict.fromkeys(found, 0)
    assert found["legal_resume"].obligations > 0
    assert "sink" in {row["start_from"] for row in table(rows, "assignments")}


def test_a_zombies_write_to_another_sink_is_a_second_handling_and_to_an_idempotent_one_no_second_effect() -> None:
    """§5.18: violated."""
    assert findings(text("settle: after_handling", ZOMBIE))["exactly_once"].violations > 0
    idempotent = text("settle: after_handling, sink: idempotent", ZOMBIE)
    assert findings(idempotent)["exactly_once"].violations > 0
    assert effects_of(run(idempotent)[0]) == list(range(120))


@pytest.mark.parametrize("label", ["kafka", "catch_up"])
@pytest.mark.parametrize("point", ["before_handle", "in_handler", "after_settle"])
def test_a_crash_at_any_point_has_every_effect_once_where_the_position_goes_with_it(label: str, point: str) -> None:
    spec = text("settle: with_effect", CRASH, point)
    rows, outcome = run(spec, label=label)
    assert outcome.drained
    assert [fault[2] for fault in outcome.faults] == [True]
    groups = {row["consumer_group"] for row in table(rows, "groups")}
    for group in groups:
        of_group = [row["message"] for row in table(rows, "effects") if row["consumer_group"] == group]
        assert sorted(of_group) == list(range(120))  # type: ignore[type-var]
    found = findings(spec, label=label)
    assert {name: one.violations for name, one in found.items()} == dict.fromkeys(found, 0)


@pytest.mark.parametrize("label", ["kafka", "catch_up"])
def test_a_crash_between_effect_and_settlement_repeats_the_effect_unless_the_sink_knows_the_message(label: str) -> None:
    for sink, expected in (("idempotent", 0), ("transactional", 0)):
        rows, _ = run(text(f"settle: after_handling, sink: {sink}", CRASH, "before_settle"), label=label)
        effects = [(row["consumer_group"], row["message"]) for row in table(rows, "effects")]
        assert len(effects) - len(set(effects)) == expected
    again = findings(text("settle: after_handling", CRASH, "before_settle"), label=label)
    assert again["exactly_once"].violations == 1


def test_a_transactional_sink_says_where_to_start_whatever_is_committed() -> None:
    """Settled before it was handled, a message is lost; not where the sink keeps the positions."""
    lost = text("settle: before_handling", CRASH, "in_handler")
    assert findings(lost)["at_least_once"].violations == 1
    kept = findings(text("settle: before_handling, sink: transactional", CRASH, "in_handler"))
    assert (kept["at_least_once"].violations, kept["exactly_once"].violations) == (0, 0)


def test_shards_of_a_catch_up_subscription_have_a_position_each() -> None:
    spec = text("settle: with_effect, shard: key", CRASH)
    rows, outcome = run(spec, label="catch_up")
    assert outcome.drained
    assert effects_of(rows) == list(range(120))
    assert findings(spec, label="catch_up")["exactly_once"].violations == 0


@pytest.mark.parametrize(("on_failure", "lost"), [("skip", 6), ("park", 0)])
def test_skipped_and_parked_messages_are_behind_the_sinks_position(on_failure: str, lost: int) -> None:
    """Else whoever takes over would be handed them again."""
    spec = text("settle: with_effect", CRASH, "after_settle", handler=f", poison: 1 in 20, on_failure: {on_failure}")
    rows, outcome = run(spec)
    assert outcome.drained
    failed = [row["message"] for row in table(rows, "deliveries") if row["result"] == "failed"]
    assert (len(failed), len(set(failed))) == (6, 6)
    found = findings(spec)
    assert found["at_least_once"].violations == lost
    assert found["legal_resume"].violations == 0


def test_a_run_that_asks_for_no_effects_records_none() -> None:
    rows, _ = run(text("settle: after_handling"))
    assert table(rows, "effects") == []
    assert not [row for row in table(rows, "settings") if str(row["name"]).startswith("sink.")]
    recorded, _ = run(text("settle: after_handling, sink: idempotent"))
    assert [row["value"] for row in table(recorded, "settings") if row["name"] == "sink.group"] == ["idempotent"]
    for name in set(rows.tables) - {"effects", "settings"}:
        assert len(rows.tables[name]) == len(recorded.tables[name]), name

"""What a scavenge removes, and what it leaves as it was (docs/facts/eventstore.md §C3)."""

import json
from typing import Any

import pytest

from mqverify.simulation.eventstore.protocol import (
    DeleteStream,
    Failed,
    ReadAll,
    ReadStream,
    Scavenge,
    StatisticsOfProjection,
    SubscribeAll,
    WrongVersion,
)
from mqverify.simulation.eventstore.records import NewEvent
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.harness import STREAM, Machine, numbers, positions


def keep(machine: Machine, metadata: Any, stream: str = STREAM) -> None:
    machine.log.append(f"$${stream}", "any", [NewEvent("$metadata", json.dumps(metadata).encode())], machine.now)


def in_all(machine: Machine, stream: str = STREAM) -> list[int]:
    return numbers(record for record in machine.ask(ReadAll()).events if record.stream_name == stream)


def in_stream(machine: Machine, stream: str = STREAM) -> Any:
    found = machine.ask(ReadStream(stream))
    return found.reason if isinstance(found, Failed) else numbers(found.events)


@pytest.mark.parametrize(
    ("metadata", "hidden", "left"),
    [({"$maxCount": 3}, [7, 8, 9], [7, 8, 9]), ({"$tb": 6}, [6, 7, 8, 9], [6, 7, 8, 9]), ({"$maxAge": 5}, [], [9])],
)
def test_all_shows_what_streams_hide_until_a_scavenge(metadata: Any, hidden: list[int], left: list[int]) -> None:
    machine = Machine()
    machine.append(STREAM, 0, 10)
    keep(machine, metadata)
    machine.wait(10 * SECOND)
    assert (in_stream(machine), in_all(machine)) == (hidden, list(range(10)))
    machine.ask(Scavenge())
    assert in_stream(machine) == hidden
    assert in_all(machine) == left, "the last record stays, so that the stream's numbers go on"
    assert machine.append(STREAM, 20).revision == 10


def test_a_deleted_stream_leaves_its_last_record_and_goes_on_behind_it() -> None:
    machine = Machine()
    machine.append(STREAM, 0, 5)
    machine.ask(DeleteStream(STREAM, "any"))
    assert (in_stream(machine), in_all(machine)) == ("stream_not_found", [0, 1, 2, 3, 4])
    machine.ask(Scavenge())
    assert (in_stream(machine), in_all(machine)) == ("stream_not_found", [4])
    machine.append(STREAM, 10)
    machine.ask(Scavenge())
    assert (in_stream(machine), in_all(machine)) == ([5], [5])


def test_of_a_tombstoned_stream_only_the_tombstone_stays() -> None:
    machine = Machine()
    machine.append(STREAM, 0, 5)
    keep(machine, {"$maxCount": 3})
    machine.ask(DeleteStream(STREAM, "any", tombstone=True))
    machine.ask(Scavenge())
    assert [record.type for record in machine.ask(ReadAll()).events] == ["$streamDeleted"]
    assert in_stream(machine) == "stream_deleted"


def test_what_was_removed_does_not_come_back_when_the_metadata_is_changed() -> None:
    machine = Machine()
    machine.append(STREAM, 0, 10)
    keep(machine, {"$tb": 6})
    machine.ask(Scavenge())
    keep(machine, {})
    assert in_stream(machine) == [6, 7, 8, 9]


def test_positions_do_not_change_and_reads_go_on_from_a_position_that_is_gone() -> None:
    machine = Machine()
    machine.append(STREAM, 0, 10)
    before = {record.stream_position: record.commit_position for record in machine.ask(ReadAll()).events}
    keep(machine, {"$tb": 6})
    machine.ask(Scavenge())
    found = machine.ask(ReadAll(start=before[2])).events
    assert {record.stream_position: record.commit_position for record in found[:4]} == {
        n: before[n] for n in range(6, 10)
    }
    assert positions(machine.read(machine.open(SubscribeAll(after=before[2]))))[:4] == [6, 7, 8, 9]


def test_what_nobody_marked_stays() -> None:
    machine = Machine()
    machine.append(STREAM, 0, 10)
    machine.append("other", 10, 10)
    before = machine.ask(ReadAll()).events
    machine.ask(Scavenge())
    assert machine.ask(ReadAll()).events == before


def test_subscribers_of_all_and_projections_go_on_where_they_were() -> None:
    machine = Machine(running_projections=("$streams",))
    machine.append(STREAM, 0, 10)
    machine.wait(SECOND)
    subscriber = machine.open(SubscribeAll())
    machine.read(subscriber)
    keep(machine, {"$tb": 6})
    machine.wait(SECOND)
    machine.read(subscriber)
    machine.ask(Scavenge())
    assert machine.ask(StatisticsOfProjection("$streams")).progress == 100
    machine.append("other", 20, 2)
    machine.wait(SECOND)
    assert [found.stream_name for found in machine.read(subscriber)] == ["other", "other", "$streams"]


def test_c1_a_repetition_of_what_was_removed_is_known_only_while_its_id_is_remembered() -> None:
    for memory, answer in ((8 << 20, 0), (64, WrongVersion(9))):
        machine = Machine(id_cache_bytes=memory)
        machine.append(STREAM, 0, expected="no_stream")
        machine.append(STREAM, 1, 9)
        assert machine.append(STREAM, 0, expected="no_stream").revision == 0, "in the log itself"
        keep(machine, {"$tb": 6})
        machine.ask(Scavenge())
        found = machine.append(STREAM, 0, expected="no_stream")
        assert getattr(found, "revision", found) == answer


def test_links_to_removed_events_stay_and_lead_nowhere() -> None:
    machine = Machine(running_projections=("$by_category",))
    machine.append("order-1", 0, 3)
    machine.wait(SECOND)
    keep(machine, {"$tb": 2}, "order-1")
    machine.ask(Scavenge())
    assert in_stream(machine, "$ce-order") == [0, 1, 2]
    resolved = machine.ask(ReadStream("$ce-order", resolve_links=True)).events
    assert [type(event).__name__ for event in resolved] == ["UnresolvedLink", "UnresolvedLink", "RecordedEvent"]

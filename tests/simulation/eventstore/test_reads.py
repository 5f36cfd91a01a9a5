"""Reads of streams and of `$all`, and the resolving of links (docs/facts/eventstore.md §B, §C3, §D, §F1)."""

from typing import Any

import pytest

from mqverify.simulation.eventstore.protocol import AllFilter, Append, DeleteStream, ReadAll, ReadStream
from mqverify.simulation.eventstore.records import NewEvent, UnresolvedLink
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.harness import STREAM, Machine, event, ids, numbers

EVERYTHING_OF_ESDBCLIENT = r"^(?!(\$.+$|PersistentConfig\d+$))"


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    machine.append(STREAM, 0, 10)
    return machine


def read(machine: Machine, **options: Any) -> list[int]:
    return numbers(machine.ask(ReadStream(STREAM, **options)).events)


def read_all(machine: Machine, **options: Any) -> list[int]:
    return ids(machine.ask(ReadAll(**options)).events)


def link(machine: Machine, data: bytes, stream: str = "links") -> None:
    machine.ask(Append(stream, "any", (NewEvent("$>", data),)))


def test_b_reads_of_a_stream_are_inclusive(machine: Machine) -> None:
    assert read(machine) == list(range(10))
    assert read(machine, start=7) == [7, 8, 9]
    assert read(machine, start=3, limit=2) == [3, 4]
    assert read(machine, start=10) == []
    assert read(machine, start=1000) == []


def test_b_reads_of_a_stream_backwards(machine: Machine) -> None:
    assert read(machine, backwards=True, limit=3) == [9, 8, 7]
    assert read(machine, backwards=True, start=1) == [1, 0]
    assert read(machine, backwards=True, start=99, limit=1) == [9]
    assert read(machine, backwards=True, start=0) == [0]


def test_b_reads_of_all_forwards_are_inclusive(machine: Machine) -> None:
    machine.append("other-1", 10, 2)
    at = machine.log.records[8].commit_position
    assert read_all(machine) == list(range(12))
    assert read_all(machine, start=at) == [8, 9, 10, 11]
    assert read_all(machine, start=at, limit=2) == [8, 9]
    assert read_all(machine, start=machine.log.end_position) == []


def test_b_reads_of_all_backwards_begin_before_the_position(machine: Machine) -> None:
    at = machine.log.records[3].commit_position
    assert read_all(machine, backwards=True) == list(range(9, -1, -1))
    assert read_all(machine, backwards=True, limit=2) == [9, 8]
    assert read_all(machine, backwards=True, start=at) == [2, 1, 0]
    assert read_all(machine, backwards=True, start=0) == []


@pytest.mark.parametrize("distance", [-1, 1, 100_000])
def test_b_reads_of_all_inside_or_beyond_records_are_invalid(machine: Machine, distance: int) -> None:
    inside = (machine.log.records[5].commit_position or 0) + distance
    for backwards in (False, True):
        assert machine.ask(ReadAll(start=inside, backwards=backwards)).reason == "invalid_position"


def test_b_reads_of_all_with_filters_by_type_and_by_stream_name(machine: Machine) -> None:
    machine.append("$system-1", 20)
    machine.ask(Append("other-1", "any", (event(21, type="$odd"), event(22, type="Sent"), event(23, type="Sentry"))))

    def filtered(pattern: str, by_stream_name: bool = False, **options: Any) -> list[int]:
        return read_all(machine, filter=AllFilter(pattern, by_stream_name), **options)

    assert filtered(EVERYTHING_OF_ESDBCLIENT) == [*range(10), 20, 22, 23]
    assert filtered("^Sent$") == [22]
    assert filtered("^Sent", limit=1) == [22]
    assert filtered("^Sent", limit=1, backwards=True) == [23]
    assert filtered("^other-", by_stream_name=True) == [21, 22, 23]


def test_b_filtered_reads_hide_what_groups_on_all_write(machine: Machine) -> None:
    machine.append("$persistentsubscription-$all::group-checkpoint", 30)
    machine.append("$persistentsubscription-orders::group-checkpoint", 31)
    assert read_all(machine, start=None, filter=AllFilter("persistent", by_stream_name=True)) == [31]
    assert read_all(machine)[-2:] == [30, 31], "an unfiltered read hides nothing"


def test_d_resolving_gives_the_target_with_its_link(machine: Machine) -> None:
    link(machine, b"4@order-1")
    [bare] = machine.ask(ReadStream("links")).events
    [found] = machine.ask(ReadStream("links", resolve_links=True)).events
    assert (bare.is_link_event, bare.link, bare.data) == (True, None, b"4@order-1")
    assert (found.stream_name, found.stream_position, found.is_resolved_event) == (STREAM, 4, True)
    assert found.link.stream_name == "links"
    assert found.ack_id == bare.id != found.id
    assert machine.log.stream(STREAM).events[4].link is None  # type: ignore[union-attr]


def test_d_what_is_no_link_is_not_touched_by_resolving(machine: Machine) -> None:
    assert machine.ask(ReadStream(STREAM, resolve_links=True)).events == machine.ask(ReadStream(STREAM)).events


@pytest.mark.parametrize("gone", ["never", "beyond", "$tb", "$maxCount", "$maxAge", "soft", "tombstone"])
def test_d_a_link_whose_target_is_gone_is_unresolved(machine: Machine, gone: str) -> None:
    link(machine, {"never": b"0@never-was", "beyond": b"10@order-1"}.get(gone, b"2@order-1"))
    if gone.startswith("$"):
        limit = {"$tb": 3, "$maxCount": 7, "$maxAge": 5}[gone]
        data = b'{"%s":%d}' % (gone.encode(), limit)
        machine.ask(Append("$$order-1", "any", (event(99, type="$metadata", data=data),)))
        machine.wait(6 * SECOND if gone == "$maxAge" else 0)
    elif gone in ("soft", "tombstone"):
        machine.ask(DeleteStream(STREAM, "any", gone == "tombstone"))
    [found] = machine.ask(ReadStream("links", resolve_links=True)).events
    assert isinstance(found, UnresolvedLink)
    assert (found.stream_name, found.type, found.ack_id) == ("links", "$>", found.id)
    assert machine.log.resolve(machine.log.stream("links").events[0], machine.now) is None  # type: ignore[union-attr]


def test_d_links_live_by_their_own_streams_metadata_not_the_sources(machine: Machine) -> None:
    for number in range(4):
        link(machine, b"%d@order-1" % number)
    machine.ask(Append("$$links", "any", (event(98, type="$metadata", data=b'{"$maxCount":2}'),)))
    found = machine.ask(ReadStream("links", resolve_links=True)).events
    assert numbers(found) == [2, 3]
    assert numbers(each.link for each in found) == [2, 3]


@pytest.mark.parametrize("data", [b"", b"order-1", b"@order-1", b"x@order-1", b"-1@order-1", b"1@\xff"])
def test_d_data_that_names_no_target_leaves_the_link_as_it_is(machine: Machine, data: bytes) -> None:
    link(machine, data)
    [found] = machine.ask(ReadStream("links", resolve_links=True)).events
    assert (type(found).__name__, found.type, found.data) == ("RecordedEvent", "$>", data)


def test_d_a_target_is_named_by_all_behind_the_first_at(machine: Machine) -> None:
    machine.append("user@home-1", 50)
    link(machine, b"0@user@home-1")
    [found] = machine.ask(ReadStream("links", resolve_links=True)).events
    assert found.stream_name == "user@home-1"

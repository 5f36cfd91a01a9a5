"""The system projections (docs/facts/eventstore.md §D)."""

import json
from typing import Any

import pytest

from mqverify.simulation.eventstore.protocol import (
    Append,
    DeleteStream,
    Done,
    EnableProjection,
    ReadStream,
    StatisticsOfProjection,
    SubscribeStream,
)
from mqverify.simulation.eventstore.records import NewEvent, UnresolvedLink
from mqverify.simulation.eventstore.settings import PROJECTIONS
from mqverify.simulation.kernel import MILLISECOND
from tests.simulation.eventstore.harness import Machine, event, ids


def running(*names: str) -> Machine:
    return Machine(running_projections=names)


def settle(machine: Machine) -> None:
    machine.wait(20 * MILLISECOND)


def links(machine: Machine, stream: str) -> list[str]:
    found = machine.log.stream(stream)
    return [record.data.decode() for record in found.events] if found else []


def outputs(machine: Machine, prefix: str) -> list[str]:
    names = dict.fromkeys(record.stream_name for record in machine.log.records)
    return [name for name in names if name.startswith(prefix)]


def progress(machine: Machine, name: str) -> float:
    return float(machine.ask(StatisticsOfProjection(name)).progress)


@pytest.mark.parametrize(
    ("stream", "output"),
    [("order-1", "$ce-order"), ("order-1-2", "$ce-order"), ("order", None), ("$order-1", None), ("$$order-1", None)],
)
def test_d_a_category_ends_at_the_first_dash(stream: str, output: str | None) -> None:
    machine = running("$by_category")
    machine.append(stream, 0)
    settle(machine)
    assert outputs(machine, "$ce-") == ([output] if output else [])
    if output:
        assert links(machine, output) == [f"0@{stream}"]


def test_d_links_of_one_output_stream_are_in_order_of_the_log() -> None:
    machine = running("$by_category")
    for number in range(60):
        machine.append(f"order-{number * 7 % 5}", number)
        machine.wait(MILLISECOND // 3)
    settle(machine)
    assert ids(machine.ask(ReadStream("$ce-order", resolve_links=True)).events) == list(range(60))


def test_d_a_link_has_type_data_and_metadata_of_a_projections() -> None:
    machine = running("$by_category")
    machine.append('order-"1"', 7)
    settle(machine)
    source, link = machine.log.records
    assert (link.type, link.data) == ("$>", b'0@order-"1"')
    metadata = json.loads(link.metadata)
    assert metadata["$c"] == metadata["$p"] == source.commit_position
    assert (metadata["$o"], metadata["$causedBy"]) == ('order-"1"', str(source.id))


def test_d_a_link_in_a_users_stream_is_linked_to_its_target_by_category() -> None:
    machine = running("$by_category", "$by_event_type")
    machine.ask(Append("copy-1", "any", (NewEvent("$>", b"3@order-1"),)))
    settle(machine)
    assert links(machine, "$ce-copy") == ["3@order-1"]
    assert outputs(machine, "$et-") == [], "by type links are skipped"


def test_d_deletions_are_linked_to_by_category_and_by_type() -> None:
    machine = running("$by_category", "$by_event_type")
    for name in ("order-1", "order-2"):
        machine.append(name, 0)
    machine.ask(DeleteStream("order-1", "any"))
    machine.ask(DeleteStream("order-2", "any", tombstone=True))
    settle(machine)
    assert links(machine, "$ce-order")[2:] == ["0@$$order-1", f"{2**63 - 1}@order-2"]
    assert links(machine, "$et-$deleted") == ["0@order-1", f"{2**63 - 1}@order-2"]
    *gone, marker, tombstone = machine.ask(ReadStream("$ce-order", resolve_links=True)).events
    assert [type(found) for found in (*gone, tombstone)] == [UnresolvedLink] * 3, "links stay and do not resolve"
    assert marker.type == "$metadata"


def test_d_by_event_type() -> None:
    machine = running("$by_event_type")
    machine.ask(Append("order-1", "any", (event(0, type="Placed"), event(1, type="Paid"), event(2, type="Placed"))))
    settle(machine)
    assert links(machine, "$et-Placed") == ["0@order-1", "2@order-1"]
    assert links(machine, "$et-Paid") == ["1@order-1"]


@pytest.mark.parametrize(
    "metadata",
    [
        b'{"$correlationId":7}', b'{"$correlationId":null}', b'{"a":{"$correlationId":"x"}}', b'["$correlationId"]',
        b'{"$correlationId":"x"', b"", b"no json",
    ],
)  # fmt: skip
def test_d_correlation_ids_are_strings_at_the_top_of_json_metadata(metadata: bytes) -> None:
    machine = running("$by_correlation_id")
    machine.ask(Append("order", "any", (event(0, metadata=metadata), event(1, metadata=b'{"$correlationId": "x"}'))))
    settle(machine)
    assert outputs(machine, "$bc-") == ["$bc-x"]
    assert links(machine, "$bc-x") == ["1@order"]


def test_d_links_by_correlation_id_tell_the_events_time() -> None:
    machine = running("$by_correlation_id")
    machine.wait(1500 * MILLISECOND)
    machine.ask(Append("order-1", "any", (event(1, metadata=b'{"$correlationId":"x"}'),)))
    settle(machine)
    assert json.loads(machine.log.records[-1].metadata)["$eventTimestamp"] == "2026-01-01T00:00:01.500000Z"


def test_d_streams_and_streams_by_category_name_each_stream_once() -> None:
    machine = running("$streams", "$stream_by_category")
    for name in ("order-1", "order-2", "order-1", "plain"):
        machine.append(name, len(machine.log.records))
    settle(machine)
    assert links(machine, "$category-order") == ["order-1", "order-2"]
    assert links(machine, "$streams")[:3] == ["0@order-1", "0@order-2", "0@plain"]
    assert {record.type for record in machine.log.stream("$category-order").events} == {"$@"}  # type: ignore[union-attr]


# --- running ---------------------------------------------------------------------------------------------------------


def test_d_links_come_one_to_ten_milliseconds_after_the_write_and_in_batches() -> None:
    machine = running("$by_category")
    told: list[list[Any]] = []
    machine.log.watchers.append(lambda records: told.append(list(records)))
    for number in range(50):
        machine.append("order-1", number)
    assert len(machine.timers.pending) == 1
    machine.wait(MILLISECOND - 1)
    assert links(machine, "$ce-order") == []
    machine.wait(10 * MILLISECOND)
    assert [len(records) for records in told] == [1] * 50 + [50]
    assert not machine.timers.pending, "and then nothing is left to do"


def test_d_projections_are_stopped_until_enabled_and_then_begin_at_the_beginning() -> None:
    machine = Machine()
    machine.append("order-1", 0, 3)
    settle(machine)
    assert machine.ask(StatisticsOfProjection("$by_category")).status == "Stopped"
    assert links(machine, "$ce-order") == []
    assert machine.ask(EnableProjection("$by_category")) == Done()
    assert machine.ask(EnableProjection("$by_category")) == Done()
    settle(machine)
    assert links(machine, "$ce-order") == ["0@order-1", "1@order-1", "2@order-1"]
    assert machine.ask(StatisticsOfProjection("$by_category")).status == "Running"


def test_d_progress_is_100_exactly_when_all_has_been_seen() -> None:
    machine = running("$by_category")
    assert progress(machine, "$by_category") == 100.0
    machine.append("order-1", 0)
    assert progress(machine, "$by_category") < 100.0
    settle(machine)
    assert progress(machine, "$by_category") == 100.0
    assert progress(machine, "$streams") < 100.0, "that one is stopped"


def test_d_unknown_projections_are_not_found() -> None:
    machine = Machine()
    assert machine.ask(EnableProjection("mine")).reason == "projection_not_found"
    assert machine.ask(StatisticsOfProjection("mine")).reason == "projection_not_found"


def test_d_all_together_come_to_rest() -> None:
    machine = running(*PROJECTIONS)
    machine.ask(Append("order-1", "any", (event(0, metadata=b'{"$correlationId":"x"}'),)))
    settle(machine)
    settle(machine)
    assert not machine.timers.pending
    assert [progress(machine, name) for name in PROJECTIONS] == [100.0] * 5


def test_d_a_category_can_be_subscribed_to() -> None:
    machine = running("$by_category")
    token = machine.open(SubscribeStream("$ce-order", resolve_links=True))
    for number in range(5):
        machine.append(f"order-{number}", number)
    settle(machine)
    assert ids(machine.read(token)[1:]) == list(range(5))

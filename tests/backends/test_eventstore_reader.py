"""The fresh reader on the look-alike: what it finds, and how far it says that it saw, to the exact position."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mqverify.backends.eventstore.adapter import EventStoreAdapter
from mqverify.backends.eventstore.admin import EventStoreAdmin
from mqverify.spec.model import Group
from mqverify.units import DAY, SECOND
from tests.backends.eventstore import Bench, plan_of

STREAM, SOURCE = 0, 1


def days(bench: Bench, count: float) -> None:
    bench.harness.sleep(count * DAY / SECOND)


def opened(bench: Bench, adapter: EventStoreAdapter) -> EventStoreAdmin:
    admin = adapter.admin()
    admin.create(bench.rows, bench.stamp)
    for group in adapter.binding.groups:
        admin.open_group(group, bench.rows, bench.stamp)
    return admin


def reading(
    bench: Bench, before: Callable[[EventStoreAdapter], Any], after: Callable[[Any, str], None] | None = None
) -> None:
    """What one pass records. `after(adapter, stream)` happens right behind the first read of a stream."""

    def application(adapter: EventStoreAdapter) -> None:
        admin = opened(bench, adapter)
        before(adapter)
        if after is not None:
            admin._reader._client = Interrupted(admin._client, lambda stream: after(adapter, stream))
        bench.clear()
        assert admin.read(bench.rows, bench.stamp, 5, "end") == 5 + len(bench.rows.tables["readings"])

    bench.run(application)


class Interrupted:
    """A client after whose first read of each stream something else happens."""

    def __init__(self, client: Any, then: Callable[[str], None]) -> None:
        self._client = client
        self._then = then
        self._seen: list[str] = []

    def get_stream(self, stream: str, **how: Any) -> Any:
        events = self._client.get_stream(stream, **how)
        if stream not in self._seen:
            self._seen.append(stream)
            self._then(stream)
        return events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def bounds(bench: Bench, partition: int, nth: int = 0) -> tuple[int, int, int]:
    """First position, what was read to, and the end, of a place in one of the readings."""
    row = next(row for row in bench.table("bounds") if row["partition"] == partition and row["reading"] == 5 + nth)
    return row["first_position"], row["read_to"], row["end_position"]


def found(bench: Bench, nth: int = 0, place: str = "main") -> list[tuple[Any, ...]]:
    return [
        (row["message"], row["partition"], row["position"], row["source"])
        for row in bench.table("log")
        if row["reading"] == 5 + nth and row["place"] == place
    ]


def test_streams_all_and_the_category_are_read_in_three_passes() -> None:
    bench = Bench()
    reading(bench, lambda adapter: bench.append(adapter, 3, 4))
    rows: list[Mapping[str, Any]] = bench.table("readings")
    assert [(row["reading"], row["reader"], row["source"], row["complete"]) for row in rows] == [
        (5, "stream", None, True),
        (6, "all", 2, True),
        (7, "category", SOURCE, True),
    ]
    assert found(bench, 0) == [(3, STREAM, 0, STREAM), (4, STREAM, 1, STREAM)]
    assert found(bench, 1) == [(3, STREAM, 0, 2), (4, STREAM, 1, 2)]
    assert found(bench, 2) == [(3, STREAM, 0, SOURCE), (4, STREAM, 1, SOURCE)]
    assert (bounds(bench, STREAM), bounds(bench, SOURCE, 2)) == ((0, 2, 2), (0, 2, 2))


def test_all_is_bounded_by_positions_of_the_log() -> None:
    bench = Bench(subscribe="catch_up", read="all")
    reading(bench, lambda adapter: bench.append(adapter, 3, 4))
    first, last = [row["source_position"] for row in bench.table("log") if row["reading"] == 6]
    assert bounds(bench, 1, 1) == (first, last + 1, last + 1)
    assert [row["reader"] for row in bench.table("readings")] == ["stream", "all"]


def test_times_are_those_of_the_records() -> None:
    bench = Bench()

    def before(adapter: EventStoreAdapter) -> None:
        days(bench, 3)
        bench.append(adapter, 0)

    reading(bench, before)
    times = {row["record_time"] for row in bench.table("log")}
    assert len(times) == 1
    assert 3 * DAY < times.pop() < 3 * DAY + SECOND


def test_what_is_appended_behind_the_read_is_in_doubt() -> None:
    bench = Bench()
    reading(
        bench,
        lambda adapter: bench.append(adapter, 0, 1),
        lambda adapter, stream: bench.append(adapter, 2) if stream == "orders-key-0" else None,
    )
    assert bounds(bench, STREAM) == (0, 2, 3)
    assert [message for message, *_ in found(bench)] == [0, 1]


def test_a_stream_that_nobody_appended_to_has_a_row() -> None:
    bench = Bench()
    reading(bench, lambda _: None)
    assert (bounds(bench, STREAM), bounds(bench, 2, 1), bounds(bench, SOURCE, 2)) == ((0, 0, 0),) * 3


def test_an_expired_stream_begins_behind_its_last_event() -> None:
    bench = Bench(max_age=DAY)

    def before(adapter: EventStoreAdapter) -> None:
        bench.append(adapter, 0, 1, 2)
        days(bench, 2)

    reading(bench, before)
    assert bounds(bench, STREAM) == (3, 3, 3)
    assert found(bench) == []
    assert len(found(bench, 1)) == 3, "$all knows no metadata"
    assert (found(bench, 2), bounds(bench, SOURCE, 2)) == ([], (0, 3, 3)), "its links are there, and lead nowhere"


def test_what_is_appended_to_an_expired_stream_between_two_looks_is_seen() -> None:
    bench = Bench(max_age=DAY)

    def before(adapter: EventStoreAdapter) -> None:
        bench.append(adapter, 0, 1, 2)
        days(bench, 2)

    reading(bench, before, lambda adapter, stream: bench.append(adapter, 3) if stream == "orders-key-0" else None)
    assert bounds(bench, STREAM) == (3, 4, 4)
    assert [message for message, *_ in found(bench)] == [3]


@pytest.mark.parametrize("settings", [{"truncate_before": 2}, {"max_count": 2}])
def test_a_truncated_stream_begins_where_it_can_be_read(settings: dict[str, int]) -> None:
    bench = Bench(**settings)
    reading(bench, lambda adapter: bench.append(adapter, 0, 1, 2, 3))
    assert bounds(bench, STREAM) == (2, 4, 4)
    assert bounds(bench, SOURCE, 2) == (0, 4, 4)


def test_a_stream_truncated_as_a_whole_reads_empty_and_ends_where_it_did() -> None:
    bench = Bench(truncate_before=9)
    reading(bench, lambda adapter: bench.append(adapter, 0, 1))
    assert bounds(bench, STREAM) == (2, 2, 2)


def test_groups_without_parked_events_have_a_parked_place_all_the_same() -> None:
    bench = Bench(plan_of(groups={"billing": Group(), "shipping": Group()}))
    reading(bench, lambda adapter: bench.append(adapter, 0))
    parked = [row for row in bench.table("bounds") if row["place"] == "parked"]
    assert [(row["consumer_group"], row["partition"], row["end_position"]) for row in parked] == [
        ("billing", 3, 0),
        ("shipping", 4, 0),
    ]


def test_parked_events_are_found_in_the_place_of_their_group() -> None:
    bench = Bench(stream="one")

    def before(adapter: EventStoreAdapter) -> None:
        bench.append(adapter, 4, 5)
        binding = adapter.binding
        with binding.client("consumer").read_subscription_to_stream("group", "orders", stopping_grace=1.0) as events:
            events.nack(next(events), "park")

    reading(bench, before)
    assert found(bench, 0, "parked") == [(4, 2, 0, 2)]
    assert [row["consumer_group"] for row in bench.table("log") if row["place"] == "parked"] == ["group"]
    assert bounds(bench, 2) == (0, 1, 1)


def test_a_category_is_read_once_its_projection_has_caught_up() -> None:
    bench = Bench()
    reading(bench, lambda adapter: bench.append(adapter, *range(10)))
    assert bench.harness.node.projections.statistics("$by_category").progress == 100.0  # type: ignore[union-attr]
    assert len(found(bench, 2)) == 10


def test_a_projection_that_never_catches_up_leaves_a_doubt() -> None:
    bench = Bench()

    class Stalled(Interrupted):
        def get_projection_statistics(self, name: str) -> Any:
            found = self._client.get_projection_statistics(name=name)
            return type(found)(**{**vars(found), "progress": 99.9})

    def application(adapter: EventStoreAdapter) -> None:
        admin = opened(bench, adapter)
        bench.append(adapter, 0)
        bench.clear()
        stalled: Any = Stalled(admin._client, lambda _: None)
        admin._reader._client = admin._client = stalled
        admin.read(bench.rows, bench.stamp, 5, "end")
        assert admin.behind({"group": {}}) == {"group": ["the projection $by_category has not caught up"]}

    bench.run(application)
    assert [row["complete"] for row in bench.table("readings")] == [True, True, False]
    _, read_to, end = bounds(bench, SOURCE, 2)
    assert end > read_to


def test_footprint_counts_streams_with_events_and_their_bytes() -> None:
    bench = Bench(plan_of(keys=3, messages=6))

    def application(adapter: EventStoreAdapter) -> Mapping[str, int]:
        admin = opened(bench, adapter)
        bench.append(adapter, *range(6))
        admin.read(bench.rows, bench.stamp, 0, "end")
        return admin.footprint()

    size = 100 + len('{"$correlationId": "key-0"}') + 2 * len("order")
    streams = len(set(bench.plan.keys))
    assert bench.run(application) == {"partitions": 0, "streams": streams, "bytes": 6 * size}

"""Streams, sources and places: what they are called, on the node and in a history."""

import json
import re
from typing import Any

import pytest

from mqverify.backends.base import Endpoint
from mqverify.backends.eventstore.backend import EventStoreBackend
from mqverify.simulation.eventstore.projections import category_of
from mqverify.simulation.eventstore.records import NewEvent
from mqverify.spec.model import Group
from tests.backends.eventstore import binding, plan_of, since_epoch

PLAN = plan_of(keys=5, messages=40)


class Library:
    NewEvent = NewEvent


def test_a_key_has_a_stream_of_its_own_numbered_by_first_use() -> None:
    found = binding(PLAN)
    assert found.streams == [f"orders-{key}" for key in dict.fromkeys(PLAN.keys)]
    assert all(found.streams[found.place_of_message(m)] == f"orders-{PLAN.keys[m]}" for m in range(40))


def test_one_stream_takes_all() -> None:
    found = binding(PLAN, stream="one")
    assert found.streams == ["orders"]
    assert {found.place_of_message(message) for message in range(40)} == {0}


def test_keys_are_spread_over_a_number_of_streams() -> None:
    found = binding(PLAN, stream="per_key % 2")
    assert sorted(found.streams) == ["orders-0", "orders-1"]
    assert all(found.streams[found.place_of_message(m)] == f"orders-{PLAN.key_numbers[m] % 2}" for m in range(40))


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        ({}, "$ce-orders"),
        ({"stream": "per_key % 16"}, "$ce-orders"),
        ({"stream": "one"}, "orders"),
        ({"read": "all"}, "$all"),
        ({"read": "all", "stream": "one"}, "$all"),
    ],
)
def test_what_is_subscribed_to(settings: dict[str, Any], source: str) -> None:
    assert binding(PLAN, **settings).source == source


def test_a_single_key_may_be_read_by_its_stream_or_its_correlation() -> None:
    single = plan_of(keys=1)
    assert binding(single, read="stream").source == "orders-key-0"
    assert binding(single, read="correlation").source == "$bc-key-0"


def test_places_are_streams_then_the_source_then_all_then_parked_places() -> None:
    plan = plan_of(keys=1, groups={"billing": Group(), "shipping": Group()})
    found = binding(plan)
    assert found.places() == ["orders-key-0", "$ce-orders", "$all", "parked of billing", "parked of shipping"]
    assert (found.source_place, found.all_place) == (1, 2)
    assert [found.parked_place(name) for name in ("billing", "shipping")] == [3, 4]


@pytest.mark.parametrize(
    ("settings", "places", "source"),
    [
        ({"stream": "one"}, ["orders", "$all"], 0),
        ({"read": "all"}, ["orders-key-0", "$all"], 1),
        ({}, ["orders-key-0", "$ce-orders", "$all"], 1),
    ],
)
def test_no_place_is_named_twice(settings: dict[str, Any], places: list[str], source: int) -> None:
    found = binding(subscribe="catch_up", **settings)
    assert (found.places(), found.source_place) == (places, source)
    assert found.places()[found.all_place] == "$all"


def test_a_prefix_keeps_runs_apart_and_is_not_shown() -> None:
    bound = (
        EventStoreBackend()
        .bind(None, Endpoint("HOST:2113"), binding().settings, plan_of(), "mqverify-0a-", since_epoch)
        .binding
    )
    assert bound.streams == ["mqverify_0a_orders-key-0"]
    assert category_of(bound.streams[0]) == "mqverify_0a_orders"
    assert bound.source == "$ce-mqverify_0a_orders"
    assert bound.places()[:2] == ["orders-key-0", "$ce-orders"]
    assert bound.parked_stream("group") == "$persistentsubscription-$ce-mqverify_0a_orders::mqverify_0a_group-parked"


@pytest.mark.parametrize("stream", ["one", "per_key", "per_key % 16"])
def test_the_filter_of_all_lets_the_runs_streams_through_and_no_other(stream: str) -> None:
    found = binding(PLAN, prefix="run_1_", stream=stream)
    (pattern,) = found.own_streams["filter_include"]
    joined = re.compile(f"^{pattern}$")  # as esdbclient makes it
    assert all(joined.search(name) for name in found.streams)
    assert not any(
        joined.search(name)
        for name in (
            "$$run_1_orders",
            "$ce-run_1_orders",
            "$$run_1_orders-key-1",
            "run_2_orders",
            "xrun_1_orders-key-1",
        )
    )


def test_an_event_keeps_its_id_when_it_is_tried_again_unless_ids_are_per_try() -> None:
    same, other = binding(library=Library), binding(library=Library, event_id="per_try")
    assert same.event(3, 1).id == same.event(3, 2).id != same.event(4, 1).id
    assert other.event(3, 1).id != other.event(3, 2).id
    assert other.event(3, 2).id == binding(library=Library, event_id="per_try").event(3, 2).id


def test_ids_differ_between_runs() -> None:
    ids = {binding(library=Library, prefix=prefix).event(0, 1).id for prefix in ("a_", "b_")}
    assert len(ids) == 2


def test_an_event_carries_its_key_as_correlation_and_the_payload() -> None:
    event = binding(library=Library).event(2, 1)
    assert json.loads(event.metadata) == {"$correlationId": "key-0"}
    assert plan_of().payloads.decode(event.data).message == 2
    assert event.content_type == "application/octet-stream"


def test_an_address_becomes_a_uri_with_the_clients_name() -> None:
    uris: list[str] = []

    class Recording:
        @staticmethod
        def EventStoreDBClient(uri: str) -> None:  # noqa: N802
            uris.append(uri)

    binding(library=Recording).client("billing/consumer-1")
    assert uris == ["esdb://HOST:2113?Tls=false&ConnectionName=billing%2Fconsumer-1"]

"""Catch-up subscriptions to one stream (docs/facts/eventstore.md §B)."""

from typing import Any

import pytest

from mqverify.simulation.eventstore.protocol import Append, Confirmed, Credit, DeleteStream, SubscribeStream
from mqverify.simulation.eventstore.records import NewEvent, UnresolvedLink
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.harness import STREAM, Machine, event, numbers, positions


@pytest.fixture
def machine() -> Machine:
    return Machine(subscription_window=64)


def subscribe(machine: Machine, stream: str = STREAM, **options: Any) -> int:
    return machine.open(SubscribeStream(stream, **options))


def test_b_the_confirmation_comes_first_and_only_once(machine: Machine) -> None:
    machine.append(STREAM, 0)
    token = subscribe(machine)
    first, *rest = machine.taken(token)
    assert isinstance(first, Confirmed)
    machine.append(STREAM, 1)
    assert not any(isinstance(answer, Confirmed) for answer in rest + machine.taken(token))


def test_b_history_then_caught_up_then_live_in_order_of_revisions(machine: Machine) -> None:
    machine.append(STREAM, 0, 100)
    token = subscribe(machine)
    assert positions(machine.read(token)) == [*range(100), "caught up"]
    machine.append(STREAM, 100, 3)
    machine.append("other-1", 200)
    machine.append(STREAM, 103)
    assert positions(machine.read(token)) == [100, 101, 102, 103]


def test_b_history_comes_in_pages_of_32(machine: Machine) -> None:
    machine.append(STREAM, 0, 40)
    _, first, second, _ = machine.taken(subscribe(machine))
    assert (len(first.events), len(second.events)) == (32, 8)


@pytest.mark.parametrize(("after", "expected"), [(None, [0, 1, 2]), (0, [1, 2]), (1, [2]), (2, [])])
def test_b_positions_of_subscriptions_are_exclusive(machine: Machine, after: int | None, expected: list[int]) -> None:
    machine.append(STREAM, 0, 3)
    assert positions(machine.read(subscribe(machine, after=after))) == [*expected, "caught up"]


def test_b_a_position_beyond_the_end_waits_until_the_stream_has_passed_it(machine: Machine) -> None:
    machine.append(STREAM, 0, 3)
    token = subscribe(machine, after=4)
    for number in range(3, 7):
        machine.append(STREAM, number)
    assert positions(machine.read(token)) == ["caught up", 5, 6]


def test_b_from_end_is_only_what_is_new(machine: Machine) -> None:
    machine.append(STREAM, 0, 3)
    token = subscribe(machine, from_end=True)
    machine.append(STREAM, 3)
    assert positions(machine.read(token)) == ["caught up", 3]


@pytest.mark.parametrize("from_end", [False, True])
def test_b_a_stream_that_does_not_exist_is_waited_for(machine: Machine, from_end: bool) -> None:
    token = subscribe(machine, from_end=from_end)
    assert positions(machine.read(token)) == ["caught up"]
    machine.append(STREAM, 0, 2)
    assert positions(machine.read(token)) == [0, 1]


def test_b_a_soft_deleted_stream_is_waited_for_and_goes_on_with_the_next_number(machine: Machine) -> None:
    machine.append(STREAM, 0, 3)
    machine.ask(DeleteStream(STREAM, "any"))
    token = subscribe(machine)
    assert positions(machine.read(token)) == ["caught up"]
    machine.append(STREAM, 3, 2)
    assert positions(machine.read(token)) == [3, 4]


# --- flow control ----------------------------------------------------------------------------------------------------


def test_b_no_more_than_the_window_is_sent_until_the_client_takes_some(machine: Machine) -> None:
    machine.append(STREAM, 0, 200)
    token = subscribe(machine)
    assert positions(machine.read(token, credit=False)) == list(range(64))
    assert machine.read(token, credit=False) == []
    machine.say(token, Credit(10))
    assert positions(machine.read(token, credit=False)) == list(range(64, 74))


def test_b_up_to_32_live_events_wait_for_a_slow_consumer_which_stays_live(machine: Machine) -> None:
    token = subscribe(machine)
    for number in range(64 + 32):
        machine.append(STREAM, number)
    assert positions(machine.read(token, credit=False)) == ["caught up", *range(64)]
    machine.say(token, Credit(64))
    assert positions(machine.read(token)) == list(range(64, 96))


def test_b_a_slow_consumer_falls_back_to_history_and_misses_nothing(machine: Machine) -> None:
    """The live queue of 32 overflows: it reads on from the last event sent, and is told `CaughtUp` once more."""
    token = subscribe(machine)
    for number in range(64 + 33):
        machine.append(STREAM, number)
    assert positions(machine.read(token, credit=False)) == ["caught up", *range(64)]
    machine.say(token, Credit(64))
    assert positions(machine.read(token)) == [*range(64, 97), "caught up"]
    machine.append(STREAM, 97)
    assert positions(machine.read(token)) == [97]


def test_b_a_consumer_that_alternates_never_loses_doubles_or_reorders(machine: Machine) -> None:
    token = subscribe(machine)
    seen: list[Any] = []
    written = 0
    for step in range(60):
        machine.append(STREAM, written, 1 + step % 7)
        written += 1 + step % 7
        seen += machine.read(token, credit=False)
        machine.say(token, Credit(step % 5))
    machine.say(token, Credit(64))
    seen += machine.read(token)
    assert [place for place in positions(seen) if place != "caught up"] == list(range(written))
    assert positions(seen).count("caught up") > 1


# --- retention and deletion ------------------------------------------------------------------------------------------


def test_b_expired_events_are_skipped_silently_by_who_is_behind(machine: Machine) -> None:
    machine.append(STREAM, 0, 100)
    token = subscribe(machine)
    seen = machine.read(token, credit=False)
    machine.ask(Append(f"$${STREAM}", "any", (event(900, type="$metadata", data=b'{"$maxCount":10}'),)))
    machine.say(token, Credit(64))
    assert positions(seen + machine.read(token)) == [*range(64), *range(90, 100), "caught up"]


def test_b_max_age_is_applied_when_history_is_read(machine: Machine) -> None:
    machine.ask(Append(f"$${STREAM}", "any", (event(900, type="$metadata", data=b'{"$maxAge":10}'),)))
    machine.append(STREAM, 0, 5)
    machine.wait(11 * SECOND)
    token = subscribe(machine)
    assert positions(machine.read(token)) == ["caught up"], "all expired"
    machine.append(STREAM, 5)
    assert positions(machine.read(token)) == [5]


def test_b_live_events_are_passed_on_even_if_metadata_hides_them(machine: Machine) -> None:
    machine.append(STREAM, 0)
    machine.ask(Append(f"$${STREAM}", "any", (event(900, type="$metadata", data=b'{"$maxCount":1}'),)))
    token = subscribe(machine, from_end=True)
    machine.append(STREAM, 1, 3)
    assert positions(machine.read(token)) == ["caught up", 1, 2, 3]


def test_b_a_tombstoned_stream_fails_at_once(machine: Machine) -> None:
    machine.append(STREAM, 0)
    machine.ask(DeleteStream(STREAM, "any", tombstone=True))
    [failed] = machine.taken(subscribe(machine))
    assert (failed.reason, failed.details) == ("stream_deleted", "Event stream 'order-1' is deleted.")


def test_b_an_arriving_tombstone_is_delivered_and_ends_the_subscription(machine: Machine) -> None:
    token = subscribe(machine)
    machine.append(STREAM, 0)
    machine.ask(DeleteStream(STREAM, "any", tombstone=True))
    *_, tombstone, failed = seen = machine.read(token, credit=False)
    assert positions(seen) == ["caught up", 0, 2**63 - 1, "stream_deleted"]
    assert tombstone.type == "$streamDeleted"
    machine.say(token, Credit(5))
    assert machine.taken(token) == [], failed


def test_b_a_tombstone_waits_behind_the_events_before_it(machine: Machine) -> None:
    token = subscribe(machine)
    machine.append(STREAM, 0, 64)
    machine.append(STREAM, 64, 3)
    machine.ask(DeleteStream(STREAM, "any", tombstone=True))
    assert positions(machine.read(token, credit=False)) == ["caught up", *range(64)]
    machine.say(token, Credit(64))
    assert positions(machine.read(token)) == [64, 65, 66, 2**63 - 1, "stream_deleted"]


def test_b_who_is_behind_when_the_tombstone_comes_can_read_no_more(machine: Machine) -> None:
    machine.append(STREAM, 0, 100)
    token = subscribe(machine)
    seen = machine.read(token, credit=False)
    machine.ask(DeleteStream(STREAM, "any", tombstone=True))
    machine.say(token, Credit(64))
    assert positions(seen + machine.read(token)) == [*range(64), "stream_deleted"]


def test_b_a_metastream_ends_with_its_stream(machine: Machine) -> None:
    token = subscribe(machine, f"$${STREAM}")
    machine.append(STREAM, 0)
    machine.ask(DeleteStream(STREAM, "any", tombstone=True))
    assert positions(machine.read(token)) == ["caught up"]
    machine.say(token, Credit(1))
    assert positions(machine.read(token)) == ["stream_deleted"]


# --- links, and the end ----------------------------------------------------------------------------------------------


def test_d_links_are_resolved_when_sent_and_those_of_gone_targets_are_marked(machine: Machine) -> None:
    machine.append(STREAM, 0, 3)
    machine.ask(Append(f"$${STREAM}", "any", (event(900, type="$metadata", data=b'{"$tb":1}'),)))
    token = subscribe(machine, "links", resolve_links=True)
    for number in range(2):
        machine.ask(Append("links", "any", (NewEvent("$>", b"%d@order-1" % number),)))
    _, gone, found = machine.read(token)
    assert isinstance(gone, UnresolvedLink)
    assert (found.stream_name, found.stream_position, found.link.stream_position) == (STREAM, 1, 1)


def test_b_a_cancelled_subscription_is_forgotten(machine: Machine) -> None:
    tokens = [subscribe(machine), subscribe(machine)]
    for token in tokens:
        machine.taken(token)
    machine.node.cancelled(tokens[0], machine.now)
    machine.append(STREAM, 0)
    assert machine.taken(tokens[0]) == []
    assert numbers(machine.read(tokens[1])) == [0]

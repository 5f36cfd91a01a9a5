"""Catch-up subscriptions to `$all`, filters and checkpoints (docs/facts/eventstore.md §B)."""

from typing import Any

import pytest

from mqverify.simulation.eventstore.protocol import (
    AllFilter,
    Append,
    CheckpointReached,
    Credit,
    DeleteStream,
    SubscribeAll,
)
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.harness import STREAM, Machine, event, events, ids

WANTED = AllFilter("^Wanted$")


@pytest.fixture
def machine() -> Machine:
    return Machine(subscription_window=64)


def subscribe(machine: Machine, **options: Any) -> int:
    return machine.open(SubscribeAll(**options))


def write(machine: Machine, *kinds: str, first: int = 0) -> None:
    """One event for each kind, whose id is its place."""
    for number, kind in enumerate(kinds, first):
        machine.ask(Append(STREAM, "any", (event(number, type=kind),)))


def seen(machine: Machine, token: int, credit: bool = True) -> list[int | str]:
    """Ids of events; `c` and the id of the record at a checkpoint; what else was said."""
    at = {record.commit_position: record.id.int for record in machine.log.records}
    told: list[int | str] = []
    for found in machine.read(token, credit):
        if isinstance(found, CheckpointReached):
            told.append(f"c{at[found.position]}")
        else:
            told.append(found if isinstance(found, str) else found.id.int)
    return told


def test_b_order_is_that_of_the_log_over_all_streams(machine: Machine) -> None:
    token = subscribe(machine)
    for number in range(20):
        machine.append(f"order-{number % 3}", number)
    assert seen(machine, token) == ["caught up", *range(20)]
    assert seen(machine, subscribe(machine)) == [*range(20), "caught up"]


def test_b_positions_of_subscriptions_are_exclusive_and_must_be_those_of_records(machine: Machine) -> None:
    machine.append(STREAM, 0, 5)
    third = machine.log.records[2].commit_position or 0
    assert seen(machine, subscribe(machine, after=third)) == [3, 4, "caught up"]
    assert seen(machine, subscribe(machine, after=0)) == [0, 1, 2, 3, 4, "caught up"]
    for wrong in (third - 1, third + 1, machine.log.end_position + 1):
        [failed] = machine.taken(subscribe(machine, after=wrong))
        assert (failed.reason, failed.details) == ("invalid_position", "Trying to read from an invalid position.")


def test_b_from_end_is_only_what_is_new(machine: Machine) -> None:
    machine.append(STREAM, 0, 5)
    token = subscribe(machine, from_end=True)
    machine.append(STREAM, 5)
    assert seen(machine, token) == ["caught up", 5]


def test_b_a_slow_consumer_falls_back_to_history_and_misses_nothing(machine: Machine) -> None:
    token = subscribe(machine)
    machine.append(STREAM, 0, 64)
    machine.append(STREAM, 64, 33)
    assert seen(machine, token, credit=False) == ["caught up", *range(64)]
    machine.append(STREAM, 97, 3)
    machine.say(token, Credit(64))
    assert seen(machine, token) == [*range(64, 100), "caught up"]


def test_c3_expired_truncated_and_deleted_events_are_still_delivered(machine: Machine) -> None:
    machine.append(STREAM, 0, 5)
    data = b'{"$maxAge":1,"$maxCount":1}'
    machine.ask(Append(f"$${STREAM}", "any", (event(5, type="$metadata", data=data),)))
    machine.append("order-2", 6)
    machine.ask(DeleteStream("order-2", "any", tombstone=True))
    machine.wait(10 * SECOND)
    *told, tombstone, caught_up = machine.read(subscribe(machine))
    assert ids(told) == [0, 1, 2, 3, 4, 5, 6]
    assert (tombstone.type, caught_up) == ("$streamDeleted", "caught up"), "a tombstone ends nothing here"


def test_b_the_default_filter_hides_what_groups_on_all_write(machine: Machine) -> None:
    names = ["$persistentsubscription-$all::g-checkpoint", "$persistentsubscription-$all::g-parked"]
    for number, name in enumerate([*names, "$persistentsubscription-orders::g-parked"]):
        machine.append(name, number)
    token = subscribe(machine)
    machine.append(names[0], 3)
    assert seen(machine, token) == [2, "caught up"]


# --- filters and checkpoints -----------------------------------------------------------------------------------------


def test_b_filters_apply_to_history_and_to_live_events(machine: Machine) -> None:
    write(machine, "Wanted", "Other", "Wanted")
    token = subscribe(machine, filter=WANTED)
    write(machine, "Other", "Wanted", first=3)
    assert [found for found in seen(machine, token) if isinstance(found, int)] == [0, 2, 4]


def test_b_checkpoints_only_with_a_filter(machine: Machine) -> None:
    machine.append(STREAM, 0, 20)
    assert seen(machine, subscribe(machine, checkpoint_interval=5)) == [*range(20), "caught up"]
    assert "c4" in seen(machine, subscribe(machine, checkpoint_interval=5, filter=AllFilter(".")))


def test_b_one_checkpoint_each_interval_of_considered_events_and_one_when_going_live(machine: Machine) -> None:
    write(machine, *["Other"] * 10, "Wanted", "Other")
    token = subscribe(machine, filter=WANTED, checkpoint_interval=4)
    assert seen(machine, token) == ["c3", "c7", 10, "c11", "caught up"], "the twelfth is due, and also the last"
    write(machine, *["Other"] * 9, first=12)
    assert seen(machine, token) == ["c15", "c19"]


def test_b_checkpoints_are_strictly_increasing_and_never_told_twice(machine: Machine) -> None:
    write(machine, *["Other"] * 6)
    token = subscribe(machine, filter=WANTED, checkpoint_interval=4)
    assert seen(machine, token) == ["c3", "c5", "caught up"]
    machine.append(STREAM, 6, 70)
    told = [found for found in seen(machine, token) if isinstance(found, str)]
    places = [int(found[1:]) for found in told]
    assert places == sorted(set(places))
    assert places[-1] >= 73


def test_b_a_quiet_tail_gets_no_checkpoint(machine: Machine) -> None:
    token = subscribe(machine, filter=WANTED, checkpoint_interval=150)
    assert seen(machine, token) == ["caught up"], "nothing was considered"
    write(machine, *["Other"] * 149)
    assert seen(machine, token) == []
    write(machine, "Other", first=149)
    assert seen(machine, token) == ["c149"]


def test_b_a_checkpoint_is_behind_all_that_was_sent_before_it(machine: Machine) -> None:
    """So resuming after it misses nothing (the bug of #4970)."""
    write(machine, *["Wanted", "Other", "Wanted", "Wanted", "Other"] * 20)
    wanted = ids(record for record in machine.log.records if record.type == "Wanted")
    token = subscribe(machine, filter=WANTED, checkpoint_interval=7)
    told = machine.read(token)
    for index, found in enumerate(told):
        if isinstance(found, CheckpointReached):
            before = [each.id.int for each in told[:index] if hasattr(each, "id")]
            resumed = subscribe(machine, filter=WANTED, after=found.position)
            after = [each.id.int for each in machine.read(resumed) if hasattr(each, "id")]
            assert before + after == wanted


def test_b_a_filtered_slow_consumer_falls_back_by_what_it_wants(machine: Machine) -> None:
    """The live queue counts events that it wants; others do not fill it."""
    token = subscribe(machine, filter=WANTED, checkpoint_interval=10_000)
    write(machine, *["Wanted"] * 64)
    write(machine, *["Other", "Wanted"] * 32, first=64)
    assert len(seen(machine, token, credit=False)) == 65
    machine.say(token, Credit(64))
    assert seen(machine, token) == list(range(65, 128, 2)), "still live"
    write(machine, *["Wanted"] * 64, first=128)
    machine.taken(token)
    write(machine, *["Other", "Wanted"] * 33, first=192)
    machine.say(token, Credit(64))
    assert seen(machine, token) == [*range(193, 258, 2), "c257", "caught up"]


def test_b_a_cancelled_subscription_is_forgotten(machine: Machine) -> None:
    token = subscribe(machine)
    machine.taken(token)
    machine.node.cancelled(token, machine.now)
    machine.ask(Append(STREAM, "any", events(0, 1)))
    assert machine.taken(token) == []

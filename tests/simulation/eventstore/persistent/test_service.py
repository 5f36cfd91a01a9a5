"""The service on a real log: requests, durable state, restarts, `$all`, links (docs/facts/eventstore.md §A, §D)."""

import json
from typing import Any

import pytest

from mqverify.simulation.eventstore.log import LINK
from mqverify.simulation.eventstore.persistent.sources import AllSource
from mqverify.simulation.eventstore.persistent.subscription import Page, Quirks
from mqverify.simulation.eventstore.protocol import (
    AllFilter,
    Confirmed,
    CreateGroup,
    DeleteGroup,
    Done,
    Events,
    Failed,
    GroupSettings,
    InfoOfGroup,
    ListGroups,
    ReadGroup,
    ReplayParked,
    UpdateGroup,
)
from mqverify.simulation.eventstore.records import UnresolvedLink
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.persistent.service_bench import Bench

PARKED = "$persistentsubscription-orders::billing-parked"
CHECKPOINTS = "$persistentsubscription-orders::billing-checkpoint"


def settings(**changes: Any) -> GroupSettings:
    return GroupSettings(**{"strategy": "RoundRobin", **changes})


def with_group(**changes: Any) -> Bench:
    bench = Bench()
    bench.create(**changes)
    return bench


def reasons(answers: list[Any]) -> list[str]:
    return [answer.reason for answer in answers if isinstance(answer, Failed)]


# -- requests ----------------------------------------------------------------------------------------------------------


def test_a_consumer_is_confirmed_by_stream_and_group_and_then_gets_events_with_retry_count_0() -> None:
    bench = with_group()
    bench.append("1", "2")
    bench.run(0.01)
    [first, second] = bench.ask(ReadGroup("orders", "billing", 10), "A")
    assert first == Confirmed("orders::billing")
    assert isinstance(second, Events)
    assert [(event.data, event.retry_count) for event in second.events] == [(b"1", 0), (b"2", 0)]


def test_a_group_on_all_is_confirmed_as_such() -> None:
    bench = with_group(stream=None)
    assert bench.ask(ReadGroup(None, "billing", 10), "A")[0] == Confirmed("$all::billing")


def test_what_does_not_exist_is_refused() -> None:
    bench = with_group()
    for request in (
        ReadGroup("orders", "other", 10),
        UpdateGroup("other", "billing", settings()),
        DeleteGroup(None, "billing"),
        ReplayParked("orders", "other"),
        InfoOfGroup("orders", "other"),
    ):
        assert reasons(bench.ask(request)) == ["group_not_found"]


def test_a_group_is_created_once() -> None:
    bench = Bench()
    create = CreateGroup("orders", "billing", settings())
    assert bench.ask(create) == [Done()]
    assert reasons(bench.ask(create)) == ["group_exists"]


@pytest.mark.parametrize("wrong", [{"strategy": "Nearest"}, {"read_batch_size": 500, "history_buffer_size": 500}])
def test_a1_settings_that_the_server_cannot_run_fail(wrong: dict[str, Any]) -> None:
    assert reasons(Bench().ask(CreateGroup("orders", "billing", settings(**wrong)))) == ["group_failed"]


def test_a1_no_more_than_max_subscriber_count() -> None:
    bench = with_group(max_subscriber_count=1)
    bench.join("A")
    assert reasons(bench.ask(ReadGroup("orders", "billing", 10), "B")) == ["maximum_subscribers"]
    bench.service.cancelled("A", bench.kernel.now)
    assert reasons(bench.ask(ReadGroup("orders", "billing", 10), "C")) == []


def test_info_and_list() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.create(stream=None)
    bench.append("1", "2", "3")
    bench.join("A")
    bench.run(0.01)
    first, *_ = bench.received("A")
    bench.ack("A", first)
    bench.run(0.01)
    [info] = bench.ask(InfoOfGroup("orders", "billing"))
    assert (info.status, info.total_items, info.outstanding, info.in_flight, info.consumers) == ("Live", 3, 2, 2, 1)
    assert (info.last_checkpointed, info.last_known, info.live_buffer_count, info.parked) == ("0", "2", 3, 0)
    assert [group.stream for group in bench.ask(ListGroups())[0]] == ["orders", None]
    assert [group.stream for group in bench.ask(ListGroups("orders", False))[0]] == ["orders"]
    assert bench.ask(ListGroups("other", False)) == [()]


def test_info_of_a_group_that_reads_history() -> None:
    bench = Bench()
    bench.append("1", "2", "3")
    bench.service.handle(CreateGroup("orders", "billing", settings()), "client", 0)
    seen = []
    for _ in range(50):
        info = bench.service.info("orders", "billing")
        assert info is not None
        seen.append((info.status, info.last_known, info.read_buffer_count))
        bench.run(0.00002)
    assert list(dict.fromkeys(seen)) == [
        ("NotReady", "", 0),
        ("Behind, OutstandingPageRequest", "", 0),
        ("Live", "2", 3),
    ]


# -- durable state -----------------------------------------------------------------------------------------------------


def test_a1_checkpoints_are_events_of_their_own_stream() -> None:
    bench = with_group(max_checkpoint_count=2)
    bench.join("A")
    bench.append("1", "2")
    bench.run(0.01)
    bench.ack("A", *bench.received("A"))
    bench.run(0.01)
    [event] = bench.stream(CHECKPOINTS)
    assert (event.type, event.data) == ("$SubscriptionCheckpoint", b'"1"')


def test_a6_the_writer_ignores_a_write_while_another_is_under_way() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1", "2", "3")
    bench.run(0.01)
    for event in bench.received("A"):
        bench.ack("A", event)
    bench.run(0.01)
    assert bench.checkpoints() == ["0"], "and nothing more, though everything counts as checkpointed"
    bench.run(60)
    assert bench.checkpoints() == ["0"]


def test_a6_after_a_restart_all_behind_the_written_checkpoint_comes_again_acked_or_not_with_retry_count_0() -> None:
    bench = with_group(max_checkpoint_count=2)
    bench.join("A")
    bench.append("1", "2", "3", "4")
    bench.run(0.01)
    one, two, three, _ = bench.received("A")
    bench.nack("A", "retry", three)
    bench.run(0.01)
    bench.ack("A", one, two, three)
    bench.run(0.01)
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    bench.join("B")
    bench.run(0.01)
    [received] = [answer.events for told, answer in bench.answers if told == "B" and isinstance(answer, Events)]
    assert [(event.data, event.retry_count) for event in received] == [(b"4", 0)]
    assert bench.checkpoints() == ["2"]


def test_a6_fewer_than_min_checkpoint_count_come_again_after_any_time() -> None:
    bench = with_group()
    bench.join("A")
    bench.append(*"123456789")
    bench.run(0.01)
    bench.ack("A", *bench.received("A"))
    bench.run(3600)
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    bench.join("B")
    bench.run(0.01)
    assert bench.data("B") == list("123456789")


def test_a6_a_restart_loses_a_checkpoint_that_is_not_written_yet() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.ack("A", *bench.received("A"))
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    assert bench.checkpoints() == []


def test_a9_from_the_end_a_restart_before_the_first_checkpoint_starts_at_the_new_end() -> None:
    bench = with_group(from_end=True)
    bench.append("missed")
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    bench.append("new")
    bench.join("A")
    bench.run(2)
    assert bench.data("A") == ["new"]


def test_a1_groups_survive_a_restart_with_their_settings_and_deleted_ones_do_not_come_back() -> None:
    bench = with_group(filter=AllFilter("^P"), stream=None, message_timeout=7 * SECOND)
    bench.create("orders", "gone")
    bench.ask(DeleteGroup("orders", "gone"))
    before = bench.service.info(None, "billing")
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    after = bench.service.info(None, "billing")
    assert before is not None
    assert after is not None
    assert before.settings == after.settings
    assert bench.service.info("orders", "gone") is None


def test_a7_update_drops_consumers_and_goes_on_from_the_checkpoint() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1", "2")
    bench.run(0.01)
    bench.ack("A", bench.received("A")[0])
    bench.run(0.01)
    assert bench.ask(UpdateGroup("orders", "billing", settings(max_retry_count=3))) == [Done()]
    assert reasons([answer for told, answer in bench.answers if told == "A"]) == ["group_dropped"]
    bench.join("B")
    bench.run(0.01)
    assert [(event.data, event.retry_count) for event in bench.received("B")] == [(b"2", 0)]


def test_update_keeps_the_filter_of_all() -> None:
    bench = with_group(stream=None, filter=AllFilter("^Placed$"))
    bench.ask(UpdateGroup(None, "billing", settings(filter=AllFilter("^Other$"))))
    info = bench.service.info(None, "billing")
    assert info is not None
    assert info.settings.filter == AllFilter("^Placed$")


def test_a7_delete_drops_consumers_and_deletes_checkpoint_and_parked_messages() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.nack("A", "park", *bench.received("A"))
    bench.run(0.01)
    assert bench.ask(DeleteGroup("orders", "billing")) == [Done()]
    assert reasons([answer for told, answer in bench.answers if told == "A"]) == ["group_dropped"]
    for name in (PARKED, CHECKPOINTS):
        assert isinstance(bench.log.read_stream(name, None, 1, bench.kernel.now), Failed)
    bench.create()
    bench.join("B")
    bench.run(2)
    assert bench.data("B") == ["1"]


# -- settling ----------------------------------------------------------------------------------------------------------


def test_a7_a_consumer_whose_call_ends_has_its_messages_retried_at_once_elsewhere() -> None:
    bench = with_group()
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.join("B")
    bench.service.cancelled("A", bench.kernel.now)
    bench.run(0.01)
    assert [(event.data, event.retry_count) for event in bench.received("B")] == [(b"1", 1)]


def test_a7_case_4_an_ack_on_a_call_that_is_over_is_lost() -> None:
    bench = with_group()
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    received = bench.received("A")
    bench.service.cancelled("A", bench.kernel.now)
    bench.join("B")
    bench.run(0.01)
    bench.ack("A", *received)
    info = bench.service.info("orders", "billing")
    assert info is not None
    assert info.outstanding == 1


def test_a1_timeouts_are_seen_by_a_tick_each_second_at_a_phase_of_its_own() -> None:
    phases = set()
    for seed in range(5):
        bench = Bench(seed=seed)
        bench.create(message_timeout=5 * SECOND)
        bench.join("A", slots=1)
        bench.append("1")
        bench.run(0.001)
        pushed_at = bench.kernel.now
        assert bench.data("A") == ["1"]
        bench.run(4.9)
        while not bench.received("A"):
            bench.run(0.001)
        assert 4.9 * SECOND <= bench.kernel.now - pushed_at <= 6 * SECOND
        phases.add((bench.kernel.now - pushed_at) // 10_000_000)
    assert len(phases) > 1


def test_an_idle_group_asks_for_no_timer_at_all() -> None:
    bench = with_group(min_checkpoint_count=1)
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.ack("A", *bench.received("A"))
    bench.run(60)
    assert bench.checkpoints() == ["0"]
    fired = bench.timers.fired
    bench.run(8 * 86400)
    assert bench.timers.fired == fired


# -- parking -----------------------------------------------------------------------------------------------------------


def test_a5_a_parked_message_is_a_link_with_the_reason_in_its_metadata() -> None:
    bench = with_group()
    bench.join("A")
    bench.append("1", "2")
    bench.run(0.01)
    bench.nack("A", "park", bench.received("A")[1], reason="bad")
    bench.run(0.01)
    [link] = bench.stream(PARKED)
    metadata = json.loads(link.metadata)
    assert (link.type, link.data) == (LINK, b"1@orders")
    assert metadata["reason"] == "Client explicitly NAK'ed message.\nbad"
    assert metadata["subscriptionEventNumber"] == 1
    assert metadata["added"].startswith("2026-01-01T00:00:00")


def test_a5_the_park_is_in_the_log_before_the_checkpoint_that_passes_it() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.nack("A", "park", *bench.received("A"))
    bench.run(0.01)
    names = [record.stream_name for record in bench.log.records]
    assert names.index(PARKED) < names.index(CHECKPOINTS)


def test_a5_replay_delivers_what_was_parked_with_its_link_and_empties_the_parked_stream_before_any_ack() -> None:
    bench = with_group()
    bench.join("A")
    bench.append("1", "2")
    bench.run(0.01)
    bench.nack("A", "park", *bench.received("A"))
    bench.run(0.01)
    links = bench.stream(PARKED)
    assert bench.ask(ReplayParked("orders", "billing")) == [Done()]
    received = bench.received("A")
    assert [(event.data, event.retry_count) for event in received] == [(b"1", 0), (b"2", 0)]
    assert [event.link for event in received] == links
    assert bench.log.read_stream(PARKED, None, 10, bench.kernel.now) == []
    info = bench.service.info("orders", "billing")
    assert info is not None
    assert (info.parked, info.outstanding) == (0, 2)


def test_h10_a_restart_after_the_replay_and_before_the_ack_loses_what_was_parked() -> None:
    bench = with_group(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.nack("A", "park", *bench.received("A"))
    bench.run(0.01)
    bench.ask(ReplayParked("orders", "billing"))
    assert bench.data("A") == ["1"]
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    bench.join("B")
    bench.ask(ReplayParked("orders", "billing"))
    bench.run(100)
    assert bench.data("B") == []


def test_a5_a_second_replay_while_one_runs_is_ignored_and_pages_are_read_to_the_end() -> None:
    bench = with_group(read_batch_size=10)
    bench.join("A")
    bench.append(*[str(number) for number in range(25)])
    bench.run(0.01)
    bench.nack("A", "park", *bench.received("A"))
    bench.run(0.05)
    for token in ("x", "y"):
        bench.service.handle(ReplayParked("orders", "billing"), token, bench.kernel.now)
    bench.run(0.05)
    assert bench.data("A") == [str(number) for number in range(25)]


def test_a5_replay_leaves_out_what_does_not_resolve_any_more() -> None:
    bench = with_group()
    bench.join("A")
    bench.append("1", "2")
    bench.run(0.01)
    bench.nack("A", "park", *bench.received("A"))
    bench.run(0.01)
    bench.log.delete("orders", "any", bench.kernel.now)
    bench.append("3")  # it exists again, from number 2 on
    bench.run(0.01)
    assert bench.data("A") == ["3"]
    bench.ask(ReplayParked("orders", "billing"))
    assert bench.data("A") == []
    assert bench.log.read_stream(PARKED, None, 10, bench.kernel.now) == []


# -- links and $all ----------------------------------------------------------------------------------------------------


def with_links(**changes: Any) -> Bench:
    bench = with_group(stream="$ce-order", **changes)
    bench.append("1", stream="order-1")
    bench.append("0@order-1", stream="$ce-order", type=LINK)
    return bench


@pytest.mark.parametrize("late", [False, True])
def test_links_are_resolved_and_acked_by_the_links_own_id(late: bool) -> None:
    bench = with_links(resolve_links=True)
    if late:  # by a read of history instead of at the commit
        bench.run(0.01)
        bench.service.restart(bench.kernel.now)
    bench.join("A", "$ce-order")
    bench.run(1.1)
    [event] = bench.received("A")
    [link] = bench.stream("$ce-order")
    assert (event.data, event.stream_name, event.link, event.retry_count) == (b"1", "order-1", link, 0)
    assert event.ack_id == link.id
    bench.ack("A", event)
    info = bench.service.info("$ce-order", "billing")
    assert info is not None
    assert info.outstanding == 0


def test_links_are_delivered_as_they_are_unless_they_are_to_be_resolved() -> None:
    bench = with_links()
    bench.join("A", "$ce-order")
    bench.run(0.01)
    assert bench.data("A") == ["0@order-1"]


def test_d_h11_a_link_that_does_not_resolve_holds_a_slot_times_out_and_is_parked_as_it_is() -> None:
    bench = with_group(stream="$ce-order", resolve_links=True, message_timeout=SECOND, max_retry_count=1)
    bench.append("0@order-1", stream="$ce-order", type=LINK)
    bench.join("A", "$ce-order")
    bench.run(0.01)
    [event] = bench.received("A")
    assert isinstance(event, UnresolvedLink)
    assert event.retry_count == 0
    info = bench.service.info("$ce-order", "billing")
    assert info is not None
    assert info.in_flight == 1
    bench.run(10)
    assert [type(event) for event in bench.received("A")] == [UnresolvedLink]
    [link] = bench.stream("$persistentsubscription-$ce-order::billing-parked")
    assert link.data == b"0@order-1"


def test_live_links_are_resolved_at_the_commit_and_history_when_it_is_read() -> None:
    bench = with_links(resolve_links=True)
    bench.run(0.01)
    bench.log.delete("order-1", "any", bench.kernel.now)
    bench.join("A", "$ce-order")
    bench.run(0.01)
    assert bench.data("A") == ["1"], "resolved before its source was deleted"
    bench.service.restart(bench.kernel.now)
    bench.join("B", "$ce-order")
    bench.run(1.1)
    assert [type(event) for event in bench.received("B")] == [UnresolvedLink]


def test_a_group_on_all_gets_what_its_filter_lets_through_live_and_from_history() -> None:
    bench = Bench()
    bench.append("1", stream="a")
    bench.append("x", stream="b", type="Noise")
    bench.create(stream=None, filter=AllFilter("^Placed$"))
    bench.join("A", None)
    bench.append("2", stream="c")
    bench.append("y", stream="c", type="Noise")
    bench.run(1.1)
    assert bench.data("A") == ["1", "2"]


def test_a_filtered_group_on_all_reads_on_behind_a_page_that_is_full() -> None:
    bench = Bench()
    for number in range(150):
        bench.append("x", stream="noise", type="Noise")
        bench.append(str(number))
    bench.create(stream=None, filter=AllFilter("^Placed$"))
    bench.join("A", None, slots=1000)
    bench.run(1.1)
    assert bench.data("A") == [str(number) for number in range(150)]


def test_a_page_of_all_without_a_match_ends_where_the_next_record_begins() -> None:
    bench = Bench()
    for _ in range(25):
        bench.append("x", type="Noise")
    positions = [event.commit_position for event in bench.stream("orders")]
    source = AllSource(settings(filter=AllFilter("^Placed$"), max_checkpoint_count=10), bench.log)
    first, second = (source.read(start, 10, False, 0) for start in (0, positions[20] or 0))
    assert isinstance(first, Page)
    assert isinstance(second, Page)
    assert (first.next_position, first.is_end, first.filtered_out) == (positions[10], False, 10)
    assert (second.next_position, second.is_end, second.filtered_out) == (bench.log.end_position, True, 5)


def test_a_group_on_all_writes_checkpoints_in_commit_positions_and_does_not_feed_on_them() -> None:
    bench = with_group(stream=None, max_checkpoint_count=1, min_checkpoint_count=1)
    bench.run(5)
    bench.join("A", None)
    bench.append("1")
    bench.run(0.01)
    bench.ack("A", *bench.received("A"))
    bench.run(5)
    position = bench.stream("orders")[0].commit_position
    assert bench.checkpoints("$all::billing") == [f"C:{position}/P:{position}"]
    assert bench.data("A") == []
    bench.service.restart(bench.kernel.now)
    bench.join("B", None)
    bench.run(5)
    assert bench.data("B") == []


def test_a3_a_group_on_a_tombstoned_stream_is_faulted() -> None:
    bench = with_group()
    bench.append("1")
    bench.log.delete("orders", "any", bench.kernel.now, tombstone=True)
    bench.service.restart(bench.kernel.now)
    bench.run(0.01)
    answers = bench.ask(ReadGroup("orders", "billing", 10), "A")
    assert answers[0] == Confirmed("orders::billing")
    assert reasons(answers) == ["group_dropped"]


def test_a_long_history_is_delivered_once_and_in_order_to_one_consumer() -> None:
    bench = Bench()
    bench.append(*[str(number) for number in range(2000)])
    bench.create()
    bench.join("A", slots=50)
    got: list[str] = []
    for turn in range(400):
        bench.run(0.02)
        received = bench.received("A")
        got += [event.data.decode() for event in received]
        bench.ack("A", *received)
        if turn < 20:
            bench.append(str(2000 + turn))
    assert got == [str(number) for number in range(2020)]


# -- what was inferred -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skip_first", "delivered"), [(False, ["4", "5"]), (True, ["5"])])
def test_a6_inferred_the_first_event_that_retention_left_behind_a_checkpoint_is_skipped(
    skip_first: bool, delivered: list[str]
) -> None:
    bench = Bench(Quirks(faithful_skip_first=skip_first))
    bench.create(max_checkpoint_count=1)
    bench.join("A")
    bench.append("1")
    bench.run(0.01)
    bench.ack("A", *bench.received("A"))
    bench.run(0.01)
    bench.service.restart(bench.kernel.now)
    bench.append("2", "3", "4", "5")
    bench.append('{"$maxCount": 2}', stream="$$orders", type="$metadata")
    bench.join("B")
    bench.run(2)
    assert bench.data("B") == delivered


@pytest.mark.parametrize(("skip_first", "delivered"), [(False, ["2", "3"]), (True, ["3"])])
def test_a6_inferred_the_first_match_behind_a_checkpoint_at_a_filtered_out_event_is_skipped(
    skip_first: bool, delivered: list[str]
) -> None:
    bench = Bench(Quirks(faithful_skip_first=skip_first))
    bench.create(stream=None, filter=AllFilter("^Placed$"), max_checkpoint_count=1)
    bench.append("x", type="Noise")
    bench.run(0.01)
    position = bench.stream("orders")[0].commit_position
    assert bench.checkpoints("$all::billing")[-1] == f"C:{position}/P:{position}"
    bench.service.restart(bench.kernel.now)
    bench.append("2", "3")
    bench.join("B", None)
    bench.run(2)
    assert bench.data("B") == delivered


# -- observers ---------------------------------------------------------------------------------------------------------


def test_observers_are_told_what_is_durable_and_what_took_effect() -> None:
    bench = with_group(max_checkpoint_count=1)
    told: list[tuple[Any, ...]] = []
    observers = bench.service.observers
    observers.on_checkpoint.append(lambda *what: told.append(("checkpoint", *what[:-1])))
    observers.on_park.append(lambda *what: told.append(("park", what[0], what[1], what[2].data, what[3])))
    observers.on_settled.append(lambda *what: told.append(("settled", *what[:-1])))
    bench.join("A")
    bench.append("1", "2")
    bench.run(0.01)
    one, two = bench.received("A")
    bench.ack("A", one)
    bench.ack("A", one)
    bench.nack("A", "park", two, reason="bad")
    assert told == [("settled", "orders", "billing", one.id, "ack", "A"),
                    ("settled", "orders", "billing", two.id, "park", "A")]  # fmt: skip
    bench.run(0.01)
    assert told[2:] == [("checkpoint", "orders", "billing", 0),
                        ("park", "orders", "billing", b"2", "Client explicitly NAK'ed message.\nbad")]  # fmt: skip

"""Reads and subscriptions as they are iterated (docs/facts/eventstore.md §A7, §B, §D, §F5)."""

from typing import Any
from uuid import UUID

import pytest

from mqverify.simulation.eventstore import exceptions
from mqverify.simulation.eventstore.protocol import (
    Ack,
    AllFilter,
    Cancel,
    CaughtUp,
    CheckpointReached,
    Confirmed,
    Credit,
    Events,
    Failed,
    Nack,
    ReadGroup,
    SubscribeAll,
    SubscribeStream,
)
from mqverify.simulation.eventstore.records import RecordedEvent, UnresolvedLink
from mqverify.simulation.kernel import MILLISECOND, SECOND
from tests.simulation.eventstore.canned import URI, World


def recorded(number: int, link: RecordedEvent | None = None) -> RecordedEvent:
    return RecordedEvent("Placed", b"", b"", "", UUID(int=number + 1), "s", number, 160 + number, None, 0, link, 0)


def events(*numbers: int) -> Events:
    return Events([recorded(number) for number in numbers])


CONFIRMED = {SubscribeStream: "some-id", SubscribeAll: "some-id", ReadGroup: "s::g"}


def confirming(*answers: Any) -> World:
    """A world whose node confirms a subscription and goes on with `answers`."""

    def answer(request: Any) -> list[Any]:
        confirmed = CONFIRMED.get(type(request))
        return [] if confirmed is None else [Confirmed(confirmed), *answers]

    return World(answer)


def to_stream(library: Any, **named: Any) -> Any:
    return library.EventStoreDBClient(URI).subscribe_to_stream("s", **named)


def to_group(library: Any, **named: Any) -> Any:
    return library.EventStoreDBClient(URI).read_subscription_to_stream("g", "s", **named)


OPENERS = [to_stream, to_group]


def positions(subscription: Any, count: int) -> list[int]:
    return [next(subscription).stream_position for _ in range(count)]


# -- all of them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_iterating_blocks_until_an_event_comes(open_subscription: Any) -> None:
    world = confirming()

    def application(library: Any) -> None:
        subscription = open_subscription(library)
        world.kernel.call_at(7 * SECOND, lambda: world.push(world.tokens[0], events(0, 1)))
        assert positions(subscription, 1) == [0]
        assert 7 <= world.seconds < 7.001
        before = world.seconds
        assert positions(subscription, 1) == [1]
        assert world.seconds == before

    world.run(application)


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_stop_ends_another_tasks_iteration_and_loses_what_was_not_taken(open_subscription: Any) -> None:
    world = confirming(events(0, 1, 2))
    seen: list[int] = []

    def application(library: Any) -> None:
        subscription = open_subscription(library)
        assert positions(subscription, 1) == [0]
        subscription.stop()
        assert list(subscription) == []
        waiting = open_subscription(library)
        positions(waiting, 3)
        library.process.spawn(lambda: seen.append(len(list(waiting))))
        world.sleep(1)
        waiting.stop()
        world.sleep(1)

    world.run(application)
    assert seen == [0]
    assert len(world.of(Cancel)) == 2


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_f5_a_broken_call_raises_and_nothing_reconnects(open_subscription: Any) -> None:
    world = confirming()

    def application(library: Any) -> None:
        subscription = open_subscription(library)
        world.push(world.tokens[0], events(0, 1), Failed("unavailable", "broken"))
        world.sleep(1)
        for _ in range(2):  # what had arrived before the connection broke is lost, and it stays broken
            with pytest.raises(exceptions.ServiceUnavailable, match="broken"):
                next(subscription)
        world.sleep(10)

    world.run(application)
    assert len(world.received) == 1


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_what_arrived_before_the_node_ended_the_call_is_handed_out(open_subscription: Any) -> None:
    world = confirming(events(0, 1), Failed("group_dropped", "was dropped"))

    def application(library: Any) -> None:
        subscription = open_subscription(library)
        assert positions(subscription, 2) == [0, 1]
        with pytest.raises(exceptions.GrpcError, match="was dropped"):
            next(subscription)

    world.run(application)


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_a_timeout_is_for_the_whole_subscription(open_subscription: Any) -> None:
    world = confirming(events(0))

    def application(library: Any) -> None:
        subscription = open_subscription(library, timeout=2.0)
        assert positions(subscription, 1) == [0]
        with pytest.raises(exceptions.GrpcDeadlineExceeded):
            next(subscription)

    world.run(application)
    assert world.seconds == 2.0


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_closing_the_client_ends_its_subscriptions(open_subscription: Any) -> None:
    world = confirming(events(0))

    def application(library: Any) -> None:
        with library.EventStoreDBClient(URI) as client:
            library.EventStoreDBClient = lambda uri: client
            subscription = open_subscription(library)
        assert list(subscription) == []

    world.run(application)


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_opening_is_tried_again_on_a_new_connection(open_subscription: Any) -> None:
    left: list[Any] = [Failed("unavailable"), Confirmed("s::g")]
    world = World(lambda request: [left.pop(0), events(5)])
    world.run(lambda library: positions(open_subscription(library), 1))
    assert len(world.received) == 2


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_a_first_answer_that_confirms_nothing_is_refused(open_subscription: Any) -> None:
    world = World(lambda request: [events(0)])
    with pytest.raises(exceptions.EventStoreDBClientException, match="Expected subscription confirmation"):
        world.run(open_subscription)


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_d_links_whose_target_is_gone_vanish(open_subscription: Any) -> None:
    gone = UnresolvedLink.of(recorded(1))
    world = confirming(Events([recorded(0), gone, recorded(2)]))
    assert world.run(lambda library: positions(open_subscription(library), 2)) == [0, 2]


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_a_killed_consumer_acts_no_more(open_subscription: Any) -> None:
    world = confirming(events(0, 1))
    seen: list[Any] = []

    def application(library: Any) -> None:
        with open_subscription(library) as subscription:
            try:
                for event in subscription:
                    seen.append(event.stream_position)
                    if event.stream_position == 1:
                        library.process.kill()
            finally:
                seen.extend(event for event in subscription)

    world.start(application)
    world.kernel.run()
    world.kernel.seal()
    assert seen == [0, 1]
    assert not world.of(Ack)


@pytest.mark.parametrize("open_subscription", OPENERS)
def test_a_paused_consumer_goes_on_with_what_arrived(open_subscription: Any) -> None:
    world = confirming(events(0))
    seen: list[tuple[int, float]] = []

    def application(library: Any) -> None:
        seen.extend((event.stream_position, round(world.seconds, 1)) for event in open_subscription(library))

    process = world.start(application)
    world.kernel.call_at(1 * SECOND, process.pause)
    world.kernel.call_at(2 * SECOND, lambda: world.push(world.tokens[0], events(1)))
    world.kernel.call_at(5 * SECOND, process.resume)
    world.kernel.call_at(6 * SECOND, world.kernel.stop)
    world.kernel.run()
    assert seen == [(0, 0.0), (1, 5.0)]


# -- reads and catch-up ------------------------------------------------------------------------------------------------


def test_a_read_ends_after_its_answer() -> None:
    world = World(lambda request: [events(0, 1, 2)])

    def application(library: Any) -> list[int]:
        with library.EventStoreDBClient(URI).read_stream("s") as response:
            return [event.stream_position for event in response] + [event.stream_position for event in response]

    assert world.run(application) == [0, 1, 2]
    assert not world.of(Cancel)


@pytest.mark.parametrize("wanted", [False, True])
def test_b_caught_up_and_checkpoints_come_only_if_asked_for(wanted: bool) -> None:
    world = confirming(events(0), CaughtUp(), CheckpointReached(500), events(1))

    def application(library: Any) -> list[str]:
        client = library.EventStoreDBClient(URI)
        words = []
        for event in client.subscribe_to_all(include_caught_up=wanted, include_checkpoints=wanted):
            words.append("caught up" if event.is_caught_up else "checkpoint" if event.is_checkpoint else "event")
            if event.stream_position == 1:
                break
            assert not event.is_checkpoint or event.commit_position == 500
        return words

    between = ["caught up", "checkpoint"] if wanted else []
    assert world.run(application) == ["event", *between, "event"]


def test_b_where_subscriptions_start() -> None:
    world = confirming()

    def application(library: Any) -> None:
        client = library.EventStoreDBClient(URI)
        client.subscribe_to_stream("s")
        client.subscribe_to_stream("s", stream_position=4, from_end=True, resolve_links=True)
        client.subscribe_to_stream("s", from_end=True)
        client.subscribe_to_all(filter_exclude=(), commit_position=9, window_size=10, checkpoint_interval_multiplier=2)
        client.subscribe_to_all(filter_include=("A", "B"), filter_by_stream_name=True)

    world.run(application)
    assert world.of(SubscribeStream) == [
        SubscribeStream("s"),
        SubscribeStream("s", 4, False, True),
        SubscribeStream("s", None, True),
    ]
    assert world.of(SubscribeAll) == [
        SubscribeAll(9, checkpoint_interval=20),
        SubscribeAll(filter=AllFilter("^A|B$", by_stream_name=True)),
    ]


def test_credit_is_given_for_each_half_window_that_was_taken() -> None:
    world = confirming(events(*range(64)))

    def application(library: Any) -> None:
        subscription = to_stream(library)
        positions(subscription, 31)
        world.sleep(1)
        assert not world.of(Credit)
        positions(subscription, 33)
        world.sleep(1)

    world.run(application)
    assert world.of(Credit) == [Credit(32), Credit(32)]


# -- persistent subscriptions ------------------------------------------------------------------------------------------


def test_acks_name_the_link_where_one_was_resolved() -> None:
    world = confirming(Events([recorded(0, link=recorded(7))]))

    def application(library: Any) -> None:
        with to_group(library) as subscription:
            event = next(subscription)
            subscription.ack(event)
            subscription.ack(event.id)
            subscription.nack(event, "park")

    world.run(application)
    assert world.of(ReadGroup) == [ReadGroup("s", "g", 150)]
    assert world.of(Ack) == [Ack((UUID(int=8), UUID(int=1)))]
    assert world.of(Nack) == [Nack((UUID(int=8),), "park")]


def test_stop_sends_what_is_held_and_waits_its_grace() -> None:
    world = confirming(events(0))

    def application(library: Any) -> float:
        subscription = to_group(library, stopping_grace=0.5)
        subscription.ack(next(subscription))
        before = world.seconds
        subscription.stop()
        subscription.ack(UUID(int=9))
        subscription.stop()
        return world.seconds - before

    assert world.run(application) == pytest.approx(0.5)
    world.kernel.run()
    assert [type(request) for _, request in world.received] == [ReadGroup, Ack, Cancel]


def test_a_killed_consumer_loses_the_acks_that_it_held() -> None:
    world = confirming(events(*range(60)))

    def application(library: Any) -> None:
        subscription = to_group(library)
        for event in subscription:
            subscription.ack(event)

    process = world.start(application)
    world.kernel.call_at(100 * MILLISECOND, process.kill)
    world.kernel.run()
    assert [len(request.ids) for request in world.of(Ack)] == [50]


def test_acks_leave_with_the_next_beat() -> None:
    world = confirming(events(0, 1))

    def application(library: Any) -> None:
        subscription = to_group(library)
        subscription.ack(next(subscription))
        world.sleep(0.55)
        subscription.ack(next(subscription))
        world.sleep(1)

    world.run(application)
    sent = [at for at, request in world.received if isinstance(request, Ack)]
    assert [round(at, 2) for at in sent] == [0.2, 0.6]


def test_an_idle_consumer_costs_nothing() -> None:
    world = confirming(events(0))

    def application(library: Any) -> None:
        subscription = to_group(library)
        subscription.ack(next(subscription))
        next(subscription)

    week = 7 * 24 * 3600 * SECOND
    world.start(application)
    world.kernel.call_at(week, world.kernel.stop)
    world.kernel.run()
    assert world.kernel.now == week
    assert world.kernel._order < 20, "events were made while nothing happened"


def test_stopping_after_the_call_broke_takes_five_seconds_if_acks_were_held() -> None:
    """gRPC's thread that iterates the requests ends when it has something to send on a call that is over.

    So it never tells that it stopped, and `SubscriptionReadReqs.stop` waits its 5 s for it (measured).
    """
    world = confirming(events(0))

    def application(library: Any, acks: bool) -> float:
        subscription = to_group(library)
        event = next(subscription)
        world.push(world.tokens[-1], Failed("unavailable"))
        with pytest.raises(exceptions.ServiceUnavailable):
            next(subscription)
        if acks:
            subscription.ack(event)
        before = world.seconds
        subscription.stop()
        return world.seconds - before

    assert world.run(lambda library: application(library, False), "idle") == pytest.approx(0.2)
    assert world.run(lambda library: application(library, True), "with an ack") == pytest.approx(5.0)
    assert not world.of(Ack)


def test_what_is_no_id_breaks_the_subscription() -> None:
    world = confirming(events(0))

    def application(library: Any) -> None:
        subscription = to_group(library)
        subscription.ack("no id")
        with pytest.raises(exceptions.ExceptionIteratingRequests) as caught:
            next(subscription)
        assert "'no id' is not a UUID" in str(caught.value.__cause__)
        with pytest.raises(AssertionError):
            subscription.nack(UUID(int=1), "forget")

    world.run(application)


def test_a_confirmation_of_another_group_is_refused() -> None:
    world = World(lambda request: [Confirmed("s::other")])
    with pytest.raises(exceptions.SubscriptionConfirmationError):
        world.run(to_group)

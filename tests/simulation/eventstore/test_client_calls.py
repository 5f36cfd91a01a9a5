"""Calls with one answer: what is sent, how often, and what is raised (docs/facts/eventstore.md §C1, §F2)."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from mqverify.simulation.eventstore import exceptions
from mqverify.simulation.eventstore.protocol import (
    Append,
    Appended,
    Cancel,
    CreateGroup,
    DeleteStream,
    Done,
    Failed,
    InfoOfGroup,
    ListGroups,
    ReadStream,
    WrongVersion,
)
from mqverify.simulation.eventstore.subscriptions import StreamState
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.canned import URI, World

ANY = StreamState.ANY


def in_turn(*answers: Any) -> Callable[[Any], Iterable[Any]]:
    """Each request gets the next answer; None is none."""
    left = list(answers)
    return lambda request: [answer for answer in [left.pop(0)] if answer is not None]


def always(answer: Any) -> Callable[[Any], Iterable[Any]]:
    return lambda request: [answer]


def call(world: World, method: str, /, *arguments: Any, uri: str = URI, **named: Any) -> Any:
    return world.run(lambda library: getattr(library.EventStoreDBClient(uri), method)(*arguments, **named))


def event(number: int = 1) -> Any:
    from mqverify.simulation.eventstore.records import NewEvent

    return NewEvent("Placed", b"{}", id=UUID(int=number))


def raised(world: World, method: str, /, *arguments: Any, **named: Any) -> BaseException:
    with pytest.raises(Exception) as caught:
        call(world, method, *arguments, **named)
    return caught.value


# -- how often ---------------------------------------------------------------------------------------------------------


def test_c1_an_unavailable_node_is_tried_four_times_with_pauses() -> None:
    world = World(always(Failed("unavailable", "gone")))
    error = raised(world, "append_to_stream", "s", current_version=ANY, events=[event()])
    assert isinstance(error, exceptions.ServiceUnavailable)
    assert str(error) == "gone"
    assert len(world.received) == 4
    times = [at for at, _ in world.received]
    assert [round(later - earlier, 1) for earlier, later in pairwise(times)] == [0.1, 0.1, 0.1]
    assert len({request.events for request in world.of(Append)}) == 1


def test_c1_another_grpc_error_is_tried_once_more() -> None:
    world = World(in_turn(Failed("too_large", "Maximum Append Size of 9 Exceeded."), Appended(0, 160)))
    assert call(world, "append_event", "s", current_version=ANY, event=event()) == 160
    assert len(world.received) == 2


def test_c1_what_the_node_decides_is_not_tried_again() -> None:
    world = World(always(WrongVersion(3)))
    assert isinstance(
        raised(world, "append_to_stream", "s", current_version=1, events=event()), exceptions.WrongCurrentVersion
    )
    assert len(world.received) == 1


def test_c1_append_events_multiplies_its_tries() -> None:
    world = World(always(Failed("unavailable")))
    raised(world, "append_events", "s", current_version=ANY, events=[event()])
    assert len(world.received) == 16


def test_c1_a_generators_second_attempt_sends_nothing_and_succeeds() -> None:
    world = World(in_turn(Failed("unavailable"), Appended(None, 7)))
    assert call(world, "append_to_stream", "s", current_version=ANY, events=(event(n) for n in range(3))) == 7
    assert [len(request.events) for request in world.of(Append)] == [3, 0]


def test_a_deadline_leads_to_a_second_attempt() -> None:
    """Measured with esdbclient: a deadline of 0.5 s gave two attempts."""
    world = World(in_turn(None, Appended(0, 160)))
    assert call(world, "append_to_stream", "s", current_version=ANY, events=[event()], timeout=0.5) == 160
    assert [round(at, 1) for at, request in world.received if isinstance(request, Append)] == [0.0, 0.6]


def test_a_deadline_passes_for_good() -> None:
    world = World(lambda request: [])
    error = raised(world, "append_to_stream", "s", current_version=ANY, events=[event()], timeout=0.5)
    assert isinstance(error, exceptions.GrpcDeadlineExceeded)
    assert isinstance(error, exceptions.DeadlineExceeded)
    assert round(world.seconds, 3) == 1.1


def test_the_default_deadline_is_for_writes_alone() -> None:
    def ends(method: str, **named: Any) -> bool:
        world = World(lambda request: [])
        process = world.start(
            lambda library: getattr(library.EventStoreDBClient(f"{URI}&DefaultDeadline=2"), method)(**named)
        )
        world.kernel.call_at(60 * SECOND, world.kernel.stop)
        world.kernel.run()
        return not process.alive

    assert ends("append_event", stream_name="s", current_version=ANY, event=event())
    assert ends("delete_stream", stream_name="s", current_version=ANY)
    assert ends("create_subscription_to_all", group_name="g")
    assert ends("get_projection_statistics", name="$by_category")
    assert not ends("get_stream", stream_name="s")
    assert not ends("get_subscription_info", group_name="g")
    assert not ends("subscribe_to_all")


def test_a_node_that_is_not_ready_is_not_the_leader_to_get_info() -> None:
    world = World(always(Failed("unavailable", "Server Is Not Ready")))
    assert isinstance(raised(world, "get_subscription_info", "g"), exceptions.NodeIsNotLeader)
    assert len(world.received) == 1


def test_a_client_that_discovers_goes_to_the_leader_once() -> None:
    world = World(always(Failed("unavailable", "Server Is Not Ready")))
    uri = "esdb+discover://cluster?Tls=false"
    assert isinstance(raised(world, "list_subscriptions", uri=uri), exceptions.NodeIsNotLeader)
    assert len(world.of(ListGroups)) == 2


def test_reads_are_not_tried_again() -> None:
    world = World(always(Failed("unavailable")))
    with pytest.raises(exceptions.ServiceUnavailable):
        world.run(lambda library: list(library.EventStoreDBClient(URI).read_stream("s")))
    assert len(world.received) == 1


def test_a_closed_client_connects_again() -> None:
    world = World(always(Appended(0, 160)))

    def application(library: Any) -> int:
        with library.EventStoreDBClient(URI) as client:
            pass
        assert client.is_closed
        with pytest.raises(ValueError, match="Cannot invoke RPC: Channel closed!"):
            client.read_stream("s")
        position: int = client.append_event("s", current_version=ANY, event=event())
        assert client.is_closed
        return position

    assert world.run(application) == 160


def test_closing_fails_what_another_task_asks_and_that_is_tried_again() -> None:
    world = World(in_turn(None, Appended(0, 160)))

    def application(library: Any) -> int:
        client = library.EventStoreDBClient(URI)
        library.process.spawn(lambda: (world.sleep(1), client.close()))
        position: int = client.append_event("s", current_version=ANY, event=event())
        return position

    assert world.run(application) == 160
    assert round(world.seconds, 1) == 1.2


# -- what is raised ----------------------------------------------------------------------------------------------------

DELETED = Failed("stream_deleted", "Event stream 's' is deleted.")
TOO_LARGE = Failed("too_large", "Maximum Append Size of 9 Exceeded.")
WRONG = "Delete failed due to WrongExpectedVersion. Stream: s, Expected version: 5, Actual version: "
APPEND_ONE = ("append_to_stream", {"current_version": 5, "events": event()})
APPEND_TWO = ("append_to_stream", {"current_version": 5, "events": [event(1), event(2)]})
DELETE = ("delete_stream", {"current_version": 5})
TOMBSTONE = ("tombstone_stream", {"current_version": 5})


@pytest.mark.parametrize(
    ("how", "answer", "expected", "text"),
    [
        (APPEND_ONE, DELETED, "FailedPrecondition", "Event stream 's' is deleted."),
        (APPEND_TWO, DELETED, "StreamIsDeleted", "Stream 's' is deleted"),
        (DELETE, DELETED, "StreamIsDeleted", "Event stream 's' is deleted."),
        (TOMBSTONE, DELETED, "StreamIsDeleted", "Event stream 's' is deleted."),
        (("get_stream", {}), DELETED, "StreamIsDeleted", ""),
        (("subscribe_to_stream", {}), DELETED, "StreamIsDeleted", ""),
        (APPEND_ONE, WrongVersion(7), "WrongCurrentVersion", "Stream position of last event is 7 not 5"),
        (APPEND_TWO, WrongVersion(7), "WrongCurrentVersion", "Stream position of last event is 7 not 5"),
        (APPEND_TWO, WrongVersion(None), "WrongCurrentVersion", "Stream 's' does not exist"),
        (DELETE, Failed("deleted_wrong_version", WRONG + "-1"), "NotFound", WRONG + "-1"),
        (TOMBSTONE, Failed("deleted_wrong_version", WRONG + "3"), "WrongCurrentVersion", WRONG + "3"),
        (APPEND_ONE, TOO_LARGE, "GrpcError", None),
        (APPEND_TWO, TOO_LARGE, "MaximumAppendSizeExceededError", "Max size is 9"),
        (("get_stream", {}), Failed("stream_not_found"), "NotFound", "Stream 's' not found"),
        (("get_stream", {}), Failed("invalid_position", "Trying to read"), "GrpcError", None),
    ],
)  # fmt: skip
def test_f2_failures_of_streams(how: tuple[str, dict[str, Any]], answer: Any, expected: str, text: str | None) -> None:
    method, arguments = how
    error = raised(World(always(answer)), method, "s", **arguments)
    assert type(error) is getattr(exceptions, expected)
    assert text is None or str(error) == text


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("create_subscription_to_all", Failed("group_exists", "… exists."), "AlreadyExists"),
        ("create_subscription_to_all", Failed("group_failed", "…"), "InternalError"),
        ("delete_subscription", Failed("group_not_found", "… does not exist."), "NotFound"),
        ("update_subscription_to_all", Failed("group_not_found"), "NotFound"),
        ("replay_parked_events", Failed("group_not_found"), "NotFound"),
        ("get_subscription_info", Failed("group_not_found"), "NotFound"),
        ("read_subscription_to_all", Failed("group_not_found"), "NotFound"),
        ("read_subscription_to_all", Failed("maximum_subscribers"), "MaximumSubscriptionsReached"),
        ("read_subscription_to_all", Failed("group_dropped"), "GrpcError"),
        ("enable_projection", Failed("projection_not_found"), "NotFound"),
    ],
)
def test_f2_failures_of_groups_and_projections(method: str, answer: Failed, expected: str) -> None:
    assert type(raised(World(always(answer)), method, "g")) is getattr(exceptions, expected)


def test_f2_no_groups_are_listed_where_there_are_none() -> None:
    assert call(World(always(Failed("group_not_found"))), "list_subscriptions_to_stream", "s") == []


def test_a_missing_stream_has_no_version_and_no_metadata() -> None:
    world = World(always(Failed("stream_not_found")))
    assert call(world, "get_current_version", "s") is StreamState.NO_STREAM
    assert call(World(always(Failed("stream_not_found"))), "get_stream_metadata", "s") == ({}, StreamState.NO_STREAM)
    assert world.of(ReadStream) == [ReadStream("s", None, True, 1)]


def test_expectations_must_be_revisions_or_states() -> None:
    world = World(always(Appended(0, 160)))
    assert isinstance(raised(world, "append_to_stream", "s", current_version=-1, events=event()), AssertionError)
    assert isinstance(raised(world, "append_to_stream", "s", current_version="ANY", events=event()), AssertionError)
    assert not world.received


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_metadata_is_an_event_of_the_metastream() -> None:
    world = World(always(Appended(0, 160)))
    call(world, "set_stream_metadata", "s", metadata={"$maxCount": 3})
    (request,) = world.of(Append)
    assert (request.stream, request.expected) == ("$$s", "any")
    assert [(new.type, new.data) for new in request.events] == [("$metadata", b'{"$maxCount": 3}')]


def test_deletion_expects_what_it_is_told() -> None:
    world = World(always(Done()))
    call(world, "tombstone_stream", "s", current_version=StreamState.EXISTS)
    call(world, "delete_stream", "s", current_version=3)
    assert world.of(DeleteStream) == [DeleteStream("s", "exists", True), DeleteStream("s", 3, False)]


def test_a1_a_group_is_created_with_the_clients_defaults() -> None:
    from mqverify.simulation.eventstore.protocol import GroupSettings
    from mqverify.simulation.eventstore.reading import DEFAULT_EXCLUDE_FILTER, all_filter

    world = World(always(Done()))
    call(world, "create_subscription_to_stream", "g", "s", message_timeout=0.0015, from_end=True)
    call(world, "create_subscription_to_all", "g", commit_position=160, from_end=True)
    to_stream, to_all = world.of(CreateGroup)
    assert to_stream == CreateGroup("s", "g", GroupSettings(from_end=True, message_timeout=2_000_000))
    assert to_all == CreateGroup(
        None, "g", GroupSettings(start=160, filter=all_filter(DEFAULT_EXCLUDE_FILTER, (), False))
    )


def test_f5_pinned_by_correlation_cannot_be_updated_to() -> None:
    def application(library: Any) -> None:
        client = library.EventStoreDBClient(URI)
        client.create_subscription_to_stream("g", "s", consumer_strategy="PinnedByCorrelation", max_retry_count=3)
        with pytest.raises(KeyError):
            client.update_subscription_to_stream("g", "s", max_retry_count=4)
        client.update_subscription_to_stream("g", "s", consumer_strategy="Pinned", checkpoint_after=5)
        info = client.get_subscription_info("g", "s")
        assert (info.consumer_strategy, info.max_retry_count, info.checkpoint_after) == ("Pinned", 3, 5.0)

    World().run(application)


def test_names_of_connections_are_their_own() -> None:
    """Dice are drawn by name: two clients of a process, and a client that reconnects, must not share them."""
    world = World(in_turn(Failed("unavailable"), *[Done()] * 2))
    named: list[str] = []
    connect = world.store.connect

    def remembering(process: Any, name: str) -> Any:
        named.append(name)
        return connect(process, name)

    world.store.connect = remembering  # type: ignore[method-assign]

    def application(library: Any) -> None:
        for _ in range(2):
            library.EventStoreDBClient(URI).delete_subscription("g")

    world.run(application)
    assert named == ["test/client-1", "test/client-1/reconnect-1", "test/client-2"]


def test_a_killed_process_never_sees_the_answer() -> None:
    world = World(always(Appended(0, 160)))
    seen: list[str] = []

    def application(library: Any) -> None:
        client = library.EventStoreDBClient(URI)
        try:
            client.append_event("s", current_version=ANY, event=event())
            seen.append("answered")
        finally:
            client.append_event("s", current_version=ANY, event=event(2))
            seen.append("appended in finally")

    process = world.start(application)
    world.kernel.call_at(50_000, process.kill)
    world.kernel.run()
    world.kernel.seal()
    assert not seen
    assert len(world.of(Append)) == 1


def test_a_call_that_ran_into_its_deadline_is_cancelled() -> None:
    world = World(lambda request: [])

    def application(library: Any) -> None:
        with pytest.raises(exceptions.GrpcDeadlineExceeded):
            library.EventStoreDBClient(URI).subscribe_to_stream("s", timeout=1.0)

    world.run(application)
    world.kernel.run()
    assert len(world.of(Cancel)) == 2


def test_info_is_asked_before_an_update() -> None:
    world = World(always(Failed("group_not_found")))
    raised(world, "update_subscription_to_stream", "g", "s", max_retry_count=1)
    assert world.of(InfoOfGroup) == [InfoOfGroup("s", "g")]

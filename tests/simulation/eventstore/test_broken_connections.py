"""Lost replies, cuts and delays as esdbclient lives through them (docs/facts/eventstore.md §A7, §C1, §F5)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mqverify.simulation.eventstore.exceptions import GrpcDeadlineExceeded, ServiceUnavailable
from mqverify.simulation.eventstore.protocol import Append
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.harness import Harness

URI = "esdb://localhost:2113?Tls=false"
STREAM = "orders"


def new(library: Any, number: int = 0) -> Any:
    return library.NewEvent(type="order", data=b"%d" % number)


def several(library: Any) -> list[Any]:
    return [new(library, number) for number in range(3)]


def appends_at(harness: Harness) -> list[tuple[float, int]]:
    """What the node is asked to append from now on: seconds, and how many events."""
    seen: list[tuple[float, int]] = []
    handle = harness.node.handle

    def watch(request: Any, token: Any, now: int) -> None:
        if isinstance(request, Append):
            seen.append((now / SECOND, len(request.events)))
        handle(request, token, now)

    harness.node.handle = watch  # type: ignore[method-assign]
    return seen


def stored(harness: Harness) -> int:
    stream = harness.node.log.stream(STREAM)
    return 0 if stream is None else len(stream.events)


def append(
    harness: Harness, current_version: str | int, make: Callable[[Any], Any], seconds: float | None = None
) -> Any:
    """Append with a new client; what came of it."""

    def application(library: Any) -> Any:
        version = getattr(library.StreamState, current_version) if isinstance(current_version, str) else current_version
        client = library.EventStoreDBClient(URI)
        return client.append_to_stream(STREAM, current_version=version, events=make(library), timeout=seconds)

    return harness.run(application, f"writer {harness.seconds}")


def lose(harness: Harness, count: int = 1, settlements: bool = False) -> list[str]:
    """Lose so many replies to anybody who is called `writer …` or `consumer`."""
    struck: list[str] = []
    for _ in range(count):
        harness.store.lose(frozenset({f"writer {harness.seconds}", "consumer"}), settlements, struck.append)
    return struck


# --- lost replies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [new, several])
@pytest.mark.parametrize("expected", ["ANY", "NO_STREAM", "EXISTS", 0])
def test_c1_an_append_whose_reply_is_lost_is_sent_again_and_known_again(expected: Any, make: Any) -> None:
    harness = Harness()
    if expected in {"EXISTS", 0}:
        append(harness, "NO_STREAM", lambda library: new(library, 99))
    before, struck, seen = stored(harness), lose(harness), appends_at(harness)
    position = append(harness, expected, make)
    assert len(struck) == 1
    assert [count for _, count in seen] == [stored(harness) - before] * 2, "sent twice, stored once"
    assert seen[1][0] - seen[0][0] == pytest.approx(0.1, abs=0.002), "esdbclient pauses for 0.1 s"
    assert position == harness.node.log.records[-1].commit_position


@pytest.mark.parametrize(("expected", "copies"), [("ANY", 2), ("NO_STREAM", 1)])
def test_c1_any_revision_is_known_again_only_while_the_id_is_remembered(expected: str, copies: int) -> None:
    """Weak idempotence looks ids up in a bounded memory; strong in the log itself."""
    harness = Harness(id_cache_bytes=64)
    lose(harness)

    def crowd(library: Any) -> None:
        client = library.EventStoreDBClient(URI)
        harness.sleep(0.05)
        client.append_to_stream("other", current_version=library.StreamState.ANY, events=several(library))

    harness.start("crowd", crowd)
    append(harness, expected, new)
    assert stored(harness) == copies


def test_c1_one_call_sends_four_times_and_then_raises() -> None:
    harness = Harness()
    struck, seen = lose(harness, 4), appends_at(harness)
    with pytest.raises(ServiceUnavailable):
        append(harness, "ANY", new)
    assert (len(struck), len(seen), stored(harness)) == (4, 4, 1)


def test_c1_a_second_writer_between_the_tries_makes_no_conflict_of_what_was_done() -> None:
    """Strong idempotence compares the ids behind the expected revision, whatever came after them."""
    harness = Harness()
    lose(harness)

    def another(library: Any) -> None:
        harness.sleep(0.05)
        client = library.EventStoreDBClient(URI)
        client.append_to_stream(STREAM, current_version=0, events=new(library, 1))

    harness.start("another", another)
    append(harness, "NO_STREAM", new)
    assert stored(harness) == 2


def generator(library: Any) -> Iterator[Any]:
    yield new(library)


def test_c1_a_generator_is_empty_when_it_is_sent_again() -> None:
    """The second try sends no events, and is told that it succeeded."""
    harness = Harness()
    lose(harness)
    seen = appends_at(harness)
    append(harness, "ANY", generator)
    assert [count for _, count in seen] == [1, 0]
    assert stored(harness) == 1


def test_c1_a_generator_that_was_never_sent_is_lost_and_acknowledged() -> None:
    harness = Harness()
    cut = harness.store.network.cut(["writer 0.0"], ["node"])
    harness.kernel.call_at(30 * SECOND, harness.store.network.lift, cut)
    seen = appends_at(harness)
    append(harness, "ANY", generator)
    assert [count for _, count in seen] == [0]
    assert stored(harness) == 0


# --- cuts of connections that stand -----------------------------------------------------------------------------------


def cut_after(harness: Harness, seconds: float, ends: tuple[list[str], list[str]], length: float) -> None:
    network = harness.store.network

    def begin() -> None:
        disturbance = network.cut(*ends)
        harness.kernel.call_at(harness.kernel.now + int(length * SECOND), network.lift, disturbance)

    harness.kernel.call_at(int(seconds * SECOND), begin)


UP, DOWN = (["writer"], ["node"]), (["node"], ["writer"])


@pytest.mark.parametrize(("ends", "done_at"), [(UP, 41), (DOWN, 2)])
def test_f5_a_call_without_a_deadline_hangs_until_the_cut_is_lifted(ends: Any, done_at: int) -> None:
    """Cut on the way there it is not done before; cut on the way back it is done, and nobody knows."""
    harness = Harness()
    cut_after(harness, 1, ends, 40)
    seen = appends_at(harness)

    def application(library: Any) -> float:
        client = library.EventStoreDBClient(URI)
        client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library))
        harness.sleep(2)
        client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library))
        return harness.seconds

    assert harness.run(application, "writer") == pytest.approx(41, abs=0.01)
    assert [round(time) for time, _ in seen] == [0, done_at]
    assert stored(harness) == 2


def test_f5_a_deadline_ends_two_tries_and_both_arrive_when_the_cut_is_lifted() -> None:
    harness = Harness()
    cut_after(harness, 1, UP, 10)
    seen = appends_at(harness)

    def application(library: Any) -> float:
        client = library.EventStoreDBClient(URI)
        client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library))
        harness.sleep(2)
        began = harness.seconds
        with pytest.raises(GrpcDeadlineExceeded):
            client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library), timeout=0.5)
        took = harness.seconds - began
        harness.sleep(20)
        return took

    assert harness.run(application, "writer") == pytest.approx(1.1, abs=0.01)
    assert [round(time) for time, _ in seen] == [0, 11, 11]
    assert stored(harness) == 2, "known by its id"


# --- connections that cannot be made ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [UP, DOWN])
def test_a_node_that_cannot_be_reached_is_given_up_after_three_attempts_of_20_seconds(ends: Any) -> None:
    """Measured with esdbclient against a port that answers nothing: 60.3 s, then 40.3 s, `ServiceUnavailable`."""
    harness = Harness()
    cut_after(harness, 0, ends, 1000)

    def application(library: Any) -> list[float]:
        harness.sleep(1)
        client = library.EventStoreDBClient(URI)
        took = []
        for _ in range(2):
            began = harness.seconds
            with pytest.raises(ServiceUnavailable, match="failed to connect to all addresses"):
                client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library))
            took.append(harness.seconds - began)
        return took

    assert harness.run(application, "writer") == pytest.approx([60.3, 40.3], abs=0.01)


def test_an_attempt_to_connect_succeeds_once_the_cut_is_lifted() -> None:
    harness = Harness()
    cut_after(harness, 0, UP, 15)

    def application(library: Any) -> float:
        harness.sleep(1)
        client = library.EventStoreDBClient(URI)
        client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library))
        return harness.seconds

    assert harness.run(application, "writer") == pytest.approx(15, abs=0.01)


def test_a_deadline_counts_while_connecting_and_what_waited_is_never_sent() -> None:
    harness = Harness()
    cut_after(harness, 0, UP, 15)
    seen = appends_at(harness)

    def application(library: Any) -> None:
        harness.sleep(1)
        client = library.EventStoreDBClient(URI)
        with pytest.raises(GrpcDeadlineExceeded):
            client.append_to_stream(STREAM, current_version=library.StreamState.ANY, events=new(library), timeout=2)
        harness.sleep(30)

    harness.run(application, "writer")
    assert (seen, stored(harness)) == ([], 0)


# --- subscriptions ----------------------------------------------------------------------------------------------------


class Reader:
    """A catch-up subscriber called `reader`: what it got and when, and what ended it."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.got: list[tuple[int, float]] = []
        self.ended: list[tuple[str, float]] = []
        self.process = harness.start("reader", self._read)

    def _read(self, library: Any) -> None:
        subscription = library.EventStoreDBClient(URI).subscribe_to_stream(STREAM)
        try:
            for event in subscription:
                self.got.append((event.stream_position, self.harness.seconds))
        except library.exceptions.EventStoreDBClientException as error:
            self.ended.append((type(error).__name__, self.harness.seconds))
        self.harness.sleep(10**6)

    @property
    def known(self) -> bool:
        return bool(self.harness.node.subscriptions._of_token)


BOTH = (["reader", "node"], ["reader", "node"])


def test_a_short_cut_only_makes_a_subscription_late() -> None:
    harness = Harness()
    reader = Reader(harness)
    cut_after(harness, 2, BOTH, 8)
    harness.wait(3)
    append(harness, "ANY", new)
    harness.wait(20)
    assert [position for position, _ in reader.got] == [0]
    assert reader.got[0][1] == pytest.approx(10, abs=0.01)
    assert (reader.ended, reader.known) == ([], True)


def test_a7_the_node_drops_a_subscriber_that_it_cannot_reach_who_hears_of_it_when_the_cut_is_lifted() -> None:
    harness = Harness()
    reader = Reader(harness)
    cut_after(harness, 2, BOTH, 60)
    harness.wait(1)
    harness.wait(8)
    assert reader.known
    harness.wait(13)
    assert not reader.known
    assert reader.ended == []
    harness.wait(60)
    assert [(name, round(time)) for name, time in reader.ended] == [("ServiceUnavailable", 62)]


@pytest.mark.parametrize("ends", [(["reader"], ["node"]), (["node"], ["reader"])])
def test_a7_one_direction_is_enough_to_be_dropped(ends: Any) -> None:
    harness = Harness()
    reader = Reader(harness)
    cut_after(harness, 2, ends, 60)
    harness.wait(25)
    assert not reader.known
    told_at = [round(time) for _, time in reader.ended]
    assert told_at == ([20] if ends[0] == ["reader"] else []), "only who can be reached is told at once"


def test_f5_after_a_long_cut_nobody_tells_a_subscriber_that_only_listens() -> None:
    """esdbclient sends no pings (its option has a name that gRPC does not know), so a half-open connection stays."""
    harness = Harness()
    reader = Reader(harness)
    cut_after(harness, 2, BOTH, 300)
    harness.wait(400)
    append(harness, "ANY", new)
    harness.wait(4000)
    assert (reader.got, reader.ended, reader.known) == ([], [], False)


def test_a_delay_makes_everything_late_and_nothing_else() -> None:
    harness = Harness()
    reader = Reader(harness)
    harness.store.network.delay(["node"], ["reader"], lambda: SECOND)
    harness.wait(60)
    append(harness, "ANY", new)
    harness.wait(60)
    assert [round(time) for _, time in reader.got] == [61]
    assert (reader.ended, reader.known) == ([], True)


def test_a7_who_answers_pings_too_late_is_dropped() -> None:
    harness = Harness()
    reader = Reader(harness)
    harness.store.network.delay(["node"], ["reader"], lambda: 11 * SECOND)
    harness.wait(60)
    assert not reader.known
    assert [name for name, _ in reader.ended] == ["ServiceUnavailable"]


# --- persistent subscriptions -----------------------------------------------------------------------------------------


def group_with(harness: Harness, events: int) -> None:
    def application(library: Any) -> None:
        client = library.EventStoreDBClient(URI)
        any_version = library.StreamState.ANY
        client.append_to_stream(STREAM, current_version=any_version, events=[new(library, n) for n in range(events)])
        client.create_subscription_to_stream("group", STREAM, message_timeout=30)

    harness.run(application, "setup")


def test_a_lost_reply_of_an_ack_is_an_ack_that_counts_and_a_connection_that_breaks() -> None:
    """What was acknowledged is done; all else that the consumer had comes again, once more counted (§A7)."""
    harness = Harness()
    group_with(harness, 5)
    struck = lose(harness, settlements=True)
    seen: list[tuple[int, int]] = []

    def consumer(library: Any) -> str:
        client = library.EventStoreDBClient(URI)
        subscription = client.read_subscription_to_stream("group", STREAM, max_ack_batch_size=2)
        try:
            for event in subscription:
                seen.append((event.stream_position, event.retry_count))
                if len(seen) <= 2:
                    subscription.ack(event)
                if len(seen) == 2:
                    harness.sleep(1)
        except library.exceptions.ServiceUnavailable:
            pass
        again = client.read_subscription_to_stream("group", STREAM)
        for event in again:
            seen.append((event.stream_position, event.retry_count))
            if len(seen) == 5:
                return "done"
        return "ended"

    assert harness.run(consumer, "consumer") == "done"
    assert struck == ["consumer"]
    assert seen == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)]


def test_a7_events_of_a_consumer_behind_a_cut_go_to_another_once_it_is_dropped() -> None:
    harness = Harness()
    group_with(harness, 2)
    got: list[tuple[str, int, int]] = []

    def consumer(name: str) -> Callable[[Any], None]:
        def application(library: Any) -> None:
            client = library.EventStoreDBClient(URI)
            subscription = client.read_subscription_to_stream("group", STREAM, event_buffer_size=2)
            got.extend((name, event.stream_position, round(harness.seconds)) for event in subscription)

        return application

    harness.start("first", consumer("first"))
    harness.wait(1)
    harness.start("second", consumer("second"))
    cut_after(harness, 2, (["first", "node"], ["first", "node"]), 1000)
    harness.wait(25)
    assert got[:2] == [("first", 0, 0), ("first", 1, 0)]
    assert [(name, position) for name, position, _ in got[2:]] == [("second", 0), ("second", 1)]
    assert 12 <= got[2][2] <= 22, "10 s to the ping, 10 s to its time-out"


def test_f5_who_acknowledges_after_a_long_cut_finds_the_connection_gone() -> None:
    """The node's machine answers what comes on a connection that it does not know any more."""
    harness = Harness()
    group_with(harness, 1)
    ended: list[tuple[str, int]] = []

    def consumer(library: Any) -> None:
        client = library.EventStoreDBClient(URI)
        subscription = client.read_subscription_to_stream("group", STREAM, max_ack_batch_size=1)
        event = next(subscription)
        harness.sleep(500)
        subscription.ack(event)
        try:
            next(subscription)
        except library.exceptions.ServiceUnavailable as error:
            ended.append((type(error).__name__, round(harness.seconds)))

    harness.start("consumer", consumer)
    cut_after(harness, 2, (["consumer", "node"], ["consumer", "node"]), 300)
    harness.wait(600)
    assert ended == [("ServiceUnavailable", 500)]

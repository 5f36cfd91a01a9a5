"""Consumers whose subscription breaks open it again; of what they asked for, the right one is told to be applied."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from mqverify.backends.eventstore.adapter import EventStoreAdapter
from mqverify.backends.eventstore.catch_up import CatchUpConsumerClient
from mqverify.backends.eventstore.persistent import PersistentConsumerClient
from mqverify.backends.eventstore.subscription import REOPEN_PAUSE
from mqverify.history.recorder import WorkerRecorder
from mqverify.simulation.eventstore import exceptions
from mqverify.simulation.eventstore.protocol import Failed
from mqverify.units import MILLISECOND, SECOND
from mqverify.worlds.feed import SimulatedFeed
from tests.backends.eventstore import Bench

POLL = 500 * MILLISECOND
Consumer = PersistentConsumerClient | CatchUpConsumerClient


class Context:
    """As much of a `Context` as consumers ask for."""

    def __init__(self, bench: Bench, process: Any) -> None:
        self._process = process
        self.kernel = bench.harness.kernel
        self.sleep = self.kernel.sleep
        self.checkpoints: dict[str, int] = {}
        self.sink = None
        self.recorder = WorkerRecorder(bench.rows, bench.stamp, bench.plan, "consumer-1", 1, "group", None)

    def now(self) -> int:
        return self.kernel.now

    def feed(self, items: Iterable[Any], capacity: int) -> SimulatedFeed:
        return SimulatedFeed(self._process, items, capacity, lambda: False)


class Broken:
    """A consumer that has taken messages 0 and 1, whose subscription then breaks."""

    def __init__(self, bench: Bench, adapter: EventStoreAdapter, breaks: Callable[[Any], None]) -> None:
        admin = adapter.admin()
        admin.create(bench.rows, bench.stamp)
        (group,) = adapter.binding.groups
        admin.open_group(group, bench.rows, bench.stamp)
        bench.append(adapter, 0, 1)
        self.context: Any = Context(bench, adapter.binding.library.process)
        self.consumer: Consumer = adapter.consumer(self.context, "consumer-1", group)
        self.consumer.start()
        self.received = self.take(2)
        assert self.consumer.progress() is not None
        self.native = self.consumer._subscription.native
        self.breaks = breaks

    def take(self, count: int) -> list[Any]:
        found: list[Any] = []
        for _ in range(50):
            if len(found) < count:
                found += self.consumer.poll(POLL)
        return found

    def break_off(self) -> None:
        """Break it, and let the consumer notice."""
        self.breaks(self.native)
        before = self.context.now()
        assert self.consumer.poll(POLL) == []
        assert self.context.now() == before, "whoever finds it broken is not held up"

    def refuse(self, *errors: Exception) -> list[int]:
        """Let the next openings fail like this; the times at which they are tried."""
        client, left, tried = self.consumer._client, list(errors), []

        def opening(original: Any, *args: Any, **kwargs: Any) -> Any:
            tried.append(self.context.now())
            if left:
                raise left.pop(0)
            return original(*args, **kwargs)

        for name in ("subscribe_to_stream", "read_subscription_to_stream"):
            setattr(client, name, partial(opening, getattr(client, name)))
        return tried


def connection_lost(native: Any) -> None:
    native._call.cancel()
    native._arrived(Failed("unavailable", "the connection broke"))


def ended_cleanly(native: Any) -> None:
    native._cancel()


BREAKS = [connection_lost, ended_cleanly]
SUBSCRIBE = ["persistent", "catch_up"]


def changes(bench: Bench) -> list[Any]:
    return [(row["change"], row["start_position"], row["start_from"]) for row in bench.table("assignments")]


@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize("subscribe", SUBSCRIBE)
def test_a_subscription_that_breaks_is_opened_again_as_soon_as_the_server_is_there(
    subscribe: str, breaks: Callable[[Any], None]
) -> None:
    bench = Bench(stream="one", subscribe=subscribe)

    def application(adapter: EventStoreAdapter) -> list[int]:
        broken = Broken(bench, adapter, breaks)
        broken.consumer.settle(broken.received, wait=True)
        bench.harness.sleep(1)
        away = [exceptions.ServiceUnavailable("no"), exceptions.MaximumSubscriptionsReached("you are there")]
        tried = broken.refuse(*away)
        broken.break_off()
        for _ in range(2):
            assert broken.consumer.poll(POLL) == []
            assert broken.consumer.progress() is None, "nobody knows what it has yet to be given"
        bench.append(adapter, 2, 3)
        assert [one.message for one in broken.take(2)] == [2, 3]
        assert broken.consumer.progress() is not None
        broken.consumer.close(True)
        return [at - tried[0] for at in tried]

    tried = bench.run(application)
    assert len(tried) == 3
    assert REOPEN_PAUSE <= tried[1] < tried[1] + REOPEN_PAUSE <= tried[2] < 2 * REOPEN_PAUSE + POLL
    first, again = ((0, "beginning"), (2, "kept")) if subscribe == "catch_up" else ((None, "committed"),) * 2
    assert changes(bench) == [("assigned", *first), ("lost", None, None), ("assigned", *again)]


@pytest.mark.parametrize("subscribe", SUBSCRIBE)
def test_what_another_try_cannot_mend_is_raised(subscribe: str) -> None:
    bench = Bench(stream="one", subscribe=subscribe)

    def application(adapter: EventStoreAdapter) -> None:
        broken = Broken(bench, adapter, connection_lost)
        broken.refuse(exceptions.NotFound("the subscription was deleted"))
        broken.break_off()
        with pytest.raises(exceptions.NotFound):
            broken.consumer.poll(POLL)

    bench.run(application)


def test_the_first_opening_is_not_tried_again() -> None:
    bench = Bench(stream="one")

    def application(adapter: EventStoreAdapter) -> None:
        consumer = adapter.consumer(Context(bench, adapter.binding.library.process), "c", adapter.binding.groups[0])  # type: ignore[arg-type]
        with pytest.raises(exceptions.NotFound):
            consumer.start()
        consumer.close(False)

    bench.run(application)


def test_acks_held_by_a_broken_subscription_hold_nobody_up() -> None:
    """`stop` waits 5 s for a thread that has ended: beside the loop, and so that closing does not wait for it again."""
    bench = Bench(stream="one", message_timeout=2 * SECOND)

    def application(adapter: EventStoreAdapter) -> list[int]:
        broken = Broken(bench, adapter, connection_lost)
        broken.consumer.settle(broken.received, wait=True)
        before = broken.context.now()
        broken.break_off()
        again = [one.message for one in broken.take(2)]
        broken.consumer.close(True)
        assert broken.context.now() - before < 4 * SECOND
        return again

    assert bench.run(application) == [0, 1], "nobody has heard of their acks"
    assert {row["outcome"] for row in bench.table("settlements") if row["settled_by"] == "consumer"} == {"unknown"}


def test_what_is_settled_while_it_is_away_is_lost_without_an_error() -> None:
    bench = Bench(stream="one")

    def application(adapter: EventStoreAdapter) -> None:
        broken = Broken(bench, adapter, connection_lost)
        broken.refuse(exceptions.ServiceUnavailable("no"))
        broken.break_off()
        assert broken.consumer.poll(POLL) == []
        broken.consumer.settle(broken.received, wait=True)

    bench.run(application)
    assert [row["outcome"] for row in bench.table("settlements")] == ["unknown", "unknown"]


# --- what the server applied -----------------------------------------------------------------------------------------


class Told:
    """A consumer that is told what was applied of what it asked for one event: `asks` in its order, then `applied`."""

    def __init__(self, observer: Any, asks: list[str], applied: list[str]) -> None:
        self.bench = Bench(stream="one")
        self.observer = observer
        self.asks, self.applied = asks, applied
        self.kept = 0
        self.bench.run(self._application)

    def _application(self, adapter: EventStoreAdapter) -> None:
        broken = Broken(self.bench, adapter, connection_lost)
        consumer: Any = broken.consumer
        adapter.binding.library.observer = self.observer
        (one, _) = broken.received
        for action in self.asks:
            if action == "ack":
                consumer.settle((one,), wait=False)
            else:
                consumer.reject(one, action)
        for action in self.applied:
            consumer.applied(one.native.ack_id, action)
        self.kept = len(consumer._asked)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(row["action"], row["outcome"]) for row in self.bench.table("settlements")]


@pytest.mark.parametrize(
    ("asks", "applied", "acked"),
    [
        (["ack"], ["ack"], [0]),
        (["ack", "ack"], ["ack"], [0]),
        (["ack", "ack"], ["ack", "ack"], [0, 1]),
        (["retry", "ack"], ["retry"], [0]),
        (["retry", "ack"], ["retry", "ack"], [0, 1]),
        (["retry", "ack"], ["ack"], [1]),
        (["retry", "ack", "ack"], ["ack", "retry"], [1]),
        (["ack"], ["park"], []),
    ],
)
def test_the_settlement_that_was_applied_is_the_one_that_is_told(
    asks: list[str], applied: list[str], acked: list[int]
) -> None:
    told = Told(object(), asks, applied)
    assert told.outcomes == [(one, "acked" if number in acked else "unknown") for number, one in enumerate(asks)]


def test_what_was_asked_for_before_it_broke_is_not_taken_for_what_was_applied_after() -> None:
    bench = Bench(stream="one")

    def application(adapter: EventStoreAdapter) -> None:
        adapter.binding.library.observer = object()
        broken = Broken(bench, adapter, connection_lost)
        consumer: Any = broken.consumer
        consumer.settle(broken.received, wait=True)
        broken.break_off()
        again = broken.take(2)
        consumer.settle(again, wait=True)
        consumer.applied(again[0].native.ack_id, "ack")

    bench.run(application)
    acks = [(row["message"], row["outcome"]) for row in bench.table("settlements")]
    assert acks == [(0, "unknown"), (1, "unknown"), (0, "acked"), (1, "unknown")]


def test_what_was_applied_is_forgotten() -> None:
    assert Told(object(), ["retry", "ack"], ["retry", "ack"]).kept == 0
    assert Told(object(), ["retry", "ack"], ["retry"]).kept == 1


def test_where_nobody_tells_what_was_applied_nothing_is_kept() -> None:
    assert Told(None, ["ack"], []).kept == 0

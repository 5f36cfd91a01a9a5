"""The producer on the look-alike: what appends expect, what is recorded, what sending again does."""

from typing import Any

import pytest

from mqverify.backends.eventstore.adapter import EventStoreAdapter
from mqverify.backends.eventstore.producer import EventStoreProducerClient
from mqverify.units import DAY, SECOND
from tests.backends.eventstore import Bench, BenchContext, plan_of


def producing(bench: Bench, adapter: EventStoreAdapter) -> tuple[EventStoreProducerClient, BenchContext]:
    context = bench.context()
    return adapter.producer(context, "producer-1"), context  # type: ignore[arg-type]


def sent(bench: Bench, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in bench.table("sends")]


def test_an_ack_tells_the_stream_and_no_revision() -> None:
    bench = Bench()

    def application(adapter: EventStoreAdapter) -> list[int]:
        producer, context = producing(bench, adapter)
        producer.send(0)
        return context.marked

    assert bench.run(application) == [0]
    assert sent(bench, "outcome", "partition", "position", "actual", "expected") == [("acked", 0, None, None, None)]


def test_exact_expects_what_was_appended_last() -> None:
    bench = Bench(plan_of(expected_revision="exact"))

    def application(adapter: EventStoreAdapter) -> None:
        producer, _ = producing(bench, adapter)
        for message in range(3):
            producer.send(message)

    bench.run(application)
    assert sent(bench, "expected", "outcome") == [(-1, "acked"), (0, "acked"), (1, "acked")]


def test_exact_begins_where_the_stream_ends() -> None:
    bench = Bench(plan_of(expected_revision="exact"))

    def application(adapter: EventStoreAdapter) -> None:
        bench.append(adapter, 7, 8)
        producing(bench, adapter)[0].send(0)

    bench.run(application)
    assert sent(bench, "expected", "outcome") == [(1, "acked")]


def test_a_conflict_gives_the_message_up_and_forgets_what_was_known() -> None:
    bench = Bench(plan_of(expected_revision="exact"))

    def application(adapter: EventStoreAdapter) -> Any:
        producer, context = producing(bench, adapter)
        producer.send(0)
        bench.append(adapter, 7)
        producer.send(1)
        producer.send(2)
        return context.marked, producer.unsure

    assert bench.run(application) == ([0, 2], [])
    assert sent(bench, "message", "expected", "outcome") == [(0, -1, "acked"), (1, 0, "failed"), (2, 1, "acked")]


def test_exact_knows_the_revision_of_a_stream_whose_events_have_all_expired() -> None:
    bench = Bench(plan_of(expected_revision="exact"), max_age=DAY)

    def application(adapter: EventStoreAdapter) -> None:
        adapter.admin().create(bench.rows, bench.stamp)
        bench.append(adapter, 7, 8)
        bench.harness.sleep(2 * DAY / SECOND)
        producing(bench, adapter)[0].send(0)

    bench.run(application)
    assert sent(bench, "expected", "outcome") == [(1, "acked")]


def test_no_stream_succeeds_once() -> None:
    bench = Bench(plan_of(expected_revision="no_stream"))

    def application(adapter: EventStoreAdapter) -> None:
        producer, _ = producing(bench, adapter)
        producer.send(0)
        producer.send(1)

    bench.run(application)
    assert sent(bench, "expected", "outcome") == [(-1, "acked"), (-1, "failed")]


def test_exists_needs_a_stream_and_names_no_revision() -> None:
    bench = Bench(plan_of(expected_revision="exists"))

    def application(adapter: EventStoreAdapter) -> None:
        producer, _ = producing(bench, adapter)
        producer.send(0)
        bench.append(adapter, 7)
        producer.send(1)

    bench.run(application)
    assert sent(bench, "expected", "outcome") == [(None, "failed"), (None, "acked")]


def test_too_large_is_refused_for_certain() -> None:
    bench = Bench(plan_of(payload=2 << 20))
    bench.run(lambda adapter: producing(bench, adapter)[0].send(0))
    assert sent(bench, "outcome") == [("failed",)]


class Losing:
    """A client whose appends are done and not answered: both tries of the library time out."""

    def __init__(self, client: Any, error: Any) -> None:
        self._client = client
        self._error = error

    def append_to_stream(self, *arguments: Any, **how: Any) -> None:
        self._client.append_to_stream(*arguments, **how)
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.mark.parametrize("expects", ["any", "exact", "no_stream"])
@pytest.mark.parametrize(("event_id", "written"), [("per_message", 1), ("per_try", 2)])
def test_sent_again_it_is_the_same_message_where_its_id_is(expects: str, event_id: str, written: int) -> None:
    bench = Bench(plan_of(expected_revision=expects), event_id=event_id)

    def application(adapter: EventStoreAdapter) -> Any:
        producer, _ = producing(bench, adapter)
        client = producer._client
        producer._client = Losing(client, adapter.binding.library.exceptions.GrpcDeadlineExceeded())
        producer.send(0)
        producer._client = client
        ((message, tries, expected),) = producer.unsure
        producer.send(message, tries + 1, expected)
        return len(client.get_stream("orders-key-0"))

    count = bench.run(application)
    first, again = sent(bench, "message", "try", "expected", "outcome")
    revision = None if expects == "any" else -1
    assert first == (0, 1, revision, "unknown")
    if expects == "any" or event_id == "per_message":
        assert (again, count) == ((0, 2, revision, "acked"), written)
    else:
        assert (again, count) == ((0, 2, revision, "failed"), 1), "another id meets the first try as a conflict"


def test_after_doubt_it_asks_again_where_the_stream_ends() -> None:
    bench = Bench(plan_of(expected_revision="exact"))

    def application(adapter: EventStoreAdapter) -> None:
        producer, _ = producing(bench, adapter)
        client = producer._client
        producer._client = Losing(client, adapter.binding.library.exceptions.ServiceUnavailable())
        producer.send(0)
        producer._client = client
        producer.send(1)

    bench.run(application)
    assert sent(bench, "message", "expected", "outcome") == [(0, -1, "unknown"), (1, 0, "acked")]


def test_nothing_is_sent_while_nobody_knows_what_to_expect() -> None:
    bench = Bench(plan_of(expected_revision="exact"))

    def application(adapter: EventStoreAdapter) -> Any:
        producer, _ = producing(bench, adapter)
        client = producer._client

        class Deaf:
            def get_current_version(self, _stream: str) -> None:
                raise adapter.binding.library.exceptions.ServiceUnavailable

        producer._client = Deaf()
        producer.send(0)
        return client.get_current_version("orders-key-0"), producer.unsure

    version, unsure = bench.run(application)
    assert (version.name, unsure) == ("NO_STREAM", [])
    assert sent(bench, "message", "expected", "outcome") == [(0, None, "failed")]

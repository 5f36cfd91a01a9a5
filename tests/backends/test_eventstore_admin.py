"""What is still owed to groups, as the admin tells it from the node."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mqverify.backends.eventstore.adapter import EventStoreAdapter
from mqverify.backends.eventstore.admin import EventStoreAdmin
from mqverify.units import DAY, SECOND
from tests.backends.eventstore import Bench, plan_of


def asked(bench: Bench, before: Callable[[EventStoreAdapter, EventStoreAdmin], Any]) -> Sequence[str]:
    """What is owed to the one group after `before`; it returns what the group's consumers told of their progress."""

    def application(adapter: EventStoreAdapter) -> Sequence[str]:
        admin = adapter.admin()
        admin.create(bench.rows, bench.stamp)
        for group in adapter.binding.groups:
            admin.open_group(group, bench.rows, bench.stamp)
        told = before(adapter, admin)
        progress = {} if told is None else {adapter.binding.source_place: told}
        return admin.behind({"group": progress})["group"]

    found: Sequence[str] = bench.run(application)
    return found


def consuming(
    bench: Bench, adapter: EventStoreAdapter, handle: Callable[[Any, list[Any]], None], buffer: int = 150
) -> None:
    """Two events are appended to `orders`; `handle(subscription, events)` gets both of them."""
    bench.append(adapter, 0, 1)
    client = adapter.binding.client("consumer")
    subscription = client.read_subscription_to_stream("group", "orders", event_buffer_size=buffer)
    handle(subscription, [next(subscription) for _ in range(min(buffer, 2))])
    bench.harness.sleep(1)


def test_nothing_is_owed_of_nothing() -> None:
    assert not asked(Bench(), lambda _adapter, _admin: None)
    assert not asked(Bench(subscribe="catch_up"), lambda _adapter, _admin: 0)


def test_what_nobody_came_for_waits_to_be_pushed() -> None:
    def before(adapter: EventStoreAdapter, _admin: Any) -> None:
        bench.append(adapter, 0, 1)
        bench.harness.sleep(1)

    bench = Bench(stream="one")
    assert asked(bench, before) == ["2 events to be pushed"]


def test_what_is_in_a_consumers_hands_is_owed_until_it_is_acknowledged() -> None:
    def before(adapter: EventStoreAdapter, _admin: Any) -> None:
        consuming(bench, adapter, lambda subscription, events: subscription.ack(events[0]))

    bench = Bench(stream="one")
    assert asked(bench, before) == ["1 event pushed and not acknowledged"]


def test_what_is_acknowledged_is_not_owed() -> None:
    def before(adapter: EventStoreAdapter, _admin: Any) -> None:
        consuming(bench, adapter, lambda subscription, events: [subscription.ack(event) for event in events])  # type: ignore[func-returns-value]

    bench = Bench(stream="one")
    assert not asked(bench, before)


def test_what_a_consumer_gave_back_waits_to_be_pushed_again() -> None:
    def before(adapter: EventStoreAdapter, _admin: Any) -> None:
        consuming(bench, adapter, lambda subscription, _events: subscription.stop())

    bench = Bench(stream="one")
    assert asked(bench, before) == ["2 events to be pushed again"]


def test_a_subscription_that_does_not_know_the_last_event_is_behind() -> None:
    class Forgetful:
        def __init__(self, client: Any) -> None:
            self._client = client

        def get_subscription_info(self, *of: Any) -> Any:
            info = self._client.get_subscription_info(*of)
            info.last_known_event_position, info.read_buffer_count = "0", 0
            return info

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

    def before(adapter: EventStoreAdapter, admin: Any) -> None:
        bench.append(adapter, 0, 1)
        admin._client = Forgetful(admin._client)

    bench = Bench(stream="one")
    assert asked(bench, before) == ["the subscription has not come to 1 of orders"]


@pytest.mark.parametrize(("settings", "name"), [({}, "$ce-orders"), ({"stream": "one"}, "orders")])
def test_a_catch_up_subscription_is_owed_what_lies_at_its_progress_or_behind(settings: Any, name: str) -> None:
    def before(progress: int) -> Callable[..., int]:
        def appended(adapter: EventStoreAdapter, _admin: Any) -> int:
            bench.append(adapter, 0, 1)
            return progress

        return appended

    bench = Bench(subscribe="catch_up", **settings)
    assert asked(bench, before(1)) == [f"{name} at 1, where 1 waits"]
    bench = Bench(subscribe="catch_up", **settings)
    assert not asked(bench, before(2))


@pytest.mark.parametrize("behind_the_last", [0, 1])
def test_positions_of_all_are_not_dense(behind_the_last: int) -> None:
    def before(adapter: EventStoreAdapter, _admin: Any) -> int:
        bench.append(adapter, 0, 1)
        first, last = [event.commit_position for event in bench.harness.node.log.records if event.type == "order"]
        return int(last if behind_the_last else first) + 1  # type: ignore[arg-type]

    bench = Bench(subscribe="catch_up", read="all")
    assert bool(asked(bench, before)) is not bool(behind_the_last)


@pytest.mark.parametrize("settings", [{}, {"stream": "one"}])
def test_what_has_expired_is_not_owed(settings: Any) -> None:
    def before(adapter: EventStoreAdapter, _admin: Any) -> int:
        bench.append(adapter, 0, 1)
        bench.harness.sleep(2 * DAY / SECOND)
        return 0

    bench = Bench(subscribe="catch_up", max_age=DAY, **settings)
    assert not asked(bench, before)


def test_remove_takes_away_what_was_created() -> None:
    bench = Bench(plan_of(keys=3, messages=6))

    def application(adapter: EventStoreAdapter) -> Any:
        admin = adapter.admin()
        admin.create(bench.rows, bench.stamp)
        admin.open_group(adapter.binding.groups[0], bench.rows, bench.stamp)
        bench.append(adapter, 0)  # to one of several streams
        admin.remove()
        client = adapter.binding.client("looking")
        versions = [client.get_current_version(stream) for stream in adapter.binding.streams]
        return client.list_subscriptions(), {str(version) for version in versions}

    assert bench.run(application) == ([], {"StreamState.NO_STREAM"})


def test_streams_without_settings_need_nothing_to_be_done() -> None:
    bench = Bench(plan_of(keys=50, messages=500))

    def application(adapter: EventStoreAdapter) -> int:
        adapter.admin().create(bench.rows, bench.stamp)
        return len(bench.harness.node.log.records)

    assert bench.run(application) == 0

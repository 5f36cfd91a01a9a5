"""Event Store's settings and what it cannot do: defaults are esdbclient's, impossible specs are told beforehand."""

from typing import Any

import esdbclient.common as client
import pytest

from mqverify import engine
from mqverify.backends.eventstore.backend import EventStoreBackend
from mqverify.backends.eventstore.settings import EventStoreSettings
from mqverify.backends.eventstore.system import SETTLING, SYSTEM
from mqverify.simulation.eventstore import exceptions as simulated
from mqverify.spec.load import load_text
from mqverify.spec.registry import settings_of
from mqverify.units import DAY, SECOND
from mqverify.workload.groups import ConsumerGroup, resolve_groups

BASE = """
spec: event store
workload: {{messages: 10, {workload}}}
backends: {{eventstore: {{{backend}}}}}
faults: [{faults}]
expect: {{at_least_once: held}}
"""


def unsupported(backend: str = "", workload: str = "keys: 5", faults: str = "") -> tuple[str, ...]:
    text = BASE.format(workload=workload, backend=backend, faults=faults)
    return load_text(text, "test.yaml", engine.registry()).backends["eventstore"].unsupported


def group(workload: str = "keys: 5") -> ConsumerGroup:
    text = BASE.format(workload=workload, backend="", faults="")
    return resolve_groups(load_text(text, "test.yaml", engine.registry()).workload)[0]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("message_timeout", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MESSAGE_TIMEOUT * SECOND),
        ("max_retry_count", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MAX_RETRY_COUNT),
        ("min_checkpoint_count", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MIN_CHECKPOINT_COUNT),
        ("max_checkpoint_count", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MAX_CHECKPOINT_COUNT),
        ("checkpoint_after", client.DEFAULT_PERSISTENT_SUBSCRIPTION_CHECKPOINT_AFTER * SECOND),
        ("event_buffer_size", client.DEFAULT_PERSISTENT_SUBSCRIPTION_EVENT_BUFFER_SIZE),
        ("max_ack_batch_size", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MAX_ACK_BATCH_SIZE),
        ("max_ack_delay", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MAX_ACK_DELAY * SECOND),
        ("stopping_grace", client.DEFAULT_PERSISTENT_SUBSCRIPTION_STOPPING_GRACE * SECOND),
        ("max_subscriber_count", client.DEFAULT_PERSISTENT_SUBSCRIPTION_MAX_SUBSCRIBER_COUNT),
        ("live_buffer_size", client.DEFAULT_PERSISTENT_SUBSCRIPTION_LIVE_BUFFER_SIZE),
        ("read_batch_size", client.DEFAULT_PERSISTENT_SUBSCRIPTION_READ_BATCH_SIZE),
        ("history_buffer_size", client.DEFAULT_PERSISTENT_SUBSCRIPTION_HISTORY_BUFFER_SIZE),
    ],
)
def test_a_default_is_esdbclients(name: str, theirs: float) -> None:
    assert getattr(EventStoreSettings(), name) == theirs


@pytest.mark.parametrize(
    ("backend", "workload"),
    [
        ("", "keys: 5"),
        ("subscribe: catch_up", "keys: 5, consumers: 7"),
        ("subscribe: catch_up", "keys: 5, consumers: 2, shard: key"),
        ("stream: one", "keys: 5"),
        ("read: all", "keys: 5"),
        ("read: stream", "keys: 1"),
        ("read: stream, stream: per_key % 1", "keys: 5"),
        ("read: correlation", "keys: 1"),
        ("resolve_links: true", "keys: 5"),
        ("resolve_links: false, stream: one", "keys: 5"),
        ("max_subscriber_count: 0", "consumers: 100"),
        ("max_subscriber_count: 7", "consumers: 7"),
        ("", "handler: {poison: 1 in 5, on_failure: park}"),
    ],
)
def test_what_can_run(backend: str, workload: str) -> None:
    assert unsupported(backend, workload) == ()


@pytest.mark.parametrize(
    ("backend", "workload", "reason", "advice"),
    [
        ("read: stream", "keys: 5", "stream: per_key makes 5", "write read: category"),
        ("read: stream, stream: per_key % 3", "keys: 5", "makes 3", "write read: category"),
        ("read: correlation", "keys: 5", "there are 5 keys", "or keys: 1"),
        ("read: category, stream: one", "keys: 5", "in no category", "write read: stream"),
        ("resolve_links: false", "keys: 5", "read: category gives links", "write resolve_links: true"),
        ("", "settle: automatic", "settles nothing by itself", "Kafka's"),
        ("subscribe: catch_up", "settle: automatic", "settles nothing by itself", "Kafka's"),
        ("", "consumers: 2, shard: key", "nothing to shard", "shares"),
        ("subscribe: catch_up", "handler: {poison: 1 in 5, on_failure: park}", "no parked stream", "write subscribe"),
        ("", "consumers: 6", "refuses all but 5 of the 6 consumers", "raise max_subscriber_count to 6"),
        ("", "groups: {a: {consumers: 9}, b: {}}", "9 consumers of a", "raise max_subscriber_count to 9"),
    ],
)
def test_what_cannot_run_says_why_and_what_to_write(backend: str, workload: str, reason: str, advice: str) -> None:
    (told,) = unsupported(backend, workload)
    assert reason in told
    assert advice in told


@pytest.mark.parametrize(
    ("backend", "fault", "reason"),
    [
        ("", "{crash: consumer, point: in_settle, when: {handled: 5}}", "nobody answers an acknowledgement"),
        ("", "{crash: leader}", "have no leader"),
        ("subscribe: catch_up", "{pause: leader, for: 1s}", "have no leader"),
        ("", "{add_partitions: 12}", "has no partitions"),
    ],
)
def test_faults_that_it_has_not(backend: str, fault: str, reason: str) -> None:
    (told,) = unsupported(backend, faults=fault)
    assert reason in told


def test_a_catch_up_subscription_stores_its_own_checkpoint_so_a_crash_may_come_in_between() -> None:
    assert unsupported("subscribe: catch_up", faults="{crash: consumer, point: in_settle, when: {handled: 5}}") == ()


def test_the_table_of_settling_knows_every_policy_of_a_spec() -> None:
    from typing import get_args

    from mqverify.spec.model import Settle

    policies = set(get_args(Settle.model_fields["policy"].annotation))
    assert {subscribe: set(row) for subscribe, row in SETTLING.items()} == dict.fromkeys(
        ("persistent", "catch_up"), policies
    )


def test_no_setting_promises_a_real_server() -> None:
    assert "simulated" in SYSTEM.elsewhere["uri"]


def test_promises_are_generic_and_native() -> None:
    promised = dict(EventStoreBackend().promises(EventStoreSettings(max_age=7 * DAY, max_count=5)))
    generic = {name: promised[name] for name in ("retention", "max_count", "truncate_before", "clock")}
    assert generic == {
        "retention": str(7 * DAY),
        "max_count": "5",
        "truncate_before": "unlimited",
        "clock": "shared",
    }
    assert promised["stream.$maxAge"] == str(7 * 86_400)
    assert promised["subscription.message_timeout"] == "30000"
    assert promised["subscription.consumer_strategy"] == "DispatchToSingle"
    assert len(promised) == 4 + len(settings_of(EventStoreSettings))


def test_where_a_group_starts() -> None:
    backend = EventStoreBackend()
    assert backend.starts(EventStoreSettings(), group()) == "beginning"
    assert backend.starts(EventStoreSettings(from_end=True), group()) == "end"
    asked = group("groups: {late: {start: beginning}}")
    assert backend.starts(EventStoreSettings(from_end=True), asked) == "beginning"


def test_how_events_are_shared() -> None:
    backend = EventStoreBackend()
    assert backend.delivery(EventStoreSettings()) == "competing"
    assert backend.delivery(EventStoreSettings(subscribe="catch_up")) == "own"


def test_the_longest_wait_is_until_an_event_that_nobody_handles_is_parked() -> None:
    backend = EventStoreBackend()
    assert backend.longest_wait(EventStoreSettings()) == 11 * 31 * SECOND
    assert backend.longest_wait(EventStoreSettings(max_retry_count=10**6)) == DAY, "not for ever"
    assert backend.longest_wait(EventStoreSettings(message_timeout=2 * DAY)) == 2 * DAY + SECOND


def test_whose_trouble_an_exception_is() -> None:
    theirs: list[Any] = [simulated.ServiceUnavailable(), simulated.ProgrammingError(), _real("NotFound")]
    backend = EventStoreBackend()
    assert all(backend.is_client_error(error) for error in theirs)
    assert not backend.is_client_error(ValueError("ours"))


def _real(name: str) -> BaseException:
    import esdbclient.exceptions

    error: BaseException = getattr(esdbclient.exceptions, name)()
    return error


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("{delete_records: {partition: 0, before: 50%}}", "delete_records: Event Store has no such request"),
        ("{add_partitions: 12}", "add_partitions: Event Store has no partitions"),
        ("{clock_skew: {producer-1: -1h}}", "clock_skew: the node stamps events with its own clock"),
    ],
)
def test_faults_that_event_store_has_no_notion_of(fault: str, reason: str) -> None:
    [said] = unsupported(faults=fault)
    assert said.startswith(reason)


def test_a_catch_up_subscription_has_nothing_to_acknowledge_and_nothing_parked() -> None:
    [lost] = unsupported("subscribe: catch_up", faults="{lose: ack, of: consumer}")
    assert "the application's own" in lost
    [replayed] = unsupported("subscribe: catch_up", faults="{replay_parked: , when: drained}")
    assert "has no parked stream" in replayed
    assert unsupported("subscribe: catch_up", faults="{lose: ack, of: producer}") == ()
    assert unsupported("subscribe: catch_up", faults="{lose: ack, of: producer-1}") == ()


@pytest.mark.parametrize("fault", ["scavenge", "replay_parked", "delete_stream: key-3", "lose: ack, of: consumer"])
def test_what_a_persistent_subscription_can_live_through(fault: str) -> None:
    assert unsupported(faults=f"{{{fault}}}" if ":" in fault else fault) == ()


def test_consumers_that_join_in_mid_run_are_refused_past_the_most_that_may_be() -> None:
    [said] = unsupported("max_subscriber_count: 3", "keys: 5, consumers: 2", "{add_consumers: 2}")
    assert said.startswith("the server refuses all but 3 of the 4 consumers")

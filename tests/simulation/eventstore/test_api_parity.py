"""The look-alike against esdbclient itself: names, bases, signatures, constants, and what needs no server."""

import inspect
import time
from dataclasses import fields
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from mqverify.simulation.eventstore import exceptions, persistent_client, reading
from mqverify.simulation.eventstore.client import SimulatedEventStoreDBClient
from mqverify.simulation.eventstore.connection_spec import ConnectionSpec
from mqverify.simulation.eventstore.information import ProjectionStatistics, SubscriptionInfo
from mqverify.simulation.eventstore.library import EventStoreLibrary
from mqverify.simulation.eventstore.protocol import GroupInfo, GroupSettings
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent
from mqverify.simulation.eventstore.settlements import Settlements
from mqverify.simulation.eventstore.subscriptions import CaughtUp, Checkpoint, StreamState
from mqverify.simulation.kernel import SECOND, Kernel

OURS_ALONE = {"pause", "scavenge"}
NOT_HERE = {
    "construct_call_credentials", "create_projection", "delete_projection", "disable_projection",
    "get_projection_state", "gossip", "persistent_subscriptions", "projections", "read_gossip", "reset_projection",
    "restart_projections_subsystem", "streams", "update_projection",
}  # fmt: skip


@pytest.fixture(scope="module")
def esdbclient() -> ModuleType:
    return pytest.importorskip("esdbclient")


def public(kind: Any) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def shape(method: Any) -> list[tuple[str, Any, Any]]:
    """A signature's parameters by name, kind and default; an enumeration's members by name."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return [(p.name, p.kind, getattr(p.default, "name", p.default)) for p in parameters]


def test_exceptions_have_the_same_names_and_bases(esdbclient: ModuleType) -> None:
    def tree(module: ModuleType) -> dict[str, tuple[str, list[str]]]:
        found = {name: kind for name, kind in vars(module).items() if inspect.isclass(kind)}
        raised = {name: kind for name, kind in found.items() if issubclass(kind, Exception)}
        return {name: (kind.__name__, [base.__name__ for base in kind.__bases__]) for name, kind in raised.items()}

    from esdbclient import exceptions as original

    assert tree(exceptions) == tree(original)


def test_exceptions_are_all_exported(esdbclient: ModuleType) -> None:
    raised = [name for name, kind in vars(exceptions).items() if inspect.isclass(kind)]
    assert sorted(exceptions.__all__) == sorted(raised)


def test_the_library_has_esdbclients_names(esdbclient: ModuleType) -> None:
    asynchronous = {name for name in esdbclient.__all__ if "Async" in name}
    assert public(EventStoreLibrary) - OURS_ALONE | {"EventStoreDBClient"} == (
        set(esdbclient.__all__) - asynchronous | {"exceptions", "client_name"}
    )


def test_the_client_has_esdbclients_methods(esdbclient: ModuleType) -> None:
    original = public(esdbclient.EventStoreDBClient)
    assert public(SimulatedEventStoreDBClient) - OURS_ALONE == original - NOT_HERE


def test_the_clients_methods_have_the_same_signatures(esdbclient: ModuleType) -> None:
    original = esdbclient.EventStoreDBClient
    for name in [*sorted(public(SimulatedEventStoreDBClient) - OURS_ALONE), "__enter__", "__exit__"]:
        theirs, ours = getattr(original, name), getattr(SimulatedEventStoreDBClient, name)
        if not isinstance(theirs, property):
            assert (name, shape(ours)) == (name, shape(theirs))
    made = [parameter for parameter in shape(SimulatedEventStoreDBClient.__init__) if parameter[0] != "library"]
    assert made == shape(original.__init__)


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("ReadResponse", ["__iter__", "__next__", "__enter__", "__exit__", "stop"]),
        ("CatchupSubscription", ["__iter__", "__next__", "__enter__", "__exit__", "stop"]),
        ("PersistentSubscription", ["__iter__", "__next__", "__enter__", "__exit__", "stop", "ack", "nack"]),
    ],
)
def test_subscriptions_have_the_same_signatures(esdbclient: ModuleType, name: str, methods: list[str]) -> None:
    ours, theirs = getattr(EventStoreLibrary, name), getattr(esdbclient, name)
    assert {method: shape(getattr(ours, method)) for method in methods} == {
        method: shape(getattr(theirs, method)) for method in methods
    }
    assert public(ours) == public(theirs)


def test_constants(esdbclient: ModuleType) -> None:
    from esdbclient import common

    for name in ("DEFAULT_EXCLUDE_FILTER", "ESDB_SYSTEM_EVENTS_REGEX", "ESDB_PERSISTENT_CONFIG_EVENTS_REGEX"):
        assert getattr(reading, name) == getattr(esdbclient, name)
    for name in ("DEFAULT_WINDOW_SIZE", "DEFAULT_CHECKPOINT_INTERVAL_MULTIPLIER"):
        assert getattr(reading, name) == getattr(common, name)
    prefix = "DEFAULT_PERSISTENT_SUBSCRIPTION_"
    theirs = {name.removeprefix(prefix): value for name, value in vars(common).items() if name.startswith(prefix)}
    assert {name: getattr(persistent_client, name) for name in theirs} == theirs


def test_stream_states(esdbclient: ModuleType) -> None:
    assert [(state.name, state.value) for state in StreamState] == [
        (state.name, state.value) for state in esdbclient.StreamState
    ]
    assert f"{StreamState.ANY}" == f"{esdbclient.StreamState.ANY}"


def test_new_events(esdbclient: ModuleType) -> None:
    def described(kind: Any) -> list[tuple[str, Any]]:
        return [(field.name, field.default) for field in fields(kind) if field.name != "id"]

    assert described(NewEvent) == described(esdbclient.NewEvent)
    assert [field.name for field in fields(NewEvent)] == [field.name for field in fields(esdbclient.NewEvent)]
    assert NewEvent("A", b"", id=UUID(int=1)) == NewEvent("B", b"x", id=UUID(int=1))


def test_recorded_events_have_the_same_attributes(esdbclient: ModuleType) -> None:
    theirs = {field.name for field in fields(esdbclient.RecordedEvent)} | public(esdbclient.RecordedEvent)
    assert theirs <= public(RecordedEvent)
    assert public(RecordedEvent) - theirs == {"created", "resolved_from", "with_retry_count"}


@pytest.mark.parametrize("positions", [(), (41, 41)])
def test_words_that_are_no_events(esdbclient: ModuleType, positions: tuple[int, ...]) -> None:
    ours = Checkpoint(*positions) if positions else CaughtUp()
    theirs = esdbclient.Checkpoint(*positions) if positions else esdbclient.CaughtUp()
    attributes = [field.name for field in fields(theirs)] + sorted(public(esdbclient.RecordedEvent))
    assert [getattr(ours, name) for name in attributes] == [getattr(theirs, name) for name in attributes]
    assert isinstance(ours, RecordedEvent)


@pytest.mark.parametrize("ours", [SubscriptionInfo, ProjectionStatistics])
def test_information_has_the_same_fields(esdbclient: ModuleType, ours: Any) -> None:
    from esdbclient import persistent, projections

    module = persistent if ours is SubscriptionInfo else projections
    assert [field.name for field in fields(ours)] == [field.name for field in fields(getattr(module, ours.__name__))]


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "http://localhost",
        "esdb://",
        "esdb://localhost?Tls=false",
        "esdb://localhost:2114?tls=FALSE&DefaultDeadline=7",
        "esdb://localhost",
        "esdb://admin:changeit@localhost",
        "esdb://a,b:3,%20c?Tls=false",
        "esdb+discover://a?Tls=false&NodePreference=Follower",
        "esdb+discover://a,b?Tls=false",
        "esdb://a?Tls=maybe",
        "esdb://a?Tls=false&NodePreference=boss",
        "esdb://a?Tls=false&Speed=9&Colour=red",
        "esdb://a?Tls=false&ConnectionName=me&GossipTimeout=3&DiscoveryInterval=1&MaxDiscoverAttempts=2",
        "esdb://a?Tls=false&KeepAliveInterval=10000&KeepAliveTimeout=1&TlsVerifyCert=false&TlsCaFile=/ca",
    ],
)
def test_uris_are_read_and_refused_alike(esdbclient: ModuleType, uri: str | None) -> None:
    from esdbclient import connection_spec as original

    def read(make: Any) -> Any:
        try:
            spec = make(uri)
        except ValueError as error:
            return str(error)
        options = {name: getattr(spec.options, name) for name in original.VALID_CONNECTION_QUERY_STRING_FIELDS}
        if "ConnectionName" not in (uri or ""):
            del options["ConnectionName"]
        return spec.uri, spec.scheme, spec.username, spec.password, list(spec.targets), options

    assert read(ConnectionSpec) == read(original.ConnectionSpec)


@pytest.mark.parametrize(
    ("include", "exclude"),
    [((), ()), (("A", "B"), ()), ("A", ()), ((), ("A", "B")), ((), r"\$.+"), (("A",), ("B",)), ((), None)],
)
def test_f5_filters_are_the_same_expressions(esdbclient: ModuleType, include: Any, exclude: Any) -> None:
    from esdbclient import streams

    exclude = reading.DEFAULT_EXCLUDE_FILTER if exclude is None else exclude
    request = streams.BaseStreamsService._construct_read_request(filter_include=include, filter_exclude=exclude)
    expected = request.options.filter.event_type.regex or None
    assert reading.all_filter(exclude, include, False).pattern == expected


UPDATES: list[dict[str, Any]] = [
    {},
    {"message_timeout": 1.5, "max_retry_count": 0, "resolve_links": True},
    {"from_end": True},
    {"from_end": False},
    {"position": 7},
]


@pytest.mark.parametrize("changes", UPDATES)
@pytest.mark.parametrize("stream", ["orders", None])
@pytest.mark.parametrize("settings", [GroupSettings(), GroupSettings(start=5), GroupSettings(from_end=True)])
def test_an_update_sends_the_same_settings(
    esdbclient: ModuleType, changes: dict[str, Any], stream: str | None, settings: GroupSettings
) -> None:
    from esdbclient import persistent

    group = GroupInfo(stream, "g", "Live", settings, 0, "", "", 0, 0, 0, 0, 0, 0, 0)
    ours = SubscriptionInfo.of(group)
    theirs = persistent.SubscriptionInfo(**vars(ours))
    place = "commit_position" if stream is None else "stream_position"
    arguments = {place if name == "position" else name: value for name, value in changes.items()}
    expected = (theirs.update_all_kwargs if stream is None else theirs.update_stream_kwargs)(**arguments)
    every = dict.fromkeys(inspect.signature(theirs.update_all_kwargs).parameters)
    sent = ours.updated(every | changes, changes.get("position"))
    sent[place] = sent.pop("position")
    assert sent == expected


# -- acks: what the original makes of the same acks at the same times --------------------------------------------------

STOP = "stop the subscription"
IDS = [UUID(int=number) for number in range(1, 100)]

Said = list[tuple[float, str, int]]
"""When (seconds), what, and of which event."""

SAID: dict[str, Said] = {
    "full batches": [(0.01, "ack", number) for number in range(7)] + [(0.05, STOP, 0)],
    "beats go on while idle": [(0.05, "ack", 0), (0.65, "ack", 1), (0.95, "ack", 2), (1.3, STOP, 0)],
    "a full batch moves the beat": [
        *[(0.15, "ack", number) for number in range(3)], (0.16, "ack", 4), (0.5, "ack", 5), (1.0, STOP, 0),
    ],
    "changes of action": [
        (0.01, "ack", 0), (0.01, "park", 1), (0.01, "park", 2), (0.01, "ack", 3), (0.02, "retry", 4), (0.9, STOP, 0),
    ],
    "a held one does not fill a batch": [(0.01, "ack", 0), (0.02, "skip", 1), (0.03, "ack", 2), (0.5, STOP, 0)],
    "what comes after the stop is lost": [(0.01, "ack", 0), (0.02, STOP, 0), (0.02, "ack", 1)],
    "nothing": [(0.7, STOP, 0)],
}  # fmt: skip


class _Clock:
    """The original's time, queue and pauses: `get` returns what is said next, or that nothing was said in time."""

    def __init__(self, said: Said) -> None:
        self.said = list(said)
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, duration: float) -> None:
        self.now += duration

    def get(self, timeout: float) -> tuple[UUID | None, str]:
        import queue

        due = round(self.now + timeout, 9)
        if self.said and self.said[0][0] <= due:
            at, action, number = self.said.pop(0)
            self.now = max(self.now, at)
            return (None, "poison") if action == STOP else (IDS[number], action)
        self.now = due
        raise queue.Empty

    def task_done(self) -> None:
        pass


def original_batches(monkeypatch: pytest.MonkeyPatch, said: Said, size: int) -> list[tuple[float, str, list[UUID]]]:
    from esdbclient import persistent

    clock = _Clock(said)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(persistent, "sleep", clock.sleep)
    requests = persistent.SubscriptionReadReqs("g", "s", max_ack_batch_size=size)
    requests._ack_queue = clock  # type: ignore[assignment]
    monkeypatch.setattr(
        requests, "_update_last_ack_batch_time", lambda: setattr(requests, "_last_ack_batch_time", clock.now)
    )
    monkeypatch.setattr(
        requests, "_calc_time_until_next_ack_batch", lambda: requests._last_ack_batch_time + 0.2 - clock.now
    )
    requests._last_ack_batch_time = 0.0
    sent = []
    for request in iter(requests.__next__, None):
        kind = request.WhichOneof("content")
        if kind == "ack":
            sent.append((round(clock.now, 6), "ack", [UUID(event_id.string) for event_id in request.ack.ids]))
        elif kind == "nack":
            action = type(request.nack).Action.Name(request.nack.action).lower()
            sent.append((round(clock.now, 6), action, [UUID(event_id.string) for event_id in request.nack.ids]))
    return sent


def our_batches(said: Said, size: int) -> list[tuple[float, str, list[UUID]]]:
    kernel = Kernel(0)
    process = kernel.process("consumer")
    sent: list[tuple[float, str, list[UUID]]] = []

    def send(request: Any) -> bool:
        sent.append((round(kernel.now / SECOND, 6), getattr(request, "action", "ack"), list(request.ids)))
        return True

    def application() -> None:
        settlements = Settlements(kernel, process, send, lambda error: None, size, 0.2, 0.2)
        for at, action, number in said:
            kernel.sleep(max(0, round(at * SECOND) - kernel.now))
            if action == STOP:
                settlements.stop()
            else:
                settlements.add(IDS[number], action)

    process.spawn(application, main=True)
    kernel.run()
    return sent


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("case", sorted(SAID))
def test_acks_leave_in_the_same_batches_at_the_same_times(
    esdbclient: ModuleType, monkeypatch: pytest.MonkeyPatch, case: str, size: int
) -> None:
    ours = our_batches(SAID[case], size)
    with monkeypatch.context() as patched:
        theirs = original_batches(patched, SAID[case], size)
    assert ours == theirs

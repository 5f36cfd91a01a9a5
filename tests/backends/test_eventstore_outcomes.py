"""What an exception of esdbclient says for certain of an append: one test a row."""

import inspect

import esdbclient.client
import esdbclient.exceptions
import pytest

from mqverify.backends.eventstore.outcomes import RETRY_PAUSE, append_outcome, one_try
from mqverify.simulation.eventstore import exceptions as simulated
from mqverify.simulation.eventstore.protocol import DeleteStream, WrongVersion
from tests.simulation.eventstore.harness import Machine

EXACT, ANY = 3, None
WAYS = [(expected, once) for expected in (EXACT, ANY) for once in (False, True)]
THIS_TRY = [
    "AccessDeniedError", "BadRequestError", "FailedPrecondition", "InvalidTransactionError",
    "MaximumSubscriptionsReached", "NotFound", "StreamIsDeleted",
]  # fmt: skip
NEVER = [
    "AbortedByServer", "AlreadyExists", "AppendDeadlineExceeded", "CancelledByClient", "ConsumerTooSlow",
    "DeadlineExceeded", "DiscoveryFailed", "EventStoreDBClientException", "ExceptionIteratingRequests",
    "ExceptionThrownByHandler", "FollowerNotFound", "GrpcDeadlineExceeded", "GrpcError", "InternalError",
    "LeaderNotFound", "OperationFailed", "ReadOnlyReplicaNotFound", "SSLError", "ServiceUnavailable",
    "SubscriptionConfirmationError", "UnknownError",
]  # fmt: skip


def certain(name: str, library: object = simulated) -> list[tuple[int | None, bool]]:
    """The ways (expected, once) in which it says `failed`."""
    error = getattr(library, name)("said so")
    return [way for way in WAYS if append_outcome(error, *way) == "failed"]


@pytest.mark.parametrize("library", [simulated, esdbclient.exceptions], ids=["look-alike", "esdbclient"])
@pytest.mark.parametrize("name", THIS_TRY)
def test_a_refusal_is_certain_if_there_was_no_other_try(name: str, library: object) -> None:
    assert certain(name, library) == [(EXACT, True), (ANY, True)]


@pytest.mark.parametrize("name", NEVER)
def test_what_may_have_been_done_is_never_certain(name: str) -> None:
    assert certain(name) == []


def test_not_being_leader_is_a_refusal_of_this_try() -> None:
    error = simulated.NodeIsNotLeader("somebody else")
    assert [append_outcome(error, EXACT, once) for once in (False, True)] == ["unknown", "failed"]


def test_a_conflict_with_an_exact_revision_is_certain_after_any_number_of_tries() -> None:
    assert certain("WrongCurrentVersion") == [(EXACT, False), (EXACT, True), (ANY, True)]


def test_c1_a_conflict_with_no_stream_is_certain_only_if_there_was_no_other_try() -> None:
    """On a deleted stream the first try may have been done, and the second is refused (the next test)."""
    conflict = simulated.WrongCurrentVersion()
    assert [append_outcome(conflict, -1, once) for once in (False, True)] == ["unknown", "failed"]


def test_c1_the_repetition_of_a_deleted_streams_first_append_is_refused() -> None:
    machine = Machine()
    machine.append("s", 0, 3)
    machine.ask(DeleteStream("s", "any"))
    first, again = (machine.append("s", 10, expected="no_stream") for _ in range(2))
    assert first.revision == 3
    assert again == WrongVersion(3)


def test_too_large_is_certain_after_any_number_of_tries() -> None:
    assert certain("MaximumAppendSizeExceededError") == WAYS
    single = simulated.GrpcError("Maximum Append Size of 1048576 Exceeded.")
    assert [append_outcome(single, *way) for way in WAYS] == ["failed"] * 4


def test_every_exception_of_esdbclient_has_a_row_here() -> None:
    kinds = {
        name
        for name, kind in vars(esdbclient.exceptions).items()
        if inspect.isclass(kind) and issubclass(kind, esdbclient.exceptions.EventStoreDBClientException)
    }
    named = {*THIS_TRY, *NEVER, "NodeIsNotLeader", "WrongCurrentVersion", "WrongExpectedVersion"}
    assert kinds - named == {"MaximumAppendSizeExceededError"}


def test_another_try_of_esdbclient_takes_at_least_its_pause() -> None:
    source = inspect.getsource(esdbclient.client.retrygrpc) + inspect.getsource(esdbclient.client.autoreconnect)
    assert source.count("sleep(0.1)") == source.count("return f(*args, **kwargs)") - 2 == 4
    assert RETRY_PAUSE == 100_000_000
    assert (one_try(RETRY_PAUSE - 1), one_try(RETRY_PAUSE)) == (True, False)

"""What esdbclient makes of a call that failed: `common.handle_rpc_error`, as in docs/facts/eventstore.md §F2.

A node's `Failed` is the status and its details; which exception an application sees depends on the call as well.
"""

from collections.abc import Callable
from typing import Final

from mqverify.simulation.eventstore.exceptions import (
    AlreadyExists,
    EventStoreDBClientException,
    FailedPrecondition,
    GrpcDeadlineExceeded,
    GrpcError,
    InternalError,
    MaximumAppendSizeExceededError,
    MaximumSubscriptionsReached,
    NodeIsNotLeader,
    NotFound,
    ServiceUnavailable,
    StreamIsDeleted,
    WrongCurrentVersion,
)
from mqverify.simulation.eventstore.protocol import Failed, Failure

__all__ = [
    "append_error",
    "batch_append_error",
    "deadline_exceeded",
    "deletion_error",
    "info_error",
    "read_error",
    "rpc_error",
]

NOT_READY: Final = "Server Is Not Ready"

Raised = Callable[[str], EventStoreDBClientException]


def _not_found(details: str) -> EventStoreDBClientException:
    return NotFound()


_RPC_ERRORS: Final[dict[Failure, Raised]] = {
    "stream_not_found": NotFound,
    "stream_deleted": FailedPrecondition,
    "group_not_found": _not_found,
    "group_exists": AlreadyExists,
    "maximum_subscribers": MaximumSubscriptionsReached,
    "group_dropped": GrpcError,
    "group_failed": InternalError,
    "projection_not_found": NotFound,
    "invalid_position": GrpcError,
    "too_large": GrpcError,
    "deleted_wrong_version": FailedPrecondition,
    "unavailable": ServiceUnavailable,
}


def rpc_error(failed: Failed) -> EventStoreDBClientException:
    """What most calls raise."""
    return _RPC_ERRORS[failed.reason](failed.details)


def append_error(failed: Failed) -> EventStoreDBClientException:
    """What `Streams.Append` raises: the append of a single event. A deleted stream is a `FailedPrecondition` here."""
    return rpc_error(failed)


def batch_append_error(failed: Failed, stream: str) -> EventStoreDBClientException:
    """What `Streams.BatchAppend` raises: its errors come as messages of their own."""
    if failed.reason == "stream_deleted":
        return StreamIsDeleted(f"Stream {stream!r} is deleted")
    if failed.reason == "too_large":
        sizes = [word for word in failed.details.split() if word.isdecimal()]
        return MaximumAppendSizeExceededError(f"Max size is {''.join(sizes[:1])}")
    return rpc_error(failed)


def deletion_error(failed: Failed) -> EventStoreDBClientException:
    """What deleting and tombstoning raise."""
    if failed.reason == "deleted_wrong_version":
        return (NotFound if "Actual version: -1" in failed.details else WrongCurrentVersion)(failed.details)
    if failed.reason == "stream_deleted":
        return StreamIsDeleted(failed.details)
    return rpc_error(failed)


def read_error(failed: Failed, stream: str | None) -> EventStoreDBClientException:
    """What reading and catch-up subscriptions raise; `stream` is None for `$all`."""
    if failed.reason == "stream_deleted" and stream:
        return StreamIsDeleted()
    if failed.reason == "stream_not_found":
        return NotFound(f"Stream {stream!r} not found")
    return rpc_error(failed)


def info_error(failed: Failed) -> EventStoreDBClientException:
    """What `GetInfo` and `List` raise: a node that is not ready is taken for one that does not lead."""
    if failed.reason == "unavailable" and failed.details == NOT_READY:
        return NodeIsNotLeader(failed.details)
    return rpc_error(failed)


def deadline_exceeded() -> EventStoreDBClientException:
    return GrpcDeadlineExceeded("Deadline Exceeded")

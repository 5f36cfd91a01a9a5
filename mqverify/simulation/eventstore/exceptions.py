"""esdbclient's exceptions under their own names, with their own bases, so that an application catches the same ones.

esdbclient itself is not imported: that costs a quarter of a second and gRPC. A test holds the two against each other.
Where esdbclient passes on the `grpc.RpcError`, these carry its details as text.
"""

__all__ = [
    "AbortedByServer",
    "AccessDeniedError",
    "AlreadyExists",
    "AppendDeadlineExceeded",
    "BadRequestError",
    "CancelledByClient",
    "ConsumerTooSlow",
    "DeadlineExceeded",
    "DiscoveryFailed",
    "EventStoreDBClientException",
    "ExceptionIteratingRequests",
    "ExceptionThrownByHandler",
    "FailedPrecondition",
    "FollowerNotFound",
    "GrpcDeadlineExceeded",
    "GrpcError",
    "InternalError",
    "InvalidTransactionError",
    "LeaderNotFound",
    "MaximumAppendSizeExceededError",
    "MaximumSubscriptionsReached",
    "NodeIsNotLeader",
    "NotFound",
    "OperationFailed",
    "ProgrammingError",
    "ReadOnlyReplicaNotFound",
    "SSLError",
    "ServiceUnavailable",
    "StreamIsDeleted",
    "SubscriptionConfirmationError",
    "UnknownError",
    "WrongCurrentVersion",
    "WrongExpectedVersion",
]


class EventStoreDBClientException(Exception):
    """The base of what the client raises."""


class ProgrammingError(Exception):
    """The client was used as it cannot be."""


class GrpcError(EventStoreDBClientException):
    """A call failed; `retrygrpc` tries once more."""


class ExceptionThrownByHandler(GrpcError):
    """The node failed while it served a call."""


class ServiceUnavailable(GrpcError):
    """The node cannot be reached, or is not ready; `autoreconnect` tries once more on a new connection."""


class SSLError(ServiceUnavailable):
    """The two do not agree on TLS."""


class DeadlineExceeded(EventStoreDBClientException):
    """Something took longer than it was given."""


class GrpcDeadlineExceeded(GrpcError, DeadlineExceeded):
    """No answer came within `timeout`. What was asked for may have been done."""


class CancelledByClient(EventStoreDBClientException):
    """The client itself ended the call."""


class AbortedByServer(GrpcError):
    """The node gave the call up, as by its own time-out for writes."""


class ConsumerTooSlow(AbortedByServer):
    """A node of 23.10 dropped a catch-up subscription that fell behind."""


class NodeIsNotLeader(EventStoreDBClientException):
    """The node does not lead its cluster."""

    leader_grpc_target: str | None = None
    """`host:port` of the leader, where the node told it."""


class NotFound(EventStoreDBClientException):
    """There is no such stream, subscription or projection."""


class AlreadyExists(EventStoreDBClientException):
    """There is such a subscription or projection already."""


class SubscriptionConfirmationError(EventStoreDBClientException):
    """The first answer to a subscription was not its confirmation."""


class WrongCurrentVersion(EventStoreDBClientException):
    """The stream does not end where `current_version` says."""


WrongExpectedVersion = WrongCurrentVersion


class AccessDeniedError(EventStoreDBClientException):
    """The user may not do that."""


class StreamIsDeleted(EventStoreDBClientException):
    """The stream has been tombstoned, or is deleted and was expected to exist."""


class AppendDeadlineExceeded(DeadlineExceeded):
    """The node gave up a batch."""


class UnknownError(EventStoreDBClientException):
    """The node says no more."""


class InvalidTransactionError(EventStoreDBClientException):
    """The node takes the batch for no valid transaction."""


class OperationFailed(GrpcError):
    """A projection could not be changed."""


class MaximumAppendSizeExceededError(EventStoreDBClientException):
    """A batch is larger than the node takes."""


class BadRequestError(EventStoreDBClientException):
    """The node could not read the batch."""


class DiscoveryFailed(EventStoreDBClientException):
    """No node of the cluster is the one that `NodePreference` asks for."""


class LeaderNotFound(DiscoveryFailed):
    """The cluster has no leader."""


class FollowerNotFound(DiscoveryFailed):
    """The cluster has no follower."""


class ReadOnlyReplicaNotFound(DiscoveryFailed):
    """The cluster has no read-only replica."""


class ExceptionIteratingRequests(EventStoreDBClientException):
    """What was acknowledged could not be sent; its cause says why."""


class FailedPrecondition(EventStoreDBClientException):
    """The node is not in a state to do that."""


class MaximumSubscriptionsReached(FailedPrecondition):
    """The group has as many consumers as it takes."""


class InternalError(GrpcError):
    """The node failed."""

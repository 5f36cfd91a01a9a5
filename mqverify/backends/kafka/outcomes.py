"""From kafka-python's exceptions to outcomes: the one table, for sends and for commits.

`failed` says that it was not done, for certain: it is promised never to be found later. What is not named here, and
what is but comes after another try, is `unknown`: it may have been done, and may be found later or not. All this is
read off kafka-python 3.0.12, whose files are named where they decide.
"""

__all__ = ["commit_outcome", "one_try", "send_outcome"]

# Three tables of errors by which a send was refused (Kafka's error codes, docs/facts/kafka.md §A.2). Left out are
#  - NotEnoughReplicasAfterAppend, NotLeaderOrFollower, time-outs, disconnects: it may have been appended;
#  - IllegalStateError: `RecordAccumulator.abort_batches`, on a close by force, gives it to batches on their way too;
#  - KafkaProtocolError: a *reply* that cannot be read (`net/transport.py`), so what it says of the request is nothing;
#  - ProducerFencedError, InvalidProducerEpochError: only idempotent producers have them, and these get them for others'
#    batches as well (below).

# What the broker says of this batch, before it appends: replicas, partition and sequence are checked first. They stand
# for one try only: the batch of a try whose reply was lost, or which ended in NotEnoughReplicasAfterAppend, may lie in
# the log while a later try is refused for want of replicas, until the delivery time-out makes that the last error.
# NodeNotReadyError is the client's own: there was no connection to send on (`KafkaConnectionManager.send`).
_REFUSED_THIS_TRY = frozenset(
    {"NodeNotReadyError", "NotEnoughReplicasError", "OutOfOrderSequenceNumberError", "UnknownTopicOrPartitionError"}
)

# The same, but an idempotent producer takes these for fatal (`TransactionManager.classify_batch_error`), and then
# `Sender._maybe_abort_batches` gives one batch's error to every incomplete batch, those on their way to the broker
# included. So there nobody can tell whose error it is.
_REFUSED_THIS_TRY_UNLESS_ANOTHERS = frozenset(
    {
        "BrokerNotAvailableError",
        "ClusterAuthorizationFailedError",
        "InvalidTimestampError",
        "PolicyViolationError",
        "TopicAuthorizationFailedError",
        "UnsupportedVersionError",
    }
)

# The same, and no matter how many tries: they follow from the batch and the settings, which are the same for each try.
_REFUSED_EVERY_TRY_UNLESS_ANOTHERS = frozenset(
    {
        "InvalidRecordError",
        "InvalidRequiredAcksError",
        "InvalidTopicError",
        "MessageSizeTooLargeError",
        "RecordListTooLargeError",
        "UnsupportedForMessageFormatError",
    }
)

# Errors by which the coordinator, or the client before it asks, says that it took no part of a commit (§C.1). Left out
# is OffsetMetadataTooLarge: it is one partition's, and the others may have been taken.
_COMMIT_REFUSED_THIS_TRY = frozenset(
    {
        "CommitFailedError",
        "FencedInstanceIdError",
        "GroupAuthorizationFailedError",
        "IllegalGenerationError",
        "InvalidCommitOffsetSizeError",
        "InvalidGroupIdError",
        "NodeNotReadyError",
        "RebalanceInProgressError",
        "TopicAuthorizationFailedError",
        "UnknownMemberIdError",
    }
)


def one_try(took: int, retry_backoff: int, retries: int | None = None) -> bool:
    """Whether a call that ended after `took` nanoseconds was surely tried only once.

    A second try begins `retry_backoff` after the first at the earliest: `ConsumerCoordinator.commit_offsets_sync`
    sleeps it, `RecordAccumulator.ready` and `drain` hold a batch back for it. (`request_timeout` is no such bound: a
    broken connection is tried again without waiting for it.) Two cases are tried again at once and do not count, since
    their first try was refused: batches split because they were too large, and sequences that retention made unknown.
    """
    return retries == 0 or took < retry_backoff


def send_outcome(error: BaseException, handed_over: bool, once: bool = False, idempotent: bool = True) -> str:
    """`failed` or `unknown` for the exception of a send; `handed_over` once the client library had the message.

    Before that (no metadata, no buffer memory, too large) nothing can have been sent. `once`: it was tried only once
    (`one_try`). `idempotent`: the producer is, in effect. Without the two, what holds whatever they are.
    """
    if not handed_over:
        return "failed"
    refusals: frozenset[str] = _REFUSED_THIS_TRY if once else frozenset()
    if not idempotent:
        refusals |= _REFUSED_EVERY_TRY_UNLESS_ANOTHERS
        if once:
            refusals |= _REFUSED_THIS_TRY_UNLESS_ANOTHERS
    return "failed" if _names(error) & refusals else "unknown"


def commit_outcome(error: BaseException, once: bool = True) -> str:
    """`failed` or `unknown` for the exception of a commit.

    `once`: it was tried only once, as `commit_async` always does and `commit` if `one_try` says so. The last error of
    several tries says nothing of the first: that one may have been taken, and its reply lost.
    """
    return "failed" if once and _names(error) & _COMMIT_REFUSED_THIS_TRY else "unknown"


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}

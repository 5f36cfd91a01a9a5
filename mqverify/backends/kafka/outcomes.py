"""From kafka-python's exceptions to outcomes: the one table, for sends and for commits.

What is not named here is `unknown`: it may have been done, and may be found later or not.
"""

__all__ = ["commit_outcome", "send_outcome"]

# Errors by which the client or the broker says that nothing was appended (reference: Kafka's error codes; §A.2).
# NotEnoughReplicasAfterAppend, NotLeaderOrFollower, time-outs and disconnects are deliberately absent.
_SEND_FAILED_FOR_CERTAIN = frozenset(
    {
        "BrokerNotAvailableError",
        "ClusterAuthorizationFailedError",
        "IllegalStateError",
        "InvalidPartitionsError",
        "InvalidProducerEpochError",
        "InvalidRecordError",
        "InvalidRequiredAcksError",
        "InvalidTimestampError",
        "InvalidTopicError",
        "KafkaProtocolError",
        "MessageSizeTooLargeError",
        "NotEnoughReplicasError",
        "OutOfOrderSequenceNumberError",
        "PolicyViolationError",
        "ProducerFencedError",
        "RecordListTooLargeError",
        "RecordTooLargeError",
        "SerializationError",
        "TopicAuthorizationFailedError",
        "UnknownTopicOrPartitionError",
        "UnsupportedForMessageFormatError",
        "UnsupportedVersionError",
    }
)

# Errors by which the coordinator says that it did not take the commit (reference §C.1).
_COMMIT_FAILED_FOR_CERTAIN = frozenset(
    {
        "CommitFailedError",
        "FencedInstanceIdError",
        "GroupAuthorizationFailedError",
        "IllegalGenerationError",
        "IllegalStateError",
        "InvalidCommitOffsetSizeError",
        "InvalidGroupIdError",
        "OffsetMetadataTooLargeError",
        "RebalanceInProgressError",
        "TopicAuthorizationFailedError",
        "UnknownMemberIdError",
    }
)


def send_outcome(error: BaseException, handed_over: bool) -> str:
    """`failed` or `unknown` for the exception of a send; `handed_over` once the client library had the message.

    Before that (no metadata, no buffer memory, too large) nothing can have been sent.
    """
    if not handed_over:
        return "failed"
    return "failed" if _names(error) & _SEND_FAILED_FOR_CERTAIN else "unknown"


def commit_outcome(error: BaseException) -> str:
    """`failed` or `unknown` for the exception of a commit."""
    return "failed" if _names(error) & _COMMIT_FAILED_FOR_CERTAIN else "unknown"


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}

"""What an exception of kafka-python says for certain: one test a row, and the mechanisms that take certainty away."""

import inspect

import kafka.errors
import pytest
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.transaction_manager import TransactionManager
from kafka.structs import TopicPartition

from mqverify.backends.kafka import outcomes
from mqverify.backends.kafka.outcomes import commit_outcome, one_try, send_outcome

THIS_TRY = [
    "NodeNotReadyError", "NotEnoughReplicasError", "OutOfOrderSequenceNumberError", "UnknownTopicOrPartitionError",
]  # fmt: skip
THIS_TRY_UNLESS_ANOTHERS = [
    "BrokerNotAvailableError", "ClusterAuthorizationFailedError", "InvalidTimestampError", "PolicyViolationError",
    "TopicAuthorizationFailedError", "UnsupportedVersionError",
]  # fmt: skip
EVERY_TRY_UNLESS_ANOTHERS = [
    "InvalidRecordError", "InvalidRequiredAcksError", "InvalidTopicError", "MessageSizeTooLargeError",
    "RecordListTooLargeError", "UnsupportedForMessageFormatError",
]  # fmt: skip
NEVER_CERTAIN = [
    "Cancelled", "CorrelationIdError", "IllegalStateError", "InvalidProducerEpochError", "InvalidReceiveError",
    "KafkaConnectionError", "KafkaError", "KafkaProtocolError", "KafkaStorageError", "KafkaTimeoutError",
    "NetworkExceptionError", "NotEnoughReplicasAfterAppendError", "NotLeaderForPartitionError", "ProducerFencedError",
    "RequestTimedOutError", "UnknownError", "UnknownProducerIdError",
]  # fmt: skip
COMMIT_THIS_TRY = [
    "CommitFailedError", "FencedInstanceIdError", "GroupAuthorizationFailedError", "IllegalGenerationError",
    "InvalidCommitOffsetSizeError", "InvalidGroupIdError", "NodeNotReadyError", "RebalanceInProgressError",
    "TopicAuthorizationFailedError", "UnknownMemberIdError",
]  # fmt: skip
COMMIT_NEVER_CERTAIN = [
    "Cancelled", "CoordinatorLoadInProgressError", "CoordinatorNotAvailableError", "IllegalStateError",
    "KafkaConnectionError", "KafkaError", "KafkaTimeoutError", "NotCoordinatorError", "OffsetMetadataTooLargeError",
    "RequestTimedOutError", "UnknownError",
]  # fmt: skip
WAYS = [(once, idempotent) for once in (False, True) for idempotent in (False, True)]


def error(name):
    return getattr(kafka.errors, name)("said so")


def certain(name):
    """The ways (once, idempotent) in which a send's error is `failed`."""
    return [way for way in WAYS if send_outcome(error(name), True, *way) == "failed"]


@pytest.mark.parametrize("name", THIS_TRY)
def test_a_refusal_of_this_try_is_certain_if_there_was_no_other(name):
    assert certain(name) == [(True, False), (True, True)]


@pytest.mark.parametrize("name", THIS_TRY_UNLESS_ANOTHERS)
def test_a_refusal_that_an_idempotent_producer_hands_to_every_batch_is_certain_without_idempotence_only(name):
    assert certain(name) == [(True, False)]


@pytest.mark.parametrize("name", EVERY_TRY_UNLESS_ANOTHERS)
def test_a_refusal_of_the_batch_itself_is_certain_after_any_number_of_tries(name):
    assert certain(name) == [(False, False), (True, False)]


@pytest.mark.parametrize("name", NEVER_CERTAIN)
def test_a_send_of_which_nobody_knows(name):
    assert certain(name) == []


@pytest.mark.parametrize("name", THIS_TRY + THIS_TRY_UNLESS_ANOTHERS + EVERY_TRY_UNLESS_ANOTHERS + NEVER_CERTAIN)
def test_what_was_never_handed_over_failed_and_without_word_of_tries_nothing_is_certain(name):
    assert send_outcome(error(name), handed_over=False) == "failed"
    assert send_outcome(error(name), handed_over=True) == "unknown"


@pytest.mark.parametrize("name", COMMIT_THIS_TRY)
def test_a_refused_commit_is_certain_if_there_was_no_other_try(name):
    """A try whose reply was lost may have been taken: the refusal of the next one says nothing of it."""
    assert commit_outcome(error(name)) == "failed"
    assert commit_outcome(error(name), once=True) == "failed"
    assert commit_outcome(error(name), once=False) == "unknown"


@pytest.mark.parametrize("name", COMMIT_NEVER_CERTAIN)
def test_a_commit_of_which_nobody_knows(name):
    assert commit_outcome(error(name), once=True) == "unknown"


EVERY_ERROR = sorted({kind.__name__ for _, kind in inspect.getmembers(kafka.errors, inspect.isclass)})


def test_of_all_errors_that_kafka_python_has_none_but_the_rows_is_certain_for_a_send():
    """Subclasses of a row are, as they should: `IncompatibleBrokerVersion` is the client's own, before it sends."""
    some_way = {name for name in EVERY_ERROR if certain(name)}
    rows = {*THIS_TRY, *THIS_TRY_UNLESS_ANOTHERS, *EVERY_TRY_UNLESS_ANOTHERS}
    assert some_way == {*rows, "IncompatibleBrokerVersion"}
    assert certain("IncompatibleBrokerVersion") == certain("UnsupportedVersionError")
    assert set(NEVER_CERTAIN) < set(EVERY_ERROR)


def test_of_all_errors_that_kafka_python_has_none_but_the_rows_is_certain_for_a_commit():
    assert [name for name in EVERY_ERROR if commit_outcome(error(name)) == "failed"] == COMMIT_THIS_TRY
    assert set(COMMIT_NEVER_CERTAIN) < set(EVERY_ERROR)


def test_what_is_no_error_of_kafka_python_is_unknown_once_it_was_handed_over():
    for foreign in (OSError(), ValueError(), RuntimeError()):
        assert {send_outcome(foreign, True, *way) for way in WAYS} == {"unknown"}
        assert commit_outcome(foreign) == "unknown"


def test_every_row_of_the_tables_is_tested():
    assert set(THIS_TRY) == outcomes._REFUSED_THIS_TRY
    assert set(THIS_TRY_UNLESS_ANOTHERS) == outcomes._REFUSED_THIS_TRY_UNLESS_ANOTHERS
    assert set(EVERY_TRY_UNLESS_ANOTHERS) == outcomes._REFUSED_EVERY_TRY_UNLESS_ANOTHERS
    assert set(COMMIT_THIS_TRY) == outcomes._COMMIT_REFUSED_THIS_TRY


@pytest.mark.parametrize(
    ("took", "retries", "once"),
    [(0, None, True), (99, None, True), (100, None, False), (100, 3, False), (999, 0, True)],
)
def test_a_second_try_begins_a_back_off_later_at_the_earliest(took, retries, once):
    assert one_try(took, 100, retries) is once


# What the tables rest on, in kafka-python itself.


def incomplete_batch():
    """A batch that is on its way to the broker, and the future of its one record."""
    accumulator = RecordAccumulator(message_version=2)
    partition = TopicPartition("topic", 0)
    future, *_ = accumulator.append(partition, 0, b"key", b"value", [])
    accumulator._batches[partition].popleft().drained = 1.0
    return accumulator, future


def test_a_close_by_force_fails_what_is_on_its_way():
    accumulator, future = incomplete_batch()
    accumulator.abort_incomplete_batches()
    assert type(future.exception) is kafka.errors.IllegalStateError
    assert send_outcome(future.exception, True, once=True, idempotent=False) == "unknown"


@pytest.mark.parametrize("name", THIS_TRY + THIS_TRY_UNLESS_ANOTHERS + EVERY_TRY_UNLESS_ANOTHERS)
def test_which_errors_an_idempotent_producer_takes_for_fatal_and_hands_to_every_batch(name):
    manager = TransactionManager(api_version=(4, 0))
    fatal = manager.classify_batch_error(error(name), batch=None) == TransactionManager.ERROR_CLASS_FATAL
    assert fatal is (name not in THIS_TRY)


def test_a_fatal_error_of_one_batch_is_every_batchs():
    accumulator, future = incomplete_batch()
    fatal = kafka.errors.MessageSizeTooLargeError("another batch was")
    accumulator.abort_batches(fatal)  # as Sender._maybe_abort_batches does
    assert future.exception is fatal
    assert send_outcome(future.exception, True, once=True, idempotent=True) == "unknown"

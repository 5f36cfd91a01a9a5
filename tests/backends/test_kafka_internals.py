"""A kafka-python that is made in another way is told, with what cannot be done with it."""

import kafka
import pytest
from kafka.coordinator.consumer import ConsumerCoordinator

from mqverify.backends.kafka.internals import KNOWN, send_to, wrap_commits
from mqverify.errors import BackendUnavailable


def test_commits_that_cannot_be_heard_are_not_passed_over():
    with pytest.raises(BackendUnavailable, match=f"settle: automatic.*install kafka-python {KNOWN}"):
        wrap_commits(object(), lambda send: send)


def test_a_broker_that_cannot_be_asked_by_its_number_is_not_asked_in_another_way():
    with pytest.raises(BackendUnavailable, match=f"faults of brokers.*install kafka-python {KNOWN}"):
        send_to(object(), 1, None, 1000)


def test_the_kafka_python_that_is_installed_is_the_one_that_is_known():
    assert kafka.__version__ == KNOWN
    assert hasattr(ConsumerCoordinator, "_send_offset_commit_request")

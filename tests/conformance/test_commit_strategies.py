"""Commit strategies × faults: docs/facts/kafka.md §C.4, row by row, with its numbers.

200 records in one partition, 50 a poll, 10 ms each. An application dies, fails or is frozen; then another consumer of
the group reads what is left from the committed offset on.
"""

from typing import Any

import pytest

from tests.conformance.applications import consume
from tests.conformance.arms import Arm, Process

COUNT = 200


class Trial:
    """An application in trouble, and what its successor finds."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.topic, self.group = arm.topic(), arm.named("group")
        arm.produce(self.topic, COUNT)
        self.config = {
            "group_id": self.group,
            "auto_offset_reset": "earliest",
            "max_poll_records": 50,
            "session_timeout_ms": 2000,
            "heartbeat_interval_ms": 500,
            "auto_commit_interval_ms": 400,  # below the time of a batch
        }
        self.second: list[int] = []

    def start(self, strategy: str, trouble: tuple[str, int], **config: Any) -> Process:
        return self.arm.start(consume, strategy, self.topic, {**self.config, **config}, trouble)

    def committed(self) -> int | None:
        return self.arm.committed(self.group, self.topic)

    def drain(self) -> None:
        """Be the successor: read from the committed offset to the end, and commit nothing."""
        place = self.arm.place(self.topic)
        consumer = self.arm.consumer(self.topic, enable_auto_commit=False, **_without_auto(self.config))
        while not consumer.assignment() or consumer.position(place) < COUNT:
            for records in consumer.poll(500).values():
                self.second += [int(record.value) for record in records]
        consumer.close()

    def result(self, process: Process) -> tuple[int, int]:
        """(lost, duplicates)."""
        first = [number for number in process.told if isinstance(number, int)]
        both = set(first) | set(self.second)
        return COUNT - len(both), len(first) + len(self.second) - len(both)


def _without_auto(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "auto_commit_interval_ms"}


@pytest.mark.parametrize(
    ("strategy", "processed", "committed", "lost", "duplicates"),
    [
        ("auto, poll", 128, 100, 0, 28),
        ("auto, iterator", 132, 100, 0, 32),
        ("auto, handed to workers", 0, 100, 100, 0),
        ("after batch", 130, 100, 0, 30),
        ("after batch, async", 130, 100, 0, 30),
        ("before batch", 129, 150, 21, 0),
        ("after each", 109, 109, 0, 0),
    ],
)
def test_sigkill(arm: Arm, strategy: str, processed: int, committed: int, lost: int, duplicates: int) -> None:
    trial = Trial(arm)
    process = trial.start(strategy, ("die", processed))
    arm.wait_for_end(process)
    assert process.error is None
    assert len(process.told) == processed
    assert trial.committed() == committed
    trial.drain()
    assert trial.result(process) == (lost, duplicates)


@pytest.mark.parametrize(
    ("strategy", "committed", "lost", "duplicates"),
    [
        ("auto, poll, finally close", 100, 30, 0),
        ("auto, iterator, finally close", 71, 1, 0),
        ("auto, with block", None, 0, 70),
        ("after batch, finally close", 50, 0, 20),
        ("before batch", 100, 30, 0),
    ],
)
def test_exception_at_70(arm: Arm, strategy: str, committed: int | None, lost: int, duplicates: int) -> None:
    """The interval is the default of 5 s, as it was measured."""
    trial = Trial(arm)
    process = trial.start(strategy, ("raise", 70), auto_commit_interval_ms=5000)
    arm.wait_for_end(process)
    assert process.error == "RuntimeError: handler failed"
    assert len(process.told) == 70
    assert trial.committed() == committed
    trial.drain()
    assert trial.result(process) == (lost, duplicates)


@pytest.mark.parametrize(
    ("strategy", "committed", "handled_by_both", "error"),
    [
        ("after batch", 50, range(50, 100), "CommitFailedError"),
        ("after each", 70, range(70, 71), "CommitFailedError"),
        ("before batch", 100, range(100, 100), "CommitFailedError"),
    ],
)
def test_sigstop_for_longer_than_the_session(
    arm: Arm, strategy: str, committed: int, handled_by_both: range, error: str
) -> None:
    """Frozen while it handles number 70: it finishes what it had in hand, and its next commit is refused."""
    trial = Trial(arm)
    process = trial.start(strategy, ("stop", 70))
    arm.wait(process, lambda told: "at" in told)
    process.pause()
    assert trial.committed() == committed
    trial.drain()
    process.resume()
    if strategy != "before batch":
        arm.wait_for_end(process)
        assert process.error is not None
        assert process.error.startswith(error)
    else:
        arm.wait(process, lambda told: 99 in told)
    zombie = {number for number in process.told if number != "at"}
    assert trial.second == list(range(committed, COUNT))
    assert sorted(number for number in zombie & set(trial.second) if number < 100) == list(handled_by_both)


def test_callbacks_of_commit_async_come_the_last_first(arm: Arm) -> None:
    """docs/facts/kafka.md §E.2; the offset at the broker is right."""
    topic, group = arm.topic(), arm.named("group")
    arm.produce(topic, 10)
    consumer, place = arm.consumer(group_id=group, enable_auto_commit=False), arm.place(topic)
    consumer.assign([place])
    consumer.commit({place: arm.offset(0)})  # the coordinator is known now
    told: list[int] = []
    for offset in range(1, 6):
        consumer.commit_async({place: arm.offset(offset)}, lambda offsets, _: told.append(offsets[place].offset))
    while len(told) < 5:
        consumer.poll(100)
    consumer.close()
    assert told == [5, 4, 3, 2, 1]
    assert arm.committed(group, topic) == 5

"""Commit strategies × crashes: the measured table of docs/facts/kafka.md §C.4, row by row.

200 records, batches of 50, killed after the processed count of each row; where the row auto-commits, the interval is
below the time of one batch. Then another consumer of the group reads what is left.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests import commit_strategies as apps
from tests.simulation.kafka.harness import TOPIC, Harness

COUNT = 200
HANDLING = 0.01


def drain(library: Any, config: dict[str, Any], handle: apps.Handle) -> None:
    """Read what the group has left, committing nothing that could hide a loss, until nothing comes for a while."""
    consumer = library.KafkaConsumer(TOPIC, enable_auto_commit=False, consumer_timeout_ms=60_000, **config)
    for record in consumer:
        handle(record)
    consumer.close()


class Trial:
    """One consumer that dies or fails, then one that takes over."""

    def __init__(self, seed: int = 0) -> None:
        self.harness = Harness(seed)
        self.harness.create()
        self.harness.produce(COUNT)
        self.first: list[int] = []
        self.second: list[int] = []
        self.committed: int | None = None
        self.ended_with: BaseException | None = None

    def run(
        self,
        application: Callable[..., None],
        handle: Callable[[int], None],
        profile: str = "kafka-python",
        group: str = "group",
        **config: Any,
    ) -> None:
        """`handle(number)` is called for each record before it counts as processed."""
        config = {
            "group_id": group,
            "auto_offset_reset": "earliest",
            "max_poll_records": 50,
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 2000,
            **config,
        }

        def new(library: Any) -> apps.New:
            return partial(library.KafkaConsumer, TOPIC, **config)

        def first(record: Any) -> None:
            number = int(record.value)
            handle(number)
            self.first.append(number)

        process = self.harness.start("first", lambda library: application(library, new(library), first), profile)
        self.victim = process
        self.harness.wait(30)
        assert not process.alive
        self.ended_with = self.harness.failures.pop("first", None)
        self.committed = self.harness.committed(group)
        second = {"group_id": group, "auto_offset_reset": "earliest", "session_timeout_ms": 6000}
        second["heartbeat_interval_ms"] = 2000
        self.harness.run(
            lambda library: drain(library, second, lambda record: self.second.append(int(record.value))), "second"
        )

    def kill_after(self, processed: int) -> Callable[[int], None]:
        """Killed while the record behind the `processed` first ones is being handled."""

        def handle(number: int) -> None:
            if len(self.first) == processed:
                self.harness.sleep(HANDLING / 2)
                self.victim.kill()
            self.harness.sleep(HANDLING)

        return handle

    def fail_at(self, number_of_failure: int) -> Callable[[int], None]:
        def handle(number: int) -> None:
            if number == number_of_failure:
                raise RuntimeError("handler failed")
            self.harness.sleep(HANDLING)

        return handle

    @property
    def lost(self) -> int:
        return len(set(range(COUNT)) - set(self.first) - set(self.second))

    @property
    def duplicates(self) -> int:
        return len(self.first) + len(self.second) - len(set(self.first) | set(self.second))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("application", "processed", "committed", "lost", "duplicates"),
    [
        (apps.auto_commit_poll, 128, 100, 0, 28),
        (apps.auto_commit_iterate, 132, 100, 0, 32),
        (apps.commit_after_batch, 130, 100, 0, 30),
        (apps.commit_before_batch, 129, 150, 21, 0),
        (apps.commit_after_each, 109, 109, 0, 0),
    ],
)
def test_sigkill(
    application: Callable[..., None], processed: int, committed: int, lost: int, duplicates: int, seed: int
) -> None:
    trial = Trial(seed)
    config = {"auto_commit_interval_ms": 400} if "auto" in application.__name__ else {}
    trial.run(application, trial.kill_after(processed), **config)
    assert len(trial.first) == processed
    assert (trial.committed, trial.lost, trial.duplicates) == (committed, lost, duplicates)


@pytest.mark.parametrize(
    ("application", "profile", "committed", "lost", "duplicates"),
    [
        (apps.auto_commit_poll_finally_close, "kafka-python", 100, 30, 0),
        (apps.auto_commit_iterate_finally_close, "kafka-python", 71, 1, 0),
        (apps.auto_commit_with_block, "kafka-python", None, 0, 70),
        # The other libraries' close commits however the block is left (§0.2, §C.4).
        (apps.auto_commit_with_block, "java", 100, 30, 0),
        (apps.auto_commit_with_block, "librdkafka", 71, 1, 0),
    ],
)
def test_exception_at_70(
    application: Callable[..., None], profile: str, committed: int | None, lost: int, duplicates: int
) -> None:
    trial = Trial()
    trial.run(application, trial.fail_at(70), profile)
    assert str(trial.ended_with) == "handler failed"
    assert len(trial.first) == 70
    assert (trial.committed, trial.lost, trial.duplicates) == (committed, lost, duplicates)


@pytest.mark.parametrize("application", [apps.auto_commit_poll, apps.auto_commit_iterate])
def test_librdkafka_commits_the_message_being_processed(application: Callable[..., None]) -> None:
    """confluent auto-commit, 2 s a message, interval 500 ms, killed: processed 3, committed 4, lost 1 (message 3)."""
    trial = Trial()

    def handle(number: int) -> None:
        trial.harness.sleep(1.5)
        if number == 3:
            trial.victim.kill()
        trial.harness.sleep(0.5)

    trial.run(application, handle, "librdkafka", auto_commit_interval_ms=500)
    assert trial.first == [0, 1, 2]
    assert (trial.committed, trial.lost, trial.duplicates) == (4, 1, 0)
    assert 3 not in trial.second


def test_callbacks_of_commit_async_run_the_last_first() -> None:
    """As in kafka-python 3.0.12 (docs/facts/kafka.md §E.2); the offset at the broker is right."""
    harness = Harness()
    harness.create()
    harness.produce(10)

    def application(library: Any) -> list[int]:
        consumer = library.KafkaConsumer(group_id="group", enable_auto_commit=False)
        place = library.TopicPartition("orders", 0)
        consumer.assign([place])
        told: list[int] = []
        for offset in range(1, 6):
            consumer.commit_async(
                {place: library.OffsetAndMetadata(offset, "", -1)},
                lambda offsets, _: told.append(offsets[place].offset),
            )
        harness.sleep(1)
        consumer.poll()
        return told

    assert harness.run(application) == [5, 4, 3, 2, 1]
    assert harness.committed() == 5


def test_the_observer_is_told_of_commits_that_nobody_asked_for() -> None:
    harness = Harness()
    harness.create()
    harness.produce(100)

    class Observer:
        def __init__(self) -> None:
            self.seen: list[tuple[int, Any]] = []

        def settling(self, consumer: Any, offsets: dict[Any, Any]) -> int:
            self.seen.append((next(iter(offsets.values())).offset, "left"))
            return len(self.seen) - 1

        def settled(self, token: int, error: BaseException | None) -> None:
            self.seen[token] = (self.seen[token][0], error)

    observer = Observer()

    def application(library: Any) -> None:
        consumer = library.KafkaConsumer(
            "orders", group_id="group", auto_offset_reset="earliest", max_poll_records=50, auto_commit_interval_ms=1000
        )
        got = 0
        while got < 100:
            for records in consumer.poll(500).values():
                got += len(records)
                harness.sleep(2)
        consumer.commit()  # asked for
        consumer.close()

    harness.start("consumer", application, observer=observer)
    harness.wait(60)
    assert not harness.failures
    assert observer.seen == [(50, None), (100, None)]

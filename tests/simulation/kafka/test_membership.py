"""Crashes, pauses and slow handlers of group members, as an application and its neighbours live through them."""

from typing import Any

import pytest
from kafka import ConsumerRebalanceListener
from kafka.errors import CommitFailedError, KafkaConfigurationError, KafkaError

from tests.simulation.kafka.harness import TOPIC, Harness

CONFIG = {
    "group_id": "group",
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "session_timeout_ms": 6000,
    "heartbeat_interval_ms": 2000,
}


class Notes(ConsumerRebalanceListener):  # type: ignore[misc]
    """What a listener was told."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.told: list[tuple[str, list[int], float]] = []

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._note("revoked", revoked)

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._note("assigned", assigned)

    def on_partitions_lost(self, lost: Any) -> None:
        self._note("lost", lost)

    def _note(self, what: str, partitions: Any) -> None:
        self.told.append((what, [partition.partition for partition in partitions], self.harness.seconds))

    @property
    def changes(self) -> list[tuple[str, list[int]]]:
        return [(what, partitions) for what, partitions, _ in self.told]


class Team:
    """Consumers of one group that commit after each record and note what they handled."""

    def __init__(self, partitions: int = 4, seed: int = 0, **settings: Any) -> None:
        self.harness = Harness(seed, **settings)
        self.harness.create(partitions)
        self.handled: list[tuple[str, int, int, float]] = []
        self.notes: dict[str, Notes] = {}
        self.errors: list[tuple[str, BaseException]] = []
        self.processes: dict[str, Any] = {}

    def start(self, name: str, handling: float = 0.001, **config: Any) -> None:
        notes = self.notes[name] = Notes(self.harness)

        def application(library: Any) -> None:
            consumer = library.KafkaConsumer(client_id=name, **{**CONFIG, **config})
            consumer.subscribe([TOPIC], listener=notes)
            while True:
                for records in consumer.poll(500).values():
                    for record in records:
                        self.work(name, record, handling)
                        place = library.TopicPartition(TOPIC, record.partition)
                        try:
                            consumer.commit({place: library.OffsetAndMetadata(record.offset + 1, "", -1)})
                        except CommitFailedError as error:
                            self.errors.append((name, error))

        self.processes[name] = self.harness.start(name, application)

    def work(self, name: str, record: Any, handling: float) -> None:
        self.harness.sleep(handling)
        self.handled.append((name, record.partition, record.offset, self.harness.seconds))

    def feed(self, seconds: float, rate: int = 50) -> None:
        """A producer that sends `rate` keyed records a second for so long."""

        def application(library: Any) -> None:
            producer = library.KafkaProducer()
            for number in range(int(seconds * rate)):
                producer.send(TOPIC, b"%d" % number, key=b"key-%d" % (number % 40))
                self.harness.sleep(1 / rate)
            producer.close()

        self.harness.start(f"feed at {self.harness.seconds}", application)

    def owner(self, partition: int, since: float) -> list[str]:
        return sorted({name for name, number, _, at in self.handled if number == partition and at >= since})


@pytest.mark.parametrize("seed", range(5))
def test_takeover_after_sigkill_takes_a_session_timeout(seed: int) -> None:
    team = Team(seed=seed)
    team.start("one")
    team.start("two")
    team.harness.wait(10)
    team.feed(30)
    team.harness.wait(8)
    killed = team.harness.seconds
    team.processes["one"].kill()
    team.harness.wait(30)
    told = [at for what, _, at in team.notes["two"].told if what == "assigned" and at > killed]
    # The last heartbeat was up to one interval before; the survivor learns of it within one more.
    assert 4 <= told[0] - killed <= 8.1
    assert team.notes["two"].changes[-1] == ("assigned", [0, 1, 2, 3])
    offsets = {(partition, offset) for _, partition, offset, _ in team.handled}
    assert len(offsets) == 30 * 50
    assert len(team.handled) - len(offsets) <= 1
    assert not team.errors


@pytest.mark.parametrize("seed", range(5))
def test_a_zombie_after_sigstop_cannot_commit_any_more(seed: int) -> None:
    team = Team(seed=seed)
    team.start("one", handling=0.01)
    team.start("two", handling=0.01)
    team.harness.wait(10)
    team.feed(40)
    team.harness.wait(5)
    team.processes["one"].pause()
    team.harness.wait(20)
    assert {name for name, _, _, at in team.handled if at > 22.5} == {"two"}
    team.processes["one"].resume()
    team.harness.wait(40)
    changes = [what for what, _, _ in team.notes["one"].told]
    assert "lost" in changes
    assert changes[-1] == "assigned"
    offsets = {(partition, offset) for _, partition, offset, _ in team.handled}
    assert len(offsets) == 40 * 50


def test_a_zombies_commit_fails() -> None:
    """Paused inside its handler: it finishes the record, then the commit is refused."""
    team = Team(partitions=1)
    harness = team.harness
    harness.produce(50)

    def application(library: Any) -> list[str]:
        consumer = library.KafkaConsumer(TOPIC, **CONFIG)
        [records] = consumer.poll(10_000).values()
        process = library.process
        harness.kernel.call_at(harness.kernel.now + 15_000_000_000, process.resume)
        process.pause()
        place = library.TopicPartition(TOPIC, 0)
        outcomes = []
        for record in records[:2]:
            try:
                consumer.commit({place: library.OffsetAndMetadata(record.offset + 1, "", -1)})
                outcomes.append("committed")
            except CommitFailedError:
                outcomes.append("failed")
        return outcomes

    harness.kernel.call_at(harness.kernel.now + 1_000_000_000, team.start, "other")
    assert harness.run(application) == ["failed", "failed"]
    assert len([record for record in team.handled if record[0] == "other"]) == 50


def test_a_paused_member_within_its_session_loses_nothing() -> None:
    team = Team(partitions=2)
    team.start("one")
    team.start("two")
    team.harness.wait(10)
    team.processes["one"].pause()
    team.harness.wait(3.5)
    team.processes["one"].resume()
    team.harness.wait(30)
    assert [what for what, _ in team.notes["two"].changes].count("assigned") <= 2


def test_a_handler_slower_than_max_poll_interval() -> None:
    """The client leaves by itself; the other gets the batch in progress; the slow one's commit fails (§C.3, H.24)."""
    team = Team(partitions=1)
    team.harness.produce(10)
    slow_times = [40.0]
    work = team.work

    def slow_once(name: str, record: Any, handling: float) -> None:
        work(name, record, slow_times.pop() if name == "slow" and slow_times and record.offset == 5 else handling)

    team.work = slow_once  # type: ignore[method-assign]
    team.start("slow", max_poll_interval_ms=10_000)
    team.harness.wait(5)
    team.start("other", max_poll_interval_ms=10_000)
    team.harness.wait(100)
    assert [(name, type(error)) for name, error in team.errors][:1] == [("slow", CommitFailedError)]
    left_at = next(at for what, numbers, at in team.notes["other"].told if what == "assigned" and numbers)
    assert 10 <= left_at <= 10 + 2 + 2 + 1  # noticed by a heartbeat after the interval
    assert [offset for name, _, offset, _ in team.handled if name == "other"] == [5, 6, 7, 8, 9]
    assert ("lost", [0]) in team.notes["slow"].changes


def test_more_consumers_than_partitions() -> None:
    team = Team(partitions=2)
    for name in ("one", "two", "three"):
        team.start(name)
    team.harness.wait(10)
    team.feed(5)
    team.harness.wait(10)
    owned = sorted(notes.changes[-1][1] for notes in team.notes.values())
    assert owned == [[], [0], [1]]
    assert len(team.handled) == 250


def test_range_gives_neighbours_and_roundrobin_every_other() -> None:
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

    for assignor, expected in (
        (RangePartitionAssignor, [[0, 1, 2], [3, 4]]),
        (RoundRobinPartitionAssignor, [[0, 2, 4], [1, 3]]),
    ):
        team = Team(partitions=5)
        team.start("one", partition_assignment_strategy=[assignor])
        team.start("two", partition_assignment_strategy=[assignor])
        team.harness.wait(20)
        assert sorted(notes.changes[-1][1] for notes in team.notes.values()) == expected


def test_cooperative_rebalancing_is_refused_clearly() -> None:
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

    harness = Harness()
    with pytest.raises(KafkaConfigurationError, match="cooperative"):
        harness.run(
            lambda library: library.KafkaConsumer(
                group_id="group", partition_assignment_strategy=[CooperativeStickyAssignor]
            )
        )


def test_a_member_that_closes_hands_over_at_once() -> None:
    team = Team(partitions=2)
    team.start("stays")

    def leaves(library: Any) -> None:
        library.may_idle = lambda: False  # it looks at the time between polls
        consumer = library.KafkaConsumer(TOPIC, **CONFIG)
        until = team.harness.seconds + 5
        while team.harness.seconds < until:
            consumer.poll(500)
        consumer.close()

    team.harness.wait(5)
    team.harness.start("leaves", leaves)
    team.harness.wait(20)
    changes = team.notes["stays"].told
    alone_again = changes[-1]
    assert alone_again[:2] == ("assigned", [0, 1])
    assert alone_again[2] <= 10 + 2 + 2.1  # its next heartbeat tells it


class Committing(ConsumerRebalanceListener):  # type: ignore[misc]
    """Commits when partitions are taken away, as the documentation of many clients recommends."""

    def __init__(self, told: list[str]) -> None:
        self.consumer: Any = None
        self.told = told

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.told.append(f"revoked {len(revoked)}")
        if revoked:
            self.consumer.commit()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.told.append(f"assigned {len(assigned)}")


def commit_when_revoked(profile: str) -> tuple[Harness, list[str]]:
    harness = Harness()
    harness.create(2)
    harness.produce(20)
    told: list[str] = []

    def application(library: Any) -> None:
        library.may_idle = lambda: False  # it looks at the time between polls
        listener = Committing(told)
        consumer = listener.consumer = library.KafkaConsumer(**CONFIG)
        consumer.subscribe([TOPIC], listener=listener)
        until = harness.seconds + 20
        while harness.seconds < until:
            consumer.poll(500)
        consumer.close()

    harness.start("one", application, profile)
    harness.wait(5)
    harness.start("two", lambda library: library.KafkaConsumer(TOPIC, **CONFIG).poll(15_000))
    harness.wait(40)
    return harness, told


def test_listener_is_told_in_order_and_may_commit_when_revoked() -> None:
    harness, told = commit_when_revoked("java")
    assert not harness.failures
    assert told[:5] == ["revoked 0", "assigned 2", "revoked 2", "assigned 1", "revoked 1"]
    assert harness.committed() == 20


def test_in_kafka_python_a_listener_cannot_block_on_a_commit() -> None:
    """Its listeners run on the IO thread (`NetworkSelector.run` raises); `poll` then raises a KafkaError."""
    harness, told = commit_when_revoked("kafka-python")
    failure = harness.failures.pop("one")
    assert isinstance(failure, KafkaError)
    assert isinstance(failure.__cause__, RuntimeError)
    assert told == ["revoked 0", "assigned 2", "revoked 2"]


def test_in_kafka_python_a_slow_listener_stops_the_heartbeat() -> None:
    """A listener that takes longer than the session: the member is out (kafka-python's own documentation)."""
    team = Team(partitions=2)
    naps = [12.0]

    class Slow(Notes):
        def on_partitions_assigned(self, assigned: Any) -> None:
            super().on_partitions_assigned(assigned)
            if naps:
                self.harness.sleep(naps.pop())

    def application(library: Any) -> None:
        consumer = library.KafkaConsumer(**CONFIG)
        consumer.subscribe([TOPIC], listener=team.notes.setdefault("slow", Slow(team.harness)))
        while True:
            consumer.poll(500)

    team.harness.start("slow", application)
    team.harness.wait(10)
    assert team.harness.cluster.leader("group") is None
    team.harness.wait(20)
    assert [what for what, _ in team.notes["slow"].changes] == ["revoked", "assigned", "lost", "assigned"]


def test_leader_is_known_by_its_client_id() -> None:
    team = Team()
    assert team.harness.cluster.leader("group") is None
    team.start("one")
    team.harness.wait(5)
    assert team.harness.cluster.leader("group") == "one"


def test_who_joins_at_once_is_given_partitions_by_a_second_rebalance() -> None:
    """With no initial rebalance delay the leader assigns before it has the topic's metadata (measured, 3.0.12)."""
    team = Team(partitions=2, group_initial_rebalance_delay=0)
    team.start("one")
    team.harness.wait(5)
    assert team.notes["one"].changes == [("revoked", []), ("assigned", []), ("revoked", []), ("assigned", [0, 1])]
    later = Team(partitions=2, group_initial_rebalance_delay=3_000_000_000)
    later.start("one")
    later.harness.wait(5)
    assert later.notes["one"].changes == [("revoked", []), ("assigned", [0, 1])]

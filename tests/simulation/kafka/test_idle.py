"""Idle time costs nothing, and nothing that should happen in it is missed."""

from time import perf_counter
from typing import Any

import pytest

from mqverify.simulation.kernel import SECOND
from tests.simulation.kafka.harness import TOPIC, Harness

DAY = 86_400


class Idlers:
    """Three consumers of one group, with what they got."""

    def __init__(self, partitions: int = 6, count: int = 3, reads: int = 120, **config: Any) -> None:
        self.harness = Harness()
        self.harness.create(partitions)
        self.got: list[tuple[str, int, float]] = []
        self.processes = []
        self.commit = not config.get("enable_auto_commit", False)
        config = {"group_id": "group", "auto_offset_reset": "earliest", "enable_auto_commit": False, **config}
        for number in range(count):
            name = f"consumer-{number}"
            self.processes.append(
                self.harness.start(name, lambda library, name=name: self.consume(library, name, config))
            )
        self.harness.wait(15)
        self.send(reads)
        self.harness.wait(15)

    def consume(self, library: Any, name: str, config: dict[str, Any]) -> None:
        consumer = library.KafkaConsumer(TOPIC, client_id=name, **config)
        while True:
            records = consumer.poll(500)
            for batch in records.values():
                for record in batch:
                    self.got.append((name, int(record.value), self.harness.seconds))
            if records and self.commit:
                consumer.commit()

    def send(self, count: int) -> None:
        def application(library: Any) -> None:
            producer = library.KafkaProducer()
            for number in range(count):
                producer.send(TOPIC, b"%d" % number, key=b"key-%d" % number)
            producer.close()

        self.harness.run(application, f"send at {self.harness.seconds}")

    @property
    def group(self) -> Any:
        return self.harness.cluster.broker.groups["group"]


@pytest.mark.parametrize("auto", [False, True])
def test_eight_days_with_three_idle_consumers(auto: bool) -> None:
    idlers = Idlers(enable_auto_commit=auto)
    assert len(idlers.got) == 120
    generation, members = idlers.group.generation, list(idlers.group.members)
    began = perf_counter()
    idlers.harness.wait(8 * DAY)
    assert perf_counter() - began < 0.05
    assert (idlers.group.state, idlers.group.generation, list(idlers.group.members)) == ("Stable", generation, members)
    assert idlers.harness.bounds()[0] == idlers.harness.bounds()[1]  # retention took what was there
    idlers.send(120)
    idlers.harness.wait(5)
    assert len(idlers.got) == 240
    assert {name for name, _, _ in idlers.got[120:]} == {"consumer-0", "consumer-1", "consumer-2"}


def test_idle_consumers_without_partitions_and_without_a_group() -> None:
    idlers = Idlers(partitions=1, count=4)
    idlers.harness.start("reader", lambda library: idlers.consume(library, "reader", {"auto_offset_reset": "earliest"}))
    idlers.commit = False
    idlers.harness.wait(5)
    began = perf_counter()
    idlers.harness.wait(8 * DAY)
    assert perf_counter() - began < 0.1
    assert idlers.group.state == "Stable"


def test_a_pending_auto_commit_happens_at_its_time() -> None:
    """Nothing else is left to happen but the commit of what was read, five seconds later, in a poll."""
    harness = Harness()
    harness.create()
    harness.produce(10)

    def application(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, group_id="group", auto_offset_reset="earliest")
        while True:
            consumer.poll(500)

    harness.start("consumer", application)
    harness.wait(DAY)
    [(offset, at)] = harness.cluster.broker.groups["group"].offsets.values()
    assert offset.offset == 10
    assert at < 15 * SECOND


def test_metadata_refresh_finds_new_partitions_at_its_time() -> None:
    idlers = Idlers(partitions=2)
    joined = idlers.group.generation
    idlers.harness.run(lambda library: library.KafkaAdminClient().create_partitions({TOPIC: 4}), "grow")
    idlers.harness.wait(DAY)
    assert idlers.group.generation > joined
    changed = [assigned for member in idlers.group.members.values() for assigned in member.assignment.values()]
    assert sorted(number for numbers in changed for number in numbers) == [0, 1, 2, 3]


def test_a_dead_members_session_runs_out_at_its_time() -> None:
    idlers = Idlers(session_timeout_ms=45_000)
    idlers.processes[0].kill()
    killed = idlers.harness.seconds
    idlers.harness.wait(40)
    assert len(idlers.group.members) == 3
    idlers.harness.wait(12)
    assert len(idlers.group.members) == 2
    idlers.harness.wait(DAY)
    assert idlers.group.state == "Stable"
    assert idlers.harness.seconds > killed + DAY


def test_a_paused_members_session_runs_out_at_its_time() -> None:
    idlers = Idlers(session_timeout_ms=45_000)
    idlers.processes[1].pause()
    idlers.harness.wait(DAY)
    assert len(idlers.group.members) == 2
    idlers.processes[1].resume()
    idlers.harness.wait(30)
    assert (idlers.group.state, len(idlers.group.members)) == ("Stable", 3)


def test_max_poll_interval_runs_out_in_a_handler_at_its_time() -> None:
    harness = Harness()
    harness.create()
    harness.produce(1)

    def application(library: Any) -> None:
        consumer = library.KafkaConsumer(TOPIC, group_id="group", auto_offset_reset="earliest")
        assert consumer.poll(10_000)
        harness.sleep(DAY)

    harness.start("consumer", application)
    harness.wait(290)
    assert len(harness.cluster.broker.groups["group"].members) == 1
    harness.wait(20)
    assert len(harness.cluster.broker.groups["group"].members) == 0


def test_offsets_of_a_stopped_group_expire_at_their_time() -> None:
    idlers = Idlers()
    for process in idlers.processes:
        process.kill()
    idlers.harness.wait(7 * DAY - 100)
    assert idlers.harness.committed() is not None
    idlers.harness.wait(1000)
    assert "group" not in idlers.harness.cluster.broker.groups


def test_a_world_that_waits_for_a_consumer_is_not_leapt_over() -> None:
    """`may_idle` False: polls return at their time, so that the application sees what it was asked meanwhile."""
    harness = Harness()
    harness.create()
    polls: list[float] = []
    waits = [False]

    def application(library: Any) -> None:
        library.may_idle = lambda: not waits[0]
        consumer = library.KafkaConsumer(TOPIC, group_id="group")
        while True:
            consumer.poll(500)
            polls.append(harness.seconds)

    harness.start("consumer", application)
    harness.wait(100)
    few = len(polls)
    assert few < 40
    waits[0] = True
    harness.wait(10)
    assert len(polls) - few >= 19

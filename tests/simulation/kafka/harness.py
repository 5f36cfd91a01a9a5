"""A simulated Kafka and applications on it. Applications are plain kafka-python code that takes `library`."""

from collections.abc import Callable
from typing import Any

from mqverify.simulation.kafka import BrokerSettings, SimulatedKafka
from mqverify.simulation.kafka.settings import wall_clock_ms
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.process import Process
from tests.simulation.in_a_kernel import Applications

TOPIC = "orders"


class Harness(Applications):
    """Applications on one broker."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        settings.setdefault("group_initial_rebalance_delay", SECOND // 2)
        super().__init__(seed)
        self.cluster = SimulatedKafka(self.kernel, BrokerSettings(**settings))

    def start(
        self, name: str, application: Callable[[Any], Any], profile: str = "kafka-python", observer: Any = None
    ) -> Process:
        """Run `application(library)` as the main task of a process `name`, from now on."""
        process = self.kernel.process(name)
        library = self.cluster.library(process, profile, observer)

        return self.begin(process, lambda: application(library))

    def run(self, application: Callable[[Any], Any], name: str = "test", profile: str = "kafka-python") -> Any:
        """Run everything until `application(library)` has returned; its result."""
        return self.finish(lambda body: self.start(name, body, profile), application)

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.run(lambda _: self.sleep(seconds), f"wait until {self.seconds + seconds}")

    @property
    def clock_ms(self) -> int:
        return wall_clock_ms(self.kernel.now)

    # -- plain applications ----------------------------------------------------------------------------------------

    def create(self, partitions: int = 1, topic: str = TOPIC, **configs: str) -> None:
        named = {name.replace("_", "."): value for name, value in configs.items()}
        self.run(lambda library: create_topic(library, topic, partitions, named), f"create {topic}")

    def produce(self, count: int, topic: str = TOPIC, first: int = 0) -> None:
        self.run(lambda library: produce(library, topic, count, first), f"produce {topic} {first} {self.seconds}")

    def bounds(self, partition: int = 0, topic: str = TOPIC) -> tuple[int, int]:
        return self.run(lambda library: bounds(library, topic, partition), f"bounds {self.seconds}")

    def committed(self, group: str = "group", topic: str = TOPIC, partition: int = 0) -> int | None:
        return self.run(lambda library: committed(library, group, topic, partition), f"committed {self.seconds}")


def create_topic(library: Any, topic: str, partitions: int, configs: dict[str, str]) -> None:
    with library.KafkaAdminClient() as admin:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})


def produce(library: Any, topic: str, count: int, first: int = 0) -> None:
    """Records whose values are their numbers, all in one order, keyless to partition 0."""
    with library.KafkaProducer() as producer:
        for number in range(first, first + count):
            producer.send(topic, b"%d" % number, partition=0)


def bounds(library: Any, topic: str, partition: int) -> tuple[int, int]:
    place = library.TopicPartition(topic, partition)
    consumer = library.KafkaConsumer()
    first, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
    consumer.close()
    return first, end


def committed(library: Any, group: str, topic: str, partition: int) -> int | None:
    consumer = library.KafkaConsumer(group_id=group, enable_auto_commit=False)
    found = consumer.committed(library.TopicPartition(topic, partition))
    consumer.close()
    return found


def read_all(library: Any, topic: str, partitions: int) -> list[Any]:
    """A fresh reader's view of the whole topic."""
    consumer = library.KafkaConsumer()
    places = [library.TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(places)
    found: list[Any] = []
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(1000).values():
            found += records
    consumer.close()
    return found

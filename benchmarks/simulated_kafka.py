"""How fast the simulated Kafka is, in CPU time of one core: `python benchmarks/simulated_kafka.py`.

The figures are the broker model's and the look-alike's alone: no recorder, no handler, no judging.
"""

import cProfile
import pstats
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

from mqverify.simulation.kafka import BrokerSettings, SimulatedKafka
from mqverify.simulation.kernel import MICROSECOND, MILLISECOND, SECOND, Kernel

DAY = 86_400 * SECOND


class World:
    """A kernel and a cluster; `application` runs as the main task of a process of its own."""

    def __init__(self) -> None:
        self.kernel = Kernel(0)
        self.cluster = SimulatedKafka(self.kernel, BrokerSettings(group_initial_rebalance_delay=0))

    def start(self, name: str, application: Callable[[Any], None]) -> None:
        process = self.kernel.process(name)
        library = self.cluster.library(process)
        process.spawn(lambda: application(library), main=True)

    def run(self) -> float:
        began = process_time()
        self.kernel.run()
        took = process_time() - began
        self.kernel.seal()
        return took


def create(world: World, partitions: int) -> None:
    def admin(library: Any) -> None:
        library.KafkaAdminClient().create_topics({"orders": {"num_partitions": partitions}})

    world.start("admin", admin)


def sending(count: int) -> float:
    """Seconds for `count` sends of 200 bytes with an outcome callback each, 20 µs apart, acks=all, idempotent."""
    world = World()
    create(world, 6)

    def producer(library: Any) -> None:
        world.kernel.sleep(MILLISECOND * 10)
        client, sleep = library.KafkaProducer(), world.kernel.sleep
        keys = [b"key-%d" % number for number in range(200)]
        value, acked = b"x" * 200, [].append
        for number in range(count):
            sleep(20 * MICROSECOND)
            client.send("orders", value, key=keys[number % 200]).add_callback(acked)
        client.close()
        world.kernel.stop()

    world.start("producer", producer)
    return world.run()


def consuming(count: int, each: bool) -> float:
    """Seconds to deliver `count` records to one consumer, committed after each batch of 500 or after each record."""
    world = World()
    create(world, 6)
    took = [0.0]

    def application(library: Any) -> None:
        world.kernel.sleep(MILLISECOND * 10)
        producer = library.KafkaProducer()
        for number in range(count):
            producer.send("orders", b"x" * 200, key=b"key-%d" % (number % 200))
        producer.close()
        consumer = library.KafkaConsumer(
            "orders", group_id="group", auto_offset_reset="earliest", enable_auto_commit=False
        )
        place, offset_of = library.TopicPartition, library.OffsetAndMetadata
        began, got = process_time(), 0
        while got < count:
            for partition, records in consumer.poll(500).items():
                if each:
                    for record in records:
                        consumer.commit({place(record.topic, record.partition): offset_of(record.offset + 1, "", -1)})
                else:
                    consumer.commit({partition: offset_of(records[-1].offset + 1, "", -1)})
                got += len(records)
        took[0] = process_time() - began
        world.kernel.stop()

    world.start("application", application)
    world.run()
    return took[0]


def idling(consumers: int) -> float:
    """Seconds for eight days with idle consumers of one group."""
    world = World()
    create(world, 6)
    took = [0.0]

    def consumer(library: Any) -> None:
        client = library.KafkaConsumer("orders", group_id="group")
        while True:
            client.poll(500)

    def watch(_: Any) -> None:
        for number in range(consumers):
            world.start(f"consumer-{number}", consumer)
        world.kernel.sleep(60 * SECOND)
        began = process_time()
        world.kernel.sleep(8 * DAY)
        took[0] = process_time() - began
        world.kernel.stop()

    world.start("watch", watch)
    world.run()
    return took[0]


def main() -> None:
    profile = "--profile" in sys.argv
    rows = (
        ("sends", 50_000, lambda: sending(50_000)),
        ("deliveries, commit after each batch of 500", 200_000, lambda: consuming(200_000, each=False)),
        ("deliveries, sync commit after each", 20_000, lambda: consuming(20_000, each=True)),
    )
    for name, count, measure in rows:
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(measure)
            print(f"== {name}")
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
        else:
            took = min(measure() for _ in range(3))
            print(f"{name:45} {count / took:12,.0f}/s {took / count * 1e6:8.2f} µs each")
    print(f"{'eight idle days, three consumers':45} {idling(3) * 1e3:12.2f} ms")


if __name__ == "__main__":
    main()

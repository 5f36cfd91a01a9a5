"""One seed, one history: whatever the hash seed of the interpreter; another seed, another interleaving."""

import os
import subprocess
import sys
from typing import Any

from tests.simulation.kafka.harness import TOPIC, Harness

CONFIG = {
    "group_id": "group",
    "auto_offset_reset": "earliest",
    "session_timeout_ms": 6000,
    "heartbeat_interval_ms": 2000,
}


def trace(seed: int) -> list[Any]:
    """Two producers, three consumers, a crash, a pause, new partitions: everything that anybody saw."""
    harness = Harness(seed, group_initial_rebalance_delay=3_000_000_000)
    seen: list[Any] = []
    harness.create(4)

    def producer(name: str) -> Any:
        def application(library: Any) -> None:
            client = library.KafkaProducer()
            for number in range(300):
                key = b"%s-%d" % (name.encode(), number % 30) if number % 3 else None
                client.send(TOPIC, b"%d" % number, key=key).add_callback(
                    lambda metadata: seen.append((harness.kernel.now, name, metadata.partition, metadata.offset))
                )
                harness.sleep(0.05)
            client.close()

        return application

    def consumer(name: str) -> Any:
        def application(library: Any) -> None:
            class Listener(library.ConsumerRebalanceListener):  # type: ignore[misc,name-defined]
                def on_partitions_revoked(self, revoked: Any) -> None:
                    seen.append((harness.kernel.now, name, "revoked", [*revoked]))

                def on_partitions_assigned(self, assigned: Any) -> None:
                    seen.append((harness.kernel.now, name, "assigned", [*assigned]))

            client = library.KafkaConsumer(client_id=name, **CONFIG)
            client.subscribe([TOPIC], listener=Listener())
            while True:
                for partition, records in client.poll(300).items():
                    for record in records:
                        harness.sleep(0.003)
                        seen.append((harness.kernel.now, name, partition, record.offset, record.value))

        return application

    processes = [harness.start(f"consumer-{number}", consumer(f"consumer-{number}")) for number in range(3)]
    for name in ("producer-1", "producer-2"):
        harness.start(name, producer(name))
    harness.wait(7)
    processes[0].kill()
    harness.wait(3)
    processes[1].pause()
    harness.run(lambda library: library.KafkaAdminClient().create_partitions({TOPIC: 7}), "grow")
    harness.wait(20)
    processes[1].resume()
    harness.wait(700)
    assert not harness.failures
    harness.kernel.seal()
    return seen


def test_same_seed_same_trace() -> None:
    assert trace(5) == trace(5)


def test_other_seed_other_trace() -> None:
    assert trace(5) != trace(6)


def test_the_hash_seed_of_the_interpreter_does_not_matter() -> None:
    program = (
        "import hashlib; from tests.simulation.kafka.test_determinism import trace;"
        " print(hashlib.sha256(repr(trace(11)).encode()).hexdigest())"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (0, 1, 42, 31337)
    ]
    digests = [worker.communicate(timeout=120)[0].strip() for worker in workers]
    assert all(len(digest) == 64 for digest in digests)
    assert len(set(digests)) == 1


def test_adding_a_client_does_not_disturb_the_dice_of_others() -> None:
    def dice(others: int) -> list[int]:
        harness = Harness(3)
        harness.create(5)
        for number in range(others):
            harness.start(f"other-{number}", lambda library: library.KafkaProducer().send("elsewhere", b"x").get())
        futures: list[Any] = []

        def application(library: Any) -> None:
            producer = library.KafkaProducer()
            futures.extend(producer.send(TOPIC, b"x") for _ in range(50))
            producer.close()

        harness.start("producer", application)
        harness.wait(5)
        return [future.get().partition for future in futures]

    assert dice(0) == dice(3)

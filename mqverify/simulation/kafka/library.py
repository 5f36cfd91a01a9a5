"""The look-alike of kafka-python as one process sees it."""

from functools import partial
from typing import TYPE_CHECKING, Any

import kafka
import kafka.errors

from mqverify.simulation.kafka.admin import SimulatedAdminClient
from mqverify.simulation.kafka.consumer import SimulatedConsumer
from mqverify.simulation.kafka.producer import SimulatedProducer
from mqverify.simulation.kafka.profiles import PROFILES
from mqverify.simulation.process import Process

if TYPE_CHECKING:
    from mqverify.simulation.kafka.cluster import SimulatedKafka

__all__ = ["KafkaLibrary"]


def _always() -> bool:
    return True


class KafkaLibrary:
    """What `import kafka` gives an application, bound to one process of a simulated world.

    `may_idle` is for the world: while it answers False, a consumer that polls in vain is not taken for idle, so its
    polls return at their time even where nothing but renewals is left to happen.
    """

    TopicPartition = kafka.TopicPartition
    OffsetAndMetadata = kafka.OffsetAndMetadata
    ConsumerRebalanceListener = kafka.ConsumerRebalanceListener
    errors = kafka.errors

    def __init__(self, cluster: "SimulatedKafka", process: Process, profile: str, observer: Any) -> None:
        if profile not in PROFILES:
            raise ValueError(f"unknown client profile {profile!r}; known are {', '.join(PROFILES)}")
        self.cluster = cluster
        self.process = process
        self.profile = PROFILES[profile]
        self.observer = observer
        self.may_idle = _always
        self._clients = 0
        self.KafkaProducer: Any = partial(SimulatedProducer, self)
        self.KafkaConsumer: Any = partial(SimulatedConsumer, self)
        self.KafkaAdminClient: Any = partial(SimulatedAdminClient, self)

    def client_name(self, kind: str) -> str:
        """A name of its own for the next client of this process; its dice are drawn by it."""
        self._clients += 1
        return f"{self.process.name}/{kind}-{self._clients}"

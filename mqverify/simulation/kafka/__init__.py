"""A broker model of Apache Kafka, and a look-alike of kafka-python that talks to it in virtual time."""

from mqverify.simulation.kafka.cluster import SimulatedKafka
from mqverify.simulation.kafka.library import KafkaLibrary
from mqverify.simulation.kafka.settings import EPOCH_MS, BrokerSettings

__all__ = ["EPOCH_MS", "BrokerSettings", "KafkaLibrary", "SimulatedKafka"]

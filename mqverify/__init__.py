"""mqverify: declarative verification of messaging guarantees for Kafka and Event Store (KurrentDB)."""

__version__ = "0.1.0"

"""The backends there are, by the name of their system."""

from mqverify.backends.base import Backend

__all__ = ["backend"]


def backend(system: str) -> Backend:
    """The backend of a system; its module is imported only now."""
    if system == "kafka":
        from mqverify.backends.kafka.backend import KafkaBackend

        return KafkaBackend()
    if system == "eventstore":
        from mqverify.backends.eventstore.backend import EventStoreBackend

        return EventStoreBackend()
    raise KeyError(system)

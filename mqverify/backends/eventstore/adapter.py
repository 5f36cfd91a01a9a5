"""Binds the worker loops to esdbclient's API: `library` is esdbclient itself, or its look-alike."""

from mqverify.backends.base import Brokers
from mqverify.backends.eventstore.admin import EventStoreAdmin
from mqverify.backends.eventstore.binding import Binding
from mqverify.backends.eventstore.catch_up import CatchUpConsumerClient
from mqverify.backends.eventstore.persistent import PersistentConsumerClient
from mqverify.backends.eventstore.producer import EventStoreProducerClient
from mqverify.workload.client import Context
from mqverify.workload.groups import ConsumerGroup

__all__ = ["EventStoreAdapter"]


class EventStoreAdapter:
    """One run's adapter: makes clients for workers, and the admin."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.observed: PersistentConsumerClient | None = None

    def producer(self, context: Context, name: str) -> EventStoreProducerClient:
        return EventStoreProducerClient(self.binding, context, name)

    def consumer(
        self, context: Context, name: str, group: ConsumerGroup, shard: int | None = None
    ) -> PersistentConsumerClient | CatchUpConsumerClient:
        if not self.binding.persistent:
            return CatchUpConsumerClient(self.binding, context, name, group, shard)
        self.observed = PersistentConsumerClient(self.binding, context, name, group)
        return self.observed

    def admin(self, brokers: Brokers | None = None) -> EventStoreAdmin:
        return EventStoreAdmin(self.binding)

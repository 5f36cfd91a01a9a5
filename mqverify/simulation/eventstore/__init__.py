"""A simulated Event Store (KurrentDB) node, and a look-alike of esdbclient that talks to it."""

from mqverify.simulation.eventstore.cluster import SimulatedEventStore
from mqverify.simulation.eventstore.settings import NodeSettings

__all__ = ["NodeSettings", "SimulatedEventStore"]

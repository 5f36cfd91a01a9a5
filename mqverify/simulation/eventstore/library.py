"""The look-alike of esdbclient as one process sees it."""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from mqverify.simulation.eventstore import exceptions
from mqverify.simulation.eventstore.channel import Channel
from mqverify.simulation.eventstore.client import SimulatedEventStoreDBClient
from mqverify.simulation.eventstore.persistent_subscription import PersistentSubscription
from mqverify.simulation.eventstore.protocol import Scavenge
from mqverify.simulation.eventstore.reading import (
    DEFAULT_EXCLUDE_FILTER,
    ESDB_PERSISTENT_CONFIG_EVENTS_REGEX,
    ESDB_SYSTEM_EVENTS_REGEX,
)
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent
from mqverify.simulation.eventstore.subscriptions import (
    CatchupSubscription,
    CaughtUp,
    Checkpoint,
    ReadResponse,
    StreamState,
)
from mqverify.simulation.process import Process

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.cluster import SimulatedEventStore

__all__ = ["EventStoreLibrary"]


def _always() -> bool:
    return True


class EventStoreLibrary:
    """What `import esdbclient` gives an application, bound to one process of a simulated world.

    `may_idle` is for the world, as with Kafka's. Nothing here polls, so nothing here asks it: an iteration blocks until
    an event comes. `observer` is kept for who asks for it.
    """

    NewEvent = NewEvent
    RecordedEvent = RecordedEvent
    StreamState = StreamState
    Checkpoint = Checkpoint
    CaughtUp = CaughtUp
    ReadResponse = ReadResponse
    CatchupSubscription = CatchupSubscription
    PersistentSubscription = PersistentSubscription
    ContentType = Literal["application/json", "application/octet-stream"]
    DEFAULT_EXCLUDE_FILTER = DEFAULT_EXCLUDE_FILTER
    ESDB_SYSTEM_EVENTS_REGEX = ESDB_SYSTEM_EVENTS_REGEX
    ESDB_PERSISTENT_CONFIG_EVENTS_REGEX = ESDB_PERSISTENT_CONFIG_EVENTS_REGEX
    exceptions = exceptions

    def __init__(self, store: "SimulatedEventStore", process: Process, observer: Any = None) -> None:
        self.store = store
        self.process = process
        self.observer = observer
        self.may_idle = _always
        self._clients = 0
        self.EventStoreDBClient: Any = partial(SimulatedEventStoreDBClient, self)

    def scavenge(self) -> None:
        """Have the node scavenge, and block until it is done.

        esdbclient has nothing like it: an administrator asks by HTTP (`POST /admin/scavenge`) or in the web interface.
        It is here because whoever administers a simulated node has no other way to it.
        """
        channel = Channel(self, self.client_name())
        channel.ask(Scavenge(), None)
        channel.close()

    def client_name(self) -> str:
        """A name of its own for the next client of this process; its dice are drawn by it."""
        self._clients += 1
        return f"{self.process.name}/client-{self._clients}"

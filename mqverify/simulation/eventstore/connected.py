"""What every method of the client stands on: the URI, the connection, and reconnecting."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from mqverify.simulation.eventstore.channel import Channel
from mqverify.simulation.eventstore.connection_spec import ConnectionSpec

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.library import EventStoreLibrary

__all__ = ["ConnectedClient"]


class ConnectedClient:
    """Connects to the one node of the simulated store, whatever the URI names: there is nothing to discover."""

    def __init__(self, library: "EventStoreLibrary", uri: str | None) -> None:
        self._name = library.client_name()
        self._library = library
        self._kernel = library.store.kernel
        self._dice = self._kernel.stream(self._name)
        self._is_closed = False
        self.connection_spec = ConnectionSpec(uri, connection_name=self._name)
        self._default_deadline: float | None = self.connection_spec.options.DefaultDeadline
        self._reconnects = 0
        self._channel = Channel(library, self._name)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def connection_target(self) -> str:
        return self.connection_spec.targets[0]

    def reconnect(self, grpc_target: str | None = None) -> None:
        """Connect anew and end what was open on the old connection, its subscriptions as well."""
        self._reconnects += 1
        new = Channel(self._library, f"{self._name}/reconnect-{self._reconnects}")
        old, self._channel = self._channel, new
        old.close()

    def pause(self, duration: int) -> None:
        """Block the calling task for `duration` nanoseconds."""
        self._kernel.sleep(duration)

    def close(self) -> None:
        """End what is open, and the connection. A later call connects again, as esdbclient's do."""
        if not self._is_closed:
            self._channel.close()
            self._is_closed = True

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        self.close()

    def _deadline(self, timeout: float | None) -> float | None:
        """Seconds that a call that writes may take."""
        return self._default_deadline if timeout is None else timeout

    def _new_id(self) -> UUID:
        return UUID(int=self._dice.getrandbits(128), version=4)

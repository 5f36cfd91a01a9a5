"""The look-alike of `EventStoreDBClient`."""

from typing import TYPE_CHECKING, Any

from mqverify.simulation.eventstore.appends import Appends
from mqverify.simulation.eventstore.information import ProjectionStatistics
from mqverify.simulation.eventstore.persistent_client import PersistentClient
from mqverify.simulation.eventstore.protocol import EnableProjection, StatisticsOfProjection
from mqverify.simulation.eventstore.reading import Reading
from mqverify.simulation.eventstore.retries import retried

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.library import EventStoreLibrary

__all__ = ["SimulatedEventStoreDBClient"]


class SimulatedEventStoreDBClient(Appends, Reading, PersistentClient):
    """esdbclient's client, bound to one process of a simulated world.

    TLS, certificates and credentials are taken and not looked at. Unlike the original's, its subscriptions do not end
    when an application merely drops them: they want `stop()` or `with`.
    """

    def __init__(
        self,
        library: "EventStoreLibrary",
        uri: str | None = None,
        *,
        root_certificates: str | bytes | None = None,
        private_key: str | bytes | None = None,
        certificate_chain: str | bytes | None = None,
    ) -> None:
        super().__init__(library, uri)

    def __enter__(self) -> "SimulatedEventStoreDBClient":
        return self

    @retried
    def enable_projection(self, name: str, *, timeout: float | None = None, credentials: Any = None) -> None:
        self._channel.ask(EnableProjection(name), self._deadline(timeout))

    @retried
    def get_projection_statistics(
        self, *, name: str, timeout: float | None = None, credentials: Any = None
    ) -> ProjectionStatistics:
        return ProjectionStatistics.of(self._channel.ask(StatisticsOfProjection(name), self._deadline(timeout)))

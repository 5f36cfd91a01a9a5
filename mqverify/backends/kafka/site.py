"""A real Kafka that runs go to, as the worlds see it."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mqverify.backends.base import Brokers, Endpoint, brokers_in_words
from mqverify.backends.kafka.broker_logs import UncleanElection
from mqverify.backends.kafka.container import IMAGE, ContainerBroker, why_no_container
from mqverify.backends.kafka.jars import NoKafka
from mqverify.backends.kafka.local import LocalCluster
from mqverify.errors import BackendLost, BackendUnavailable

__all__ = ["LocalSite", "StartedCluster", "start_local"]


class StartedCluster(Brokers, Protocol):
    """Brokers that were started on this machine: a `LocalCluster` or a `ContainerBroker`."""

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def version(self) -> str: ...

    def gone(self) -> Sequence[int]:
        """Processes that have ended and that no fault killed."""

    def make_whole(self) -> None:
        """Bring back what faults have broken, and wait until all is well. Raises BackendLost if it does not come."""

    def unclean_elections(self, topic: str) -> Sequence[UncleanElection]:
        """Those of the topic's partitions so far."""

    def keep_logs(self, folder: Path) -> None: ...

    def close(self) -> None: ...


class LocalSite:
    """A cluster on this machine, which is started. `close` stops it, unless it is kept by `mqverify up`."""

    def __init__(self, cluster: StartedCluster, where: str = "on this machine") -> None:
        self.cluster = cluster
        self.brokers: Brokers | None = cluster
        self.endpoint = cluster.endpoint
        self.details: Mapping[str, str] = {
            "broker": f"Apache Kafka {cluster.version}, {brokers_in_words(len(cluster.numbers()))} {where}",
            "client": f"kafka-python {importlib.metadata.version('kafka-python')}",
        }

    def require(self, settings: Any) -> None:
        """It was started with the settings of those who share it."""

    def check(self) -> None:
        gone = self.cluster.gone()
        if not gone:
            return
        if len(self.cluster.numbers()) == 1:
            raise BackendLost("the broker went away in mid-run")
        raise BackendLost(f"of the local cluster went away in mid-run: node {', '.join(map(str, gone))}")

    def heal(self) -> None:
        self.check()
        self.cluster.make_whole()

    def keep_logs(self, folder: Path) -> None:
        self.cluster.keep_logs(folder)

    def close(self) -> None:
        self.cluster.close()


def start_local(brokers: int, settings: Mapping[str, object], tell: Callable[[str], None]) -> LocalSite:
    """Start brokers on this machine; in a container where it has no Java or no Kafka for them.

    Raises BackendUnavailable, whose message names every way to get one.
    """
    cluster = LocalCluster(brokers, settings)
    try:
        cluster.start(tell)
        return LocalSite(cluster)
    except NoKafka as error:
        why_not = "a container has one broker only" if brokers > 1 else why_no_container()
        if why_not is not None:
            raise BackendUnavailable(f"{error}\n  - Docker: an engine that starts {IMAGE} (now: {why_not})") from error
    broker = ContainerBroker(settings)
    broker.start(tell)
    return LocalSite(broker, "in a container")

"""A real Kafka that runs go to, as the worlds see it."""

import importlib.metadata
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mqverify.backends.base import Brokers, Endpoint
from mqverify.backends.kafka.local import LocalCluster
from mqverify.errors import BackendLost

__all__ = ["LocalSite"]


class LocalSite:
    """A cluster on this machine, which is started. `close` stops it, unless it was kept by `mqverify up`."""

    brokers: Brokers | None

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self.brokers = cluster
        self.endpoint: Endpoint = cluster.endpoint
        count = len(cluster.numbers())
        of = "one broker" if count == 1 else f"{count} brokers"
        self.details: Mapping[str, str] = {
            "broker": f"Apache Kafka {cluster.version}, {of} on this machine",
            "client": f"kafka-python {importlib.metadata.version('kafka-python')}",
        }

    def require(self, settings: Any) -> None:
        """It was started with the settings of those who share it."""

    def check(self) -> None:
        gone = self._cluster.gone()
        if not gone:
            return
        if len(self._cluster.numbers()) == 1:
            raise BackendLost("the broker went away in mid-run")
        raise BackendLost(f"of the local cluster went away in mid-run: node {', '.join(map(str, gone))}")

    def heal(self) -> None:
        self.check()
        self._cluster.make_whole()

    def keep_logs(self, folder: Path) -> None:
        """The logs of all nodes, as `broker.log` where there is one, else as `broker-1.log` and so on."""
        with suppress(RuntimeError):
            logs = {node: self._cluster.log(node) for node in self._cluster.nodes}
            for node, log in logs.items():
                with suppress(OSError):
                    shutil.copy(log, folder / ("broker.log" if len(logs) == 1 else f"broker-{node}.log"))

    def close(self) -> None:
        self._cluster.stop()

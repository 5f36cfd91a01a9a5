"""The cluster that `mqverify up` keeps, where a check may break its brokers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mqverify.backends.base import Endpoint
from mqverify.backends.kafka.foreign import ForeignSite
from mqverify.backends.kafka.local import LocalCluster
from mqverify.backends.kafka.site import LocalSite
from mqverify.errors import BackendLost

__all__ = ["KeptSite"]


class KeptSite(ForeignSite):
    """Its settings are not ours to change, as on any cluster that is there already; its processes are ours.

    `close` brings back what faults have broken, and leaves it running. Raises BackendError if it cannot be reached, or
    lacks a broker that does not come back.
    """

    def __init__(self, cluster: LocalCluster, access: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._local = LocalSite(cluster, "that `mqverify up` keeps")
        try:
            if not cluster.is_alive:
                cluster.make_whole()
            super().__init__(Endpoint(cluster.bootstrap, access))
        except BaseException:
            cluster.close()
            raise
        self.brokers = cluster
        self.details = {**self.details, **self._local.details}

    def check(self) -> None:
        self._local.check()

    def heal(self) -> None:
        self._local.heal()

    def keep_logs(self, folder: Path) -> None:
        self._local.keep_logs(folder)

    def close(self) -> None:
        try:
            if self._cluster.paused() or not self._cluster.is_alive:
                self._cluster.make_whole()
        except BackendLost:  # `mqverify up` makes it whole, or says why not
            pass
        finally:
            self._cluster.close()
            super().close()

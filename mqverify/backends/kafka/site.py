"""A real Kafka that runs go to, as the worlds see it."""

import importlib.metadata
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mqverify.backends.base import Brokers, Endpoint
from mqverify.backends.kafka.local import LocalKafka
from mqverify.errors import BackendLost

__all__ = ["LocalSite"]


class LocalSite:
    """One broker on this machine, which was started, and is stopped by `close`."""

    brokers: Brokers | None = None

    def __init__(self, broker: LocalKafka) -> None:
        self._broker = broker
        self.endpoint = Endpoint(broker.bootstrap)
        self.details: Mapping[str, str] = {
            "broker": f"Apache Kafka {broker.version}, one broker on this machine",
            "client": f"kafka-python {importlib.metadata.version('kafka-python')}",
        }

    def require(self, settings: Any) -> None:
        """It was started with the settings of those who share it."""

    def check(self) -> None:
        if not self._broker.alive:
            raise BackendLost("the broker went away in mid-run")

    def heal(self) -> None:
        self.check()

    def keep_logs(self, folder: Path) -> None:
        with suppress(OSError, RuntimeError):
            shutil.copy(self._broker.folder / "broker.log", folder)

    def close(self) -> None:
        self._broker.stop()

"""An Apache Kafka in a container, where this machine has no Java or no way to the jars but a Docker engine answers.

One broker, of the image that Apache publishes, configured as a local one is (`layout.py`); its faults are those of its
container: kill, start on what it had, pause, unpause. Needs the extra `docker` (testcontainers), whose reaper removes
the container if mqverify is killed.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mqverify.backends.base import Endpoint
from mqverify.backends.kafka.cluster_health import await_whole
from mqverify.backends.kafka.jars import KAFKA_VERSION
from mqverify.backends.kafka.layout import HOST, Layout, free_ports
from mqverify.errors import BackendLost, BackendUnavailable

__all__ = ["IMAGE", "ContainerBroker", "why_no_container"]

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
_DATA = "/tmp/kafka-data"
_PATIENCE_SECONDS = 120.0


def why_no_container() -> str | None:
    """Why no container can be started here, in words that follow `Docker:`; None if an engine answers."""
    try:
        import docker
        import testcontainers.core.container  # noqa: F401
    except ImportError:
        return "the extra is not installed: pip install 'mqverify[docker]'"
    try:
        client = docker.from_env(timeout=5)
        try:
            client.ping()
        finally:
            client.close()
    except Exception as error:  # noqa: BLE001 - requests', urllib3's and docker's own: whatever it is, no engine answers
        return f"no engine answers: {' '.join(str(error).split())[:200]}"
    return None


class ContainerBroker:
    """One broker in a container, from `start` to `close`, with the face of a `LocalCluster`."""

    version = KAFKA_VERSION

    def __init__(self, settings: Mapping[str, object]) -> None:
        port, controller_port = free_ports(2)
        texts = {name: str(value) for name, value in settings.items()}
        self._layout = Layout({1: port}, {}, controller_port, texts)
        self._container: Any = None
        self._killed = False

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address(1))

    def start(self, progress: Callable[[str], None]) -> None:
        """Raises BackendUnavailable if the engine cannot, or nobody answers in time."""
        from testcontainers.core.container import DockerContainer

        progress(f"starting {IMAGE} in a container (the image is fetched once)")
        port = self._layout.ports[1]
        try:
            started: Any = DockerContainer(IMAGE)
            started.with_envs(**_environment(self._layout))
            started.ports[f"{port}/tcp"] = (HOST, port)
            self._container = started
            started.start()
            wrong = self._await_clients()
        except Exception as error:
            self.close()
            raise BackendUnavailable(f"Docker does not start {IMAGE}: {' '.join(str(error).split())[:300]}") from error
        except BaseException:
            self.close()
            raise
        if wrong is not None:
            self.close()
            raise BackendUnavailable(f"{IMAGE} runs in a container and does not answer clients: {wrong}")

    def close(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            with suppress(Exception):
                container.stop()

    def gone(self) -> Sequence[int]:
        return [] if self.alive() or self._killed else [1]

    def make_whole(self) -> None:
        self.restart(1)
        if self._engine().status == "paused":
            self.resume(1)
        if (wrong := self._await_clients()) is not None:
            raise BackendLost(f"the broker in a container is not whole again: {wrong}")

    def keep_logs(self, folder: Path) -> None:
        with suppress(Exception):
            (folder / "broker.log").write_bytes(self._engine().logs())

    def unclean_elections(self, _topic: str) -> Sequence[Any]:
        """None: there is no other broker to lead."""
        return []

    def numbers(self) -> Sequence[int]:
        return [1]

    def alive(self) -> Sequence[int]:
        return [1] if self._container is not None and self._engine().status in ("running", "paused") else []

    def address(self, number: int) -> str:
        return self._layout.address(number)

    def kill(self, number: int) -> None:
        self._killed = True
        if number in self.alive():
            self._engine().kill("SIGKILL")
            self._engine().wait()

    def restart(self, number: int) -> None:
        if number in self.alive():
            return
        self._engine().start()
        if (wrong := self._await_clients()) is not None:
            raise BackendLost(f"the broker in a container does not come back: {wrong}")
        self._killed = False

    def pause(self, number: int) -> None:
        assert number == 1
        self._engine().pause()

    def resume(self, number: int) -> None:
        assert number == 1
        self._engine().unpause()

    def _engine(self) -> Any:
        """The container as Docker's client sees it, as it is now."""
        container = self._container.get_wrapped_container()
        container.reload()
        return container

    def _await_clients(self) -> str | None:
        return await_whole(self.address(1), {}, [1], time.monotonic() + _PATIENCE_SECONDS)


def _environment(layout: Layout) -> dict[str, str]:
    """The properties as the image takes them: KAFKA_, then `.` is `_`, `_` is `__` and `-` is `___`."""
    given = {**layout.settings, "log.dirs": _DATA}
    text = replace(layout, settings=given).properties(1)
    values = dict(re.findall(r"^([^#\s=]+)=(.*)$", text, re.MULTILINE))
    values["listeners"] = values["listeners"].replace(f"CLIENTS://{HOST}:", "CLIENTS://0.0.0.0:")
    return {
        "KAFKA_" + name.replace("_", "__").replace("-", "___").replace(".", "_").upper(): value
        for name, value in values.items()
    }

"""The nodes of a local cluster: a folder each, its formatting, and their start.

Java is started in a node's folder with relative paths, so no odd name of a folder can harm.
"""

import base64
import subprocess
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from mqverify.backends.kafka.broker_logs import LOGGING
from mqverify.backends.kafka.jars import KafkaJars
from mqverify.backends.kafka.layout import Layout
from mqverify.backends.kafka.processes import Processes

__all__ = ["PORT_TAKEN", "format_nodes", "java_command", "launch", "lay_out", "log_of", "prepare"]

PORT_TAKEN: Final = b"Address already in use"
_READY: Final = b"Kafka Server started"


def log_of(folder: Path, node: int) -> Path:
    return folder / str(node) / "broker.log"


def prepare(folder: Path, jars: KafkaJars) -> None:
    """What all nodes have in common."""
    (folder / "libs").symlink_to(jars.folder, target_is_directory=True)
    (folder / "log4j2.properties").write_text(LOGGING)


def lay_out(folder: Path, layout: Layout) -> None:
    """A folder for each node with its properties, or new properties for those that are there."""
    for node in layout.nodes:
        own = folder / str(node)
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        (own / "server.properties").touch(mode=0o600)  # it may hold passwords
        (own / "server.properties").write_text(layout.properties(node))


def java_command(java: str, options: Sequence[str], *arguments: str) -> list[str]:
    return [
        java, "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError", *options, "-Djava.io.tmpdir=tmp", "-Djava.awt.headless=true",
        "-Dlog4j2.configurationFile=../log4j2.properties", "-cp", "../libs/*", *arguments,
    ]  # fmt: skip


def format_nodes(
    folder: Path, layout: Layout, java: Sequence[str], seconds: float, users: Sequence[str] = ()
) -> str | None:
    """Format those that are not. None, or what went wrong. `users`: options for users that it begins with.

    The controller's folder is Kafka's affair. A broker beside it needs to know only who it is, and in 4.4 `format`
    writes nothing else for it (`MetaProperties`, version 1). That spares a start of Java each.
    """
    own = folder / str(layout.controller)
    if (own / "data").exists():
        return None
    cluster = _random_id()
    tool = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties", *users)
    with (own / "format.log").open("wb") as log:
        try:
            status = subprocess.run(
                [*java, *tool], cwd=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=seconds
            ).returncode
        except subprocess.TimeoutExpired:
            return f"did not format its folder within {seconds:.0f} s"
    if status != 0:
        return "could not format its folder"
    for node in layout.nodes:
        data = folder / str(node) / "data"
        if not data.exists():
            data.mkdir()
            who = {"version": 1, "cluster.id": cluster, "node.id": node, "directory.id": _random_id()}
            (data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in who.items()))
    return None


def launch(processes: Processes, folder: Path, nodes: Iterable[int], seconds: float) -> str | None:
    """Start nodes together, and wait until all say that they are ready. None, or what went wrong."""
    waiting: dict[int, int] = {}
    for node in nodes:
        log = log_of(folder, node)
        waiting[node] = log.stat().st_size if log.exists() else 0  # what was written before is of another life
        processes.start(node)
    deadline = time.monotonic() + seconds
    while waiting:
        ended = {node for node, process in processes.status().items() if process.state == "ended"}
        for node, beginning in list(waiting.items()):
            if _READY in _bytes_from(log_of(folder, node), beginning):
                del waiting[node]
        if ended & set(waiting):
            return "ended while it started"
        if time.monotonic() > deadline:
            return f"did not come up within {seconds:.0f} s"
        if waiting:
            time.sleep(0.02)
    return None


def _random_id() -> str:
    """A random id as Kafka writes them: 16 bytes in URL-safe base64, which must not look like an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _bytes_from(path: Path, beginning: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(beginning)
            return file.read()
    except OSError:
        return b""

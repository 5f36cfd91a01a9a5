"""The processes of a local cluster, which belong to its supervisor: what is asked of it, and how it is reached."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from mqverify.backends.kafka.supervisor import CONTROL
from mqverify.errors import BackendLost

__all__ = ["NodeProcess", "Processes"]

_PATIENCE_SECONDS = 20.0
_LONGEST_PATH = 100
"""Bytes that the address of a Unix socket surely holds (sun_path: 108 on Linux, 104 elsewhere)."""


class NodeProcess(NamedTuple):
    pid: int
    state: str
    """`running`, `paused` or `ended`."""


class Processes:
    """A connection to a supervisor (`supervisor.py`). Several threads may use it.

    Whatever is asked is done when the call returns. BackendLost if it cannot be, because a process is gone.
    """

    def __init__(self, connection: socket.socket, supervisor: "subprocess.Popen[bytes] | None" = None) -> None:
        connection.settimeout(_PATIENCE_SECONDS)
        self._connection = connection
        self._supervisor = supervisor
        self._lock = threading.Lock()

    @classmethod
    def launch(cls, folder: Path, command: Sequence[str]) -> Self:
        """A supervisor for the nodes in a folder, which are started later; it and they end with us."""
        ours, its = socket.socketpair()
        script = str(Path(__file__).with_name("supervisor.py"))
        with its, (folder / "supervisor.log").open("wb") as log:
            supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", script, str(os.getpid()), str(folder), *command],
                cwd=folder, stdin=its.fileno(), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return cls(ours, supervisor)

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """The supervisor of a cluster that was kept. OSError if there is none (any more)."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            if len(os.fsencode(folder / CONTROL)) <= _LONGEST_PATH:
                connection.connect(str(folder / CONTROL))
            else:
                opened = os.open(folder, os.O_RDONLY)
                try:
                    connection.connect(f"/proc/self/fd/{opened}/{CONTROL}")
                finally:
                    os.close(opened)
        except OSError:
            connection.close()
            raise
        return cls(connection)

    def start(self, node: int) -> None:
        self._ask(f"start {node}")

    def kill(self, node: int) -> None:
        self._ask(f"kill {node}")

    def end(self, node: int) -> None:
        """SIGTERM; BackendLost if it had to be killed."""
        self._ask(f"end {node}")

    def pause(self, node: int) -> None:
        self._ask(f"pause {node}")

    def resume(self, node: int) -> None:
        self._ask(f"resume {node}")

    def status(self) -> Mapping[int, NodeProcess]:
        """Of each node that was started. Empty if the supervisor is gone, and all processes with it."""
        try:
            words = self._ask("status").split()
        except BackendLost:
            return {}
        told = (word.split(":") for word in words)
        return {int(node): NodeProcess(int(pid), state) for node, pid, state in told}

    def answers(self) -> bool:
        """Whether the supervisor is there."""
        try:
            self._ask("status")
        except BackendLost:
            return False
        return True

    def keep(self) -> None:
        """Let the cluster outlive us."""
        self._ask("keep")

    def let_go(self) -> None:
        """End the connection only. A cluster that was not kept ends by that."""
        self._connection.close()

    def stop(self) -> None:
        """End all processes, and the supervisor."""
        with suppress(BackendLost):
            self._ask("stop")
        self._connection.close()
        if self._supervisor is None:
            return
        try:
            self._supervisor.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):  # the nodes are in the supervisor's group
                os.killpg(self._supervisor.pid, signal.SIGKILL)
        finally:
            self._supervisor.wait()

    def _ask(self, request: str) -> str:
        answer = b""
        try:
            with self._lock:
                self._connection.sendall(f"{request}\n".encode())
                while not answer.endswith(b"\n"):
                    more = self._connection.recv(10_000)
                    if not more:
                        raise ConnectionResetError("it is gone")
                    answer += more
        except OSError as error:
            self._connection.close()  # an answer that comes too late is never taken for another's
            raise BackendLost(f"the local cluster's supervisor does not answer: {error}") from error
        word, _, rest = answer.decode().strip().partition(" ")
        if word != "ok":
            raise BackendLost(f"the local cluster cannot {request}: {rest}")
        return rest

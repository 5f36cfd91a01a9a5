"""Owns the processes of one local cluster: starts, kills, pauses and resumes them, and ends them if mqverify dies.

Run as a script with the standard library only: `python -I -S supervisor.py PARENT_PID FOLDER COMMAND…`, in a session of
its own, with FOLDER as its working directory and a socket as its stdin. Requests come over the socket, a line each, and
each is answered by a line:

    start NODE     run COMMAND in FOLDER/NODE, its output appended to FOLDER/NODE/broker.log
    kill NODE      SIGKILL
    end NODE       SIGTERM; SIGKILL if it takes longer than 15 s
    pause NODE     SIGSTOP
    resume NODE    SIGCONT
    status         what became of each that was started: `1:4711:running 2:4712:paused 3:4713:ended`
    keep           from now on the cluster outlives mqverify; requests come over the Unix socket FOLDER/control
    stop           kill all and exit; the folder is left to whoever asked

The answer is `ok`, or `ok` and what was asked for, or `failed` and why; it is given when it is so: killed is dead,
paused has stopped. Process ids are only ever used while the process has not been waited for, so no stranger is hit.

Before `keep`, the end of stdin, or another parent than PARENT_PID, means that mqverify is gone: all are killed, and
FOLDER is removed, because nobody else will. So it is when the supervisor is terminated. If it is killed, the kernel
kills them (Linux only). After `keep`, the end of a connection resumes what was paused over it.
"""

import ctypes
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
from types import FrameType
from typing import Final

__all__ = ["CONTROL"]

CONTROL: Final = "control"
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1
_REQUEST_BYTES = 1_000


class _Nodes:
    """The processes, by their names."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.paused: set[str] = set()

    def start(self, node: str) -> str:
        if node in self._processes and self._processes[node].poll() is None:
            raise ValueError("it runs already")
        die_with_us = None
        if sys.platform == "linux":
            libc, me = ctypes.CDLL(None), os.getpid()

            def die_with_us() -> None:
                libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != me:
                    os._exit(1)

        with open(f"{node}/broker.log", "ab") as log:  # noqa: PTH123 - in the working directory
            # Between fork and exec nothing can be locked by another thread: this process has one thread.
            self._processes[node] = subprocess.Popen(
                self._command, cwd=node, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us
            )
        self.paused.discard(node)
        return ""

    def kill(self, node: str) -> str:
        if node in self._processes:
            self._processes[node].kill()
            self._processes[node].wait()
        self.paused.discard(node)
        return ""

    def end(self, node: str) -> str:
        process = self._running(node)
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(node)
            raise ValueError("it had to be killed") from None
        return ""

    def pause(self, node: str) -> str:
        process = self._running(node)
        process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            raise ValueError("it ended meanwhile")
        self.paused.add(node)
        return ""

    def resume(self, node: str) -> str:
        self._running(node).send_signal(signal.SIGCONT)
        self.paused.discard(node)
        return ""

    def status(self) -> str:
        return " ".join(f"{node}:{process.pid}:{self._state(node)}" for node, process in self._processes.items())

    def kill_all(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    def _state(self, node: str) -> str:
        if self._processes[node].poll() is not None:
            return "ended"
        return "paused" if node in self.paused else "running"

    def _running(self, node: str) -> "subprocess.Popen[bytes]":
        if node not in self._processes or self._processes[node].poll() is not None:
            raise ValueError("it does not run")
        return self._processes[node]


class _Supervisor:
    def __init__(self, parent: int, nodes: _Nodes) -> None:
        self._parent: int | None = parent
        self._nodes = nodes
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._pending: dict[socket.socket, bytes] = {}
        self._paused_by: dict[socket.socket, set[str]] = {}
        self._stopped = False

    def run(self) -> bool:
        """Serve until it is over. True if that was asked for, False if mqverify is gone."""
        self._admit(socket.socket(fileno=0))
        while not self._stopped:
            for key, _ in self._selector.select(_POLL_SECONDS):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is self._listener:
                    self._admit(self._listener.accept()[0])
                elif not self._serve(key.fileobj):
                    self._dismiss(key.fileobj)
                    if self._parent is not None:
                        return False
            if self._parent is not None and os.getppid() != self._parent:
                return False
            self._nodes.status()  # waits for those that have ended
        return True

    def _admit(self, connection: socket.socket) -> None:
        self._pending[connection] = b""
        self._paused_by[connection] = set()
        self._selector.register(connection, selectors.EVENT_READ)

    def _dismiss(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        del self._pending[connection]
        for node in self._paused_by.pop(connection) & self._nodes.paused:
            self._answer(["resume", node], set())

    def _serve(self, connection: socket.socket) -> bool:
        """Answer what a connection asks; False if it has ended."""
        try:
            data = connection.recv(_REQUEST_BYTES)
            if not data:
                return False
            *lines, rest = (self._pending[connection] + data).split(b"\n")
            self._pending[connection] = rest
            for line in lines:
                answer = self._answer(line.decode().split(), self._paused_by[connection])
                connection.sendall(answer.encode() + b"\n")
        except OSError:
            return False
        return True

    def _answer(self, words: list[str], paused: set[str]) -> str:
        try:
            match words:
                case ["start", node]:
                    return f"ok {self._nodes.start(node)}"
                case ["kill", node]:
                    return f"ok {self._nodes.kill(node)}"
                case ["end", node]:
                    return f"ok {self._nodes.end(node)}"
                case ["pause", node]:
                    paused.add(node)
                    return f"ok {self._nodes.pause(node)}"
                case ["resume", node]:
                    paused.discard(node)
                    return f"ok {self._nodes.resume(node)}"
                case ["status"]:
                    return f"ok {self._nodes.status()}"
                case ["keep"]:
                    self._keep()
                    return "ok"
                case ["stop"]:
                    self._nodes.kill_all()
                    self._stopped = True
                    return "ok"
            return "failed there is no such request"
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            return f"failed {error}"

    def _keep(self) -> None:
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(CONTROL)
            self._listener.listen()
            self._selector.register(self._listener, selectors.EVENT_READ)
        self._parent = None


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)


def main(arguments: list[str]) -> int:
    parent, folder, command = int(arguments[0]), arguments[1], arguments[2:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _terminated)
    nodes, asked = _Nodes(command), False
    try:
        asked = _Supervisor(parent, nodes).run()
    finally:
        nodes.kill_all()
        if not asked:
            os.chdir("/")
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

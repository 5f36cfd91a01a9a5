"""Stands beside one broker process and ends it when mqverify asks, or dies.

Run as a script with the standard library only: `python -I -S supervisor.py PARENT_PID FOLDER COMMAND…`, in a session of
its own, with FOLDER as its working directory. It writes the process id of COMMAND to stdout, and COMMAND's output to
FOLDER/broker.log. On stdin, the byte `q` asks for a clean stop: SIGTERM, and SIGKILL if that takes too long. The end of
stdin, or another parent than PARENT_PID, means that mqverify is gone: SIGKILL at once, and FOLDER is removed, because
nobody else will. If the supervisor itself is killed, the kernel kills COMMAND (Linux only).

It exits when COMMAND has ended, so whoever waits for the supervisor waits for the broker.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from types import FrameType

__all__ = ["GRACE_SECONDS"]

GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def _start(command: list[str]) -> "subprocess.Popen[bytes]":
    die_with_us = None
    if sys.platform == "linux":
        libc, me = ctypes.CDLL(None), os.getpid()

        def die_with_us() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != me:
                os._exit(1)

    with open("broker.log", "ab") as log:  # noqa: PTH123 - in the working directory
        # Between fork and exec nothing can be locked by another thread: this process has one thread.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_us,
        )


def _wait(child: "subprocess.Popen[bytes]", parent: int) -> str:
    """Wait for what comes first: `ended` (the child), `asked` (to stop it), or `orphaned`."""
    while True:
        readable, _, _ = select.select([0], [], [], _POLL_SECONDS)
        if child.poll() is not None:
            return "ended"
        if readable:
            return "asked" if os.read(0, 1) == b"q" else "orphaned"
        if os.getppid() != parent:
            return "orphaned"


def _end(child: "subprocess.Popen[bytes]", grace: float) -> None:
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)


def main(arguments: list[str]) -> int:
    parent, folder, command = int(arguments[0]), arguments[1], arguments[2:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _terminated)
    child = _start(command)
    try:
        os.write(1, f"{child.pid}\n".encode())
        why = _wait(child, parent)
        if why == "asked":
            _end(child, GRACE_SECONDS)
    finally:
        child.kill()
        child.wait()
    if why == "orphaned":
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which real runs of this user are alive, and what they have made where: a file each, locked for as long as it lives.

The lock is the kernel's (`flock`), so it goes with the process, whatever that dies of. The file goes when the run has
removed what it made; what stays is for `mqverify clean`.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mqverify.user_folders import state_folder

__all__ = ["PREFIX", "Registered", "RunLock", "registered"]

PREFIX = re.compile(r"mqverify-[0-9a-f]{8}-")
"""What begins the names of all that a run makes on a broker."""


class RunLock:
    """Registers a run by its prefix. Where the user's folder cannot be written, runs go on without."""

    def __init__(self, prefix: str, about: Mapping[str, Any]) -> None:
        self._path = _folder() / f"{prefix}.json"
        self._file: int | None = None
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Locked before it has its name, so that nobody finds it unlocked while its run lives.
            unnamed = self._path.with_suffix(".new")
            self._file = os.open(unnamed, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._file, json.dumps({**about, "prefix": prefix}).encode())
            unnamed.rename(self._path)

    def release(self, removed: bool) -> None:
        """The run is over. `removed`: nothing of it is left on the broker, so its file goes too."""
        if removed:
            with suppress(OSError):
                self._path.unlink()
        if self._file is not None:
            os.close(self._file)
            self._file = None


@dataclass(frozen=True)
class Registered:
    """A run that has not removed its things, or not yet."""

    prefix: str
    alive: bool
    target: str
    cluster: str
    """The cluster's own id, where it is known."""
    folder: str
    path: Path = field(repr=False)

    def forget(self) -> None:
        with suppress(OSError):
            self.path.unlink()


def registered() -> Iterator[Registered]:
    """All runs of this user on this machine that have left, or still have, something on a broker."""
    for path in sorted(_folder().glob("*.json")):
        if PREFIX.fullmatch(path.stem) is None:
            continue
        try:
            with path.open("rb") as file:
                about = json.loads(file.read() or b"{}")
                alive = not _can_be_locked(file.fileno())
        except (OSError, ValueError):
            continue
        told = {name: str(about.get(name) or "") for name in ("target", "cluster", "folder")}
        yield Registered(path.stem, alive, **told, path=path)


def _can_be_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _folder() -> Path:
    return state_folder() / "runs"

"""Where things of one user lie, by the XDG base directory specification."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_folder", "config_folder", "locked", "state_folder"]


def cache_folder() -> Path:
    """For what can be had again: `~/.cache/mqverify`."""
    return _folder("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """For what the user writes: `~/.config/mqverify`."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """For what has to outlive a process of ours: `~/.local/state/mqverify`."""
    return _folder("XDG_STATE_HOME", ".local/state")


@contextmanager
def locked(path: Path, must_wait: Callable[[], object]) -> Iterator[None]:
    """Be the only process that holds the lock file, made where it is not there; `must_wait` is called if another does.

    Raises OSError if it cannot be written.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            must_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _folder(variable: str, under_home: str) -> Path:
    given = os.environ.get(variable, "")
    base = Path(given) if given.startswith("/") else Path.home() / under_home
    return base / "mqverify"

"""Where things of one user lie, by the XDG base directory specification."""

import os
from pathlib import Path

__all__ = ["cache_folder", "config_folder", "state_folder"]


def cache_folder() -> Path:
    """For what can be had again: `~/.cache/mqverify`."""
    return _folder("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """For what the user writes: `~/.config/mqverify`."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """For what has to outlive a process of ours: `~/.local/state/mqverify`."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, under_home: str) -> Path:
    given = os.environ.get(variable, "")
    base = Path(given) if given.startswith("/") else Path.home() / under_home
    return base / "mqverify"

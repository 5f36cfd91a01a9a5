"""What mqverify can do here: its own needs, and those of the backends that were asked for."""

import importlib.metadata
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mqverify import __version__
from mqverify.backends.checks import Check
from mqverify.backends.registry import backend
from mqverify.errors import UsageError
from mqverify.user_folders import cache_folder, state_folder
from mqverify.worlds.selection import require_target

__all__ = ["Section", "examine"]

_LIBRARIES = ("kafka-python", "crc32c", "duckdb", "numpy")
_EXTRAS = (("eventstore", "esdbclient"), ("docker", "testcontainers"))

Section = tuple[str, Sequence[Check]]
"""A heading and what stands under it."""


def examine(
    backends: Sequence[tuple[str, str | None]], systems: Sequence[str], profile: str | None = None
) -> Iterator[Section]:
    """A section each: mqverify itself, then (system, target) as they were given by `-b`; without any, all systems.

    `profile` says how to get into real systems.

    Raises UsageError for a system that there is not, or a target that is none of its.
    """
    for system, target in backends:
        if system not in systems:
            raise UsageError(f"-b {system}: there is no such system; there are {', '.join(systems)}")
        require_target(system, system, target)
    yield "mqverify", list(_own_checks())
    for system, target in backends or [(system, None) for system in systems]:
        real = backend(system).real
        access = real.access(profile) if real is not None and target is not None else {}
        checks = [] if real is None else list(real.examine(target, access))
        if checks:
            yield f"{system}={target}" if target else f"{system}, on this machine", checks


def _own_checks() -> Iterator[Check]:
    yield Check("mqverify", "ok", __version__)
    python = f"{platform.python_version()} at {sys.executable}"
    yield (
        Check("Python", "ok", python)
        if sys.version_info >= (3, 11)
        else Check("Python", "missing", python, "install Python 3.11 or later")
    )
    for library in _LIBRARIES:
        version = _version(library)
        yield (
            Check(library, "ok", version)
            if version
            else Check(library, "missing", "not installed", f"pip install {library}")
        )
    for extra, library in _EXTRAS:
        version = _version(library)
        yield (
            Check(f"extra {extra}", "ok", f"{library} {version}")
            if version
            else Check(f"extra {extra}", "absent", f"no {library}", f"pip install 'mqverify[{extra}]'")
        )
    for name, variable, folder in (
        ("cache folder", "XDG_CACHE_HOME", cache_folder),
        ("state folder", "XDG_STATE_HOME", state_folder),
        ("temporary folder", "TMPDIR", lambda: Path(tempfile.gettempdir())),
    ):
        yield _writable(name, variable, folder)


def _writable(name: str, variable: str, folder: Callable[[], Path]) -> Check:
    """Whether a folder can be written, or made: the nearest of those above it that is there decides."""
    path = folder()
    there = next((one for one in (path, *path.parents) if one.exists()), path)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(name, "ok", str(path))
    return Check(name, "missing", f"{path} cannot be written", f"{variable} names another place")


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None

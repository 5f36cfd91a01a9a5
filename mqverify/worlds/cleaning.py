"""Removes what runs that were killed have left on a broker, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mqverify.backends.registry import real_system
from mqverify.worlds.run_locks import PREFIX, Registered, registered

__all__ = ["Cleaned", "clean"]


@dataclass
class Cleaned:
    """What was found at a target: names of topics and groups, and folders of brokers."""

    target: str
    removed: list[str] = field(default_factory=list)
    """Or what would be, if it were not for a look only."""
    alive: list[str] = field(default_factory=list)
    """Of runs that are at work on this machine."""
    foreign: list[str] = field(default_factory=list)
    """Of runs that this user has not made on this machine: they may be alive elsewhere."""
    left: list[str] = field(default_factory=list)
    """What could not be removed, with the reason."""
    folders: list[str] = field(default_factory=list)
    """Where the records of the dead runs are. They are evidence, and stay."""


def clean(system: str, target: str, *, foreign: bool, look_only: bool, access: Mapping[str, Any]) -> Cleaned:
    """Remove the topics and groups of dead runs at a target; with `foreign` also those of runs that are unknown here.

    Nothing is touched whose name does not begin as those of our runs do. Raises BackendUnavailable.
    """
    runs = {run.prefix: run for run in registered()}
    found = Cleaned(target)
    doomed: list[str] = []
    with real_system(system).leftovers(target, access) as leftovers:
        for name in leftovers.names:
            match = PREFIX.match(name)
            if match is None:
                continue
            run = runs.get(match[0])
            if run is not None and run.alive:
                found.alive.append(name)
            elif run is not None or foreign:
                doomed.append(name)
            else:
                found.foreign.append(name)
        doomed += leftovers.scraps
        if not look_only:
            found.left = leftovers.remove(doomed)
        found.removed = [name for name in doomed if not any(left.startswith(f"{name} (") for left in found.left)]
        dead = [run for run in runs.values() if not run.alive and _was_there(run, target, leftovers.cluster, doomed)]
        found.folders = sorted({run.folder for run in dead if run.folder})
        if not look_only:
            _forget(dead, found.left)
    return found


def _was_there(run: Registered, target: str, cluster: str | None, names: Iterable[str]) -> bool:
    if any(name.startswith(run.prefix) for name in names):
        return True
    if cluster is not None and run.cluster:
        return run.cluster == cluster
    return run.target == target or run.target.startswith(f"{target}:")  # `local:3` is local


def _forget(dead: Iterable[Registered], left: Iterable[str]) -> None:
    for run in dead:
        if not any(one.startswith(run.prefix) for one in left):
            run.forget()

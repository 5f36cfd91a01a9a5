"""What lies on a Kafka cluster, and how it is removed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mqverify.backends.base import Endpoint, Leftovers
from mqverify.backends.kafka.addresses import are_addresses
from mqverify.backends.kafka.foreign import admin_of
from mqverify.backends.kafka.removal import remove_groups, remove_topics
from mqverify.errors import BackendUnavailable

__all__ = ["KafkaLeftovers", "LocalLeftovers", "leftovers_at"]

_LAID_OUT_SECONDS = 60.0


class KafkaLeftovers:
    """The names of all topics and groups of a cluster."""

    def __init__(self, admin: Any) -> None:
        self._admin = admin
        self.cluster: str | None = admin.describe_cluster().get("cluster_id")
        self._topics: Sequence[str] = sorted(admin.list_topics())
        self._groups: Sequence[str] = sorted(group["group_id"] for group in admin.list_groups())
        self.names: Sequence[str] = [*self._topics, *(name for name in self._groups if name not in self._topics)]

    scraps: Sequence[str] = ()

    def remove(self, names: Sequence[str]) -> list[str]:
        topics = [name for name in self._topics if name in names]
        groups = [name for name in self._groups if name in names]
        return [*remove_topics(self._admin, topics), *remove_groups(self._admin, groups)]


class LocalLeftovers:
    """Folders of local brokers that have no process any more: their supervisor was killed with them, or they failed."""

    cluster: str | None = None
    names: Sequence[str] = ()

    def __init__(self) -> None:
        in_use = _working_folders()
        self.scraps: Sequence[str] = sorted(
            str(folder)
            for folder in Path(tempfile.gettempdir()).glob("mqverify-kafka-*")
            if in_use is not None and _is_left(folder, in_use)
        )

    def remove(self, names: Sequence[str]) -> list[str]:
        for name in names:
            shutil.rmtree(name, ignore_errors=True)
        return [f"{name} (some of it stays)" for name in names if Path(name).exists()]


def _is_left(folder: Path, in_use: Sequence[Path]) -> bool:
    """Nobody works in it, and it is ours; not one that is just being laid out."""
    try:
        about = folder.lstat()
    except OSError:
        return False
    mine = folder.is_dir() and not folder.is_symlink() and about.st_uid == os.getuid()
    rests = time.time() - about.st_mtime > _LAID_OUT_SECONDS
    return mine and rests and not any(one.is_relative_to(folder.resolve()) for one in in_use)


def _working_folders() -> Sequence[Path] | None:
    """Where the processes of this machine work; None where the system does not tell."""
    processes = Path("/proc")
    if not (processes / "self" / "cwd").exists():
        return None
    found = []
    for process in processes.glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cwd").readlink())
    return found


@contextmanager
def leftovers_at(target: str, access: Mapping[str, Any]) -> Iterator[Leftovers]:
    """What there is at `local`, or at the addresses of a cluster. Raises BackendUnavailable."""
    from kafka.errors import KafkaError

    if not are_addresses(target):
        yield LocalLeftovers()
        return
    admin = admin_of(Endpoint(target, access))
    try:
        yield KafkaLeftovers(admin)
    except KafkaError as error:
        raise BackendUnavailable(
            f"the Kafka at {target} does not let itself be cleaned: {type(error).__name__}: {error}; that takes the "
            "rights to describe and delete topics and groups"
        ) from error
    finally:
        admin.close()

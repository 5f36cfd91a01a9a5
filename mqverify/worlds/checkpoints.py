"""Positions that an application keeps in the real world, where a crash does not reach them: a small file each."""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from mqverify.errors import HistoryError

__all__ = ["FileCheckpoints"]


class FileCheckpoints(MutableMapping[str, int]):
    """Checkpoints by name, in files of `folder`. One that is being written when its process dies stays as it was.

    A checkpoint is written beside its file and put in its place. That other file is of this process alone: a worker
    that wakes up after its successor began writes the same checkpoint at the same time. Whose process is gone is swept
    up by whoever opens the folder next.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for left in folder.glob("*.*.new"):
            if not _is_alive(int(left.suffixes[-2][1:])):
                left.unlink(missing_ok=True)

    def __getitem__(self, name: str) -> int:
        try:
            return int(self._path(name).read_text(encoding="ascii"))
        except FileNotFoundError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, position: int) -> None:
        path = self._path(name)
        new = path.with_suffix(f".{os.getpid()}.new")
        try:
            new.write_text(str(position), encoding="ascii")
            new.replace(path)
        except OSError as error:
            raise HistoryError(f"{path} cannot be written: {error.strerror}") from error

    def __delitem__(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("*.checkpoint")):
            yield bytes.fromhex(path.stem).decode()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.encode().hex()}.checkpoint"


def _is_alive(process: int) -> bool:
    """Whether there is such a process, if only one that is stopped."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

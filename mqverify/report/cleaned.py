"""What `mqverify clean` has found and removed, as text."""

from collections.abc import Sequence
from typing import TextIO

from mqverify.report.text import count, plain
from mqverify.worlds.cleaning import Cleaned

__all__ = ["write_cleaned"]


def write_cleaned(system: str, cleaned: Cleaned, stream: TextIO, *, look_only: bool) -> None:
    """A paragraph for each target; each name on a line of its own."""
    where = f"{system}={cleaned.target}"
    verb = "would be removed" if look_only else "removed"
    _tell(stream, f"{where}: {count(len(cleaned.removed), 'thing')} {verb}", cleaned.removed)
    if cleaned.left:
        _tell(stream, f"{where}: {count(len(cleaned.left), 'thing')} could not be removed", cleaned.left)
    if cleaned.alive:
        _tell(stream, f"{where}: runs are at work here on this machine, and keep", cleaned.alive)
    if cleaned.foreign:
        head = (
            f"{where}: {count(len(cleaned.foreign), 'thing')} of runs that are not known here stay; they may be alive "
            "on another machine: if they are not, --foreign removes"
        )
        _tell(stream, head, cleaned.foreign)
    if cleaned.folders:
        _tell(stream, f"{where}: what the dead runs recorded stays, as evidence, in", cleaned.folders)
    if cleaned.target == "local":
        stream.write("local brokers end with the check that started them, so topics of theirs are gone\n")


def _tell(stream: TextIO, head: str, names: Sequence[str]) -> None:
    stream.write(f"{head}{':' if names else ''}\n")
    for name in names:
        stream.write(f"  {plain(name)}\n")

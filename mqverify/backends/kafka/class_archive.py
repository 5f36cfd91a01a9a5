"""An archive of Java's classes (AppCDS), with which a broker starts in half the time.

A start reads, checks and links some thousand classes. Measured on Kafka 4.4 and Java 17, of 4.9 s of processor time
2.5 s are left with an archive, of those for formatting 1.1 s of 1.9 s. Java writes one as it ends, if it was told to at
its start; so the first cluster of one broker is ended gently and leaves one in the cache, some 50 MB. It is named after
the Java and the jars that it was made from; Java checks that too, and goes without it where it does not fit. Nothing
here can fail a start: where no archive can be made, there is none.

Source: JEP 350, dynamic class-data sharing archives.
"""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mqverify.backends.kafka.jars import KafkaJars
from mqverify.user_folders import cache_folder

__all__ = ["ClassArchive"]

_NAME = "classes.jsa"


class ClassArchive:
    """The archive for a Java and a Kafka, as a cluster uses it whose folder is given."""

    def __init__(self, java: str, jars: KafkaJars, folder: Path) -> None:
        self._folder = folder
        self._path = cache_folder() / f"classes-{_fingerprint(java, jars)}.jsa"
        self.is_there = self._path.is_file()
        if self.is_there:
            (folder / _NAME).symlink_to(self._path)  # a colon in its path would mean something to Java

    @property
    def options(self) -> Sequence[str]:
        """For a Java that is started in a node's folder: use the archive, or write one there at its end."""
        return [f"-XX:SharedArchiveFile=../{_NAME}" if self.is_there else f"-XX:ArchiveClassesAtExit={_NAME}"]

    def adopt(self, node: int) -> None:
        """Take what a node has written as it ended for the archive, in place of those of other versions."""
        with suppress(OSError):
            made = self._path.with_suffix(".new")
            shutil.move(self._folder / str(node) / _NAME, made)
            for other in self._path.parent.glob("classes-*.jsa"):
                other.unlink(missing_ok=True)
            made.rename(self._path)


def _fingerprint(java: str, jars: KafkaJars) -> str:
    """Of what an archive is made from: the Java's file and the jars, each by name, size and time."""
    with suppress(OSError):
        parts = [Path(java).resolve(), *sorted(jars.folder.resolve().glob("*.jar"))]
        told = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in parts]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    return "none"

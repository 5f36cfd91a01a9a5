"""Where a local Apache Kafka comes from: `KAFKA_HOME`, jars in the user's cache, or Maven; and the Java that runs it.

Where none of these gives one there may be a container (`container.py`).

Nothing is fetched but through Maven with its checksums verified. A fetch goes into a scratch folder and is renamed when
it is whole, under a file lock, so that a folder that is there is complete and two processes do not fight over it.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mqverify.errors import BackendUnavailable
from mqverify.user_folders import cache_folder, locked

__all__ = [
    "KAFKA_VERSION",
    "KafkaJars",
    "NoKafka",
    "find_jars",
    "find_java",
    "has_jars",
    "jars_folder",
    "jars_of_home",
]

KAFKA_VERSION = "4.4.0"
_LOG4J_VERSION = "2.25.5"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_OLDEST_JAVA = 17
_OLDEST_KAFKA = (4, 0)
_MAVEN_SECONDS = 900
_CHECKSUMS = "SHA256SUMS"
_WAITING = "waiting for another mqverify that fetches Kafka"
_TOLD_EVERY_SECONDS = 3
_DOWNLOADED = re.compile(r"Downloaded from .* \(([\d.]+) (B|kB|MB|GB)")
_KILOBYTES = {"B": 0.001, "kB": 1.0, "MB": 1000.0, "GB": 1_000_000.0}

# kafka_2.13 brings all but a logging backend, which Kafka ships in its release tarball only.
_ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", _LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-core", _LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-1.2-api", _LOG4J_VERSION),
)


class NoKafka(BackendUnavailable):
    """There is no Java, or no Kafka for it, on this machine. A container may do instead."""


@dataclass(frozen=True, slots=True)
class KafkaJars:
    """A folder with all jars of one Kafka, and a word on where it came from (`KAFKA_HOME`, `cache` or `Maven`)."""

    version: str
    folder: Path
    source: str


def jars_folder() -> Path:
    """Where the jars are kept between runs."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def find_java() -> str:
    """The path of a `java` of at least version 17: `$JAVA_HOME/bin/java`, else the one on the PATH.

    Raises NoKafka if there is none, it does not run, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    wanted = f"a local Kafka needs Java {_OLDEST_JAVA} or later"
    if java is None:
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "there is no `java` on the PATH"
        raise NoKafka(f"{wanted}, and {where}: install one, or set JAVA_HOME")
    try:
        answer = subprocess.run(
            [java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKafka(f"{wanted}, and {java} does not run: {error}") from error
    version = _java_version(answer.stderr + answer.stdout)
    if version is None:
        said = (answer.stderr + answer.stdout).strip()[:300]
        raise NoKafka(f"{wanted}, and `{java} -version` says none: {said}")
    if version < _OLDEST_JAVA:
        raise NoKafka(f"{wanted}, and {java} is Java {version}: install a later one, or set JAVA_HOME")
    return java


def _java_version(text: str) -> int | None:
    """The major version in the answer of `java -version`: 8 for `1.8.0_392`, 17 for `17.0.15`, 21 for `21-ea`."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    major = int(found[1])
    return int(found[2] or 0) if major == 1 else major


def has_jars() -> bool:
    """Whether the cache has them, whole."""
    return _is_whole(jars_folder())


def jars_of_home() -> KafkaJars | None:
    """Those of KAFKA_HOME; None if it is not set. Raises BackendUnavailable if it is no Kafka that we can run."""
    home = os.environ.get("KAFKA_HOME")
    return _from_home(Path(home)) if home else None


def find_jars(progress: Callable[[str], None]) -> KafkaJars:
    """The jars of a Kafka, fetched by Maven at first use; `progress` is told what takes long.

    Raises NoKafka, or another BackendUnavailable where KAFKA_HOME is wrong: it was asked for, so nothing replaces it.
    """
    if (of_home := jars_of_home()) is not None:
        return of_home
    folder = jars_folder()
    if _is_whole(folder):
        return KafkaJars(KAFKA_VERSION, folder, "cache")
    maven = shutil.which("mvn")
    if maven is None:
        raise _unavailable(folder, "there is no `mvn` on the PATH")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.parent / f".{folder.name}.lock", lambda: progress(_WAITING)):
            if _is_whole(folder):  # another process was faster
                return KafkaJars(KAFKA_VERSION, folder, "cache")
            _fetch(maven, folder, progress)
    except OSError as error:
        raise _unavailable(folder, f"the cache cannot be written: {error}") from error
    return KafkaJars(KAFKA_VERSION, folder, "Maven")


def _from_home(home: Path) -> KafkaJars:
    libs = home / "libs"
    versions = [path.stem.rpartition("-")[2] for path in sorted(libs.glob("kafka_2.1*.jar"))]
    versions = [version for version in versions if re.fullmatch(r"\d+\.\d+\.\d+", version)]
    if not versions:
        raise BackendUnavailable(
            f"KAFKA_HOME is {home}, and there is no {libs}/kafka_2.13-VERSION.jar: "
            "set it to the folder of an unpacked Apache Kafka 4.x, or unset it to let Maven bring one"
        )
    version = versions[-1]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_KAFKA:
        raise BackendUnavailable(f"KAFKA_HOME is {home}, which is Kafka {version}: mqverify runs Kafka 4.0 or later")
    return KafkaJars(version, libs.resolve(), "KAFKA_HOME")


def _unavailable(folder: Path, why_not_maven: str) -> NoKafka:
    return NoKafka(
        f"there is no Apache Kafka to start on this machine. Any one of these will do:\n"
        f"  - KAFKA_HOME: the folder of an unpacked Apache Kafka 4.x (now: not set)\n"
        f"  - the cache: its jars in {folder} (now: none, or not all)\n"
        f"  - Maven: `mvn` and a way to Maven Central, which bring Kafka {KAFKA_VERSION} "
        f"(now: {why_not_maven})"
    )


def _is_whole(folder: Path) -> bool:
    """Whether the broker's jar is there and, unless a user put the jars there himself, all match their checksums."""
    if not (folder / f"kafka_2.13-{KAFKA_VERSION}.jar").is_file():
        return False
    try:
        sums = (folder / _CHECKSUMS).read_text()
    except OSError:
        return True
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in sums.splitlines())}
    return all((folder / name).is_file() for name in expected) and expected == _checksums(folder)


def _checksums(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.glob("*.jar")):
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _fetch(maven: str, folder: Path, progress: Callable[[str], None]) -> None:
    """Let Maven copy all jars into a scratch folder, and rename it to `folder`. Call it with the lock held."""
    for left_over in folder.parent.glob(f".{folder.name}-*"):  # of a process that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        pom, libs = Path(scratch) / "pom.xml", Path(scratch) / "libs"
        pom.write_text(_pom())
        progress(f"fetching Apache Kafka {KAFKA_VERSION} with Maven into {folder} (about 43 MB, once)")
        failure = _run_maven(maven, pom, libs, progress)
        if failure is None and not (libs / f"kafka_2.13-{KAFKA_VERSION}.jar").is_file():
            failure = "it copied no jars"
        if failure is not None:
            raise _unavailable(folder, f"Maven failed: {failure}")
        lines = [f"{digest}  {name}\n" for name, digest in _checksums(libs).items()]
        (libs / _CHECKSUMS).write_text("".join(lines))
        libs.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        libs.rename(folder)


def _pom() -> str:
    dependencies = "".join(
        f"    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>\n"
        for group, artifact, version in _ARTIFACTS
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0">\n'
        "  <modelVersion>4.0.0</modelVersion>\n"
        "  <groupId>mqverify</groupId>\n  <artifactId>kafka-jars</artifactId>\n  <version>1</version>\n"
        f"  <packaging>pom</packaging>\n  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )


def _run_maven(maven: str, pom: Path, libs: Path, progress: Callable[[str], None]) -> str | None:
    """Run Maven to its end; None, or why it failed. Its process group ends with us."""
    command = [
        maven, "--batch-mode", "--strict-checksums", "--file", str(pom), _PLUGIN,
        "-DincludeScope=runtime", f"-DoutputDirectory={libs}",
    ]  # fmt: skip
    try:
        process = subprocess.Popen(
            command, cwd=pom.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return str(error)
    timer = threading.Timer(_MAVEN_SECONDS, _kill_group, (process,))
    timer.start()
    tail: deque[str] = deque(maxlen=6)
    try:
        assert process.stdout is not None
        files, kilobytes, told_at = 0, 0.0, time.monotonic()
        for line in process.stdout:
            if line.startswith("[ERROR]") and line[7:].strip():
                tail.append(line[7:].strip())
            if size := _DOWNLOADED.search(line):
                files += 1
                kilobytes += float(size[1]) * _KILOBYTES[size[2]]
            if time.monotonic() - told_at >= _TOLD_EVERY_SECONDS:
                told_at = time.monotonic()
                progress(f"fetching Apache Kafka {KAFKA_VERSION} with Maven: {kilobytes / 1000:.0f} MB, {files} files")
        status = process.wait()
    finally:
        timer.cancel()
        _kill_group(process)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if status == -signal.SIGKILL:
        return f"it took longer than {_MAVEN_SECONDS} s, or was killed"
    return None if status == 0 else " ".join(tail)[:600] or f"exit status {status}"


def _kill_group(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

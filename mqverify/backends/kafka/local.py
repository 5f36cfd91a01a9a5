"""One real Apache Kafka broker on this machine, started for a run and stopped after it.

KRaft in one process that is broker and controller, on loopback only, on free ports, with its data in a temporary
folder. The settings are native but for timings that only make waiting shorter (group sessions may be short, retention
is checked every 500 ms); they are known to work on Kafka 4.4.

The broker is a child of `supervisor.py`, which outlives us by the moment that it takes to end the broker: however
mqverify ends, SIGKILL included, no broker and no folder stays.
"""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mqverify.backends.kafka.jars import KafkaJars, find_jars, find_java
from mqverify.backends.kafka.supervisor import GRACE_SECONDS
from mqverify.errors import BackendUnavailable

__all__ = ["LocalKafka"]

_HOST = "127.0.0.1"
_READY = b"Kafka Server started"
_PORT_TAKEN = b"Address already in use"
_PORT_TRIES = 5
_TAIL_BYTES = 4_000

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=data
num.network.threads=2
num.io.threads=2
auto.create.topics.enable=false
# with the default of 128 MiB the broker needs a heap of more than 256 MB
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.retention.check.interval.ms=500
log.initial.task.delay.ms=500
log.segment.delete.delay.ms=0
log.cleaner.backoff.ms=500
offsets.retention.check.interval.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
"""

# A properties file, because the YAML form needs a jar that not every Kafka brings.
_LOGGING = """\
appender.console.type=Console
appender.console.name=STDOUT
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d{HH:mm:ss,SSS}] %p %m (%c{1})%n
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=STDOUT
"""


def _silent(_message: str) -> None:
    pass


class LocalKafka:
    """A broker that lives from `start` to `stop`, or as long as a `with` block.

    `settings` are broker settings by their native names, over those of this module; `timeout` is how many seconds the
    broker may take to come up. Not for use by several threads at once.
    """

    def __init__(self, settings: Mapping[str, object] | None = None, timeout: float = 60.0) -> None:
        self._settings = dict(settings or {})
        self._timeout = timeout
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port = 0
        self._pid = 0
        self._version = ""

    # --- what a run needs to know of it ------------------------------------------------------------------------------

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`, for clients."""
        return f"{_HOST}:{self._port}"

    @property
    def version(self) -> str:
        """The version of Kafka, as `4.4.0`."""
        return self._version

    @property
    def pid(self) -> int:
        """The process id of the broker (of Java, not of its supervisor)."""
        return self._pid

    @property
    def folder(self) -> Path:
        """Settings, data and `broker.log`. Gone after `stop`."""
        if self._folder is None:
            raise RuntimeError("the broker is not started")
        return self._folder

    @property
    def alive(self) -> bool:
        """Whether the broker's process is there; False also before `start` and after `stop`."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def log_tail(self) -> str:
        """The last lines of the broker's log, without its settings; empty if there is none."""
        tails = (_read_tail(self.folder / f"{name}.log") for name in ("broker", "supervisor", "format"))
        text = next((tail for tail in tails if tail), b"")
        lines = [line for line in text.decode(errors="replace").splitlines() if not line.startswith("\t")]
        whole = next((index for index, line in enumerate(lines) if line.startswith("[")), 0)
        return "\n".join(lines[whole:][-15:])

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self, progress: Callable[[str], None] = _silent) -> None:
        """Start the broker and wait until clients can use it. `progress` is told what takes long.

        Raises BackendUnavailable if there is no Java or no Kafka, or if the broker does not come up in time; then the
        message ends with the tail of its log, and the folder stays for a look.
        """
        if self._supervisor is not None:
            raise RuntimeError("the broker is started already")
        java, jars = find_java(), find_jars(progress)
        self._version = jars.version
        progress(f"starting Apache Kafka {jars.version} (from {jars.source})")
        self._folder = Path(tempfile.mkdtemp(prefix="mqverify-kafka-"))
        try:
            self._start(java, jars)
        except BackendUnavailable:
            self._end_process()
            raise
        except OSError as error:
            self.stop()
            raise BackendUnavailable(f"the local Apache Kafka {jars.version} cannot be started: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the broker (SIGTERM, then SIGKILL) and remove its folder. Does nothing if it is not there."""
        self._end_process()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        if self._supervisor is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- how ---------------------------------------------------------------------------------------------------------

    def _start(self, java: str, jars: KafkaJars) -> None:
        deadline = time.monotonic() + self._timeout
        self._prepare(jars)
        for left in reversed(range(_PORT_TRIES)):
            self._port, controller_port = _free_ports()
            properties = _PROPERTIES.format(host=_HOST, port=self._port, controller_port=controller_port)
            properties += "".join(f"{name}={value}\n" for name, value in self._settings.items())
            (self.folder / "server.properties").write_text(properties)
            if not (self.folder / "data").exists():
                self._format(java, deadline)
            self._spawn(java)
            if self._came_up(deadline):
                break
            port_taken = _PORT_TAKEN in _read_tail(self.folder / "broker.log", 1_000_000)
            if not port_taken or not left:
                raise self._failed("ended while it started")
            self._end_process()
            (self.folder / "broker.log").unlink()
        self._await_clients(deadline)

    def _prepare(self, jars: KafkaJars) -> None:
        """Lay out the folder. Java is started in it with relative paths, so no odd name of a folder can harm."""
        (self.folder / "libs").symlink_to(jars.folder, target_is_directory=True)
        (self.folder / "tmp").mkdir()
        (self.folder / "log4j2.properties").write_text(_LOGGING)

    def _java(self, java: str, *arguments: str) -> list[str]:
        return [
            java, "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError", "-Djava.io.tmpdir=tmp", "-Djava.awt.headless=true",
            "-Dlog4j2.configurationFile=log4j2.properties", "-cp", "libs/*", *arguments,
        ]  # fmt: skip

    def _format(self, java: str, deadline: float) -> None:
        command = self._java(java, "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "server.properties")
        with (self.folder / "format.log").open("wb") as log:
            try:
                status = subprocess.run(
                    command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    timeout=max(1.0, deadline - time.monotonic()),
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                raise self._failed(f"did not format its folder within {self._timeout:g} s") from None
        if status != 0:
            raise self._failed("could not format its folder")

    def _spawn(self, java: str) -> None:
        script = str(Path(__file__).with_name("supervisor.py"))
        command = [sys.executable, "-I", "-S", script, str(os.getpid()), str(self.folder)]
        with (self.folder / "supervisor.log").open("wb") as log:
            self._supervisor = subprocess.Popen(
                [*command, *self._java(java, "kafka.Kafka", "server.properties")], cwd=self.folder,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        assert self._supervisor.stdout is not None
        self._pid = int(self._supervisor.stdout.readline() or 0)
        if not self._pid:
            raise self._failed("could not be launched")

    def _came_up(self, deadline: float) -> bool:
        """Wait for the line in the log: True, or False if the broker ended before. Raises if it takes too long."""
        assert self._supervisor is not None
        with (self.folder / "broker.log").open("rb") as log:
            seen = b""
            while time.monotonic() < deadline:
                ended = self._supervisor.poll() is not None
                seen = seen[-100:] + log.read()
                if _READY in seen:
                    return True
                if ended:
                    return False
                time.sleep(0.02)
        raise self._failed(f"did not come up within {self._timeout:g} s")

    def _await_clients(self, deadline: float) -> None:
        """Wait until a client finds the broker in the metadata."""
        import kafka
        from kafka.errors import KafkaError

        new_admin: Any = kafka.KafkaAdminClient
        reason: object = "no answer"
        while time.monotonic() < deadline and self.alive:
            try:
                admin = new_admin(bootstrap_servers=self.bootstrap, client_id="mqverify")
                try:
                    if admin.describe_cluster()["brokers"]:
                        return
                    reason = "no broker in its metadata"
                finally:
                    admin.close()
            except KafkaError as error:
                reason = error
            time.sleep(0.05)
        raise self._failed(f"does not answer clients: {reason}")

    def _end_process(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        with suppress(OSError):
            os.write(supervisor.stdin.fileno(), b"q")
        try:
            supervisor.wait(GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError, PermissionError):  # the broker is in the supervisor's group
                os.killpg(supervisor.pid, signal.SIGKILL)
            supervisor.wait()
            supervisor.stdin.close()
            supervisor.stdout.close()

    def _failed(self, what: str) -> BackendUnavailable:
        tail = self.log_tail() or "(it wrote no log)"
        return BackendUnavailable(
            f"the local Apache Kafka {self._version} {what}. The end of its log:\n{tail}\n"
            f"Its settings and whole log are in {self.folder}"
        )


def _free_ports() -> tuple[int, int]:
    """Two ports of loopback that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind((_HOST, 0))
        first, second = (each.getsockname()[1] for each in sockets)
        return first, second


def _cluster_id() -> str:
    """A random id as Kafka writes them: 16 bytes in URL-safe base64, which must not look like an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _read_tail(path: Path, size: int = _TAIL_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read()
    except OSError:
        return b""

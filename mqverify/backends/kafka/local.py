"""A real Apache Kafka on this machine: a cluster of one or several brokers, started for runs and stopped after them.

What it is configured as is said in `layout.py`. Its processes are children of `supervisor.py`, which outlives us by the
moment that it takes to end them: however mqverify ends, SIGKILL included, no broker and no folder stays. Each node has
a folder named by its id within the cluster's: `server.properties`, `data` and `broker.log`.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mqverify.backends.base import Endpoint, silent
from mqverify.backends.kafka.broker_logs import UncleanElection, log_tail, unclean_elections
from mqverify.backends.kafka.class_archive import ClassArchive
from mqverify.backends.kafka.cluster_health import await_brokers, await_whole
from mqverify.backends.kafka.jars import KafkaJars, find_jars, find_java
from mqverify.backends.kafka.layout import LARGEST_CLUSTER, Layout, free_ports
from mqverify.backends.kafka.local_security import Secured, Security, secure
from mqverify.backends.kafka.nodes import PORT_TAKEN, format_nodes, java_command, launch, lay_out, log_of, prepare
from mqverify.backends.kafka.processes import NodeProcess, Processes
from mqverify.errors import BackendLost, BackendUnavailable

__all__ = ["LocalCluster"]

_PORT_TRIES = 5
_QUICK_SECONDS = 8.0
_STATE = "cluster.json"
_STATE_FORMAT = 1


class LocalCluster:
    """A cluster that lives from `start` to `stop`, or as long as a `with` block. Its brokers are numbered from 1.

    `settings` are broker settings by their native names, over those of `layout.py`; `security` asks clients who they
    are; `folder` is where everything of it is written (a temporary one), `port` that of the first broker, whose
    others follow (any); `timeout` is how many seconds it may take to come up, or a broker to come back.
    """

    def __init__(
        self,
        brokers: int = 1,
        settings: Mapping[str, object] | None = None,
        security: Security | None = None,
        *,
        folder: Path | None = None,
        port: int | None = None,
        timeout: float = 300.0,
    ) -> None:
        if not 1 <= brokers <= LARGEST_CLUSTER:
            raise ValueError(f"a local cluster has 1 to {LARGEST_CLUSTER} brokers")
        self._count = brokers
        self._settings = {name: str(value) for name, value in (settings or {}).items()}
        self._security = security
        self._chosen_folder = folder
        self._first_port = port
        self._timeout = timeout
        self._folder: Path | None = None
        self._layout = Layout({}, {}, 0)
        self._secured: Secured | None = None
        self._version = ""
        self._processes: Processes | None = None
        self._killed: set[int] = set()
        self._lives_on = False
        self._archive: ClassArchive | None = None
        self._came_up_in = 0.0
        self._tell: Callable[[str], None] = silent

    # --- what a run needs to know of it ------------------------------------------------------------------------------

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`, of every broker, for clients."""
        return ",".join(map(self.address, self.numbers()))

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.bootstrap, self._secured.options if self._secured else {})

    @property
    def version(self) -> str:
        """The version of Kafka, as `4.4.0`."""
        return self._version

    @property
    def folder(self) -> Path:
        """A folder for each node, by its id. Gone after `stop`."""
        if self._folder is None:
            raise RuntimeError("the cluster is not started")
        return self._folder

    @property
    def ports(self) -> Sequence[int]:
        """Of the brokers, in the order of their numbers."""
        return [self._layout.ports[broker] for broker in self.numbers()]

    @property
    def nodes(self) -> Sequence[int]:
        """The node ids of the brokers, and of the controller where it is a process of its own."""
        return self._layout.nodes if self._layout.ports else []

    @property
    def pids(self) -> Mapping[int, int]:
        """The process ids of those nodes that are alive, by node id: brokers, and the controller if it is apart."""
        return {node: process.pid for node, process in self._status().items() if process.state != "ended"}

    @property
    def pid(self) -> int:
        """The process id of the first broker, dead or alive."""
        return self._status()[1].pid

    def gone(self) -> Sequence[int]:
        """The nodes that have ended and that we did not kill."""
        there = self.pids
        return [node for node in self.nodes if node not in there and node not in self._killed]

    @property
    def is_alive(self) -> bool:
        """Whether all nodes are there; False also before `start` and after `stop`."""
        return bool(self.nodes) and set(self.pids) == set(self.nodes)

    def log(self, node: int) -> Path:
        return log_of(self.folder, node)

    def log_tail(self) -> str:
        """The last lines of the log of a node, of one that is not there if there is any; empty if there is no log."""
        there = self.pids
        nodes = sorted(self._layout.nodes or [1], key=lambda node: (node in there, node))
        formatted = self.log(self._layout.controller if self._layout.ports else 1).with_name("format.log")
        return log_tail(self.log(nodes[0]), self.folder / "supervisor.log", formatted)

    def unclean_elections(self, topic: str) -> Sequence[UncleanElection]:
        """Those of the topic's partitions so far, as the controller told of them."""
        return unclean_elections(self.log(self._layout.controller), topic)

    def keep_logs(self, folder: Path) -> None:
        """Copy the logs of all nodes: to `broker.log` where there is one, else to `broker-1.log` and so on."""
        for node in self.nodes:
            with suppress(OSError, RuntimeError):
                shutil.copy(self.log(node), folder / ("broker.log" if len(self.nodes) == 1 else f"broker-{node}.log"))

    # --- Brokers (backends/base.py) ----------------------------------------------------------------------------------

    def numbers(self) -> Sequence[int]:
        return self._layout.brokers

    def alive(self) -> Sequence[int]:
        there = self.pids
        return [broker for broker in self.numbers() if broker in there]

    def address(self, number: int) -> str:
        return self._layout.address(number)

    def kill(self, number: int) -> None:
        self._killed.add(number)
        self._running().kill(number)

    def restart(self, number: int) -> None:
        """Raises BackendLost if it does not come up; does nothing to one that is alive."""
        if number in self.alive():
            return
        if (wrong := launch(self._running(), self.folder, [number], self._timeout)) is not None:
            raise BackendLost(self._told(f"broker {number} {wrong}"))
        self._killed.discard(number)

    def pause(self, number: int) -> None:
        self._running().pause(number)

    def resume(self, number: int) -> None:
        self._running().resume(number)

    def paused(self) -> Sequence[int]:
        return [broker for broker in self.numbers() if self._status()[broker].state == "paused"]

    def make_whole(self) -> None:
        """Resume and restart what faults have paused and killed, and wait until all copies are in sync and clients
        are answered. Raises BackendLost if that does not come.
        """
        for number in self.paused():
            self.resume(number)
        deadline = time.monotonic() + self._timeout
        dead = [node for node in self.nodes if node not in self.pids]
        if (wrong := launch(self._running(), self.folder, dead, self._timeout)) is not None:
            raise BackendLost(self._told(wrong))
        self._killed.clear()
        address = self._layout.inner_address(self.numbers()[0])
        if (wrong := await_whole(address, {}, self.numbers(), deadline)) is not None:
            raise BackendLost(self._told(f"is not whole again: {wrong}"))

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self, progress: Callable[[str], None] = silent) -> None:
        """Start the cluster and wait until clients can use it. `progress` is told what takes long.

        Raises BackendUnavailable if there is no Java or no Kafka, or if it does not come up in time; then the message
        ends with the tail of a log, and the folder stays for a look.
        """
        if self._processes is not None:
            raise RuntimeError("the cluster is started already")
        self._tell = progress
        java, jars = find_java(), find_jars(progress)
        self._version = jars.version
        of = "" if self._count == 1 else f" with {self._count} brokers"
        progress(f"starting Apache Kafka {jars.version}{of} (from {jars.source})")
        try:
            if self._chosen_folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="mqverify-kafka-"))
            else:
                self._chosen_folder.mkdir(parents=True, mode=0o700)
                self._folder = self._chosen_folder
            self._start(java, jars)
        except BackendUnavailable:
            self._end_processes()
            raise
        except OSError as error:
            self.stop()
            raise BackendUnavailable(f"the local Apache Kafka {jars.version} cannot be started: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes (SIGKILL: nothing of it is needed any more) and remove the folder. Twice does no harm."""
        self._leave_class_archive()
        self._end_processes()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        if self._processes is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- clusters that outlive us ------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Let the cluster run on when we end. Whoever knows its folder can `attach` to it, and stop it."""
        layout = self._layout
        state = {
            "format": _STATE_FORMAT,
            "version": self._version,
            "ports": layout.ports,
            "controller_port": layout.controller_port,
        }
        (self.folder / _STATE).write_text(json.dumps(state))
        self._running().keep()
        self._lives_on = True

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """The cluster that was kept with this folder, with all that can be done to it.

        Raises BackendUnavailable if there is none: none was kept there, or it has ended.
        """
        try:
            state = json.loads((folder / _STATE).read_text())
            if state["format"] != _STATE_FORMAT:
                raise BackendUnavailable(f"the cluster in {folder} was started by another version of mqverify")
            ports = {int(number): int(port) for number, port in state["ports"].items()}
            processes = Processes.attach(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackendUnavailable(f"no local Kafka runs in {folder}: {error}") from error
        cluster = cls(len(ports), folder=folder)
        cluster._folder, cluster._processes = folder, processes
        cluster._layout = Layout(ports, {}, int(state["controller_port"]))
        cluster._version = str(state["version"])
        cluster._killed = set(cluster.nodes) - set(cluster.pids)
        cluster._lives_on = True
        return cluster

    def close(self) -> None:
        """Stop it, unless it is kept: then it is left as it is, but for brokers that we paused; they are resumed."""
        if not self._lives_on:
            self.stop()
            return
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.let_go()

    @property
    def supervised(self) -> bool:
        """Whether somebody answers for its processes."""
        return self._processes is not None and self._processes.answers()

    # --- how ---------------------------------------------------------------------------------------------------------

    def _start(self, java: str, jars: KafkaJars) -> None:
        folder, deadline = self.folder, time.monotonic() + self._timeout
        prepare(folder, jars)
        if self._security is not None:
            self._secured = secure(self._security, folder, java)
        self._archive = ClassArchive(java, jars, folder)
        options = self._archive.options
        command = java_command(java, options, "kafka.Kafka", "server.properties")
        self._processes = Processes.launch(folder, command)
        for left in reversed(range(_PORT_TRIES)):
            self._layout = self._new_layout()
            lay_out(folder, self._layout)
            archived = options if self._archive.is_there else ()
            users = self._secured.users if self._secured else ()
            wrong = format_nodes(folder, self._layout, java_command(java, archived), self._timeout, users)
            if wrong is not None:
                raise self._failed(wrong)
            began = time.monotonic()
            wrong = launch(self._processes, folder, self.nodes, self._timeout)
            self._came_up_in = time.monotonic() - began
            if wrong is None:
                break
            taken = any(PORT_TAKEN in self.log(node).read_bytes() for node in self.nodes)
            if not taken or not left or self._first_port is not None:
                raise self._failed(wrong)
            for node in self.nodes:
                self._processes.kill(node)
                self.log(node).unlink()
        self._await_clients(deadline)

    def _new_layout(self) -> Layout:
        brokers = range(1, self._count + 1)
        try:
            ports = free_ports(self._count, self._first_port)
        except OSError as error:
            last = (self._first_port or 0) + self._count - 1
            raise BackendUnavailable(f"a port from {self._first_port} to {last} is not free: {error}") from error
        inner = free_ports(self._count) if self._secured else []
        return Layout(
            dict(zip(brokers, ports, strict=True)),
            dict(zip(brokers, inner, strict=False)),
            free_ports(1)[0],
            self._settings,
            *((self._secured.properties, self._secured.protocol) if self._secured else ()),
        )

    def _await_clients(self, deadline: float) -> None:
        """Wait until a client finds all brokers in the metadata."""
        address = self._layout.inner_address(1)
        wrong = await_brokers(address, self.numbers(), deadline, lambda: not self.gone())
        if wrong is not None:
            raise self._failed(f"does not answer clients: {wrong}")

    def _status(self) -> Mapping[int, NodeProcess]:
        return self._processes.status() if self._processes is not None else {}

    def _running(self) -> Processes:
        if self._processes is None:
            raise RuntimeError("the cluster is not started")
        return self._processes

    def _leave_class_archive(self) -> None:
        """Only by one broker alone, which is a controller too and so knows all classes, and only where that does not
        take long, because the machine is not too busy.
        """
        archive, self._archive = self._archive, None
        if archive is None or archive.is_there or self._processes is None or self.nodes != [1]:
            return
        if self._status()[1].state == "running" and self._came_up_in < _QUICK_SECONDS:
            self._tell("ending the broker gently, this once: what it leaves has later ones start in half the time")
            with suppress(BackendLost):
                self._processes.end(1)
                archive.adopt(1)

    def _end_processes(self) -> None:
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.stop()

    def _failed(self, what: str) -> BackendUnavailable:
        return BackendUnavailable(self._told(what))

    def _told(self, what: str) -> str:
        tail = self.log_tail() or "(it wrote no log)"
        return (
            f"the local Apache Kafka {self._version} {what}. The end of its log:\n{tail}\n"
            f"Its settings and whole log are in {self.folder}"
        )

"""One body, two arms: what a behaviour is written against, whether the broker is the model or a real one.

A body is blocking code on kafka-python's API. In the simulated arm it runs as a process of the kernel, in virtual
time; in the real arm it runs here, against a broker. Where an application has to be killed or frozen it is a function
at module level, which `start` runs as a process of its own: one of the kernel, or one of the machine.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import kafka
import kafka.errors

from mqverify.simulation.kernel import MILLISECOND, SECOND
from tests.simulation.kafka.harness import Harness

__all__ = ["Arm", "Here", "Process", "RealArm", "SimulatedArm", "eventually"]

Told = list[Any]
_LOOK_EVERY = 0.02

LIKE_THE_LOCAL_BROKER = {
    "auto_create_topics_enable": False,
    "group_initial_rebalance_delay": 0,
    "group_min_session_timeout": 500 * MILLISECOND,
    "log_retention_check_interval": 500 * MILLISECOND,
    "log_initial_task_delay": 500 * MILLISECOND,
    "offsets_retention_check_interval": SECOND,
}
"""The model with the timings that `backends/kafka/layout.py` gives a real broker."""


class Here:
    """What bodies and applications have: a client library, where its broker is, time, and somebody to tell."""

    library: Any
    address: Mapping[str, Any]
    """The first arguments of every client."""

    def consumer(self, *topics: str, **config: Any) -> Any:
        return self.library.KafkaConsumer(*topics, **self.address, **config)

    def producer(self, **config: Any) -> Any:
        return self.library.KafkaProducer(**self.address, **config)

    def admin(self) -> Any:
        return self.library.KafkaAdminClient(**self.address)

    def place(self, topic: str, partition: int = 0) -> Any:
        return self.library.TopicPartition(topic, partition)

    def offset(self, offset: int) -> Any:
        return self.library.OffsetAndMetadata(offset, "", -1)

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def now(self) -> float:
        """Seconds, from somewhere on."""
        raise NotImplementedError

    def clock_ms(self) -> int:
        """What the wall clock says, in milliseconds since 1970."""
        raise NotImplementedError

    def tell(self, what: Any) -> None:
        """Of an application: whoever started it finds this in `told`, also after a SIGKILL."""
        raise NotImplementedError

    def die(self) -> None:
        """Of an application: SIGKILL to itself."""
        raise NotImplementedError


class Process(Protocol):
    """An application that was started."""

    @property
    def told(self) -> Told: ...

    @property
    def alive(self) -> bool: ...

    @property
    def error(self) -> str | None:
        """With what exception it ended: `Type: text`."""

    def kill(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Arm(Here):
    """A broker with the settings of `LIKE_THE_LOCAL_BROKER`, empty for all that a body sees: names are its own."""

    name: str

    def run(self, body: Callable[[], None]) -> None:
        raise NotImplementedError

    def start(self, application: Callable[..., None], *arguments: Any) -> Process:
        """Run `application(here, *arguments)` as a process."""
        raise NotImplementedError

    def named(self, what: str) -> str:
        """A name that no other body has."""
        raise NotImplementedError

    # -- what most bodies need -------------------------------------------------------------------------------------

    def topic(self, partitions: int = 1, **configs: object) -> str:
        """A new topic; settings by their native names, with underscores."""
        name = self.named("topic")
        named = {key.replace("_", "."): str(value) for key, value in configs.items()}
        with self.admin() as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": named}})
        return name

    def produce(self, topic: str, count: int, first: int = 0, partition: int | None = 0, **config: Any) -> None:
        """Records whose values are their numbers, all in one order."""
        with self.producer(**config) as producer:
            futures = [producer.send(topic, b"%d" % n, partition=partition) for n in range(first, first + count)]
            for future in futures:
                future.get(30)

    def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """Log start offset and end offset."""
        place = self.place(topic, partition)
        with self.consumer() as consumer:
            return consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]

    def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        consumer = self.consumer(group_id=group, enable_auto_commit=False)
        try:
            found: int | None = consumer.committed(self.place(topic, partition))
            return found
        finally:
            consumer.close()

    def commit(self, group: str, topic: str, offset: int) -> None:
        """As a standalone consumer."""
        consumer = self.consumer(group_id=group, enable_auto_commit=False)
        try:
            consumer.assign([self.place(topic)])
            consumer.commit({self.place(topic): self.offset(offset)})
        finally:
            consumer.close()

    def read(self, topic: str, partitions: int = 1) -> list[Any]:
        """A fresh reader's view of the whole topic."""
        places = [self.place(topic, number) for number in range(partitions)]
        with self.consumer(enable_auto_commit=False) as consumer:
            consumer.assign(places)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(places)
            found: list[Any] = []
            while any(consumer.position(place) < ends[place] for place in places):
                for records in consumer.poll(500).values():
                    found += records
            return found

    def numbers(self, topic: str) -> list[int]:
        return [int(record.value) for record in self.read(topic)]

    def wait(self, process: Process, enough: Callable[[Told], bool], within: float = 30) -> Told:
        """Until it has told enough."""
        eventually(self, lambda: enough(process.told), within, lambda: f"told {process.told}; {process.error}")
        return process.told

    def wait_for_end(self, process: Process, within: float = 30) -> None:
        eventually(self, lambda: not process.alive, within, lambda: f"told {process.told}")


def eventually(
    arm: Arm, condition: Callable[[], bool], within: float = 30, state: Callable[[], object] = lambda: ""
) -> None:
    """Wait until the condition holds; an AssertionError with the state if it takes too long."""
    until = arm.now() + within
    while not condition():
        assert arm.now() < until, f"not within {within} s: {state()}"
        arm.sleep(_LOOK_EVERY)


# -- simulated ---------------------------------------------------------------------------------------------------------


class _SimulatedHere(Here):
    def __init__(self, arm: "SimulatedArm", library: Any) -> None:
        self._arm = arm
        self.library = library
        self.address = {}
        self.told: Told = []
        library.may_idle = lambda: False  # bodies and applications look at the time between polls

    def sleep(self, seconds: float) -> None:
        self._arm.harness.sleep(seconds)

    def now(self) -> float:
        return self._arm.harness.seconds

    def clock_ms(self) -> int:
        return self._arm.harness.clock_ms

    def tell(self, what: Any) -> None:
        self.told.append(what)

    def die(self) -> None:
        self.library.process.kill()
        self.sleep(0)


class _SimulatedProcess:
    def __init__(self, arm: "SimulatedArm", name: str, application: Callable[..., None], arguments: Sequence[Any]):
        self._here: _SimulatedHere | None = None
        self._harness = arm.harness
        self._name = name

        def body(library: Any) -> None:
            self._here = _SimulatedHere(arm, library)
            application(self._here, *arguments)

        self._process = arm.harness.start(name, body)
        self.kill = self._process.kill
        self.pause = self._process.pause
        self.resume = self._process.resume

    @property
    def told(self) -> Told:
        return [] if self._here is None else list(self._here.told)

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def error(self) -> str | None:
        failure = self._harness.failures.get(self._name)
        return None if failure is None else f"{type(failure).__name__}: {failure}"


class SimulatedArm(Arm):
    """The model, in virtual time."""

    name = "simulated"

    def __init__(self, seed: int = 0) -> None:
        self.harness = Harness(seed, **LIKE_THE_LOCAL_BROKER)
        self._names = 0

    def run(self, body: Callable[[], None]) -> None:
        def application(library: Any) -> bool:
            here = _SimulatedHere(self, library)
            self.library, self.address = here.library, here.address
            body()
            return True

        self.harness.run(application, "body")

    def start(self, application: Callable[..., None], *arguments: Any) -> Process:
        return _SimulatedProcess(self, self.named(application.__name__), application, arguments)

    def named(self, what: str) -> str:
        self._names += 1
        return f"{what}-{self._names}"

    def sleep(self, seconds: float) -> None:
        self.harness.sleep(seconds)

    def now(self) -> float:
        return self.harness.seconds

    def clock_ms(self) -> int:
        return self.harness.clock_ms


# -- real --------------------------------------------------------------------------------------------------------------


class _OnThisMachine(Here):
    library = kafka

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def now(self) -> float:
        return time.monotonic()

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000


class _RealHere(_OnThisMachine):
    def __init__(self, address: Mapping[str, Any], pipe: Any) -> None:
        self.address = address
        self._pipe = pipe

    def tell(self, what: Any) -> None:
        self._pipe.send(("told", what))  # a write, done when it returns

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def _live(pipe: Any, address: Mapping[str, Any], application: Callable[..., None], arguments: Sequence[Any]) -> None:
    """The main function of a real application's process."""
    try:
        application(_RealHere(address, pipe), *arguments)
    except Exception as error:  # noqa: BLE001 - whatever an application ends with is told
        pipe.send(("error", f"{type(error).__name__}: {error}"))


_PROCESSES = multiprocessing.get_context("forkserver")
"""Forks of a process that has done nothing but to import kafka: an import takes longer than most bodies."""
_PROCESSES.set_forkserver_preload(["tests.conformance.applications", "kafka"])


class _RealProcess:
    def __init__(self, address: Mapping[str, Any], application: Callable[..., None], arguments: Sequence[Any]) -> None:
        self._pipe, theirs = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(target=_live, args=(theirs, address, application, arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._told: Told = []
        self._error: str | None = None

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while self._pipe.poll():
                kind, what = self._pipe.recv()
                if kind == "told":
                    self._told.append(what)
                else:
                    self._error = what

    @property
    def told(self) -> Told:
        self._listen()
        return list(self._told)

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def error(self) -> str | None:
        self._listen()
        return self._error

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def pause(self) -> None:
        os.kill(self._process.pid or 0, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid or 0, signal.SIGCONT)

    def close(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._pipe.close()
        self._process.close()


class RealArm(_OnThisMachine, Arm):
    """A real broker on this machine, shared with other bodies."""

    name = "real"

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.address = {"bootstrap_servers": bootstrap}
        self._prefix = prefix
        self._names = 0
        self._processes: list[_RealProcess] = []
        self._clients: list[Any] = []

    def consumer(self, *topics: str, **config: Any) -> Any:
        self._clients.append(super().consumer(*topics, **config))
        return self._clients[-1]

    def producer(self, **config: Any) -> Any:
        self._clients.append(super().producer(**config))
        return self._clients[-1]

    def admin(self) -> Any:
        self._clients.append(super().admin())
        return self._clients[-1]

    def run(self, body: Callable[[], None]) -> None:
        try:
            body()
        finally:
            for process in self._processes:
                process.close()
            for client in self._clients:
                with suppress(Exception):
                    client.close()

    def start(self, application: Callable[..., None], *arguments: Any) -> Process:
        self._processes.append(_RealProcess(self.address, application, arguments))
        return self._processes[-1]

    def named(self, what: str) -> str:
        self._names += 1
        return f"{self._prefix}-{what}-{self._names}"

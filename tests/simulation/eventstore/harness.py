"""A simulated Event Store: a node alone (`Machine`), or with applications in a kernel (`Harness`)."""

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

from mqverify.simulation.eventstore.cluster import SimulatedEventStore
from mqverify.simulation.eventstore.node import Node
from mqverify.simulation.eventstore.protocol import Append, CaughtUp, CheckpointReached, Confirmed, Credit, Events
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent
from mqverify.simulation.eventstore.settings import NodeSettings
from mqverify.simulation.future import Future
from mqverify.simulation.process import Process
from tests.simulation.in_a_kernel import Applications

STREAM = "order-1"


def event(number: int, type: str = "Happened", data: bytes = b"{}", metadata: bytes = b"") -> NewEvent:  # noqa: A002
    """An event whose id is its number."""
    return NewEvent(type, data, metadata, id=UUID(int=number))


def events(first: int, count: int) -> tuple[NewEvent, ...]:
    return tuple(event(number) for number in range(first, first + count))


def numbers(recorded: Any) -> list[int]:
    """The revisions of what was read."""
    return [found.stream_position for found in recorded]


def ids(recorded: Any) -> list[int]:
    return [found.id.int for found in recorded]


class ManualTimers:
    """`Timers` that the test lets run."""

    def __init__(self) -> None:
        self.pending: list[list[Any]] = []
        self._made = 0

    def at(self, time: int, call: Any, *arguments: Any, renews: Any = None) -> list[Any]:
        self._made += 1
        timer = [time, self._made, call, arguments]
        self.pending.append(timer)
        return timer

    def cancel(self, timer: list[Any]) -> None:
        self.pending = [other for other in self.pending if other is not timer]

    def postpone(self, timer: list[Any], time: int) -> None:
        timer[0] = time

    def run_until(self, time: int) -> None:
        while due := sorted(timer[:2] for timer in self.pending if timer[0] <= time):
            timer = next(timer for timer in self.pending if timer[:2] == due[0])
            self.cancel(timer)
            timer[2](*timer[3], timer[0])


class Machine:
    """A node without a kernel. Times are virtual nanoseconds; tokens are numbers."""

    def __init__(self, **settings: Any) -> None:
        self.now = 0
        self.timers = ManualTimers()
        self.answers: dict[int, list[Any]] = {}
        self.node = Node(NodeSettings(**settings), self.timers, random.Random(1), self._reply)
        self.log = self.node.log

    def ask(self, request: Any) -> Any:
        """The one answer to a request."""
        [answer] = self.taken(self.open(request))
        return answer

    def open(self, request: Any) -> int:
        """Begin a call; its token."""
        token = len(self.answers)
        self.answers[token] = []
        self.node.handle(request, token, self.now)
        return token

    def say(self, token: int, request: Any) -> None:
        self.node.handle(request, token, self.now)

    def taken(self, token: int) -> list[Any]:
        """What was answered since the last time."""
        answers, self.answers[token] = self.answers[token], []
        return answers

    def read(self, token: int, credit: bool = True) -> list[Any]:
        """What a subscriber saw since the last time, flat: events, and its other answers by name.

        With `credit` it takes all and lets the node go on until there is no more.
        """
        seen: list[Any] = []
        while answers := self.taken(token):
            arrived: list[RecordedEvent] = []
            for answer in answers:
                if isinstance(answer, Events):
                    arrived += answer.events
                    seen += answer.events
                elif not isinstance(answer, Confirmed):
                    seen.append("caught up" if isinstance(answer, CaughtUp) else answer)
            if not credit:
                break
            if arrived:
                self.say(token, Credit(len(arrived)))
        return seen

    def append(self, stream: str, first: int, count: int = 1, expected: Any = "any") -> Any:
        return self.ask(Append(stream, expected, events(first, count)))

    def wait(self, duration: int) -> None:
        self.now += duration
        self.timers.run_until(self.now)

    def _reply(self, token: int, answer: Any) -> None:
        self.answers[token].append(answer)


def positions(seen: list[Any]) -> list[int | str]:
    """Of what `Machine.read` gave: revisions, `c` and the position for checkpoints, and the other answers' names."""
    return [
        found.stream_position
        if isinstance(found, RecordedEvent)
        else f"c{found.position}"
        if isinstance(found, CheckpointReached)
        else found
        if isinstance(found, str)
        else found.reason
        for found in seen
    ]


class Harness(Applications):
    """Applications on one node."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        super().__init__(seed)
        self.store = SimulatedEventStore(self.kernel, NodeSettings(**settings))

    @property
    def node(self) -> Node:
        return self.store.node

    def start(self, name: str, application: Callable[[Any], Any], observer: Any = None) -> Process:
        """Run `application(library)` as the main task of a process `name`, from now on."""
        process = self.kernel.process(name)
        library = self.store.library(process, observer)
        return self.begin(process, lambda: application(library))

    def start_raw(self, name: str, application: Callable[["Raw"], Any]) -> Process:
        """The same for code that speaks the protocol itself."""
        process = self.kernel.process(name)
        raw = Raw(self, process)
        return self.begin(process, lambda: application(raw))

    def run(self, application: Callable[[Any], Any], name: str = "test") -> Any:
        """Run everything until `application(library)` has returned; its result."""
        return self.finish(lambda body: self.start(name, body), application)

    def run_raw(self, application: Callable[["Raw"], Any], name: str = "test") -> Any:
        return self.finish(lambda body: self.start_raw(name, body), application)

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.run_raw(lambda _: self.sleep(seconds), f"wait until {self.seconds + seconds}")


class Raw:
    """A client that speaks the protocol itself."""

    def __init__(self, harness: Harness, process: Process) -> None:
        self.harness = harness
        self.connection = harness.store.connect(process, process.name)

    def ask(self, request: Any) -> Any:
        future = Future(self.harness.kernel)
        self.connection.call(request, future.resolve)
        return future.result()

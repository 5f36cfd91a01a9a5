"""What the worker loops ask of a client library, and what a world gives to a worker: two small protocols.

An adapter in `mqverify.backends` implements `ProducerClient` and `ConsumerClient` once for a system, on the API of its
client library; a world implements `Context` once. Loops, adapters and libraries are the same in both worlds.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

__all__ = ["ConsumerClient", "Context", "Metric", "Point", "ProducerClient", "Received", "Recorder"]

Point = Literal["before_handle", "in_handler", "before_settle", "in_settle", "after_settle"]
Metric = Literal["sent", "acked", "delivered", "handled", "settled"]
Recorder = Any
"""`WorkerRecorder`, or `FileRecorder` with the same methods."""


class Received:
    """One delivery in a consumer's hands. `token` names its row in the recorder."""

    __slots__ = ("facts", "message", "position", "source", "token")

    def __init__(self, token: int, message: int | None, source: int, position: int, facts: tuple[Any, ...]) -> None:
        self.token = token
        self.message = message
        self.source = source
        self.position = position
        self.facts = facts
        """The first arguments of `recorder.delivered`, to record another attempt in place."""


class ProducerClient(Protocol):
    """Sends the plan's messages. It records each try, and its outcome as the client library tells it."""

    def send(self, message: int) -> None:
        """Hand one message to the client library; its outcome is recorded when it is known."""

    def wait(self) -> None:
        """Block until the outcome of every message sent so far is known."""

    def close(self) -> None: ...


class ConsumerClient(Protocol):
    """Receives and settles, in the broker's own way. It records deliveries, settlements and assignments."""

    def start(self) -> None:
        """Join the group, subscribe. Where it starts may be known only after polls."""

    def poll(self, timeout: int) -> Sequence[Received]:
        """Wait up to `timeout` nanoseconds for messages; an empty sequence if none came."""

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        """Tell the broker that these are done; `wait` for its answer, or go on and record it when it comes.

        False if the broker refused or its answer did not come: the loop goes on all the same.
        """

    def progress(self) -> Mapping[int, int] | None:
        """The next position of each source it owns; None while it does not know what it owns or where it starts."""

    def close(self, clean: bool) -> None:
        """Leave. `clean` is False when an exception leaves a `with` block."""


class Context(Protocol):
    """What a world gives to one incarnation of a worker."""

    recorder: Recorder
    dice: random.Random

    def now(self) -> int:
        """Nanoseconds since the run's start."""

    def sleep(self, duration: int) -> None: ...

    def marker(self, metric: Metric) -> Callable[[int], None]:
        """A callable that counts a message, once, and pulls the triggers of faults that wait for the count."""

    def reached(self, point: Point) -> None:
        """The loop stands at a crash point; it may not come back."""

    def handling_time(self, planned: int) -> int:
        """How long this handling takes, in nanoseconds: as planned, unless a fault slows it down."""

    def stopping(self) -> bool:
        """Whether the worker was asked to end."""

    def idle(self, progress: Mapping[int, int] | None) -> None:
        """There is nothing to do; all before `progress` is done. Told when it changes."""

    def busy(self) -> None:
        """There is work again."""

    def crash(self) -> None:
        """Die as by SIGKILL; never returns."""

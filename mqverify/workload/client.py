"""What the worker loops ask of a client library, and what a world gives to a worker: two small protocols.

An adapter in `mqverify.backends` implements `ProducerClient` and `ConsumerClient` once for a system, on the API of its
client library; a world implements `Context` once. Loops, adapters and libraries are the same in both worlds.
"""

import random
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from mqverify.workload.sink import Sink

__all__ = [
    "ConsumerClient",
    "Context",
    "Feed",
    "FeedEnded",
    "Metric",
    "Point",
    "ProducerClient",
    "Received",
    "Recorder",
    "Rejection",
    "Unsure",
]

Point = Literal["before_handle", "in_handler", "before_settle", "in_settle", "after_settle"]
Metric = Literal["sent", "acked", "delivered", "handled", "settled"]
Rejection = Literal["retry", "skip", "park"]
Unsure = tuple[int, int, int | None]
"""A message whose send ended in doubt, how often it was tried, and the revision that it expected, if any."""
Recorder = Any
"""`WorkerRecorder`, or `FileRecorder` with the same methods."""


class Received(NamedTuple):
    """One delivery in a consumer's hands. `token` names its row in the recorder."""

    token: int
    message: int | None
    source: int
    position: int
    """Its position along `source`."""
    facts: tuple[Any, ...]
    """The first arguments of `recorder.delivered`, to record another attempt in place."""
    native: Any = None
    """The client library's own object."""
    tries: int = 1
    """Which delivery of the message it is by the system's own count, from 1; 1 where the system counts none."""


class ProducerClient(Protocol):
    """Sends the plan's messages. It records each try, and its outcome as the client library tells it."""

    unsure: list[Unsure]
    """Sends whose outcome is unknown, added as that becomes known; whoever sends them again takes them out."""

    def send(self, message: int, attempt: int = 1, expected: int | None = None) -> None:
        """Hand one message to the client library; its outcome is recorded when it is known.

        Sent again it is the same message to a system that can tell (an event's id), and expects what it first expected.
        """

    def wait(self) -> None:
        """Block until the outcome of every message sent so far is known."""

    def close(self) -> None: ...


class ConsumerClient(Protocol):
    """Receives and settles, in the broker's own way. It records deliveries, settlements and assignments."""

    redelivers: bool
    """Whether the system hands a rejected message out again; else the loop tries again in place."""

    def start(self) -> None:
        """Join the group, subscribe. Where it starts may be known only after polls."""

    def poll(self, timeout: int) -> Sequence[Received]:
        """Wait up to `timeout` nanoseconds for messages; an empty sequence if none came."""

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        """Tell the broker that these are done; `wait` for its answer, or go on and record it when it comes.

        False if the broker refused or its answer did not come: the loop goes on all the same.
        """

    def reject(self, received: Received, action: Rejection) -> bool:
        """Its handler failed: have it handed out again (where the system `redelivers`), skip it, or park it.

        Returns whether that settled it. If not, the loop settles it as if it were handled.
        """

    def progress(self) -> Mapping[int, int] | None:
        """The next position of each source it owns; None while it does not know what it owns or where it starts.

        Empty where the broker alone knows.
        """

    def close(self, clean: bool) -> None:
        """Leave. `clean` is False when an exception leaves a `with` block."""


class FeedEnded(Exception):
    """The iterator behind a feed has ended without an error: nothing will ever come again."""


class Feed(Protocol):
    """What an iterator of the client library yields, fetched beside the loop, in a thread of the worker's own."""

    def take(self, timeout: int, most: int) -> Sequence[Any]:
        """What has come, at most `most`; waits up to `timeout` nanoseconds for the first.

        Once everything was taken it raises what ended the iterator: its exception, or `FeedEnded`. So an empty answer
        always means that more may come.
        """

    def close(self) -> None:
        """Take no more. The thread ends with the iterator's next item, or at once if it waits for room."""


class Context(Protocol):
    """What a world gives to one incarnation of a worker."""

    recorder: Recorder
    dice: random.Random
    checkpoints: MutableMapping[str, int]
    """Positions that the application keeps where a crash does not reach them, by names of its own."""
    sink: "Sink | None"
    """The sink of a consumer's group; None if it is a plain one and nobody asks for its effects."""

    leads: Callable[[], None] | None
    """To be told whenever this consumer shares out the work of its group, as its leader; None if nobody asks."""

    def feed(self, items: Iterable[Any], capacity: int) -> Feed:
        """Iterate over `items` beside the loop; at most `capacity` wait to be taken."""

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

    def wrong_time(self) -> int | None:
        """What a clock of the time of day shows that is off, in Unix nanoseconds; None where it is right.

        None also where the world sees to it beneath the client library, which then needs not be told.
        """

    def idle(self, progress: Mapping[int, int] | None) -> None:
        """There is nothing to do; all before `progress` is done. Told when it changes."""

    def busy(self) -> None:
        """There is work again."""

    def crash(self) -> None:
        """Die as by SIGKILL; never returns."""

"""A world with one store and applications on it: plain esdbclient code that takes `library`.

With `answers` the node is none: it answers what it is told to and keeps what it was sent.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mqverify.simulation.eventstore.cluster import SimulatedEventStore
from mqverify.simulation.eventstore.protocol import Cancel
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.process import Process
from tests.simulation.in_a_kernel import Applications

URI = "esdb://localhost:2113?Tls=false"

Answers = Callable[[Any], Iterable[Any]]


class World(Applications):
    """One store; `received` is what it was sent: seconds and request."""

    def __init__(self, answers: Answers | None = None, seed: int = 0, **settings: Any) -> None:
        super().__init__(seed)
        self.store = SimulatedEventStore(self.kernel, **settings)
        self.received: list[tuple[float, Any]] = []
        self.tokens: list[Any] = []
        if answers is not None:
            self._answers = answers
            self.store.node = self  # type: ignore[assignment]

    # -- the canned node -------------------------------------------------------------------------------------------

    def handle(self, request: Any, token: Any, now: int) -> None:
        self.received.append((now / SECOND, request))
        self.tokens.append(token)
        for answer in self._answers(request):
            self.store._reply(token, answer)

    def cancelled(self, token: Any, now: int) -> None:
        self.received.append((now / SECOND, Cancel()))

    def push(self, token: Any, *answers: Any) -> None:
        """Answer more on a call, at once."""
        for answer in answers:
            self.store._reply(token, answer)
        self.store.flush()

    def of(self, *kinds: type) -> list[Any]:
        """The requests of these kinds that the node received, in order."""
        return [request for _, request in self.received if isinstance(request, kinds)]

    # -- applications ----------------------------------------------------------------------------------------------

    def start(self, application: Callable[[Any], Any], name: str = "test") -> Process:
        """Run `application(library)` as the main task of a process, from now on."""
        process = self.kernel.process(name)
        library = self.store.library(process)

        return self.begin(process, lambda: application(library))

    def run(self, application: Callable[[Any], Any], name: str = "test") -> Any:
        """Run everything until `application(library)` has returned; its result."""
        return self.finish(lambda body: self.start(body, name), application)

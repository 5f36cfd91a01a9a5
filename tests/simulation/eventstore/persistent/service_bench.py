"""The service of persistent subscriptions on a real log, in virtual time."""

import json
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.persistent.service import PersistentSubscriptions
from mqverify.simulation.eventstore.persistent.subscription import Quirks
from mqverify.simulation.eventstore.protocol import (
    Ack,
    CreateGroup,
    Events,
    GroupSettings,
    Nack,
    NackAction,
    ReadGroup,
)
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent
from mqverify.simulation.kernel import SECOND, Kernel
from mqverify.simulation.renewals import Event
from tests.simulation.eventstore.persistent.subject import NO_QUIRKS


class _Timers:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.fired = 0

    def at(
        self, time: int, call: Callable[..., Any], *arguments: Any, renews: Callable[[], bool] | None = None
    ) -> Event:
        assert time >= self._kernel.now
        return self._kernel.call_at(time, self._fire, call, arguments, renews=renews)

    def cancel(self, timer: Event) -> None:
        self._kernel.cancel(timer)

    def postpone(self, timer: Event, time: int) -> None:
        self._kernel.postpone(timer, time)

    def _fire(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.fired += 1
        call(*arguments, self._kernel.now)


class Bench:
    def __init__(self, quirks: Quirks = NO_QUIRKS, seed: int = 1) -> None:
        self.kernel = Kernel(seed)
        self.log = Log(random.Random(seed))
        self.timers = _Timers(self.kernel)
        self.answers: list[tuple[str, Any]] = []
        self.service = PersistentSubscriptions(self.log, self.timers, random.Random(seed), self._reply, quirks)
        self._ids = random.Random(seed)

    def _reply(self, token: str, answer: Any) -> None:
        self.answers.append((token, answer))

    def ask(self, request: Any, token: str = "client") -> list[Any]:
        """Ask, and have 5 ms pass; what was answered to this call."""
        self.service.handle(request, token, self.kernel.now)
        self.run(0.005)
        found = [answer for told, answer in self.answers if told == token]
        self.answers = [(told, answer) for told, answer in self.answers if told != token]
        return found

    def create(self, stream: str | None = "orders", group: str = "billing", **settings: Any) -> None:
        settings.setdefault("strategy", "RoundRobin")
        self.ask(CreateGroup(stream, group, GroupSettings(**settings)))

    def join(self, token: str, stream: str | None = "orders", group: str = "billing", slots: int = 100) -> None:
        self.service.handle(ReadGroup(stream, group, slots), token, self.kernel.now)

    def append(self, *data: str, stream: str = "orders", type: str = "Placed") -> None:  # noqa: A002
        events = [NewEvent(type, one.encode(), id=UUID(int=self._ids.getrandbits(128))) for one in data]
        self.log.append(stream, "any", events, self.kernel.now)

    def ack(self, token: str, *events: RecordedEvent) -> None:
        self.service.handle(Ack(tuple(event.ack_id for event in events)), token, self.kernel.now)

    def nack(self, token: str, action: NackAction, *events: RecordedEvent, reason: str = "") -> None:
        self.service.handle(Nack(tuple(event.ack_id for event in events), action, reason), token, self.kernel.now)

    def run(self, seconds: float) -> None:
        """Have time pass."""
        kernel = self.kernel
        end = kernel.now + int(seconds * SECOND)
        kernel.call_at(end, kernel.stop)
        kernel.run()
        kernel._stopped = False

    def received(self, token: str) -> list[RecordedEvent]:
        """The events pushed to a consumer since it was last asked for."""
        found = [
            event
            for told, answer in self.answers
            if told == token and isinstance(answer, Events)
            for event in answer.events
        ]
        self.answers = [one for one in self.answers if one[0] != token or not isinstance(one[1], Events)]
        return found

    def data(self, token: str) -> list[str]:
        return [event.data.decode() for event in self.received(token)]

    def stream(self, name: str) -> list[RecordedEvent]:
        found = self.log.stream(name)
        return [] if found is None else found.events

    def checkpoints(self, key: str = "orders::billing") -> list[Any]:
        return [json.loads(event.data) for event in self.stream(f"$persistentsubscription-{key}-checkpoint")]

"""A persistent subscription under test: its actions are written down, and events go by their numbers."""

from typing import Any
from uuid import UUID

from mqverify.simulation.eventstore.persistent.messages import Consumer, Message
from mqverify.simulation.eventstore.persistent.subscription import Page, PersistentSubscription, Quirks
from mqverify.simulation.eventstore.protocol import GroupSettings, NackAction
from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.kernel import SECOND

NO_QUIRKS = Quirks()

Push = tuple[str, int, int]
"""Consumer, number of the event, retry count."""


def id_of(number: int) -> UUID:
    return UUID(int=number + 1)


def record(number: int, stream: str = "orders", identity: UUID | None = None, **more: Any) -> RecordedEvent:
    event_id = id_of(number) if identity is None else identity
    found: dict[str, Any] = {"type": "Placed", "data": b"{}", "metadata": b"", "content_type": "application/json"}
    found.update(more)
    return RecordedEvent(**found, id=event_id, stream_name=stream, stream_position=number,
                         commit_position=number * 100, prepare_position=number * 100)  # fmt: skip


class Subject:
    """Live and without history, unless `history` or `checkpoint` say otherwise."""

    def __init__(
        self, quirks: Quirks = NO_QUIRKS, history: bool = False, checkpoint: int | None = None, **settings: Any
    ) -> None:
        settings.setdefault("strategy", "RoundRobin")
        self.now = 100 * SECOND
        self.subscription = PersistentSubscription(GroupSettings(**settings), self, quirks)
        self.pushed: list[Push] = []
        self.batches: list[tuple[str, list[int]]] = []
        self.parks: list[tuple[int, str]] = []
        self.parking: list[Message] = []
        self.checkpoints: list[int] = []
        self.reads: list[tuple[int, int, bool]] = []
        self.dropped: list[str] = []
        self.pushes_wanted = 0
        self.subscription.load(checkpoint)
        if not history and checkpoint is None and not settings.get("from_end"):
            self.found(end=True)
            self.reads.clear()

    # -- Actions ---------------------------------------------------------------------------------------------------

    def schedule_push(self) -> None:
        self.pushes_wanted += 1

    def push(self, consumer: Consumer, messages: list[Message]) -> None:
        self.batches.append((consumer.token, [message.original.stream_position for message in messages]))
        self.pushed += [(consumer.token, message.original.stream_position, message.retry_count) for message in messages]

    def park(self, message: Message, reason: str) -> None:
        self.parks.append((message.original.stream_position, reason))
        self.parking.append(message)

    def write_checkpoint(self, position: int) -> None:
        self.checkpoints.append(position)

    def read(self, start: int, count: int, skip_first: bool) -> None:
        self.reads.append((start, count, skip_first))

    def drop(self, consumer: Consumer) -> None:
        self.dropped.append(consumer.token)

    # -- what happens ----------------------------------------------------------------------------------------------

    def join(self, name: str, slots: int = 10) -> Consumer:
        return self.subscription.join(name, slots)

    def live(self, *numbers: int, stream: str = "orders", identity: UUID | None = None) -> None:
        for number in numbers:
            self.subscription.live(Message(record(number, stream, identity), number))

    def found(self, *numbers: int, end: bool = False, next_position: int | None = None) -> None:
        """The read that is under way has found these."""
        following = next_position if next_position is not None else (numbers[-1] + 1 if numbers else 0)
        messages = [Message(record(number), number) for number in numbers]
        self.subscription.read_done(Page(messages, numbers[0] if numbers else 0, following, end), self.now)

    def pushes(self) -> list[Push]:
        """Let the scheduled push happen; what it sent."""
        if self.pushes_wanted:
            self.pushes_wanted = 0
            self.subscription.push(self.now)
        found, self.pushed = self.pushed, []
        return found

    def owners(self) -> str:
        """Let the scheduled push happen; who was sent what, in the order of the events."""
        return "".join(who for who, _, _ in sorted(self.pushes(), key=lambda push: push[1]))

    def ack(self, *numbers: int) -> None:
        self.subscription.ack([id_of(number) for number in numbers], self.now)

    def nack(self, action: NackAction, *numbers: int, reason: str = "") -> None:
        self.subscription.nack([id_of(number) for number in numbers], action, reason, self.now)

    def tick(self, after: float = 1) -> None:
        """Time passes, in seconds, and the timer ticks."""
        self.now += int(after * SECOND)
        self.subscription.tick(self.now)

    def parked(self) -> None:
        """What is to be parked is written."""
        parking, self.parking = self.parking, []
        for message in parking:
            self.subscription.parked(message)

    def slots(self) -> dict[str, int]:
        return {consumer.token: consumer.slots for consumer in self.subscription.consumers}

    @property
    def retry(self) -> list[int]:
        return [message.original.stream_position for message in self.subscription.buffer.retry]

    @property
    def waiting(self) -> list[int]:
        return [message.original.stream_position for message in self.subscription.buffer.waiting]

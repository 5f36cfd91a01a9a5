"""One persistent subscription, that is: one consumer group on one source, as a state machine without I/O.

`PersistentSubscription` of the server (docs/facts/eventstore.md §A2–A7, A9). It is told what was committed, read,
acked and nacked, who joined and left, and that its timer ticked; what it wants done it asks of its `Actions`. Pushes
are deferred, as the server does since 24.10.14: it asks for one `push` after anything that may make one possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from mqverify.simulation.eventstore.persistent.buffer import StreamBuffer
from mqverify.simulation.eventstore.persistent.checkpoints import Progress
from mqverify.simulation.eventstore.persistent.messages import Consumer, Message
from mqverify.simulation.eventstore.persistent.outstanding import Outstanding
from mqverify.simulation.eventstore.persistent.strategies import FULL, SKIPPED, STRATEGIES
from mqverify.simulation.eventstore.protocol import GroupSettings, NackAction

__all__ = ["Actions", "Page", "PersistentSubscription", "Quirks"]

_MOST_PER_READ: Final = 100
_DEFAULT_BATCH: Final = 20
_LEAST_PER_READ: Final = 10


@dataclass(frozen=True, slots=True)
class Quirks:
    """Behaviour of some versions, or that was inferred from the source and never seen on a server."""

    faithful_skip_first: bool = False
    """§A6: the first event read after a checkpoint is dropped even if it is not the checkpointed one. Inferred."""
    filtered_overtakes: bool = False
    """Events that the filter hides count as done before what waits ahead of them was pushed. Inferred."""
    pinned_skip_bug: bool = False
    """H-1: before 24.10.14 and 26.0.3, what Pinned skips waits un-numbered, so checkpoints pass it."""
    no_tick_read: bool = False
    """H-3: before 24.10.8 and 25.1.2, a tick reads no history, so a group that settles nothing stalls."""


@dataclass(slots=True)
class Page:
    """What a read of history found from `start` on. `next_position` is where the next one begins."""

    messages: list[Message]
    start: int
    next_position: int
    is_end: bool
    filtered_out: int = 0
    """How many events were looked at, where none of them is for the group."""


class Actions(Protocol):
    """What a subscription wants done."""

    def schedule_push(self) -> None:
        """Have `push` called soon, after what is already on its way in."""

    def push(self, consumer: Consumer, messages: list[Message]) -> None:
        """Send these, in order. A message's `retry_count` may change later."""

    def park(self, message: Message, reason: str) -> None:
        """Write it to the parked stream; then call `parked`."""

    def write_checkpoint(self, position: int) -> None: ...

    def read(self, start: int, count: int, skip_first: bool) -> None:
        """Read history; then call `read_done` or `read_failed`."""

    def drop(self, consumer: Consumer) -> None:
        """Tell a consumer that its subscription is over."""


class PersistentSubscription:
    """`load` must be called before anything happens; until then it is not ready, and only consumers are let in."""

    def __init__(self, settings: GroupSettings, actions: Actions, quirks: Quirks = Quirks()) -> None:
        self.settings = settings
        self.ready = False
        self.faulted = False
        self.reading = False
        self.consumers: list[Consumer] = []
        self.buffer = StreamBuffer(settings.history_buffer_size, settings.live_buffer_size, None, live=False)
        self.outstanding = Outstanding()
        self.progress = Progress(settings, None)
        self.total_pushed = 0
        self.last_known: int | None = None
        """The last position in the source that it has heard of."""
        self._actions = actions
        self._quirks = quirks
        self._strategy = STRATEGIES[settings.strategy]()
        self._start = None if settings.from_end else settings.start
        self._next_read = 0
        self._skip_first = False
        self._exhausted = False
        self._push_scheduled = False
        self._read_unpushed = False

    @property
    def is_full(self) -> bool:
        """Whether it has all the consumers that it may have; `max_subscriber_count: 0` is no limit."""
        most = self.settings.max_subscriber_count
        return most != 0 and len(self.consumers) >= most

    # -- the source ------------------------------------------------------------------------------------------------

    def load(self, checkpoint: int | None) -> None:
        """`OnCheckpointLoaded`: go on after the checkpoint, or begin where the settings say (§A9)."""
        settings = self.settings
        self.ready = True
        from_end = checkpoint is None and settings.from_end
        self.buffer = StreamBuffer(settings.history_buffer_size, settings.live_buffer_size, checkpoint, live=from_end)
        self.progress = Progress(settings, checkpoint)
        self._next_read = checkpoint if checkpoint is not None else self._start or 0
        self._skip_first = checkpoint is not None and self._quirks.faithful_skip_first
        self._read_more()

    def live(self, message: Message) -> None:
        """`NotifyLiveSubscriptionMessage`: it was committed to the source."""
        position = message.position
        assert position is not None
        if not self.ready or (self._start is not None and position < self._start):
            return
        self.last_known = position
        was_live = self.buffer.live
        self.buffer.add_live(message)
        self._exhausted = False
        if was_live and not self.buffer.live:
            self._next_read = position
        self._schedule_push()

    def live_filtered_out(self, position: int, now: int) -> None:
        """It was committed to the source, but the group's filter hides it (`HandleSkippedEvents`)."""
        if self.ready and (self._start is None or position >= self._start):
            self._exhausted = False
            if self._quirks.filtered_overtakes or self.buffer.live:
                self._count_filtered_out(position, 1, now)

    def read_done(self, page: Page, now: int) -> None:
        """`HandleReadCompleted`. At the end of history nothing is pushed at once: a tick or an ack will do it."""
        self.reading = False
        if page.filtered_out:
            # The position that was read *from*, so that nothing behind it is skipped when this checkpoint is loaded.
            self._count_filtered_out(page.start, page.filtered_out, now)
        buffer = self.buffer
        if buffer.live:
            return
        for message in page.messages:
            buffer.add_read(message)
        if page.messages:
            self.last_known = max(page.messages[-1].position or 0, self.last_known or 0)
        if page.is_end and buffer.try_to_go_live():
            self._read_unpushed = True
            return
        self._next_read = page.next_position
        # Read to its end without going live, since what was committed lately is gone already: only news can help.
        self._exhausted = page.is_end and not page.messages
        self._read_more()
        self._schedule_push()

    def read_failed(self) -> None:
        """`HandleReadError`: it is faulted until the subsystem restarts. All consumers are dropped."""
        self.faulted = True
        self.shut_down()

    def replayed(self, messages: Sequence[Message]) -> None:
        """`HandleParkedReadCompleted`: these are to be delivered again."""
        for message in messages:
            self.buffer.add_retry(message)
        self._schedule_push()

    # -- consumers -------------------------------------------------------------------------------------------------

    def join(self, token: Any, slots: int) -> Consumer:
        consumer = Consumer(token, slots)
        self.consumers.append(consumer)
        self._strategy.joined(consumer)
        if self.faulted:
            self._remove(consumer)
            self._actions.drop(consumer)
        else:
            self._schedule_push()
        return consumer

    def leave(self, consumer: Consumer) -> None:
        """`RemoveClientByCorrelationId`: what it had is retried at once, whatever the most retries are (§A7)."""
        if consumer not in self.consumers:
            return
        self._remove(consumer)
        for message in sorted(consumer.unconfirmed.values(), key=_number):
            self._retry(message)
        self._schedule_push()

    def shut_down(self) -> None:
        """Drop all consumers; what they had is not retried."""
        for consumer in tuple(self.consumers):
            self._remove(consumer)
            self._actions.drop(consumer)

    def ack(self, ids: Sequence[UUID], now: int) -> None:
        """`AcknowledgeMessagesProcessed`: by id alone, whoever sends it (§A7)."""
        self._complete(ids, now)

    def nack(self, ids: Sequence[UUID], action: NackAction, reason: str, now: int) -> None:
        """`NotAcknowledgeMessagesProcessed`. "stop" stops nothing: it completes, as "skip" does (§A5)."""
        if action in ("retry", "unknown", "park"):
            for identity in ids:
                message = self.outstanding.get(identity)
                if message is None:
                    continue
                if action == "park":
                    self._actions.park(message, f"Client explicitly NAK'ed message.\n{reason}")
                else:
                    self._retry_or_park(message)
        self._complete(ids, now)

    def parked(self, message: Message) -> None:
        """It is in the parked stream, or could not be written there."""
        self.outstanding.remove(message.id)
        self._free(message.id)
        self._schedule_push()

    # -- time ------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """`NotifyClockTick`, every second."""
        if not self.ready:
            return
        for message in self.outstanding.expired(now):
            self._retry_or_park(message)
            self.outstanding.remove(message.id)
        self._schedule_push()
        self._mark_checkpoint(now, on_tick=True)
        if not self._quirks.no_tick_read:
            self._read_more()

    def due(self, now: int) -> int | None:
        """When a tick would change something, as things stand: at the first tick then or later. None: never."""
        if not self.ready:
            return None
        if self._reads_on_tick() or (self._read_unpushed and self._could_push()):
            return now
        checkpoint, expiry = self.progress.due(now), self.outstanding.first_expiry()
        if checkpoint is None or expiry is None:
            return expiry if checkpoint is None else checkpoint
        return min(checkpoint, expiry)

    # -- pushing ---------------------------------------------------------------------------------------------------

    def push(self, now: int) -> None:
        """`PushToClients`: first what is retried, then what waits, until nobody can take more (§A2)."""
        self._push_scheduled = self._read_unpushed = False
        if not self.ready:
            return
        pushed: dict[Consumer, list[Message]] = {}
        expires = now + self.settings.message_timeout
        if self._push_retries(expires, pushed):
            self._push_waiting(expires, pushed)
        for consumer, messages in pushed.items():
            self.total_pushed += len(messages)
            self._actions.push(consumer, messages)

    def _push_retries(self, expires: int, pushed: dict[Consumer, list[Message]]) -> bool:
        """Whether what waits behind them may be looked at."""
        retry, choose = self.buffer.retry, self._strategy.choose
        kept: list[Message] = []
        for index, message in enumerate(retry):
            choice = choose(message)
            if choice is FULL:
                if len(kept) < index:
                    self.buffer.retry = kept + retry[index:]
                return False
            if choice is SKIPPED:
                kept.append(message)
            else:
                self._send(message, choice, expires, pushed)
        if len(kept) < len(retry):
            self.buffer.retry = kept
        return True

    def _push_waiting(self, expires: int, pushed: dict[Consumer, list[Message]]) -> None:
        waiting, choose, progress = self.buffer.waiting, self._strategy.choose, self.progress
        left_in_place: list[Message] = []
        while waiting:
            message = waiting[0]
            choice = choose(message)
            if choice is FULL:
                break
            waiting.popleft()
            if choice is not SKIPPED:
                progress.number(message)
                self._send(message, choice, expires, pushed)
            elif self._quirks.pinned_skip_bug:
                left_in_place.append(message)
            else:
                progress.number(message)
                message.open = True
                progress.follow(message)
                self.buffer.retry.append(message)
        waiting.extendleft(reversed(left_in_place))

    def _send(self, message: Message, consumer: Consumer, expires: int, pushed: dict[Consumer, list[Message]]) -> None:
        consumer.slots -= 1
        # Where the source has an id twice, only the first is known here, so only one slot comes back (H-12).
        consumer.unconfirmed.setdefault(message.id, message)
        if self.outstanding.start(message, expires):
            self.progress.follow(message)
        messages = pushed.get(consumer)
        if messages is None:
            pushed[consumer] = [message]
        else:
            messages.append(message)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _complete(self, ids: Sequence[UUID], now: int) -> None:
        for identity in ids:
            self._free(identity)
            self.outstanding.remove(identity)
        self._mark_checkpoint(now, on_tick=False)
        self._read_more()
        self._schedule_push()

    def _retry_or_park(self, message: Message) -> None:
        """`ActionTakenForRetriedMessage`, `RetryMessage`: a message is delivered `max_retry_count` + 1 times."""
        most = self.settings.max_retry_count
        if message.retry_count < most:
            self._retry(message)
        else:
            self._actions.park(message, f"Reached retry count of {most}")

    def _retry(self, message: Message) -> None:
        if not self.ready:
            return
        self.outstanding.remove(message.id)
        self._free(message.id)
        message.retry_count += 1
        message.open = not message.replayed
        self.progress.follow(message)
        self.buffer.add_retry(message)

    def _free(self, identity: UUID) -> None:
        """`RemoveProcessingMessages`: whoever has it in flight gets the slot back."""
        for consumer in self.consumers:
            message = consumer.unconfirmed.pop(identity, None)
            if message is not None:
                consumer.slots += 1
                self._strategy.confirmed(consumer, message)

    def _remove(self, consumer: Consumer) -> None:
        self.consumers.remove(consumer)
        self._strategy.left(consumer)

    def _schedule_push(self) -> None:
        if not self._push_scheduled and self._could_push():
            self._push_scheduled = True
            self._actions.schedule_push()

    def _could_push(self) -> bool:
        return bool(self.consumers and (self.buffer.waiting or self.buffer.retry))

    def _read_more(self) -> None:
        """`TryReadingNewBatch`: `min(max(batch, 10), batch, 500, 100)` events, once there is room for a batch."""
        if not self._can_read():
            return
        batch = self.settings.read_batch_size
        count = min(max(batch, _LEAST_PER_READ), batch or _DEFAULT_BATCH, _MOST_PER_READ)
        self.reading = True
        skip_first, self._skip_first = self._skip_first, False
        self._actions.read(self._next_read, count, skip_first)

    def _can_read(self) -> bool:
        if not self.ready or self.reading or self.faulted or self.buffer.live or self._exhausted:
            return False
        return self.buffer.accepts(self.settings.read_batch_size)

    def _reads_on_tick(self) -> bool:
        return not self._quirks.no_tick_read and self._can_read()

    def _count_filtered_out(self, position: int, count: int, now: int) -> None:
        if self.buffer.waiting and not self._quirks.filtered_overtakes:
            return
        self.progress.filtered_out(position, count)
        self._mark_checkpoint(now, on_tick=False)

    def _mark_checkpoint(self, now: int, on_tick: bool) -> None:
        position = self.progress.mark(now, on_tick) if self.ready else None
        if position is not None:
            self._actions.write_checkpoint(position)


def _number(message: Message) -> int:
    return message.original.stream_position

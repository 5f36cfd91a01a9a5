"""A consumer group that runs: a subscription, and the log and timers that it works with.

Reads are answered a little later, pushes happen in a step of their own, parked messages and checkpoints go through the
queue of writes. The server ticks every second; a group asks only for those ticks that will change something
(`PersistentSubscription.due`), so one that is idle costs nothing, however long.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.persistent.messages import Consumer, Message
from mqverify.simulation.eventstore.persistent.sources import AllSource, Source, StreamSource
from mqverify.simulation.eventstore.persistent.streams import CheckpointStream, ParkedStream
from mqverify.simulation.eventstore.persistent.subscription import PersistentSubscription, Quirks
from mqverify.simulation.eventstore.persistent.writes import WriteQueue, read_latency
from mqverify.simulation.eventstore.protocol import Events, Failed, GroupInfo, GroupSettings
from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.timers import Timers

__all__ = ["Group", "Observers", "Surroundings", "key_of"]

OnCheckpoint = Callable[[str | None, str, int, int], None]
OnPark = Callable[[str | None, str, RecordedEvent, str, int], None]
OnSettled = Callable[[str | None, str, UUID, str, Any, int], None]


@dataclass(slots=True)
class Observers:
    """Who is told what the server settles. A stream of None is `$all`; times are virtual nanoseconds."""

    on_checkpoint: list[OnCheckpoint] = field(default_factory=list)
    """`(stream, group, position, now)`: a checkpoint is durable; everything up to `position` is done."""
    on_park: list[OnPark] = field(default_factory=list)
    """`(stream, group, event, reason, now)`: the event is durably in the parked stream."""
    on_settled: list[OnSettled] = field(default_factory=list)
    """`(stream, group, event_id, action, token, now)`: an ack or nack took effect: its event was outstanding."""


@dataclass(slots=True)
class Surroundings:
    """What all groups of a node share. `now` is the time of the step that goes on."""

    log: Log
    timers: Timers
    dice: random.Random
    writes: WriteQueue
    reply: Callable[[Any, Any], None]
    observers: Observers
    quirks: Quirks
    dropped: Callable[[Any], None]
    """A consumer was dropped: its token is of no use any more."""
    phase: int
    now: int = 0

    def tick_from(self, time: int) -> int:
        """The first tick at `time` or later that is yet to come."""
        time = max(time, self.now + 1)
        return time + (self.phase - time) % SECOND


class Group:
    """One group on one source (`stream`, or None for `$all`), as long as it is not updated, deleted or restarted."""

    def __init__(self, stream: str | None, name: str, settings: GroupSettings, around: Surroundings) -> None:
        self.stream = stream
        self.name = name
        self.settings = settings
        self.key = key_of(stream, name)
        self.subscription = PersistentSubscription(settings, self, around.quirks)
        self._around = around
        self._source: Source = (
            AllSource(settings, around.log) if stream is None else StreamSource(stream, settings, around.log)
        )
        self._checkpoints = CheckpointStream(self.key, stream is None, around.log, around.writes)
        self._parked = ParkedStream(self.key, around.log, around.writes)
        self._replaying = False
        self._stopped = False
        self._tick: Any = None
        self._tick_time = 0
        self._later(read_latency(around.dice), self._load)

    # -- what happens to it ----------------------------------------------------------------------------------------

    def committed(self, record: RecordedEvent, now: int) -> None:
        """Its source has a new record."""
        found = self._source.committed(record, now)
        if isinstance(found, Message):
            self.subscription.live(found)
        elif found is not None:
            self.subscription.live_filtered_out(found, now)
        if not self.subscription.buffer.live or not isinstance(found, Message):
            self.set_timer()

    def replay_parked(self) -> None:
        """`RetryParkedMessages`; ignored while one goes on."""
        if self.subscription.ready and not self._replaying:
            self._replaying = True
            self._later(read_latency(self._around.dice), self._begin_replay)

    def shut_down(self) -> None:
        """Its consumers are dropped, and nothing more comes of it but writes that are under way."""
        self.subscription.shut_down()
        self.stop()

    def stop(self) -> None:
        """Nothing more comes of it, and nobody is told."""
        self._stopped = True
        if self._tick is not None:
            self._around.timers.cancel(self._tick)

    def delete_streams(self) -> None:
        """`Delete`: its checkpoint and its parked messages go with it (soft)."""
        self._around.writes.submit(self._checkpoints.delete, self._now)
        self._around.writes.submit(self._parked.delete, self._now)

    def set_timer(self) -> None:
        """Have the next tick happen that changes something."""
        around = self._around
        if self._tick is not None and self._tick_time <= around.now + SECOND:
            return  # the very next tick
        due = self.subscription.due(around.now)
        if due is None or self._stopped:
            return
        time = around.tick_from(due)
        if self._tick is None or time < self._tick_time:
            if self._tick is not None:
                around.timers.cancel(self._tick)
            self._tick, self._tick_time = around.timers.at(time, self._ticked), time

    def info(self) -> GroupInfo:
        subscription, text = self.subscription, self._checkpoints.text
        buffer = subscription.buffer
        return GroupInfo(
            stream=self.stream,
            group=self.name,
            status=self._status(),
            settings=self.settings,
            total_items=subscription.total_pushed,
            last_checkpointed=text(subscription.progress.last_marked),
            last_known=text(subscription.last_known),
            read_buffer_count=len(buffer.waiting),
            live_buffer_count=len(buffer.recent),
            retry_buffer_count=len(buffer.retry),
            in_flight=sum(len(consumer.unconfirmed) for consumer in subscription.consumers),
            outstanding=len(subscription.outstanding),
            parked=len(self._parked),
            consumers=len(subscription.consumers),
        )

    # -- what its subscription wants done (`Actions`) --------------------------------------------------------------

    def schedule_push(self) -> None:
        self._later(0, self._push)

    def push(self, consumer: Consumer, messages: list[Message]) -> None:
        events = [message.event.with_retry_count(message.retry_count) for message in messages]
        self._around.reply(consumer.token, Events(events))

    def park(self, message: Message, reason: str) -> None:
        self._parked.park(message, reason, lambda done, now: self._was_parked(message, reason, done, now), self._now)

    def write_checkpoint(self, position: int) -> None:
        self._checkpoints.write(position, self._was_checkpointed, self._now)

    def read(self, start: int, count: int, skip_first: bool) -> None:
        self._later(read_latency(self._around.dice), self._read, start, count, skip_first)

    def drop(self, consumer: Consumer) -> None:
        self._around.dropped(consumer.token)
        details = f"Subscription group {self.name} on stream {self.stream or '$all'} was dropped."
        self._around.reply(consumer.token, Failed("group_dropped", details))

    # -- steps -----------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return self._around.now

    def _later(self, delay: int, call: Callable[..., None], *arguments: Any) -> None:
        self._around.timers.at(self._now + delay, self._step, call, arguments)

    def _step(self, call: Callable[..., None], arguments: tuple[Any, ...], now: int) -> None:
        if not self._stopped:
            self._around.now = now
            call(*arguments, now)
            self.set_timer()

    def _load(self, now: int) -> None:
        self.subscription.load(self._checkpoints.read(now))

    def _ticked(self, now: int) -> None:
        self._around.now = now
        self._tick = None
        self.subscription.tick(now)
        self.set_timer()

    def _push(self, now: int) -> None:
        self.subscription.push(now)

    def _read(self, start: int, count: int, skip_first: bool, now: int) -> None:
        page = self._source.read(start, count, skip_first, now)
        if isinstance(page, Failed):
            self.subscription.read_failed()
        else:
            self.subscription.read_done(page, now)

    def _was_parked(self, message: Message, reason: str, done: bool, now: int) -> None:
        self._around.now = now
        if done:
            for told in self._around.observers.on_park:
                told(self.stream, self.name, message.event, reason, now)
        if not self._stopped:
            self.subscription.parked(message)
            self.set_timer()

    def _was_checkpointed(self, position: int, now: int) -> None:
        for told in self._around.observers.on_checkpoint:
            told(self.stream, self.name, position, now)

    def _begin_replay(self, now: int) -> None:
        end = self._parked.end
        if end is None:
            self._replaying = False
        else:
            self._replay(0, end, now)

    def _replay(self, start: int, end: int, now: int) -> None:
        """One page; links that do not resolve are left out. All buffered: the parked stream is truncated at once."""
        log = self._around.log
        count = min(end - start, self.settings.read_batch_size or 20, 100)
        links = [link for link in self._parked.read(start, count, now) if link.stream_position < end]
        resolved = [log.resolve(link, now) for link in links]
        self.subscription.replayed([Message(event, None, replayed=True) for event in resolved if event is not None])
        following = links[-1].stream_position + 1 if links else end
        if following < end:
            self._later(read_latency(self._around.dice), self._replay, following, end)
        else:
            self._parked.truncate(end, self._replayed, now)

    def _replayed(self) -> None:
        self._replaying = False

    def _status(self) -> str:
        subscription = self.subscription
        if not subscription.ready:
            return "NotReady"
        flags = [
            "" if subscription.buffer.live else "Behind",
            "OutstandingPageRequest" if subscription.reading else "",
            "ReplayingParkedMessages" if self._replaying else "",
            "Live" if subscription.buffer.live else "",
        ]
        return ", ".join(flag for flag in flags if flag)


def key_of(stream: str | None, group: str) -> str:
    """The id of a subscription, which its consumers are told."""
    return f"{'$all' if stream is None else stream}::{group}"

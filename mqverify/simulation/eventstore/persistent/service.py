"""The persistent subscriptions of a node: what clients ask of them, and the groups that run.

`PersistentSubscriptionService` of the server (docs/facts/eventstore.md §A1, §A7). What survives a restart is in the
log: which groups there are, their checkpoints, what they parked.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.persistent import configuration
from mqverify.simulation.eventstore.persistent.group import Group, Observers, Surroundings
from mqverify.simulation.eventstore.persistent.messages import Consumer
from mqverify.simulation.eventstore.persistent.strategies import STRATEGIES
from mqverify.simulation.eventstore.persistent.subscription import Quirks
from mqverify.simulation.eventstore.persistent.writes import WriteQueue
from mqverify.simulation.eventstore.protocol import (
    Ack,
    Confirmed,
    CreateGroup,
    DeleteGroup,
    Done,
    Failed,
    GroupInfo,
    GroupSettings,
    InfoOfGroup,
    ListGroups,
    Nack,
    ReadGroup,
    ReplayParked,
    UpdateGroup,
)
from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.timers import Timers

__all__ = ["PersistentSubscriptions"]

_OnGroup = CreateGroup | UpdateGroup | DeleteGroup | ReadGroup | ReplayParked | InfoOfGroup


class PersistentSubscriptions:
    """`reply(token, answer)` answers a request; a consumer's token gets `Confirmed`, then `Events`, until `Failed`.

    Tokens must be hashable. `observers` may be added to at any time.
    """

    def __init__(
        self,
        log: Log,
        timers: Timers,
        dice: random.Random,
        reply: Callable[[Any, Any], None],
        quirks: Quirks = Quirks(),  # noqa: B008
    ) -> None:
        self.observers = Observers()
        self._log = log
        self._reply = reply
        self._writes = WriteQueue(timers, dice)
        self._around = Surroundings(
            log, timers, dice, self._writes, reply, self.observers, quirks, self._forget, dice.randrange(SECOND)
        )
        self._entries: configuration.Entries = {}
        self._groups: dict[tuple[str | None, str], Group] = {}
        self._by_stream: dict[str | None, list[Group]] = {}
        self._joined: dict[Any, tuple[Group, Consumer]] = {}
        log.watchers.append(self._committed)

    def handle(self, request: Any, token: Any, now: int) -> None:
        """A request of this subsystem; `Ack` and `Nack` come with the token of the `ReadGroup` that they belong to."""
        self._around.now = now
        match request:
            case Ack(ids):
                self._settle(ids, "ack", "", token, now)
            case Nack(ids, action, reason):
                self._settle(ids, action, reason, token, now)
            case CreateGroup(stream, group, settings):
                self._create((stream, group), settings, token)
            case ListGroups(stream, of_all_streams):
                groups = list(self._groups.values()) if of_all_streams else self._by_stream.get(stream, [])
                self._reply(token, tuple(group.info() for group in groups))
            case _:
                self._handle_existing(request, token)

    def cancelled(self, token: Any, now: int) -> None:
        """A consumer's call ended: by itself, or with its connection. What it had goes to others at once."""
        found = self._joined.pop(token, None)
        if found is not None:
            self._around.now = now
            group, consumer = found
            group.subscription.leave(consumer)
            group.set_timer()

    def restart(self, now: int) -> None:
        """The process is a new one: groups go on from the log, as far as it knows of them. Consumers are not told."""
        self._around.now = now
        self._joined.clear()
        self._writes.drop()
        for group in self._groups.values():
            group.stop()
        self._groups.clear()
        self._by_stream.clear()
        self._around.phase = self._around.dice.randrange(SECOND)
        self._entries = configuration.load(self._log, now)
        for key, settings in self._entries.items():
            self._run(key, settings)

    def info(self, stream: str | None, group: str) -> GroupInfo | None:
        found = self._groups.get((stream, group))
        return None if found is None else found.info()

    # -- requests --------------------------------------------------------------------------------------------------

    def _create(self, key: tuple[str | None, str], settings: GroupSettings, token: Any) -> None:
        """In memory at once; answered when the configuration is written."""
        refusal = _refusal(key, settings)
        if key in self._groups:
            self._reply(token, Failed("group_exists", f"Subscription group {key[1]} on stream {_name(key)} exists."))
        elif refusal is not None:
            self._reply(token, refusal)
        else:
            self._entries[key] = settings
            self._run(key, settings)
            self._save(token)

    def _handle_existing(self, request: _OnGroup, token: Any) -> None:
        key = (request.stream, request.group)
        group = self._groups.get(key)
        if group is None:
            details = f"Subscription group {request.group} on stream {_name(key)} does not exist."
            self._reply(token, Failed("group_not_found", details))
            return
        match request:
            case ReadGroup():
                self._join(group, request, token)
            case UpdateGroup():
                self._update(key, request.settings, token)
            case DeleteGroup():
                self._delete(key, token)
            case ReplayParked():
                group.replay_parked()
                self._reply(token, Done())
            case InfoOfGroup():
                self._reply(token, group.info())
            case _:
                raise TypeError(f"no request of persistent subscriptions: {request!r}")

    def _join(self, group: Group, request: ReadGroup, token: Any) -> None:
        if group.subscription.is_full:
            name = _name((request.stream, request.group))
            details = f"Maximum subscriptions reached for subscription group {request.group} on stream {name}."
            self._reply(token, Failed("maximum_subscribers", details))
            return
        self._reply(token, Confirmed(group.key))
        consumer = group.subscription.join(token, request.buffer_size)
        if not group.subscription.faulted:
            self._joined[token] = (group, consumer)

    def _update(self, key: tuple[str | None, str], settings: GroupSettings, token: Any) -> None:
        """The old one is shut down, and a new one goes on from the checkpoint. The filter of `$all` stays."""
        settings = replace(settings, filter=self._entries[key].filter)
        refusal = _refusal(key, settings)
        if refusal is not None:
            self._reply(token, refusal)
            return
        self._entries[key] = settings
        self._run(key, settings)
        self._save(token)

    def _delete(self, key: tuple[str | None, str], token: Any) -> None:
        group = self._groups.pop(key)
        self._by_stream[key[0]].remove(group)
        del self._entries[key]
        group.shut_down()
        group.delete_streams()
        self._save(token)

    def _settle(self, ids: Sequence[Any], action: Any, reason: str, token: Any, now: int) -> None:
        """What comes on a call that is over is lost."""
        found = self._joined.get(token)
        if found is None:
            return
        group = found[0]
        subscription = group.subscription
        applied = [identity for identity in ids if identity in subscription.outstanding] if self._observed else []
        if action == "ack":
            subscription.ack(ids, now)
        else:
            subscription.nack(ids, action, reason, now)
        group.set_timer()
        for identity in applied:
            for told in self.observers.on_settled:
                told(group.stream, group.name, identity, action, token, now)

    # -- parts -----------------------------------------------------------------------------------------------------

    @property
    def _observed(self) -> bool:
        return bool(self.observers.on_settled)

    def _run(self, key: tuple[str | None, str], settings: GroupSettings) -> None:
        """Run a group, in the place of the one that there is, if any."""
        siblings = self._by_stream.setdefault(key[0], [])
        old = self._groups.get(key)
        if old is not None:
            old.shut_down()
        group = self._groups[key] = Group(*key, settings, self._around)
        if old is None:
            siblings.append(group)
        else:
            siblings[siblings.index(old)] = group

    def _save(self, token: Any) -> None:
        def write(now: int) -> None:
            configuration.save(self._entries, self._log, now)
            self._reply(token, Done())

        self._writes.submit(write, self._around.now)

    def _committed(self, records: Sequence[RecordedEvent]) -> None:
        now = self._around.now = records[-1].created
        of_all = self._by_stream.get(None, ())
        for record in records:
            for group in self._by_stream.get(record.stream_name, ()):
                group.committed(record, now)
            for group in of_all:
                group.committed(record, now)

    def _forget(self, token: Any) -> None:
        self._joined.pop(token, None)


def _name(key: tuple[str | None, str]) -> str:
    return "$all" if key[0] is None else key[0]


def _refusal(key: tuple[str | None, str], settings: GroupSettings) -> Failed | None:
    """What the server answers INTERNAL to (docs/facts/eventstore.md §A1)."""
    why = None
    if settings.strategy not in STRATEGIES:
        why = f"Consumer strategy {settings.strategy} does not exist."
    elif settings.read_batch_size >= settings.history_buffer_size:
        why = "ReadBatchSize may not be greater than or equal to BufferSize"
    if why is None:
        return None
    return Failed("group_failed", f"Subscription group {key[1]} on stream {_name(key)} failed: '{why}'")

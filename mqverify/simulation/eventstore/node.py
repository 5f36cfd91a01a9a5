"""The node model, a state machine without I/O: requests come in by `handle`, answers leave by `reply`.

One node that is the leader. It knows no kernel and no network: time is an argument, and what must happen later is asked
of `Timers`. A token stands for a call: answers are sent to it, and of a subscription `Ack`, `Nack` and `Credit` come
with the token that it began with, until `cancelled(token)`.
"""

import random
from collections.abc import Callable
from typing import Any

from mqverify.simulation.eventstore import protocol as api
from mqverify.simulation.eventstore.catch_up_subscriptions import CatchUpSubscriptions
from mqverify.simulation.eventstore.filters import EventFilter
from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.persistent.service import PersistentSubscriptions
from mqverify.simulation.eventstore.projections import Projections
from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.eventstore.settings import NodeSettings
from mqverify.simulation.timers import Timers

__all__ = ["Node"]


class Node:
    """The whole state of one node. `reply(token, answer)` sends an answer on the call of `token`."""

    def __init__(
        self, settings: NodeSettings, timers: Timers, dice: random.Random, reply: Callable[[Any, Any], None]
    ) -> None:
        self.settings = settings
        self._reply = reply
        # Each part has dice of its own, so that what one throws does not disturb the others.
        log_dice, catch_up_dice, projection_dice, group_dice = (random.Random(dice.getrandbits(64)) for _ in range(4))
        self.log = Log(log_dice, settings.id_cache_bytes)
        self.projections = Projections(self.log, timers, projection_dice, settings)
        self.subscriptions = CatchUpSubscriptions(self.log, settings.subscription_window, catch_up_dice, reply)
        self.groups = PersistentSubscriptions(self.log, timers, group_dice, reply)
        of_groups = self.groups.handle
        self._handlers: dict[type, Callable[[Any, Any, int], None]] = {
            api.Append: self._append,
            api.DeleteStream: self._delete,
            api.Scavenge: self._scavenge,
            api.ReadStream: self._read_stream,
            api.ReadAll: self._read_all,
            api.SubscribeStream: self.subscriptions.subscribe_stream,
            api.SubscribeAll: self.subscriptions.subscribe_all,
            api.Credit: self._credit,
            api.CreateGroup: of_groups,
            api.UpdateGroup: of_groups,
            api.DeleteGroup: of_groups,
            api.ReadGroup: of_groups,
            api.Ack: of_groups,
            api.Nack: of_groups,
            api.ReplayParked: of_groups,
            api.InfoOfGroup: of_groups,
            api.ListGroups: of_groups,
            api.EnableProjection: self._enable_projection,
            api.StatisticsOfProjection: self._statistics_of_projection,
        }

    def handle(self, request: Any, token: Any, now: int) -> None:
        """One request, or more said on the call of a subscription."""
        self._handlers[type(request)](request, token, now)

    def cancelled(self, token: Any, now: int) -> None:
        """The call of a subscription has ended: its client cancelled it, died, or does not answer."""
        self.subscriptions.cancelled(token)
        self.groups.cancelled(token, now)

    # -- streams ---------------------------------------------------------------------------------------------------

    def _append(self, request: api.Append, token: Any, now: int) -> None:
        size = sum([len(event.data) + len(event.metadata) + 2 * len(event.type) for event in request.events])
        if size > self.settings.max_append_size:
            details = f"Maximum Append Size of {self.settings.max_append_size} Exceeded."
            self._reply(token, api.Failed("too_large", details))
        else:
            self._reply(token, self.log.append(request.stream, request.expected, request.events, now))

    def _delete(self, request: api.DeleteStream, token: Any, now: int) -> None:
        self._reply(token, self.log.delete(request.stream, request.expected, now, request.tombstone))

    def _scavenge(self, request: api.Scavenge, token: Any, now: int) -> None:
        self.log.scavenge(now)
        self._reply(token, api.Done())

    def _read_stream(self, request: api.ReadStream, token: Any, now: int) -> None:
        found = self.log.read_stream(request.stream, request.start, request.limit, now, request.backwards)
        if isinstance(found, api.Failed):
            self._reply(token, found)
        else:
            self._answer_read(found, request.resolve_links, token, now)

    def _read_all(self, request: api.ReadAll, token: Any, now: int) -> None:
        log = self.log
        start = request.start
        if start is None:
            start = log.end_position if request.backwards else 0
        if not log.is_position(start):
            self._reply(token, api.Failed("invalid_position", "Trying to read from an invalid position."))
            return
        matches = EventFilter(request.filter)
        if matches.filters:
            found = [event for event in log.read_all(start, len(log.records), request.backwards) if matches(event)]
            found = found[: request.limit]
        else:
            found = log.read_all(start, request.limit, request.backwards)
        self._answer_read(found, request.resolve_links, token, now)

    def _answer_read(self, found: list[RecordedEvent], resolve_links: bool, token: Any, now: int) -> None:
        resolved = self.log.resolved
        self._reply(token, api.Events([resolved(event, now) for event in found] if resolve_links else found))

    def _credit(self, request: api.Credit, token: Any, now: int) -> None:
        self.subscriptions.credit(request.events, token, now)

    # -- projections -----------------------------------------------------------------------------------------------

    def _enable_projection(self, request: api.EnableProjection, token: Any, now: int) -> None:
        self._reply(token, self.projections.enable(request.name, now) or api.Done())

    def _statistics_of_projection(self, request: api.StatisticsOfProjection, token: Any, now: int) -> None:
        self._reply(token, self.projections.statistics(request.name))

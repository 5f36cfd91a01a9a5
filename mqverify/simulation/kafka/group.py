"""The group coordinator: the classic protocol of one consumer group, and its committed offsets.

Empty → PreparingRebalance → CompletingRebalance → Stable, as Kafka's `GroupMetadataManager.classicGroup*` and
`ClassicGroup` (docs/facts/kafka.md §C.1). A state machine: it is told of requests and of timers that fall due, answers
through `reply`, and asks for timers. Members are dynamic; an instance id is carried, static membership is not modelled.
"""

import random
from collections.abc import Callable
from typing import Any, Literal

from kafka.errors import (
    CoordinatorNotAvailableError,
    IllegalGenerationError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    MemberIdRequiredError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from mqverify.simulation.kafka.member import Member, new_member_id
from mqverify.simulation.kafka.protocol import (
    UNKNOWN_MEMBER,
    Error,
    Heartbeat,
    JoinGroup,
    JoinReply,
    LeaveGroup,
    OffsetCommit,
    SyncGroup,
    SyncReply,
)
from mqverify.simulation.kafka.settings import BrokerSettings
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.timers import Timers

__all__ = ["Group", "State"]

State = Literal["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"]

_NEW_MEMBER_JOIN_TIMEOUT = 300 * SECOND  # `group.coordinator` constant CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS

Reply = Callable[[Any, Any], None]


class Group:
    """One group. `changed` is told when it becomes or stops being empty, so that the expiry of offsets is timed."""

    def __init__(
        self,
        name: str,
        settings: BrokerSettings,
        timers: Timers,
        dice: random.Random,
        reply: Reply,
        changed: Callable[["Group", int], None],
    ) -> None:
        self.name = name
        self.state: State = "Empty"
        self.generation = 0
        self.protocol = ""
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.used_protocol = False
        """False for a group that only ever committed by `assign`, a "simple" group."""
        self.empty_since = 0
        self.offsets: dict[Any, tuple[Any, int]] = {}
        """TopicPartition → what was committed, and when."""
        self._pending: dict[str, Any] = {}
        self._settings = settings
        self._timers = timers
        self._dice = dice
        self._reply = reply
        self._changed = changed
        self._barrier: Any = None
        self._initial = False
        self._new_member_added = False

    # -- requests --------------------------------------------------------------------------------------------------

    def join(self, request: JoinGroup, token: Any, now: int) -> None:
        """JoinGroup: `classicGroupJoin`."""
        error = self._refuse_join(request)
        if error is not None:
            self._reply(token, JoinReply(error, request.member))
        elif request.member == UNKNOWN_MEMBER:
            # KIP-394: a dynamic member is given an id first and asks again with it.
            identity = new_member_id(request.client, self._dice)
            self._pending[identity] = self._timers.at(now + request.session_timeout, self._drop_pending, identity)
            self._reply(token, JoinReply(MemberIdRequiredError, identity))
        elif request.member in self._pending:
            self._timers.cancel(self._pending.pop(request.member))
            self._add(request, token, now)
        elif request.member not in self.members or self.state in ("Empty", "Dead"):
            self._reply(token, JoinReply(UnknownMemberIdError, request.member))
        else:
            self._rejoin(self.members[request.member], request, token, now)

    def sync(self, request: SyncGroup, token: Any, now: int) -> None:
        """SyncGroup: `classicGroupSync`."""
        error = self._validate(request.member, request.generation)
        if error is None and self.state == "PreparingRebalance":
            error = RebalanceInProgressError
        if error is not None:
            self._reply(token, SyncReply(error))
            return
        member = self.members[request.member]
        if self.state == "Stable":
            self._reply(token, SyncReply(None, member.assignment))
            self._touch(member, now)
            return
        member.awaiting_sync = token
        if request.member == self.leader:
            for other in self.members.values():
                other.assignment = request.assignments.get(other.id)
            self._cancel_barrier()
            self.state = "Stable"
            for other in self.members.values():
                self._answer_sync(other, SyncReply(None, other.assignment), now)

    def heartbeat(self, request: Heartbeat, now: int) -> Error:
        """Heartbeat: `classicGroupHeartbeat`. Members learn of a rebalance from its answer."""
        error = self._validate(request.member, request.generation)
        if error is None:
            self._touch(self.members[request.member], now)
            if self.state == "PreparingRebalance":
                return RebalanceInProgressError
        return error

    def leave(self, request: LeaveGroup, now: int) -> Error:
        """LeaveGroup: `classicGroupLeave`."""
        if request.member in self._pending:
            self._timers.cancel(self._pending.pop(request.member))
            self._maybe_complete_join(now)
            return None
        if request.member not in self.members:
            return UnknownMemberIdError
        self._remove(self.members[request.member], now)
        return None

    def validate_commit(self, request: OffsetCommit, now: int) -> Error:
        """Whether a commit is accepted: exactly `ClassicGroup.validateOffsetCommit` (docs/facts/kafka.md §C.1).

        PreparingRebalance and Stable accept, which is how the last commit before a rebalance works. Whether the member
        owns the partition is *not* checked. A member's commit is a sign of life as a heartbeat is.
        """
        if self.state == "Dead":
            return CoordinatorNotAvailableError
        if request.generation < 0 and self.state == "Empty":
            return None
        if request.generation < 0 and request.member == UNKNOWN_MEMBER:
            return UnknownMemberIdError
        member = self.members.get(request.member)
        if member is None:
            return UnknownMemberIdError
        if request.generation != self.generation:
            return IllegalGenerationError
        if self.state == "CompletingRebalance":
            return RebalanceInProgressError
        self._touch(member, now)
        return None

    def would_tell(self, member: str, generation: int) -> bool:
        """Whether a heartbeat now would be news to the member: if not, it only renews."""
        return self._validate(member, generation) is not None or self.state == "PreparingRebalance"

    def subscribed_topics(self) -> list[str]:
        """The topics that any member subscribes to."""
        return [topic for member in self.members.values() for topic in member.protocols[0][1].topics]

    # -- joining ---------------------------------------------------------------------------------------------------

    def _refuse_join(self, request: JoinGroup) -> Error:
        settings = self._settings
        if self.state == "Dead":
            return CoordinatorNotAvailableError
        if not settings.group_min_session_timeout <= request.session_timeout <= settings.group_max_session_timeout:
            return InvalidSessionTimeoutError
        offered = [name for name, _ in request.protocols]
        for member in self.members.values():
            if member.id != request.member:
                supported = [name for name, _ in member.protocols]
                offered = [name for name in offered if name in supported]
        return None if offered else InconsistentGroupProtocolError

    def _add(self, request: JoinGroup, token: Any, now: int) -> None:
        member = Member(request.member, request)
        member.awaiting_join = token
        if self.state == "PreparingRebalance" and self.generation == 0:
            self._new_member_added = True
        self.members[member.id] = member
        if self.leader is None:
            self.leader = member.id
        self.used_protocol = True
        member.watchdog = self._timers.at(now + _NEW_MEMBER_JOIN_TIMEOUT, self._expire, member)
        self._maybe_rebalance(now)

    def _rejoin(self, member: Member, request: JoinGroup, token: Any, now: int) -> None:
        unchanged = request.protocols == member.protocols
        if (self.state == "CompletingRebalance" and unchanged) or (
            self.state == "Stable" and unchanged and member.id != self.leader
        ):
            # The member did not get the answer of this generation, or a follower joins again without any news.
            self._reply(token, self._join_reply(member))
            return
        member.protocols = request.protocols
        member.rebalance_timeout = request.rebalance_timeout
        member.session_timeout = request.session_timeout
        member.alive = request.alive
        member.awaiting_join = token
        self._maybe_rebalance(now)

    def _maybe_rebalance(self, now: int) -> None:
        """`maybePrepareRebalanceOrCompleteJoin`."""
        if self.state == "PreparingRebalance":
            self._maybe_complete_join(now)
        else:
            self._prepare_rebalance(now)

    def _prepare_rebalance(self, now: int) -> None:
        """`prepareRebalance`: from Empty wait a little for more members, else until all known ones have rejoined."""
        if self.state == "CompletingRebalance":
            self._cancel_barrier()
            for member in self.members.values():
                member.assignment = None
                self._answer_sync(member, SyncReply(RebalanceInProgressError), now)
        self._initial = self.state == "Empty"
        self.state = "PreparingRebalance"
        timeout = self._rebalance_timeout()
        if self._initial:
            self._changed(self, now)
            delay = self._settings.group_initial_rebalance_delay
            self._barrier = self._timers.at(now + delay, self._try_complete, delay, max(timeout - delay, 0))
        else:
            self._barrier = self._timers.at(now + timeout, self._complete_join)
            self._maybe_complete_join(now)

    def _try_complete(self, delay: int, remaining: int, now: int) -> None:
        """`tryCompleteInitialRebalanceElseSchedule`: the delay starts again while members keep arriving."""
        if self._new_member_added and remaining:
            self._new_member_added = False
            again = min(self._settings.group_initial_rebalance_delay, remaining)
            left = max(remaining - delay, 0)
            self._barrier = self._timers.at(now + again, self._try_complete, again, left)
        else:
            self._complete_join(now)

    def _maybe_complete_join(self, now: int) -> None:
        joined = all(member.awaiting_join is not None for member in self.members.values()) and not self._pending
        if self.state == "PreparingRebalance" and joined and not self._initial:
            self._complete_join(now)

    def _complete_join(self, now: int) -> None:
        """`completeClassicGroupJoin`: who has not rejoined is out; a new generation begins."""
        self._cancel_barrier()
        for member in list(self.members.values()):
            if member.awaiting_join is None:
                self._forget(member)
        self.generation += 1
        self._initial = False
        if not self.members:
            self._become_empty(now)
            return
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        self.protocol = self._select_protocol()
        self.state = "CompletingRebalance"
        timeout = self._rebalance_timeout()
        self._barrier = self._timers.at(now + timeout, self._expire_pending_syncs)
        for member in self.members.values():
            token, member.awaiting_join = member.awaiting_join, None
            if member.is_new:
                member.is_new = False
                self._timers.cancel(member.watchdog)
                member.watchdog = None
            self._reply(token, self._join_reply(member))
            self._touch(member, now)

    def _join_reply(self, member: Member) -> JoinReply:
        members = []
        if member.id == self.leader:
            members = [(other.id, other.instance, other.metadata(self.protocol)) for other in self.members.values()]
        return JoinReply(None, member.id, self.generation, self.protocol, self.leader or "", members)

    def _select_protocol(self) -> str:
        """`ClassicGroup.selectProtocol`: each member votes for its most preferred one that all support."""
        candidates = [
            name
            for name, _ in next(iter(self.members.values())).protocols
            if all(name in [offered for offered, _ in member.protocols] for member in self.members.values())
        ]
        votes = dict.fromkeys(candidates, 0)
        for member in self.members.values():
            votes[next(name for name, _ in member.protocols if name in votes)] += 1
        return max(candidates, key=lambda name: votes[name])

    # -- leaving ---------------------------------------------------------------------------------------------------

    def _remove(self, member: Member, now: int) -> None:
        """`removeMemberAndUpdateClassicGroup`."""
        self._forget(member)
        if self.state in ("Stable", "CompletingRebalance"):
            self._prepare_rebalance(now)
        elif self.state == "PreparingRebalance":
            self._maybe_complete_join(now)

    def _forget(self, member: Member) -> None:
        del self.members[member.id]
        if member.watchdog is not None:
            self._timers.cancel(member.watchdog)
        if member.awaiting_join is not None:
            self._reply(member.awaiting_join, JoinReply(UnknownMemberIdError))
        if member.awaiting_sync is not None:
            self._reply(member.awaiting_sync, SyncReply(UnknownMemberIdError))
        if self.leader == member.id:
            self.leader = next(iter(self.members), None)

    def _expire(self, member: Member, now: int) -> None:
        """The session ran out without a sign of life (`expireClassicGroupMemberHeartbeat`)."""
        member.watchdog = None
        waits = member.awaiting_join is not None or member.awaiting_sync is not None
        if waits and not member.is_new:
            self._touch(member, now)
        else:
            self._remove(member, now)

    def _expire_pending_syncs(self, now: int) -> None:
        """Members that did not sync within the rebalance timeout are out (`expirePendingSync`)."""
        missing = [member for member in self.members.values() if member.awaiting_sync is None]
        for member in missing:
            self._forget(member)
        if missing:
            self._prepare_rebalance(now)

    def _drop_pending(self, identity: str, now: int) -> None:
        del self._pending[identity]
        self._maybe_complete_join(now)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _validate(self, identity: str, generation: int) -> Error:
        if self.state == "Dead":
            return CoordinatorNotAvailableError
        if identity not in self.members or self.state == "Empty":
            return UnknownMemberIdError
        if generation != self.generation:
            return IllegalGenerationError
        return None

    def _touch(self, member: Member, now: int) -> None:
        """A sign of life: the session begins anew. It only renews while the member is sure to give the next one."""
        if member.watchdog is None:
            member.watchdog = self._timers.at(now + member.session_timeout, self._expire, member, renews=member.alive)
        else:
            self._timers.postpone(member.watchdog, now + member.session_timeout)

    def _answer_sync(self, member: Member, reply: SyncReply, now: int) -> None:
        if member.awaiting_sync is not None:
            token, member.awaiting_sync = member.awaiting_sync, None
            self._reply(token, reply)
            self._touch(member, now)

    def _become_empty(self, now: int) -> None:
        self.state = "Empty"
        self.empty_since = now
        self.leader = None
        self._changed(self, now)

    def _rebalance_timeout(self) -> int:
        return max((member.rebalance_timeout for member in self.members.values()), default=0)

    def _cancel_barrier(self) -> None:
        if self._barrier is not None:
            self._timers.cancel(self._barrier)
            self._barrier = None

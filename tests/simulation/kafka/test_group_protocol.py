"""The group coordinator without any I/O: the classic protocol's states and the validation of commits (§C.1)."""

import random
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CoordinatorNotAvailableError,
    IllegalGenerationError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    MemberIdRequiredError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)

from mqverify.simulation.kafka import protocol as api
from mqverify.simulation.kafka.broker import Broker
from mqverify.simulation.kafka.membership import _Topics
from mqverify.simulation.kafka.settings import BrokerSettings
from mqverify.simulation.kernel import SECOND
from mqverify.simulation.renewals import always

PLACE = TopicPartition("orders", 0)


class Clockwork:
    """Timers that a test turns by hand."""

    def __init__(self) -> None:
        self.now = 0
        self.timers: list[list[Any]] = []

    def at(self, time: int, call: Any, *arguments: Any, renews: Any = None) -> list[Any]:
        timer = [time, call, arguments]
        self.timers.append(timer)
        return timer

    def cancel(self, timer: list[Any]) -> None:
        timer[1] = None

    def postpone(self, timer: list[Any], time: int) -> None:
        timer[0] = time

    def turn(self, until: int) -> None:
        while True:
            due = [timer for timer in self.timers if timer[1] is not None and timer[0] <= until]
            if not due:
                self.now = until
                return
            timer = min(due, key=lambda timer: timer[0])
            self.now, call = timer[0], timer[1]
            timer[1] = None
            call(*timer[2], self.now)


class Coordinator:
    """A broker with a topic, and the requests of a group to it. Replies are kept by token."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("group_initial_rebalance_delay", 0)
        self.clock = Clockwork()
        self.replies: dict[Any, Any] = {}
        self.broker = Broker(
            BrokerSettings(**settings), self.clock, random.Random(0), lambda token, reply: self._reply(token, reply)
        )
        self._tokens = 0
        self.ask(api.CreateTopics([("orders", 4, 1, {})]))

    def _reply(self, token: Any, reply: Any) -> None:
        assert token not in self.replies
        self.replies[token] = reply

    def send(self, request: Any) -> int:
        self._tokens += 1
        self.broker.handle(request, self._tokens, self.clock.now)
        return self._tokens

    def ask(self, request: Any) -> Any:
        return self.replies[self.send(request)]

    def join(self, member: str = "", protocols: tuple[str, ...] = ("range", "roundrobin"), session: int = 10) -> int:
        metadata = [(name, _Topics(("orders",))) for name in protocols]
        request = api.JoinGroup("group", member, "client", None, session * SECOND, 60 * SECOND, metadata, always)
        token = self.send(request)
        self.clock.turn(self.clock.now)
        return token

    def new_member(self) -> tuple[str, int]:
        """An id from the coordinator, and the token of the JoinGroup with it."""
        refused = self.replies[self.join()]
        assert refused.error is MemberIdRequiredError
        return refused.member, self.join(refused.member)

    def stable(self, members: int = 1) -> list[str]:
        """A group of so many members in state Stable."""
        tokens = dict(self.new_member() for _ in range(1))
        for _ in range(members - 1):
            member, token = self.new_member()
            for other in list(tokens):
                tokens[other] = self.join(other)
            tokens[member] = token
        generation = self.replies[next(iter(tokens.values()))].generation
        leader = self.replies[next(iter(tokens.values()))].leader
        for member in [name for name in tokens if name != leader] + [leader]:
            assignments = {name: {"orders": [n]} for n, name in enumerate(tokens)} if member == leader else {}
            self.send(api.SyncGroup("group", member, generation, assignments))
        assert self.group.state == "Stable"
        return list(tokens)

    @property
    def group(self) -> Any:
        return self.broker.groups["group"]

    def commit(self, member: str, generation: int, offset: int = 5, group: str = "group", metadata: str = "") -> Any:
        offsets = {PLACE: OffsetAndMetadata(offset, metadata, -1)}
        return self.ask(api.OffsetCommit(group, member, generation, offsets))[PLACE]


# -- commit validation, row by row (`ClassicGroup.validateOffsetCommit`) ----------------------------------------------


def test_dead_group() -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    coordinator.group.state = "Dead"
    assert coordinator.commit(member, 1) is CoordinatorNotAvailableError


def test_without_a_generation_into_an_empty_or_unknown_group() -> None:
    coordinator = Coordinator()
    assert coordinator.commit("", -1) is None
    [member] = coordinator.stable()
    coordinator.ask(api.LeaveGroup("group", member))
    assert coordinator.group.state == "Empty"
    assert coordinator.commit("", -1, 7) is None
    assert coordinator.group.offsets[PLACE][0].offset == 7


def test_with_a_generation_into_an_unknown_group() -> None:
    assert Coordinator().commit("somebody", 3) is IllegalGenerationError


def test_without_a_generation_into_an_active_group() -> None:
    coordinator = Coordinator()
    coordinator.stable()
    assert coordinator.commit("", -1) is UnknownMemberIdError


def test_unknown_member() -> None:
    coordinator = Coordinator()
    coordinator.stable()
    assert coordinator.commit("stranger", 1) is UnknownMemberIdError


@pytest.mark.parametrize("generation", [0, 2, -1])
def test_other_generation(generation: int) -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    assert coordinator.commit(member, generation) is IllegalGenerationError


def test_completing_rebalance_refuses() -> None:
    coordinator = Coordinator()
    member, token = coordinator.new_member()
    assert coordinator.group.state == "CompletingRebalance"
    assert coordinator.commit(member, coordinator.replies[token].generation) is RebalanceInProgressError


def test_preparing_rebalance_accepts_the_last_commit() -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    coordinator.new_member()
    assert coordinator.group.state == "PreparingRebalance"
    assert coordinator.commit(member, 1) is None


def test_stable_accepts_any_offset_of_any_partition() -> None:
    coordinator = Coordinator()
    first, second = coordinator.stable(2)
    for member in (first, second):  # that the member owns the partition is not checked
        assert coordinator.commit(member, coordinator.group.generation, 999) is None
        assert coordinator.commit(member, coordinator.group.generation, 2) is None
    assert coordinator.group.offsets[PLACE][0].offset == 2


def test_unknown_partition_and_long_metadata() -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    elsewhere = TopicPartition("orders", 9)
    request = api.OffsetCommit("group", member, 1, {elsewhere: OffsetAndMetadata(1, "", -1)})
    assert coordinator.ask(request)[elsewhere] is UnknownTopicOrPartitionError
    assert coordinator.commit(member, 1, metadata="x" * 4097) is OffsetMetadataTooLargeError
    assert coordinator.commit(member, 1, metadata="x" * 4096) is None


# -- the protocol ------------------------------------------------------------------------------------------------------


def test_a_member_joins_in_two_steps_and_leads() -> None:
    coordinator = Coordinator()
    member, token = coordinator.new_member()
    assert member.startswith("client-")
    reply = coordinator.replies[token]
    assert (reply.error, reply.generation, reply.leader, reply.protocol) == (None, 1, member, "range")
    assert [name for name, _, _ in reply.members] == [member]


def test_the_first_join_waits_for_more_members() -> None:
    """group.initial.rebalance.delay 3 s, which starts again while members keep arriving."""
    coordinator = Coordinator(group_initial_rebalance_delay=3 * SECOND)
    _, first = coordinator.new_member()
    coordinator.clock.turn(2 * SECOND)
    _, second = coordinator.new_member()
    coordinator.clock.turn(5 * SECOND)
    assert first not in coordinator.replies
    coordinator.clock.turn(6 * SECOND)
    assert coordinator.replies[first].generation == coordinator.replies[second].generation == 1


def test_a_rebalance_waits_for_all_known_members_until_its_time_is_up() -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    newcomer, token = coordinator.new_member()
    assert coordinator.ask(api.Heartbeat("group", member, 1)) is RebalanceInProgressError
    for second in range(1, 60):
        coordinator.clock.turn(second * SECOND)
        coordinator.ask(api.Heartbeat("group", member, 1))
        assert token not in coordinator.replies
    coordinator.clock.turn(60 * SECOND)
    assert coordinator.replies[token].generation == 2
    assert list(coordinator.group.members) == [newcomer]
    assert coordinator.ask(api.Heartbeat("group", member, 1)) is UnknownMemberIdError


def test_a_member_without_heartbeats_is_out_after_its_session() -> None:
    coordinator = Coordinator()
    first, second = coordinator.stable(2)
    for at in (3, 6, 9):
        coordinator.clock.turn(at * SECOND)
        assert coordinator.ask(api.Heartbeat("group", first, coordinator.group.generation)) is None
    coordinator.clock.turn(10 * SECOND)
    assert list(coordinator.group.members) == [first]
    assert coordinator.group.state == "PreparingRebalance"
    assert coordinator.commit(second, coordinator.group.generation) is UnknownMemberIdError


def test_a_commit_is_a_sign_of_life() -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    for at in range(5, 60, 5):
        coordinator.clock.turn(at * SECOND)
        assert coordinator.commit(member, 1) is None


def test_a_member_that_does_not_sync_is_out_after_the_rebalance_timeout() -> None:
    coordinator = Coordinator()
    member, _ = coordinator.new_member()
    coordinator.clock.turn(9 * SECOND)
    assert coordinator.ask(api.Heartbeat("group", member, 1)) is None
    for at in range(10, 60, 5):
        coordinator.clock.turn(at * SECOND)
        coordinator.ask(api.Heartbeat("group", member, 1))
    coordinator.clock.turn(61 * SECOND)
    assert coordinator.group.state == "Empty"


def test_followers_wait_for_the_leaders_assignment() -> None:
    coordinator = Coordinator()
    coordinator.stable(2)
    members = list(coordinator.group.members)
    tokens = {member: coordinator.join(member) for member in [coordinator.group.leader]}
    other = next(member for member in members if member != coordinator.group.leader)
    assert coordinator.ask(api.Heartbeat("group", other, coordinator.group.generation)) is RebalanceInProgressError
    tokens[other] = coordinator.join(other)
    generation = coordinator.replies[tokens[other]].generation
    assert coordinator.replies[tokens[other]].members == []
    waiting = coordinator.send(api.SyncGroup("group", other, generation, {}))
    assert waiting not in coordinator.replies
    coordinator.ask(api.SyncGroup("group", coordinator.group.leader, generation, {other: {"orders": [3]}}))
    assert coordinator.replies[waiting].assignment == {"orders": [3]}


def test_a_follower_that_joins_again_without_news_disturbs_nobody() -> None:
    coordinator = Coordinator()
    members = coordinator.stable(2)
    generation = coordinator.group.generation
    follower = next(member for member in members if member != coordinator.group.leader)
    assert coordinator.replies[coordinator.join(follower)].generation == generation
    assert coordinator.group.state == "Stable"


def test_no_common_assignor() -> None:
    coordinator = Coordinator()
    coordinator.stable()
    assert coordinator.replies[coordinator.join(protocols=("sticky",))].error is InconsistentGroupProtocolError


def test_members_vote_for_the_assignor() -> None:
    coordinator = Coordinator(group_initial_rebalance_delay=SECOND)
    for protocols in (("range", "roundrobin"), ("roundrobin", "range"), ("roundrobin", "range")):
        refused = coordinator.replies[coordinator.join(protocols=protocols)]
        coordinator.join(refused.member, protocols)
    coordinator.clock.turn(30 * SECOND)
    assert coordinator.group.protocol == "roundrobin"


@pytest.mark.parametrize("session", [5, 1801])
def test_session_timeouts_out_of_bounds(session: int) -> None:
    coordinator = Coordinator()
    assert coordinator.replies[coordinator.join(session=session)].error is InvalidSessionTimeoutError


# -- expiry of offsets (§B.3) ------------------------------------------------------------------------------------------

DAY = 86_400 * SECOND


def test_offsets_of_an_empty_group_expire_and_the_group_with_them() -> None:
    coordinator = Coordinator()
    [member] = coordinator.stable()
    coordinator.commit(member, 1)
    coordinator.clock.turn(5 * SECOND)
    coordinator.ask(api.LeaveGroup("group", member))
    coordinator.clock.turn(7 * DAY + 4 * SECOND)
    assert coordinator.ask(api.OffsetFetch("group", [PLACE]))[PLACE].offset == 5
    coordinator.clock.turn(7 * DAY + 601 * SECOND)  # the next check, each 10 minutes
    assert coordinator.ask(api.OffsetFetch("group", [PLACE])) == {}
    assert "group" not in coordinator.broker.groups


def test_a_standalone_groups_offset_expires_from_its_last_commit() -> None:
    coordinator = Coordinator(offsets_retention=60 * SECOND, offsets_retention_check_interval=SECOND)
    coordinator.commit("", -1)
    coordinator.clock.turn(50 * SECOND)
    coordinator.commit("", -1)
    coordinator.clock.turn(109 * SECOND)
    assert PLACE in coordinator.group.offsets
    coordinator.clock.turn(110 * SECOND)
    assert "group" not in coordinator.broker.groups


def test_offsets_of_an_active_group_stay() -> None:
    coordinator = Coordinator(offsets_retention=60 * SECOND, offsets_retention_check_interval=SECOND)
    [member] = coordinator.stable()
    coordinator.commit(member, 1)
    for at in range(5, 300, 5):
        coordinator.clock.turn(at * SECOND)
        assert coordinator.ask(api.Heartbeat("group", member, 1)) is None
    assert PLACE in coordinator.group.offsets


def test_offsets_go_with_their_topic() -> None:
    coordinator = Coordinator()
    coordinator.commit("", -1)
    coordinator.ask(api.DeleteTopics(["orders"]))
    coordinator.ask(api.CreateTopics([("orders", 1, 1, {})]))
    assert coordinator.ask(api.OffsetFetch("group", [PLACE])) == {}

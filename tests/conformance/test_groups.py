"""Groups: takeover, zombies, what the coordinator takes as a commit, who gets what (docs/facts/kafka.md §C.1, §C.3)."""

from typing import Any

import pytest
from kafka import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownMemberIdError

from tests.conformance.applications import member, stubborn_member
from tests.conformance.arms import Arm, Process, eventually

SESSION, HEARTBEAT = 3.0, 1.0


def config_of(arm: Arm, **more: Any) -> dict[str, Any]:
    return {
        "group_id": arm.named("group"),
        "auto_offset_reset": "earliest",
        "session_timeout_ms": round(SESSION * 1000),
        "heartbeat_interval_ms": round(HEARTBEAT * 1000),
        **more,
    }


def assigned(process: Process) -> list[int]:
    """What it was given last, unless it was taken away."""
    changes = [(what, partitions) for what, partitions, _ in process.told if what in ("assigned", "revoked", "lost")]
    return changes[-1][1] if changes and changes[-1][0] == "assigned" else []


def kinds(process: Process) -> list[str]:
    return [what for what, _, _ in process.told]


def pair(arm: Arm, partitions: int = 4) -> tuple[Process, Process]:
    """Two members with half of the partitions each."""
    topic, config = arm.topic(partitions), config_of(arm)
    one = arm.start(member, topic, config)
    eventually(arm, lambda: len(assigned(one)) == partitions)
    two = arm.start(member, topic, config)
    eventually(
        arm, lambda: len(assigned(one)) == len(assigned(two)) == partitions // 2, 30, lambda: (one.told, two.told)
    )
    return one, two


@pytest.mark.parametrize("signal", ["kill", "pause"])
def test_a_silent_members_partitions_are_taken_over_after_its_session(arm: Arm, signal: str) -> None:
    """Its last heartbeat was up to one interval before; the survivor learns of it within one of its own."""
    one, two = pair(arm)
    began = arm.now()
    getattr(one, signal)()
    eventually(arm, lambda: len(assigned(two)) == 4)
    [took] = [at - began for what, partitions, at in two.told if what == "assigned" and len(partitions) == 4][-1:]
    assert SESSION - HEARTBEAT <= took <= SESSION + HEARTBEAT + 1.5


def test_a_member_that_was_frozen_past_its_session_is_told_that_it_lost_all_and_joins_again(arm: Arm) -> None:
    one, two = pair(arm)
    one.pause()
    eventually(arm, lambda: len(assigned(two)) == 4)
    one.resume()
    eventually(arm, lambda: len(assigned(one)) == len(assigned(two)) == 2, 30, lambda: (one.told, two.told))
    assert "lost" in kinds(one)


def test_a_member_that_was_frozen_within_its_session_keeps_all(arm: Arm) -> None:
    one, two = pair(arm)
    before = len(kinds(two))
    one.pause()
    arm.sleep(1)
    one.resume()
    arm.sleep(SESSION)
    assert len(kinds(two)) == before
    assert "lost" not in kinds(one)


def test_a_member_that_closes_hands_over_at_once(arm: Arm) -> None:
    topic, config = arm.topic(2), config_of(arm)
    one = arm.start(member, topic, config)
    eventually(arm, lambda: len(assigned(one)) == 2)
    two = arm.start(member, topic, config, 4.0)
    eventually(arm, lambda: len(assigned(two)) == 1)
    arm.wait(two, lambda told: "closed" in [what for what, _, _ in told])
    [closed] = [at for what, _, at in two.told if what == "closed"]
    eventually(arm, lambda: len(assigned(one)) == 2)
    assert one.told[-1][2] - closed < HEARTBEAT + 1.5


def test_a_zombies_commit_is_refused(arm: Arm) -> None:
    """Frozen in its handler for longer than its session, while another takes over: CommitFailedError."""
    topic, config = arm.topic(), config_of(arm)
    arm.produce(topic, 5)
    one = arm.start(stubborn_member, topic, config, 2.0)
    arm.wait(one, lambda told: "napping" in [what for what, _, _ in told])
    one.pause()
    two = arm.start(member, topic, {**config, "enable_auto_commit": False})
    eventually(arm, lambda: kinds(two).count("record") == 5)
    one.resume()
    arm.wait(one, lambda told: "CommitFailedError" in [what for what, _, _ in told])
    eventually(arm, lambda: "lost" in kinds(one))
    assert "committed" not in kinds(one)[: kinds(one).index("CommitFailedError")]


def test_a_handler_slower_than_max_poll_interval_loses_its_partitions_and_its_commit(arm: Arm) -> None:
    """The client leaves the group by itself; the other gets what is in progress (§C.3)."""
    topic = arm.topic()
    config = config_of(arm, max_poll_interval_ms=2000)
    arm.produce(topic, 5)
    one = arm.start(stubborn_member, topic, {**config, "heartbeat_interval_ms": 500}, 6.0)
    arm.wait(one, lambda told: "napping" in [what for what, _, _ in told])
    [began] = [at for what, _, at in one.told if what == "napping"]
    two = arm.start(member, topic, {**config, "enable_auto_commit": False})
    eventually(arm, lambda: kinds(two).count("record") == 5)
    [first] = [at for what, _, at in two.told if what == "record"][:1]
    arm.wait(one, lambda told: "CommitFailedError" in [what for what, _, _ in told])
    [refused] = [at for what, _, at in one.told if what == "CommitFailedError"][:1]
    assert began + 1.5 <= first < refused


# -- who gets what -----------------------------------------------------------------------------------------------------


def shares(arm: Arm, **config: Any) -> list[list[int]]:
    """What two members of a group hold, of five partitions."""
    topic, of_both = arm.topic(5), config_of(arm, **config)
    one = arm.start(member, topic, of_both)
    eventually(arm, lambda: len(assigned(one)) == 5, 30, lambda: (one.told, one.error))
    two = arm.start(member, topic, of_both)
    eventually(arm, lambda: len(assigned(one)) + len(assigned(two)) == 5 and bool(assigned(two)))
    return sorted([assigned(one), assigned(two)])


@pytest.mark.parametrize(
    ("assignor", "expected"),
    [(RangePartitionAssignor, [[0, 1, 2], [3, 4]]), (RoundRobinPartitionAssignor, [[0, 2, 4], [1, 3]])],
    ids=["range", "roundrobin"],
)
def test_five_partitions_are_shared_by_two_members(arm: Arm, assignor: Any, expected: list[list[int]]) -> None:
    assert shares(arm, partition_assignment_strategy=[assignor]) == expected


def test_the_default_is_range(arm: Arm) -> None:
    assert shares(arm) == [[0, 1, 2], [3, 4]]


def test_sticky_leaves_members_what_they_have(arm: Arm) -> None:
    """Of three members with two partitions each one leaves: the others keep theirs. By range they would be shifted."""
    topic, config = arm.topic(6), config_of(arm, partition_assignment_strategy=[StickyPartitionAssignor])
    members = [arm.start(member, topic, config)]
    eventually(arm, lambda: len(assigned(members[0])) == 6)
    for share in ([3, 3], [2, 2, 2]):
        members.append(arm.start(member, topic, config))
        eventually(arm, lambda share=share: [len(assigned(one)) for one in members] == share)  # type: ignore[misc]
    had = [set(assigned(one)) for one in members]
    first = next(number for number, places in enumerate(had) if 0 in places)
    members[first].kill()
    others = [number for number in range(3) if number != first]
    eventually(arm, lambda: [len(assigned(members[number])) for number in others] == [3, 3])
    for number in others:
        assert had[number] < set(assigned(members[number]))


@pytest.mark.differs("Cooperative rebalancing")
def test_cooperative_members_keep_what_does_not_move(arm: Arm) -> None:
    topic = arm.topic(4)
    config = config_of(arm, partition_assignment_strategy=[CooperativeStickyAssignor])
    one = arm.start(member, topic, config)
    eventually(arm, lambda: "assigned" in kinds(one) or one.error is not None)
    assert one.error is None
    two = arm.start(member, topic, config)
    eventually(arm, lambda: any(what == "assigned" and len(given) == 2 for what, given, _ in two.told))
    revoked = [given for what, given, _ in one.told if what == "revoked" and given]
    assert list(map(len, revoked)) == [2], "only what moves is taken away"


@pytest.mark.differs("Static membership")
def test_a_static_member_that_closes_stays_a_member(arm: Arm) -> None:
    topic, config = arm.topic(2), config_of(arm)
    one = arm.start(member, topic, {**config, "group_instance_id": "one"}, 3.0)
    two = arm.start(member, topic, {**config, "group_instance_id": "two"})
    eventually(arm, lambda: len(assigned(two)) == 1 or one.error is not None)
    assert one.error is None
    arm.wait(one, lambda told: "closed" in [what for what, _, _ in told])
    assert len(assigned(two)) == 1
    arm.sleep(1)
    assert len(assigned(two)) == 1, "until its session is over"


def test_more_members_than_partitions_leave_one_without(arm: Arm) -> None:
    topic, config = arm.topic(1), config_of(arm)
    one = arm.start(member, topic, config)
    eventually(arm, lambda: len(assigned(one)) == 1)
    two = arm.start(member, topic, config)
    eventually(arm, lambda: "assigned" in kinds(two))
    eventually(arm, lambda: sorted([assigned(one), assigned(two)]) == [[], [0]])


def test_groups_know_nothing_of_each_other(arm: Arm) -> None:
    topic = arm.topic()
    arm.produce(topic, 10)
    arm.commit(arm.named("group"), topic, 5)
    config = config_of(arm)
    one = arm.start(member, topic, config)
    eventually(arm, lambda: kinds(one).count("record") == 10)


# -- commits: what the coordinator takes -------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [999, 2, 0])
def test_it_takes_any_offset_of_an_empty_group(arm: Arm, offset: int) -> None:
    """Far beyond the end, and backwards (§B.4)."""
    topic, group = arm.topic(), arm.named("group")
    arm.produce(topic, 20)
    arm.commit(group, topic, 5)
    arm.commit(group, topic, offset)
    assert arm.committed(group, topic) == offset


def active(arm: Arm) -> tuple[str, dict[str, Any]]:
    """A topic with two partitions, and the configuration of a group that has a member."""
    topic, config = arm.topic(2), config_of(arm)
    arm.produce(topic, 10)
    running = arm.start(member, topic, config)
    eventually(arm, lambda: len(assigned(running)) == 2)
    return topic, config


def test_a_standalone_consumer_cannot_commit_into_an_active_group(arm: Arm) -> None:
    topic, config = active(arm)
    consumer = arm.consumer(group_id=config["group_id"], enable_auto_commit=False)
    consumer.assign([arm.place(topic)])
    with pytest.raises(CommitFailedError):
        consumer.commit({arm.place(topic): arm.offset(5)})


def test_an_administrator_can_alter_offsets_of_an_empty_group_only(arm: Arm) -> None:
    topic, config = active(arm)
    offsets = {arm.place(topic): arm.offset(5)}
    empty = arm.named("group")
    with arm.admin() as admin:
        assert admin.alter_group_offsets(config["group_id"], offsets) == {arm.place(topic): UnknownMemberIdError}
        assert admin.alter_group_offsets(empty, offsets) == {arm.place(topic): arm.library.errors.NoError}
        assert admin.list_group_offsets(empty)[empty][arm.place(topic)].offset == 5


def joined(arm: Arm, topic: str, config: dict[str, Any]) -> Any:
    consumer = arm.consumer(topic, enable_auto_commit=False, **config)
    eventually(arm, lambda: bool(consumer.poll(2000) or consumer.assignment()))
    return consumer


def test_a_member_may_commit_any_offset(arm: Arm) -> None:
    topic, config = arm.topic(2), config_of(arm)
    arm.produce(topic, 10)
    consumer = joined(arm, topic, config)
    for offset in (7, 3, 999):
        consumer.commit({arm.place(topic): arm.offset(offset)})
        assert consumer.committed(arm.place(topic)) == offset


def test_a_member_may_commit_partitions_that_are_anothers(arm: Arm) -> None:
    """The coordinator does not check who has them (§C.1)."""
    topic, config = arm.topic(2), config_of(arm)
    consumer = joined(arm, topic, config)
    other = arm.start(member, topic, config)
    eventually(arm, lambda: not consumer.poll(1000) and len(consumer.assignment()) == len(assigned(other)) == 1)
    consumer.commit({arm.place(topic, assigned(other)[0]): arm.offset(77)})
    assert consumer.committed(arm.place(topic, assigned(other)[0])) == 77


def test_the_last_commit_before_a_rebalance_is_taken(arm: Arm) -> None:
    """While the coordinator waits for the members to join again (§C.1: PreparingRebalance)."""
    topic, config = arm.topic(), config_of(arm)
    arm.produce(topic, 10)
    consumer = joined(arm, topic, config)
    newcomer = arm.start(member, topic, config)
    arm.sleep(2)
    assert assigned(newcomer) == []
    consumer.commit({arm.place(topic): arm.offset(4)})
    consumer.close()
    assert arm.committed(config["group_id"], topic) == 4
    eventually(arm, lambda: assigned(newcomer) == [0])


def test_metadata_of_4096_characters_is_taken_and_more_is_not(arm: Arm) -> None:
    topic, group = arm.topic(), arm.named("group")
    consumer = arm.consumer(group_id=group, enable_auto_commit=False)
    consumer.assign([arm.place(topic)])
    consumer.commit({arm.place(topic): arm.library.OffsetAndMetadata(1, "x" * 4096, -1)})
    assert consumer.committed(arm.place(topic), metadata=True).metadata == "x" * 4096
    with pytest.raises(arm.library.errors.OffsetMetadataTooLargeError):
        consumer.commit({arm.place(topic): arm.library.OffsetAndMetadata(2, "x" * 4097, -1)})


def test_without_a_group_nothing_is_committed(arm: Arm) -> None:
    consumer = arm.consumer()
    consumer.assign([arm.place(arm.topic())])
    with pytest.raises(IllegalStateError):
        consumer.commit()


# -- listeners ---------------------------------------------------------------------------------------------------------


def test_a_listener_is_told_what_is_taken_before_what_is_given(arm: Arm) -> None:
    one, two = pair(arm, 2)
    changes = [(what, given) for what, given, _ in one.told]
    at = changes.index(("assigned", [0, 1]))
    assert changes[at + 1] == ("revoked", [0, 1])
    assert changes[-1][0] == "assigned"
    assert sorted(changes[-1][1] + assigned(two)) == [0, 1]


class _Committing(ConsumerRebalanceListener):  # type: ignore[misc]
    consumer: Any = None

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.consumer.commit()

    def on_partitions_assigned(self, assigned: Any) -> None:
        pass


def test_a_listener_cannot_block_on_a_commit(arm: Arm) -> None:
    """kafka-python 3 runs listeners on its IO thread: `poll` raises a KafkaError."""
    topic = arm.topic()
    listener = _Committing()
    consumer = listener.consumer = arm.consumer(enable_auto_commit=False, **config_of(arm))
    consumer.subscribe([topic], listener=listener)
    with pytest.raises(KafkaError) as raised:
        eventually(arm, lambda: bool(consumer.poll(1000)))
    assert isinstance(raised.value.__cause__, RuntimeError)


# -- what close does ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "how", "committed"),
    [
        ({}, {}, 10),
        ({}, {"autocommit": False}, None),
        ({"enable_auto_commit": False}, {}, None),
    ],
    ids=["auto", "auto, close(autocommit=False)", "manual"],
)
def test_close_commits_the_position_where_commits_are_automatic(
    arm: Arm, config: dict[str, Any], how: dict[str, Any], committed: int | None
) -> None:
    topic, settings = arm.topic(), config_of(arm, **config)
    arm.produce(topic, 10)
    consumer = arm.consumer(topic, **settings)
    eventually(arm, lambda: bool(consumer.poll(500)))
    consumer.close(**how)
    assert arm.committed(settings["group_id"], topic) == committed


def test_a_with_block_that_is_left_by_an_exception_commits_nothing(arm: Arm) -> None:
    topic, settings = arm.topic(), config_of(arm)
    arm.produce(topic, 10)
    consumer = arm.consumer(topic, **settings)
    eventually(arm, lambda: bool(consumer.poll(500)))

    def leave_by_an_exception() -> None:
        with consumer:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        leave_by_an_exception()
    assert arm.committed(settings["group_id"], topic) is None

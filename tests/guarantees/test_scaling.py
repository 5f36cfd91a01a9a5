"""MQ136 and MQ137: who handles what while enough work waits (SEMANTICS §3 busy windows, §5.14)."""

import pytest

from tests.guarantees.histories import History

SCALES = "scales_with_consumers"
COMPETES = "competing_consumers"


def backlog(
    history: History,
    owners: dict[int, list[str]],
    per_partition: int = 100,
    consumers: int | None = None,
    begun: int = 0,
) -> None:
    """All partitions are filled, then their owners handle them in turns, a millisecond each, evenly until the end."""
    names = sorted({name for group in owners.values() for name in group}) if consumers is None else [
        f"consumer-{number + 1}" for number in range(consumers)
    ]  # fmt: skip
    for name in names:
        history.worker(name, began=begun)
    for partition, group in owners.items():
        for name in group:
            history.assign(name, source=partition, start=0)
    work(history, owners, 0, per_partition)


def work(history: History, owners: dict[int, list[str]], first: int, per_partition: int) -> None:
    numbers = {
        partition: range(first + partition * per_partition, first + (partition + 1) * per_partition)
        for partition in owners
    }
    for partition, messages in numbers.items():
        for message in messages:
            history.send(message, f"key-{message % 10}", partition=partition)
    for turn in range(per_partition):
        for partition, group in owners.items():
            history.handle(numbers[partition][turn], group[turn % len(group)])


def test_it_holds_when_all_consumers_share_a_backlog() -> None:
    history = History(partitions=3)
    backlog(history, {0: ["consumer-1"], 1: ["consumer-2"], 2: ["consumer-3"]})
    verdict = history.verdict(SCALES)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_more_consumers_than_partitions_is_violated() -> None:
    """§5.14: six partitions, seven consumers, full backlog: seven never work."""
    history = History(partitions=6)
    backlog(history, {number: [f"consumer-{number + 1}"] for number in range(6)}, consumers=7)
    verdict = history.verdict(SCALES)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason.startswith(
        "with 7 consumers of the group alive and work waiting, only 6 ever started a handler (not consumer-7) in the "
        "best of 1 busy window, from "
    )
    assert verdict.reason.endswith(" handlers started; 7 were to share the work")
    assert verdict.witness is not None


def test_fewer_may_be_asked_for() -> None:
    history = History(partitions=6)
    backlog(history, {number: [f"consumer-{number + 1}"] for number in range(6)}, consumers=7)
    history.parameter(SCALES, "at_least", 6)
    assert history.verdict(SCALES).verdict == "held"
    history.parameter(SCALES, "at_least", 8)
    assert history.verdict(SCALES).verdict == "inconclusive"


def test_an_idle_system_is_inconclusive() -> None:
    """§5.14: ten messages a second, 2 ms each, three consumers."""
    history = History(partitions=3)
    for number in range(3):
        history.worker(f"consumer-{number + 1}")
        history.assign(f"consumer-{number + 1}", source=number, start=0)
    for message in range(300):
        history.send(message, f"key-{message % 3}", partition=message % 3, at=100 * message + 100)
        history.handle(message, "consumer-1")
    assert history.verdict(SCALES).verdict == "inconclusive"
    assert history.verdict(COMPETES).verdict == "inconclusive"


def test_one_consumer_alone_is_inconclusive() -> None:
    history = History()
    backlog(history, {0: ["consumer-1"]}, 400)
    assert history.verdict(SCALES).verdict == "inconclusive"
    assert history.verdict(COMPETES).verdict == "inconclusive"


def test_a_partition_without_work_ends_the_window() -> None:
    """Who owns nothing but an empty partition cannot be expected to work."""
    history = History(partitions=3)
    for number in range(3):
        history.worker(f"consumer-{number + 1}")
        history.assign(f"consumer-{number + 1}", source=number, start=0)
    work(history, {0: ["consumer-1"], 1: ["consumer-2"]}, 0, 200)
    assert history.verdict(SCALES).verdict == "inconclusive"


@pytest.mark.parametrize(("per_partition", "expected"), [(44, "inconclusive"), (60, "violated")])
def test_a_window_needs_so_many_waiting_and_started(per_partition: int, expected: str) -> None:
    """Two consumers alive, one works: 20 must wait at each moment, and 40 handlings start."""
    history = History()
    history.worker("consumer-2")
    backlog(history, {0: ["consumer-1"]}, per_partition)
    assert history.verdict(SCALES).verdict == expected


def test_what_the_group_never_handles_does_not_wait() -> None:
    history = History()
    history.worker("consumer-2")
    backlog(history, {0: ["consumer-1"]}, 44)
    for message in range(1000, 1100):
        history.send(message)
    assert history.verdict(SCALES).verdict == "inconclusive"


def test_a_fault_cuts_the_window() -> None:
    history = History()
    history.worker("consumer-2")
    history.fault("slow", at=0, until=100_000)
    history.now = 0
    backlog(history, {0: ["consumer-1"]}, 200)
    assert history.verdict(SCALES).verdict == "inconclusive"


def test_while_a_partition_waits_for_its_next_owner_nothing_is_expected() -> None:
    """consumer-2 gave its partition back, and the rebalance is not done: only consumer-1 works."""
    history = History(partitions=2)
    for number in range(2):
        history.worker(f"consumer-{number + 1}")
        history.assign(f"consumer-{number + 1}", source=number, start=0)
    for message in range(200):
        history.send(message, partition=0)
    for message in range(200, 300):
        history.send(message, partition=1)
    history.revoke("consumer-2", source=1)
    history.handles(range(190))
    history.revoke(source=0)
    history.assign("consumer-1", source=1, start=0, start_from="committed")
    history.assign("consumer-2", source=0, start=190, start_from="committed")
    history.handles(range(190, 200), "consumer-2")
    history.handles(range(200, 300))
    assert history.verdict(SCALES).verdict == "inconclusive"


def test_a_consumer_that_still_joins_is_not_expected_to_work() -> None:
    history = History(partitions=2)
    history.worker("consumer-1")
    history.assign("consumer-1", source=0, start=0)
    history.assign("consumer-1", source=1, start=0)
    for message in range(400):
        history.send(message, partition=message % 2)
    history.worker("consumer-2", began=history.now + 1)
    history.now += 1
    history.handles(range(200))
    for source in range(2):
        history.revoke("consumer-1", source=source)
    history.assign("consumer-1", source=0, start=100, start_from="committed")
    history.assign("consumer-2", source=1, start=100, start_from="committed")
    for message in range(200, 400):
        history.handle(message, f"consumer-{message % 2 + 1}")
    verdict = history.verdict(SCALES)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_members_that_are_not_there_yet_are_not_expected_to_work() -> None:
    """Both live from the start, but the first drains nearly everything before the second has joined."""
    history = History(partitions=2)
    for number in range(2):
        history.worker(f"consumer-{number + 1}")
    for message in range(200):
        history.send(message, partition=message % 2)
    for source in range(2):
        history.assign("consumer-1", source=source, start=0)
    history.handles(range(190))
    for source in range(2):
        history.revoke("consumer-1", source=source)
    for source in range(2):
        history.assign(f"consumer-{source + 1}", source=source, start=95, start_from="committed")
    for message in range(190, 200):
        history.handle(message, f"consumer-{message % 2 + 1}")
    assert history.verdict(SCALES).verdict == "inconclusive"


def test_a_zombie_that_does_not_know_it_is_one_is_not_expected_to_share() -> None:
    """consumer-2 lost its partition while it was paused, and after the pause it handles on for a while."""
    history = History(partitions=2)
    for number in range(2):
        history.worker(f"consumer-{number + 1}")
        history.assign(f"consumer-{number + 1}", source=number, start=0)
    history.fault("pause", target="consumer-2", until=history.now + 10)
    for message in range(300):
        history.send(message, partition=message % 2)
    history.assign("consumer-1", source=1, start=0)
    history.handles(range(280))
    history.revoke("consumer-2", source=1, change="lost")
    history.handles(range(280, 300))
    assert history.verdict(SCALES).verdict == "inconclusive"


def test_the_time_before_a_crash_and_after_the_rebalance_are_two_windows() -> None:
    history = History(partitions=2)
    backlog(history, {0: ["consumer-1"], 1: ["consumer-2"]}, 100)
    history.fault("crash", target="consumer-2", until=history.now + 10)
    for source, consumer in enumerate(["consumer-1", "consumer-2"]):
        history.revoke(consumer, source=source)
        history.assign(consumer, source=source, start=100, start_from="committed")
    work(history, {0: ["consumer-1"], 1: ["consumer-2"]}, 1000, 100)
    verdict = history.verdict(SCALES)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_one_partition_one_consumer_is_not_competing() -> None:
    history = History(partitions=2)
    backlog(history, {0: ["consumer-1"], 1: ["consumer-2"]}, 200)
    verdict = history.verdict(COMPETES)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 2, 2)
    assert verdict.reason.startswith(
        "with 2 consumers of the group alive and messages of orders-0 waiting, consumer-1 handled them all by itself"
    )
    assert verdict.witness is not None


def test_consumers_of_one_stream_compete() -> None:
    history = History()
    history.group(delivery="competing")
    backlog(history, {0: ["consumer-1", "consumer-2", "consumer-3"]}, 300)
    verdict = history.verdict(COMPETES)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)
    assert history.verdict(SCALES).verdict == "held"


def test_a_partition_that_changes_hands_is_not_shared() -> None:
    """Each owner of a partition handles it alone, one after the other."""
    history = History(partitions=2)
    backlog(history, {0: ["consumer-1"], 1: ["consumer-2"]}, 200)
    history.revoke("consumer-1", source=0)
    history.revoke("consumer-2", source=1)
    history.assign("consumer-1", source=1, start=200, start_from="committed")
    history.assign("consumer-2", source=0, start=200, start_from="committed")
    work(history, {0: ["consumer-2"], 1: ["consumer-1"]}, 1000, 200)
    verdict = history.verdict(COMPETES)
    assert (verdict.verdict, verdict.violations) == ("violated", 2)
    assert verdict.reason.endswith(", and so in all of its 2 busy windows")


def team(history: History, apart: bool) -> None:
    """Two catch-up consumers of one category; `apart`: each leaves to the other what is the other's."""
    category = history.place("$ce-orders")
    for number in (1, 2):
        history.group(f"readers/consumer-{number}", team="readers", delivery="own")
        history.worker(f"readers/consumer-{number}", group=f"readers/consumer-{number}")
        history.assign(f"readers/consumer-{number}", group=f"readers/consumer-{number}", source=category, start=0)
    history.sends(200)
    for message in range(200):
        for number in (1, 2):
            if not apart or message % 2 + 1 == number:
                history.handle(
                    message, f"readers/consumer-{number}", group=f"readers/consumer-{number}", source=category
                )


def test_catch_up_consumers_who_all_handle_everything_share_nothing() -> None:
    history = History()
    team(history, apart=False)
    verdict = history.verdict(SCALES)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason.startswith(
        "with 2 consumers of group readers alive and work waiting, no message was handled by one of them alone in the "
    )
    verdict = history.verdict(COMPETES)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert "messages of $ce-orders waiting, no message of it was handled by one of them alone" in verdict.reason


def test_a_team_that_shares_does_share() -> None:
    history = History()
    team(history, apart=True)
    assert history.verdict(SCALES).verdict == "held"
    assert history.verdict(COMPETES).verdict == "held"


def shards(history: History, lopsided: bool) -> None:
    category = history.place("$ce-orders")
    history.group("readers", delivery="own", consumers=2)
    for number in (0, 1):
        history.shard("ab"[number], number, group="readers")
        history.worker(f"consumer-{number + 1}", group="readers")
        history.assign(f"consumer-{number + 1}", group="readers", source=category, shard=number, start=0)
    history.sends(200, keys=("a",) if lopsided else ("a", "b"))
    for message in range(200):
        shard = 0 if lopsided else message % 2
        history.handle(message, f"consumer-{shard + 1}", group="readers", source=category, shard=shard)


def test_shards_share_a_category() -> None:
    history = History()
    shards(history, lopsided=False)
    assert history.verdict(SCALES).verdict == "held"
    assert history.verdict(COMPETES).verdict == "held"


def test_a_shard_without_work_ends_the_window() -> None:
    history = History()
    shards(history, lopsided=True)
    assert history.verdict(SCALES).verdict == "inconclusive"
    assert history.verdict(COMPETES).verdict == "inconclusive"

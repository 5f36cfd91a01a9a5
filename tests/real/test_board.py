"""What the processes of a real run share: distinct counts, triggers, and faults that strike once."""

import os
from pathlib import Path

import pytest

from mqverify.faults.plan import draw_faults
from mqverify.spec.model import Fault, Group, When, Workload
from mqverify.workload.groups import everybody, resolve_groups
from mqverify.worlds.board import Board

MESSAGES = 300


NAMES = [f"consumer-{number}" for number in range(1, 5)]


def fault(metric="handled", at=100, point="before_settle", target=("consumer",), group=None):
    return Fault(kind="crash", target=target, when=When(metric=metric, low=at, high=at), point=point, group=group)


def slow(times=1, duration=None, target=("consumer",)):
    return Fault(
        kind="slow", target=target, when=When(metric="handled", low=1, high=1), handler=(5, 5), times=times,
        duration=duration,
    )  # fmt: skip


def board_in(folder, *faults, groups=("billing",)):
    planned = draw_faults(faults, MESSAGES, 0)
    workload = Workload(messages=MESSAGES, consumers=4, groups={name: Group() for name in groups})
    there = resolve_groups(workload)
    return Board(folder / "board", MESSAGES, there, everybody(workload, there), planned), planned


def is_armed(board, groups=("billing",)):
    return any(board.lookout(name if len(groups) == 1 else f"{group}/{name}")() for group in groups for name in NAMES)


def in_processes(count, work):
    """Run `work(number)` in so many processes; the sum of what they return (0 … 100)."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            status = 101
            try:
                status = work(number)
            finally:
                os._exit(status)
        children.append(child)
    results = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert all(0 <= result <= 100 for result in results)
    return sum(results)


def test_messages_are_counted_once_whoever_marks_them(tmp_path):
    def work(number):
        board, _ = board_in(tmp_path)
        mark = board.marker("handled", "billing", lambda _: None)
        for message in range(MESSAGES):
            if message % 4 != number:
                mark(message)
                mark(message)
        return 0

    board, _ = board_in(tmp_path)
    in_processes(4, work)
    assert board.count("handled", ("billing",)) == MESSAGES
    assert board.total() == MESSAGES


def test_a_trigger_fires_in_one_process_and_strikes_one(tmp_path):
    board, (planned,) = board_in(tmp_path, fault())
    assert not board.watch(planned)

    def work(number):
        own, (same,) = board_in(tmp_path, fault())
        fired, struck = [], 0
        mark = own.marker("handled", "billing", fired.append)
        for message in range(number, MESSAGES, 4):
            mark(message)
            struck += own.take(same, NAMES[number])
        return 10 * len(fired) + struck

    assert in_processes(4, work) == 11
    assert not is_armed(board)
    board.arm(planned, NAMES)  # the parent hears of the trigger late
    assert not is_armed(board)


def test_each_fault_is_triggered_by_the_message_that_makes_its_count(tmp_path):
    """Exactly, whoever sends it: also the later one, when who marks waits for the earlier one no more."""
    board, planned = board_in(tmp_path, fault(at=100), fault(at=200))
    for one in planned:
        board.watch(one)

    def work(number):
        own, _ = board_in(tmp_path, fault(at=100), fault(at=200))
        fired = []
        mark = own.marker("handled", "billing", lambda one: fired.append((one, own.count("handled"))))
        for message in range(MESSAGES):
            if message % 4 != number:
                mark(message)
        assert set(fired) <= {(0, 100), (1, 200)}
        return len(fired)

    assert in_processes(4, work) == 2
    assert board.count("handled") == MESSAGES


def test_it_is_armed_in_the_step_that_makes_the_count(tmp_path):
    board, (planned,) = board_in(tmp_path, fault(at=3))
    board.watch(planned)
    armed_when_told = []
    mark = board.marker("handled", "billing", lambda _: armed_when_told.append(is_armed(board)))
    mark(0), mark(1), mark(1)
    assert not is_armed(board)
    mark(2)
    assert is_armed(board)
    assert armed_when_told == [False]


@pytest.mark.parametrize(
    "one",
    [fault(point=None), fault(target=("leader",)), fault(metric="delivered")],
    ids=["no point", "who leads", "another count"],
)
def test_what_the_parent_must_do_itself_is_not_armed(tmp_path, one):
    board, (planned,) = board_in(tmp_path, one)
    board.watch(planned)
    mark = board.marker("handled", "billing", lambda _: None)
    for message in range(MESSAGES):
        mark(message)
    assert not is_armed(board)
    board.arm(planned, ["consumer-2"])
    assert [board.lookout(name)() for name in NAMES] == [False, True, False, False]
    board.disarm(planned)
    assert not is_armed(board)
    assert not board.take(planned, "consumer-2")


def test_only_those_whom_it_was_armed_for_are_struck(tmp_path):
    board, (planned, other) = board_in(tmp_path, fault(target=("leader",)), fault())
    board.arm(planned, ["consumer-3"])
    assert not board.take(planned, "consumer-1")
    assert not board.take(other, "consumer-3")
    assert board.take(planned, "consumer-3")
    assert not board.take(planned, "consumer-3")


def test_a_point_for_all_consumers_strikes_each_of_them_once(tmp_path):
    """Whoever it struck is not struck again, in no later incarnation, however late the parent hears of the trigger."""
    board, (planned,) = board_in(tmp_path, fault(at=1, target=("all consumers",)))
    board.watch(planned)
    board.marker("handled", "billing", lambda _: None)(0)

    def work(number):
        own, (same,) = board_in(tmp_path, fault(at=1, target=("all consumers",)))
        return sum(own.take(same, NAMES[number]) for _ in range(3))

    assert in_processes(3, work) == 3
    board.arm(planned, NAMES)
    assert [board.take(planned, name) for name in NAMES] == [False, False, False, True]
    assert not is_armed(board)


def test_slow_strikes_as_often_as_it_says_whoever_handles(tmp_path):
    board, (planned,) = board_in(tmp_path, slow(times=20))
    assert not board.watch(planned)
    board.marker("handled", "billing", lambda _: None)(0)

    def work(number):
        own, (same,) = board_in(tmp_path, slow(times=20))
        return sum(own.take(same, NAMES[number]) for _ in range(15))

    assert in_processes(4, work) == 20
    board.arm(planned, NAMES)
    assert not board.take(planned, NAMES[0])


def test_slow_for_a_time_strikes_every_handling_until_it_is_over(tmp_path):
    board, (planned,) = board_in(tmp_path, slow(duration=(1, 1), target=("consumer-2",)))
    board.arm(planned, ["consumer-2"])
    assert all(board.take(planned, "consumer-2") for _ in range(50))
    assert not board.take(planned, "consumer-1")
    board.disarm(planned)
    assert not board.take(planned, "consumer-2")


def test_a_clock_that_is_off_stays_off_for_later_incarnations(tmp_path):
    board, _ = board_in(tmp_path)
    assert board.skew_of("producer-1") == 0
    board.skew("producer-1", -(10**15))
    again, _ = board_in(tmp_path)
    assert [again.skew_of(name) for name in ("producer-1", "consumer-1")] == [-(10**15), 0]


def test_without_a_group_the_slowest_counts(tmp_path):
    board, (slowest, named) = board_in(tmp_path, fault(at=2), fault(at=2, target=("b/consumer-1",)), groups=("a", "b"))
    board.watch(slowest)
    board.watch(named)
    fired = []
    in_a, in_b = (board.marker("handled", group, fired.append) for group in "ab")
    in_b(0), in_b(1)
    assert fired == [1]
    in_a(0)
    assert (fired, board.count("handled")) == ([1], 1)
    in_a(1)
    assert fired == [1, 0]


@pytest.mark.parametrize("metric", ["sent", "acked"])
@pytest.mark.parametrize("groups", [("billing",), ("billing", "shipping")])
@pytest.mark.parametrize("one", [{"group": "billing"}, {"target": ("consumer",)}, {}])
def test_what_producers_did_counts_whatever_the_targets_group(tmp_path, metric, groups, one):
    """`sent` and `acked` are counts of all; the group of the target says only whom the fault strikes."""
    board, (planned,) = board_in(tmp_path, fault(metric=metric, at=2, **one), groups=groups)
    assert not board.watch(planned)
    fired = []
    mark = board.marker(metric, None, fired.append)
    mark(0)
    assert (fired, is_armed(board, groups)) == ([], False)
    mark(1)
    assert (fired, is_armed(board, groups)) == ([0], True)


def test_the_group_of_a_target_counts_only_its_own(tmp_path):
    board, (planned,) = board_in(tmp_path, fault(at=1, group="a"), groups=("a", "b"))
    board.watch(planned)
    fired = []
    board.marker("handled", "b", fired.append)(0)
    assert fired == []
    board.marker("handled", "a", fired.append)(0)
    assert fired == [0]


def test_a_count_that_is_reached_already_triggers_at_once(tmp_path):
    board, (planned,) = board_in(tmp_path, fault(metric="sent", at=1))
    mark = board.marker("sent", None, lambda _: pytest.fail("nobody watched"))
    mark(0)
    assert board.watch(planned)
    assert not board.watch(planned)


def test_the_first_producer_says_when_producers_began(tmp_path):
    board, _ = board_in(tmp_path)
    assert board.producers_began(500) == 500
    assert board_in(Path(tmp_path))[0].producers_began(900) == 500

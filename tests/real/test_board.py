"""What the processes of a real run share: distinct counts, triggers, and faults that strike once."""

import os
from pathlib import Path

import pytest

from mqverify.faults.plan import draw_faults
from mqverify.spec.model import Fault, Group, When, Workload
from mqverify.workload.groups import resolve_groups
from mqverify.worlds.board import Board

MESSAGES = 300


def fault(metric="handled", at=100, point="before_settle", target=("consumer",), group=None):
    return Fault(kind="crash", target=target, when=When(metric=metric, low=at, high=at), point=point, group=group)


def board_in(folder, *faults, groups=("billing",)):
    planned = draw_faults(faults, MESSAGES, 0)
    there = resolve_groups(Workload(messages=MESSAGES, groups={name: Group() for name in groups}))
    return Board(folder / "board", MESSAGES, there, planned), planned


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
            struck += own.is_armed(same) and own.take(same)
        return 10 * len(fired) + struck

    assert in_processes(4, work) == 11
    assert not board.is_armed(planned)
    board.arm(planned)  # the parent hears of the trigger late
    assert not board.is_armed(planned)


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
    mark = board.marker("handled", "billing", lambda _: armed_when_told.append(board.is_armed(planned)))
    mark(0), mark(1), mark(1)
    assert not board.is_armed(planned)
    mark(2)
    assert board.is_armed(planned)
    assert armed_when_told == [False]


@pytest.mark.parametrize(
    "one",
    [fault(point=None), fault(target=("all consumers",)), fault(metric="delivered")],
    ids=["no point", "everybody", "another count"],
)
def test_what_the_parent_must_do_itself_is_not_armed(tmp_path, one):
    board, (planned,) = board_in(tmp_path, one)
    board.watch(planned)
    mark = board.marker("handled", "billing", lambda _: None)
    for message in range(MESSAGES):
        mark(message)
    assert not board.is_armed(planned)
    board.arm(planned)
    assert board.is_armed(planned)
    board.disarm(planned)
    assert not board.take(planned)


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
@pytest.mark.parametrize("one", [{"group": "billing"}, {"target": ("billing/consumer-1",)}, {}])
def test_what_producers_did_counts_whatever_the_targets_group(tmp_path, metric, groups, one):
    """`sent` and `acked` are counts of all; the group of the target says only whom the fault strikes."""
    board, (planned,) = board_in(tmp_path, fault(metric=metric, at=2, **one), groups=groups)
    assert not board.watch(planned)
    fired = []
    mark = board.marker(metric, None, fired.append)
    mark(0)
    assert (fired, board.is_armed(planned)) == ([], False)
    mark(1)
    assert (fired, board.is_armed(planned)) == ([0], True)


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

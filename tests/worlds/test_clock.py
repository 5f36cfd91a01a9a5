"""The clock of a real run: what was let pass has passed for all of its processes, and for server's times after it."""

import pickle
import time
from pathlib import Path

import pytest

from mqverify.history.files import FileRecorder
from mqverify.history.records import RecordFile, WorkerHeader
from mqverify.units import DAY, SECOND
from mqverify.worlds.clock import MOST_PASSES, RunClock


@pytest.fixture
def clock(tmp_path: Path) -> RunClock:
    return RunClock.starting_now(tmp_path)


def test_what_passes_has_passed_for_every_process(clock: RunClock) -> None:
    other: RunClock = pickle.loads(pickle.dumps(clock))
    before = other.now()
    clock.jump(8 * DAY)
    clock.jump(1 * DAY)
    assert 9 * DAY <= other.now() - before < 9 * DAY + 60 * SECOND
    assert [length for _, length in other.passes()] == [8 * DAY, DAY]


def test_a_servers_time_counts_the_passes_that_lie_before_it(clock: RunClock) -> None:
    clock.jump(8 * DAY)
    (jumped_at, _), *_ = clock.passes()
    assert clock.since_start(jumped_at - 1) == jumped_at - 1 - clock.epoch
    assert clock.since_start(jumped_at) == jumped_at - clock.epoch + 8 * DAY
    clock.jump(DAY)
    assert clock.since_start(clock.passes()[1][0]) - (clock.passes()[1][0] - clock.epoch) == 9 * DAY
    assert clock.since_start(clock.epoch - 1) == -1


def test_a_record_that_is_stamped_now_lies_about_now(clock: RunClock) -> None:
    clock.jump(8 * DAY)
    assert abs(clock.since_start(time.time_ns()) - clock.now()) < 60 * SECOND


def test_a_worker_that_recorded_before_a_pass_records_behind_it_after(clock: RunClock, tmp_path: Path) -> None:
    header = WorkerHeader("producer-1", "producer", 1, None, None, 1, clock.origin)
    recorder = FileRecorder(tmp_path / "records", header, ["a"], clock.monotonic)
    recorder.send_invoked(0)
    clock.jump(DAY)
    recorder.send_invoked(1)
    recorder.close()
    first, second = (record.invoked_at for record in RecordFile(tmp_path / "records"))
    assert DAY < second - first < DAY + 60 * SECOND


@pytest.mark.parametrize("length", [0, -1])
def test_time_does_not_go_back(clock: RunClock, length: int) -> None:
    with pytest.raises(ValueError, match="cannot jump"):
        clock.jump(length)


def test_there_is_room_for_so_many_passes_and_no_more(clock: RunClock) -> None:
    for _ in range(MOST_PASSES):
        clock.jump(SECOND)
    with pytest.raises(ValueError, match="cannot jump"):
        clock.jump(SECOND)
    assert len(clock.passes()) == MOST_PASSES

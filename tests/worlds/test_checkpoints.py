"""Checkpoints that an application keeps in files, and feeds of the real world."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mqverify.simulation.kernel import Kernel
from mqverify.simulation.process import Process
from mqverify.workload.client import Feed, FeedEnded
from mqverify.worlds.checkpoints import FileCheckpoints
from mqverify.worlds.feed import SimulatedFeed, ThreadFeed

LONG = 10_000_000_000


def test_checkpoints_outlive_the_process_and_take_any_name(tmp_path: Path) -> None:
    checkpoints = FileCheckpoints(tmp_path)
    assert checkpoints.get("../etc/passwd") is None
    checkpoints["../etc/passwd"] = 7
    checkpoints["../etc/passwd"] = 8
    checkpoints["$ce-orders/1"] = 0
    again = FileCheckpoints(tmp_path)
    assert dict(again) == {"../etc/passwd": 8, "$ce-orders/1": 0}
    assert all(path.parent == tmp_path for path in tmp_path.iterdir())
    del again["../etc/passwd"]
    assert len(again) == 1


def test_a_checkpoint_is_written_to_a_file_of_this_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that wakes up after its successor began writes the same checkpoint at the same time."""
    written: list[str] = []
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        written.append(self.name)
        if len(written) == 1:
            monkeypatch.setattr(os, "getpid", lambda: 2)
            FileCheckpoints(tmp_path)["group"] = 7
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    FileCheckpoints(tmp_path)["group"] = 3
    assert FileCheckpoints(tmp_path)["group"] == 3
    assert len({*written}) == 2
    assert [path.suffix for path in tmp_path.iterdir()] == [".checkpoint"]


def test_what_dead_processes_left_half_written_is_swept_up(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for process in (dead.pid, os.getpid()):
        (tmp_path / f"67.{process}.new").write_text("9")
    checkpoints = FileCheckpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"67.{os.getpid()}.new"]
    assert dict(checkpoints) == {}


# --- feeds -----------------------------------------------------------------------------------------------------------


def in_a_process(application: Callable[[Process], Any]) -> Any:
    kernel = Kernel(0)
    process = kernel.process("consumer")
    results: list[Any] = []
    process.spawn(lambda: results.append(application(process)), main=True)
    kernel.run()
    return results[0]


Use = Callable[[Callable[[Any, int], Feed]], Any]
"""What a test does with a way to make a feed of items and a capacity."""


@pytest.fixture(params=["simulated", "thread"])
def using(request: pytest.FixtureRequest) -> Callable[[Use], Any]:
    """Do something with feeds of one of the two worlds."""
    if request.param == "thread":
        return lambda use: use(ThreadFeed)
    return lambda use: in_a_process(
        lambda process: use(lambda items, capacity: SimulatedFeed(process, items, capacity, lambda: False))
    )


def taken(feed: Feed, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += feed.take(LONG, 3)
    return found


def test_a_feed_hands_over_what_came_and_then_the_error(using: Callable[[Use], Any]) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ConnectionError("gone")

    def use(feed_of: Callable[[Any, int], Feed]) -> list[int]:
        feed = feed_of(items(), 2)
        found = taken(feed, 5)
        with pytest.raises(ConnectionError, match="gone"):
            feed.take(LONG, 3)
        return found

    assert using(use) == [0, 1, 2, 3, 4]


def test_a_feed_whose_iterator_ends_says_so_and_does_not_look_idle(using: Callable[[Use], Any]) -> None:
    def use(feed_of: Callable[[Any, int], Feed]) -> list[int]:
        feed = feed_of(iter(range(3)), 2)
        found = taken(feed, 3)
        for _ in range(2):
            with pytest.raises(FeedEnded):
                feed.take(LONG, 3)
        return found

    assert using(use) == [0, 1, 2]


def test_a_feed_waits_for_a_time_only() -> None:
    released = threading.Event()

    def items() -> Iterator[int]:
        released.wait()
        yield 1

    feed = ThreadFeed(items(), capacity=2)
    assert feed.take(1_000_000, 3) == []
    released.set()
    assert feed.take(LONG, 3) == [1]


def test_a_closed_feed_keeps_no_thread(using: Callable[[Use], Any]) -> None:
    """It waits for room that nobody will make."""
    given: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            given.append(number)
            yield number

    def use(feed_of: Callable[[Any, int], Feed]) -> None:
        feed = feed_of(items(), 2)
        taken(feed, 1)
        feed.close()
        if isinstance(feed, ThreadFeed):
            feed._thread.join(10)
            assert not feed._thread.is_alive()
        else:
            with pytest.raises(FeedEnded):
                taken(feed, 10)

    using(use)
    assert len(given) < 10

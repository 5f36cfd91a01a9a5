"""Checkpoints that an application keeps in files, and feeds of the real world."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mqverify.worlds.checkpoints import FileCheckpoints
from mqverify.worlds.feed import ThreadFeed


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


def test_a_feed_hands_over_what_came_and_then_the_error() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ConnectionError("gone")

    feed = ThreadFeed(items(), capacity=2)
    taken: list[int] = []
    while len(taken) < 5:
        taken += feed.take(10_000_000_000, 3)
    with pytest.raises(ConnectionError, match="gone"):
        feed.take(10_000_000_000, 3)
    assert taken == [0, 1, 2, 3, 4]


def test_a_feed_waits_for_a_time_only() -> None:
    assert ThreadFeed(iter(()), capacity=2).take(1_000_000, 3) == []

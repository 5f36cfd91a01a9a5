"""Committed offsets: when they expire.

Rule (docs/facts/kafka.md §B.3, `ClassicGroup.offsetExpirationCondition`): a group that used the protocol and is Empty
loses all its offsets when it has been empty for `offsets.retention.minutes`; while it has members, only offsets of
topics that no member subscribes to any more, counted from their commit; a group that only ever committed by `assign`
loses each offset counted from its last commit. The check runs every `offsets.retention.check.interval.ms`, and a group
without offsets and members disappears.
"""

from typing import Any

from mqverify.simulation.kafka.group import Group

__all__ = ["expire_offsets", "first_expiry"]


def first_expiry(group: Group, retention: int) -> int | None:
    """The earliest time at which a check would find something expired, as the group now stands."""
    times = [_since(group, partition, committed_at) for partition, (_, committed_at) in group.offsets.items()]
    due = [since for since in times if since is not None]
    return min(due) + retention if due else None


def expire_offsets(group: Group, retention: int, now: int) -> dict[Any, int]:
    """Drop what has expired: partition → offset."""
    expired: dict[Any, int] = {}
    for partition, (offset, committed_at) in list(group.offsets.items()):
        since = _since(group, partition, committed_at)
        if since is not None and now - since >= retention:
            expired[partition] = offset.offset
            del group.offsets[partition]
    return expired


def _since(group: Group, partition: Any, committed_at: int) -> int | None:
    """From when the retention of one offset counts; None while it does not."""
    if not group.used_protocol:
        return committed_at
    if group.state == "Empty":
        return group.empty_since
    return None if partition.topic in group.subscribed_topics() else committed_at

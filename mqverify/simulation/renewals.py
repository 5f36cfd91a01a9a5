"""Idle time costs nothing: timers that only renew are leapt over together.

A heartbeat, an empty fetch, a poll time-out, a watchdog whose holder is alive: they only renew. Where nothing else
stands before the next event of substance, they are all shifted to it together, so that their times relative to each
other are kept.
"""

from collections.abc import Callable
from heapq import heapify
from typing import Any

__all__ = ["Event", "Renews", "always", "jump"]

Event = list[Any]
"""[time, order, process or None, call or None once cancelled, arguments, renews or None, later time or 0].

A list, so that the heap compares in C and a pending event can be cancelled, postponed or shifted in place.
"""

Renews = Callable[[], bool]
"""Whether an event, as things stand, only renews."""

_SHORT_IDLE = 1_000_000_000
"""Nanoseconds. Shorter idle stretches are lived through."""


def always() -> bool:
    """`renews=always`: a timer that only renews whatever else happens."""
    return True


def jump(heap: list[Event], first: Event) -> int:
    """Shift the renewals, from `first` on, to the next event of substance, if that is far away: how far, else 0."""
    following = heap[0] if heap else first
    if following[0] - first[0] <= _SHORT_IDLE and _substantial(following):
        return 0
    substance = [max(event[0], event[6]) for event in heap if _substantial(event)]
    if not substance or not first[5]():
        return 0
    distance = min(substance) - first[0]
    if distance <= _SHORT_IDLE:
        return 0
    heap.append(first)
    for event in heap:
        if _can_happen(event) and event[5] is not None and event[5]():
            event[0] += distance
            event[6] += distance if event[6] else 0
    heapify(heap)
    return int(distance)


def _can_happen(event: Event) -> bool:
    """Not cancelled, and its process is there to act. What falls due while a process is paused keeps its time."""
    return event[3] is not None and (event[2] is None or event[2].running)


def _substantial(event: Event) -> bool:
    """Whether more happens by this event than a renewal."""
    return _can_happen(event) and (event[5] is None or not event[5]())

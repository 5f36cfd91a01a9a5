"""The network between simulated processes: links with latency, in order.

A `Link` is one direction of one connection. What is sent arrives after a latency drawn from the link's own dice, never
before what was sent earlier on it (TCP). What arrives at a paused process waits there; at a dead one it is lost: the
kernel sees to both.
"""

from collections.abc import Callable
from typing import Any

from mqverify.simulation.kernel import MICROSECOND, Kernel
from mqverify.simulation.process import Process

__all__ = ["Link"]

LEAST_LATENCY = 100 * MICROSECOND
MOST_LATENCY = 400 * MICROSECOND


class Link:
    """One direction of one connection to the process `destination`. `name` names its dice."""

    __slots__ = ("_destination", "_kernel", "_last", "_random")

    def __init__(self, kernel: Kernel, name: str, destination: Process) -> None:
        self._kernel = kernel
        self._destination = destination
        self._random = kernel.stream(f"network/{name}").random
        self._last = 0

    def send(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Have `call(*arguments)` happen at the destination when the message arrives."""
        kernel = self._kernel
        time = kernel.now + LEAST_LATENCY + int(self._random() * (MOST_LATENCY - LEAST_LATENCY))
        if time < self._last:
            time = self._last
        self._last = time
        kernel.call_at(time, call, *arguments, process=self._destination)

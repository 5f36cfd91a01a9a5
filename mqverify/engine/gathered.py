"""What comes back of a scenario's runs, and how long a check may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mqverify.events import RunSummary
from mqverify.guarantees.findings import Finding
from mqverify.units import format_duration

if TYPE_CHECKING:
    from mqverify.worlds.chunk import Chunk

__all__ = ["Clock", "Gathered"]


@dataclass
class Gathered:
    """What came back of one scenario."""

    findings: list[Finding] = field(default_factory=list)
    summaries: list[RunSummary] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    """Why runs are missing."""
    late: bool = False
    """They are because the check's time was over."""

    unsupported: str | None = None
    """Why the real system that was reached cannot give what the spec asks for."""

    def add(self, chunk: Chunk) -> None:
        findings, summaries, details = chunk
        self.findings += findings
        self.summaries += summaries
        self.details |= details


class Clock:
    """How long the check may take. No run is stopped in the middle: what has not begun in time is not begun."""

    def __init__(self, max_time: int | None) -> None:
        self._began = time.monotonic()
        self._max_time = max_time
        self.until = None if max_time is None else time.time() + max_time / 1e9
        """As `time.time()` tells it, also in other processes."""

    def wall_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def ran_out(self) -> bool:
        return self.until is not None and time.time() >= self.until

    def why(self, done: int, runs: int) -> str:
        longest = format_duration(self._max_time or 0)
        return f"the check's time, {longest}, was over when {done:,} of {runs:,} runs were done; raise --max-time"

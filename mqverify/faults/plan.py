"""The faults of one run, drawn from the seed: when exactly, how long, whom."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mqverify.spec.model import Fault
from mqverify.workload.plan import stream

__all__ = ["PlannedFault", "draw_faults"]


_COUNTS_ITS_STRIKES = {"slow", "lose"}
"""For these `times` is how often one fault strikes, not how often there is one."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One repetition of one fault of the spec, with everything drawn."""

    identity: int
    """Its number among all planned faults of the run, from 0."""
    number: int
    """The fault's number in the spec, from 0."""
    fault: Fault
    threshold: int
    """Messages (at least 1), or nanoseconds for `time`; 0 for `now` and `drained`."""
    restart_after: int | None
    duration: int
    handler: int
    choice: float
    """In [0, 1): which of several targets."""
    before: float = 0
    """`delete_records`: the first position that stays, or a share of 1 of what there is if `before_share`."""
    before_share: bool = False

    @property
    def kind(self) -> str:
        return self.fault.kind

    @property
    def target_text(self) -> str:
        """Whom or what it means, for people."""
        fault = self.fault
        if fault.target:
            return ", ".join(fault.target)
        if "partition" in fault.options:
            return f"partition {fault.options['partition']}"
        return str(fault.options.get("name", fault.group or ""))

    def describe(self) -> str:
        """One line for people: what it waits for."""
        metric = self.fault.when.metric
        at = f" at {self.fault.point}" if self.fault.point else ""
        match metric:
            case "now":
                waits = "at once"
            case "drained":
                waits = "when drained"
            case "time":
                waits = f"{self.threshold / 1e9:g}s after the start"
            case _:
                waits = f"when {self.threshold} messages are {metric}"
        of = " of those whose reply can be lost" if self.kind == "lose" else ""
        nth = f", with request {self.fault.nth}{of} after that" if self.fault.nth else ""
        return f"{waits}{at}{nth}"


def draw_faults(faults: Sequence[Fault], messages: int, seed: int) -> tuple[PlannedFault, ...]:
    """Draw every repetition of every fault; each fault has dice of its own."""
    planned: list[PlannedFault] = []
    for number, fault in enumerate(faults):
        dice = stream(seed, f"fault-{number}")
        repetitions = 1 if fault.kind in _COUNTS_ITS_STRIKES else fault.times
        for _ in range(repetitions):
            position = dice.uniform(fault.when.low, fault.when.high)
            threshold = 0
            low, high, share = fault.options.get("before", (0, 0, False))
            if fault.when.metric == "time":
                threshold = round(position)
            elif fault.when.metric not in {"now", "drained"}:
                threshold = max(1, math.ceil(position * messages - 1e-9) if fault.when.share else round(position))
            planned.append(
                PlannedFault(
                    identity=len(planned),
                    number=number,
                    fault=fault,
                    threshold=threshold,
                    restart_after=None if fault.restart_after is None else dice.randint(*fault.restart_after),
                    duration=dice.randint(*(fault.duration or (0, 0))),
                    handler=dice.randint(*(fault.handler or (0, 0))),
                    choice=dice.random(),
                    before=dice.uniform(low, high) if high else 0,
                    before_share=share,
                )
            )
    return tuple(planned)

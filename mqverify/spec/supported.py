"""What this version of mqverify knows but cannot run yet, each with the reason that a report gives."""

import re
from collections.abc import Iterable, Sequence

from mqverify.spec.fault_lines import FaultLine
from mqverify.spec.model import Workload
from mqverify.spec.registry import LATER

__all__ = ["unsupported_words"]

_OTHER_BROKER = re.compile(r"broker-(?!1$)[0-9]+")


def unsupported_words(workload: Workload, faults: Sequence[FaultLine]) -> tuple[str, ...]:
    """Why this version cannot run a spec, once a reason; empty if it can."""
    return tuple(dict.fromkeys([*_of_workload(workload), *_of_faults(faults)]))


def _of_workload(workload: Workload) -> Iterable[str]:
    for name, value in (("batch", workload.batch), ("transaction", workload.transaction)):
        if value is not None:
            yield f"{name}: {value} {LATER}"


def _of_faults(faults: Sequence[FaultLine]) -> Iterable[str]:
    for line in faults:
        for role in line.roles:
            reason = line.kind.missing_targets.get(role)
            if reason is not None:
                yield f"{line.kind.name}: {reason}"
        if line.kind.subject == "link" and any(_OTHER_BROKER.fullmatch(target) for target in line.fault.target):
            yield f"{line.kind.name}: a second broker {LATER}"

"""Guarantees that specs may name already and that this version does not judge yet: `unsupported`, not unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mqverify.guarantees.registry import Parameter, parse_parameters

__all__ = ["NOT_JUDGED_YET", "PLANNED", "PlannedGuarantee"]

NOT_JUDGED_YET = "this version does not judge it yet"


@dataclass(frozen=True, slots=True)
class PlannedGuarantee:
    """A guarantee that is known by name only."""

    code: str
    name: str
    parameters: tuple[Parameter, ...]
    promise: str
    wants_parameter: bool = False


def _planned(code: str, name: str, parameters: str, promise: str) -> PlannedGuarantee:
    return PlannedGuarantee(code, name, parse_parameters(parameters, "planned.py"), promise)


_ALL = (
    _planned("MQ106", "no_aborted_reads", "none", "No consumer is handed a message that failed or was aborted."),
    _planned("MQ161", "atomic_batches", "none", "A batch or a transaction is seen whole or not at all."),
)

PLANNED: Mapping[str, PlannedGuarantee] = MappingProxyType({one.name: one for one in _ALL})
"""By name, in order of their codes; never a name that `catalogue()` has."""

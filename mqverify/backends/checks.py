"""What `mqverify doctor` finds out: one thing that can be there or not, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "State"]

State = Literal["ok", "missing", "absent"]
"""`absent` is not there and not needed for what was asked, `missing` is."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    found: str
    """What is there, or what is not, in a line."""
    mend: str = ""
    """How to get what is not there; empty where all is well."""

"""Every exception that mqverify raises on purpose.

MqverifyError                 base: catch this one, and `str(error)` tells the user what to do
├── UsageError                the command line asks for something that cannot be (exit 2)
├── SpecError                 specs with mistakes; carries all diagnostics of all files (exit 2)
│   └── DefaultsError         defaults of options with mistakes, in pyproject.toml or mqverify.toml (exit 2)
├── BackendError              a backend cannot be had or broke off
│   ├── BackendUnavailable    it cannot be started or reached (exit 3: nothing is decided)
│   ├── BackendUnsuitable     it is there, and cannot give what the spec asks for (unsupported)
│   └── BackendLost           it was there and went away in mid-run (exit 3)
├── OutputError                standard output cannot be written: its disk is full (exit 4)
├── HistoryError              a history that cannot be read: not ours, torn, of another format version
└── InternalError             a promise of mqverify's own code is broken: our bug (exit 4)

Exceptions of client libraries never leave `backends/`: each adapter maps them at the border to an outcome
(`acked`, `failed`, `unknown`) or to one of these. The simulation knows none of these; its own
`mqverify.simulation.kernel.Killed` ends a simulated process and is never seen outside it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mqverify.spec.diagnostics import Diagnostic

__all__ = [
    "BackendError",
    "BackendLost",
    "BackendUnavailable",
    "BackendUnsuitable",
    "DefaultsError",
    "HistoryError",
    "InternalError",
    "MqverifyError",
    "OutputError",
    "SpecError",
    "UsageError",
]


class MqverifyError(Exception):
    """Base of all: `str()` of it is a message to the user, which says what to do about it."""


class UsageError(MqverifyError):
    """The command line asks for what cannot be: no such backend, no spec matched, a path that is not there."""


class SpecError(MqverifyError):
    """The specs have mistakes. `diagnostics` holds all of them, of all files, in order of file and position."""

    where = "the specs"

    def __init__(self, diagnostics: "Sequence[Diagnostic]") -> None:
        self.diagnostics = tuple(diagnostics)
        count = len(self.diagnostics)
        super().__init__(f"{count} mistake{'s' if count != 1 else ''} in {self.where}")


class DefaultsError(SpecError):
    """A file that gives defaults for options has mistakes. `diagnostics` holds all of them."""

    where = "the defaults of options"


class BackendError(MqverifyError):
    """A backend cannot be had, or broke off."""


class BackendUnavailable(BackendError):
    """A backend cannot be started or reached; nothing was decided."""


class BackendUnsuitable(BackendError):
    """A backend can be reached, but what the spec asks for it does not have, and we may not give it."""


class BackendLost(BackendError):
    """A backend went away in the middle of a run; what was recorded until then is kept."""


class OutputError(MqverifyError):
    """Standard output cannot be written, and not because its reader has gone: what was to be told is not told."""


class HistoryError(MqverifyError):
    """A history cannot be read: it is torn, of another format version, or not one of ours."""


class InternalError(MqverifyError):
    """mqverify broke a promise of its own. A bug: the message says how to report it."""

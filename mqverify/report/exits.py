"""Exit codes: what a command line or a CI job learns of a check. They never change their meaning."""

from collections.abc import Mapping
from typing import Final

from mqverify.errors import BackendError, InternalError, MqverifyError, OutputError

__all__ = [
    "AS_EXPECTED",
    "CLOSED_PIPE",
    "INTERRUPTED",
    "MEANINGS",
    "NOT_AS_EXPECTED",
    "OUR_BUG",
    "UNDECIDED",
    "USAGE",
    "code_of",
]

AS_EXPECTED = 0
NOT_AS_EXPECTED = 1
USAGE = 2
"""A mistake in a spec or on the command line. Nothing was run."""
UNDECIDED = 3
OUR_BUG = 4
INTERRUPTED = 130
CLOSED_PIPE = 141
"""As a shell says it of one that died of SIGPIPE."""

MEANINGS: Final[Mapping[int, str]] = {
    AS_EXPECTED: "all as expected",
    NOT_AS_EXPECTED: "something is not",
    USAGE: "mistake in a spec or on the command line",
    UNDECIDED: "not decided",
    OUR_BUG: "a bug of mqverify",
    INTERRUPTED: "interrupted",
}
"""Those that a check can end with, in the words of the help text."""


def code_of(error: BaseException) -> int:
    """The exit code of a command that ended with this exception."""
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            return CLOSED_PIPE
        case BackendError():
            return UNDECIDED
        case InternalError() | OutputError():
            return OUR_BUG
        case MqverifyError():
            return USAGE
        case _:
            return OUR_BUG

"""From esdbclient's exceptions to outcomes of an append: the one table.

`failed` says that it was not done, for certain: it is promised never to be found later. What is not named here is
`unknown`: it may have been done, and may be found later or not. All this is read off esdbclient 1.1.7 and the server's
rules in docs/facts/eventstore.md §C1 and §F2.

`append_to_stream` tries again by itself (`client.py`, `retrygrpc` and `autoreconnect`): after any `GrpcError`, after
`ServiceUnavailable`, after `NodeIsNotLeader`, each after a pause of 0.1 s. So the exception that comes out is that of
the *last* try, and an earlier one may have been done and its answer lost.
"""

from typing import Any, Final

__all__ = ["RETRY_PAUSE", "append_outcome", "one_try"]

RETRY_PAUSE: Final = 100_000_000
"""Nanoseconds that esdbclient sleeps before it tries again (`client.py`: `sleep(0.1)`)."""

# By these this try was refused, before anything was written. Left out are
#  - GrpcError, its kinds and DeadlineExceeded: a time-out, a lost connection, a server's error in mid-work;
#  - CancelledByClient, UnknownError: nothing is said of what the server did;
#  - the kinds of DiscoveryFailed: they are raised on reconnecting, at once, after a try that may have been done.
_REFUSED_THIS_TRY: Final = frozenset(
    {
        "AccessDeniedError",
        "BadRequestError",
        "FailedPrecondition",  # the stream is deleted (a single event)
        "InvalidTransactionError",
        "NodeIsNotLeader",
        "NotFound",
        "StreamIsDeleted",  # the same, of several events
        "WrongCurrentVersion",
    }
)

# And these follow from the append itself, so they hold for every try of it.
_REFUSED_EVERY_TRY: Final = frozenset({"MaximumAppendSizeExceededError"})
_TOO_LARGE: Final = "Maximum Append Size"
"""Of a single event it is a plain GrpcError, told by the server's details alone (§F2)."""


def one_try(took: int) -> bool:
    """Whether a call that ended after `took` nanoseconds was surely tried only once."""
    return took < RETRY_PAUSE


def append_outcome(error: BaseException, expected: Any, once: bool) -> str:
    """`failed` or `unknown` for the exception of an append of one event.

    `expected` is the revision that it expected, −1 for no stream, None for any or an existing one. `once`: the client
    tried only once (`one_try`).

    With an exact revision a conflict is certain after any number of tries: had an earlier one been done, this one, with
    the same id, would have been answered with success ("strong" idempotence, §C1). Where any revision is expected the
    server never says conflict of a single event, and a stream that had to exist may have come to be in between: so
    there a conflict is certain only if there was no other try. The same where no stream is expected: a deleted one
    begins again behind its last number, where the server does not look for the repetition.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _REFUSED_EVERY_TRY or _TOO_LARGE in str(error):
        return "failed"
    if expected is not None and expected >= 0 and "WrongCurrentVersion" in names:
        return "failed"
    return "failed" if once and names & _REFUSED_THIS_TRY else "unknown"

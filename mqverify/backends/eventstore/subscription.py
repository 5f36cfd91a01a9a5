"""A consumer's subscription on esdbclient's API, opened again whenever it breaks: the library does not do that itself.

docs/facts/eventstore.md §F5: iteration raises when the call ends, and nothing reconnects.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from mqverify.backends.eventstore.binding import Binding
from mqverify.units import SECOND
from mqverify.workload.client import Context, Feed, FeedEnded

__all__ = ["IN_BATCHES", "REOPEN_PAUSE", "Subscription"]

IN_BATCHES: Final = frozenset({"before_batch", "after_batch"})
"""Policies of settling for which the application takes more than one event at once."""

REOPEN_PAUSE: Final = SECOND
"""Nanoseconds from one vain attempt to open it to the next, beside the library's own two of 0.1 s."""

_AWAY: Final = ("GrpcError", "NodeIsNotLeader", "DiscoveryFailed")
"""What may pass by itself: a connection that is lost or cannot be made, a node away or no leader.

What else a call raises (no such subscription, a deleted stream, no access) another try would raise again.
"""
_COUNTED_STILL: Final = "MaximumSubscriptionsReached"
"""What may pass too, for a consumer that was there before: the server counts the one that it lost still."""


_Result = TypeVar("_Result")


class Subscription:
    """The events of what `subscribe()` opens, fetched beside the loop.

    `opened()` is called once it is open, `broken()` once it is found broken. Both take turns, beginning with `opened`.
    """

    def __init__(
        self,
        binding: Binding,
        context: Context,
        capacity: int,
        subscribe: Callable[[], Any],
        opened: Callable[[], None],
        broken: Callable[[], None],
    ) -> None:
        self._context = context
        self._capacity = capacity
        self._subscribe = subscribe
        self._opened = opened
        self._broken = broken
        exceptions = binding.library.exceptions
        self._away = tuple(getattr(exceptions, name) for name in _AWAY)
        self._away_again = (*self._away, getattr(exceptions, _COUNTED_STILL))
        self._feed: Feed | None = None
        self._try_at = 0
        self.native: Any = None
        """The library's own, or the last there was: what is settled on one that broke is lost, and no error."""

    @property
    def is_open(self) -> bool:
        return self._feed is not None

    def start(self) -> None:
        """Subscribe for the first time, as soon as the server can be reached. Raises what else the library raises."""
        self.insist(self._open)

    def insist(self, call: Callable[[], _Result]) -> _Result:
        """What `call()` returns, once the server can be reached."""
        while True:
            try:
                return call()
            except self._away:
                if self._context.stopping():
                    raise
            self._context.sleep(REOPEN_PAUSE)

    def _open(self) -> None:
        self.native = self._subscribe()
        self._feed = self._context.feed(self.native, self._capacity)
        self._opened()

    def take(self, timeout: int, most: int) -> Sequence[Any]:
        """What has come, at most `most`; waits up to `timeout` nanoseconds.

        Nothing, if it breaks; then later calls try to open it again, and wait for the next try while they cannot.
        """
        if self._feed is None:
            until = self._context.now() + timeout
            if not self._opens_again(timeout):
                return ()
            timeout = max(0, until - self._context.now())
        assert self._feed is not None
        try:
            return self._feed.take(timeout, most)
        except (FeedEnded, *self._away_again):
            self._give_up()
            return ()

    def close(self) -> None:
        """Leave, as far as it is open: what was acknowledged goes out before."""
        if self._feed is not None:
            self._feed.close()
            self.native.stop()

    def _opens_again(self, timeout: int) -> bool:
        context = self._context
        wait = self._try_at - context.now()
        if wait > 0:
            context.sleep(min(wait, timeout))
        if wait > timeout:
            return False
        try:
            self._open()
        except self._away_again:
            self._try_at = context.now() + REOPEN_PAUSE
        return self.is_open

    def _give_up(self) -> None:
        """Let a broken one go.

        The library's `stop` waits up to 5 s for its thread, which has ended without a word if acks could not be sent
        any more (docs/facts/eventstore.md §F5), so it is called beside the loop.
        """
        assert self._feed is not None
        self._feed.close()
        self._feed = None
        self._context.feed(_stopping(self.native), 1)
        self._broken()


def _stopping(native: Any) -> Iterator[Any]:
    """No events: what iterates over it stops a subscription."""
    native.stop()
    yield from ()

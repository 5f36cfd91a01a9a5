"""Counting distinct messages, and pulling the triggers that wait for a count."""

from collections.abc import Callable, Sequence

__all__ = ["Progress"]

_REPEATS_ALLOWED = 20
"""Times the number of messages: so often are repetitions counted as progress."""

_PRODUCER_METRICS = ("sent", "acked")


class _Counter:
    """How many distinct messages reached one milestone in one group."""

    __slots__ = ("count", "next_threshold", "repeats", "seen", "watches")

    def __init__(self, messages: int) -> None:
        self.seen = bytearray(messages)
        self.count = 0
        self.repeats = 0
        self.watches: list[tuple[int, Callable[[], None]]] = []
        self.next_threshold = -1

    def mark(self, message: int) -> None:
        if self.seen[message]:
            self.repeats += 1
            return
        self.seen[message] = 1
        self.count += 1
        if self.count == self.next_threshold:
            self._fire()

    def watch(self, threshold: int, call: Callable[[], None]) -> None:
        if self.count >= threshold:
            call()
            return
        self.watches.append((threshold, call))
        self.watches.sort(key=lambda watch: watch[0])
        self.next_threshold = self.watches[0][0]

    def _fire(self) -> None:
        due = [call for threshold, call in self.watches if threshold <= self.count]
        self.watches = [watch for watch in self.watches if watch[0] > self.count]
        self.next_threshold = self.watches[0][0] if self.watches else -1
        for call in due:
            call()


class Progress:
    """The counters of one run: `sent` and `acked` of all, the others for each group."""

    def __init__(self, messages: int, groups: Sequence[str], late: Sequence[str] = ()) -> None:
        """`late` are groups that come to be in mid-run: counted, but nobody waits for them."""
        self._groups = tuple(groups)
        self._counters = {(metric, ""): _Counter(messages) for metric in _PRODUCER_METRICS}
        for group in dict.fromkeys((*groups, *late)):
            for metric in ("delivered", "handled", "settled"):
                self._counters[metric, group] = _Counter(messages)

    def marker(self, metric: str, group: str | None) -> Callable[[int], None]:
        """A callable that marks a message, by its number, as having reached the milestone."""
        return self._counters[metric, group or ""].mark

    def count(self, metric: str, groups: Sequence[str] = ()) -> int:
        """How many distinct messages reached it in the slowest of these groups; without any, of all."""
        if metric in _PRODUCER_METRICS:
            return self._counters[metric, ""].count
        return min((self._counters[metric, name].count for name in groups or self._groups), default=0)

    def total(self) -> int:
        """Grows with every message that reaches a milestone, up to a bound also with those that do so again.

        A run in which it stands still makes no progress; one that only repeats itself for ever does not either.
        """
        return sum(
            counter.count + min(counter.repeats, _REPEATS_ALLOWED * len(counter.seen))
            for counter in self._counters.values()
        )

    def watch(self, metric: str, groups: Sequence[str], threshold: int, call: Callable[[], None]) -> None:
        """Call once when the slowest of these groups has reached the count."""
        if metric in _PRODUCER_METRICS:
            self._counters[metric, ""].watch(threshold, call)
            return
        missing = len(groups)

        def one_more() -> None:
            nonlocal missing
            missing -= 1
            if missing == 0:
                call()

        for name in groups:
            self._counters[metric, name].watch(threshold, one_more)

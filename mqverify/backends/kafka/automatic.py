"""What kafka-python commits by itself (`settle: automatic`), told as its look-alike tells it.

The client tells nobody of all of it: `default_offset_commit_callback` hears of its asynchronous commits only, in a
later `poll` and never in one of a process that was killed; of the commits before a rebalance and in `close()` it hears
nothing. But each of them, and each try of one, is one request (`internals.wrap_commits`). Who hears of that
knows what was asked for before it is sent, and what was answered. What a group has committed is read as well
(`KafkaAdmin.committed`), and shows if this missed any.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from mqverify.backends.kafka.internals import Commit, wrap_commits

__all__ = ["CommitObserver", "watch_commits"]


class CommitObserver(Protocol):
    """Who is told of commits, as by the look-alike."""

    def settling(self, consumer: Any, offsets: Mapping[Any, Any]) -> list[int]:
        """These are about to be asked for. What it returns is handed to `settled`."""

    def settled(self, tokens: list[int], error: BaseException | None) -> None:
        """It was done, or ended in that error."""


def watch_commits(library: Any, consumer: Any, observer: CommitObserver) -> None:
    """Have the observer told of every commit that this consumer of the library asks for.

    The look-alike tells its own observer, so nothing is done with one of its consumers. Raises BackendUnavailable where
    this version of kafka-python commits in another way: what it committed would be unknown, and not all would be judged
    that could be.
    """
    if hasattr(library, "observer"):
        return

    def heard(send: Commit) -> Commit:
        async def request(offsets: Mapping[Any, Any]) -> Any:
            if not offsets:
                return await send(offsets)
            tokens = observer.settling(consumer, offsets)
            try:
                answer = await send(offsets)
            except Exception as error:
                observer.settled(tokens, error)
                raise
            observer.settled(tokens, None)
            return answer

        return request

    wrap_commits(consumer, heard)

"""Events that wait to be pushed, and how reading history is joined to what is committed meanwhile.

`StreamBuffer` of the server (docs/facts/eventstore.md §A2, §A3, §A5).
"""

from collections import deque

from mqverify.simulation.eventstore.persistent.messages import Message

__all__ = ["StreamBuffer"]


class StreamBuffer:
    """`retry` is pushed before `waiting`. While not `live`, history is read, and `recent` holds the newest commits.

    `loaded` is the position of the checkpoint that the group resumes after, or None.
    """

    __slots__ = ("_limit", "_loaded", "live", "recent", "retry", "waiting")

    def __init__(self, history_buffer_size: int, live_buffer_size: int, loaded: int | None, live: bool) -> None:
        self.live = live
        self.retry: list[Message] = []
        self.waiting: deque[Message] = deque()
        self.recent: deque[Message] = deque(maxlen=live_buffer_size)
        """Drops its oldest when it is full."""
        self._limit = history_buffer_size
        self._loaded = loaded

    def accepts(self, count: int) -> bool:
        """Whether a read of `count` events is worth starting: there must be room for one more than that."""
        return self._limit - len(self.retry) - len(self.waiting) > count

    def add_retry(self, message: Message) -> None:
        """Before the first entry with a larger position; replayed ones have no position and go to the end."""
        position = message.position
        if position is not None:
            for index, other in enumerate(self.retry):
                if other.position is not None and position < other.position:
                    self.retry.insert(index, message)
                    return
        self.retry.append(message)

    def add_live(self, message: Message) -> None:
        """A commit. Without room for it the group falls behind, and has to read history again."""
        if self.live:
            if len(self.waiting) < self._limit:
                self.waiting.append(message)
            else:
                self.live = False
        self.recent.append(message)

    def add_read(self, message: Message) -> None:
        """An event of history: where it reaches what was committed meanwhile, the group goes live."""
        position = message.position
        assert position is not None
        if self.live or (self._loaded is not None and position <= self._loaded):
            return
        recent = self.recent
        if not recent or position < _position(recent[0]):
            self.waiting.append(message)
            return
        while recent and _position(recent[0]) < position:
            recent.popleft()
        self.waiting.extend(recent)
        recent.clear()
        self.live = True

    def try_to_go_live(self) -> bool:
        """History was read to its end: the group is live if nothing was committed that it has not seen."""
        if not self.recent:
            self.live = True
        return self.live


def _position(message: Message) -> int:
    assert message.position is not None
    return message.position

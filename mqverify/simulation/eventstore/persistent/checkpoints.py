"""How far a group is done, and when that is worth writing down: `TryMarkCheckpoint` (docs/facts/eventstore.md §A6)."""

from bisect import insort
from typing import Final

from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.eventstore.protocol import GroupSettings

__all__ = ["Progress"]

_NEVER: Final = -(2**62)


class Progress:
    """Sequence numbers of a group's messages, given as they leave the buffer, and its checkpoint.

    `loaded` is the position of the checkpoint that the group resumes after: it counts as number 0.
    """

    __slots__ = (
        "_after",
        "_last_position",
        "_last_sequence",
        "_last_time",
        "_least",
        "_most",
        "_next",
        "_unfinished",
        "_written_sequence",
        "last_marked",
    )

    def __init__(self, settings: GroupSettings, loaded: int | None) -> None:
        # 0 is taken as 1: the server would write the same position again and again.
        self._most = max(settings.max_checkpoint_count, 1)
        self._least = min(max(settings.min_checkpoint_count, 1), self._most)
        self._after = settings.checkpoint_after
        self._next = 0 if loaded is None else 1
        self._last_sequence = self._next - 1
        self._last_position = loaded
        self._written_sequence = self._next - 1
        self._last_time = _NEVER
        self._unfinished: list[Message] = []
        self.last_marked = loaded
        """The position that was last handed to the writer, or loaded."""

    def number(self, message: Message) -> None:
        """It leaves the buffer for the first time."""
        message.sequence = self._last_sequence = self._next
        message.previous = self._last_position
        self._next += 1
        self._last_position = message.position

    def filtered_out(self, position: int, count: int) -> None:
        """So many events, the last one at `position`, are not for this group."""
        self._last_position = position
        self._next += count
        self._last_sequence = self._next - 1

    def follow(self, message: Message) -> None:
        """A numbered message is open (`Message.open`): no checkpoint passes it before it is not."""
        if message.listed or message.replayed:
            return
        message.listed = True
        unfinished = self._unfinished
        if not unfinished or unfinished[-1].sequence < message.sequence:
            unfinished.append(message)
        else:
            insort(unfinished, message, key=_sequence)

    def mark(self, now: int, on_tick: bool) -> int | None:
        """The position to write, if it is time to: it counts as written from now on."""
        if self._last_sequence - self._written_sequence < (self._least if on_tick else self._most):
            return None
        sequence, position = self._done()
        difference = sequence - self._written_sequence
        if position is None or (self._is_early(now) and difference < self._most):
            return None
        if (on_tick and difference >= self._least) or difference >= self._most:
            self._last_time = now
            self._written_sequence = sequence
            self.last_marked = position
            return position
        return None

    def due(self, now: int) -> int | None:
        """When a tick would mark a checkpoint, as things stand."""
        if self._last_sequence - self._written_sequence < self._least:
            return None
        sequence, position = self._done()
        difference = sequence - self._written_sequence
        if position is None or difference < self._least:
            return None
        if difference >= self._most:
            return now
        return max(now, self._last_time + self._after) if self._after else None

    def _done(self) -> tuple[int, int | None]:
        """Sequence and position of the last message before which nothing is open."""
        unfinished = self._unfinished
        count = 0
        for message in unfinished:
            if message.open:
                break
            message.listed = False
            count += 1
        del unfinished[:count]
        if unfinished:
            return unfinished[0].sequence - 1, unfinished[0].previous
        return self._last_sequence, self._last_position

    def _is_early(self, now: int) -> bool:
        """`checkpoint_after: 0` is never (`ToCheckPointAfterTimeout`)."""
        return not self._after or now - self._last_time < self._after


def _sequence(message: Message) -> int:
    return message.sequence

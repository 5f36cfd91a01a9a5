"""What was pushed and is neither settled nor timed out: `OutstandingMessageCache` (docs/facts/eventstore.md §A2)."""

from uuid import UUID

from mqverify.simulation.eventstore.persistent.messages import Message

__all__ = ["Outstanding"]


class Outstanding:
    """By event id, in the order in which they expire: all of a group's messages have the same time-out."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[UUID, tuple[int, Message]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, identity: object) -> bool:
        return identity in self._entries

    def start(self, message: Message, expires: int) -> bool:
        """False, and nothing is tracked, where that id is outstanding already: the source has an event id twice."""
        if message.id in self._entries:
            message.open = False
            return False
        self._entries[message.id] = (expires, message)
        message.open = not message.replayed
        return True

    def get(self, identity: UUID) -> Message | None:
        found = self._entries.get(identity)
        return None if found is None else found[1]

    def remove(self, identity: UUID) -> None:
        found = self._entries.pop(identity, None)
        if found is not None:
            found[1].open = False

    def expired(self, now: int) -> list[Message]:
        """Those with `expires <= now`, the longest outstanding first. They stay until they are removed."""
        found = []
        for expires, message in self._entries.values():
            if expires > now:
                break
            found.append(message)
        return found

    def first_expiry(self) -> int | None:
        for expires, _ in self._entries.values():
            return expires
        return None

    def messages(self) -> list[Message]:
        return [message for _, message in self._entries.values()]

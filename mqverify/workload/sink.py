"""The sink behind the handlers of one group: which effects it takes, and which it refuses. Written once.

`plain` takes every effect; `idempotent` takes one of a message, by its id; `transactional` keeps positions beside the
effects, in the same transaction, and refuses what lies behind them. So the write of a consumer that was taken over
from while it did not look (a zombie) is refused, and whoever takes over starts at the sink's position.

Where effects lie is a world's affair: `mqverify.worlds.sinks`.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from mqverify.spec.model import SinkKind
from mqverify.workload.client import Received

__all__ = ["EffectStore", "Sink"]


class EffectStore(Protocol):
    """What is kept of one group's effects, as one incarnation of a consumer sees it. It outlives every crash.

    All calls but `transaction` are made inside of one.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """One step for all consumers of the group: all of it is kept, or nothing, and none goes on beside it."""

    def has(self, message: int) -> bool:
        """Whether there is an effect of that message."""

    def position(self, source: int) -> int | None:
        """The next position of a source, in the consumer's shard if it has one; None before there is one."""

    def move(self, source: int, position: int) -> None:
        """Set that position."""

    def add(self, received: Received) -> None:
        """Keep one effect, applied now by this consumer."""


class Sink:
    """A group's sink, in the hands of one incarnation of a consumer."""

    def __init__(self, kind: SinkKind, store: EffectStore) -> None:
        self.keeps_positions = kind == "transactional"
        """Whether consumers start where it stands, not where the broker thinks."""
        self._once = kind == "idempotent"
        self._store = store

    def position(self, source: int) -> int | None:
        """Where a consumer of this source goes on; None where nothing was stored yet."""
        if not self.keeps_positions:
            return None
        with self._store.transaction():
            return self._store.position(source)

    def apply(self, received: Received) -> bool:
        """Apply a message's effect; False if that is refused. That an idempotent sink has it already is no refusal."""
        store = self._store
        with store.transaction():
            if self.keeps_positions and not self._move_past(received):
                return False
            if not (self._once and received.message is not None and store.has(received.message)):
                store.add(received)
            return True

    def pass_over(self, received: Received) -> bool:
        """Go on behind a message that is skipped or parked, without an effect; False if that is refused."""
        if not self.keeps_positions:
            return True
        with self._store.transaction():
            return self._move_past(received)

    def _move_past(self, received: Received) -> bool:
        """Move the position behind a message, unless it is there already: then somebody else got so far."""
        stored = self._store.position(received.source)
        if stored is not None and received.position < stored:
            return False
        self._store.move(received.source, received.position + 1)
        return True

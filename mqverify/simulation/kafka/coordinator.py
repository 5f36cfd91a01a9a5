"""Where a consumer's group coordinator is, as the consumer knows: the part of kafka-python's `BaseCoordinator`.

With one broker the answer is always the same, but a connection that breaks makes the client ask again.
"""

from kafka.errors import InvalidMetadataError, KafkaTimeoutError, NodeNotReadyError, RetriableError

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.client import FOREVER, Client
from mqverify.simulation.kafka.metadata import ClientMetadata
from mqverify.simulation.kafka.protocol import FindCoordinator

__all__ = ["Coordinator"]


class Coordinator:
    """One consumer's knowledge of its coordinator."""

    def __init__(self, client: Client, metadata: ClientMetadata, group: str, backoff: int) -> None:
        self._client = client
        self._kernel = client.kernel
        self._metadata = metadata
        self._group = group
        self._backoff = backoff
        self._known = False
        self._lost = False
        self._lookup: Future | None = None

    @property
    def known(self) -> bool:
        """`coordinator()`: known, and not disconnected and waiting to reconnect."""
        if self._known and self._client.backing_off:
            self._known, self._lost = False, True
        return self._known

    @property
    def lost(self) -> bool:
        """Whether it was known and is not any more. A consumer that never asked finds it at no cost."""
        if self._client.connection is None:
            return not self.known and self._lost
        return self._lost

    def dead(self, error: BaseException) -> None:
        """`_failed_request`: it is looked up again, unless the request never left (`NodeNotReadyError`)."""
        if not isinstance(error, NodeNotReadyError):
            self._known, self._lost = False, True

    def lookup(self) -> Future:
        """Ask where it is; a question under way is shared."""
        if self._lookup is None:
            lookup = self._lookup = Future(self._kernel)
            self._client.send(FindCoordinator(self._group), lambda _: self._found(lookup), self._not_found)
            return lookup
        return self._lookup

    def ensure(self, until: int) -> bool:
        """`ensure_coordinator_ready_async`: block until it is known, or until `until`.

        Raises what a refresh of the metadata failed with, which kafka-python lets through.
        """
        while not self.known:
            lookup = self.lookup()
            if not lookup.wait(self._left(until)):
                return False
            error = lookup.error
            if isinstance(error, KafkaTimeoutError):
                return False
            if isinstance(error, InvalidMetadataError):
                update = self._metadata.request_update()
                if not update.wait(self._left(until)):
                    return False
                if isinstance(update.error, KafkaTimeoutError):
                    return False
                if update.error is not None:
                    raise update.error
            elif isinstance(error, RetriableError):
                self._kernel.sleep(self._backoff)
            if self._kernel.now >= until:
                return self.known
        return True

    def _found(self, lookup: Future) -> None:
        self._known, self._lost = True, False
        self._lookup = None
        lookup.resolve()

    def _not_found(self, error: BaseException) -> None:
        lookup, self._lookup = self._lookup, None
        self.dead(error)
        if lookup is not None:
            lookup.resolve(error=error)

    def _left(self, until: int) -> int | None:
        return None if until >= FOREVER else max(0, until - self._kernel.now)

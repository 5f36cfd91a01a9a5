"""What every client has: a connection, requests that block, and metadata of topics that it refreshes by itself."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kafka.errors import KafkaTimeoutError

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.protocol import Metadata, MetadataReply
from mqverify.simulation.kernel import MILLISECOND
from mqverify.simulation.renewals import Event

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["FOREVER", "Client", "ClientMetadata", "nanoseconds"]

FOREVER = 1 << 62


def nanoseconds(milliseconds: float | None) -> int:
    """A duration of kafka-python's configuration; None and infinity are for ever."""
    if milliseconds is None or milliseconds == float("inf"):
        return FOREVER
    return int(milliseconds * MILLISECOND)


class Client:
    """The network side of one producer, consumer or admin client."""

    def __init__(self, library: "KafkaLibrary", kind: str) -> None:
        self.library = library
        self.cluster = library.cluster
        self.kernel = library.cluster.kernel
        self.process = library.process
        self.name = library.client_name(kind)
        self.connection = self.cluster.connect(self.process, self.name)
        self.dice = self.kernel.stream(self.name)
        self.listening = False
        """Whether a rebalance listener is being told. Its thread is then the client's own IO thread."""

    def send(self, request: Any, then: Callable[[Any], Any]) -> None:
        """Send a request; `then(reply)` happens when the reply arrives."""
        self.connection.send(request, then)

    def ask(self, request: Any, timeout: int = FOREVER) -> Any:
        """Send a request and block until its reply; `KafkaTimeoutError` if it does not come in time."""
        self.require_not_listening()
        future = Future(self.kernel)
        self.connection.send(request, future.resolve)
        if not future.wait(None if timeout >= FOREVER else timeout):
            raise KafkaTimeoutError
        return future.value

    @property
    def blocked(self) -> bool:
        """Whether the IO thread is busy with a listener, so that no heartbeat leaves."""
        return self.listening and not self.library.profile.listeners_may_block

    def require_not_listening(self) -> None:
        """kafka-python 3 runs listeners on its IO thread, where a blocking call cannot be answered (`net.run`)."""
        if self.blocked:
            raise RuntimeError(
                "Cannot block on net.run() from the IO thread itself. This typically happens when a synchronous"
                " rebalance listener (or another IO-thread callback) calls a blocking consumer/admin API."
                " Use AsyncConsumerRebalanceListener and await the async variant, or move the blocking work to a"
                " worker thread."
            )

    def close(self) -> None:
        if not self.connection.closed:
            self.connection.close()


class ClientMetadata:
    """The topics that a client knows, refreshed every `metadata_max_age_ms` and on demand.

    New partitions are seen only so (docs/facts/kafka.md §C.6). `updated` is told after each refresh.
    """

    def __init__(
        self,
        client: Client,
        max_age: int,
        backoff: int,
        create_topics: bool,
        updated: Callable[[], None] | None = None,
    ) -> None:
        self.partitions: dict[str, int] = {}
        """The number of partitions of each topic known."""
        self.topics: Sequence[str] | None = ()
        """The topics to ask for; None for all."""
        self._client = client
        self._max_age = max_age
        self._create = create_topics
        self._updated = updated
        self._version = -1
        self._timer: Event | None = None
        self._update: Future | None = None
        self._sent = False
        self._again = False
        # Making a client has fetched the (empty) metadata once; the next refresh waits for `retry_backoff_ms`. So a
        # member that joins at once may be given its partitions only by a second rebalance (measured).
        self._backoff = backoff
        self._not_before = client.kernel.now + backoff

    def set_topics(self, topics: Sequence[str] | None) -> None:
        """Ask for other topics from now on; at once if there are new ones among them."""
        new = topics is None or any(topic not in self.partitions for topic in topics)
        self.topics = topics
        if new:
            self._again = self._sent
            self.request_update()

    def request_update(self) -> Future:
        """Refresh now; the future is resolved when it is done. A refresh under way is shared."""
        if self._update is None:
            self._update = Future(self._client.kernel)
            kernel = self._client.kernel
            if kernel.now >= self._not_before:
                self._send()
            else:
                kernel.call_at(self._not_before, self._send, process=self._client.process)
        return self._update

    def _send(self) -> None:
        self._sent = True
        self._client.send(Metadata(self.topics, self._create), self._arrived)

    def close(self) -> None:
        if self._timer is not None:
            self._client.kernel.cancel(self._timer)
            self._timer = None

    def _arrived(self, reply: MetadataReply) -> None:
        update, self._update, self._sent = self._update, None, False
        self.partitions = reply.partitions
        self._version = reply.version
        kernel = self._client.kernel
        self._not_before = kernel.now + self._backoff
        self.close()
        self._timer = kernel.call_at(
            kernel.now + self._max_age, self.request_update, process=self._client.process, renews=self._nothing_new
        )
        if self._again:
            self._again = False
            self.request_update()
        if self._updated is not None:
            self._updated()
        if update is not None:
            update.resolve()

    def _nothing_new(self) -> bool:
        """Whether a refresh would find what is known. Only the simulation can ask, to leap over idle time."""
        return self._client.cluster.broker.version == self._version

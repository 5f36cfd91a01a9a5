"""The topics that a client knows: kafka-python's `ClusterMetadata`, which refreshes itself by age and on demand."""

from collections.abc import Callable, Sequence

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.client import Client
from mqverify.simulation.kafka.protocol import Metadata, MetadataReply
from mqverify.simulation.renewals import Event

__all__ = ["ClientMetadata"]


class ClientMetadata:
    """Refreshed every `metadata_max_age_ms`, on demand, and when a connection breaks; a failed refresh is repeated.

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
        self._closed = False
        # Making a client has fetched the (empty) metadata once; the next refresh waits for `retry_backoff_ms`. So a
        # member that joins at once may be given its partitions only by a second rebalance (measured).
        self._backoff = backoff
        self._not_before = client.kernel.now + backoff
        client.on_lost.append(self.request_update)

    def set_topics(self, topics: Sequence[str] | None) -> None:
        """Ask for other topics from now on; at once if there are new ones among them."""
        new = topics is None or any(topic not in self.partitions for topic in topics)
        self.topics = topics
        if new:
            self._again = self._sent
            self.request_update()

    def request_update(self) -> Future:
        """Refresh now; the future is resolved when it is done, or with the error of an attempt that failed.

        A refresh under way is shared.
        """
        if self._update is None:
            self._update = Future(self._client.kernel)
            self._send_when_due()
        return self._update

    def close(self) -> None:
        self._closed = True
        self._stop_timer()

    def _send_when_due(self) -> None:
        kernel = self._client.kernel
        if kernel.now >= self._not_before:
            self._send()
        else:
            kernel.call_at(self._not_before, self._send, process=self._client.process)

    def _send(self) -> None:
        if self._closed:
            return
        if not self._client.connect():
            # `least_loaded_node` finds none: whoever waits goes on waiting, and it is tried again.
            self._not_before = self._client.kernel.now + self._backoff
            self._send_when_due()
            return
        self._sent = True
        self._client.send(Metadata(self.topics, self._create), self._arrived, self._failed)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._client.kernel.cancel(self._timer)
            self._timer = None

    def _arrived(self, reply: MetadataReply) -> None:
        update, self._update, self._sent = self._update, None, False
        self.partitions = reply.partitions
        self._version = reply.version
        kernel = self._client.kernel
        self._not_before = kernel.now + self._backoff
        self._stop_timer()
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

    def _failed(self, error: BaseException) -> None:
        """`failed_update`: who waits is told, and the refresh loop goes on after `retry_backoff_ms`."""
        update, self._update, self._sent = self._update, None, False
        if self._closed:
            return
        self._not_before = self._client.kernel.now + self._backoff
        self.request_update()
        if update is not None:
            update.resolve(error=error)

    def _nothing_new(self) -> bool:
        """Whether a refresh would find what is known. Only the simulation can ask, to leap over idle time."""
        return self._client.cluster.broker.version == self._version and not self._client.troubled

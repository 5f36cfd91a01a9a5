"""What a partition remembers of idempotent producers: docs/facts/kafka.md §A.3, Kafka's `ProducerStateManager`.

Of each producer the last five batches (`NUM_BATCHES_TO_RETAIN`): one of these that comes again is acknowledged with
its first offset, and nothing is appended; what follows the last is appended; all else is out of order.
"""

from collections import deque

from kafka.errors import InvalidProducerEpochError, OutOfOrderSequenceNumberError

__all__ = ["Origin", "ProducerSequences"]

Origin = tuple[int, int, int]
"""Producer id, epoch, the sequence of the first record."""

_RETAINED = 5
_MODULUS = 1 << 31  # sequences are Java ints that wrap to 0


class _Producer:
    __slots__ = ("batches", "epoch", "last_at", "next")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[tuple[int, int, int, int]] = deque(maxlen=_RETAINED)
        """First sequence, last sequence, base offset, log append time."""
        self.last_at = 0
        self.next = 0


class ProducerSequences:
    """The producers of one partition. `expiration` is `producer.id.expiration.ms`, in nanoseconds as all times here."""

    __slots__ = ("_expiration", "_producers")

    def __init__(self, expiration: int) -> None:
        self._expiration = expiration
        self._producers: dict[int, _Producer] = {}

    def duplicate_of(self, origin: Origin, count: int, now: int) -> tuple[int, int] | None:
        """Base offset and log append time of the retained batch that this one is, or None: it is to be appended.

        Raises `InvalidProducerEpochError` and `OutOfOrderSequenceNumberError`. A producer that nobody knows any more
        may begin anywhere, which is how a duplicate gets in after a day of rest.
        """
        identity, epoch, first = origin
        producer = self._producers.get(identity)
        if producer is not None and now - producer.last_at >= self._expiration:
            del self._producers[identity]
            producer = None
        if producer is None:
            return None
        if epoch < producer.epoch:
            raise InvalidProducerEpochError
        if epoch > producer.epoch:
            if first != 0:
                raise OutOfOrderSequenceNumberError
            return None
        if first == producer.next:
            return None
        last = (first + count - 1) % _MODULUS
        for batch_first, batch_last, base, append_time in producer.batches:
            if (batch_first, batch_last) == (first, last):
                return base, append_time
        raise OutOfOrderSequenceNumberError

    def appended(self, origin: Origin, count: int, base: int, append_time: int, now: int) -> None:
        identity, epoch, first = origin
        producer = self._producers.get(identity)
        if producer is None or producer.epoch != epoch:
            producer = self._producers[identity] = _Producer(epoch)
        producer.next = (first + count) % _MODULUS
        producer.batches.append((first, (first + count - 1) % _MODULUS, base, append_time))
        producer.last_at = now

"""Who holds a topic's partitions, who leads them, and whether they are in sync: as the brokers' metadata tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mqverify.backends.base import Brokers, NotDone
from mqverify.backends.kafka.internals import send_to
from mqverify.backends.kafka.patience import patiently

__all__ = ["Partition", "Replicas", "Trouble", "partitions_of"]

_ASK_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition as a broker's metadata tell it. `leader` is None where there is none."""

    topic: str
    number: int
    leader: int | None
    replicas: Sequence[int]
    in_sync: Sequence[int]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps readers of a partition from all that was acknowledged. Without a leader nobody can read it at all."""

    topic: str
    number: int
    leader: int | None
    what: str


class Replicas:
    """Asks brokers by number, since one that stands still keeps whoever asks waiting, and the others answer as well."""

    def __init__(self, admin: Any, library: Any, brokers: Brokers) -> None:
        self._admin = admin
        self._library = library
        self._brokers = brokers
        self._answered: int | None = None

    def of(self, topics: Sequence[str]) -> Sequence[Partition]:
        """The partitions of these topics. Raises NotDone if no broker answers."""
        why: BaseException | None = None
        for number in self._to_ask():
            try:
                answer = self._ask(number, topics)
            except self._library.errors.KafkaError as error:
                why = error
                continue
            found = partitions_of(answer["topics"])
            # The one that leads has not stood still so far, when the others do.
            self._answered = next((one.leader for one in found if one.leader is not None), number)
            return found
        raise NotDone(f"no broker says who holds the partitions: {why or 'none is alive'}") from why

    def troubled(self, topics: Sequence[str], least: int, patience: float) -> Iterator[Trouble]:
        """What is wrong with partitions of these topics, of which `least` replicas must be in sync.

        A follower that is alive and not in sync may be about to be. With fewer than `least` in sync the high watermark
        stands still: what acks=1 acknowledges then is not to be seen (docs/facts/kafka.md §0, 8).
        """
        alive = self._brokers.alive()
        # A client waits before it connects anew to one that was dead, so that it may be back and not be heard.
        for one in patiently(lambda: self.of(topics), NotDone, patience):
            late = [number for number in one.replicas if number in alive and number not in one.in_sync]
            if one.leader is None or one.leader not in alive:
                yield Trouble(one.topic, one.number, None, "it has no leader")
            elif late or len(one.in_sync) < least:
                what = f"of its replicas {list(one.replicas)} those in sync are {list(one.in_sync)}"
                yield Trouble(one.topic, one.number, one.leader, what)

    def _to_ask(self) -> Sequence[int]:
        return sorted(self._brokers.alive(), key=lambda number: (number != self._answered, number))

    def _ask(self, number: int, topics: Sequence[str]) -> Mapping[str, Any]:
        """kafka-python's `describe_topics` asks whichever broker it likes."""
        from kafka.protocol.metadata import MetadataRequest

        asked = [MetadataRequest.MetadataRequestTopic(name=topic) for topic in topics]
        request = MetadataRequest(topics=asked, allow_auto_topic_creation=False)
        return send_to(self._admin, number, request, _ASK_MS)


def partitions_of(topics: Iterable[Mapping[str, Any]]) -> Sequence[Partition]:
    """The partitions of topics, as a broker's metadata describe these."""
    return [_partition(topic["name"], one) for topic in topics for one in topic["partitions"]]


def _partition(topic: str, told: Mapping[str, Any]) -> Partition:
    leader = told["leader_id"]
    return Partition(
        topic, told["partition_index"], None if leader < 0 else leader, told["replica_nodes"], told["isr_nodes"]
    )

"""Histories of Event Store by hand, in the shapes that its adapter and its fresh reader write.

Streams are places, as are the category `$ce-orders` and `$all`. A message lies at a revision of its key's stream
`orders-KEY`, its link at a revision of the category, and it has a position in `$all`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mqverify.guarantees.findings import Verdict
from mqverify.guarantees.registry import find
from mqverify.guarantees.verdicts import fold
from tests.guarantees.histories import MS, History, judge_all

__all__ = ["WORDS", "EventStoreHistory"]

WORDS = {"position": "revision", "place": "stream"}


class EventStoreHistory(History):
    """A run whose groups follow `follows`: `category`, `all`, or one stream by its name."""

    def __init__(self, run: int = 0, *, follows: str = "category") -> None:
        super().__init__(run, partitions=0)
        self.category, self.everything = self.place("$ce-orders"), self.place("$all")
        self._streams: dict[str, int] = {}
        self._links: dict[int, dict[int, int]] = {self.category: {}, self.everything: {}}
        places = {"category": self.category, "all": self.everything}
        self.source = places[follows] if follows in places else self.stream(follows.removeprefix("orders-"))

    def stream(self, key: str) -> int:
        """The place of a key's stream."""
        if key not in self._streams:
            self._streams[key] = self.place(f"orders-{key}")
        return self._streams[key]

    def append(self, message: int, key: str = "a", **others: Any) -> None:
        """Append to the key's stream; the link and the position in `$all` follow from the order of appends."""
        self.send(message, key, partition=others.pop("partition", self.stream(key)), **others)
        if message in self._positions and message not in self._links[self.category]:
            self._links[self.category][message] = len(self._links[self.category])
            self._links[self.everything][message] = 1000 + 170 * len(self._links[self.everything])

    def along(self, message: int) -> int:
        """Where it lies in what the groups follow."""
        return self._links[self.source].get(message, self._positions[message][1])

    def take(self, message: int, consumer: str = "consumer-1", *, retry: int | None = None, **others: Any) -> None:
        """A delivery by the subscription; `retry` is the server's count."""
        self.deliver(message, consumer, source=self.source, source_position=self.along(message), **others)
        self.rows.tables["deliveries"][-1][2] = retry

    def handled(self, message: int, consumer: str = "consumer-1", **others: Any) -> None:
        self.take(message, consumer, result="handled", **others)

    def fails(self, message: int, consumer: str = "consumer-1", **others: Any) -> None:
        self.take(message, consumer, result="failed", **others)

    def subscribe(self, consumer: str = "consumer-1", *, start: int | None = None, start_from: str | None = None,
                  **others: Any) -> None:  # fmt: skip
        """A subscription is confirmed; a persistent one does not say where it starts."""
        self.assign(consumer, start=0, start_from=start_from, source=self.source, **others)
        self.rows.tables["assignments"][-1][8] = start

    def tells(self, message: int, action: str = "ack", consumer: str = "consumer-1", **others: Any) -> None:
        """An ack or nack."""
        self.settle(consumer, action=action, covers="one", message=message, position=self.along(message),
                    source=self.source, **others)  # fmt: skip

    def server_parks(self, message: int, *, named: bool = True, group: str = "group") -> None:
        self.settle("server", action="park", covers="one", message=message if named else None, group=group,
                    position=self.along(message), source=self.source, settled_by="server")  # fmt: skip

    def checkpoint(self, beyond: int, consumer: str = "server", *, settled_by: str = "server", **others: Any) -> None:
        """A checkpoint at this message: it is written as the position behind it."""
        self.settle(consumer, action="checkpoint", position=self.along(beyond) + 1, source=self.source,
                    settled_by=settled_by, **others)  # fmt: skip

    def look(self, found: Iterable[int] | None = None, *, parked: Mapping[str, Sequence[int]] | None = None,
             links: Iterable[int] | None = None, everything: Iterable[int] | None = None, reason: str = "end",
             first: Mapping[str, int] | None = None) -> None:  # fmt: skip
        """All passes of the fresh reader: streams with parked places, `$all`, and the category."""
        messages = sorted(self._positions) if found is None else list(found)
        number, read_at = self._readings, self._tick(None)
        self._readings += 3
        self.rows.add("readings", number, "stream", None, None, reason, True)
        for key, stream in self._streams.items():
            self._bound(number, "main", None, stream, (first or {}).get(key, 0), self._next[stream], read_at)
        for message in messages:
            self._entry(number, "main", None, message, self._positions[message])
        for group, members in (parked or {}).items():
            place = self.rows.place(f"$persistentsubscription-$ce-orders::{group}-parked")
            self._bound(number, "parked", group, place, 0, len(members), read_at)
            for position, message in enumerate(members):
                self._entry(number, "parked", group, message, (place, position))
        passes = (("all", self.everything, everything), ("category", self.category, links))
        for offset, (reader, source, shown) in enumerate(passes, start=1):
            of_source = self._links[source]
            self.rows.add("readings", number + offset, reader, source, None, reason, True)
            self._bound(number + offset, "main", None, source, 0, max(of_source.values(), default=-1) + 1, read_at)
            for message in messages if shown is None else shown:
                self._entry(number + offset, "main", None, message, self._positions[message],
                            (source, of_source[message]))  # fmt: skip

    def verdict(self, guarantee: str) -> Verdict:
        """The verdict of one guarantee, its sentences in Event Store's words."""
        known = find(guarantee)
        assert known is not None
        return fold(known, judge_all([self], guarantee, vocabulary={self.scenario: WORDS}), [self.summary()])

    def _bound(
        self, reading: int, place: str, group: str | None, partition: int, first: int, end: int, read_at: int
    ) -> None:
        self.rows.add("bounds", reading, place, group, partition, first, end, end, read_at * MS)

    def _entry(self, reading: int, place: str, group: str | None, message: int, lies: tuple[int, int],
               along: tuple[int, int] | None = None) -> None:  # fmt: skip
        key, sequence = self._messages[message]
        self.rows.add("log", reading, place, group, *lies, *(along or lies), message, key, sequence, 0, 100,
                      "committed", True)  # fmt: skip

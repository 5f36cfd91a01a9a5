"""What every part of the Event Store backend knows in one run: library, address, settings, plan and names.

Places are numbered: the streams of the plan's messages in order of first use, then the source that groups subscribe to
if it is none of them, then `$all`, then the place of each group's parked events. A source is a place.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid5

from mqverify.backends.base import Endpoint
from mqverify.units import SECOND
from mqverify.workload.groups import ConsumerGroup, resolve_groups
from mqverify.workload.plan import Plan

__all__ = ["ALL", "Binding", "delivery_of", "reads", "seconds", "streams_wanted"]

CATEGORY: Final = "orders"
ALL: Final = "$all"

_IDS: Final = UUID("6d717665-7269-5000-8000-000000000001")
"""The namespace of the ids of events; any would do."""
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Binding:
    """One run on one node. `library` is esdbclient or its look-alike."""

    library: Any
    endpoint: Endpoint
    """`HOST:PORT`, or an `esdb://` URI."""
    settings: Any
    plan: Plan
    prefix: str
    """It begins every name that the run creates, and holds no '-': a stream's category ends at the first."""
    unix_since_start: Callable[[int], int]
    """A Unix time in nanoseconds → nanoseconds since the run's start."""

    def client(self, name: str) -> Any:
        """A client of its own; `name` is its connection's."""
        address = self.endpoint.address
        uri = address if "://" in address else f"esdb://{address}?Tls=false"
        uri += f"{'&' if '?' in uri else '?'}ConnectionName={quote(name, safe='')}"
        return self.library.EventStoreDBClient(uri=uri)

    @property
    def observed(self) -> bool:
        """Whether somebody tells which acks the server applied: who looks at the look-alike; esdbclient has nobody."""
        return getattr(self.library, "observer", None) is not None

    # --- streams ---------------------------------------------------------------------------------------------------

    @cached_property
    def streams(self) -> list[str]:
        """The streams that the plan's messages go to, in order of first use; a stream's place is its index."""
        stem = f"{self.prefix}{CATEGORY}"
        if self.settings.stream == "one":
            return [stem]
        if self._modulus is not None:
            return [f"{stem}-{number}" for number in self._slots]
        keys = dict(zip(self.plan.key_numbers, self.plan.keys, strict=True))
        return [f"{stem}-{keys[number]}" for number in self._slots]

    @cached_property
    def place_of(self) -> dict[str, int]:
        """The places of those streams, by their names."""
        return {name: place for place, name in enumerate(self.streams)}

    def place_of_message(self, message: int) -> int:
        """The place of the stream that a message is appended to."""
        if self.settings.stream == "one":
            return 0
        number = self.plan.key_numbers[message]
        return self._slots[number if self._modulus is None else number % self._modulus]

    @cached_property
    def _modulus(self) -> int | None:
        _, percent, modulus = self.settings.stream.partition("%")
        return int(modulus) if percent else None

    @cached_property
    def _slots(self) -> dict[int, int]:
        """Of each key's number (or what `% N` leaves of it) the place of its stream."""
        numbers = dict.fromkeys(self.plan.key_numbers)
        if self._modulus is not None:
            numbers = dict.fromkeys(number % self._modulus for number in numbers)
        return {number: place for place, number in enumerate(numbers)}

    # --- sources ---------------------------------------------------------------------------------------------------

    @cached_property
    def source(self) -> str:
        """What groups subscribe to: a stream, a stream of links, or `$all`."""
        match reads(self.settings):
            case "category":
                return f"$ce-{self.prefix}{CATEGORY}"
            case "correlation":
                return f"$bc-{self.correlation(self.plan.keys[0])}"
            case "all":
                return ALL
        return self.streams[0]

    @property
    def source_holds_links(self) -> bool:
        return reads(self.settings) in {"category", "correlation"}

    @property
    def projection(self) -> str | None:
        """The projection that writes the links of the source, if it consists of links."""
        return {"category": "$by_category", "correlation": "$by_correlation_id"}.get(reads(self.settings))

    @property
    def resolve_links(self) -> bool:
        """Links are followed where the source consists of them, else as the settings say."""
        return self.source_holds_links or bool(self.settings.resolve_links)

    @property
    def own_streams(self) -> dict[str, Any]:
        """What filters `$all` to the streams of the run, for every method that reads it.

        One pattern in brackets, since esdbclient joins several without them (docs/facts/eventstore.md §F5).
        """
        stem = re.escape(f"{self.prefix}{CATEGORY}")
        pattern = stem if self.settings.stream == "one" else f"{stem}-.+"
        return {"filter_include": (f"({pattern})",), "filter_by_stream_name": True}

    def source_position(self, event: Any) -> int:
        """Where along the source an event was received: its link's revision, its own, or its commit position."""
        if self.source == ALL:
            return int(event.commit_position)
        return int(event.stream_position if event.link is None else event.link.stream_position)

    def received_position(self, event: Any) -> int | None:
        """As `source_position`, for an event that the server may have replayed from a group's parked stream.

        Its link lies there then (docs/facts/eventstore.md §A5); and where the source consists of links, nobody tells a
        consumer which of them it had come by.
        """
        if event.link is None or event.link.stream_name == self.source or self.source == ALL:
            return self.source_position(event)
        return int(event.stream_position) if event.stream_name == self.source else None

    # --- places ----------------------------------------------------------------------------------------------------

    @cached_property
    def source_place(self) -> int:
        return self.place_of.get(self.source, len(self.streams))

    @cached_property
    def all_place(self) -> int:
        return len(self.streams) + (self.source not in self.place_of and self.source != ALL)

    @cached_property
    def groups(self) -> tuple[ConsumerGroup, ...]:
        return resolve_groups(self.plan.workload, delivery_of(self.settings))

    def parked_place(self, group: str) -> int:
        """The place of a group's parked events."""
        return self.all_place + 1 + [one.name for one in self.groups].index(group)

    def places(self) -> list[str]:
        """The names of all places, as a history shows them: without the run's prefix."""
        names = [*self.streams]
        if self.source not in self.place_of and self.source != ALL:
            names.append(self.source)
        shown = [name.replace(self.prefix, "", 1) if self.prefix else name for name in names]
        parked = [f"parked of {group.name}" for group in self.groups] if self.persistent else []
        return [*shown, ALL, *parked]

    # --- subscriptions ---------------------------------------------------------------------------------------------

    @property
    def persistent(self) -> bool:
        return bool(self.settings.subscribe == "persistent")

    def group_id(self, group: str) -> str:
        return f"{self.prefix}{group}"

    def parked_stream(self, group: str) -> str:
        """Where the server keeps links to the events that it parked for a group (docs/facts/eventstore.md §A1)."""
        return f"$persistentsubscription-{self.source}::{self.group_id(group)}-parked"

    def from_end(self, group: ConsumerGroup) -> bool:
        """Whether the group starts at the end when nothing says where it stopped."""
        return bool(self.settings.from_end) if group.start is None else group.start == "end"

    # --- events ----------------------------------------------------------------------------------------------------

    def correlation(self, key: str) -> str:
        return f"{self.prefix}{key}"

    def event(self, message: int, attempt: int) -> Any:
        """The event that a message is. Tried again it has the same id, unless `event_id: per_try`."""
        number = message + ((attempt << 32) if self.settings.event_id == "per_try" else 0)
        return self.library.NewEvent(
            type="order",
            data=self.plan.payloads.encode(message),
            metadata=self._metadata(self.plan.keys[message]),
            content_type="application/octet-stream",
            id=UUID(int=self._first_id + number),
        )

    @cached_property
    def _first_id(self) -> int:
        """The ids of a run's events follow it, and are no other run's: its upper half is of the run."""
        return uuid5(_IDS, f"{self.prefix}/{self.plan.seed}").int >> 64 << 64

    @cached_property
    def _metadata(self) -> Callable[[str], bytes]:
        """A key's metadata, made once."""
        return cache(lambda key: json.dumps({"$correlationId": self.correlation(key)}).encode())

    def since_start(self, recorded_at: datetime) -> int:
        """A record's time, in nanoseconds since the run's start."""
        return self.unix_since_start((recorded_at - _UNIX) // _MICROSECOND * 1000)


def reads(settings: Any) -> str:
    """What is subscribed to, with its default resolved: `category`, `stream`, `all` or `correlation`."""
    if settings.read is not None:
        return str(settings.read)
    return "stream" if settings.stream == "one" else "category"


def streams_wanted(settings: Any, keys: int) -> int:
    """How many streams so many keys are spread over."""
    if settings.stream == "one":
        return 1
    _, percent, modulus = settings.stream.partition("%")
    return min(keys, int(modulus)) if percent else keys


def delivery_of(settings: Any) -> Any:
    """`competing`: the server shares a subscription's events; `own`: a catch-up subscription shares nothing."""
    return "competing" if settings.subscribe == "persistent" else "own"


def seconds(duration: int) -> float:
    """Nanoseconds as esdbclient takes them."""
    return duration / SECOND

"""Stream metadata, and what of a stream is there to be read by it.

Metadata is the last event of `$$stream`. It is applied at read time only, so nothing here changes a stream
(docs/facts/eventstore.md §C3; `StreamMetadata.FromJson`, `IndexReader`).
"""

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mqverify.simulation.eventstore.records import RecordedEvent
from mqverify.simulation.kernel import SECOND

__all__ = ["KEEP_ALL", "OF_METASTREAMS", "SOFT_DELETED", "StreamMetadata", "first_present", "undeleted"]

SOFT_DELETED: Final = 2**63 - 1
"""The `$tb` of a soft-deleted stream, and the event number of a tombstone (`EventNumber.DeletedStream`)."""


@dataclass(frozen=True, slots=True)
class StreamMetadata:
    """What a stream keeps. `max_age` is in nanoseconds."""

    max_count: int | None = None
    max_age: int | None = None
    truncate_before: int | None = None

    @property
    def soft_deleted(self) -> bool:
        return self.truncate_before == SOFT_DELETED

    @classmethod
    def of(cls, event: RecordedEvent) -> "StreamMetadata":
        """As the last event of a metastream says. What cannot be understood, in whole or in part, says nothing."""
        found = _json_object(event) or {}
        count, age, before = (found.get(name) for name in ("$maxCount", "$maxAge", "$tb"))
        if not (_is_number(count, 1) and _is_number(age, 1) and _is_number(before, 0)):
            return KEEP_ALL
        return cls(count, None if age is None else age * SECOND, before)


KEEP_ALL: Final = StreamMetadata()
OF_METASTREAMS: Final = StreamMetadata(max_count=1)


def first_present(events: Sequence[RecordedEvent], metadata: StreamMetadata, now: int) -> int:
    """The number of the first event that a read finds; the number behind the last where it finds none.

    `min = max(last - maxCount + 1, tb)`, and with `$maxAge` nothing older than that (docs/facts/eventstore.md §C3).
    """
    if metadata is KEEP_ALL:
        return 0
    first = metadata.truncate_before or 0
    if metadata.max_count is not None:
        first = max(first, len(events) - metadata.max_count)
    first = min(first, len(events))
    if metadata.max_age is not None:
        first = bisect_left(events, now - metadata.max_age, lo=first, key=_created)
    return first


def undeleted(event: RecordedEvent, first: int) -> bytes | None:
    """The metadata of a soft-deleted stream whose events from `first` on shall be there again; None: it is no JSON.

    All else that `event` says is kept (`StorageWriterService.SoftUndeleteRawMeta`).
    """
    found = _json_object(event)
    return None if found is None else json.dumps({**found, "$tb": first}, separators=(",", ":")).encode()


def _json_object(event: RecordedEvent) -> dict[str, Any] | None:
    if event.content_type != "application/json":
        return None
    try:
        found = json.loads(event.data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_number(value: object, least: int) -> bool:
    return value is None or (type(value) is int and least <= value <= SOFT_DELETED)


def _created(event: RecordedEvent) -> int:
    return event.created

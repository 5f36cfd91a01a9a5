"""Which records of `$all` a reader or subscriber asked for (`EventFilter`, docs/facts/eventstore.md §B)."""

import re

from mqverify.simulation.eventstore.protocol import AllFilter
from mqverify.simulation.eventstore.records import RecordedEvent

__all__ = ["EventFilter", "hidden_from_subscribers"]

_GROUPS_ON_ALL = "$persistentsubscription-$all::"
_WRITTEN_BY_GROUPS = ("-checkpoint", "-parked")


def hidden_from_subscribers(event: RecordedEvent) -> bool:
    """What no subscriber to `$all` is sent: else a group on `$all` would feed on its own checkpoints."""
    name = event.stream_name
    return name.startswith(_GROUPS_ON_ALL) and name.endswith(_WRITTEN_BY_GROUPS)


class EventFilter:
    """Calls tell whether an event is wanted. What was found for a type or a stream's name is remembered."""

    __slots__ = ("_by_stream_name", "_known", "_pattern")

    def __init__(self, asked: AllFilter) -> None:
        self._pattern = None if asked.pattern is None else re.compile(asked.pattern)
        self._by_stream_name = asked.by_stream_name
        self._known: dict[str, bool] = {}

    @property
    def filters(self) -> bool:
        """Whether there is anything that was asked for; only then are there checkpoints."""
        return self._pattern is not None

    def __call__(self, event: RecordedEvent) -> bool:
        if self._pattern is None:
            return not hidden_from_subscribers(event)
        name = event.stream_name if self._by_stream_name else event.type
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._pattern.search(name) is not None
        return known and not hidden_from_subscribers(event)

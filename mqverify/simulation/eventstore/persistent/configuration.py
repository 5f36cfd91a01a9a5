"""Which groups there are, as the node keeps it in its log (docs/facts/eventstore.md §A1).

The whole of it is written on every change, as one event.
"""

import json
from dataclasses import asdict
from typing import Final

from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.protocol import AllFilter, Failed, GroupSettings
from mqverify.simulation.eventstore.records import NewEvent

__all__ = ["Entries", "load", "save"]

Entries = dict[tuple[str | None, str], GroupSettings]
"""By stream (None: `$all`) and group, in order of creation."""

_STREAM: Final = "$persistentSubscriptionConfig"
_TYPE: Final = "$PersistentConfig"


def load(log: Log, now: int) -> Entries:
    """What the last event of the configuration's stream says; empty where there is none."""
    found = log.read_stream(_STREAM, None, 1, now, backwards=True)
    if isinstance(found, Failed) or not found:
        return {}
    entries = json.loads(found[0].data)["entries"]
    return {(entry["stream"], entry["group"]): _settings(entry["settings"]) for entry in entries}


def save(entries: Entries, log: Log, now: int) -> None:
    """Append all of it as one event, as the server does at every change."""
    found = [
        {"stream": stream, "group": group, "settings": asdict(settings)}
        for (stream, group), settings in entries.items()
    ]
    data = json.dumps({"version": "2", "entries": found}).encode()
    log.append(_STREAM, "any", (NewEvent(_TYPE, data, id=log.new_id()),), now)


def _settings(found: dict[str, object]) -> GroupSettings:
    return GroupSettings(**{**found, "filter": AllFilter(**found["filter"])})  # type: ignore[arg-type]

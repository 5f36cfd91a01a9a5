"""Where streams and sources end, as esdbclient tells it."""

from typing import Any

from mqverify.backends.eventstore.binding import ALL, Binding

__all__ = ["current_revision", "has_more", "last_position"]


def current_revision(client: Any, binding: Binding, stream: str) -> int:
    """The number of a stream's last event, −1 if it never had one.

    A stream whose events have all expired reads empty, and esdbclient's `get_current_version` takes the first of no
    events then; `$all` still knows the last one.
    """
    try:
        version = client.get_current_version(stream)
    except IndexError:
        with client.read_all(backwards=True, **binding.own_streams) as events:
            return next((int(event.stream_position) for event in events if event.stream_name == stream), -1)
    return -1 if version is binding.library.StreamState.NO_STREAM else int(version)


def last_position(client: Any, binding: Binding, source: str) -> int:
    """The position of the last event that can be read along a source, links unresolved; −1: there is none."""
    if source == ALL:
        with client.read_all(backwards=True, limit=1, **binding.own_streams) as events:
            return next((int(event.commit_position) for event in events), -1)
    last = _first(client, binding, source, backwards=True, limit=1)
    return -1 if last is None else int(last.stream_position)


def has_more(client: Any, binding: Binding, position: int) -> int | None:
    """The first position at or behind `position` from which a subscription to the source would deliver; None: none.

    What has expired, and links to what has, are never delivered.
    """
    if binding.source == ALL:
        after = position - 1 if position else None  # reads begin at a record: the one before was handled
        with client.read_all(commit_position=after, limit=2, **binding.own_streams) as events:
            return next((int(event.commit_position) for event in events if event.commit_position >= position), None)
    options: dict[str, Any] = {"resolve_links": True} if binding.resolve_links else {"limit": 1}
    found = _first(client, binding, binding.source, stream_position=position, **options)
    return None if found is None else binding.source_position(found)


def _first(client: Any, binding: Binding, stream: str, **how: Any) -> Any:
    """The first event of a read, or None; a stream that is not there has none."""
    try:
        return next(iter(client.get_stream(stream, **how)), None)
    except binding.library.exceptions.NotFound:
        return None

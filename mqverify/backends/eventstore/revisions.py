"""Where streams and sources end, as esdbclient tells it."""

from typing import Any

from mqverify.backends.eventstore.binding import ALL, Binding

__all__ = ["current_revision", "has_more", "last_position", "revision_behind_expiry"]


def current_revision(client: Any, binding: Binding, stream: str) -> int:
    """The number of a stream's last event, −1 if it has none, also where all of them have expired.

    A stream whose events have all expired reads empty, and esdbclient's `get_current_version` then fails with an
    IndexError; `$all` still knows the last one.
    """
    last = _readable(client, binding, stream, backwards=True, limit=1)
    return revision_behind_expiry(client, binding, stream) if last is None else int(last.stream_position)


def revision_behind_expiry(client: Any, binding: Binding, stream: str) -> int:
    """The number of a stream's last event, whatever its metadata hides; −1 if `$all` has none of it."""
    if stream not in binding.place_of:
        return -1
    with client.read_all(backwards=True, **binding.own_streams) as events:
        return next((int(event.stream_position) for event in events if event.stream_name == stream), -1)


def last_position(client: Any, binding: Binding, source: str) -> int:
    """The position of the last event that can be read along a source, links unresolved; −1: there is none."""
    if source == ALL:
        with client.read_all(backwards=True, limit=1, **binding.own_streams) as events:
            return next((int(event.commit_position) for event in events), -1)
    last = _readable(client, binding, source, backwards=True, limit=1)
    return -1 if last is None else int(last.stream_position)


def has_more(client: Any, binding: Binding, position: int) -> int | None:
    """The first position at or behind `position` from which a subscription to the source would deliver; None: none.

    What has expired, and links to what has, are never delivered.
    """
    if binding.source == ALL:
        after = position - 1 if position else None  # reads begin at a record: the one before was handled
        with client.read_all(commit_position=after, **binding.own_streams) as events:
            return next((int(event.commit_position) for event in events if event.commit_position >= position), None)
    found = _readable(client, binding, binding.source, stream_position=position, resolve_links=binding.resolve_links)
    return None if found is None else binding.source_position(found)


def _readable(client: Any, binding: Binding, stream: str, **how: Any) -> Any:
    """The first event of a read, or None; a stream that is not there has none."""
    try:
        with client.read_stream(stream, **how) as events:
            return next(iter(events), None)
    except binding.library.exceptions.NotFound:
        return None

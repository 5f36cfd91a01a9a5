"""Deleted streams, scavenges, replayed events: what was legal, what no guarantee excuses (docs/meaning.md §3)."""

import pytest

from tests.guarantees.eventstore import EventStoreHistory

LAST = 2**63 - 1
"""`$tb` of a stream that was deleted and is not there again."""


def deleted(before: int = 3, handled: int = 3, at: int = 50, **group: str) -> EventStoreHistory:
    """Three events of a, one of b; `orders-a` is deleted before number `before`, as the history says at `at`."""
    history = EventStoreHistory()
    history.group(delivery="own", **group)
    history.subscribe(start=0, start_from="beginning")
    for message in range(3):
        history.append(message, "a")
    history.append(3, "b")
    for message in range(handled):
        history.handled(message)
    history.handled(3)
    history.look(reason="before delete_stream of fault 0")
    history.setting("truncate_before", before, place=history.stream("a"), since=at)
    history.fault("delete_stream", at=at)
    return history


def test_a_deleted_stream_is_legally_gone_and_not_there_for_ever() -> None:
    history = deleted()
    history.look([3], first={"a": 3}, everything=range(4))
    durable, past = history.verdict("durable"), history.verdict("durable_past_retention")
    assert (durable.verdict, durable.obligations) == ("held", 5), "four before it was deleted, one after"
    assert (past.verdict, past.violations, past.obligations) == ("violated", 3, 4)
    assert history.verdict("at_least_once").verdict == "held"


def test_a_deletion_excuses_only_what_lay_before_it() -> None:
    """A later event of the stream that begins again is owed by the log as before."""
    history = deleted()
    history.append(4, "a", at=60)
    history.handled(4)
    history.append(5, "a")
    history.handled(5)
    history.look([3, 5], first={"a": 4}, everything=range(6))
    durable = history.verdict("durable")
    assert (durable.verdict, durable.violations) == ("violated", 1)


def test_a_deletion_excuses_nothing_before_it_happened() -> None:
    """§5.3's like: the reading before the fault does not find what it should."""
    history = EventStoreHistory()
    history.group(delivery="own")
    for message in range(3):
        history.append(message, "a")
    history.look([2], first={"a": 2}, everything=range(3), reason="before delete_stream of fault 0")
    history.setting("truncate_before", 3, place=history.stream("a"), since=50)
    history.fault("delete_stream", at=50)
    history.look([], first={"a": 3}, everything=range(3))
    assert (history.verdict("durable").verdict, history.verdict("durable").violations) == ("violated", 2)


def test_a_deletion_in_one_stream_excuses_nothing_in_another() -> None:
    history = deleted()
    history.look([], first={"a": 3, "b": 1}, everything=range(4))
    assert history.verdict("durable").violations == 1


@pytest.mark.parametrize("value", ["unlimited", "1"])
def test_a_deletion_leaves_the_limit_of_all_streams_in_force_elsewhere(value: str) -> None:
    history = deleted()
    history.setting("truncate_before", value)
    history.look([], first={"a": 3, "b": 1}, everything=range(4))
    assert history.verdict("durable").violations == (1 if value == "unlimited" else 0)


def test_what_was_deleted_before_it_was_handled_is_owed_all_the_same() -> None:
    history = deleted(handled=1)
    history.checkpoint(3, "consumer-1", settled_by="consumer")
    history.look([3], first={"a": 3}, everything=range(4))
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 2)
    assert history.verdict("durable").verdict == "held"
    assert history.verdict("settle_safety").verdict == "held", "settled past only once it was gone"


def test_all_shows_what_was_deleted_until_a_scavenge() -> None:
    """Without a scavenge the reader of `$all` finds it; after one only the last record of the stream is there."""
    for scavenged, left in ((False, range(4)), (True, (2, 3))):
        history = deleted()
        if scavenged:
            history.fault("scavenge")
        history.look([3], first={"a": 3}, everything=left)
        history.parameter("durable_past_retention", "reader", "all")
        past = history.verdict("durable_past_retention")
        assert (past.verdict, past.violations) == (("violated", 2) if scavenged else ("held", 0))
        assert history.verdict("durable").verdict == "held"


def test_a_scavenge_removes_nothing_from_a_stream_that_nothing_marked() -> None:
    history = EventStoreHistory()
    history.group(delivery="own")
    for message in range(3):
        history.append(message, "a")
    history.fault("scavenge")
    history.look([2], first={"a": 2}, everything=[2])
    assert (history.verdict("durable").verdict, history.verdict("durable").violations) == ("violated", 2)


def test_a_deletion_whose_extent_never_became_known_excuses_whatever_the_stream_had() -> None:
    history = deleted(before=LAST)
    history.look([3], first={"a": 3}, everything=range(4))
    assert history.verdict("durable").verdict == "held"


@pytest.mark.parametrize(("position", "expected"), [(3, "inconclusive"), (5, "violated")])
def test_who_expects_no_stream_may_append_where_a_deleted_one_begins_again(position: int, expected: str) -> None:
    history = deleted()
    history.append(4, "a", at=60, position=position, expected=-1, actual=position)
    history.look([3, 4], first={"a": position}, everything=range(5))
    assert history.verdict("optimistic_concurrency").verdict == expected


def parked_and_replayed(handled: bool, parked_again: bool) -> EventStoreHistory:
    """Message 0 lay in the parked place; it was replayed."""
    history = EventStoreHistory()
    history.group(delivery="competing")
    history.subscribe()
    history.append(0)
    history.fails(0)
    history.tells(0, "park")
    history.look(parked={"group": [0]}, reason="before replay_parked of fault 0")
    history.fault("replay_parked")
    history.deliver(0, result="handled" if handled else "failed", source=history.source, source_position=None)
    if parked_again:
        history.settle("consumer-1", action="park", covers="one", message=0, position=None, source=history.source)
    history.look(parked={"group": [0] if parked_again else []})
    return history


@pytest.mark.parametrize(
    ("handled", "parked_again", "expected"),
    [(True, False, "held"), (False, True, "held"), (False, False, "violated")],
)
def test_h10_a_replayed_event_is_owed_again(handled: bool, parked_again: bool, expected: str) -> None:
    """Its place along the source is unknown to who gets it, and nothing depends on that."""
    history = parked_and_replayed(handled, parked_again)
    assert history.verdict("at_least_once").verdict == expected
    assert history.verdict("settle_safety").verdict == "held", "it was parked when the nack said so"
    assert history.finding("integrity").violations == 0

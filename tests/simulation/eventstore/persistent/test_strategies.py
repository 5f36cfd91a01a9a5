"""Rules of docs/facts/eventstore.md §A4: which consumer gets what, to the exact event."""

import json
from zlib import crc32

import pytest

from mqverify.simulation.eventstore.persistent.messages import Message
from mqverify.simulation.eventstore.persistent.strategies import Pinned, PinnedByCorrelation
from mqverify.simulation.eventstore.records import RecordedEvent, UnresolvedLink
from tests.simulation.eventstore.persistent.subject import Subject, record


def streams_in_distinct_buckets(count: int) -> list[str]:
    """In the order of their buckets."""
    found: dict[int, str] = {}
    for number in range(100):
        found.setdefault(crc32(f"order-{number}".encode()) % 1024, f"order-{number}")
    return [found[bucket] for bucket in sorted(found)[:count]]


S = streams_in_distinct_buckets(8)


def test_a4_round_robin_takes_consumers_in_turn() -> None:
    subject = Subject()
    for name in "ABC":
        subject.join(name)
    subject.live(0, 1, 2, 3)
    assert subject.owners() == "ABCA"


def test_a4_round_robin_passes_over_who_is_full_and_the_turn_goes_on_behind_who_accepted() -> None:
    subject = Subject()
    subject.join("A", slots=1)
    subject.join("B", slots=3)
    subject.join("C", slots=1)
    subject.live(0, 1, 2, 3, 4, 5)
    assert subject.owners() == "ABCBB"
    assert subject.waiting == [5]


def test_a4_dispatch_to_single_keeps_to_the_head_while_it_accepts() -> None:
    subject = Subject(strategy="DispatchToSingle")
    subject.join("A", slots=2)
    subject.join("B", slots=5)
    subject.live(0, 1, 2)
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0), ("B", 2, 0)]


def test_a4_dispatch_to_single_stays_with_the_next_one_though_the_first_is_free_again() -> None:
    subject = Subject(strategy="DispatchToSingle")
    subject.join("A", slots=2)
    subject.join("B", slots=2)
    subject.live(0, 1, 2)
    subject.pushes()
    subject.ack(0, 1)
    subject.live(3)
    assert subject.pushes() == [("B", 3, 0)], "B is the head now"
    subject.live(4)
    assert subject.pushes() == [("A", 4, 0)], "A gets something when B fills"


@pytest.mark.parametrize("strategy", ["RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation"])
def test_a4_nothing_is_sent_without_consumers(strategy: str) -> None:
    subject = Subject(strategy=strategy)
    subject.live(0)
    subject.subscription.push(subject.now)
    assert subject.pushed == []
    assert subject.waiting == [0]


def test_a4_pinned_assigns_a_bucket_to_who_has_fewest_the_first_of_equals() -> None:
    subject = Subject(strategy="Pinned")
    for name in "AB":
        subject.join(name)
    for number, stream in enumerate(S[:4]):
        subject.live(number, stream=stream)
    assert subject.owners() == "ABAB"


def test_a4_pinned_gives_all_of_a_stream_to_its_consumer_several_at_once() -> None:
    subject = Subject(strategy="Pinned")
    for name in "AB":
        subject.join(name)
    subject.live(0, 1, stream=S[0])
    subject.live(2, stream=S[1])
    subject.live(3, stream=S[0])
    assert subject.pushes() == [("A", 0, 0), ("A", 1, 0), ("A", 3, 0), ("B", 2, 0)]


def test_a4_pinned_skips_what_a_full_consumer_must_take_and_others_go_on() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A", slots=1)
    subject.join("B", slots=2)
    subject.live(0, stream=S[0])
    subject.live(1, stream=S[1])
    subject.live(2, stream=S[0])
    subject.live(3, stream=S[1])
    assert subject.pushes() == [("A", 0, 0), ("B", 1, 0), ("B", 3, 0)]
    assert subject.retry == [2]


def test_a4_pinned_without_any_free_capacity_stops_and_skips_nothing() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A", slots=1)
    subject.live(0, 1, stream=S[0])
    subject.live(2, stream=S[1])
    assert subject.pushes() == [("A", 0, 0)]
    assert (subject.retry, subject.waiting) == ([], [1, 2])


def test_a4_pinned_hands_the_buckets_of_who_left_to_who_has_fewest_at_their_next_message() -> None:
    subject = Subject(strategy="Pinned")
    a = subject.join("A")
    subject.join("B")
    for number, stream in enumerate(S[:4]):
        subject.live(number, stream=stream)
    subject.pushes()
    subject.ack(0, 1, 2, 3)
    subject.subscription.leave(a)  # A had S[0] and S[2]
    subject.live(4, stream=S[0])
    assert subject.pushes() == [("B", 4, 0)]
    subject.join("C")  # of B's three buckets, one goes to C: S[1], the first of those without messages in flight
    subject.live(5, stream=S[1])
    assert subject.pushes() == [("C", 5, 0)]
    subject.live(6, stream=S[2])
    assert subject.pushes() == [("C", 6, 0)], "B has two buckets, C has one"


def test_a4_pinned_gives_who_joins_the_surplus_of_others_those_with_fewest_in_flight_first() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A")
    for number, stream in enumerate(S[:4]):
        subject.live(number, stream=stream)
    subject.pushes()
    subject.ack(1, 2)  # in flight to A: S[0] and S[3]; 4 buckets, 2 consumers: A gives up 2
    subject.join("B")
    for number, stream in enumerate(S[:4], 10):
        subject.live(number, stream=stream)
    assert sorted(subject.pushes()) == [("A", 10, 0), ("A", 13, 0), ("B", 11, 0), ("B", 12, 0)]


def test_a4_pinned_moves_a_bucket_with_messages_in_flight_without_draining_it() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A")
    subject.live(0, stream=S[0])
    subject.live(1, stream=S[1])
    subject.pushes()
    subject.join("B")
    subject.live(2, stream=S[0])
    assert subject.pushes() == [("B", 2, 0)], "while A has 0 of the same stream in hand"


def test_a4_pinned_leaves_buckets_where_they_are_if_nobody_has_more_than_its_share() -> None:
    subject = Subject(strategy="Pinned")
    subject.join("A")
    subject.live(0, stream=S[0])
    subject.pushes()
    subject.join("B")
    subject.live(1, stream=S[0])
    assert subject.pushes() == [("A", 1, 0)]


def test_a4_pinned_hands_on_a_bucket_whose_messages_timed_out_at_who_left() -> None:
    subject = Subject(strategy="Pinned")
    a = subject.join("A")
    subject.join("B")
    subject.live(0, 1, stream=S[0])
    subject.pushes()
    subject.subscription.leave(a)
    assert subject.pushes() == [("B", 0, 1), ("B", 1, 1)]


def test_a4_pinned_forgets_what_was_in_flight_to_who_left() -> None:
    subject = Subject(strategy="Pinned")
    a = subject.join("A")
    subject.live(0, stream=S[0])
    subject.live(1, stream=S[1])
    subject.pushes()
    subject.ack(1)
    subject.subscription.leave(a)
    subject.join("B")
    subject.live(2, stream=S[1])
    assert subject.pushes() == [("B", 0, 1), ("B", 2, 0)]
    subject.ack(0, 2)
    subject.join("C")  # nothing is in flight in either bucket, so the first one moves
    subject.live(3, stream=S[0])
    subject.live(4, stream=S[1])
    assert subject.owners() == "CB"


def link(data: bytes, stream: str = "$ce-order") -> RecordedEvent:
    return record(5, stream, type="$>", data=data)


def test_a4_pinned_goes_by_the_full_name_of_the_source_stream() -> None:
    pinned = Pinned()
    assert pinned.key(Message(record(0, "order-1"), 0)) == "order-1"
    resolved = record(0, "order-2").resolved_from(link(b"0@order-2"))
    assert pinned.key(Message(resolved, 5)) == "order-2"
    assert pinned.key(Message(link(b"7@order-3"), 5)) == "order-3", "a link, links are not resolved"
    assert pinned.key(Message(UnresolvedLink.of(link(b"7@order@4")), 5)) == "order@4", "behind the first @"
    assert pinned.key(Message(link(b"nothing"), 5)) == "nothing"


def test_a4_pinned_by_correlation_goes_by_the_metadata_at_the_top_and_only_by_strings() -> None:
    strategy = PinnedByCorrelation()

    def key(metadata: object) -> str:
        return strategy.key(Message(record(0, "order-1", metadata=json.dumps(metadata).encode()), 0))

    assert key({"$correlationId": "c-1"}) == "c-1"
    assert key({"$correlationId": 7}) == "order-1"
    assert key({"inner": {"$correlationId": "c-1"}}) == "order-1"
    assert key(["$correlationId"]) == "order-1"
    assert strategy.key(Message(record(0, "order-1", metadata=b"$correlationId"), 0)) == "order-1"
    assert strategy.key(Message(record(0, "order-1"), 0)) == "order-1"

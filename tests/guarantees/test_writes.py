"""MQ116 send_ordering, MQ123 no_duplicate_writes, MQ125 consistent_positions: what lies where."""

import pytest

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import DAY, History

WRITES = ("send_ordering", "no_duplicate_writes", "consistent_positions")


def stored_as(*log: int, sent: int | None = None) -> History:
    """Messages of one key, each sent once and acknowledged, and a log that holds them so."""
    history = History()
    for message in range(max(log) + 1 if sent is None else sent):
        history.send(message, position=log.index(message) if message in log else None)
    history.read_log([(message, position) for position, message in enumerate(log)], end=len(log))
    return history


@pytest.mark.parametrize("guarantee", WRITES)
def test_a_log_as_it_was_sent_holds(guarantee: str) -> None:
    history = stored_as(0, 1, 2)
    verdict = history.verdict(guarantee)
    assert (verdict.verdict, verdict.obligations) == ("held", 2 if guarantee == "send_ordering" else 3)


@pytest.mark.parametrize("guarantee", WRITES)
def test_without_a_reading_it_is_inconclusive(guarantee: str) -> None:
    history = History()
    history.sends(3)
    assert history.verdict(guarantee).verdict == "inconclusive"


# --- MQ116 -----------------------------------------------------------------------------------------------------------


def test_a_batch_that_was_tried_again_behind_the_next_is_violated() -> None:
    """Kafka without idempotence: batch 0 1 fails once, batch 2 3 lands, the client's retry of 0 1 lands behind it."""
    history = stored_as(2, 3, 0, 1)
    verdict = history.verdict("send_ordering")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 2, 3)
    assert verdict.reason == (
        "message 0 (key a, sequence 0) was sent by producer-1 at 0.001 s, before message 3 (sequence 3) at 0.007 s, "
        "and lies behind it: a fresh reader that began at 0.009 s found them at offset 2 of orders-0 and at 1"
    )
    assert verdict.witness is not None
    assert [(event.message, event.position) for event in verdict.witness.events if event.actor == "fresh reader"] == [
        (0, 2), (3, 1),
    ]  # fmt: skip


def test_later_copies_are_no_matter_of_order() -> None:
    assert stored_as(0, 1, 0, 1).verdict("send_ordering").verdict == "held"


def test_a_time_out_may_land_at_any_time() -> None:
    history = History()
    history.send(0)
    history.send(1, outcome="unknown")
    history.send(2)
    history.read_log([(0, 0), (2, 1), (1, 2)], end=3)
    assert history.verdict("send_ordering").verdict == "held"


def test_keys_producers_and_partitions_are_apart() -> None:
    history = History(partitions=2)
    history.send(0, "a", position=1)
    history.send(1, "b", position=0)
    history.read([1, 0], end=2)
    assert history.verdict("send_ordering").verdict == "inconclusive"
    history = History(partitions=2)
    history.send(0, "a", position=1)
    history.send(1, "a", position=0, producer="producer-2")
    history.send(2, "a", position=0, partition=1)
    history.read([1, 0], end=2)
    history.read([2], partition=1)
    assert history.verdict("send_ordering").verdict == "inconclusive"


@pytest.mark.parametrize(("visible", "expected"), [("uncommitted", "held"), ("committed", "violated")])
def test_an_aborted_copy_is_no_first_copy(visible: str, expected: str) -> None:
    history = History()
    history.send(0, position=1)
    history.send(1, position=2)
    history.read_log([(1, 0), (0, 1), (1, 2)])
    history.rows.tables["log"][0][12] = visible
    assert history.verdict("send_ordering").verdict == expected


def test_where_an_earlier_copy_may_have_been_removed_nothing_is_judged() -> None:
    """0 lay at 0, too, and was removed by age before anybody looked: 1 0 is what is left of 0 1 0."""
    history = History()
    history.send(0, position=2)
    history.send(1, position=1)
    history.read([1, 0], first=1, end=3, at=8 * DAY)
    assert history.verdict("send_ordering").verdict == "inconclusive"


def test_where_what_was_acknowledged_before_is_still_there_nothing_was_removed() -> None:
    history = History()
    history.send(0)
    history.send(1)
    history.send(2, position=4)
    history.send(3, position=3)
    history.read([1, 3, 2], first=1, end=5)
    verdict = history.verdict("send_ordering")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)


def test_a_copy_written_late_does_not_show_what_was_there_before() -> None:
    """1 is left only by a copy that was stored long after its acknowledgement: what lay before it may be gone."""
    history = History()
    history.send(1)
    history.send(2, position=1)
    history.send(3, position=2)
    history.read_log([(3, 2), (2, 3), (1, 4)], first=2, end=5)
    assert history.verdict("send_ordering").verdict == "inconclusive"


def test_a_compacted_log_keeps_no_first_copies() -> None:
    history = stored_as(1, 0)
    history.setting("compaction", "compact")
    assert history.verdict("send_ordering").verdict == "inconclusive"


def test_a_reading_that_did_not_come_to_the_end_shows_what_it_saw() -> None:
    history = History()
    history.send(0, position=1)
    history.send(1, position=0)
    history.send(2, position=2)
    history.read([1, 0], end=3, read_to=2)
    assert history.verdict("send_ordering").verdict == "violated"


def test_one_stream_of_event_store_and_links_to_it() -> None:
    history = EventStoreHistory()
    history.append(0)
    history.append(1)
    history.look(links=[0, 1])
    verdict = history.verdict("send_ordering")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


# --- MQ123 -----------------------------------------------------------------------------------------------------------


def test_what_the_client_wrote_twice_on_its_own_is_violated() -> None:
    """Kafka without idempotence: the reply was lost, the client sent the batch again, and one send is acknowledged."""
    history = History()
    history.send(0, position=2)
    history.send(1, position=1)
    history.read_log([(0, 0), (1, 1), (0, 2)])
    verdict = history.verdict("no_duplicate_writes")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert verdict.reason == (
        "message 0 (key a, sequence 0), sent once by producer-1 at 0.001 s, is stored 2 times: a fresh reader that "
        "began at 0.005 s found it at offset 0 of orders-0 and at offset 2 of orders-0"
    )
    assert verdict.witness is not None
    assert "finds it 2 times, at offset 0, 2" in [event.event for event in verdict.witness.events]
    assert history.verdict("send_ordering").verdict == "held"
    assert history.verdict("idempotent_append").verdict == "inconclusive", "the application sent nothing again"


def test_what_the_application_sent_again_into_another_partition_is_violated() -> None:
    history = History(partitions=2)
    history.send(0, outcome="unknown", lands=True)
    history.send(0, partition=1)
    history.read_log([(0, 0)])
    history.read_log([(0, 0)], partition=1)
    verdict = history.verdict("no_duplicate_writes")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason == (
        "message 0 (key a, sequence 0), sent 2 times by producer-1 from 0.001 s on, is stored 2 times: a fresh reader "
        "that began at 0.005 s found it at offset 0 of orders-0 and at offset 0 of orders-1"
    )


def test_two_readings_that_find_one_copy_each_time_find_no_duplicate() -> None:
    history = History()
    history.sends(2)
    history.read([0, 1], reason="before pass of fault 0")
    history.read([0, 1])
    verdict = history.verdict("no_duplicate_writes")
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_links_and_aborted_copies_are_no_copies() -> None:
    history = EventStoreHistory()
    history.append(0)
    history.look(links=[0])
    assert history.verdict("no_duplicate_writes").verdict == "held"
    kafka = History()
    kafka.send(0, position=1)
    kafka.read_log([(0, 0)], visible="uncommitted")
    kafka.read_log([(0, 1)])
    assert kafka.verdict("no_duplicate_writes").verdict == "held"


def test_something_that_nobody_sent_may_be_stored_twice() -> None:
    history = History()
    history.sends(1)
    history._messages[7] = ("?", 0)
    history.read_log([(0, 0), (7, 1), (7, 2)])
    assert "message 7 (key unknown, sequence unknown), which nobody sent, is stored 2 times" in (
        history.verdict("no_duplicate_writes").reason
    )


def test_where_another_copy_may_have_been_removed_nothing_is_held() -> None:
    history = History()
    history.send(0, position=5)
    history.read([0], first=5)
    assert history.verdict("no_duplicate_writes").verdict == "inconclusive"
    for unseen in ({"read_to": 1}, {"at": 1}):
        history = History()
        history.send(0, acked=3)
        history.send(1)
        history.read([0], **unseen)
        assert history.verdict("no_duplicate_writes").verdict == "inconclusive"
    history = stored_as(0, 1)
    history.setting("compaction", "true")
    assert history.verdict("no_duplicate_writes").verdict == "inconclusive"


def test_of_what_was_sent_again_every_partition_has_to_be_seen() -> None:
    """The first try may lie in the partition that was not read to its end."""
    for read_to, expected in ((0, "inconclusive"), (1, "held")):
        history = History(partitions=2)
        history.send(0, outcome="unknown")
        history.send(0)
        history.send(1, partition=1)
        number = history.read_log([(0, 0)])
        history.rows.add("bounds", number, "main", None, 1, 0, 1, read_to, history.now * 1_000_000)
        assert history.verdict("no_duplicate_writes").verdict == expected


# --- MQ125 -----------------------------------------------------------------------------------------------------------


def lost_and_given_again(*, election: int | None = None, **others: str) -> History:
    """0 is acknowledged at offset 1, which a reader finds taken by 2."""
    history = History()
    history.place("orders-7")
    history.send(1)
    history.send(0)
    if election is not None:
        history.fault("unclean_election", at=election, **others)
    history.send(2, position=1)
    history.read_log([(1, 0), (2, 1)], end=2)
    return history


def test_an_offset_that_was_given_twice_is_violated() -> None:
    verdict = lost_and_given_again().verdict("consistent_positions")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert verdict.reason == (
        "offset 1 of orders-0 holds two messages: message 0 (key a, sequence 1), acknowledged to producer-1 at 0.004 "
        "s, and message 2 (key a, sequence 2), acknowledged to producer-1 at 0.006 s"
    )
    assert verdict.witness is not None
    assert [event.event for event in verdict.witness.events if event.message == 0] == [
        "sends it, acknowledged at 0.004 s", "does not find it among offset 0 to 1",
    ]  # fmt: skip


def test_deliveries_and_readings_see_positions_too() -> None:
    history = History()
    history.sends(2)
    history.handle(1, position=0)
    assert "handed to consumer-1 at 0.005 s" in history.verdict("consistent_positions").reason
    history = History()
    history.sends(2, located=False)
    history.handle(1, position=0)
    history.read_log([(0, 0)])
    assert "found by a fresh reader that began at 0.008 s" in history.verdict("consistent_positions").reason


@pytest.mark.parametrize(("target", "expected"), [("", "inconclusive"), ("orders-0", "inconclusive"),
                                                  ("orders-7", "violated")])  # fmt: skip
def test_an_unclean_election_between_excuses_its_own_partition(target: str, expected: str) -> None:
    history = lost_and_given_again(election=5, target=target)
    history.rows.tables["log"].clear()
    history.rows.tables["sends"].pop(0)
    assert history.verdict("consistent_positions").verdict == expected


def test_an_election_before_or_after_both_excuses_nothing() -> None:
    assert lost_and_given_again(election=1).verdict("consistent_positions").verdict == "violated"
    history = lost_and_given_again()
    history.fault("unclean_election")
    assert history.verdict("consistent_positions").verdict == "violated"
    assert lost_and_given_again(election=5, took_effect=False).verdict("consistent_positions").verdict == "violated"


def test_two_readers_after_the_election_that_differ_are_not_excused() -> None:
    history = lost_and_given_again(election=5)
    history.read_log([(1, 1)], end=2)
    assert "message 1 (key a, sequence 0), found by a fresh reader" in history.verdict("consistent_positions").reason


@pytest.mark.parametrize(("world", "allowed", "expected"), [
    ("real", "True", "held"), ("real", "False", "violated"), ("simulated", "True", "violated"),
])  # fmt: skip
def test_where_no_election_is_observed_the_settings_decide(world: str, allowed: str, expected: str) -> None:
    history = lost_and_given_again()
    history.world = world
    history.setting("unclean_leader_election_enable", allowed)
    assert history.verdict("consistent_positions").verdict == expected


def test_where_elections_are_observed_the_settings_excuse_nothing() -> None:
    """As on a cluster that was started for the run, whose logs tell of each."""
    history = lost_and_given_again()
    history.world = "real"
    history.setting("topic.unclean.leader.election.enable", "true")
    assert history.verdict("consistent_positions").verdict == "held"
    history.setting("unclean_elections", "observed")
    assert history.verdict("consistent_positions").verdict == "violated"


def test_tries_of_one_message_at_one_position_are_one_sight() -> None:
    """A repeated append that is answered as before, as of an idempotent producer."""
    history = History()
    history.send(0)
    history.send(0, position=0)
    assert history.verdict("consistent_positions").verdict == "inconclusive"
    history.read([0])
    verdict = history.verdict("consistent_positions")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_a_message_in_two_positions_is_not_this_ones() -> None:
    history = stored_as(0, 1, 0)
    assert history.verdict("consistent_positions").verdict == "held"

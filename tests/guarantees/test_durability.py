"""MQ121 durable, MQ122 durable_past_retention and MQ124 replayable."""

import pytest

from mqverify.history.tables import TABLES
from tests.guarantees.histories import DAY, MS, History

SENT_TO = TABLES["sends"].column_names.index("partition") - 2


def expired(retention: object = 7 * DAY * MS, days: int = 8) -> History:
    """Ten messages, all there before time passes; nine gone afterwards."""
    history = History()
    history.setting("retention", retention)
    history.sends(10, at=5, acked=6)
    history.read(range(10), reason="0", at=100)
    history.fault("pass", at=200, until=200 + days * DAY)
    history.read([9], first=9)
    return history


# --- MQ121


def test_what_every_reading_finds_is_durable() -> None:
    history = History()
    history.sends(3)
    history.read([0, 1, 2])
    verdict = history.verdict("durable")
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_without_a_reading_it_is_inconclusive() -> None:
    history = History()
    history.sends(3)
    verdict = history.verdict("durable")
    assert verdict.verdict == "inconclusive"
    assert verdict.reason == "no fresh reader read it"


def test_a_hole_is_a_violation_with_the_reader_in_the_witness() -> None:
    history = History()
    history.sends(3)
    history.read([0, 2])
    verdict = history.verdict("durable")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 3)
    assert verdict.witness is not None
    assert verdict.witness.sentence == (
        "message 1 (key a, sequence 1) was acknowledged at 0.004 s as offset 1 of orders-0, and a fresh reader that "
        "began at 0.007 s did not find it among offset 0 to 2"
    )
    assert ("fresh reader", "does not find it among offset 0 to 2") in [
        (event.actor, event.event) for event in verdict.witness.events
    ]


def test_a_lost_tail_is_a_violation() -> None:
    history = History()
    history.sends(3)
    history.read([0, 1], end=2)
    verdict = history.verdict("durable")
    assert verdict.violations == 1
    assert "the end was at offset 2" in verdict.reason


def test_an_end_that_is_older_than_the_ack_is_no_lost_tail() -> None:
    history = History()
    history.sends(3)
    history.read([0, 1], end=2, reason="0")
    history.read([0, 1, 2])
    verdict = history.verdict("durable")
    assert (verdict.verdict, verdict.obligations) == ("held", 5)


def test_acked_after_the_reading_began_is_not_expected_of_it() -> None:
    history = History()
    history.send(0)
    history.read([0], reason="0")
    history.send(1)
    history.read([0, 1])
    assert history.verdict("durable").obligations == 3


def test_expiry_by_age_is_legal_and_the_rest_held() -> None:
    verdict = expired().verdict("durable")
    assert (verdict.verdict, verdict.obligations) == ("held", 11)


@pytest.mark.parametrize(("retention", "days"), [("unlimited", 8), (7 * DAY * MS, 6), (-1, 8)])
def test_removal_before_its_time_is_a_violation(retention: object, days: int) -> None:
    verdict = expired(retention, days).verdict("durable")
    assert (verdict.verdict, verdict.violations) == ("violated", 9)
    assert "offset 9 was the first that was left, though no limit had been reached" in verdict.reason


def test_messages_that_vanish_before_time_passes_are_a_violation_however_old_they_get() -> None:
    history = History()
    history.setting("retention", 7 * DAY * MS)
    history.sends(20, at=5, acked=6)
    history.read(range(10, 20), reason="0", at=100)
    history.fault("pass", at=200, until=200 + 8 * DAY)
    history.read([], first=20)
    verdict = history.verdict("durable")
    assert (verdict.verdict, verdict.violations) == ("violated", 10)


def test_a_value_that_was_in_force_for_a_while_counts_and_a_later_one_does_not() -> None:
    shortened = expired("unlimited")
    shortened.setting("retention", DAY * MS, since=50)
    assert shortened.verdict("durable").verdict == "held"
    too_late = expired("unlimited")
    too_late.setting("retention", DAY * MS, since=too_late.now + 5)
    assert too_late.verdict("durable").verdict == "violated"


def test_a_value_of_the_place_itself_stands_before_the_one_for_all() -> None:
    own = expired(DAY * MS)
    own.setting("retention", "unlimited", place=0)
    assert own.verdict("durable").verdict == "violated"
    other = expired(DAY * MS)
    other.setting("retention", "unlimited", place=1)
    assert other.verdict("durable").verdict == "held"


def test_retention_by_bytes_counts_the_bytes_behind() -> None:
    for limit, expected in ((300, "held"), (301, "violated")):
        history = History()
        history.setting("retention_bytes", limit)
        history.sends(4, size=100)
        history.read([1, 2, 3], first=1)
        assert history.verdict("durable").verdict == expected


def test_bytes_sent_after_the_reading_do_not_excuse_it() -> None:
    history = History()
    history.setting("retention_bytes", 300)
    history.sends(2, size=100)
    history.read([1], first=1, reason="0")
    for message in (2, 3, 4):
        history.send(message)
    history.read([1, 2, 3, 4], first=1)
    assert history.verdict("durable").violations == 1


def test_retention_by_count_and_truncation() -> None:
    for setting, value, expected in (
        ("max_count", 3, "held"),
        ("max_count", 4, "violated"),
        ("truncate_before", 1, "held"),
        ("truncate_before", 0, "violated"),
    ):
        history = History()
        history.setting(setting, value, place=0)
        history.sends(4)
        history.read([1, 2, 3], first=1)
        assert history.verdict("durable").verdict == expected


def deleted(before: int, first: int) -> History:
    """Five messages; an administrator deletes what lies before a position, and a reader finds what is left."""
    history = History()
    history.setting("retention", 7 * DAY * MS)
    history.sends(5, at=5, acked=6)
    history.assign(start=0)
    history.handle(0)
    history.commit(below=1)
    history.read(range(5), reason="before delete_records of fault 0", at=100)
    history.setting("delete_records", before, place=0, since=150)
    history.fault("delete_records", at=150, until=151)
    history.handles(range(first, 5))
    history.commit(below=5)
    history.read(range(first, 5), first=first)
    return history


def test_deleted_records_are_legally_gone_up_to_the_position_and_no_further() -> None:
    """Meaning, section 3: legal absence, `delete_records` reached it."""
    held, violated = deleted(3, first=3).verdict("durable"), deleted(2, first=3).verdict("durable")
    assert held.verdict == "held"
    assert (violated.verdict, violated.violations) == ("violated", 1)
    assert "message 2 " in violated.reason


def test_records_that_vanish_before_they_are_deleted_are_a_violation() -> None:
    history = History()
    history.sends(5, at=5, acked=6)
    history.read([3, 4], first=3, reason="before delete_records of fault 0", at=100)
    history.setting("delete_records", 3, place=0, since=150)
    history.fault("delete_records", at=150, until=151)
    history.read([3, 4], first=3)
    assert history.verdict("durable").violations == 3


def test_records_of_another_partition_may_not_vanish() -> None:
    history = History(partitions=2)
    history.sends(2, at=5, acked=6)
    history.setting("delete_records", 2, place=1, since=50)
    history.read([], first=2, at=100)
    assert history.verdict("durable").verdict == "violated"


def test_what_is_deleted_is_not_there_past_retention_nor_for_those_who_never_read_it() -> None:
    """MQ122 exempts nothing; MQ101 is owed whatever was deleted under a group, and nobody settled past it wrongly."""
    history = deleted(3, first=3)
    durable = history.verdict("durable_past_retention")
    assert (durable.verdict, durable.violations) == ("violated", 3)
    lost = history.verdict("at_least_once")
    assert (lost.verdict, lost.violations) == ("violated", 2)
    assert "it was removed before it was read (still there at 0.100 s, gone by" in lost.reason
    assert history.verdict("settle_safety").verdict == "held"
    assert history.verdict("per_partition_ordering").verdict == "held"


def test_a_hole_above_the_first_position_is_never_excused_by_age() -> None:
    history = expired()
    history.read_log([(9, 9)], first=0, reason="end")
    assert history.verdict("durable").verdict == "violated"


def test_compaction_excuses_what_a_later_value_of_the_key_replaces() -> None:
    for survivors, expected in (([2, 3], "held"), ([3], "violated")):
        history = History()
        history.setting("compaction", "true")
        history.sends(4, keys=("a", "b"))
        history.read(survivors)
        assert history.verdict("durable").verdict == expected


def test_without_compaction_a_replaced_value_is_missed() -> None:
    history = History()
    history.setting("compaction", "false")
    history.sends(4, keys=("a", "b"))
    history.read([2, 3])
    assert history.verdict("durable").violations == 2


def test_where_the_reading_did_not_come_is_doubt() -> None:
    history = History(partitions=2)
    history.sends(4)
    history.send(4, partition=1)
    history.read([0, 1], read_to=2)
    verdict = history.verdict("durable")
    assert (verdict.verdict, verdict.obligations) == ("held", 2)
    assert verdict.reason.endswith("the fresh reader did not come to the end of orders-0")


def test_acks_without_a_position_are_looked_for_everywhere() -> None:
    for found, expected in (([(0, 0)], "held"), ([], "violated")):
        history = History()
        history.send(0, located=False)
        history.read_log(found, source=0)
        history.rows.tables["readings"][0][2] = None
        assert history.verdict("durable").verdict == expected


def test_unknown_positions_that_are_due_by_time_are_no_obligation() -> None:
    history = History()
    history.setting("retention", 7 * DAY * MS)
    history.send(0, located=False, at=1)
    history.send(1)
    history.fault("pass", at=10, until=10 + 8 * DAY)
    history.send(2)
    history.read([2], first=2)
    history.rows.tables["readings"][0][2] = None
    verdict = history.verdict("durable")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


# --- MQ122


@pytest.mark.parametrize(("found", "expected"), [([1, 2], "held"), ([2], "held"), ([1], "violated")])
def test_what_was_sent_behind_what_is_there_cannot_have_been_removed(found: list[int], expected: str) -> None:
    """Acks that tell no position: a limit may have removed the first message, but the last is missed."""
    history = History()
    history.setting("max_count", 2)
    for message in range(3):
        history.send(message, located=False)
        history.rows.tables["sends"][-1][SENT_TO] = 0
    history.read(found, first=min(found), end=3)
    verdict = history.verdict("durable")
    assert verdict.verdict == expected


def test_unlimited_retention_keeps_everything_past_a_week() -> None:
    history = History()
    history.sends(3)
    history.fault("pass", at=10, until=10 + 8 * DAY)
    history.send(3)
    history.read(range(4))
    verdict = history.verdict("durable_past_retention")
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_expiry_is_a_violation_past_retention() -> None:
    verdict = expired().verdict("durable_past_retention")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 9, 10)
    assert "does not find it any more: what is left begins at offset 9" in verdict.reason


def test_without_time_passing_it_is_inconclusive() -> None:
    history = History()
    history.sends(3)
    history.read(range(3))
    assert history.verdict("durable_past_retention").verdict == "inconclusive"
    history.fault("pass", took_effect=False, why_not="the run never drained")
    verdict = history.verdict("durable_past_retention")
    assert verdict.verdict == "inconclusive"
    assert "the fault `pass` did not take effect: the run never drained" in verdict.reason


def test_an_unread_end_is_no_loss() -> None:
    history = History()
    history.sends(3)
    history.fault("pass", at=10, until=10 + 8 * DAY)
    history.read([0], read_to=1)
    verdict = history.verdict("durable_past_retention")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_another_reader_may_be_asked() -> None:
    history = History(partitions=0)
    stream, everything = history.place("order-a"), history.place("$all")
    history.assign(source=stream)
    history.send(0, partition=stream)
    history.fault("pass", at=10, until=10 + 8 * DAY)
    history.read([], partition=stream, first=1, reader="stream")
    history.read_log([(0, 0)], partition=stream, source=everything, reader="all", end=1, first=0)
    assert history.verdict("durable_past_retention").verdict == "violated"
    history.parameter("durable_past_retention", "reader", "all")
    assert history.verdict("durable_past_retention").verdict == "held"


# --- MQ124


def test_a_whole_log_in_order_can_be_replayed() -> None:
    history = History(partitions=2)
    history.send(0, "a", partition=0)
    history.send(1, "b", partition=1)
    history.send(2, "a", partition=0)
    history.read([0, 2], partition=0)
    history.read([1], partition=1)
    verdict = history.verdict("replayable")
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_expiry_breaks_a_replay_and_a_failed_message_does_too() -> None:
    assert "who reads from the beginning does not find message 0" in expired().verdict("replayable").reason
    history = History()
    history.send(0)
    history.send(1, outcome="failed", lands=True)
    history.read([0, 1])
    assert "though its send had failed for certain" in history.verdict("replayable").reason


def test_a_log_out_of_order_breaks_a_replay() -> None:
    history = History()
    history.sends(3)
    history.read_log([(0, 0), (2, 1), (1, 2)])
    verdict = history.verdict("replayable")
    assert verdict.verdict == "violated"
    assert (
        "meets message 2 (sequence 2, offset 1) before message 1 (key a, sequence 1) at offset 2 of orders-0"
        in verdict.reason
    )


def test_a_late_message_of_unknown_outcome_may_land_anywhere() -> None:
    history = History()
    history.send(3, outcome="unknown")
    history.send(4, position=0)
    history.read_log([(4, 0), (3, 1)])
    assert history.verdict("replayable").verdict == "held"


def test_a_message_sent_again_after_a_time_out_may_come_second() -> None:
    history = History()
    history.send(0, outcome="unknown")
    history.send(1, position=0)
    history.send(0, position=1)
    history.read_log([(1, 0), (0, 1)])
    assert history.verdict("replayable").verdict == "held"


def test_messages_of_two_producers_are_ordered_by_their_acks_only() -> None:
    for acked, expected in ((15, "held"), (5, "violated")):
        history = History()
        history.send(0, producer="producer-1", at=1, acked=acked)
        history.send(1, producer="producer-2", at=10, acked=12)
        history.read_log([(1, 0), (0, 1)])
        assert history.verdict("replayable").verdict == expected


def test_an_order_that_spans_two_partitions_is_lost() -> None:
    history = History(partitions=2)
    history.send(0, "a", partition=0)
    history.send(1, "a", partition=1)
    history.send(2, "b", partition=1)
    history.read([0], partition=0)
    history.read([1, 2], partition=1)
    verdict = history.verdict("replayable")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert verdict.reason == (
        "the order of key a is lost to who reads from the beginning: message 0 lies in orders-0, message 1, sent after "
        "it, in orders-1"
    )


def test_two_messages_that_nobody_ordered_may_lie_in_two_partitions() -> None:
    history = History(partitions=2)
    history.send(0, "a", partition=0, producer="producer-1", at=1, acked=9)
    history.send(1, "a", partition=1, producer="producer-2", at=2, acked=9)
    history.read([0], partition=0)
    history.read([1], partition=1)
    assert history.verdict("replayable").verdict == "held"


def test_later_copies_break_the_latest_state_and_not_the_fold() -> None:
    history = History()
    history.sends(5)
    history.read_log([(message, position) for position, message in enumerate([0, 1, 2, 3, 4, 4, 3, 2, 1, 0])], end=10)
    assert history.verdict("replayable").verdict == "held"
    history.parameter("replayable", "state", "latest")
    verdict = history.verdict("replayable")
    assert verdict.verdict == "violated"
    assert verdict.reason == (
        "the last state of key a is message 4 (sequence 4), but who reads from the beginning ends with message 0 "
        "(sequence 0) at offset 9 of orders-0, which was sent before it"
    )


def test_a_compacted_log_keeps_the_latest_state_and_loses_the_fold() -> None:
    history = History()
    history.setting("compaction", "true")
    history.sends(4, keys=("a", "b"))
    history.read([2, 3])
    assert history.verdict("replayable").verdict == "violated"
    history.parameter("replayable", "state", "latest")
    assert history.verdict("replayable").verdict == "held"
    assert history.verdict("durable").verdict == "held"


def test_a_key_of_which_nothing_is_left_has_no_latest_state() -> None:
    history = expired()
    history.parameter("replayable", "state", "latest")
    assert history.verdict("replayable").verdict == "held"
    history.send(10, "b", at=300)
    history.read_log([(9, 9)], first=9, reason="end")
    history.rows.tables["bounds"].pop(1)
    assert "finds nothing of that key" in history.verdict("replayable").reason


def test_keys_whose_places_were_not_all_read_are_not_judged() -> None:
    history = History(partitions=2)
    history.send(0, "a", partition=0)
    history.send(1, "b", partition=1)
    history.read([0], partition=0)
    history.read([], partition=1, read_to=0)
    verdict = history.verdict("replayable")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_a_replay_without_a_reading_is_inconclusive() -> None:
    history = History()
    history.send(0)
    assert history.verdict("replayable").verdict == "inconclusive"

"""MQ101: what a group is owed is handled or parked."""

from tests.guarantees.histories import DAY, MS, History


def lossy(**group: object) -> History:
    """Three messages; consumer-1 commits past the last two and dies, consumer-2 takes over."""
    history = History()
    history.group("billing", **group)  # type: ignore[arg-type]
    history.sends(4)
    history.assign(group="billing")
    history.handle(0, group="billing")
    history.commit(below=3, group="billing")
    history.assign("consumer-2", start=3, start_from="committed", group="billing")
    history.handle(3, "consumer-2", group="billing")
    return history


def test_it_holds_when_every_message_is_handled() -> None:
    history = History()
    history.sends(3)
    history.assign()
    history.handles([0, 1, 2])
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations, verdict.decided_by) == ("held", 3, 1)
    assert verdict.reason == "no violation in 3 tests, decided by its run"


def test_a_message_lost_by_committing_before_handling_is_violated_and_not_inconclusive() -> None:
    verdict = lossy().verdict("at_least_once")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 2, 4)
    assert verdict.witness is not None
    assert verdict.witness.sentence == (
        "group billing never handled message 1 (key a, sequence 1), which was acknowledged at 0.004 s as offset 1 of "
        "orders-0: consumer-1 settled past it (offset 3) at 0.014 s"
    )
    told = [(event.actor, event.event) for event in verdict.witness.events]
    assert told == [
        ("producer-1", "sends it, acknowledged at 0.004 s"),
        ("consumer-1", "is given the partition and starts at offset 0, by the reset policy"),
        ("consumer-1", "commits offset 3, acknowledged at 0.015 s"),
        ("consumer-2", "is given the partition and starts at offset 3, as settled"),
    ]


def test_a_stuck_consumer_is_inconclusive_and_says_who_is_stuck_where() -> None:
    history = lossy(drained=False, gave_up="consumer-2 handles message 3 for 60 s")
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("inconclusive", 0)
    assert "group billing did not drain: consumer-2 handles message 3 for 60 s" in verdict.reason


def test_a_group_that_drained_is_judged_beside_one_that_did_not() -> None:
    history = lossy()
    history.group("shipping", drained=False, gave_up="consumer-9 is dead")
    assert history.verdict("at_least_once").verdict == "violated"


def test_no_messages_at_all_is_inconclusive() -> None:
    history = History()
    verdict = history.verdict("at_least_once")
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("nothing put it to the test")


def test_sends_that_failed_or_whose_outcome_is_unknown_are_never_owed() -> None:
    history = History()
    history.send(0, outcome="failed")
    history.send(1, outcome="unknown")
    history.send(2, outcome="unknown", lands=True)
    history.send(3)
    history.assign()
    history.handle(3)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_tries_fold_so_that_a_message_sent_again_is_owed_once() -> None:
    history = History()
    history.send(0, outcome="unknown")
    history.send(0)
    history.assign()
    assert history.finding("at_least_once").violations == 1
    assert history.finding("at_least_once").obligations == 1


def test_an_aborted_transaction_is_owed_to_nobody() -> None:
    history = History()
    history.send(0)
    for message in (1, 2):
        history.send(message, outcome="failed", transaction=7, lands=True)
    history.assign()
    history.handle(0)
    history.read([0])
    assert history.verdict("at_least_once").verdict == "held"
    assert history.verdict("durable").verdict == "held"


def test_a_group_down_for_longer_than_retention_lost_what_expired() -> None:
    history = History()
    history.setting("retention", 7 * DAY * MS)
    history.send(0, at=10)
    history.read([0], reason="0")
    history.fault("pass", at=20, until=20 + 8 * DAY)
    history.send(1)
    history.read([1], first=1)
    history.assign(start=1)
    history.handle(1)
    verdict = history.verdict("at_least_once")
    assert verdict.verdict == "violated"
    assert "it expired before it was read" in verdict.reason
    durable = history.verdict("durable")
    assert (durable.verdict, durable.obligations) == ("held", 2)


def test_a_group_that_starts_at_the_end_before_the_first_send_is_owed_everything() -> None:
    history = History()
    history.group(starts="end")
    history.assign(start=0, start_from="reset_end")
    history.sends(2)
    history.handle(1)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)


def test_a_group_that_starts_at_the_end_between_two_sends_is_owed_the_second() -> None:
    history = History()
    history.group(starts="end")
    history.send(0)
    history.assign(start=1, start_from="reset_end")
    history.send(1)
    history.handle(1)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_the_first_start_counts_and_not_a_second_reset() -> None:
    history = History()
    history.group(starts="end")
    history.assign(start=0, start_from="reset_end")
    history.send(0)
    history.assign("consumer-2", start=1, start_from="reset_end")
    verdict = history.verdict("at_least_once")
    assert verdict.verdict == "violated"
    assert "consumer-2 started behind it, at offset 1, by the reset policy" in verdict.reason


def test_a_partition_added_after_the_first_start_is_owed_whole_though_nobody_discovered_it() -> None:
    history = History()
    history.group(starts="end")
    history.assign(start=0, start_from="reset_end", at=5)
    added = history.place("orders-1", since=50)
    history.send(0, partition=added, at=60)
    history.assign("consumer-2", source=added, start=1, start_from="reset_end", at=70)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)


def test_a_message_of_a_source_that_started_later_is_owed_from_then() -> None:
    history = History(partitions=2)
    history.group(starts="end")
    history.assign(source=0, start=0, start_from="reset_end", at=1)
    history.send(0, partition=1, at=10)
    history.assign(source=1, start=1, start_from="reset_end", at=20)
    history.send(1, partition=1, at=30)
    history.handle(1)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_a_message_of_unknown_position_is_owed_from_the_last_first_start() -> None:
    history = History(partitions=2)
    history.group(starts="end")
    history.assign(source=0, start=0, start_from="reset_end", at=1)
    history.assign(source=1, start=0, start_from="reset_end", at=20)
    history.send(0, at=10, located=False, lands=False)
    history.send(1, at=30, located=False, lands=False)
    finding = history.finding("at_least_once")
    assert (finding.obligations, finding.violations) == (1, 1)


def test_a_group_that_never_started_is_owed_everything_from_the_beginning_and_nothing_from_the_end() -> None:
    for starts, owed in (("beginning", 1), ("end", 0)):
        history = History()
        history.group(starts=starts)
        history.send(0)
        assert history.finding("at_least_once").obligations == owed


def test_a_group_whose_last_member_was_removed_is_owed_what_it_had_reached() -> None:
    history = History()
    history.worker("consumer-1", ended=100, ending="removed")
    history.sends(4)
    history.assign()
    history.handle(0)
    history.commit(below=2)
    verdict = history.verdict("at_least_once")
    assert (verdict.obligations, verdict.violations) == (2, 1)


def test_a_group_that_lost_one_member_of_two_is_owed_everything() -> None:
    history = History()
    history.worker("consumer-1", ended=5, ending="removed")
    history.worker("consumer-2", ended=100, ending="finished")
    history.sends(2)
    assert history.finding("at_least_once").obligations == 2


# --- parking


def test_a_parked_message_discharges_the_debt_whoever_parked_it() -> None:
    for settled_by in ("consumer", "server"):
        history = History()
        history.group(delivery="competing")
        history.send(0)
        history.assign()
        history.deliver(0, result="failed")
        history.settle_one(0, "park", settled_by=settled_by)
        history.read_parked([0])
        assert history.verdict("at_least_once").verdict == "held"


def test_an_acknowledged_park_with_an_empty_parked_place_is_violated() -> None:
    history = History()
    history.group(delivery="competing")
    history.send(0)
    history.deliver(0, result="failed")
    history.settle_one(0, "park")
    history.read_parked([])
    verdict = history.verdict("at_least_once")
    assert verdict.verdict == "violated"
    assert "it was to be parked, yet it is not among the parked messages" in verdict.reason


def test_only_the_last_reading_of_the_parked_place_counts() -> None:
    history = History()
    history.group(delivery="competing")
    history.send(0)
    history.settle_one(0, "park")
    history.read_parked([0], reason="0")
    history.read_parked([])
    assert history.verdict("at_least_once").verdict == "violated"


def test_a_parked_place_that_nobody_read_is_inconclusive() -> None:
    history = History()
    history.group(delivery="competing")
    history.send(0)
    history.settle_one(0, "park")
    verdict = history.verdict("at_least_once")
    assert verdict.verdict == "inconclusive"
    assert verdict.reason == "what the group parked was not read to its end"


def test_an_unread_dead_letter_topic_excuses_only_what_was_parked() -> None:
    history = History()
    history.sends(2)
    history.settle_one(0, "park")
    finding = history.finding("at_least_once")
    assert (finding.obligations, finding.violations) == (1, 1)
    assert finding.witness is not None
    assert "message 1" in finding.witness.sentence


def test_a_skip_and_a_failing_handler_are_named_as_causes() -> None:
    skipped = History()
    skipped.group(delivery="competing")
    skipped.send(0)
    skipped.settle_one(0, "skip")
    skipped.read_parked([])
    assert "it was skipped" in skipped.verdict("at_least_once").reason
    failing = History()
    failing.send(0)
    failing.deliver(0, result="failed")
    assert "its handler failed every time" in failing.verdict("at_least_once").reason
    hanging = History()
    hanging.send(0)
    hanging.deliver(0, started=10)
    assert "it was delivered to consumer-1, which never finished it" in hanging.verdict("at_least_once").reason
    missed = History()
    missed.send(0)
    assert "it was never delivered" in missed.verdict("at_least_once").reason

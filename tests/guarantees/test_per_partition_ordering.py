"""MQ113: within a tenure positions rise and nothing is left out (SEMANTICS §5.8, §5.11)."""

from tests.guarantees.histories import History

NAME = "per_partition_ordering"


def test_it_holds_when_positions_rise_without_a_gap() -> None:
    history = History()
    history.sends(3)
    history.assign(start=0)
    history.handles([0, 1, 2])
    history.read([0, 1, 2])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_a_position_that_goes_back_is_violated() -> None:
    history = History()
    history.sends(3)
    history.assign(start=0)
    history.handles([0, 2, 1])
    history.read([0, 1, 2])
    verdict = history.verdict(NAME)
    assert verdict.verdict == "violated"
    assert verdict.violations == 2  # 1 was left out before 2, and came after it
    assert verdict.reason.startswith(
        "consumer-1 was handed offset 2 of orders-0 (message 2 (key a, sequence 2)) next after offset 0 (message 0), "
        "and message 1 (key a, sequence 1) at offset 1 was left out: a reading still found "
        "it later"
    )


def test_going_back_behind_the_start_position_is_violated() -> None:
    history = History()
    history.sends(3)
    history.assign(start=2)
    history.handles([1, 2])
    history.read([0, 1, 2])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert verdict.reason.startswith(
        "consumer-1 was handed offset 1 of orders-0 (message 1 (key a, sequence 1)) first, though it was to start at "
        "offset 2, which goes back, within one tenure; the tenure began at 0.007 s"
    )


def test_leaving_out_a_message_is_violated() -> None:
    """§5.11: a category consumer handles 0 and 3, skips 1 and 2, checkpoints past 3."""
    history = History()
    category = history.place("$ce-orders")
    history.sends(4)
    history.assign(source=category, start=0)
    for message in (0, 3):
        history.handle(message, source=category, source_position=message)
    history.settle(action="checkpoint", source=category, position=4)
    history.read_log([(number, number) for number in range(4)], source=category, reader="category")
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)
    assert "and message 2 (key a, sequence 2) at offset 2 was left out" in verdict.reason
    assert verdict.witness is not None


def test_leaving_out_the_first_message_is_violated() -> None:
    history = History()
    history.sends(3)
    history.assign(start=0)
    history.handles([1, 2])
    history.read([0, 1, 2])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert (
        "first, though it was to start at offset 0, and message 0 (key a, sequence 0) at offset 0 was left out"
        in verdict.reason
    )


def test_a_gap_that_holds_no_message_is_none() -> None:
    """§5.8: a gap of a transaction marker."""
    history = History()
    history.send(0)
    history.send(1, position=2)
    history.assign(start=0)
    history.handles([0, 1])
    history.read([0, 1])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_uncommitted_messages_are_not_left_out() -> None:
    history = History()
    history.sends(3)
    history.assign(start=0)
    history.handles([0, 2])
    history.read([0, 1, 2], isolation="read_uncommitted", visible="uncommitted")
    history.read([0, 2], isolation="read_committed", visible="committed")
    assert history.verdict(NAME).verdict == "held"


def test_expired_messages_that_no_later_reading_sees_are_not_left_out() -> None:
    history = History()
    history.sends(4)
    history.assign(start=0)
    history.handle(0)
    history.read([0, 1, 2, 3], reason="pass")
    history.handle(3)
    history.read([3], first=3)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_a_message_behind_a_removed_one_is_still_left_out() -> None:
    """Compaction removed 2, the nearest; 1 is still there."""
    history = History()
    history.sends(4)
    history.assign(start=0)
    history.handle(0)
    history.read([0, 1, 2, 3], reason="pass")
    history.handle(3)
    history.read([0, 1, 3])
    verdict = history.verdict(NAME)
    assert verdict.verdict == "violated"
    assert "message 1 (key a, sequence 1) at offset 1 was left out" in verdict.reason


def test_a_gap_that_no_later_reading_covers_is_no_obligation() -> None:
    history = History()
    history.sends(3)
    history.assign(start=None)
    history.handles([0, 2])
    assert history.verdict(NAME).verdict == "inconclusive"
    history.read([0], read_to=1)
    assert history.verdict(NAME).verdict == "inconclusive"


def test_eager_rebalance_begins_a_new_tenure() -> None:
    """§5.8: one incarnation 0..9, another 10..19, the first again from 20."""
    history = History()
    history.sends(30)
    history.assign(start=0)
    history.handles(range(10))
    history.revoke()
    history.assign("consumer-2", start=10, start_from="committed")
    history.handles(range(10, 20), "consumer-2")
    history.revoke("consumer-2")
    history.assign(start=20, start_from="committed")
    history.handles(range(20, 30))
    history.read(range(30))
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 30)


def test_starting_again_earlier_after_a_rebalance_is_no_violation() -> None:
    history = History()
    history.sends(3)
    history.assign(start=0)
    history.handles([0, 1, 2])
    history.revoke(change="lost")
    history.assign(start=0, start_from="committed")
    history.handles([0, 1, 2])
    history.read([0, 1, 2])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 6)


def test_again_in_place_is_none() -> None:
    history = History()
    history.sends(2)
    history.assign(start=0)
    history.deliver(0, result="failed", delivery=0)
    history.handle(0, delivery=0, attempt=2)
    history.handle(1)
    history.handle(0)  # a reset inside the tenure: handed over again, but not for the first time
    history.read([0, 1])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_a_reset_that_jumps_inside_a_tenure_is_violated() -> None:
    history = History()
    history.sends(10)
    history.assign(start=0)
    history.handles([0, 1, 2])
    history.handles([8, 9])
    history.read(range(10))
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)


def test_other_shards_are_not_left_out() -> None:
    history = History()
    history.sends(4, keys=("a", "b"))
    history.shard("a", 0)
    history.shard("b", 1)
    history.assign(start=0, shard=0)
    history.assign("consumer-2", start=0, shard=1)
    history.handles([0, 2], shard=0)
    history.handles([1, 3], "consumer-2", shard=1)
    history.read(range(4))
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 4)


def test_a_message_of_the_own_shard_is_left_out() -> None:
    history = History()
    history.sends(6, keys=("a", "b"))
    history.shard("a", 0)
    history.shard("b", 1)
    history.assign(start=0, shard=0)
    history.handles([0, 4], shard=0)
    history.read(range(6))
    verdict = history.verdict(NAME)
    assert verdict.verdict == "violated"
    assert "message 2 (key a, sequence 1) at offset 2 was left out" in verdict.reason


def test_competing_consumers_have_no_order() -> None:
    history = History()
    history.group(delivery="competing")
    history.sends(3)
    history.assign(start=0)
    history.handles([2, 0, 1])
    history.read(range(3))
    assert history.verdict(NAME).verdict == "inconclusive"

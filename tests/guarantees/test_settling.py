"""MQ131 settle_safety and MQ132 legal_resume."""

import pytest

from tests.guarantees.histories import DAY, MS, History


def one_consumer(messages: int = 3) -> History:
    history = History()
    history.sends(messages)
    history.assign()
    return history


def read_all(history: History, messages: int = 3) -> History:
    history.read(range(messages))
    return history


# --- MQ131


def test_settling_after_handling_holds() -> None:
    history = one_consumer()
    for message in range(3):
        history.handle(message)
        history.commit(below=message + 1)
    verdict = read_all(history).verdict("settle_safety")
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_settling_before_handling_is_violated() -> None:
    history = one_consumer()
    history.handle(0)
    history.commit(below=2)
    history.handle(1)
    verdict = read_all(history).verdict("settle_safety")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == (
        "consumer-1 of the group committed offset 2 of orders-0 at 0.012 s, which covers message 1 (key a, sequence 1) "
        "at offset 1, and the group first handled it at 0.016 s"
    )
    assert verdict.witness is not None
    assert ("consumer-1", "commits offset 2, acknowledged at 0.013 s") in [
        (event.actor, event.event) for event in verdict.witness.events
    ]


def test_without_settlements_or_without_a_reading_it_is_inconclusive() -> None:
    history = one_consumer()
    history.handle(0)
    assert read_all(history).verdict("settle_safety").verdict == "inconclusive"
    unread = one_consumer()
    unread.commit(below=2)
    verdict = unread.verdict("settle_safety")
    assert (verdict.verdict, verdict.reason) == ("inconclusive", "no fresh reader read it")


@pytest.mark.parametrize(("outcome", "expected"), [("failed", "held"), ("acked", "violated"), ("unknown", "held")])
def test_a_zombies_commit_past_unhandled_messages_counts_only_if_acked(outcome: str, expected: str) -> None:
    history = one_consumer()
    history.handle(0)
    history.commit(below=1)
    history.assign("consumer-2", start=1, start_from="committed")
    history.commit("consumer-1", below=3, outcome=outcome)
    history.handle(1, "consumer-2")
    assert read_all(history).verdict("settle_safety").verdict == expected


def test_an_unknown_commit_that_a_later_start_proves_applied_counts() -> None:
    history = one_consumer()
    history.handle(0)
    history.commit(below=1)
    history.commit(below=3, outcome="unknown")
    history.assign("consumer-2", start=3, start_from="committed")
    verdict = read_all(history).verdict("settle_safety")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)


def test_another_shards_checkpoint_at_the_same_position_explains_no_start() -> None:
    """Shard 1's is in doubt, past its unhandled message, and its consumer starts there; shard 0's was acknowledged."""
    history = History()
    history.group(delivery="own", consumers=2)
    for number, key in enumerate("ab"):
        history.shard(key, number)
        history.send(number, key)
    history.handle(0, shard=0)
    history.commit(below=2, shard=0, action="checkpoint")
    history.commit("consumer-2", below=2, shard=1, action="checkpoint", outcome="unknown")
    history.assign("consumer-2", incarnation=2, start=2, start_from="committed", shard=1)
    history.read([0, 1])
    assert history.verdict("settle_safety").verdict == "violated"


def test_handled_by_another_member_or_an_earlier_incarnation_is_handled() -> None:
    history = one_consumer()
    history.handle(0)
    history.handle(1, "consumer-2")
    history.handle(2, incarnation=2)
    history.commit("consumer-3", below=3)
    assert read_all(history).verdict("settle_safety").verdict == "held"


def test_another_group_did_not_handle_it_for_this_one() -> None:
    history = one_consumer()
    history.group("billing")
    history.group("shipping")
    history.handles([0, 1, 2], group="billing")
    history.commit(below=3, group="shipping")
    assert "consumer-1 of group shipping committed" in read_all(history).verdict("settle_safety").reason


def test_messages_that_are_not_owed_may_be_settled() -> None:
    history = History()
    history.group(starts="end")
    history.send(0)
    history.assign(start=1, start_from="reset_end")
    history.send(1, outcome="unknown", lands=True)
    history.commit(below=2)
    assert read_all(history, 2).verdict("settle_safety").verdict == "held"


def test_a_checkpoint_past_another_shards_messages_is_safe_and_past_its_own_is_not() -> None:
    for shard, expected in ((0, "held"), (1, "violated")):
        history = History()
        history.shard("a", 0)
        history.shard("b", 1)
        history.send(0, "a")
        history.send(1, "b")
        history.handle(0, shard=0)
        history.settle(f"consumer-{shard + 1}", action="checkpoint", position=2, shard=shard)
        assert read_all(history, 2).verdict("settle_safety").verdict == expected


def test_a_guilty_commit_stays_guilty_when_what_it_covered_expires() -> None:
    history = one_consumer()
    history.setting("retention", 7 * DAY * MS)
    history.commit(below=3)
    history.read([0, 1, 2], reason="0")
    history.fault("pass", at=100, until=100 + 8 * DAY)
    history.read([], first=3)
    verdict = history.verdict("settle_safety")
    assert verdict.verdict == "violated"
    assert "and the group never handled it" in verdict.reason
    assert "consumer-1 settled past it (offset 3)" in history.verdict("at_least_once").reason


def test_a_commit_past_what_had_expired_is_excused() -> None:
    history = one_consumer()
    history.setting("retention", 7 * DAY * MS)
    history.read([0, 1, 2], reason="0")
    history.fault("pass", at=100, until=100 + 8 * DAY)
    history.send(3)
    history.handle(3)
    history.commit(below=4)
    history.read([3], first=3)
    assert history.verdict("settle_safety").verdict == "held"
    assert "it expired before it was read" in history.verdict("at_least_once").reason


@pytest.mark.parametrize(("committed_at", "expected"), [(100, "violated"), (200 + 7 * DAY, "held")])
def test_what_expired_later_does_not_excuse_a_commit_that_was_too_early(committed_at: int, expected: str) -> None:
    """Nobody read in between, and before it was due by its age a message was not gone."""
    history = one_consumer()
    history.setting("retention", 7 * DAY * MS)
    history.commit(below=3, at=committed_at)
    history.read([], first=3, at=8 * DAY)
    assert history.verdict("settle_safety").verdict == expected


@pytest.mark.parametrize(
    ("committer", "handled", "expected"),
    [("consumer-1", [], "violated"), ("consumer-1", [0], "held"), ("consumer-2", [], "held")],
)
def test_what_is_gone_later_was_not_gone_for_who_had_it_in_hand(
    committer: str, handled: list[int], expected: str
) -> None:
    """A limit on size may have removed it at any time, but the one who committed past it had been handed it."""
    history = one_consumer()
    history.setting("retention_bytes", 0)
    history.deliver(0, result="failed")
    history.handles(handled)
    history.commit(committer, below=1)
    history.read([], first=3)
    assert history.verdict("settle_safety").verdict == expected


def test_who_lost_the_partition_again_has_nothing_of_it_in_hand() -> None:
    history = one_consumer()
    history.setting("retention_bytes", 0)
    history.deliver(0, result="failed")
    history.revoke()
    history.assign(start=3)
    history.commit(below=3)
    history.read([], first=3)
    assert history.verdict("settle_safety").verdict == "held"


@pytest.mark.parametrize(
    ("action", "expected"),
    [("skip", "violated"), ("ack", "violated"), ("park", "held"), ("retry", "inconclusive")],
)
def test_a_skip_of_what_is_gone_later_is_not_excused(action: str, expected: str) -> None:
    """A parked link, which leads nowhere once its event is gone, was right when it was written."""
    history = History()
    history.group(delivery="competing")
    history.setting("max_count", 1)
    history.sends(3)
    history.deliver(0, result="failed")
    history.settle_one(0, action)
    history.read([2], first=2)
    history.read_parked([])
    assert history.verdict("settle_safety").verdict == expected


def test_where_a_limit_may_have_removed_it_earlier_its_age_does_not_count() -> None:
    history = one_consumer()
    history.setting("retention", 7 * DAY * MS)
    history.setting("retention_bytes", 250)
    history.commit(below=2, at=100)
    history.read([2], first=2, at=8 * DAY)
    assert history.verdict("settle_safety").verdict == "violated"  # message 1: only its age can have removed it
    history = one_consumer()
    history.setting("retention", 7 * DAY * MS)
    history.setting("retention_bytes", 100)
    history.commit(below=2, at=100)
    history.read([2], first=2, at=8 * DAY)
    assert history.verdict("settle_safety").verdict == "held"


def test_a_category_consumer_that_skips_links_and_checkpoints_past_them_is_violated() -> None:
    history = History(partitions=0)
    stream, category = history.place("order-7"), history.place("$ce-order")
    for message in range(4):
        history.send(message, "order-7", partition=stream)
    history.assign(source=category)
    for message, link in ((0, 100), (3, 103)):
        history.handle(message, source=category, source_position=link)
    history.settle(action="checkpoint", source=category, position=104)
    number = history.read(range(4), partition=stream)
    history.rows.add("bounds", number, "main", None, category, 0, 104, 104, history.now * MS)
    for message in range(4):
        history.rows.add("log", number, "main", None, stream, message, category, 100 + message, message, "order-7",
                         message, 0, 100, "committed", True)  # fmt: skip
    verdict = history.verdict("settle_safety")
    assert verdict.verdict == "violated"
    assert "which covers message 1 (key order-7, sequence 1) at offset 101" in verdict.reason


def competing() -> History:
    history = History()
    history.group(delivery="competing")
    history.sends(3)
    return history


def test_a_nack_retry_settles_nothing_and_an_ack_after_handling_is_safe() -> None:
    history = competing()
    history.deliver(0, result="failed")
    history.settle_one(0, "retry")
    history.handle(0)
    history.settle_one(0, "ack")
    history.read_parked([])
    verdict = read_all(history).verdict("settle_safety")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


@pytest.mark.parametrize(("action", "parked", "expected"), [
    ("skip", [], "violated"), ("ack", [], "violated"), ("park", [0], "held"), ("park", [], "violated"),
])  # fmt: skip
def test_skips_acks_and_parks_of_an_unhandled_message(action: str, parked: list[int], expected: str) -> None:
    history = competing()
    history.settle_one(0, action)
    history.read_parked(parked)
    assert read_all(history).verdict("settle_safety").verdict == expected


def test_an_observed_settlement_counts_only_if_the_message_was_never_handled() -> None:
    for handled, expected in (((0, 1, 2), "held"), ((0, 1), "violated")):
        history = one_consumer()
        history.commit(below=3, settled_by="observed")
        history.handles(handled)
        verdict = read_all(history).verdict("settle_safety")
        assert verdict.verdict == expected


def cut_off() -> History:
    """0 and 1 are handled and settled; then 1 is cut off, and 2 is given its position."""
    history = one_consumer(2)
    history.handles(range(2))
    history.commit(below=2)
    history.fault("unclean_election", target="orders-0")
    history.send(2, position=1)
    return history


def test_who_settled_what_an_unclean_election_cut_off_did_not_settle_what_took_its_place() -> None:
    history = cut_off()
    history.read_log([(0, 0), (2, 1)])
    assert history.verdict("settle_safety").verdict == "held"
    history = cut_off()
    history.send(3)
    history.handle(3)
    history.commit(below=3)
    history.read_log([(0, 0), (2, 1), (3, 2)])
    assert history.verdict("settle_safety").verdict == "held", "nor who settled on from there"
    assert history.verdict("at_least_once").verdict == "violated"


@pytest.mark.parametrize(("settled_first", "expected"), [(True, "violated"), (False, "held")])
def test_what_took_its_place_is_to_be_handled_before_it_is_settled_all_the_same(
    settled_first: bool, expected: str
) -> None:
    history = cut_off()
    history.deliver(2, position=1)
    if settled_first:
        history.commit(below=2)
    history.handle(2, position=1)
    history.commit(below=2)
    history.read_log([(0, 0), (2, 1)])
    assert history.verdict("settle_safety").verdict == expected


# --- MQ132


def takeover(start: int, start_from: str = "committed", *, unknown: bool = False) -> History:
    """consumer-1 commits 10, then 40; consumer-2 takes over."""
    history = History()
    history.sends(50)
    history.assign()
    history.commit(below=10)
    history.commit(below=40, outcome="unknown" if unknown else "acked")
    history.assign("consumer-2", start=start, start_from=start_from)
    return history


def test_resuming_at_the_last_commit_holds() -> None:
    verdict = takeover(40).verdict("legal_resume")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_resuming_at_an_overwritten_commit_is_violated() -> None:
    verdict = takeover(10).verdict("legal_resume")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason == (
        "consumer-2 of the group started at offset 10 of orders-0 at 0.108 s, as settled, but consumer-1 had settled "
        "offset 40 by 0.106 s"
    )


@pytest.mark.parametrize(("start", "expected"), [(10, "held"), (40, "held"), (25, "violated"), (50, "violated")])
def test_after_a_crash_inside_a_commit_both_positions_are_legal(start: int, expected: str) -> None:
    assert takeover(start, unknown=True).verdict("legal_resume").verdict == expected


def test_a_commit_between_the_question_and_the_start_does_not_overwrite() -> None:
    history = one_consumer()
    history.commit(below=1, at=20, done=21)
    history.assign("consumer-2", start=1, start_from="committed", at=30, done=40)
    history.commit(below=2, at=32, done=35)
    assert history.verdict("legal_resume").verdict == "held"


def test_a_rejected_commit_is_no_place_to_start() -> None:
    history = one_consumer()
    history.commit(below=1)
    history.commit(below=2, outcome="failed")
    history.assign("consumer-2", start=2, start_from="committed")
    assert history.verdict("legal_resume").verdict == "violated"


@pytest.mark.parametrize(("start", "expected"), [(3, "held"), (1, "violated"), (0, "violated")])
def test_what_a_group_was_observed_to_stand_at_is_where_it_resumes(start: int, expected: str) -> None:
    """Its client committed 3 and told nobody; what it had told of before is overwritten."""
    history = one_consumer()
    history.commit(below=1)
    history.commit("mqverify", below=3, settled_by="observed")
    history.assign("consumer-2", start=start, start_from="committed")
    assert read_all(history).verdict("legal_resume").verdict == expected


def test_somebody_is_said_to_have_committed_what_was_only_observed() -> None:
    history = one_consumer()
    history.commit("mqverify", below=3, settled_by="observed")
    history.handles((0, 1))
    verdict = read_all(history).verdict("settle_safety")
    assert verdict.reason is not None
    assert verdict.reason.startswith("somebody of the group committed offset 3 of orders-0, which covers message 2 ")


def test_a_first_start_has_nothing_to_resume() -> None:
    assert one_consumer().verdict("legal_resume").verdict == "inconclusive"


@pytest.mark.parametrize(("start", "expected"), [(0, "held"), (2, "violated")])
def test_without_a_commit_the_reset_policy_decides(start: int, expected: str) -> None:
    history = one_consumer()
    history.assign("consumer-2", start=start, start_from="reset_beginning")
    assert read_all(history).verdict("legal_resume").verdict == expected


def test_a_reset_though_a_commit_stands_is_violated() -> None:
    verdict = takeover(0, "reset_beginning").verdict("legal_resume")
    assert verdict.verdict == "violated"
    assert "where the reset policy sent it, but consumer-1 had settled offset 40" in verdict.reason


def test_a_reset_to_the_other_end_than_the_policys_is_violated() -> None:
    history = one_consumer()
    history.assign("consumer-2", start=3, start_from="reset_end")
    assert history.verdict("legal_resume").verdict == "violated"


def test_a_start_at_the_end_past_what_was_sent_afterwards_is_violated() -> None:
    history = History()
    history.group(starts="end")
    history.assign(start=0, start_from="reset_end")
    history.send(0)
    history.assign("consumer-2", start=3, start_from="reset_end")
    for message in (1, 2, 3):
        history.send(message)
    assert history.verdict("legal_resume").verdict == "violated"


def test_a_reset_is_legal_when_a_reading_shows_the_commit_out_of_range() -> None:
    history = takeover(45, "reset_beginning")
    history.read(range(45, 50), first=45)
    assert history.verdict("legal_resume").verdict == "held"


@pytest.mark.parametrize(("election", "target", "expected"), [
    (60, "orders-0", "held"), (60, "", "held"), (60, "orders-7", "violated"), (500, "orders-0", "violated"),
])  # fmt: skip
def test_a_reset_after_an_unclean_election_is_in_doubt(election: int, target: str, expected: str) -> None:
    """The new leader may have ended before what was settled; written on, its end tells nothing of that any more."""
    history = takeover(0, "reset_beginning")
    history.place("orders-7")
    history.fault("unclean_election", at=election, target=target)
    history.assign("consumer-3", start=40, start_from="committed")
    history.read(range(50))
    verdict = history.verdict("legal_resume")
    assert (verdict.verdict, verdict.obligations) == (expected, 1 if expected == "held" else 2)


def test_an_unclean_election_excuses_no_start_at_what_nobody_settled() -> None:
    history = takeover(17)
    history.fault("unclean_election", at=60, target="orders-0")
    assert history.verdict("legal_resume").verdict == "violated"


def test_a_reset_is_legal_when_the_commit_had_expired() -> None:
    history = one_consumer()
    history.commit(below=2)
    history.settle(action="expire", position=2, settled_by="server")
    history.assign("consumer-2", start=0, start_from="reset_beginning")
    assert history.verdict("legal_resume").verdict == "held"
    late = one_consumer()  # it freezes while it commits, and reads the answer when the offset has long expired
    late.commit(below=2, at=10, done=50)
    late.settle(action="expire", position=2, settled_by="server", at=30, done=31)
    late.assign("consumer-2", start=0, start_from="reset_beginning", at=60)
    assert late.verdict("legal_resume").verdict == "held"
    again = one_consumer()
    again.settle(action="expire", position=2, settled_by="server")
    again.commit(below=2)
    again.assign("consumer-2", start=0, start_from="reset_beginning")
    assert again.verdict("legal_resume").verdict == "violated"


def test_the_sinks_position_is_legal_and_settling_one_by_one_is_not_judged() -> None:
    assert takeover(17, "sink").verdict("legal_resume").verdict == "held"
    history = takeover(17)
    history.rows.tables["groups"].clear()
    history.group(delivery="competing")
    assert history.verdict("legal_resume").verdict == "inconclusive"


def test_commits_of_another_group_or_source_are_no_place_to_start() -> None:
    history = History(partitions=2)
    history.sends(3)
    history.assign()
    history.commit(below=2, source=1)
    history.commit(below=2, group="other")
    history.assign("consumer-2", start=2, start_from="committed")
    assert history.verdict("legal_resume").verdict == "violated"

"""What faults leave in a history accuses nobody who is innocent, and clears nobody who is guilty."""

import pytest

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import DAY, MS, History

HOUR = 3_600_000


# --- the client tries again on its own -------------------------------------------------------------------------------


@pytest.mark.parametrize("guarantee", [
    "at_least_once", "exactly_once", "integrity", "per_key_ordering", "per_partition_ordering", "send_ordering",
    "durable", "no_duplicate_writes", "replayable", "consistent_positions", "settle_safety",
])  # fmt: skip
def test_a_retry_that_an_idempotent_producer_makes_is_acknowledged_with_the_first_offset(guarantee: str) -> None:
    """The reply was lost and 1 was acknowledged meanwhile; the retry of 0 stores nothing and says offset 0."""
    history = History()
    history.send(0, at=1, acked=20)
    history.send(1, at=2, acked=5)
    history.assign()
    history.handles([0, 1])
    history.commit(below=2)
    history.read([0, 1])
    assert history.verdict(guarantee).verdict == "held"


@pytest.mark.parametrize(
    "guarantee", ["at_least_once", "integrity", "durable", "settle_safety", "consistent_positions"]
)
def test_a_batch_that_was_stored_twice_is_acknowledged_with_the_second_offset(guarantee: str) -> None:
    """Without idempotence: 0 at 0 and 2, acknowledged with 2. Both copies are where consumers say, none is lost."""
    history = History()
    history.send(0, position=2)
    history.send(1, position=1)
    history.assign()
    history.handle(0, position=0, source_position=0)
    history.commit(below=1)
    history.handle(1)
    history.handle(0)
    history.commit(below=3)
    history.read_log([(0, 0), (1, 1), (0, 2)])
    assert history.verdict(guarantee).verdict == "held"


@pytest.mark.parametrize(("limit", "value", "copies", "expected"), [
    ("retention_bytes", 300, 1, "held"),
    ("retention_bytes", 300, 0, "violated"),
    ("max_count", 3, 1, "held"),
    ("max_count", 3, 0, "violated"),
])  # fmt: skip
def test_copies_that_the_client_wrote_push_out_what_lies_before_them(
    limit: str, value: int, copies: int, expected: str
) -> None:
    """0, 1, copies of 1 that only their offsets tell of, and 2: three of 100 bytes behind 0 make its removal due."""
    history = History()
    history.setting(limit, value)
    history.send(0)
    history.send(1)
    history.send(2, position=2 + copies)
    history.read([1, 2], first=1)
    assert history.verdict("durable").verdict == expected


# --- clocks that are wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skew", "expected"), [(-2 * HOUR, "held"), (0, "violated"), (2 * HOUR, "violated")])
def test_a_record_expires_by_its_own_timestamp(skew: int, expected: str) -> None:
    """An hour before seven days are over only what was stamped two hours too early is due."""
    history = History()
    history.setting("retention", 7 * DAY * MS)
    history.send(0, record_time=skew)
    history.send(1, record_time=skew)
    history.read([1], first=1, at=7 * DAY - HOUR)
    assert history.verdict("durable").verdict == expected


@pytest.mark.parametrize("guarantee", ["per_key_ordering", "send_ordering", "latest"])
def test_record_timestamps_order_nothing(guarantee: str) -> None:
    history = History()
    if guarantee == "latest":
        history.parameter("replayable", "state", "latest")
    for message, record_time in enumerate((HOUR, -HOUR, 0)):
        history.send(message, record_time=record_time)
    history.handles([0, 1, 2])
    history.read([0, 1, 2])
    assert history.verdict("replayable" if guarantee == "latest" else guarantee).verdict == "held"


# --- consumers come and go -------------------------------------------------------------------------------------------


def test_a_consumer_that_was_removed_leaves_the_debts_to_the_others() -> None:
    history = History()
    history.worker("consumer-1", ended=10, ending="removed")
    history.worker("consumer-2", ended=200, ending="finished")
    history.sends(3)
    history.assign()
    history.handle(0)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations, verdict.violations) == ("violated", 3, 2)


@pytest.mark.parametrize(("crashed", "expected"), [(5, "held"), (50, "violated")])
def test_a_group_is_removed_with_its_last_member(crashed: int, expected: str) -> None:
    """One died for good, one was removed: the later of the two says why nobody is left."""
    history = History()
    history.worker("consumer-1", ended=crashed, ending="crashed")
    history.worker("consumer-2", ended=20, ending="removed")
    history.sends(3)
    history.handle(0)
    assert history.verdict("at_least_once").verdict == expected


def test_a_consumer_that_was_added_takes_over_where_the_group_was() -> None:
    history = History()
    history.worker("consumer-1", ended=200, ending="finished")
    history.worker("consumer-2", began=20, ended=200, ending="finished")
    history.sends(4)
    history.assign()
    history.handles([0, 1])
    history.commit(below=2)
    history.revoke()
    history.assign("consumer-2", start=2, start_from="committed")
    history.handles([2, 3], "consumer-2")
    history.read(range(4))
    for guarantee in ("exactly_once", "per_key_ordering", "per_partition_ordering", "legal_resume", "no_rewind"):
        assert history.verdict(guarantee).verdict != "violated", guarantee
    assert history.verdict("legal_resume").verdict == "held"


def test_a_removed_group_of_shards_is_owed_what_each_of_its_shards_had_passed() -> None:
    """Shard 0 settled past 3, which says nothing of what shard 1 had in the way."""
    history = History()
    for shard, key in enumerate("ab"):
        history.shard(key, shard)
        history.worker(f"consumer-{shard}", ended=100, ending="removed")
    history.sends(4, keys=("a", "b"))
    for message in (0, 2):
        history.handle(message, "consumer-0", shard=0)
    history.commit("consumer-0", below=4, shard=0)
    history.handle(1, "consumer-1", shard=1)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


# --- what an administrator removes -----------------------------------------------------------------------------------


def records_deleted(*, told: bool = True) -> History:
    """0 and 1 are deleted under a consumer that has handled 0."""
    history = History()
    history.sends(4)
    history.assign()
    history.handle(0)
    history.read(range(4), reason="before delete_records of fault 0")
    history.fault("delete_records", number=0)
    if told:
        history.setting("delete_records", 2, place=0, since=history.now)
    return history


@pytest.mark.parametrize(("told", "expected"), [(True, "held"), (False, "violated")])
def test_deleted_records_are_legally_absent(told: bool, expected: str) -> None:
    history = records_deleted(told=told)
    history.read([2, 3], first=2)
    assert history.verdict("durable").verdict == expected
    assert history.verdict("durable_past_retention").verdict == "violated"
    assert history.verdict("replayable").verdict == "violated"
    assert history.verdict("no_duplicate_writes").verdict == "held", "the reading before saw all of them"


def test_records_that_were_deleted_before_they_were_handled_are_lost_and_the_cause_is_told() -> None:
    history = records_deleted()
    history.handles([2, 3])
    history.commit(below=4)
    history.read([2, 3], first=2)
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason.endswith(
        "as offset 1 of orders-0: it was removed before it was read (still there at 0.014 s, gone by 0.024 s)"
    )
    assert history.verdict("settle_safety").verdict == "held", "what it settled past was gone by then"
    assert history.verdict("per_partition_ordering").verdict == "held", "nothing that is left was left out"


@pytest.mark.parametrize(("told", "expected"), [(True, "held"), (False, "violated")])
def test_a_deleted_stream_is_empty_legally(told: bool, expected: str) -> None:
    history = EventStoreHistory()
    for message, key in enumerate("aab"):
        history.append(message, key)
    history.look(reason="before delete_stream of fault 0")
    history.fault("delete_stream", number=0, target="a")
    if told:
        history.setting("truncate_before", 2, place=history.stream("a"), since=history.now)
    history.look([2], first={"a": 2}, everything=[0, 1, 2], links=[2])
    assert history.verdict("durable").verdict == expected
    assert history.verdict("no_duplicate_writes").verdict == "held"


# --- what a sink refuses ---------------------------------------------------------------------------------------------


def zombie(result: str) -> History:
    """consumer-1 is thought dead with 0 in hand, which consumer-2 handles once consumer-1 was refused, or failed."""
    history = History()
    history.sends(2)
    history.assign()
    history.deliver(0, result=result)
    history.assign("consumer-2", start=0, start_from="sink")
    history.handles([0, 1], "consumer-2")
    return history


def test_a_refused_delivery_is_over_and_is_no_handling() -> None:
    history = zombie("refused")
    assert history.verdict("exclusive_key_handling").verdict == "held"
    assert history.verdict("at_most_once").verdict == "held"
    assert history.verdict("per_key_ordering").verdict == "held"
    assert history.verdict("no_rewind").verdict == "held"


def test_a_refusal_is_no_failure_that_holds_up_others() -> None:
    for result, expected in (("refused", "inconclusive"), ("failed", "violated")):
        history = History()
        history.parameter("no_head_of_line_blocking", "within", 10 * MS)
        history.sends(2, keys=("a", "b"))
        history.deliver(0, result=result)
        history.handles([0, 1], at=100)
        assert history.verdict("no_head_of_line_blocking").verdict == expected


def test_a_start_that_the_sink_refuses_goes_back_all_the_same() -> None:
    """MQ112 counts starts: a zombie's, too."""
    history = zombie("failed")
    history.deliver(0, "consumer-1", result="refused")
    assert history.verdict("no_rewind").verdict == "violated"
    assert history.verdict("exactly_once").verdict == "held"


def test_what_was_only_ever_refused_is_lost() -> None:
    history = History()
    history.send(0)
    history.deliver(0, result="refused")
    assert history.verdict("at_least_once").reason.endswith("it was delivered to consumer-1, and the sink refused it")


# --- committed offsets that expire -----------------------------------------------------------------------------------


def forgotten(start: int, start_from: str) -> History:
    """Offset 2 is settled and expires; somebody starts anew."""
    history = History()
    history.group(starts="end" if start_from == "reset_end" else "beginning")
    history.assign(start_from=start_from)
    history.sends(3)
    history.handles([0, 1])
    history.commit(below=2)
    history.settle("server", action="expire", position=2, settled_by="server")
    history.assign("consumer-2", start=start, start_from=start_from)
    return history


def test_a_reset_behind_an_expired_commit_is_legal_and_loses_what_it_passes() -> None:
    history = forgotten(3, "reset_end")
    history.read(range(3))
    assert history.verdict("legal_resume").verdict == "held"
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert "consumer-2 started behind it, at offset 3, by the reset policy" in verdict.reason
    assert verdict.witness is not None
    assert ("the server", "forgets offset 2") in [
        (event.actor, event.event) for event in verdict.witness.events
    ]  # fmt: skip


def test_a_reset_to_the_beginning_behind_an_expired_commit_handles_again() -> None:
    history = forgotten(0, "reset_beginning")
    history.handles([0, 1, 2], "consumer-2")
    history.read(range(3))
    assert history.verdict("legal_resume").verdict == "held"
    assert history.verdict("at_least_once").verdict == "held"
    assert history.verdict("at_most_once").verdict == "violated"
    assert history.verdict("settle_safety").verdict == "held"


def test_an_expiry_settles_nothing() -> None:
    history = History()
    history.sends(3)
    history.settle("server", action="expire", position=3, settled_by="server")
    history.read(range(3))
    assert history.verdict("settle_safety").verdict == "inconclusive"

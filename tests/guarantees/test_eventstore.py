"""Histories of Event Store: links, parked messages, checkpoints, shards (SEMANTICS §5)."""

import pytest

from tests.guarantees.eventstore import EventStoreHistory
from tests.guarantees.histories import MS


def persistent(messages: int = 4, keys: str = "ab", **others: str) -> EventStoreHistory:
    history = EventStoreHistory(**others)
    history.group(delivery="competing", consumers=2)
    for message in range(messages):
        history.append(message, keys[message % len(keys)])
    history.subscribe("consumer-1")
    history.subscribe("consumer-2")
    return history


def catch_up(messages: int = 4, keys: str = "ab", follows: str = "category", **group: str) -> EventStoreHistory:
    history = EventStoreHistory(follows=follows)
    history.group(delivery="own", **group)  # type: ignore[arg-type]
    for message in range(messages):
        history.append(message, keys[message % len(keys)])
    history.subscribe(start=0, start_from="beginning")
    return history


# --- parking


def test_an_acknowledged_park_with_an_empty_parked_stream_is_violated() -> None:
    """§5.6: whoever else has something parked."""
    history = persistent()
    history.group("shipping", delivery="competing")
    for message in (1, 2, 3):
        history.handled(message)
    history.fails(0)
    history.tells(0, "park")
    for message in range(3):
        history.handled(message, group="shipping")
    history.tells(3, "park", group="shipping")
    history.look(parked={"group": [], "shipping": [3]})
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 8)
    assert verdict.reason == (
        "the group never handled message 0 (key a, sequence 0), which was acknowledged at 0.002 s as revision 0 of "
        "orders-a: it was to be parked, yet it is not among the parked messages"
    )
    assert history.verdict("settle_safety").reason.startswith("consumer-1 of the group parked revision 0 of $ce-orders")


def test_an_empty_parked_stream_that_was_read_is_its_own_groups_and_no_others() -> None:
    history = persistent()
    history.group("shipping", delivery="competing")
    for group in ("group", "shipping"):
        for message in range(4):
            history.handled(message, group=group)
    history.look(parked={"group": []})
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 8)
    assert verdict.reason.endswith("not judged: what group shipping parked was not read to its end")
    history = persistent()
    history.group("shipping", delivery="competing")
    history.look(parked={"group": []})
    assert history.finding("at_least_once").obligations == 4  # of shipping, all is in doubt


@pytest.mark.parametrize("named", [True, False])
def test_the_server_parks_by_itself(named: bool) -> None:
    """§5.6: after max_retry_count."""
    history = persistent()
    for retry in range(3):
        history.take(0, retry=retry, started=-1)
    history.server_parks(0, named=named)
    for message in (1, 2, 3):
        history.handled(message)
        history.tells(message)
    history.checkpoint(3)
    history.look(parked={"group": [0]})
    for guarantee, obligations in (("at_least_once", 4), ("exactly_once", 4), ("settle_safety", 5)):
        verdict = history.verdict(guarantee)
        assert (verdict.verdict, verdict.obligations) == ("held", obligations), verdict.reason


def test_retried_by_nack_and_then_handled() -> None:
    """§5.6."""
    history = persistent()
    history.fails(0)
    history.tells(0, "retry")
    history.handled(0, "consumer-2", retry=1)
    history.tells(0, consumer="consumer-2")
    for message in (1, 2, 3):
        history.handled(message)
        history.tells(message)
    history.checkpoint(3)
    history.look(parked={"group": []})
    verdict = history.verdict("settle_safety")
    assert (verdict.verdict, verdict.obligations) == ("held", 5)
    assert history.verdict("at_least_once").verdict == "held"


def replayed(handled: bool, checkpoint_between: bool = False) -> EventStoreHistory:
    history = persistent()
    history.fails(0)
    history.tells(0, "park")
    for message in (1, 2, 3):
        history.handled(message)
        history.tells(message)
    history.checkpoint(2)
    history.look(parked={"group": [0]}, reason="before replay_parked of fault 0")
    history.checkpoint(3)
    history.fault("replay_parked")
    if checkpoint_between:
        history.append(4)
        history.handled(4)
        history.checkpoint(4)
    if handled:
        history.handled(0)
        history.tells(0)
    history.look(parked={"group": []})
    return history


def test_what_was_parked_and_replayed_was_safe_as_long_as_it_was_parked() -> None:
    assert replayed(handled=True).verdict("settle_safety").verdict == "held"
    assert replayed(handled=True).verdict("at_least_once").verdict == "held"


def test_a_checkpoint_past_a_replayed_message_in_no_parked_stream_is_not_safe() -> None:
    verdict = replayed(handled=True, checkpoint_between=True).verdict("settle_safety")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason.startswith("the server, for the group, kept the checkpoint revision 4 of $ce-orders at "), (
        verdict.reason
    )
    assert "which covers message 0 (key a, sequence 0) at revision 0" in verdict.reason


def test_a_replayed_message_that_is_lost_is_said_to_be() -> None:
    verdict = replayed(handled=False).verdict("at_least_once")
    assert verdict.verdict == "violated"
    assert "it was parked at 0.0" in verdict.reason
    assert verdict.reason.endswith(", and is not any more")


def test_a_parked_place_read_only_before_a_fault_decides_nothing() -> None:
    history = persistent(1)
    history.fails(0)
    history.tells(0, "park")
    history.look(parked={"group": [0]}, reason="before replay_parked of fault 0")
    assert history.verdict("at_least_once").verdict == "inconclusive"


# --- acks and checkpoints


def test_an_ack_before_handling_is_violated_and_named_as_the_cause() -> None:
    history = persistent()
    history.take(0)
    history.tells(0)
    for message in (1, 2, 3):
        history.handled(message)
        history.tells(message)
    history.checkpoint(3)
    history.look(parked={"group": []})
    verdict = history.verdict("settle_safety")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 2, 5)
    assert verdict.reason.startswith("consumer-1 of the group acknowledged revision 0 of $ce-orders at ")
    lost = history.verdict("at_least_once")
    assert lost.reason.endswith(": consumer-1 acknowledged it at 0.014 s, though no handler had ended well")
    assert lost.witness is not None
    told = [(event.actor, event.event, event.partition) for event in lost.witness.events]
    assert ("consumer-1", "subscribes", "$ce-orders") in told
    assert ("consumer-1", "acknowledges it, counted at 0.015 s", "$ce-orders") in told


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize(("result", "failed"), [(None, ""), ("failed", " after its handler had failed")])
def test_a_checkpoint_past_a_lost_message_is_told_as_it_was_kept(
    guarantee: str, result: str | None, failed: str
) -> None:
    history = EventStoreHistory()
    history.group(delivery="own")
    for message in range(3):
        history.append(message, "ab"[message % 2])
    history.subscribe(start=0, start_from="beginning")
    history.handled(0)
    history.take(1, result=result)
    history.handled(2)
    history.checkpoint(2, "consumer-1", settled_by="consumer")
    history.look()
    kept = history.rows.tables["settlements"][-1][10] / 1e9
    assert history.verdict(guarantee).reason.endswith(
        f": consumer-1 kept a checkpoint that covers it (revision 2 of $ce-orders) at {kept:.3f} s{failed}"
    )


@pytest.mark.parametrize(("settled", "expected"), [("handled", "held"), ("retry", "violated"), ("parked", "held")])
def test_a_server_checkpoint_covers_only_what_is_done(settled: str, expected: str) -> None:
    history = persistent()
    for message in (0, 2, 3):
        history.handled(message)
    history.fails(1)
    if settled == "handled":
        history.handled(1, retry=1)
    else:
        history.tells(1, {"retry": "retry", "parked": "park"}[settled])
    history.checkpoint(3)
    history.handled(1, retry=2)
    history.look(parked={"group": [1] if settled == "parked" else []})
    verdict = history.verdict("settle_safety")
    assert verdict.verdict == expected
    if verdict.witness is not None:
        told = [(one.actor, one.event.split(",")[0], one.partition) for one in verdict.witness.events]
        assert ("the server", "keeps the checkpoint revision 3", "$ce-orders") in told
        assert ("consumer-1", "asks again for it", "$ce-orders") in told
        assert ("consumer-1", "takes it from its buffer (retry 2)", "orders-b") in told


def test_a_category_consumer_that_skips_links() -> None:
    """§5.11: it handles 0 and 3, skips 1 and 2, checkpoints past 3."""
    history = catch_up(keys="a")
    history.handled(0)
    history.handled(3)
    history.checkpoint(3, "consumer-1", settled_by="consumer")
    history.look()
    order = history.verdict("per_partition_ordering")
    assert (order.verdict, order.violations, order.obligations) == ("violated", 1, 2)
    assert order.reason.startswith(
        "consumer-1 was handed revision 3 of $ce-orders (message 3 (key a, sequence 3)) next after revision 0 "
        "(message 0), and message 2 (key a, sequence 2) at revision 2 was left out"
    )
    settling = history.verdict("settle_safety")
    assert settling.verdict == "violated"
    assert settling.reason.startswith("consumer-1 of the group kept the checkpoint revision 3 of $ce-orders at ")


def test_positions_in_all_are_called_positions() -> None:
    history = catch_up(keys="a", follows="all")
    history.handled(0)
    history.handled(3)
    history.checkpoint(3, "consumer-1", settled_by="consumer")
    history.look()
    assert history.verdict("per_partition_ordering").reason.startswith(
        "consumer-1 was handed position 1510 of $all (message 3 (key a, sequence 3)) next after position 1000 "
    )
    settling = history.verdict("settle_safety")
    assert settling.reason.startswith("consumer-1 of the group kept the checkpoint position 1510 of $all at ")
    assert settling.witness is not None
    assert "keeps the checkpoint position 1510, stored at 0.018 s" in [event.event for event in settling.witness.events]
    assert "subscribes and starts at position 0" in [event.event for event in settling.witness.events]


def test_gaps_between_positions_of_all_are_no_messages() -> None:
    history = catch_up(follows="all")
    for message in range(4):
        history.handled(message)
    history.look()
    verdict = history.verdict("per_partition_ordering")
    assert (verdict.verdict, verdict.obligations) == ("held", 4)


@pytest.mark.parametrize(("own_shard", "expected"), [(0, "held"), (1, "violated")])
def test_a_checkpoint_past_another_shards_links(own_shard: int, expected: str) -> None:
    """§5.11: `shard: key`."""
    history = EventStoreHistory()
    history.group(delivery="own", consumers=2)
    history.shard("a", 0)
    history.shard("b", 1)
    for message in range(4):
        history.append(message, "ab"[message % 2])
    for shard in (0, 1):
        history.subscribe(f"consumer-{shard + 1}", start=0, start_from="beginning", shard=shard)
    for message in (0, 2):
        history.handled(message, shard=0)
    history.checkpoint(3, f"consumer-{own_shard + 1}", settled_by="consumer", shard=own_shard)
    history.look()
    assert history.verdict("settle_safety").verdict == expected
    assert history.verdict("per_partition_ordering").verdict == "held"


def test_resuming_after_a_checkpoint_in_a_category() -> None:
    for start, expected in ((2, "held"), (1, "violated")):
        history = catch_up()
        for message in (0, 1):
            history.handled(message)
        history.checkpoint(1, "consumer-1", settled_by="consumer")
        history.subscribe(incarnation=2, start=start, start_from="committed")
        history.look()
        verdict = history.verdict("legal_resume")
        assert (verdict.verdict, verdict.obligations) == (expected, 1)
    assert verdict.reason.startswith("consumer-1 (incarnation 2) of the group started at revision 1 of $ce-orders")


def test_a_subscription_from_the_end_that_starts_past_later_events_is_no_legal_start() -> None:
    history = EventStoreHistory()
    history.group(delivery="own", starts="end")
    history.subscribe(start=0, start_from="end")
    history.append(0)
    history.subscribe(incarnation=2, start=3, start_from="end")
    for message in (1, 2, 3):
        history.append(message, "b")
    history.look()
    assert history.verdict("legal_resume").verdict == "violated"


# --- links


def test_a_link_is_where_its_event_lies() -> None:
    """§5.13."""
    history = catch_up()
    for message in range(4):
        history.handled(message)
    history.look()
    for guarantee in ("integrity", "durable", "durable_past_retention", "replayable", "at_least_once"):
        assert history.finding(guarantee).violations == 0, guarantee
    assert history.finding("integrity").obligations == 4
    assert history.finding("durable").obligations == 4


def test_from_the_end_of_a_category_streams_that_come_later_are_owed_only_what_was_sent_later() -> None:
    history = EventStoreHistory()
    history.group(delivery="own", starts="end")
    history.append(0, "a", at=1, acked=2)
    history.append(1, "b", at=3, acked=30)  # in flight while the group starts
    history.rows.tables["places"][-1][2] = 30 * MS  # its stream was first heard of with the acknowledgement
    history.subscribe(start=1, start_from="end", at=10)
    history.append(2, "b", at=40)
    history.handled(2)
    history.look()
    verdict = history.verdict("at_least_once")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_what_only_the_category_lost_is_lost_to_who_follows_it_and_durable_all_the_same() -> None:
    history = catch_up()
    history.fault("scavenge")
    history.look(links=[0, 1, 3])
    assert history.verdict("durable").verdict == "held"
    past = history.verdict("durable_past_retention")
    assert (past.verdict, past.violations, past.obligations) == ("violated", 1, 4)
    assert history.verdict("replayable").violations == 1
    for reader in ("all", "stream"):
        history.parameter("durable_past_retention", "reader", reader)
        assert history.verdict("durable_past_retention").verdict == "held"


def test_expiry_in_a_stream_excuses_a_category_checkpoint() -> None:
    history = catch_up(keys="a")
    history.setting("max_count", 2)
    history.handled(2)
    history.handled(3)
    history.checkpoint(3, "consumer-1", settled_by="consumer")
    history.look([2, 3], first={"a": 2}, everything=range(4))
    assert history.verdict("durable").obligations == 2
    assert history.verdict("settle_safety").verdict == "held"
    assert "it was removed before it was read" in history.verdict("at_least_once").reason


def test_a_removed_group_owes_what_it_had_settled_past_in_the_category() -> None:
    history = catch_up()
    history.worker("consumer-1", ended=50, ending="removed")
    history.handled(0)
    history.checkpoint(1, "consumer-1", settled_by="consumer")
    history.look()
    assert (history.finding("at_least_once").obligations, history.finding("at_least_once").violations) == (2, 1)


def test_who_competes_is_no_matter_of_order_or_of_resuming() -> None:
    history = persistent()
    for message in (3, 1, 0, 2):
        history.handled(message)
    history.subscribe(incarnation=2)
    history.look(parked={"group": []})
    for guarantee in ("per_partition_ordering", "legal_resume"):
        assert history.finding(guarantee).obligations == 0
    assert history.verdict("per_key_ordering").verdict == "violated"


def backlog(delivery: str, consumers: int) -> EventStoreHistory:
    """600 messages wait; consumers of one team, or competing ones, begin once all are there."""
    history = EventStoreHistory()
    for number in range(1, consumers + 1):
        name = f"readers/consumer-{number}" if delivery == "own" else "readers"
        if number == 1 or delivery == "own":
            history.group(name, team="readers", delivery=delivery, consumers=1 if delivery == "own" else consumers)
        history.worker(f"readers/consumer-{number}", group=name)
        history.subscribe(f"readers/consumer-{number}", group=name, start=0 if delivery == "own" else None)
    for message in range(600):
        history.append(message, "abcdef"[message % 6])
    return history


def test_consumers_that_share_nothing_are_judged_as_a_team() -> None:
    history = backlog("own", 2)
    for message in range(600):
        for number in (1, 2):
            name = f"readers/consumer-{number}"
            history.handled(message, name, group=name)
    assert history.verdict("scales_with_consumers").verdict == "violated"
    assert history.verdict("competing_consumers").verdict == "violated"
    assert "no message of it was handled by one of them alone" in history.verdict("competing_consumers").reason


def test_consumers_that_compete_share_one_stream() -> None:
    history = backlog("competing", 3)
    for message in range(600):
        history.handled(message, f"readers/consumer-{message % 3 + 1}", group="readers")
    for guarantee in ("scales_with_consumers", "competing_consumers"):
        verdict = history.verdict(guarantee)
        assert (verdict.verdict, verdict.obligations) == ("held", 1), verdict.reason

"""Groups whose sink keeps the positions: what `start_from: sink` means to the guarantees (SEMANTICS §1, §4, §5.18)."""

import pytest

from tests.guarantees.histories import History


def zombie(result: str) -> History:
    """consumer-1 is frozen in the handler of message 1; consumer-2 goes on from the sink; then consumer-1 wakes up."""
    history = History()
    history.sends(4)
    history.assign("consumer-1")
    handle(history, 0, "consumer-1")
    history.assign("consumer-2", start=1, start_from="sink", at=40)
    for message in (1, 2, 3):
        handle(history, message, "consumer-2")
    history.deliver(1, "consumer-1", result=result)
    return history


def handle(history: History, message: int, consumer: str) -> None:
    """The effect is the handler's last act."""
    started = history.now + 1
    history.effect(message, consumer, at=started + 1)
    history.handle(message, consumer, at=started, started=started, ended=started + 2)


def read_all(history: History, first: int = 0) -> History:
    history.read(range(first, 4), first=first)
    return history


@pytest.mark.parametrize(("result", "expected"), [("refused", "held"), ("handled", "violated")])
def test_a_zombies_write_that_is_refused_is_no_second_handling(result: str, expected: str) -> None:
    """§5.18."""
    history = read_all(zombie(result))
    assert history.verdict("exactly_once").verdict == expected
    assert history.verdict("at_most_once").verdict == expected
    assert history.verdict("at_least_once").verdict == "held"
    assert history.verdict("per_key_ordering").verdict == "held"


def test_without_settlements_nothing_is_said_about_settling() -> None:
    assert read_all(zombie("refused")).verdict("settle_safety").verdict == "inconclusive"


def test_who_starts_at_the_sinks_position_may_leave_nothing_out_behind_it() -> None:
    """MQ113: the tenure begins at the sink's position."""
    history = read_all(zombie("refused"))
    verdict = history.verdict("per_partition_ordering")
    assert (verdict.verdict, verdict.obligations) == ("held", 5)
    late = History()
    late.sends(4)
    late.assign("consumer-2", start=1, start_from="sink")
    late.handle(2, "consumer-2")
    assert read_all(late).verdict("per_partition_ordering").verdict == "violated"


@pytest.mark.parametrize(("start", "expected"), [(1, "held"), (0, "violated"), (2, "violated")])
def test_a_start_from_the_sink_is_behind_its_last_effect(start: int, expected: str) -> None:
    """MQ132: what is said to be the sink's has to be."""
    history = History()
    history.sends(4)
    history.assign()
    handle(history, 0, "consumer-1")
    history.assign("consumer-2", start=start, start_from="sink")
    verdict = read_all(history).verdict("legal_resume")
    assert (verdict.verdict, verdict.obligations) == (expected, 1)
    if start == 2:
        assert verdict.reason == (
            "consumer-2 of the group started at offset 2 of orders-0 at 0.015 s, where its sink was said to stand, but "
            "consumer-1 had settled offset 1 by 0.012 s"
        )


def test_an_effect_between_the_question_and_the_start_does_not_make_the_older_position_illegal() -> None:
    for start in (1, 2):
        history = History()
        history.sends(4)
        history.assign("consumer-1")
        handle(history, 0, "consumer-1")
        history.assign("consumer-2", start=start, start_from="sink", at=30, done=40)
        history.effect(1, "consumer-1", at=35)
        assert read_all(history).verdict("legal_resume").verdict == "held"


@pytest.mark.parametrize(
    ("start", "start_from", "expected"),
    [(1, "sink", "held"), (3, "sink", "violated"), (3, "committed", "violated"), (1, "committed", "held")],
)
def test_what_the_broker_was_told_is_not_the_sinks_position(start: int, start_from: str, expected: str) -> None:
    """MQ132: with automatic commits the broker may be told more than the sink keeps; nobody starts there."""
    history = History()
    history.setting("sink.group", "transactional")
    history.sends(4)
    history.assign("consumer-1", start=0)
    history.handle(0, "consumer-1", at=20, started=21, ended=23)
    history.effect(0, "consumer-1", at=22)
    history.commit("consumer-1", below=3, at=30)
    history.worker("consumer-1", ended=35, ending="crashed")
    history.assign("consumer-2", start=start, start_from=start_from, at=40)
    history.handles(range(start, 4), "consumer-2")
    assert read_all(history).verdict("legal_resume").verdict == expected


def test_a_start_by_the_reset_policy_though_the_sink_has_a_position_is_violated() -> None:
    """Known by an earlier start from the sink, or by what the run says of its sinks."""
    history = History()
    history.setting("sink.group", "transactional")
    history.sends(4)
    history.assign("consumer-1")
    handle(history, 0, "consumer-1")
    history.assign("consumer-2", start=0, start_from="reset_beginning")
    verdict = read_all(history).verdict("legal_resume")
    assert verdict.verdict == "violated"
    assert "where the reset policy sent it, but consumer-1 had settled offset 1" in verdict.reason


def test_a_reset_is_legal_where_the_sinks_position_has_expired() -> None:
    history = History()
    history.setting("sink.group", "transactional")
    history.sends(4)
    history.assign("consumer-1")
    handle(history, 0, "consumer-1")
    history.assign("consumer-2", start=3, start_from="reset_beginning")
    assert read_all(history, first=3).verdict("legal_resume").verdict == "held"


def test_a_sink_without_positions_is_no_place_to_start() -> None:
    history = History()
    history.setting("sink.group", "idempotent")
    history.sends(4)
    history.assign("consumer-1")
    handle(history, 0, "consumer-1")
    history.assign("consumer-2", start=0, start_from="reset_beginning")
    assert read_all(history).verdict("legal_resume").verdict == "held"


@pytest.mark.parametrize("action", ["skip", "park"])
def test_the_sinks_position_moves_past_what_is_skipped_or_parked(action: str) -> None:
    history = History()
    history.sends(4)
    history.assign("consumer-1")
    handle(history, 0, "consumer-1")
    history.deliver(1, "consumer-1", result="failed")
    history.settle_one(1, action, "consumer-1")
    history.assign("consumer-2", start=2, start_from="sink")
    history.handles([2, 3], "consumer-2")
    if action == "park":
        history.read_parked([1])
    read_all(history)
    assert history.verdict("legal_resume").verdict == "held"
    assert history.verdict("at_least_once").verdict == ("violated" if action == "skip" else "held")
    assert history.verdict("settle_safety").verdict == ("violated" if action == "skip" else "held")


def test_each_shard_has_a_position_of_its_own() -> None:
    history = History()
    history.group(delivery="own", consumers=2)
    history.shard("a", 0)
    history.shard("b", 1)
    history.sends(4, keys=("a", "b"))
    for shard in (0, 1):
        history.assign(f"consumer-{shard + 1}", start_from="beginning", shard=shard)
    history.effect(0, "consumer-1")
    history.effect(1, "consumer-2")
    history.effect(3, "consumer-2")
    history.assign("consumer-1", incarnation=2, start=1, start_from="sink", shard=0)
    history.assign("consumer-2", incarnation=2, start=4, start_from="sink", shard=1)
    assert history.verdict("legal_resume").verdict == "held"
    history.assign("consumer-1", incarnation=3, start=4, start_from="sink", shard=0)
    assert history.verdict("legal_resume").verdict == "violated"

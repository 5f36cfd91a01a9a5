"""MQ104 exactly_once_effects: as MQ103, counted in the sink (SEMANTICS §4)."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guarantees.histories import History
from tests.guarantees.test_order_oracles import CHECKED, judged, rows, several


class WithSink(History):
    """A run that recorded what took effect in its sinks."""

    def __init__(self, *, recorded: bool = True) -> None:
        super().__init__()
        if recorded:
            self.setting("effects", "recorded")

    def does(self, message: int, consumer: str = "consumer-1", **others: str) -> None:
        """Handles a message, whose effect is the last act."""
        self.effect(message, consumer, **others)
        self.handle(message, consumer, **others)


def test_one_effect_of_each_message_holds() -> None:
    history = WithSink()
    history.sends(3)
    for message in range(3):
        history.does(message)
    verdict = history.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_a_second_effect_is_violated_and_the_witness_shows_both() -> None:
    history = WithSink()
    history.worker("consumer-1", ended=30, ending="crashed")
    history.send(0)
    history.assign()
    history.does(0)
    history.assign("consumer-2", start=0, start_from="committed", at=40)
    history.does(0, "consumer-2")
    verdict = history.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == (
        "message 0 (key a, sequence 0) took effect 2 times in the sink of the group, first by consumer-1 at 0.005 s, "
        "then by consumer-2 at 0.042 s"
    )
    assert verdict.witness is not None
    told = [(event.at_ns // 1_000_000, event.actor) for event in verdict.witness.events if "sink" in event.event]
    assert told == [(5, "consumer-1"), (42, "consumer-2")]


def test_an_idempotent_sink_spares_the_second_effect_of_what_is_handled_twice() -> None:
    history = WithSink()
    history.send(0)
    history.does(0)
    history.handle(0, "consumer-2")
    assert history.verdict("exactly_once").verdict == "violated"
    assert history.verdict("exactly_once_effects").verdict == "held"


def test_a_message_that_was_handled_without_an_effect_is_violated() -> None:
    history = WithSink()
    history.sends(2)
    history.does(0)
    history.handle(1)
    verdict = history.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason == (
        "the sink of the group never got the effect of message 1 (key a, sequence 1), which was acknowledged at 0.004 "
        "s as offset 1 of orders-0: consumer-1 handled it at 0.011 s, and nothing came of it"
    )


def test_a_message_that_was_never_handled_is_violated_and_says_why() -> None:
    history = WithSink()
    history.sends(2)
    history.assign()
    history.deliver(1)
    history.commit(below=2)
    history.does(0)
    verdict = history.verdict("exactly_once_effects")
    assert "never got the effect of message 1" in verdict.reason
    assert "consumer-1 settled past it (offset 2)" in verdict.reason


def test_nothing_that_took_effect_and_nothing_that_was_recorded_are_told_apart() -> None:
    """A run that recorded its sinks and whose consumers are dead has lost all; one that did not cannot say."""
    recorded, unrecorded = WithSink(), WithSink(recorded=False)
    for history in (recorded, unrecorded):
        history.send(0)
        history.handle(0)
    assert recorded.verdict("exactly_once_effects").verdict == "violated"
    verdict = unrecorded.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.obligations) == ("inconclusive", 0)
    assert verdict.reason == "what took effect in the sink of the group was not recorded"


def test_a_group_without_evidence_is_not_judged_beside_one_that_has_some() -> None:
    history = WithSink(recorded=False)
    history.group("billing")
    history.group("shipping")
    history.send(0)
    history.does(0, group="billing")
    history.handle(0, group="shipping")
    verdict = history.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.obligations) == ("held", 1)
    assert "not judged: what took effect in the sink of group shipping was not recorded" in verdict.reason


def test_nothing_sent_is_inconclusive() -> None:
    assert WithSink().verdict("exactly_once_effects").verdict == "inconclusive"


def test_in_a_stuck_group_only_what_took_effect_twice_is_a_violation() -> None:
    history = WithSink()
    history.group(drained=False, gave_up="consumer-1 waits for a dead broker")
    history.sends(2)
    history.does(0)
    verdict = history.verdict("exactly_once_effects")
    assert verdict.verdict == "inconclusive"
    assert "consumer-1 waits for a dead broker" in verdict.reason
    history.does(0, "consumer-2")
    verdict = history.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)


@pytest.mark.parametrize(("effects", "expected"), [(0, "held"), (1, "held"), (2, "violated")])
def test_a_parked_message_takes_effect_at_most_once(effects: int, expected: str) -> None:
    history = WithSink()
    history.group(delivery="competing")
    history.send(0)
    for _ in range(effects):
        history.effect(0)
    history.settle_one(0, "park")
    history.read_parked([0])
    assert history.verdict("exactly_once_effects").verdict == expected


def test_what_may_be_parked_unseen_though_it_was_handled_is_not_judged() -> None:
    """A zombie handled it without an effect and it was to be parked, where nobody looked."""
    history = WithSink()
    history.group(delivery="competing")
    history.send(0)
    history.handle(0)
    history.settle_one(0, "park")
    verdict = history.verdict("exactly_once_effects")
    assert (verdict.verdict, verdict.reason) == ("inconclusive", "what the group parked was not read to its end")


@pytest.mark.parametrize(("outcome", "effects", "expected"), [
    ("unknown", 0, "held"), ("unknown", 1, "held"), ("unknown", 2, "violated"), ("failed", 0, "held"),
    ("failed", 1, "violated"),
])  # fmt: skip
def test_of_an_unknown_outcome_one_effect_is_right_and_of_a_failed_send_none(
    outcome: str, effects: int, expected: str
) -> None:
    history = WithSink()
    history.send(0)
    history.does(0)
    history.send(1, outcome=outcome, lands=True)
    for _ in range(effects):
        history.does(1)
    verdict = history.verdict("exactly_once_effects")
    assert verdict.verdict == expected
    if expected == "violated":
        assert ("whose send timed out" if outcome == "unknown" else "send had failed for certain") in verdict.reason


# --- against counting ------------------------------------------------------------------------------------------------


@st.composite
def sinks(draw: st.DrawFn) -> History:
    history = WithSink(recorded=draw(st.sampled_from([True, True, False])))
    for group in ("one", "two"):
        history.group(group, drained=draw(st.booleans()), delivery=draw(st.sampled_from(["exclusive", "competing"])))
    count = draw(st.integers(1, 5))
    for message in range(count):
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            history.send(message, outcome=draw(st.sampled_from(["acked", "acked", "unknown", "failed"])), lands=True)
    for _ in range(draw(st.integers(0, 8))):
        message, group = draw(st.integers(0, count - 1)), draw(st.sampled_from(["one", "one", "two"]))
        match draw(st.sampled_from(["effect", "effect", "handle", "park"])):
            case "effect":
                history.effect(message, group=group)
            case "handle":
                history.handle(message, group=group)
            case _:
                history.settle_one(message, "park", group=group)
    for group in ("one", "two"):
        if draw(st.booleans()):
            history.read_parked(draw(st.lists(st.integers(0, count - 1), unique=True, max_size=2)), group=group)
    return history


def counted(history: History) -> tuple[int, int]:
    outcomes = defaultdict(set)
    for row in rows(history, "sends"):
        outcomes[row["message"]].add(row["outcome"])
    effects = Counter((row["consumer_group"], row["message"]) for row in rows(history, "effects"))
    parked = {(row["consumer_group"], row["message"]) for row in rows(history, "log") if row["place"] == "parked"}
    read = {row["consumer_group"] for row in rows(history, "bounds")}
    asked = {(row["consumer_group"], row["message"]) for row in rows(history, "settlements")}
    told = any(row["name"] == "effects" for row in rows(history, "settings"))
    tested = violated = 0
    for group in rows(history, "groups"):
        name = group["consumer_group"]
        if not told and not any(owner == name for owner, _ in effects):
            continue
        for message, of in outcomes.items():
            times = effects[name, message]
            if "acked" in of:
                unread = name not in read and (group["delivery"] == "competing" or (name, message) in asked)
                known = group["drained"] and (times > 0 or (name, message) in parked or not unread)
                wrong = times > 1 or (known and times == 0 and (name, message) not in parked)
                tested += known or wrong
                violated += wrong
            else:
                wrong = times > (0 if of == {"failed"} else 1)
                tested += wrong
                violated += wrong
    return tested, violated


@CHECKED
@given(several(sinks()))
def test_effects_are_judged_as_by_counting_them(histories: list[History]) -> None:
    assert judged(histories, "exactly_once_effects") == [counted(one) for one in histories]

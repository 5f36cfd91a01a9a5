"""MQ114: one order for all groups, and none against what was acknowledged before (meaning.md §4)."""

from tests.guarantees.histories import History

NAME = "total_ordering"


def two_groups(first: list[int], second: list[int], **others: object) -> History:
    """Messages that are all under way at once, so that only the two groups' orders can be compared."""
    history = History(**others)  # type: ignore[arg-type]
    history.group("billing")
    history.group("shipping")
    for message in first:
        history.send(message, f"key-{message}", at=1 + message, acked=100 + message)
    history.now = 200
    history.handles(first, "billing/consumer-1", group="billing")
    history.handles(second, "shipping/consumer-1", group="shipping")
    return history


def test_it_holds_where_two_groups_handle_in_one_order() -> None:
    verdict = two_groups([0, 1, 2, 3], [0, 1, 2, 3]).verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 3)


def test_two_orders_are_violated() -> None:
    verdict = two_groups([0, 1, 2, 3], [0, 2, 1, 3]).verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 3)
    assert verdict.reason == (
        "group billing handled message 1 (key key-1, sequence 0) first and then message 2 (key key-2, sequence 0) "
        "(at 0.206 s and 0.209 s), group shipping the other way round (at 0.218 s and 0.221 s)"
    )
    assert verdict.witness is not None
    handled = [(event.actor, event.message) for event in verdict.witness.events if event.event == "handled it"]
    assert handled == [
        ("billing/consumer-1", 1), ("billing/consumer-1", 2), ("shipping/consumer-1", 2), ("shipping/consumer-1", 1),
    ]  # fmt: skip


def test_only_the_first_handling_counts() -> None:
    history = two_groups([0, 1, 2], [0, 1, 2])
    history.handle(0, "shipping/consumer-1", group="shipping")
    assert history.verdict(NAME).verdict == "held"


def test_what_only_one_group_handled_is_not_compared() -> None:
    assert two_groups([0, 1, 2], [2]).verdict(NAME).verdict == "inconclusive"


def test_consumers_that_share_nothing_are_a_group_each() -> None:
    history = History()
    for name in ("consumer-1", "consumer-2"):
        history.group(name, delivery="own", team="group")
    for message in range(2):
        history.send(message, at=1 + message, acked=10 + message)
    history.handles([0, 1], "consumer-1", group="consumer-1")
    history.handles([1, 0], "consumer-2", group="consumer-2")
    assert history.verdict(NAME).verdict == "violated"


def test_a_group_of_several_consumers_and_sources_has_no_one_order() -> None:
    """Held would say that the groups agree, which nobody looked at."""
    history = History(partitions=2)
    history.group("billing")
    history.group("shipping", consumers=2)
    for message in range(4):
        history.send(message, partition=message % 2)
    history.handles(range(4), "billing/consumer-1", group="billing")
    for message in range(4):
        history.handle(message, f"shipping/consumer-{message % 2 + 1}", group="shipping")
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.reason) == (
        "inconclusive",
        "group shipping has no one order to compare: it handled with 2 consumers, from 2 partitions",
    )


def test_several_consumers_of_one_source_have_one() -> None:
    history = History()
    history.group("billing")
    history.group("shipping", consumers=2, delivery="competing")
    for message in range(3):
        history.send(message, at=1 + message, acked=10 + message)
    history.handles([0, 1, 2], "billing/consumer-1", group="billing")
    for message in (0, 2, 1):
        history.handle(message, f"shipping/consumer-{message % 2 + 1}", group="shipping")
    assert history.verdict(NAME).verdict == "violated"


def test_behind_what_was_acknowledged_before_it_was_sent() -> None:
    """A single group is enough for that, whatever the keys and partitions."""
    history = History(partitions=2)
    history.send(0, "a", at=1, acked=10)
    history.send(1, "b", partition=1, producer="producer-2", at=11, acked=20)
    history.handle(1, "consumer-2")
    history.handle(0, "consumer-1")
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert verdict.reason == (
        "the group first handled message 0 (key a, sequence 0) at 0.026 s, after message 1 (key b, sequence 0) at "
        "0.023 s, though message 0 was acknowledged at 0.010 s, before message 1 was sent at 0.011 s"
    )


def test_what_was_under_way_together_may_come_in_either_order() -> None:
    history = History()
    history.send(0, at=1, acked=12)
    history.send(1, at=11, acked=20)
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "inconclusive", "no two messages were ordered by an acknowledgement"
    history = History()
    history.sends(2)
    history.handles([0, 1])
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_what_was_never_acknowledged_orders_nothing() -> None:
    history = History()
    history.send(0, outcome="unknown", lands=True)
    history.send(1)
    history.handles([1, 0])
    assert history.verdict(NAME).verdict == "inconclusive"

"""MQ105: what is delivered is what was sent."""

from tests.guarantees.histories import History


def test_deliveries_of_what_was_sent_hold() -> None:
    history = History(partitions=2)
    history.send(0, "a", partition=0)
    history.send(1, "b", partition=1)
    history.handles([0, 1])
    verdict = history.verdict("integrity")
    assert (verdict.verdict, verdict.obligations) == ("held", 2)


def test_nothing_delivered_is_inconclusive() -> None:
    history = History()
    history.send(0)
    assert history.verdict("integrity").verdict == "inconclusive"


def test_a_phantom_is_violated_and_named() -> None:
    history = History()
    history.send(0)
    history.handle(0)
    history.deliver(None, position=5)
    verdict = history.verdict("integrity")
    assert (verdict.verdict, verdict.violations) == ("violated", 1)
    assert (
        verdict.reason
        == "consumer-1 of the group was handed something at 0.006 s (offset 5 of orders-0), which nobody sent"
    )


def test_a_message_with_a_number_that_nobody_sent_is_a_phantom() -> None:
    history = History()
    history.deliver(17, key="a", sequence=0)
    assert "which nobody sent" in history.verdict("integrity").reason


def test_a_changed_key_sequence_or_payload_is_violated() -> None:
    for change, words in (
        ({"key": "b"}, "which was sent with the key a"),
        ({"sequence": 7}, "which was sent as sequence 0 of its key"),
        ({"intact": False}, "whose checksum fails"),
    ):
        history = History()
        history.send(0)
        history.deliver(0, result="handled", **change)  # type: ignore[arg-type]
        assert words in history.verdict("integrity").reason


def test_a_message_astray_is_violated_if_every_try_is_known() -> None:
    history = History(partitions=2)
    history.send(0, partition=0)
    history.deliver(0, partition=1, position=0)
    assert "which was sent to orders-0" in history.verdict("integrity").reason
    history.send(0, partition=0, outcome="unknown")
    assert history.verdict("integrity").verdict == "held"


def test_a_second_try_to_another_partition_is_no_stray() -> None:
    history = History(partitions=2)
    history.send(0, partition=0)
    history.send(0, partition=1)
    history.deliver(0, partition=1, position=0)
    assert history.verdict("integrity").verdict == "held"


def test_a_link_in_a_category_is_where_its_event_lies() -> None:
    history = History(partitions=0)
    stream, category = history.place("order-7"), history.place("$ce-order")
    for message in range(4):
        history.send(message, "order-7", partition=stream)
    history.deliver(3, source=category, source_position=8412, result="handled")
    assert history.verdict("integrity").verdict == "held"

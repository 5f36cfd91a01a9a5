"""Without a shared clock only times of one worker are compared (SEMANTICS §2)."""

import pytest

from tests.guarantees.histories import History

NO_CLOCK = "times of its workers cannot be compared: they have no shared clock"


class Imported(History):
    """A history from several machines."""

    def __init__(self) -> None:
        super().__init__(world="imported")

    def setting(self, name: str, value: object, *, place: int | None = None, since: int = 0) -> None:
        if name != "clock":
            super().setting(name, value, place=place, since=since)


def test_what_one_consumer_handled_is_compared() -> None:
    history = Imported()
    history.sends(3)
    history.handles([0, 2, 1])
    verdict = history.verdict("per_key_ordering")
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 2)


def test_what_two_consumers_handled_is_not() -> None:
    history = Imported()
    history.sends(2)
    history.handle(1)
    history.handle(0, "consumer-2")
    verdict = history.verdict("per_key_ordering")
    assert (verdict.verdict, verdict.reason) == ("inconclusive", NO_CLOCK)


def test_what_a_second_consumer_handled_too_is_not() -> None:
    """Who handled 0 first cannot be said."""
    history = Imported()
    history.sends(2)
    history.handle(0, "consumer-2")
    history.handles([1, 0])
    assert history.verdict("per_key_ordering").verdict == "inconclusive"


def test_acknowledgements_of_another_producer_order_nothing() -> None:
    history = Imported()
    history.send(0)
    history.send(1, producer="producer-2")
    history.handles([1, 0])
    assert history.verdict("per_key_ordering").verdict == "inconclusive"


@pytest.mark.parametrize("guarantee", [
    "exclusive_key_handling", "scales_with_consumers", "competing_consumers", "recovery", "balanced", "latency",
])  # fmt: skip
def test_what_compares_workers_is_inconclusive(guarantee: str) -> None:
    history = Imported()
    history.worker("consumer-1")
    history.worker("consumer-2")
    history.sends(2)
    for name, parameter in (("recovery", "within"), ("balanced", "at_most"), ("latency", "max")):
        history.parameter(name, parameter, 1)
    history.fault("pause", at=5, until=6)
    history.handle(0, at=10, started=11, ended=50)
    history.handle(1, "consumer-2", at=20, started=21, ended=30)
    verdict = history.verdict(guarantee)
    assert (verdict.verdict, verdict.reason) == ("inconclusive", NO_CLOCK)


def test_positions_of_one_consumer_need_no_shared_clock() -> None:
    history = Imported()
    history.sends(2)
    history.assign()
    history.handles([0, 1])
    history.read([0, 1])
    assert history.verdict("per_partition_ordering").verdict == "held"


def test_orders_of_single_consumers_need_no_shared_clock() -> None:
    """Each group's order is by its consumer's own clock; with several consumers it has none."""
    for consumers, expected in ((1, "violated"), (2, "inconclusive")):
        history = Imported()
        history.group("billing")
        history.group("shipping")
        for message in range(4):
            history.send(message, producer=f"producer-{message}")
        history.handles(range(4), "billing/consumer-1", group="billing")
        for message in (1, 0, 3, 2):
            history.handle(message, f"shipping/consumer-{message % consumers + 1}", group="shipping")
        assert history.verdict("total_ordering").verdict == expected

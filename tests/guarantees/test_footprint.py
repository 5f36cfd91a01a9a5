"""MQ152: what lies on the broker stays within the given bounds."""

from tests.guarantees.histories import MS, History, judge_all

NAME = "footprint"


def broker_with(**found: int) -> History:
    history = History()
    for kind, value in found.items():
        history.rows.add("footprint", kind, value, history._tick(None) * MS)
    return history


def test_it_holds_within_the_bound() -> None:
    history = broker_with(partitions=100)
    history.parameter(NAME, "partitions", 100)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.obligations) == ("held", 1)


def test_more_than_the_bound_is_violated() -> None:
    history = broker_with(partitions=200, bytes=10)
    history.parameter(NAME, "partitions", 100)
    verdict = history.verdict(NAME)
    assert (verdict.verdict, verdict.violations, verdict.obligations) == ("violated", 1, 1)
    assert verdict.reason == "the broker held 200 partitions at 0.001 s, more than the 100 allowed"


def test_what_was_never_read_is_inconclusive() -> None:
    history = broker_with(bytes=10)
    history.parameter(NAME, "partitions", 100)
    assert history.verdict(NAME).verdict == "inconclusive"
    history.parameter(NAME, "bytes", 100)
    assert history.verdict(NAME).verdict == "inconclusive"
    history.parameter(NAME, "bytes", 9)
    assert history.verdict(NAME).verdict == "violated"


def test_bounds_are_those_of_the_scenario() -> None:
    one, other = broker_with(partitions=50), broker_with(partitions=50)
    other.run = other.scenario = 1
    one.parameter(NAME, "partitions", 100)
    other.parameter(NAME, "partitions", 10)
    assert [found.violations for found in judge_all([one, other], NAME)] == [0, 1]


def test_it_says_what_the_broker_held() -> None:
    history = broker_with(partitions=7, bytes=10)
    history.parameter(NAME, "partitions", 100)
    assert [(one.name, one.value, one.shown) for one in history.verdict(NAME).figures] == [("partitions", 7, "7")]

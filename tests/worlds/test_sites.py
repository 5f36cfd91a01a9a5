"""Sites of a check: shared, made once, had alone where a fault breaks brokers, closed when nobody needs them more."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from mqverify.backends.base import Endpoint
from mqverify.backends.kafka.real import RealKafka
from mqverify.errors import BackendLost, BackendUnavailable, BackendUnsuitable
from mqverify.worlds.base import Scenario
from mqverify.worlds.sites import Sites, Stopped
from tests.worlds.helpers import scenario as loaded

SPEC = """
spec: a question
workload: {{messages: 100}}
backends: {{kafka: {{partitions: 2{backend}}}}}
faults: [{fault}]
expect: {{at_least_once: held}}
"""


class FakeSite:
    endpoint = Endpoint("nowhere:1")
    brokers = None

    def __init__(self) -> None:
        self.details = {"broker": "none"}
        self.sound = self.heals = True
        self.healed = self.closed = 0
        self.lacks = False

    def check(self) -> None:
        if not self.sound:
            raise BackendLost("it went away")

    def require(self, _settings: Any) -> None:
        if self.lacks:
            raise BackendUnsuitable("it is not ours to set")

    def heal(self) -> None:
        self.healed += 1
        if not self.heals:
            raise BackendLost("it does not come back")

    def keep_logs(self, _folder: Any) -> None: ...

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[FakeSite]:
    """The sites that were made, in order."""
    made: list[FakeSite] = []

    def reach(*_: Any) -> FakeSite:
        made.append(FakeSite())
        return made[-1]

    monkeypatch.setattr(RealKafka, "reach", reach)
    return made


def scenario(number: int = 0, backend: str = "", fault: str = "") -> Scenario:
    found = loaded(SPEC.format(backend=backend, fault=fault))
    return Scenario(number, found.spec, found.label, "local:3")


BREAKS = "{crash: broker of partition 0, when: {handled: 50%}, restart_after: 1s}"


def sites_for(*scenarios: Scenario) -> Sites:
    return Sites(scenarios, lambda _message: None)


def test_equal_keys_share_a_site_that_is_closed_after_the_last(reached: list[FakeSite]) -> None:
    one, two = scenario(0), scenario(1)
    sites = sites_for(one, two)
    assert not reached, "nothing is reached before it is needed"
    with sites.lend(one) as first, sites.lend(two) as second:
        assert first.endpoint is second.endpoint
        first.close()
    sites.done(one)
    assert [site.closed for site in reached] == [0]
    sites.done(two)
    assert [site.closed for site in reached] == [1]


def test_other_settings_of_the_broker_are_another_site(reached: list[FakeSite]) -> None:
    one, two = scenario(0), scenario(1, backend=", offsets_retention: 1h")
    sites = sites_for(one, two)
    with ExitStack() as stack:
        for each in (one, two):
            stack.enter_context(sites.lend(each))
        assert len(reached) == 2
    sites.close()
    assert [site.closed for site in reached] == [1, 1]


def in_a_thread(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_a_fault_of_brokers_has_the_site_alone_and_heals_it(reached: list[FakeSite]) -> None:
    quiet, breaking = scenario(0), scenario(1, fault=BREAKS)
    sites = sites_for(quiet, breaking)
    entered, others_inside = threading.Event(), []

    def break_it() -> None:
        with sites.lend(breaking):
            others_inside.append(inside)
            entered.set()

    with sites.lend(quiet):
        inside = True
        thread = in_a_thread(break_it)
        assert not entered.wait(0.3)
        inside = False
    assert entered.wait(10)
    thread.join(10)
    assert others_inside == [False]
    assert reached[0].healed == 1


def test_nobody_enters_while_brokers_are_broken(reached: list[FakeSite]) -> None:
    quiet, breaking = scenario(0), scenario(1, fault=BREAKS)
    sites = sites_for(quiet, breaking)
    entered = threading.Event()

    def enter() -> None:
        with sites.lend(quiet):
            entered.set()

    with sites.lend(breaking):
        in_a_thread(enter)
        assert not entered.wait(0.3)
    assert entered.wait(10)


def test_what_does_not_heal_or_went_away_is_made_anew(reached: list[FakeSite]) -> None:
    breaking = scenario(0, fault=BREAKS)
    sites = sites_for(breaking)
    with sites.lend(breaking):
        reached[0].heals = False
    assert reached[0].closed == 1
    with sites.lend(breaking):
        reached[1].sound = False
        reached[1].heals = True
    with sites.lend(breaking):
        assert [site.closed for site in reached] == [1, 1, 0]


def test_what_could_not_be_reached_once_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def reach(*_: Any) -> None:
        tries.append(1)
        raise BackendUnavailable("there is no Java")

    monkeypatch.setattr(RealKafka, "reach", reach)
    sites = sites_for(scenario(0), scenario(1))
    for number in (0, 1):
        with pytest.raises(BackendUnavailable, match="no Java"), sites.lend(scenario(number)):
            pass
    assert len(tries) == 1


def test_a_site_that_lacks_what_a_spec_asks_for_is_good_for_the_next(reached: list[FakeSite]) -> None:
    sites = sites_for(scenario(0), scenario(1))
    with sites.lend(scenario(0)):
        reached[0].lacks = True
    with pytest.raises(BackendUnsuitable), sites.lend(scenario(0)):
        pass
    reached[0].lacks = False
    with sites.lend(scenario(1)):
        assert len(reached) == 1


def test_a_stop_reaches_whoever_runs_and_whoever_waits(reached: list[FakeSite]) -> None:
    quiet, breaking = scenario(0), scenario(1, fault=BREAKS)
    sites = sites_for(quiet, breaking)
    stopped = threading.Event()

    def wait_for_it() -> None:
        try:
            with sites.lend(breaking):
                pass
        except Stopped:
            stopped.set()

    with sites.lend(quiet) as site:
        in_a_thread(wait_for_it)
        site.check()
        sites.stop()
        with pytest.raises(Stopped):
            site.check()
        assert stopped.wait(10)
    assert reached[0].healed == 0

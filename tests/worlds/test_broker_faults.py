"""Faults of brokers without any: what is waited for when they are back, and what is said where nobody is shown all."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mqverify.backends.kafka.admin import KafkaAdmin
from mqverify.faults.plan import draw_faults
from mqverify.units import SECOND
from mqverify.worlds.actions.brokers import CrashBroker, PauseBroker
from tests.worlds.helpers import judged, run, scenario, table

SPEC = """
spec: brokers
workload: {{messages: 40, keys: 4, consumers: 2}}
backends: {{kafka: {{partitions: 2, auto_offset_reset: earliest}}}}
faults: [{fault}]
expect: {{at_least_once: held, exactly_once: held, durable: held}}
"""


class Conductor:
    """Stands in for a conductor of a world with brokers: its appointments come at once, in their order."""

    def __init__(self, unsound: int = 0) -> None:
        self.paused_brokers: set[int] = set()
        self.alive, self.now = {1, 2, 3}, 0
        self._unsound = unsound
        """How many looks find a partition that is not in sync."""
        self.agenda: list[tuple[int, Callable[[], None]]] = []
        brokers = SimpleNamespace(
            alive=lambda: sorted(self.alive), kill=self.alive.discard, restart=self.alive.add,
            pause=lambda number: None, resume=lambda number: None,
        )  # fmt: skip
        admin = SimpleNamespace(unsound=self._look, holders=lambda partition: [2, 1, 3])
        self.world: Any = SimpleNamespace(brokers=brokers, admin=admin, now=lambda: self.now, stamp=lambda: self.now)

    def _look(self) -> dict[int, str]:
        self._unsound -= 1
        return {0: "it is not in sync"} if self._unsound >= 0 else {}

    def appoint(self, delay: int, call: Callable[[], None]) -> None:
        self.agenda.append((self.now + delay, call))

    def live(self) -> None:
        while self.agenda:
            self.agenda.sort(key=lambda appointment: appointment[0])
            self.now, call = self.agenda.pop(0)
            call()


def act(action: type[Any], fault: str, conductor: Conductor) -> Any:
    spec = scenario(SPEC.format(fault=fault)).spec
    [planned] = draw_faults(spec.faults, 40, 0)
    acting = action(conductor, planned)
    acting.trigger()
    return acting


def test_what_acks_1_acknowledged_beside_followers_that_stood_still_has_a_moment_to_be_shown() -> None:
    """They were in sync all the while, and the leader's end for readers follows only when they have fetched."""
    conductor = Conductor()
    acting = act(PauseBroker, "{pause: followers of partition 0, for: 2s}", conductor)
    conductor.live()
    assert (acting.phase, acting.took_effect, acting.ended_at) == ("over", True, 2 * SECOND)
    assert conductor.now - acting.ended_at >= 1 * SECOND, "the run does not end before"


def test_a_broker_that_is_back_is_waited_for_until_all_is_in_sync() -> None:
    conductor = Conductor(unsound=5)
    acting = act(CrashBroker, "{crash: broker of partition 0, restart_after: 0s}", conductor)
    while acting.phase == "active":
        conductor.live()
    assert conductor.alive == {1, 2, 3}
    assert conductor.now - acting.ended_at >= 2 * SECOND


def test_a_broker_that_is_dead_cannot_be_struck_again() -> None:
    conductor = Conductor()
    conductor.alive.discard(2)
    acting = act(CrashBroker, "{crash: broker of partition 0, restart_after: never}", conductor)
    assert not acting.took_effect
    assert acting.why_not == "no broker of partition 0 was there when its trigger was pulled"


def test_nothing_drained_where_nobody_is_shown_all_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too few replicas in sync what acks=1 acknowledges stays invisible: owed, and neither lost nor drained."""
    monkeypatch.setattr(KafkaAdmin, "unsound", lambda self: {1: "of its replicas [1, 2] those in sync are [1]"})
    text = SPEC.format(fault="")
    rows, outcome = run(text)
    reason = "nobody is shown all that is there: partition 1: of its replicas [1, 2] those in sync are [1]"
    assert (outcome.drained, outcome.give_up_reason) == (False, reason)
    assert [(row["drained"], row["gave_up"]) for row in table(rows, "groups")] == [(False, reason)]
    of_the_lost = [row for row in rows.tables["deliveries"] if row[3] == 7]
    for row in of_the_lost:
        rows.tables["deliveries"].remove(row)
    found = judged(text, 0, "kafka", rows, outcome)
    assert found["at_least_once"].violations == found["exactly_once"].violations == 0
    assert reason in found["at_least_once"].doubts[0]

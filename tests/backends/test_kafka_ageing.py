"""How a real broker is made to remove what would be too old: the requests, and when it cannot be had."""

from collections import namedtuple
from typing import Any

import pytest

from mqverify.backends.base import NotDone
from mqverify.backends.kafka.ageing import Ageing
from mqverify.errors import BackendLost
from mqverify.units import DAY, SECOND

Partition = namedtuple("Partition", "topic partition")
PARTITIONS = [Partition("orders", 0), Partition("orders", 1)]


class Cluster:
    """What `Ageing` asks for, of a cluster whose partitions hold offsets 0 to 9, all of the same age."""

    def __init__(self, retention_ms: str | None = "604800000", refuses: bool = False, stuck: bool = False) -> None:
        self.set_to: list[str] = []
        self.waited = 0.0
        self.end = 10
        self._first = 0
        self._retention_ms = retention_ms
        self._refuses = refuses
        self._stuck = stuck

    def describe_cluster(self) -> Any:
        return {"brokers": [{"broker_id": 1}]}

    def describe_configs(self, resources: Any, config_filter: str) -> Any:
        (resource,) = resources
        kind = resource.resource_type.name.lower()
        value = self._retention_ms if kind == "topic" else "500"
        return {kind: {resource.name: {resource.configs[0]: {"value": value}}}}

    def alter_configs(self, resources: Any) -> Any:
        if self._refuses:
            return {"topic": {"orders": "TopicAuthorizationFailedError"}}
        self.set_to += [resource.configs["retention.ms"] for resource in resources]
        return {"topic": {"orders": "OK"}}

    def ends(self, partitions: Any) -> Any:
        if self.set_to[-1:] == ["0"] and self.waited > 1 and not self._stuck:
            self._first = self.end
        return dict.fromkeys(partitions, (self._first, self.end))

    def wait(self, seconds: float) -> None:
        self.waited += seconds


def passes(cluster: Cluster, passed: int, ageing: Ageing | None = None, retention: int | None = 7 * DAY) -> Ageing:
    ageing = ageing or Ageing(cluster, retention, cluster.ends)
    ageing.let_pass(PARTITIONS, passed, passed + 5 * SECOND, cluster.wait, lambda _: None)
    return ageing


def test_retention_is_lowered_until_all_that_is_due_is_gone_and_then_as_before() -> None:
    cluster = Cluster()
    passes(cluster, 8 * DAY)
    assert cluster.set_to == ["0", "604800000"]


def test_time_counts_from_the_first_pass_on() -> None:
    cluster = Cluster()
    ageing = passes(cluster, 4 * DAY)
    assert cluster.set_to == []
    passes(cluster, 8 * DAY, ageing)
    assert cluster.set_to == ["0", "604800000"]


def test_where_some_may_stay_two_checks_are_waited_for() -> None:
    cluster = Cluster(retention_ms="604801000")
    passes(cluster, 7 * DAY, retention=7 * DAY + SECOND)
    assert cluster.set_to == ["1000", "604801000"]
    assert cluster.waited > 2 * 0.5


@pytest.mark.parametrize(("retention", "passed"), [(None, 800 * DAY), (9 * DAY, 8 * DAY)])
def test_where_nothing_is_due_nothing_is_altered(retention: int | None, passed: int) -> None:
    cluster = Cluster()
    passes(cluster, passed, retention=retention)
    assert (cluster.set_to, cluster.waited) == ([], 0)


def test_what_came_after_a_pass_cannot_be_told_from_what_came_before() -> None:
    cluster = Cluster()
    ageing = passes(cluster, 4 * DAY)
    cluster.end = 11
    with pytest.raises(NotDone, match="records came to orders after time had passed before"):
        passes(cluster, 8 * DAY, ageing)
    assert cluster.set_to == []


def test_a_cluster_with_another_default_is_not_taken_for_the_specs() -> None:
    cluster = Cluster(retention_ms="86400000")
    with pytest.raises(NotDone, match="write `retention: 7d`"):
        passes(cluster, 8 * DAY)
    assert cluster.set_to == []


def test_a_cluster_that_refuses_says_so() -> None:
    with pytest.raises(NotDone, match="TopicAuthorizationFailedError"):
        passes(Cluster(refuses=True), 8 * DAY)


def test_what_should_be_gone_and_is_not_ends_the_run() -> None:
    with pytest.raises(BackendLost, match="still holds records"):
        passes(Cluster(stuck=True), 8 * DAY)

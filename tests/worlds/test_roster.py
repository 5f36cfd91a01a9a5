"""Who counts as ready, by what workers have told."""

from mqverify.workload.groups import consumers_of
from mqverify.worlds.base import Idle
from mqverify.worlds.roster import GroupState, Roster, WorkerState
from tests.worlds.helpers import scenario

SPEC = """
spec: ready
workload: {messages: 1, consumers: 2}
backends: {kafka: {partitions: 2}}
expect: {at_least_once: held}
"""


def test_a_group_is_ready_when_no_consumer_tells_any_more_what_another_has_now() -> None:
    """The first had all until the second joined. Where it starts again in what is left to it is not known yet."""
    roster = Roster()
    [group] = scenario(SPEC).groups
    roster.groups[group.name] = GroupState(group, [])
    first, second = consumers_of(group)
    for worker in (first, second):
        roster.workers[worker.name] = WorkerState(worker, [])
    roster.heard(Idle(first, {0: 0, 1: 0}))
    assert not roster.consumers_ready(), "the second has not joined"
    roster.heard(Idle(second, {1: 0}))
    assert not roster.consumers_ready()
    roster.heard(Idle(first, {0: 0}))
    assert roster.consumers_ready()

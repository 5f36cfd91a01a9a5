"""Faults are drawn from the seed, each with dice of its own, and counters pull their triggers."""

from mqverify.faults.plan import draw_faults
from mqverify.faults.progress import Progress
from mqverify.faults.targets import candidates, groups_of, is_everybody
from mqverify.spec.model import Fault, Group, When, Workload
from mqverify.workload.groups import Worker, everybody, resolve_groups

SHARE = When(metric="handled", low=0.2, high=0.6, share=True)
CRASH = Fault(kind="crash", target=("consumer",), when=SHARE, restart_after=(1_000, 9_000), times=3)
WORKERS = [
    Worker("producer-1", "producer", 1, None),
    Worker("billing/consumer-1", "consumer", 1, "billing", team="billing"),
    Worker("billing/consumer-2", "consumer", 2, "billing", team="billing"),
    Worker("shipping/consumer-1", "consumer", 1, "shipping", team="shipping"),
]


def test_every_repetition_draws_its_own_moment_inside_the_range() -> None:
    planned = draw_faults([CRASH], messages=500, seed=4)
    assert [one.identity for one in planned] == [0, 1, 2]
    assert all(100 <= one.threshold <= 300 for one in planned)
    assert len({one.threshold for one in planned}) > 1
    assert all(1_000 <= (one.restart_after or 0) <= 9_000 for one in planned)


def test_a_fault_does_not_disturb_the_drawing_of_another() -> None:
    pause = Fault(kind="pause", target=("consumer",), when=SHARE, duration=(5, 500))
    alone = draw_faults([pause], 500, seed=4)
    assert draw_faults([pause, CRASH], 500, seed=4)[0] == alone[0]


def test_counts_are_at_least_one_message() -> None:
    tiny = Fault(kind="crash", target=("consumer",), when=When(metric="sent", low=0.0001, high=0.0001, share=True))
    assert draw_faults([tiny], 10, 1)[0].threshold == 1


def test_targets_are_found_by_role_name_and_group() -> None:
    def names(**fields: object) -> list[str]:
        return [worker.name for worker in candidates(Fault(kind="crash", **fields), WORKERS, "billing/consumer-2")]  # type: ignore[arg-type]

    assert names(target=("consumer",), group="billing") == ["billing/consumer-1", "billing/consumer-2"]
    assert names(target=("shipping/consumer-1",)) == ["shipping/consumer-1"]
    assert names(target=("leader",)) == ["billing/consumer-2"]
    assert names(target=("producer",)) == ["producer-1"]
    assert is_everybody(Fault(kind="crash", target=("all consumers",)))


def test_consumers_to_whom_everything_is_given_are_a_group_each() -> None:
    both = {"billing": Group(consumers=2), "shipping": Group(consumers=1)}
    groups = resolve_groups(Workload(messages=1, groups=both), "own")
    assert [(group.name, group.team, group.consumers) for group in groups] == [
        ("billing/consumer-1", "billing", 1),
        ("billing/consumer-2", "billing", 1),
        ("shipping", "shipping", 1),
    ]
    workers = everybody(Workload(messages=1), groups)
    assert [worker.name for worker in workers[1:]] == [
        "billing/consumer-1",
        "billing/consumer-2",
        "shipping/consumer-1",
    ]

    def of(**fields: object) -> tuple[str, ...]:
        return groups_of(Fault(kind="crash", **fields), groups)  # type: ignore[arg-type]

    assert of(target=("billing/consumer-2",)) == ("billing/consumer-2",)
    assert of(target=("consumer",), group="billing") == ("billing/consumer-1", "billing/consumer-2")
    assert of(target=("shipping/consumer-1",)) == ("shipping",)
    assert len(of(target=("consumer",))) == 3


def test_shards_make_them_one_group_again() -> None:
    (group,) = resolve_groups(Workload(messages=1, consumers=3, shard="key"), "own")
    assert (group.name, group.sharded) == ("group", True)
    assert [worker.shard for worker in everybody(Workload(messages=1), [group])[1:]] == [0, 1, 2]


def test_counts_are_of_distinct_messages_and_of_the_slowest_group() -> None:
    progress = Progress(10, ["fast", "slow"])
    pulled: list[str] = []
    progress.watch("handled", ("fast", "slow"), 2, lambda: pulled.append("both"))
    progress.watch("handled", ("fast",), 2, lambda: pulled.append("fast"))
    fast, slow = progress.marker("handled", "fast"), progress.marker("handled", "slow")
    fast(1)
    fast(1)
    assert progress.count("handled", ("fast",)) == 1
    assert pulled == []
    fast(2)
    assert pulled == ["fast"]
    slow(5)
    slow(6)
    assert pulled == ["fast", "both"]
    assert progress.count("handled") == 2
    assert progress.total() == 5, "four first times and one that came again"
    for _ in range(1000):
        fast(1)
    assert progress.total() == 4 + 200, "repetitions count as progress up to a bound"

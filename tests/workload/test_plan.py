"""Plans are drawn from the seed, and only from it."""

from collections import Counter

from mqverify.spec.model import Handler, Keys, Workload
from mqverify.workload.plan import draw_plan


def test_the_same_seed_draws_the_same_plan_and_another_another() -> None:
    workload = Workload(messages=100, keys=Keys(count=10))
    assert draw_plan(workload, 7) == draw_plan(workload, 7)
    assert draw_plan(workload, 7).keys != draw_plan(workload, 8).keys


def test_a_key_belongs_to_one_producer_and_every_message_to_some() -> None:
    plan = draw_plan(Workload(messages=200, keys=Keys(count=11), producers=3), 1)
    of_producers = [plan.messages_of(producer) for producer in range(3)]
    assert sorted(message for messages in of_producers for message in messages) == list(range(200))
    keys = [{plan.keys[message] for message in messages} for messages in of_producers]
    assert keys[0] | keys[1] | keys[2] == set(plan.keys)
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]


def test_sequences_count_each_keys_messages_from_zero() -> None:
    plan = draw_plan(Workload(messages=50, keys=Keys(count=4)), 3)
    for key in set(plan.keys):
        of_key = [plan.sequences[message] for message in range(50) if plan.keys[message] == key]
        assert of_key == list(range(len(of_key)))


def test_a_hot_key_gets_its_share() -> None:
    plan = draw_plan(Workload(messages=1000, keys=Keys(count=50, distribution="hot", skew=0.9)), 1)
    assert 850 < Counter(plan.keys)["key-0"] < 950


def test_zipf_falls_with_the_rank() -> None:
    counts = Counter(draw_plan(Workload(messages=5000, keys=Keys(count=100, distribution="zipf", skew=1.1)), 1).keys)
    assert counts["key-0"] > counts["key-5"] > counts["key-60"]


def test_poison_is_a_share_of_the_messages_and_at_least_one() -> None:
    assert len(draw_plan(Workload(messages=1000, handler=Handler(poison_one_in=100)), 1).poison["group"]) == 10
    assert len(draw_plan(Workload(messages=10, handler=Handler(poison_one_in=1000)), 1).poison["group"]) == 1
    assert not draw_plan(Workload(messages=10), 1).poison["group"]


def test_a_rate_says_when_each_message_is_due() -> None:
    plan = draw_plan(Workload(messages=10, rate=4.0), 1)
    assert [plan.due_at(message) for message in range(3)] == [0, 250_000_000, 500_000_000]
    assert draw_plan(Workload(messages=10), 1).due_at(9) == 0

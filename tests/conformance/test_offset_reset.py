"""Where a consumer starts, and what it does when its place is gone: docs/facts/kafka.md §B.4."""

from typing import Any

import pytest

from tests.conformance.arms import Arm


def arrange(arm: Arm, situation: str) -> tuple[str, str]:
    """A log 0..99, and what the group has committed; the topic and the group."""
    topic, group = arm.topic(), arm.named("group")
    arm.produce(topic, 100)
    if situation == "nothing committed":
        return topic, group
    arm.commit(group, topic, 999 if situation == "beyond the end" else 10)
    if situation == "expired":
        with arm.admin() as admin:
            admin.delete_records({arm.place(topic): 60})
    return topic, group


def first_offset(arm: Arm, topic: str, group: str, policy: str) -> int | str:
    """Of the first record that it gets, where ten more are produced while it waits; or what it raises."""
    config: dict[str, Any] = {"group_id": group, "enable_auto_commit": False, "auto_offset_reset": policy}
    consumer = arm.consumer(**config)
    consumer.assign([arm.place(topic)])
    empty = 0
    try:
        while True:
            for records in consumer.poll(300).values():
                return int(records[0].offset)
            empty += 1
            if empty == 4:
                arm.produce(topic, 10, first=100)
            assert empty < 100
    except arm.library.errors.KafkaError as error:
        return type(error).__name__
    finally:
        consumer.close()


NO_OFFSET, OUT_OF_RANGE = "NoOffsetForPartitionError", "OffsetOutOfRangeError"


@pytest.mark.parametrize(
    ("policy", "situation", "first"),
    [
        ("earliest", "nothing committed", 0),
        ("earliest", "in range", 10),
        ("earliest", "expired", 60),
        ("earliest", "beyond the end", 0),
        ("latest", "nothing committed", 100),
        ("latest", "in range", 10),
        ("latest", "expired", 100),  # although 60..99 are there
        ("latest", "beyond the end", 100),
        ("none", "nothing committed", NO_OFFSET),
        ("none", "in range", 10),
        ("none", "expired", OUT_OF_RANGE),
        ("none", "beyond the end", OUT_OF_RANGE),
        ("by_duration:PT1M", "nothing committed", NO_OFFSET),  # whatever kafka-python does not know is `none`
        ("erliest", "expired", OUT_OF_RANGE),
    ],
)
def test_first_record(arm: Arm, policy: str, situation: str, first: int | str) -> None:
    topic, group = arrange(arm, situation)
    assert first_offset(arm, topic, group, policy) == first


def test_latest_is_the_default(arm: Arm) -> None:
    assert arm.consumer().config["auto_offset_reset"] == "latest"


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_records_deleted_under_a_running_consumer_reset_it(arm: Arm, policy: str) -> None:
    """Its position falls below the log start offset; `latest` then skips what is there."""
    topic = arm.topic()
    arm.produce(topic, 100)
    consumer, place = arm.consumer(auto_offset_reset=policy, enable_auto_commit=False), arm.place(topic)
    consumer.assign([place])
    consumer.seek(place, 5)
    with arm.admin() as admin:
        admin.delete_records({place: 60})
    for _ in range(3):
        found = consumer.poll(500)
        if found:
            break
    assert consumer.position(place) == 100
    assert [record.offset for records in found.values() for record in records][:1] == [60][: policy == "earliest"]


def test_a_reset_at_the_start_commits_nothing(arm: Arm) -> None:
    topic, group = arrange(arm, "nothing committed")
    assert first_offset(arm, topic, group, "earliest") == 0
    assert arm.committed(group, topic) is None

"""Brings settings to what Kafka's brokers and kafka-python take."""

from typing import Any, Literal

from mqverify.spec.registry import Setting

__all__ = ["Part", "native_value", "with_classes"]

Part = Literal["topic", "producer", "consumer", "broker"]


def native_value(value: Any, setting: Setting, part: Part) -> Any:
    """A setting's value in native units: −1 where there is no bound, and no end of a producer's retries."""
    if value is None:
        return float("inf") if part == "producer" else -1
    if setting.kind == "duration":
        return value // setting.unit
    if setting.kind == "choices":
        return ",".join(value)
    if part in {"topic", "broker"} and isinstance(value, bool):
        return "true" if value else "false"
    return value


def with_classes(config: dict[str, Any]) -> dict[str, Any]:
    """kafka-python takes assignors and partitioners as classes and objects, not by name."""
    strategies = config.get("partition_assignment_strategy")
    if strategies is not None:
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
        from kafka.coordinator.assignors.range import RangePartitionAssignor
        from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
        from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

        classes = (
            RangePartitionAssignor,
            RoundRobinPartitionAssignor,
            StickyPartitionAssignor,
            CooperativeStickyAssignor,
        )
        by_name = {each.name: each for each in classes}
        config["partition_assignment_strategy"] = tuple(by_name[name] for name in strategies.split(","))
    if config.get("partitioner") == "default":
        del config["partitioner"]
    elif "partitioner" in config:
        from kafka.partitioner.sticky import StickyPartitioner

        config["partitioner"] = StickyPartitioner()  # type: ignore[no-untyped-call]
    return config

"""Whether a cluster serves its clients, as its metadata tell: brokers are there, copies in sync, leaders in place."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["await_brokers", "await_whole", "open_admin"]

_PAUSE_SECONDS = 0.05
_REQUEST_MS = 10_000


@contextmanager
def open_admin(address: str, options: Mapping[str, Any]) -> Iterator[Any]:
    """kafka-python's administrator on a cluster. KafkaError if nobody answers."""
    import kafka

    new_admin: Any = kafka.KafkaAdminClient
    admin = new_admin(
        bootstrap_servers=address.split(","), client_id="mqverify", request_timeout_ms=_REQUEST_MS, **options
    )
    try:
        yield admin
    finally:
        admin.close()


def await_brokers(
    address: str, brokers: Collection[int], deadline: float, going: Callable[[], bool] = lambda: True
) -> str | None:
    """Wait until these brokers are in the metadata; None, or what is wrong at `deadline` (of `time.monotonic`)."""
    return _wait(address, {}, lambda admin: _missing(admin, brokers), deadline, going)


def await_whole(address: str, options: Mapping[str, Any], brokers: Collection[int], deadline: float) -> str | None:
    """Wait until these brokers are there, every copy of every partition is in sync, and each partition is led by its
    preferred replica; None, or what is wrong at `deadline`.

    Leaders are moved back at once, because Kafka would do it at a moment of its own (`auto.leader.rebalance.enable`,
    every five minutes), in the midst of whatever comes next.
    """
    return _wait(address, options, lambda admin: _not_whole(admin, brokers), deadline, lambda: True)


def _wait(
    address: str,
    options: Mapping[str, Any],
    look: Callable[[Any], str | None],
    deadline: float,
    going: Callable[[], bool],
) -> str | None:
    from kafka.errors import KafkaError

    wrong: str | None = "no answer"
    while wrong is not None and time.monotonic() < deadline and going():
        try:
            with open_admin(address, options) as admin:
                while (wrong := look(admin)) is not None and time.monotonic() < deadline and going():
                    time.sleep(_PAUSE_SECONDS)
        except KafkaError as error:
            wrong = str(error) or type(error).__name__
            time.sleep(_PAUSE_SECONDS)
    return wrong


def _missing(admin: Any, brokers: Collection[int]) -> str | None:
    there = {broker["broker_id"] for broker in admin.describe_cluster()["brokers"]}
    missing = sorted(set(brokers) - there)
    return f"not in its metadata: broker {', '.join(map(str, missing))}" if missing else None


def _not_whole(admin: Any, brokers: Collection[int]) -> str | None:
    if missing := _missing(admin, brokers):
        return missing
    wrong: str | None = None
    misled: dict[str, list[int]] = {}
    for topic in admin.describe_topics():
        for partition in topic["partitions"]:
            replicas, in_sync = partition["replica_nodes"], partition["isr_nodes"]
            if set(replicas) - set(in_sync):
                wrong = f"partition {topic['name']}-{partition['partition_index']} has {in_sync} of {replicas} in sync"
            elif partition["leader_id"] != replicas[0]:
                misled.setdefault(topic["name"], []).append(partition["partition_index"])
    if misled and wrong is None:
        wrong = f"leaders are not where they were of {', '.join(sorted(misled))}"
        admin.elect_leaders(0, misled, raise_errors=False)
    return wrong

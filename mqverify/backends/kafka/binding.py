"""What every part of the Kafka backend knows in one run: the library, where the broker is, settings, plan and names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mqverify.backends.base import Endpoint
from mqverify.workload.client import Context
from mqverify.workload.groups import ConsumerGroup
from mqverify.workload.plan import Plan

__all__ = ["Binding", "connected", "parks", "stored_size"]

_MILLISECOND = 1_000_000
_MOST_STARTS = 10


@dataclass(frozen=True)
class Binding:
    """One run on one broker. `library` is kafka-python or its look-alike."""

    library: Any
    endpoint: Endpoint
    settings: Any
    plan: Plan
    prefix: str
    """It begins every name that the run creates on the broker."""
    unix_since_start: Callable[[int], int]
    """A Unix time in nanoseconds → nanoseconds since the run's start."""

    @property
    def reach(self) -> Mapping[str, Any]:
        """The first arguments of every client: where the brokers are, and how to get there."""
        return {"bootstrap_servers": self.endpoint.address, **self.endpoint.options}

    @property
    def topic(self) -> str:
        return f"{self.prefix}messages"

    def group_id(self, group: str) -> str:
        return f"{self.prefix}{group}"

    def dead_letters(self, group: str) -> str:
        """The topic that a group parks messages in."""
        return f"{self.prefix}dead-letters-{group}"

    def since_start(self, timestamp_ms: int) -> int:
        """A record's timestamp, in nanoseconds since the run's start."""
        return self.unix_since_start(timestamp_ms * _MILLISECOND)


def connected(library: Any, context: Context, make: Callable[[], Any]) -> Any:
    """A client of the library, made again where it could not reach the broker within its `bootstrap_timeout_ms`.

    An application that dies of that is started again by whoever runs it. After ten times the error is raised.
    """
    for _ in range(_MOST_STARTS - 1):
        try:
            return make()
        except library.errors.KafkaTimeoutError:
            if context.stopping():
                raise
    return make()


def parks(group: ConsumerGroup) -> bool:
    """Whether the group has a dead-letter topic."""
    return group.handler.on_failure == "park"


def stored_size(key_size: int, value_size: int) -> int:
    """Bytes that a record may take on the broker, at most: alone in its batch (61 bytes) with the largest record head.

    An upper bound, so that removal by `retention_bytes` is never called illegal where it was legal.
    """
    return 61 + 21 + max(key_size, 0) + max(value_size, 0)

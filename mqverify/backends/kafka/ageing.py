"""Has a real broker remove what would be too old if more time had gone by: `pass: D` of a spec.

A broker removes whole segments whose newest record is older than `retention.ms`, at its next check (docs/facts/kafka.md
§B.1). While that setting is lower by all the time that was let pass, a check finds just those that it would find if
that time had really gone by. Nothing is appended meanwhile, since time passes only while all is drained and no producer
is left, so segments begin where they would have begun, and all that a topic holds is from before the first pass.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mqverify.backends.base import NotDone
from mqverify.errors import BackendLost
from mqverify.units import MILLISECOND, MINUTE, SECOND, format_duration

__all__ = ["Ageing"]

_RETENTION: Final = "retention.ms"
_CHECKED_EVERY: Final = "log.retention.check.interval.ms"
_DEFAULT_CHECK: Final = 5 * MINUTE
_SPREADS_WITHIN: Final = 1.0
"""Seconds after which every broker goes by a setting that was altered. The controller answers before they do."""
_GRACE: Final = 30.0
"""Seconds that removal may take longer than two checks on a machine that is busy."""
_LOOK_EVERY: Final = 0.2


class Ageing:
    """Of one run's topics. `admin` is a `KafkaAdminClient`; `ends` tells (first offset, end offset) of partitions."""

    def __init__(
        self, admin: Any, retention: int | None, ends: Callable[[Sequence[Any]], Mapping[Any, tuple[int, int]]]
    ) -> None:
        self._admin = admin
        self._retention = retention
        self._ends = ends
        self._end_before: dict[Any, int] = {}
        """Where each partition ended when time passed first."""

    def let_pass(
        self,
        partitions: Sequence[Any],
        passed: int,
        oldest: int | None,
        wait: Callable[[float], None],
        tell: Callable[[str], None],
    ) -> None:
        """Have the broker remove what it would remove if `passed` nanoseconds more had gone by since the run's start.

        `oldest` is the age of the oldest record by then, in nanoseconds; None if there is none. `wait` lets real
        seconds pass. Raises NotDone where that cannot be had, before anything was changed, and BackendLost after.
        """
        news = self._came_since(partitions)
        if self._retention is None or oldest is None or oldest <= self._retention:
            return
        if news:
            raise NotDone(
                f"records came to {news[0].topic} after time had passed before: by its own clock the broker cannot "
                "tell the older from the younger ones"
            )
        topics = sorted({partition.topic for partition in partitions})
        self._require_same_settings(topics)
        check = self._check_interval()
        lowered = max(0, -((passed - self._retention) // MILLISECOND))
        if check > 10:
            tell(f"time passes: this cluster looks for what is too old every {check:g} s; waiting for that")
        refused = self._alter(topics, lowered)
        if len(refused) == len(topics):
            raise NotDone(f"the cluster does not let {_RETENTION} of the run's topics be altered: {refused[0]}")
        if not refused:
            self._await_removal(partitions, check, everything=lowered == 0, wait=wait)
            refused = self._alter(topics, self._retention // MILLISECOND)
        if refused:
            raise BackendLost(f"the cluster lets {_RETENTION} of some of the run's topics not be altered: {refused[0]}")
        wait(_SPREADS_WITHIN)

    # --- how ---------------------------------------------------------------------------------------------------------

    def _await_removal(
        self, partitions: Sequence[Any], check: float, *, everything: bool, wait: Callable[[float], None]
    ) -> None:
        """Wait until all is gone, if all has to go; else for two checks, and for one more that removes nothing."""
        waited, quiet = 0.0, 0.0
        least = _SPREADS_WITHIN + 2 * check
        seen = self._ends(partitions)
        while True:
            if everything and all(first == end for first, end in seen.values()):
                return
            if not everything and waited >= least and quiet >= check + _LOOK_EVERY:
                return
            if waited > least + _GRACE:
                left = [partition for partition, (first, end) in seen.items() if first < end]
                raise BackendLost(
                    f"the broker was to remove what is older than its retention, and {left[0].topic}, partition "
                    f"{left[0].partition}, still holds records after {waited:.0f} s; the run cannot go on: look "
                    "whether a broker of the cluster is down, then run again"
                )
            wait(_LOOK_EVERY)
            waited += _LOOK_EVERY
            now = self._ends(partitions)
            quiet = quiet + _LOOK_EVERY if now == seen else 0.0
            seen = now

    def _require_same_settings(self, topics: Sequence[str]) -> None:
        """A topic takes what the spec leaves open from its cluster, whose default may be another than Kafka's."""
        assert self._retention is not None
        wanted = str(self._retention // MILLISECOND)
        for topic in topics:
            found = self._described("TOPIC", topic, _RETENTION)
            if found not in {None, wanted}:
                raise NotDone(
                    f"this cluster keeps records for {found} ms by default, where the spec goes by {wanted}: "
                    f"write `retention: {format_duration(self._retention)}`"
                )

    def _came_since(self, partitions: Sequence[Any]) -> list[Any]:
        """The partitions to which records came after time had passed for the first time.

        They are younger than what lies before them, and may be in one segment with it.
        """
        ends = {partition: end for partition, (_, end) in self._ends(partitions).items()}
        return [partition for partition, end in ends.items() if self._end_before.setdefault(partition, end) != end]

    def _check_interval(self) -> float:
        """Seconds between two looks of a broker for what is too old; the longest of all brokers."""
        brokers = [broker["broker_id"] for broker in self._admin.describe_cluster()["brokers"]]
        told = [self._described("BROKER", str(broker), _CHECKED_EVERY) for broker in brokers]
        return max(_DEFAULT_CHECK if each is None else int(each) * MILLISECOND for each in told) / SECOND

    def _described(self, kind: str, name: str, setting: str) -> str | None:
        """One setting as the cluster has it; None where it does not say."""
        from kafka.admin import ConfigResource

        resource: Any = ConfigResource(kind, name, [setting])  # type: ignore[no-untyped-call]
        described = self._admin.describe_configs([resource], config_filter="all")
        value = described.get(kind.lower(), {}).get(name, {}).get(setting, {}).get("value")
        return None if value is None else str(value)

    def _alter(self, topics: Sequence[str], retention_ms: int) -> list[str]:
        """Why that is refused, of each topic of which it is."""
        from kafka.admin import ConfigResource

        make: Any = ConfigResource
        resources = [make("TOPIC", topic, {_RETENTION: str(retention_ms)}) for topic in topics]
        answered = self._admin.alter_configs(resources)
        return [str(text) for text in answered.get("topic", {}).values() if text != "OK"]

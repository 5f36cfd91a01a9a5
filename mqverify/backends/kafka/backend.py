"""Kafka as a backend: what the worlds ask of it beyond the adapter."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from mqverify.backends.base import Endpoint, RealSystem, SimulatedBroker
from mqverify.backends.kafka.adapter import KafkaAdapter
from mqverify.backends.kafka.binding import Binding
from mqverify.backends.kafka.real import RealKafka
from mqverify.history.recorder import RunRows
from mqverify.workload.groups import ConsumerGroup, Delivery
from mqverify.workload.plan import Plan

if TYPE_CHECKING:  # a worker process on a real system is not to import the simulation
    from mqverify.simulation.network import Network
    from mqverify.simulation.process import Process

__all__ = ["KafkaBackend"]


class _SimulatedKafka:
    """The broker model as the worlds see it: the client profile is a matter of the settings."""

    ends: tuple[str, ...] = ("broker",)
    """What the model's processes are called on the network."""

    def __init__(self, cluster: Any, profile: str) -> None:
        self._cluster = cluster
        self._profile = profile

    def library(self, process: "Process", observer: Any = None) -> Any:
        return self._cluster.library(process, profile=self._profile, observer=observer)

    def leader(self, group: str) -> str | None:
        name: str | None = self._cluster.leader(group)
        return name

    def lose(
        self,
        workers: frozenset[str],
        of: Literal["producer", "consumer"],
        struck: Callable[[str], None],
        times: int = 1,
        nth: int = 1,
    ) -> None:
        """The next Produce (OffsetCommit) request of one of these producers (consumers) is done, its reply is lost."""
        self._cluster.lose(workers, of, struck, times, nth)

    def reset(self, workers: Collection[str]) -> Sequence[str]:
        names: Sequence[str] = self._cluster.reset(workers)
        return names

    def record(self, rows: RunRows, stamp: Callable[[], int]) -> None:
        """Write down which committed offsets expire; what a client commits by itself, its observer is told.

        Names of groups are those of the spec, since a simulated run has no prefix.
        """

        def expired(group: str, partition: Any, offset: int) -> None:
            asked_at = stamp()
            rows.add(
                "settlements", "server", None, group, None, partition.partition, offset, "below", None, "expire",
                "server", asked_at, stamp(), "acked",
            )  # fmt: skip

        self._cluster.broker.on_expired = expired


class KafkaBackend:
    """Apache Kafka through kafka-python."""

    system = "kafka"
    has: Collection[str] = ()
    vocabulary: Mapping[str, str] = {"position": "offset", "place": "partition"}
    real: RealSystem | None = RealKafka()

    def simulate(self, network: "Network", settings: Any) -> SimulatedBroker:
        from mqverify.simulation.kafka import BrokerSettings, SimulatedKafka

        known = {field.name for field in fields(BrokerSettings)}
        chosen = {name: getattr(settings, name) for name in sorted(settings.model_fields_set & known)}
        native: dict[str, Any] = {name: -1 if value is None else value for name, value in chosen.items()}
        broker = BrokerSettings(**native)
        return _SimulatedKafka(SimulatedKafka(network.kernel, broker, network), settings.client)

    def bind(
        self,
        library: Any,
        endpoint: Endpoint,
        settings: Any,
        plan: Plan,
        prefix: str,
        since_start: Callable[[int], int],
    ) -> KafkaAdapter:
        return KafkaAdapter(Binding(library, endpoint, settings, plan, prefix, since_start))

    def starts(self, settings: Any, group: ConsumerGroup) -> str:
        if group.start is not None:
            return group.start
        return "end" if settings.auto_offset_reset == "latest" else "beginning"

    def delivery(self, settings: Any) -> Delivery:
        return "exclusive"

    def promises(self, settings: Any) -> Iterable[tuple[str, str]]:
        """Retention in the generic words, and every native setting of the topic, the producer and the consumer."""
        yield "retention", _text(settings.retention)
        yield "retention_bytes", _text(settings.retention_bytes)
        yield "compaction", "true" if "compact" in str(settings.cleanup_policy) else "false"
        yield "clock", "shared"
        for part in ("topic", "producer", "consumer"):
            for name, value in sorted(settings.native(part, defaults=True).items()):
                if name != "unclean.leader.election.enable" or settings.unclean_leader_election_enable:
                    yield f"{part}.{name}", str(value)

    def is_client_error(self, error: BaseException) -> bool:
        from kafka.errors import KafkaError

        return isinstance(error, KafkaError)

    def longest_wait(self, settings: Any, disturbed: bool = True) -> int:
        """The longest after which the group or a client acts by itself. Without a fault sends are answered, and what
        clients know of the cluster stays true."""
        waits = [settings.session_timeout, settings.max_poll_interval, settings.auto_commit_interval]
        if disturbed:
            waits += [settings.metadata_max_age, settings.delivery_timeout]
        return max(int(wait) for wait in waits if wait is not None)


def _text(value: int | None) -> str:
    return "unlimited" if value is None else str(value)

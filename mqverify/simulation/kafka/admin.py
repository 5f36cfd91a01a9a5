"""`KafkaAdminClient` of the look-alike: the calls that provision, look and change (docs/facts/kafka.md §E.1)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient
from kafka.errors import BrokerResponseError, KafkaConfigurationError

from mqverify.simulation.kafka import protocol as api
from mqverify.simulation.kafka.client import Client

if TYPE_CHECKING:
    from mqverify.simulation.kafka.library import KafkaLibrary

__all__ = ["SimulatedAdminClient"]


class SimulatedAdminClient:
    """Every call blocks for one round trip; results are the dicts that kafka-python makes of the responses."""

    def __init__(self, library: "KafkaLibrary", **configs: Any) -> None:
        unknown = set(configs).difference(KafkaAdminClient.DEFAULT_CONFIG)
        if unknown:
            raise KafkaConfigurationError(f"Unrecognized configs: {unknown}")
        self.config: dict[str, Any] = {**KafkaAdminClient.DEFAULT_CONFIG, **configs}
        self._client = Client(library, "admin", self.config)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> "SimulatedAdminClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- topics ----------------------------------------------------------------------------------------------------

    def create_topics(
        self,
        new_topics: Any,
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
        wait_for_metadata: bool = False,
    ) -> dict[str, Any]:
        """Create topics: names, `{name: {num_partitions, replication_factor, configs}}` or `NewTopic`s."""
        request = api.CreateTopics(_new_topics(new_topics), validate_only)
        results = self._client.ask(request)
        _raise_first(results, raise_errors)
        return {"topics": [_result(name, *result) for name, result in results.items()]}

    def wait_for_topics(self, topic_names: Iterable[str], timeout_ms: float = 10000) -> None:
        """One broker: a topic is ready when its creation has been answered."""

    def delete_topics(
        self, topics: Iterable[str], timeout_ms: float | None = None, raise_errors: bool = True
    ) -> dict[str, Any]:
        results = self._client.ask(api.DeleteTopics(list(topics)))
        _raise_first(results, raise_errors)
        return {"topics": [_result(name, *result) for name, result in results.items()]}

    def create_partitions(
        self,
        topic_partitions: Mapping[str, Any],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> dict[str, Any]:
        """Grow topics to a total number of partitions each."""
        totals = {name: _total(count) for name, count in topic_partitions.items()}
        results = self._client.ask(api.CreatePartitions(totals))
        _raise_first(results, raise_errors)
        return {"results": [_result(name, *result) for name, result in results.items()]}

    def list_topics(self) -> list[str]:
        reply: api.MetadataReply = self._client.ask(api.Metadata(None))
        return list(reply.partitions)

    def describe_topics(self, topics: Iterable[str] | None = None) -> list[dict[str, Any]]:
        names = None if topics is None else list(topics)
        reply: api.MetadataReply = self._client.ask(api.Metadata(names))
        found = []
        for name in names if names is not None else list(reply.partitions):
            partitions = [
                {"error_code": 0, "partition_index": number, "leader_id": 1, "leader_epoch": 0,
                 "replica_nodes": [1], "isr_nodes": [1], "offline_replicas": []}
                for number in range(reply.partitions.get(name, 0))
            ]  # fmt: skip
            error = reply.errors.get(name)
            code = 0 if error is None else error.errno  # type: ignore[attr-defined]
            found.append({"error_code": code, "name": name, "is_internal": False, "partitions": partitions})
        return found

    def describe_configs(self, config_resources: Any, **_: Any) -> dict[str, dict[str, str]]:
        """The effective configuration of topics, given by name or as `ConfigResource`s: topic → setting → value."""
        names = [getattr(resource, "name", resource) for resource in config_resources]
        found: dict[str, dict[str, str]] = self._client.ask(api.DescribeConfigs(names))
        return found

    def delete_records(
        self, records_to_delete: Mapping[Any, int], timeout_ms: float | None = None, partition_leader_id: Any = None
    ) -> dict[Any, dict[str, int]]:
        """Delete what lies below the given offsets (−1: all there is)."""
        results = self._client.ask(api.DeleteRecords(dict(records_to_delete)))
        for partition, (error, _) in results.items():
            if error is not None:
                raise error(f"Error deleting records from topic {partition.topic} partition {partition.partition}")
        return {
            partition: {"partition_index": partition.partition, "low_watermark": start, "error_code": 0}
            for partition, (_, start) in results.items()
        }

    # -- groups ----------------------------------------------------------------------------------------------------

    def list_group_offsets(self, group_specs: Any) -> dict[str, dict[Any, Any]]:
        """What groups have committed: group → TopicPartition → OffsetAndMetadata.

        Given a group's name, a list of them, or `{group: partitions or None for all}`.
        """
        if not isinstance(group_specs, Mapping):
            group_specs = dict.fromkeys([group_specs] if isinstance(group_specs, str) else group_specs)
        reply: api.MetadataReply = self._client.ask(api.Metadata(None))
        everything = [TopicPartition(name, n) for name, count in reply.partitions.items() for n in range(count)]
        return {
            group: self._client.ask(api.OffsetFetch(group, everything if partitions is None else list(partitions)))
            for group, partitions in group_specs.items()
        }

    def delete_groups(self, group_ids: Iterable[str], group_coordinator_id: int | None = None) -> dict[str, str]:
        """Of each group `OK`, or the name of the error; nothing is raised."""
        results: dict[str, api.Error] = self._client.ask(api.DeleteGroups(list(group_ids)))
        return {group: "OK" if error is None else error.__name__ for group, error in results.items()}

    def alter_group_offsets(self, group: str, offsets: Mapping[Any, OffsetAndMetadata]) -> dict[Any, Any]:
        """Commit for a group without members; per partition the class of the error (§E.1), never raised."""
        request = api.OffsetCommit(group, api.UNKNOWN_MEMBER, api.NO_GENERATION, dict(offsets))
        results = self._client.ask(request)
        return {partition: error or kafka_errors.NoError for partition, error in results.items()}


def _new_topics(given: Any) -> list[tuple[str, int, int, dict[str, object]]]:
    if isinstance(given, Mapping):
        return [
            (name, data.get("num_partitions", -1), data.get("replication_factor", -1), dict(data.get("configs", {})))
            for name, data in given.items()
        ]
    topics = list(given)
    if all(isinstance(topic, str) for topic in topics):
        return [(topic, -1, -1, {}) for topic in topics]
    return [(topic.name, topic.num_partitions, topic.replication_factor, dict(topic.topic_configs)) for topic in topics]


def _total(count: Any) -> int:
    if isinstance(count, int):
        return count
    return int(count["count"] if isinstance(count, Mapping) else count.total_count)


def _raise_first(results: Mapping[str, tuple[Any, str]], raise_errors: bool) -> None:
    if raise_errors:
        for name, (error, message) in results.items():
            if error is not None:
                raise error(f"{name}: {message}" if message else name)


def _result(name: str, error: type[BrokerResponseError] | None, message: str) -> dict[str, Any]:
    return {"name": name, "error_code": 0 if error is None else error.errno, "error_message": message or None}

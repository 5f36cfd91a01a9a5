"""A consumer's side of the group protocol: join, sync, heartbeat, leave. kafka-python's `BaseCoordinator`.

The exchange of JoinGroup and SyncGroup goes on in the background once begun; the application's `poll` waits for it. The
heartbeat is apart from processing; it is also what notices that `poll` was not called for `max_poll_interval_ms` and
leaves (docs/facts/kafka.md §C.1, §E.1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kafka import TopicPartition
from kafka.coordinator.assignors.abstract import RebalanceProtocol
from kafka.errors import (
    IllegalGenerationError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    RetriableError,
    UnknownMemberIdError,
)
from kafka.errors import MemberIdRequiredError as _MemberIdRequired
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.client import Client, nanoseconds
from mqverify.simulation.kafka.coordinator import Coordinator
from mqverify.simulation.kafka.metadata import ClientMetadata
from mqverify.simulation.kafka.protocol import (
    NO_GENERATION,
    UNKNOWN_MEMBER,
    Error,
    Heartbeat,
    JoinGroup,
    JoinReply,
    LeaveGroup,
    SyncGroup,
    SyncReply,
)
from mqverify.simulation.kafka.subscription import Subscription
from mqverify.simulation.kernel import MILLISECOND, SECOND
from mqverify.simulation.renewals import Event

__all__ = ["Membership", "assigned_partitions"]

_LISTENER_CHECK = 10 * MILLISECOND  # how soon after a blocking listener a heartbeat that was due goes out


@dataclass(frozen=True, slots=True)
class _Topics:
    """A member's metadata for an assignor (`ConsumerProtocolSubscription`)."""

    topics: tuple[str, ...]
    user_data: Any = b""
    """Of a sticky assignor: what the member has had, and in which generation."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A member as assignors see it (`JoinGroupResponseMember`)."""

    member_id: str
    group_instance_id: str | None
    metadata: _Topics


class _UnjoinedGroup(RetriableError):
    pass


class Membership:
    """One consumer's membership in its group."""

    def __init__(
        self,
        client: Client,
        subscription: Subscription,
        metadata: ClientMetadata,
        coordinator: Coordinator,
        config: Mapping[str, Any],
    ) -> None:
        self.group: str = config["group_id"]
        self.member = UNKNOWN_MEMBER
        self.generation = NO_GENERATION
        self.state: Literal["unjoined", "rebalancing", "stable"] = "unjoined"
        self.rejoin_needed = True
        self.in_poll = False
        """Whether the application is inside `poll`, which then counts as called."""
        self.last_poll = 0
        self._client = client
        self._kernel = client.kernel
        self._subscription = subscription
        self._metadata = metadata
        self._coordinator = coordinator
        self._client_id: str = config["client_id"]
        self._session_timeout = nanoseconds(config["session_timeout_ms"])
        self._interval = nanoseconds(config["heartbeat_interval_ms"])
        self._max_poll_interval = nanoseconds(config["max_poll_interval_ms"])
        self._backoff = nanoseconds(config["retry_backoff_ms"])
        # The broker holds a JoinGroup for as long as the rebalance may take (`_do_join_and_sync_async`).
        self._join_timeout = max(nanoseconds(config["request_timeout_ms"]), self._max_poll_interval + 5 * SECOND)
        self._assignors = _assignors(config)
        self._protocol = ""
        self._is_leader = False
        self._joined_topics: list[str] | None = None
        self._assigned_from: dict[str, int] | None = None
        """Of the leader: the partitions of each topic that its assignment was computed from."""
        self._join: Future | None = None
        self._beat_event: Event | None = None
        self._beating = False
        """Whether a heartbeat is on its way: the next one waits for its answer (`_heartbeat_loop`)."""
        self._beat_overdue = False

    # -- what poll asks --------------------------------------------------------------------------------------------

    def need_rejoin(self) -> bool:
        """Whether the group must be joined (again): asked to, other topics, or the leader saw other partitions.

        A join under way counts, as in Java (`rejoinNeededOrPending`). kafka-python 3.0.12 forgets it where a leader's
        `poll` times out in the millisecond between its JoinGroup and its SyncGroup after a metadata change; that
        member then stays without heartbeats until its session ends.
        """
        if not self._subscription.by_group:
            return False
        if self._join is not None:
            return True
        if self._assigned_from is not None and self._assigned_from != self._snapshot():
            return True
        if self._joined_topics is not None and self._joined_topics != self._subscription.topics:
            return True
        return self.rejoin_needed

    @property
    def lost(self) -> bool:
        """Whether the group has put this member out: its partitions are lost, not revoked (KIP-429)."""
        return self.generation == NO_GENERATION or self.member == UNKNOWN_MEMBER

    def took(self, assignment: Mapping[str, Any]) -> None:
        """It was assigned this: a sticky assignor remembers it (`ConsumerCoordinator._on_join_complete`)."""
        taken = ConsumerProtocolAssignment(0, list(assignment.items()), b"")
        self._assignors[self._protocol].on_assignment(taken, self.generation)

    def prepare(self) -> None:
        """The rebalance begins for this member: after the last commit and the listener."""
        self._is_leader = False
        self._subscription.group_topics = list(self._subscription.topics or ())

    def join(self, until: int) -> dict[str, Any] | None:
        """Go on joining until `until`; what was assigned (topic → partitions) once joined, None if not yet.

        Raises what is not worth another try.
        """
        while True:
            if self._coordinator.lost and not self._coordinator.ensure(until):
                return None
            if self._join is None:
                self.stop_heartbeat()
                self._join = self._start_join()
            join = self._join
            if not join.wait(until - self._kernel.now):
                return None
            self._join = None
            error = join.error
            if error is None:
                self.state = "stable"
                self.rejoin_needed = False
                self._start_heartbeat()
                assignment: dict[str, Any] = join.value
                if not self._is_leader:
                    self._assigned_from = None
                return assignment
            if isinstance(
                error, UnknownMemberIdError | RebalanceInProgressError | IllegalGenerationError | _MemberIdRequired
            ):
                continue
            if isinstance(error, KafkaTimeoutError):
                return None
            if not isinstance(error, RetriableError):
                raise error
            self._kernel.sleep(self._backoff)
            if self._kernel.now >= until:
                return None

    @property
    def joining(self) -> bool:
        return self._join is not None

    def next_heartbeat(self) -> int | None:
        """When the next heartbeat is due; polls look after other duties then at the latest."""
        return None if self._beat_event is None else int(self._beat_event[0])

    def reset(self, member: str = UNKNOWN_MEMBER) -> None:
        """Out of the group (`reset_generation`)."""
        self.generation = NO_GENERATION
        self.member = member
        self.rejoin_needed = True
        self.state = "unjoined"
        self.stop_heartbeat()

    def leave(self, then: Callable[[Any], Any] | None = None) -> bool:
        """Tell the coordinator that this member goes; whether there was anything to tell."""
        if self.state == "unjoined" or self.member == UNKNOWN_MEMBER or self._coordinator.lost:
            self.reset()
            return False

        def left(reply: Any) -> None:  # or an error: it is not tried again
            self.reset()
            if then is not None:
                then(reply)

        self._client.send(LeaveGroup(self.group, self.member), left, left)
        return True

    # -- join and sync ---------------------------------------------------------------------------------------------

    def _start_join(self) -> Future:
        future = Future(self._kernel)
        self.state = "rebalancing"
        topics = self._subscription.topics or []
        self._joined_topics = list(topics)
        request = JoinGroup(
            self.group,
            self.member,
            self._client_id,
            None,
            self._session_timeout,
            self._max_poll_interval,
            [
                (name, _Topics(tuple(topics), assignor.metadata(topics).user_data))
                for name, assignor in self._assignors.items()
            ],
            self._sure_to_beat,
        )
        self._client.send(
            request,
            lambda reply: self._joined(future, reply),
            lambda error: future.resolve(error=error),
            self._join_timeout,
        )
        return future

    def _joined(self, future: Future, reply: JoinReply) -> None:
        if reply.error is not None:
            if reply.error is UnknownMemberIdError:
                self.reset()
            elif reply.error is _MemberIdRequired:
                self.reset(reply.member)
            future.resolve(error=reply.error())
            return
        if self.state != "rebalancing":
            future.resolve(error=_UnjoinedGroup())
            return
        self.member, self.generation, self._protocol = reply.member, reply.generation, reply.protocol
        assignments: dict[str, Any] = {}
        if reply.leader == reply.member:
            try:
                assignments = self._assign(reply)
            except Exception as error:  # noqa: BLE001  (an assignor is the application's code)
                future.resolve(error=error)
                return
        request = SyncGroup(self.group, self.member, self.generation, assignments)
        self._client.send(
            request, lambda answer: self._synced(future, answer), lambda error: future.resolve(error=error)
        )

    def _assign(self, reply: JoinReply) -> dict[str, Any]:
        """The leader computes the assignment, from the metadata that it has (`_perform_assignment`)."""
        members = [_Candidate(member, instance, metadata) for member, instance, metadata in reply.members]
        topics = sorted({topic for member in members for topic in member.metadata.topics})
        self._subscription.group_topics = topics
        self._is_leader = True
        self._assigned_from = self._snapshot()
        if self._subscription.pattern is None:
            self._metadata.set_topics(topics)
        self._metadata.request_update()
        assigned = self._assignors[self._protocol].assign(self, members)
        return {
            member: {topic: list(partitions) for topic, partitions in assignment.assigned_partitions}
            for member, assignment in assigned.items()
        }

    def topics(self) -> list[str]:
        """For assignors, to whom this is the `ClusterMetadata`."""
        return list(self._metadata.partitions)

    def partitions_for_topic(self, topic: str) -> Any:
        """For assignors, as above."""
        count = self._metadata.partitions.get(topic)
        return None if count is None else range(count)

    def _synced(self, future: Future, reply: SyncReply) -> None:
        if reply.error is None:
            future.resolve(reply.assignment or {})
            return
        self.rejoin_needed = True
        if reply.error is IllegalGenerationError:
            self.reset(self.member)
        elif reply.error is UnknownMemberIdError:
            self.reset()
        future.resolve(error=reply.error())

    def _snapshot(self) -> dict[str, int]:
        return {topic: self._metadata.partitions.get(topic, 0) for topic in self._subscription.group_topics}

    # -- heartbeat -------------------------------------------------------------------------------------------------

    def _start_heartbeat(self) -> None:
        self.stop_heartbeat()
        self.last_poll = self._kernel.now
        self._time_heartbeat(self._interval)

    def stop_heartbeat(self) -> None:
        self._beat_overdue = False
        if self._beat_event is not None:
            self._kernel.cancel(self._beat_event)
            self._beat_event = None

    def _time_heartbeat(self, delay: int) -> None:
        kernel = self._kernel
        self._beat_event = kernel.call_at(
            kernel.now + delay, self._beat, process=self._client.process, renews=self._beat_only_renews
        )

    def _beat(self) -> None:
        self._beat_event = None
        if self.state != "stable":
            return
        if self._client.blocked:
            self._time_heartbeat(_LISTENER_CHECK)
            return
        if self._beating:
            self._beat_overdue = True
            return
        if not self.in_poll and self._kernel.now - self.last_poll > self._max_poll_interval:
            self.leave()
            return
        if self._coordinator.lost:
            self._coordinator.lookup().callbacks.append(self._looked_up)
            return
        self._beating = True
        self._client.send(
            Heartbeat(self.group, self.member, self.generation), self._heartbeat_handler(), self._heartbeat_failed
        )
        self._time_heartbeat(self._interval)

    def _heartbeat_failed(self, error: BaseException) -> None:
        """The next one is due `retry_backoff_ms` after this one was sent, once the coordinator is found again."""
        self._beating = self._beat_overdue = False
        self._coordinator.dead(error)
        if self.state == "stable":
            self.stop_heartbeat()
            self._time_heartbeat(self._backoff)

    def _looked_up(self, lookup: Future) -> None:
        if self.state == "stable" and self._beat_event is None:
            self._time_heartbeat(self._backoff if lookup.error is not None else self._interval)

    def _heartbeat_handler(self) -> Callable[[Error], None]:
        generation = self.generation

        def arrived(error: Error) -> None:
            self._beating = False
            overdue, self._beat_overdue = self._beat_overdue, False
            if overdue and self._beat_event is None:
                self._time_heartbeat(0)
            if error is None or self.generation != generation:
                return
            if error is RebalanceInProgressError:
                self.rejoin_needed = True
            elif error is IllegalGenerationError:
                self.reset(self.member)
            elif error is UnknownMemberIdError:
                self.reset()

        return arrived

    def _beat_only_renews(self) -> bool:
        """Whether the next heartbeat will be answered with nothing new. Only the simulation can ask."""
        group = self._client.cluster.broker.groups.get(self.group)
        if group is None or self.rejoin_needed or not self.in_poll or not self._client.cluster.process.running:
            return False
        if self._client.troubled:
            return False
        return not group.would_tell(self.member, self.generation)

    def _sure_to_beat(self) -> bool:
        beating = self.state == "stable" and self._beat_event is not None
        return beating and self._client.process.running and not self._client.blocked and not self._client.troubled


def _assignors(config: Mapping[str, Any]) -> dict[str, Any]:
    assignors: dict[str, Any] = {}
    for given in config["partition_assignment_strategy"]:
        assignor = given() if isinstance(given, type) else given
        if RebalanceProtocol.EAGER not in assignor.supported_protocols():
            raise KafkaConfigurationError(
                f"The simulated Kafka has no cooperative rebalancing: {assignor.name} is not supported."
                " Use RangePartitionAssignor or RoundRobinPartitionAssignor."
            )
        assignors[assignor.name] = assignor
    if not assignors:
        raise KafkaConfigurationError("Coordinator requires assignors")
    if config["group_id"] is not None and config["heartbeat_interval_ms"] >= config["session_timeout_ms"]:
        raise KafkaConfigurationError(
            "Heartbeat interval must be lower than the session timeout"
            f" ({config['heartbeat_interval_ms']} v {config['session_timeout_ms']})"
        )
    return assignors


def assigned_partitions(assignment: Mapping[str, Any]) -> list[TopicPartition]:
    """TopicPartitions of what a SyncGroup brought."""
    return [TopicPartition(topic, number) for topic, numbers in assignment.items() for number in numbers]

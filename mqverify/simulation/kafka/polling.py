"""What happens inside `poll`: the group, the automatic commit, the positions, the records.

kafka-python's `KafkaConsumer._poll_once` with `ConsumerCoordinator.poll`, `_on_join_prepare` and `_on_join_complete`.
"""

from collections.abc import Mapping
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from mqverify.simulation.kafka.client import FOREVER, Client, nanoseconds
from mqverify.simulation.kafka.commits import Commits
from mqverify.simulation.kafka.coordinator import Coordinator
from mqverify.simulation.kafka.fetcher import Fetcher
from mqverify.simulation.kafka.membership import Membership, assigned_partitions
from mqverify.simulation.kafka.metadata import ClientMetadata
from mqverify.simulation.kafka.subscription import Sorted, Subscription
from mqverify.simulation.kernel import MICROSECOND, SECOND

__all__ = ["Polling"]

_EMPTY_POLL_COST = 50 * MICROSECOND  # so that a loop around `poll(0)` does not stand still in time
_PATIENCE = 600 * SECOND
"""A consumer with uncommitted positions that got nothing for so long is taken for idle all the same."""

Records = dict[TopicPartition, list[Any]]


class Polling:
    """The polls of one consumer."""

    def __init__(self, owner: Any, client: Client, config: dict[str, Any]) -> None:
        self.closed = False
        self.grouped = config["group_id"] is not None
        self.subscription = Subscription(config["auto_offset_reset"], client.dice)
        self.metadata = ClientMetadata(
            client,
            nanoseconds(config["metadata_max_age_ms"]),
            nanoseconds(config["retry_backoff_ms"]),
            config["allow_auto_create_topics"],
            self._updated,
        )
        self.fetcher = Fetcher(client, self.subscription, self.metadata, config)
        backoff = nanoseconds(config["retry_backoff_ms"])
        self.coordinator = Coordinator(client, self.metadata, config["group_id"], backoff)
        self.membership = Membership(client, self.subscription, self.metadata, self.coordinator, config)
        self.commits = Commits(owner, client, self.subscription, self.membership, self.coordinator, config)
        self._client = client
        self._kernel = client.kernel
        self._backoff = backoff
        self._prepared = False
        self._vain_polls = 0
        self._last_records = 0

    def stir(self) -> None:
        """The application changed something: what follows is no idle time."""
        self._vain_polls = 0

    def poll(self, until: int, max_records: int, update_positions: bool) -> Records:
        """Records by partition, waiting until `until` for the first; empty if none came."""
        kernel, membership = self._kernel, self.membership
        began = kernel.now
        membership.in_poll = True
        try:
            while True:
                records = self._poll_once(until, max_records, update_positions)
                if records:
                    self._vain_polls = 0
                    self._last_records = kernel.now
                    return records
                if self.closed or kernel.now >= until:
                    break
        finally:
            membership.in_poll = False
            membership.last_poll = kernel.now
        self._vain_polls += 1
        if kernel.now == began:
            kernel.sleep(_EMPTY_POLL_COST)
        return {}

    def _poll_once(self, until: int, max_records: int, update_positions: bool) -> Records:
        if self.grouped and not self._coordinate(until):
            return {}
        if not self.subscription.has_all_positions():
            self._vain_polls = 0
            self.refresh_positions(until)
            self.fetcher.reset_if_needed()
        wait_until = until
        if self.grouped:
            for due in (self.commits.next_deadline(), self.membership.next_heartbeat()):
                if due is not None and self._kernel.now < due < wait_until:
                    wait_until = due
        records, nothing_to_await = self.fetcher.fetch(max_records, update_positions, wait_until, self._idle)
        if not records:
            if until >= FOREVER:
                self._vain_polls += 1
            if nothing_to_await and self._kernel.now < wait_until:
                # With something to fetch it waits for metadata, and nobody wakes it: then this is no idle time.
                renews = None if self.subscription.fetchable() else self._idle
                self._kernel.sleep(min(wait_until - self._kernel.now, self._backoff), renews)
        return records

    def _idle(self) -> bool:
        """Whether nothing would come of it if this wait took longer: only then may idle time be leapt over.

        Not before two polls in vain, for the application acts on the first ones; not while a rebalance or a commit is
        due, nor while positions are uncommitted that the application may commit by time.
        """
        if self._vain_polls < 2 or self.commits.pending() or not self._client.library.may_idle():
            return False
        if not self.subscription.has_all_positions():
            return False
        if not self.grouped:
            return True
        if self.membership.need_rejoin():
            return False
        return not self._uncommitted() or self._kernel.now - self._last_records > _PATIENCE

    def _uncommitted(self) -> bool:
        return any(
            state.position is not None and state.position.offset not in (state.settled, state.started)
            for state in self.subscription.assignment.values()
        )

    # -- the group -------------------------------------------------------------------------------------------------

    def _coordinate(self, until: int) -> bool:
        """`ConsumerCoordinator.poll`: whether the consumer may go on to fetch."""
        self.commits.run_callbacks()
        if not self.coordinator.known and not self.coordinator.ensure(until):
            return False
        membership = self.membership
        if self.subscription.by_group:
            if membership.need_rejoin():
                self._vain_polls = 0
                if not self._join(until):
                    return False
            membership.last_poll = self._kernel.now
        self.commits.maybe_auto()
        return True

    def _join(self, until: int) -> bool:
        membership = self.membership
        while membership.need_rejoin():
            if not membership.joining and not self._prepared:
                if self.subscription.pattern is not None:
                    # What the pattern matches must be known before joining (KAFKA-3949).
                    update = self.metadata.request_update()
                    if not update.wait(None if until >= FOREVER else until - self._kernel.now):
                        return False
                    if update.error is not None:
                        continue
                self._prepare_join()
                self._prepared = True
            assignment = membership.join(until)
            if assignment is None:
                return False
            self._prepared = False
            self._complete_join(assignment)
        return True

    def _prepare_join(self) -> None:
        """`_on_join_prepare`: lost partitions are dropped, owned ones are committed (auto-commit) and revoked."""
        subscription, membership = self.subscription, self.membership
        if membership.lost and subscription.assignment:
            self.give_up_assignment("on_partitions_lost")
            return
        self.commits.auto_sync(None)
        failure: BaseException | None = None
        if subscription.listener is not None:
            revoked = subscription.assigned()
            subscription.mark_pending_revocation()
            failure = self._tell_listener("on_partitions_revoked", revoked)
        if not self._client.library.profile.keeps_positions:
            subscription.assign_from_subscribed([])
        membership.prepare()
        if failure is not None:
            raise KafkaError("User rebalance callback throws an error") from failure

    def _complete_join(self, assignment: Mapping[str, Any]) -> None:
        """`_on_join_complete`."""
        try:
            self.subscription.assign_from_subscribed(assigned_partitions(assignment))
        except ValueError:
            # Of a topic that is no longer subscribed to: join again, as kafka-python does.
            self.membership.rejoin_needed = True
            return
        self.membership.took(assignment)
        self.commits.joined()
        failure = self._tell_listener("on_partitions_assigned", self.subscription.assigned())
        if failure is not None:
            raise KafkaError("User rebalance callback throws an error") from failure

    def give_up_assignment(self, call: str) -> None:
        subscription = self.subscription
        given_up = subscription.assigned()
        subscription.mark_pending_revocation()
        failure = self._tell_listener(call, given_up)
        subscription.assign_from_subscribed([])
        self.membership.prepare()
        if failure is not None:
            raise KafkaError("User rebalance callback throws an error") from failure

    def _tell_listener(self, call: str, partitions: Sorted) -> BaseException | None:
        listener = self.subscription.listener
        if listener is not None:
            self._client.listening = True
            try:
                getattr(listener, call)(partitions)
            except Exception as error:  # noqa: BLE001  (raised again by the caller, after its cleanup)
                return error
            finally:
                self._client.listening = False
        return None

    def refresh_positions(self, until: int) -> None:
        """Start from the committed offsets; where there are none, by the reset policy."""
        subscription = self.subscription
        missing = subscription.missing_positions()
        if missing and self.grouped:
            left = FOREVER if until >= FOREVER else max(0, until - self._kernel.now)
            try:
                committed = self.commits.fetch(missing, left)
            except KafkaTimeoutError:
                return
            for partition, offset in committed.items():
                state = subscription.assignment.get(partition)
                if state is not None and state.missing_position:
                    state.seek(offset.offset)
                    state.settled = offset.offset
        subscription.reset_missing_positions()

    def _updated(self) -> None:
        subscription = self.subscription
        if subscription.pattern is not None:
            matching = sorted(topic for topic in self.metadata.partitions if subscription.pattern.match(topic))
            if matching != subscription.topics:
                subscription.change_topics(matching)
        if subscription.by_group and not self.grouped:
            # Without a group `subscribe` assigns all partitions (`_auto_assign_all_partitions`).
            everything = {topic: range(self.metadata.partitions.get(topic, 0)) for topic in subscription.topics or ()}
            partitions = assigned_partitions(everything)
            if any(partition not in subscription.assignment for partition in partitions):
                subscription.assign_from_subscribed(partitions)

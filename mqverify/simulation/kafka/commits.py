"""How a consumer commits: kafka-python's `ConsumerCoordinator`, the part about offsets.

`commit` retries what can be retried until its time is up; a commit of a member that the group has put out raises
`CommitFailedError`. Auto-commit happens inside a later `poll` and commits positions of records returned before
(docs/facts/kafka.md §0.1, §C.4); with the librdkafka profile it is a timer apart.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    CoordinatorNotAvailableError,
    IllegalGenerationError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    RetriableError,
    UnknownMemberIdError,
)

from mqverify.simulation.future import Future
from mqverify.simulation.kafka.client import FOREVER, Client, nanoseconds
from mqverify.simulation.kafka.coordinator import Coordinator
from mqverify.simulation.kafka.futures import ClientFuture
from mqverify.simulation.kafka.membership import Membership
from mqverify.simulation.kafka.protocol import NO_GENERATION, UNKNOWN_MEMBER, Error, OffsetCommit, OffsetFetch
from mqverify.simulation.kafka.subscription import Subscription
from mqverify.simulation.renewals import Event

__all__ = ["Commits"]

_REBALANCING = (
    "Offset commit cannot be completed since the consumer is undergoing a rebalance for auto partition assignment."
    " You can try completing the rebalance by calling poll() and then retry the operation."
)
_NOT_ACTIVE = (
    "Offset commit cannot be completed since the consumer is not part of an active group for auto partition"
    " assignment; it is likely that the consumer was kicked out of the group."
)

_commit_failed: Callable[..., BaseException] = CommitFailedError

Offsets = dict[TopicPartition, OffsetAndMetadata]
Then = Callable[[BaseException | None], Any]


class Commits:
    """The commits of one consumer. `owner` is the consumer that the observer is told of."""

    def __init__(
        self,
        owner: Any,
        client: Client,
        subscription: Subscription,
        membership: Membership,
        coordinator: Coordinator,
        config: Mapping[str, Any],
    ) -> None:
        self.auto: bool = config["enable_auto_commit"]
        self._owner = owner
        self._client = client
        self._kernel = client.kernel
        self._observer = client.library.observer
        self._subscription = subscription
        self._membership = membership
        self._coordinator = coordinator
        self._background = client.library.profile.background_commit
        self._interval = nanoseconds(config["auto_commit_interval_ms"])
        self._request_timeout = nanoseconds(config["request_timeout_ms"])
        self._backoff = nanoseconds(config["retry_backoff_ms"])
        self._default_callback: Callable[..., Any] = config["default_offset_commit_callback"] or _ignore
        self._completed: deque[tuple[Callable[..., Any], Offsets, Any]] = deque()
        self._deadline = self._kernel.now + self._interval
        self._timer: Event | None = None
        if self.auto and self._background:
            self._time_background()

    # -- what the application asks ---------------------------------------------------------------------------------

    def commit_sync(self, offsets: Offsets, timeout: int | None) -> None:
        """Commit and block until it is known; retriable errors are retried until `timeout` (`request_timeout_ms`)."""
        _check(offsets)
        self.run_callbacks()
        self._sync(offsets, timeout)

    def _sync(self, offsets: Offsets, timeout: int | None) -> None:
        self._client.require_not_listening()
        if not offsets:
            return
        kernel = self._kernel
        until = kernel.now + (self._request_timeout if timeout is None else timeout)
        while True:
            if self._coordinator.lost:
                self._coordinator.ensure(until)
            future = Future(kernel)
            self._send(offsets, lambda error, done=future: done.resolve(error=error))  # type: ignore[misc]
            if not future.done:
                future.wait(None if until >= FOREVER else until - kernel.now)
            if future.done:
                if future.error is None:
                    return
                if not isinstance(future.error, RetriableError):
                    raise future.error
            kernel.sleep(max(0, min(self._backoff, until - kernel.now)))
            if kernel.now >= until:
                raise KafkaTimeoutError

    def commit_async(self, offsets: Offsets, callback: Callable[..., Any] | None) -> ClientFuture:
        """Commit and go on. Callbacks run in a later `poll` or commit, the last first, as in kafka-python (§E.2)."""
        _check(offsets)
        self.run_callbacks()
        future = ClientFuture()
        call = callback or self._default_callback

        def done(error: BaseException | None) -> None:
            self._completed.appendleft((call, offsets, error))
            if error is None:
                future.success(None)
            else:
                future.failure(error)

        self._send_found(offsets, done)
        return future

    def run_callbacks(self) -> None:
        while self._completed:
            call, offsets, outcome = self._completed.popleft()
            call(offsets, outcome)

    def fetch(self, partitions: Sequence[TopicPartition], timeout: int) -> Offsets:
        """What the group has committed for `partitions`; asked again until `timeout` as long as that can help.

        Raises `KafkaTimeoutError`.
        """
        kernel = self._kernel
        until = FOREVER if timeout >= FOREVER else kernel.now + timeout
        while True:
            if not self._coordinator.lost or self._coordinator.ensure(until):
                try:
                    left = FOREVER if until >= FOREVER else max(0, until - kernel.now)
                    found: Offsets = self._client.ask(OffsetFetch(self._membership.group, partitions), left)
                except RetriableError as error:
                    if not isinstance(error, KafkaTimeoutError):
                        self._coordinator.dead(error)
                else:
                    return found
            kernel.sleep(max(0, min(self._backoff, until - kernel.now)))
            if kernel.now >= until:
                raise KafkaTimeoutError

    # -- automatic -------------------------------------------------------------------------------------------------

    def joined(self) -> None:
        """The next auto-commit is an interval away from a completed join."""
        self._deadline = self._kernel.now + self._interval

    def next_deadline(self) -> int | None:
        return self._deadline if self.auto and not self._background else None

    def maybe_auto(self) -> None:
        """In a poll: commit if the interval is over. With the coordinator unknown, a little later."""
        if not self.auto or self._background:
            return
        if self._coordinator.lost:
            self._deadline = self._kernel.now + self._backoff
        elif self._kernel.now >= self._deadline:
            self._deadline = self._kernel.now + self._interval
            self.auto_now()

    def auto_now(self) -> None:
        """Commit the positions now, without waiting."""
        if not self.auto or self._coordinator.lost:
            return
        offsets = self._subscription.consumed()
        told = self._observed(offsets)

        def done(error: BaseException | None) -> None:
            told(error)
            if isinstance(error, RetriableError):
                self._deadline = min(self._kernel.now + self._backoff, self._deadline)
            self._completed.appendleft((self._default_callback, offsets, error))

        self.run_callbacks()
        self._send(offsets, done)

    def auto_sync(self, timeout: int | None) -> None:
        """Before a rebalance and at close: commit the positions and wait; a failure is only logged there."""
        if not self.auto:
            return
        offsets = self._subscription.consumed()
        told = self._observed(offsets)
        try:
            self._sync(offsets, timeout)
        except Exception as error:  # noqa: BLE001  (whatever it was, the rebalance or the close goes on)
            told(error)
        else:
            told(None)

    def pending(self) -> bool:
        """Whether an auto-commit would change something at the broker."""
        if not self.auto:
            return False
        return any(
            state.position is not None and state.position.offset != state.settled
            for state in self._subscription.assignment.values()
        )

    def close(self) -> None:
        if self._timer is not None:
            self._kernel.cancel(self._timer)

    def _observed(self, offsets: Offsets) -> Then:
        if self._observer is None or not offsets:
            return _ignore
        token = self._observer.settling(self._owner, offsets)
        return lambda error: self._observer.settled(token, error)

    def _time_background(self) -> None:
        self._timer = self._kernel.call_at(
            self._kernel.now + self._interval,
            self._commit_in_background,
            process=self._client.process,
            renews=lambda: not self.pending(),
        )

    def _commit_in_background(self) -> None:
        """librdkafka's timer: what was handed out last counts as done, although it is being processed (§0.1)."""
        self._time_background()
        if self.pending() and (self._membership.state == "stable" or not self._subscription.by_group):
            offsets = self._subscription.consumed()
            self._send(offsets, self._observed(offsets))

    # -- the request -----------------------------------------------------------------------------------------------

    def _send_found(self, offsets: Offsets, then: Then) -> None:
        """`commit_offsets_async`: with the coordinator unknown, look it up first; that this fails fails the commit."""
        if not self._coordinator.lost:
            self._send(offsets, then)
            return
        self._coordinator.lookup().callbacks.append(
            lambda found: self._send(offsets, then) if found.error is None else then(found.error)
        )

    def _send(self, offsets: Offsets, then: Then) -> None:
        if not offsets:
            then(None)
            return
        if self._coordinator.lost:
            then(CoordinatorNotAvailableError())
            return
        membership = self._membership
        member, generation = UNKNOWN_MEMBER, NO_GENERATION
        if self._subscription.by_group:
            if membership.state != "stable":
                rebalancing = membership.state == "rebalancing"
                then(RebalanceInProgressError(_REBALANCING) if rebalancing else _commit_failed(_NOT_ACTIVE))
                return
            member, generation = membership.member, membership.generation
        request = OffsetCommit(membership.group, member, generation, offsets)
        self._client.send(
            request,
            lambda results: self._arrived(offsets, generation, results, then),
            lambda error: self._failed(error, then),
        )

    def _failed(self, error: BaseException, then: Then) -> None:
        """The connection broke, or no reply came in time: the commit may have been done or not."""
        self._coordinator.dead(error)
        then(error)

    def _arrived(self, offsets: Offsets, generation: int, results: dict[Any, Error], then: Then) -> None:
        """`_handle_offset_commit_response`: the first error decides."""
        assignment = self._subscription.assignment
        for partition, error in results.items():
            if error is None:
                state = assignment.get(partition)
                if state is not None:
                    state.settled = offsets[partition].offset
                continue
            then(self._meaning(error, generation))
            return
        then(None)

    def _meaning(self, error: type[Exception], generation: int) -> BaseException:
        membership = self._membership
        if error is RebalanceInProgressError:
            membership.rejoin_needed = True
            return _commit_failed(error())
        if error in (UnknownMemberIdError, IllegalGenerationError):
            if membership.generation == generation:
                membership.reset(membership.member if error is IllegalGenerationError else UNKNOWN_MEMBER)
            return _commit_failed(error())
        return error()


def _ignore(*_: Any) -> None:
    pass


def _check(offsets: Offsets) -> None:
    for partition, offset in offsets.items():
        if not isinstance(partition, TopicPartition) or not isinstance(offset, OffsetAndMetadata):
            raise TypeError("offsets must be dict[TopicPartition, OffsetAndMetadata]")

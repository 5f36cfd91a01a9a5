"""The consumer loop: poll, handle, settle, in the order that `settle:` says. Plain blocking code, written once.

It behaves like the application that a spec describes, naive where applications are naive: after a rejected settlement
it goes on with the batch in its hands, and a retry in place blocks what is behind it. Where the system hands a rejected
message out again, a retry is such a rejection, and nothing is blocked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mqverify.spec.model import Handler, Settle
from mqverify.workload.client import ConsumerClient, Context, Received, Rejection

__all__ = ["ConsumerDuties", "HandlerFailed", "consume"]

POLL_WAIT = 500_000_000
"""Nanoseconds that one poll waits for messages."""

_FIRST_RETRY_PAUSE = 100_000_000
_LONGEST_RETRY_PAUSE = 10_000_000_000


class HandlerFailed(Exception):
    """A handler's exception that leaves the loop (`on_failure: stop`)."""


class _Stopped(Exception):
    """The worker was asked to end while it retried in place."""


@dataclass(frozen=True, slots=True)
class ConsumerDuties:
    """What the spec asks of the consumers of one group."""

    handler: Handler
    settle: Settle
    wait_for_settlements: bool
    """`commit: sync`."""
    poison: frozenset[int]


def consume(client: ConsumerClient, context: Context, duties: ConsumerDuties) -> None:
    """Consume until asked to stop. An exception of the handler or of the client leaves, closing as `close:` says."""
    try:
        client.start()
        _Consumer(client, context, duties).run()
    except Exception:
        if duties.handler.close != "never":
            client.close(clean=duties.handler.close == "always")
        raise
    client.close(clean=True)


class _Consumer:
    def __init__(self, client: ConsumerClient, context: Context, duties: ConsumerDuties) -> None:
        self._client = client
        self._context = context
        self._recorder = context.recorder
        self._handler = duties.handler
        least, most = duties.handler.takes
        self._takes = least if least == most else None
        """How long every handling takes; None if it is drawn."""
        self._poison = duties.poison
        self._wait = duties.wait_for_settlements
        self._policy = duties.settle.policy
        self._every_count = duties.settle.every_count
        self._every_time = duties.settle.every_time
        self._sink = context.sink
        self._pending: list[Received] = []
        self._settle_at = context.now() + (self._every_time or 0)
        self._delivered = context.marker("delivered")
        self._handled = context.marker("handled")
        self._settled = context.marker("settled")

    def run(self) -> None:
        context, client = self._context, self._client
        automatic = self._policy == "automatic"
        try:
            while not context.stopping():
                batch = client.poll(POLL_WAIT)
                if batch:
                    context.busy()
                    self._work_through(batch)
                    if automatic:
                        context.reached("before_settle")
                else:
                    self._settle_if_time()
                    context.idle(None if self._pending and self._every_time else client.progress())
        except _Stopped:
            pass
        self._settle_pending()

    def _work_through(self, batch: Sequence[Received]) -> None:
        delivered, handle = self._delivered, self._handle
        for received in batch:
            message = received.message
            if message is not None:
                delivered(message)
        policy = self._policy
        reached = self._context.reached
        done: list[Received] = []
        if policy == "before_batch":
            self._settle(batch)
        for received in batch:
            if policy == "before_handling":
                self._settle((received,))
            reached("before_handle")
            if not handle(received):
                continue
            if policy == "after_batch":
                done.append(received)
            elif policy == "after_handling":
                self._settle((received,))
            elif policy == "every":
                self._settle_later(received)
            elif policy == "with_effect":
                self._settled_with_effect(received)
        if done:
            self._settle(done)

    def _handle(self, received: Received) -> bool:
        """Handle one message, and again after failures; the effect is the handler's last act.

        Returns whether it is still to be settled, or was with its effect: not if it was rejected and that settled it,
        nor if the sink refused it, since somebody else has come further.
        """
        context, recorder = self._context, self._recorder
        token, message, attempt, pause = received.token, received.message, received.tries, _FIRST_RETRY_PAUSE
        while True:
            recorder.handler_started(token)
            takes = context.handling_time(self._draw_time() if self._takes is None else self._takes)
            if takes:
                context.sleep(takes)
            context.reached("in_handler")
            if message not in self._poison:
                if self._sink is not None and not self._sink.apply(received):
                    recorder.handler_ended(token, "refused")
                    return False
                recorder.handler_ended(token, "handled")
                if message is not None:
                    self._handled(message)
                return True
            recorder.handler_ended(token, "failed")
            rejection = self._rejection(received, attempt)
            if rejection != "retry" or self._client.redelivers:
                return not self._client.reject(received, rejection) and self._pass_over(received, rejection)
            if attempt >= self._handler.attempts:
                context.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY_PAUSE)
            if context.stopping():
                raise _Stopped
            attempt += 1
            token = recorder.delivered(*received.facts, delivery=received.token, attempt=attempt)

    def _pass_over(self, received: Received, rejection: Rejection) -> bool:
        """Where the sink keeps the positions, move its own behind a message that failed; False if it refuses."""
        sink, recorder = self._sink, self._recorder
        if sink is None or not sink.keeps_positions:
            return True
        if rejection != "skip":
            return sink.pass_over(received)
        token = recorder.settling(received.source, received.position, "skip", "one", "consumer", received.message)
        passed = sink.pass_over(received)
        recorder.settled(token, "acked" if passed else "failed")
        return passed

    def _rejection(self, received: Received, attempt: int) -> Rejection:
        """What to do with a message that failed: try it again, or what `on_failure:` says once all attempts failed."""
        on_failure = self._handler.on_failure
        if attempt < self._handler.attempts:
            return "retry"
        if on_failure == "stop":
            raise HandlerFailed(f"message {received.message} could not be handled")
        if on_failure == "crash":
            self._context.crash()
            raise HandlerFailed(f"message {received.message} killed its consumer")
        return on_failure

    def _draw_time(self) -> int:
        return self._context.dice.randint(*self._handler.takes)

    def _settle(self, items: Sequence[Received]) -> None:
        context = self._context
        context.reached("before_settle")
        context.reached("in_settle")
        if self._client.settle(items, self._wait):
            settled = self._settled
            for received in items:
                message = received.message
                if message is not None:
                    settled(message)
        context.reached("after_settle")

    def _settled_with_effect(self, received: Received) -> None:
        """The sink has moved its position with the effect, or past the message: there is nothing left to tell."""
        if received.message is not None:
            self._settled(received.message)
        self._context.reached("after_settle")

    def _settle_later(self, received: Received) -> None:
        self._pending.append(received)
        if self._every_count is not None and len(self._pending) >= self._every_count:
            self._settle_pending()
        self._settle_if_time()

    def _settle_pending(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self._settle(pending)

    def _settle_if_time(self) -> None:
        if self._every_time is not None and self._context.now() >= self._settle_at:
            self._settle_at = self._context.now() + self._every_time
            self._settle_pending()

"""How acks and nacks leave the client: `persistent.SubscriptionReadReqs`, which gRPC iterates in a thread of its own.

They are queued and sent in batches of one action: when a batch is full, when the action changes, at each beat of
`max_ack_delay`, and when the subscription stops. The beats go on from the last batch, or from the last beat in vain;
here they are computed when something waits for one, so that an idle subscription costs nothing. A killed process loses
what it has not sent.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from mqverify.simulation.eventstore.channel import nanoseconds
from mqverify.simulation.eventstore.protocol import Ack, Nack
from mqverify.simulation.kernel import SECOND, Kernel
from mqverify.simulation.process import Process
from mqverify.simulation.renewals import Event

__all__ = ["Settlements"]

STOP_TIMEOUT = 5 * SECOND
"""How long `SubscriptionReadReqs.stop` waits for its thread at most."""


class Settlements:
    """The acks and nacks of one subscription. `send(request)` says whether the call was still there to send it on.

    gRPC's thread finds out that the call has ended only when it has something to send, and ends without a word; then
    `stop` waits for it in vain. `failed(error)` is told when an id is none, which ends the thread and the call.
    """

    def __init__(
        self,
        kernel: Kernel,
        process: Process,
        send: Callable[[Any], bool],
        failed: Callable[[Exception], None],
        max_ack_batch_size: int,
        max_ack_delay: float,
        stopping_grace: float,
    ) -> None:
        self._kernel = kernel
        self._process = process
        self._send = send
        self._failed = failed
        self._size = max_ack_batch_size
        self._delay = nanoseconds(max_ack_delay)
        self._grace = nanoseconds(stopping_grace)
        self._ids: list[UUID] = []
        self._action = ""
        self._last = kernel.now
        """When the last batch was sent or the last beat was in vain, as far as is known."""
        self._timer: Event | None = None
        self._stopping = False
        self._thread_ended = False

    def add(self, event_id: Any, action: str) -> None:
        """Queue an ack or a nack. What comes after `stop`, or after the call has ended, is lost."""
        if not self._process.alive:
            self._kernel.require_alive(self._process)
        if self._stopping or self._thread_ended:
            return
        if not isinstance(event_id, UUID):
            self._thread_ended = True
            self._failed(ValueError(f"event_id {event_id!r} is not a UUID"))
            return
        ids = self._ids
        if not ids:
            self._action = action
        elif action != self._action:
            # The new one is held back as the first of the next batch, which is not looked at for being full.
            self._flush()
            self._ids.append(event_id)
            self._action = action
            self._await_beat()
            return
        ids.append(event_id)
        if len(ids) >= self._size:
            self._flush()
        else:
            self._await_beat()

    def stop(self) -> None:
        """Send what is held and block for the grace that the node is given to take it."""
        self._stopping = True
        if self._ids:
            self._flush()
        self._kernel.sleep(STOP_TIMEOUT if self._thread_ended else min(self._grace, STOP_TIMEOUT))

    def abort(self) -> None:
        self._stopping = True
        self._ids = []

    def _flush(self) -> None:
        ids, self._ids = self._ids, []
        self._last = self._kernel.now
        action: Any = self._action
        request = Ack(tuple(ids)) if action == "ack" else Nack(tuple(ids), action)
        if not self._send(request):
            self._thread_ended = True

    def _await_beat(self) -> None:
        """See to it that the batch leaves with the next beat. A timer left over from an earlier batch will do."""
        if self._timer is not None or self._thread_ended:
            return
        if self._delay <= 0:
            self._flush()
            return
        kernel = self._kernel
        self._last += (kernel.now - self._last) // self._delay * self._delay
        self._timer = kernel.call_at(self._last + self._delay, self._beat, process=self._process)

    def _beat(self) -> None:
        self._timer = None
        if not self._ids:
            return
        if self._kernel.now < self._last + self._delay:
            self._await_beat()
        else:
            self._flush()

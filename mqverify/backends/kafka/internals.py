"""What we use of kafka-python beyond its public API, all of it, as kafka-python 3.0.12 has it.

Each is looked for where it is used; where a version lacks it, BackendUnavailable says what cannot be done with that.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any, Final

from mqverify.errors import BackendUnavailable

__all__ = ["KNOWN", "Commit", "send_to", "wrap_commits"]

KNOWN: Final = "3.0.12"

_COMMIT_REQUEST: Final = "_send_offset_commit_request"

Commit = Callable[[Mapping[Any, Any]], Awaitable[Any]]
"""Asks for offsets to be committed, in one request."""


def wrap_commits(consumer: Any, wrap: Callable[[Commit], Commit]) -> None:
    """Have each commit request of a consumer go through what `wrap` makes of that which sends it: every try of every
    commit, whoever asks for it (`ConsumerCoordinator._send_offset_commit_request`, kafka/coordinator/consumer.py).
    """
    coordinator = getattr(consumer, "_coordinator", None)
    send = getattr(coordinator, _COMMIT_REQUEST, None)
    if send is None:
        raise _unknown("what it commits by itself cannot be observed, so `settle: automatic` cannot be judged")
    setattr(coordinator, _COMMIT_REQUEST, wrap(send))


def send_to(admin: Any, broker: int, request: Any, timeout_ms: int) -> Mapping[str, Any]:
    """The answer of one broker to an administrator's request (`KafkaAdminClient._manager`, kafka/admin/client.py)."""
    manager: Any = getattr(admin, "_manager", None)
    if not hasattr(manager, "send") or not hasattr(manager, "run"):
        raise _unknown("a broker cannot be asked by its number, so faults of brokers cannot be followed")

    async def send() -> Any:
        return await manager.send(request, node_id=broker, request_timeout_ms=timeout_ms)

    answer: Mapping[str, Any] = manager.run(send).to_dict()
    return answer


def _unknown(what: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"kafka-python {version('kafka-python')} is made in another way than {KNOWN}: {what}; "
        f"install kafka-python {KNOWN}"
    )

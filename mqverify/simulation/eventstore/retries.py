"""What esdbclient does by itself when a call fails: `client.autoreconnect` and `client.retrygrpc`, to the letter.

A call may so be sent up to four times, and what it asks for be done as often (docs/facts/eventstore.md §C1).
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from mqverify.simulation.eventstore.exceptions import GrpcError, NodeIsNotLeader, ServiceUnavailable
from mqverify.simulation.kernel import MILLISECOND

if TYPE_CHECKING:
    from mqverify.simulation.eventstore.connected import ConnectedClient

__all__ = ["RETRY_PAUSE", "retried"]

RETRY_PAUSE: Final = 100 * MILLISECOND

_CLOSED: Final = ("Channel closed!", "Cannot invoke RPC on closed channel!")

_Client = TypeVar("_Client", bound="ConnectedClient")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Method = Callable[Concatenate[_Client, _Arguments], _Result]


def _autoreconnect(method: _Method[_Client, _Arguments, _Result]) -> _Method[_Client, _Arguments, _Result]:
    """Once more on a new connection, where the node is unreachable, does not lead, or the connection was closed."""

    @wraps(method)
    def reconnecting(client: _Client, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return method(client, *args, **kwargs)
        except NodeIsNotLeader as error:
            if not client.connection_spec.follows_leader:
                raise
            client.reconnect(error.leader_grpc_target)
        except ValueError as error:
            if not any(text in str(error) for text in _CLOSED):
                raise
            client.reconnect()
        except ServiceUnavailable:
            client.reconnect()
        client.pause(RETRY_PAUSE)
        return method(client, *args, **kwargs)

    return reconnecting


def retried(method: _Method[_Client, _Arguments, _Result]) -> _Method[_Client, _Arguments, _Result]:
    """`@retrygrpc @autoreconnect`: reconnect as needed, and once more after any `GrpcError`."""
    reconnecting = _autoreconnect(method)

    @wraps(method)
    def retrying(client: _Client, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return reconnecting(client, *args, **kwargs)
        except GrpcError:
            client.pause(RETRY_PAUSE)
        return reconnecting(client, *args, **kwargs)

    return retrying

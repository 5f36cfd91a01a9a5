"""A member of a group as the coordinator knows it."""

import random
from typing import Any

from mqverify.simulation.kafka.protocol import JoinGroup

__all__ = ["Member", "new_member_id"]


class Member:
    """One member as the coordinator knows it."""

    __slots__ = (
        "alive", "assignment", "awaiting_join", "awaiting_sync", "client", "id", "instance", "is_new", "protocols",
        "rebalance_timeout", "session_timeout", "watchdog",
    )  # fmt: skip

    def __init__(self, identity: str, request: JoinGroup) -> None:
        self.id = identity
        self.client = request.client
        self.instance = request.instance
        self.session_timeout = request.session_timeout
        self.rebalance_timeout = request.rebalance_timeout
        self.protocols = request.protocols
        self.alive = request.alive
        self.assignment: Any = None
        self.awaiting_join: Any = None
        self.awaiting_sync: Any = None
        self.is_new = True
        self.watchdog: Any = None

    def metadata(self, protocol: str) -> Any:
        return next(metadata for name, metadata in self.protocols if name == protocol)


def new_member_id(client: str, dice: random.Random) -> str:
    """The id that the coordinator gives to a dynamic member: its client id and a UUID."""
    text = f"{dice.getrandbits(128):032x}"
    return "-".join((client, text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

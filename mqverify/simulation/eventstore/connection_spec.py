"""`esdb://` URIs as esdbclient reads them (`connection_spec.py`): the same options, defaults and refusals."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlparse

__all__ = ["ConnectionOptions", "ConnectionSpec"]

_SCHEMES: Final = ("esdb", "esdb+discover")
_NODE_PREFERENCES: Final = ("leader", "follower", "random", "readonlyreplica")
_FIELDS: Final = (
    "Tls", "ConnectionName", "MaxDiscoverAttempts", "DiscoveryInterval", "GossipTimeout", "NodePreference",
    "TlsVerifyCert", "DefaultDeadline", "KeepAliveInterval", "KeepAliveTimeout", "TlsCaFile", "UserCertFile",
    "UserKeyFile",
)  # fmt: skip


def _choice(given: Mapping[str, str], field: str, default: str, known: tuple[str, ...]) -> str:
    value = given.get(field.upper(), default)
    if value.lower() not in known:
        raise ValueError(f"'{value}' not one of: {', '.join(known)}")
    return value.lower()


def _number(given: Mapping[str, str], field: str) -> int | None:
    value = given.get(field.upper())
    return None if value is None else int(value)


class ConnectionOptions:
    """What stands behind the `?`. Names are the URI's own; they are matched whatever their case."""

    def __init__(self, query: str, connection_name: str) -> None:
        given = {name.upper(): values[0] for name, values in parse_qs(query).items()}
        unknown = [name for name in given if name not in [field.upper() for field in _FIELDS]]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            raise ValueError(f"Unknown field{plural} in connection query string: {', '.join(unknown)}")
        self.Tls = _choice(given, "Tls", "true", ("true", "false")) == "true"
        self.ConnectionName = given.get("CONNECTIONNAME", connection_name)
        self.MaxDiscoverAttempts = int(given.get("MAXDISCOVERATTEMPTS", 10))
        self.DiscoveryInterval = int(given.get("DISCOVERYINTERVAL", 100))
        """Milliseconds."""
        self.GossipTimeout = int(given.get("GOSSIPTIMEOUT", 5))
        """Seconds."""
        self.NodePreference = _choice(given, "NodePreference", "leader", _NODE_PREFERENCES)
        self.TlsVerifyCert = _choice(given, "TlsVerifyCert", "true", ("true", "false")) == "true"
        self.DefaultDeadline = _number(given, "DefaultDeadline")
        """Seconds, for calls that write; None is for ever."""
        self.KeepAliveInterval = _number(given, "KeepAliveInterval")
        self.KeepAliveTimeout = _number(given, "KeepAliveTimeout")
        self.TlsCaFile = given.get("TLSCAFILE")
        self.UserCertFile = given.get("USERCERTFILE")
        self.UserKeyFile = given.get("USERKEYFILE")


class ConnectionSpec:
    """Where to connect to, and how. Raises `ValueError` for what esdbclient refuses.

    `connection_name` stands in for the random one that esdbclient gives a client without `ConnectionName`.
    """

    def __init__(self, uri: str | None = None, connection_name: str = "") -> None:
        self.uri = uri or ""
        parsed = urlparse(self.uri)
        if parsed.scheme not in _SCHEMES:
            raise ValueError(f"Invalid URI scheme: '{parsed.scheme}' not in: {', '.join(_SCHEMES)}: {uri}")
        self.scheme = parsed.scheme
        self.username = parsed.username
        self.password = parsed.password
        hosts = parsed.netloc.partition("@")[2] if "@" in parsed.netloc else parsed.netloc
        self.targets = [_with_port(host.strip()) for host in hosts.split(",") if host.strip()]
        if not self.targets:
            raise ValueError(f"No targets specified: {uri}")
        if self.scheme == "esdb+discover" and len(self.targets) > 1:
            raise ValueError(f"More than one target specified: {uri}")
        self.options = ConnectionOptions(parsed.query, connection_name)
        if self.options.Tls and not (self.username and self.password):
            raise ValueError(f"Username and password are required: {uri}")

    @property
    def follows_leader(self) -> bool:
        """Whether a client goes to the leader when told of it: not with one target that it was given by name."""
        return self.options.NodePreference == "leader" and not (self.scheme == "esdb" and len(self.targets) == 1)


def _with_port(target: str) -> str:
    host, _, port = target.partition(":")
    return target if port else f"{host}:2113"

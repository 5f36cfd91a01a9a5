"""How clients show who they are to a local cluster: TLS, SASL/PLAIN, and SCRAM over TLS. For tests of secured clients.

The certificate is its own authority, made by the `keytool` beside Java, for the cluster alone; so is the password. For
SCRAM it stands on the command line of Kafka's tool for the second that formatting takes: the tool has no other way.
"""

import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mqverify.errors import BackendUnavailable

__all__ = ["Secured", "Security", "secure"]

Security = Literal["tls", "plain", "scram"]
"""TLS; SASL/PLAIN without encryption; SCRAM-SHA-256 and SCRAM-SHA-512 over TLS."""
Protocol = Literal["SSL", "SASL_PLAINTEXT", "SASL_SSL"]

_SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_PROTOCOLS: Mapping[Security, Protocol] = {"tls": "SSL", "plain": "SASL_PLAINTEXT", "scram": "SASL_SSL"}
_USER = "mqverify"
_LISTENER = "listener.name.clients"
_LOGIN_MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Secured:
    """What the two sides are told."""

    protocol: Protocol
    properties: Mapping[str, str] = field(repr=False)
    """Of the brokers."""
    options: Mapping[str, Any] = field(repr=False)
    """Of clients, in kafka-python's words."""
    users: Sequence[str] = field(default=(), repr=False)
    """Options of `kafka-storage format` for users that the cluster begins with."""


def secure(how: Security, folder: Path, java: str) -> Secured:
    """Make what it needs in the cluster's folder. Raises BackendUnavailable if there is no `keytool`, or it fails."""
    password = secrets.token_urlsafe(16)
    protocol = _PROTOCOLS[how]
    properties: dict[str, str] = {}
    options: dict[str, Any] = {"security_protocol": protocol}
    if protocol in ("SSL", "SASL_SSL"):
        properties |= _make_certificate(folder, java, password)
        options |= {"ssl_cafile": str(folder / "ca.pem")}
    if how == "tls":
        return Secured(protocol, properties, options)
    mechanisms = _SCRAM_MECHANISMS if how == "scram" else ("PLAIN",)
    options |= {"sasl_mechanism": mechanisms[0], "sasl_plain_username": _USER, "sasl_plain_password": password}
    properties[f"{_LISTENER}.sasl.enabled.mechanisms"] = ",".join(mechanisms)
    module = f"{_LOGIN_MODULES}.scram.ScramLoginModule required;"
    if how == "plain":
        module = f'{_LOGIN_MODULES}.plain.PlainLoginModule required user_{_USER}="{password}";'
    properties |= {f"{_LISTENER}.{name.lower()}.sasl.jaas.config": module for name in mechanisms}
    users = [f"{name}=[name={_USER},password={password}]" for name in mechanisms] if how == "scram" else []
    return Secured(protocol, properties, options, [word for user in users for word in ("--add-scram", user)])


def _make_certificate(folder: Path, java: str, password: str) -> dict[str, str]:
    """A key store for the brokers and `ca.pem` for clients; the properties that name the former."""
    beside = Path(java).resolve().with_name("keytool")
    keytool = str(beside) if beside.exists() else shutil.which("keytool")
    if keytool is None:
        raise BackendUnavailable(f"TLS on a local Kafka needs keytool: there is none beside {java} or on the PATH")
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(password)
    store = ["-alias", _USER, "-keystore", "keys.p12", "-storetype", "PKCS12", "-storepass:file", "password"]
    for arguments in (
        ["-genkeypair", "-keyalg", "EC", "-validity", "3650", "-dname", "CN=localhost",
         "-ext", "san=ip:127.0.0.1,dns:localhost"],
        ["-exportcert", "-rfc", "-file", "ca.pem"],
    ):  # fmt: skip
        made = subprocess.run(
            [keytool, *arguments, *store], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace",
        )  # fmt: skip
        if made.returncode != 0:
            raise BackendUnavailable(f"keytool made no certificate: {(made.stdout + made.stderr).strip()[:300]}")
    return {
        f"{_LISTENER}.ssl.keystore.location": "../keys.p12",
        f"{_LISTENER}.ssl.keystore.type": "PKCS12",
        f"{_LISTENER}.ssl.keystore.password": password,
        f"{_LISTENER}.ssl.key.password": password,
    }

"""A Kafka cluster that is there already, and is not ours: reached by its addresses."""

import importlib.metadata
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mqverify.backends.base import Brokers, Endpoint, brokers_in_words
from mqverify.backends.kafka.addresses import split_addresses
from mqverify.errors import BackendLost, BackendUnavailable, BackendUnsuitable

__all__ = ["ForeignSite", "admin_of"]

_CONNECT_SECONDS = 3.0
_BOOTSTRAP_MS = 20_000
_REQUEST_MS = 5_000
_ASK_EVERY = 2.0
_GONE_AFTER = 20.0
"""Seconds without an answer after which a cluster counts as gone."""


def admin_of(endpoint: Endpoint) -> Any:
    """An administrator's client. Raises BackendUnavailable, and within seconds, if nobody can be reached."""
    import kafka
    from kafka.errors import KafkaError

    _require_somebody(endpoint.address)
    client: Any = kafka.KafkaAdminClient
    try:
        return client(
            bootstrap_servers=endpoint.address,
            **endpoint.options,
            client_id="mqverify",
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            request_timeout_ms=_REQUEST_MS,
        )
    except (KafkaError, OSError, ValueError, AssertionError) as error:  # those of settings, such as a broken key file
        how = endpoint.options.get("security_protocol", "PLAINTEXT")
        raise BackendUnavailable(
            f"there is something at {endpoint.address}, but no Kafka answers there ({how}): "
            f"{type(error).__name__}: {error}; look whether it is a broker's address, and what its listener asks of "
            "clients: MQVERIFY_KAFKA_SECURITY_PROTOCOL and the like, or a profile, say how to get in"
        ) from None


def _require_somebody(address: str) -> None:
    """Somebody takes connections at one of the addresses. Clients would try for half a minute."""
    failures = []
    for host, port in split_addresses(address):
        try:
            socket.create_connection((host, port), _CONNECT_SECONDS).close()
        except OSError as error:
            failures.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    raise BackendUnavailable(f"no Kafka can be reached at {address} ({'; '.join(failures)}); is it running?")


class ForeignSite:
    """A cluster that others keep. Only what carries our prefix is made and removed there.

    Raises BackendUnavailable if it cannot be reached.
    """

    brokers: Brokers | None = None

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._admin = admin_of(endpoint)
        self._closed = threading.Event()
        self._why: str = "no answer"
        try:
            self.details = self._describe()
            self._settings = self._read_settings()
        except BaseException:
            self._admin.close()
            raise
        self._answered_at = time.monotonic()
        threading.Thread(target=self._watch, name="site-watch", daemon=True).start()

    def require(self, settings: Any) -> None:
        """Its brokers' settings are not ours to change, so they have to be what the spec says, or go without saying.

        And there have to be enough of them.
        """
        copies, there = settings.replication_factor, len(self._settings)
        if copies > there:
            raise BackendUnsuitable(
                f"replication_factor: {copies}: at {self.endpoint.address} {'is' if there == 1 else 'are'} "
                f"{brokers_in_words(there)}; "
                f"write -b kafka=local:{copies}"
            )
        least = "group.min.session.timeout.ms"
        wanted = settings.native("broker")
        session = settings.native("consumer", defaults=True)["session_timeout_ms"]
        wrong = []
        for broker, found in sorted(self._settings.items()):
            for name, value in sorted(wanted.items()):
                if name not in found:
                    wrong.append(f"broker {broker} does not show us {name}, which the spec sets to {value}")
                elif found[name] != str(value):
                    wrong.append(f"broker {broker} has {name} = {found[name]}, and the spec says {value}")
            if least not in wanted and session < int(found.get(least, 0)):
                wrong.append(
                    f"broker {broker} has {least} = {found[least]}, above the spec's session_timeout, {session}"
                )
        if wrong:
            raise BackendUnsuitable(
                f"the brokers at {self.endpoint.address} are not ours to set: {'; '.join(wrong)}; "
                "set it there, or run the spec on -b kafka=local"
            )

    def check(self) -> None:
        silent = time.monotonic() - self._answered_at
        if silent > _GONE_AFTER:
            raise BackendLost(
                f"the Kafka at {self.endpoint.address} went away in mid-run: it has not answered for {silent:.0f} s "
                f"({self._why})"
            )

    def heal(self) -> None:
        self.check()

    def keep_logs(self, folder: Path) -> None:
        """They are not ours."""

    def close(self) -> None:
        self._closed.set()
        with suppress(Exception):
            self._admin.close()

    def _watch(self) -> None:
        """Ask for the brokers from time to time; each answer is noted. What hangs or fails, `check` notices."""
        while not self._closed.wait(_ASK_EVERY):
            try:
                if not self._admin.describe_cluster()["brokers"]:
                    raise LookupError("it knows no broker")
            except Exception as error:  # noqa: BLE001 - whatever it is, there was no answer
                self._why = f"{type(error).__name__}: {error}"
            else:
                self._answered_at = time.monotonic()

    def _describe(self) -> Mapping[str, str]:
        cluster = self._asked("describe_cluster")
        brokers = sorted(broker["broker_id"] for broker in cluster["brokers"])
        count = brokers_in_words(len(brokers))
        return {
            "broker": f"Apache Kafka {self._version(brokers)}, {count} at {self.endpoint.address}",
            "cluster": str(cluster.get("cluster_id")),
            "client": f"kafka-python {importlib.metadata.version('kafka-python')}",
        }

    def _version(self, brokers: Sequence[int]) -> str:
        """A broker does not tell its release, only what requests it knows."""
        from kafka.protocol.broker_version_data import BROKER_API_VERSIONS

        known = self._asked("get_broker_version_data", brokers[0]).broker_version
        later = " or later" if known == max(BROKER_API_VERSIONS) else ""
        return f"{'.'.join(map(str, known))}{later} by its protocol"

    def _read_settings(self) -> Mapping[int, Mapping[str, str]]:
        """What each broker shows of its settings; nothing where we have no right to see them."""
        from kafka.admin import ConfigResource, ConfigResourceType

        numbers = [broker["broker_id"] for broker in self._asked("describe_cluster")["brokers"]]
        make: Any = ConfigResource
        resources = [make(ConfigResourceType.BROKER, str(number)) for number in numbers]
        found = self._asked("describe_configs", resources, config_filter="all").get("broker", {})
        return {
            number: {name: str(entry["value"]) for name, entry in found.get(str(number), {}).items()}
            for number in numbers
        }

    def _asked(self, what: str, *arguments: Any, **options: Any) -> Any:
        from kafka.errors import KafkaError

        try:
            return getattr(self._admin, what)(*arguments, **options)
        except KafkaError as error:
            raise BackendUnavailable(
                f"the Kafka at {self.endpoint.address} does not do what it is asked ({what}): "
                f"{type(error).__name__}: {error}"
            ) from error

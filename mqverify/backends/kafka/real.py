"""Real Kafkas: clusters that are started on this machine, and such as are there.

What it needs is imported when it is needed: workers, and checks that only simulate, never start a broker.
"""

import os
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any

from mqverify.backends.base import Conversation, Endpoint, Leftovers, Site
from mqverify.backends.checks import Check
from mqverify.backends.kafka.addresses import FORM, are_addresses

__all__ = ["RealKafka"]


class RealKafka:
    """`local` is one broker that is started, `local:3` are three; addresses are those of a cluster that is not ours."""

    targets: Sequence[str] = ("local", "local:3", FORM)

    def library(self) -> Any:
        import kafka
        import kafka.errors

        return kafka

    def reaches(self, target: str) -> bool:
        return _brokers(target) is not None or are_addresses(target)

    def starting(self, brokers: int) -> str:
        return "local" if brokers == 1 else f"local:{brokers}"

    def starts_brokers(self, target: str) -> bool:
        return _brokers(target) is not None

    def own_brokers(self, target: str) -> int | None:
        """Of clusters elsewhere that which `mqverify up` keeps is ours to break."""
        if not are_addresses(target):
            return _brokers(target)
        from mqverify.backends.kafka.kept import kept_at

        cluster = kept_at(target)
        if cluster is None:
            return None
        with closing(cluster):
            return len(cluster.numbers())

    def lacks(self, settings: Any) -> Iterable[str]:
        if settings.client != "kafka-python":
            yield f"the client profile {settings.client} exists in the simulated world only"

    def access(self, profile: str | None) -> Mapping[str, Any]:
        from mqverify.backends.kafka.security import security

        return security(os.environ, profile)

    def site_key(self, target: str, settings: Any) -> Hashable:
        """A broker that is started has the settings of those whom it is started for; others have what they have."""
        if are_addresses(target):
            return target
        return (target, tuple(sorted(settings.native("broker").items())))

    def reach(
        self,
        target: str,
        settings: Any,
        tell: Callable[[str], None],
        access: Mapping[str, Any] | None = None,
        breaks_brokers: bool = False,
    ) -> Site:
        if are_addresses(target):
            from mqverify.backends.kafka.foreign import ForeignSite
            from mqverify.backends.kafka.kept import kept_at

            if breaks_brokers and (cluster := kept_at(target)) is not None:
                from mqverify.backends.kafka.kept_site import KeptSite

                return KeptSite(cluster, access or {})
            return ForeignSite(Endpoint(target, access or {}))
        from mqverify.backends.kafka.site import start_local

        return start_local(_brokers(target) or 1, settings.native("broker"), tell)

    def through(self, endpoint: Endpoint, proxy: str) -> Endpoint:
        return Endpoint(endpoint.address, {**endpoint.options, "proxy_url": proxy})

    def conversations(self, endpoint: Endpoint) -> Callable[[], Conversation] | None:
        from mqverify.backends.kafka.frames import KafkaConversation

        return None if str(endpoint.options.get("security_protocol", "")).endswith("SSL") else KafkaConversation

    def examine(self, target: str | None, access: Mapping[str, Any]) -> Iterable[Check]:
        from mqverify.backends.kafka.diagnosis import cluster_checks, local_checks

        if target is None or not are_addresses(target):
            return local_checks(None if target is None else _brokers(target))
        return cluster_checks(Endpoint(target, access))

    def leftovers(self, target: str, access: Mapping[str, Any]) -> AbstractContextManager[Leftovers]:
        from mqverify.backends.kafka.leftovers import leftovers_at

        return leftovers_at(target, access)


def _brokers(target: str) -> int | None:
    """How many brokers a target has started; None if it starts none."""
    found = re.fullmatch(r"local(?::([1-5]))?", target)
    return None if found is None else int(found[1] or 1)

"""What Kafka needs on this machine, and what a cluster lets us do: for `mqverify doctor`."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from mqverify.backends.base import Endpoint
from mqverify.backends.checks import Check, State
from mqverify.backends.kafka.container import IMAGE, why_no_container
from mqverify.backends.kafka.foreign import admin_of
from mqverify.backends.kafka.jars import KAFKA_VERSION, find_java, has_jars, jars_folder, jars_of_home
from mqverify.backends.kafka.kept import find_kept, kept_at
from mqverify.errors import BackendUnavailable

__all__ = ["cluster_checks", "local_checks"]


def local_checks(brokers: int | None) -> Iterator[Check]:
    """What a local Kafka can be started from; one of so many brokers was asked for, or none. Nothing is started."""
    lacking: State = "absent" if brokers is None else "missing"
    java, java_error = _tried(find_java)
    home = os.environ.get("KAFKA_HOME")
    of_home, home_error = _tried(jars_of_home) if home else (None, None)
    cached, maven, no_container = has_jars(), shutil.which("mvn"), why_no_container()
    yield Check("Java", "ok", java) if java else _without("Java", java_error)
    if home:
        yield (
            Check("KAFKA_HOME", "ok", f"Kafka {of_home.version} in {home}")
            if of_home
            else Check("KAFKA_HOME", lacking, home, str(home_error))
        )
    else:
        yield Check("KAFKA_HOME", "absent", "not set")
    yield Check("cached jars", "ok" if cached else "absent", str(jars_folder()) if cached else "none yet")
    yield Check("Maven", "ok", maven) if maven else Check("Maven", "absent", "no `mvn` on the PATH")
    yield (
        Check("Docker", "ok", f"an engine answers, for {IMAGE}")
        if no_container is None
        else Check("Docker", "absent", no_container)
    )
    kept = find_kept()
    if kept is None:
        yield Check("kept by `up`", "absent", "none", "mqverify up")
    else:
        yield Check("kept by `up`", "ok", f"{kept.bootstrap}, {_alive(kept.alive(), kept.numbers())}")
        kept.close()
    jars = of_home if home else cached or maven
    if java and jars:
        source = "KAFKA_HOME" if home else "the cache" if cached else "Maven, at first use"
        yield Check("kafka=local", "ok", f"Kafka {of_home.version if of_home else KAFKA_VERSION} from {source}")
    elif no_container is None and not home_error and (brokers or 1) == 1:
        yield Check("kafka=local", "ok", "one broker in a container")
    else:
        lacks = "Java 17 or later" if not java else "a Kafka to start"
        mend = str(java_error or home_error or "install Maven, or set KAFKA_HOME to an unpacked Apache Kafka 4.x")
        yield Check("kafka=local", lacking, f"this machine has no {lacks}", mend)


def cluster_checks(endpoint: Endpoint) -> Iterator[Check]:
    """Whether a cluster can be reached, and what we may do there. A topic of ours is created and deleted."""
    from kafka.errors import KafkaError

    try:
        with closing(admin_of(endpoint)) as admin:
            brokers = sorted(broker["broker_id"] for broker in admin.describe_cluster()["brokers"])
            version = ".".join(map(str, admin.get_broker_version_data(brokers[0]).broker_version))
            yield Check(
                "reachable",
                "ok",
                f"{len(brokers)} broker{'s' if len(brokers) > 1 else ''}, its protocol is that of {version}",
            )
            yield from _rights(admin)
    except BackendUnavailable as error:
        yield Check("reachable", "missing", str(error), "mqverify up starts one on this machine")
        return
    except (KafkaError, OSError) as error:
        yield Check("reachable", "missing", _words(error), "is it well? its log may tell")
        return
    yield Check("faults of workers", "ok", "crash, pause and all that concerns processes of ours")
    yield Check("faults of networks", "ok", "through a proxy of ours, between our workers and the brokers")
    yield _broker_faults(endpoint.address)


def _rights(admin: Any) -> Iterator[Check]:
    from kafka.admin import ConfigResource
    from kafka.errors import KafkaError

    topic = f"mqverify-{secrets.token_hex(4)}-doctor"  # `mqverify clean` knows it by that
    resource: Any = ConfigResource
    changed = resource("topic", topic, {"retention.ms": "1"})
    created = False

    def create() -> None:
        nonlocal created
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": -1}}, wait_for_metadata=True)
        created = True

    steps: Sequence[tuple[str, str, Callable[[], object]]] = (
        ("create topics", "Create", create),
        ("read settings", "DescribeConfigs", lambda: admin.describe_configs([resource("topic", topic)])),
        (
            "change settings",
            "AlterConfigs",
            lambda: admin.alter_configs([changed]),
        ),
        ("delete topics", "Delete", lambda: admin.delete_topics([topic])),
    )
    for name, right, step in steps:
        try:
            step()
        except KafkaError as error:
            yield Check(name, "missing", _words(error), f"allow {right} on topics that begin with mqverify-")
            if not created:
                return
        else:
            yield Check(name, "ok", f"{right} on {topic}")


def _broker_faults(address: str) -> Check:
    name, kept = "faults of brokers", kept_at(address)
    if kept is not None:
        kept.close()
        return Check(name, "ok", "with --allow-broker-faults: `mqverify up` started it")
    return Check(name, "absent", "not started by mqverify", "`-b kafka=local:3` starts brokers that may be broken")


def _tried(ask: Callable[[], Any]) -> tuple[Any, BackendUnavailable | None]:
    try:
        return ask(), None
    except BackendUnavailable as error:
        return None, error


def _without(name: str, error: BackendUnavailable | None) -> Check:
    return Check(name, "absent", str(error))


def _alive(alive: Sequence[int], all_of_them: Sequence[int]) -> str:
    return f"{len(alive)} of {len(all_of_them)} broker{'s' if len(all_of_them) > 1 else ''} alive"


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if type(error).__name__ in text else f"{type(error).__name__}: {text}".rstrip(": ")

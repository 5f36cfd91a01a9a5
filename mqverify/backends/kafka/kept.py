"""The local cluster that `mqverify up` keeps running: one at a time, in the user's state folder.

Whether it runs is asked of its supervisor, over the socket in its folder. So neither a process id that belongs to
another by now nor what a power cut has left behind is taken for it.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mqverify.backends.kafka.addresses import split_addresses
from mqverify.backends.kafka.local import LocalCluster
from mqverify.errors import BackendUnavailable, UsageError
from mqverify.user_folders import locked, state_folder

__all__ = ["bring_up", "find_kept", "kept_at", "kept_folder", "take_down"]


def kept_folder() -> Path:
    return state_folder() / "kafka"


def find_kept() -> LocalCluster | None:
    """The cluster that is kept, or None. It is told where it is, and breaks and mends as one that was started for us;
    `close` leaves it running.
    """
    try:
        cluster = LocalCluster.attach(kept_folder())
    except BackendUnavailable:
        return None
    if not cluster.supervised:
        cluster.close()
        return None
    return cluster


def kept_at(address: str) -> LocalCluster | None:
    """The cluster that is kept, if all these addresses (`HOST:PORT[,HOST:PORT]`) are of its brokers; close it."""
    cluster = find_kept()
    if cluster is None:
        return None
    asked = {("127.0.0.1" if host == "localhost" else host, port) for host, port in split_addresses(address)}
    if asked <= set(split_addresses(cluster.bootstrap)):
        return cluster
    cluster.close()
    return None


def bring_up(brokers: int | None, port: int | None, tell: Callable[[str], None]) -> tuple[LocalCluster, bool]:
    """The cluster that is kept from now on, and whether it was started now. One that lacks a broker is made whole.

    `brokers` and `port` (of the first broker) are any where they are None. Raises UsageError if there is another than
    asked for, BackendUnavailable if none comes up.
    """
    with _locked(tell):
        if (cluster := find_kept()) is not None:
            there = len(cluster.numbers())
            if brokers not in (None, there) or port not in (None, cluster.ports[0]):
                raise UsageError(
                    f"another Kafka is up: {there} broker{'s' if there > 1 else ''} at {cluster.bootstrap}; "
                    "`mqverify down` ends it"
                )
            if not cluster.is_alive:
                tell("not all of it is alive: starting what is missing")
                cluster.make_whole()
            return cluster, False
        shutil.rmtree(kept_folder(), ignore_errors=True)
        cluster = LocalCluster(brokers or 1, folder=kept_folder(), port=port)
        cluster.start(tell)
        cluster.keep()
        return cluster, True


def take_down(tell: Callable[[str], None]) -> str | None:
    """End the cluster that is kept, and remove its folder. Its address; None if there was none."""
    with _locked(tell):
        address = None
        if (cluster := find_kept()) is not None:
            address = cluster.bootstrap
            cluster.stop()
        shutil.rmtree(kept_folder(), ignore_errors=True)
        return address


@contextmanager
def _locked(tell: Callable[[str], None]) -> Iterator[None]:
    with ExitStack() as held:
        try:
            state_folder().mkdir(parents=True, exist_ok=True)
            waiting = "waiting for another mqverify that starts or ends it"
            held.enter_context(locked(state_folder() / ".kafka.lock", lambda: tell(waiting)))
        except OSError as error:
            raise BackendUnavailable(f"cannot write the state folder: {error}; XDG_STATE_HOME names another") from error
        yield

"""What the nodes of a local cluster write to their logs, and what can be learned from it."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["LOGGING", "UncleanElection", "log_tail", "unclean_elections"]

# A properties file, because the YAML form needs a jar that not every Kafka brings.
LOGGING: Final = """\
appender.console.type=Console
appender.console.name=STDOUT
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC}] %p %m (%c{1})%n
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=STDOUT
"""

_TAIL_BYTES = 4_000
_TAIL_LINES = 15

_UNCLEAN = re.compile(
    r"^\[(?P<at>[^\]]+)\] INFO .*?UNCLEAN partition change for (?P<topic>\S+)-(?P<partition>\d+) with topic ID \S+: "
    r"(?P<changes>.*) \(\w+\)$"
)
_LEADER = re.compile(r"(?:^|, )leader: -?\d+ -> (\d+)")
_ELIGIBLE = re.compile(r"(?:^|, )elr: \[([\d, ]*)\] -> ")


class UncleanElection(NamedTuple):
    """A leader that may lack what was acknowledged before it."""

    partition: int
    at: int
    """Unix time in nanoseconds at which the controller decided it; its log tells milliseconds."""
    leader: int


def unclean_elections(log: Path, topic: str) -> list[UncleanElection]:
    """The unclean elections of a topic's partitions that a controller's log tells of, in their order.

    Source: `PartitionRegistration.maybeLogPartitionChange` of Kafka, whose line is, seen on 4.4.0,
    `[2026-11-28T18:12:03.456Z] INFO [QuorumController id=100] UNCLEAN partition change for orders-0 with topic ID …:
    isr: [2] -> [3], leader: -1 -> 3, leaderRecoveryState: RECOVERED -> RECOVERING, …`. It is also written of changes
    after which the leader is still recovering, which name no new leader, and before 4.4 of a leader out of the
    eligible replicas (KIP-966), which has all that was acknowledged: both are left out.
    """
    return list(_unclean(log, topic))


def _unclean(log: Path, topic: str) -> Iterator[UncleanElection]:
    try:
        stream = log.open(encoding="utf-8", errors="replace")
    except OSError:
        return
    with stream:
        for line in stream:
            found = _UNCLEAN.match(line) if "UNCLEAN" in line else None
            if found is None or found["topic"] != topic or not (leader := _LEADER.search(found["changes"])):
                continue
            eligible = _ELIGIBLE.search(found["changes"])
            if eligible and leader[1] in eligible[1].split(", "):
                continue
            at = round(datetime.fromisoformat(found["at"]).timestamp() * 1000) * 1_000_000
            yield UncleanElection(int(found["partition"]), at, int(leader[1]))


def log_tail(*logs: Path) -> str:
    """The last lines of the first of these logs that has any, without the settings in it; empty if none has."""
    text = next((tail for tail in map(_last_bytes, logs) if tail), b"")
    lines = [line for line in text.decode(errors="replace").splitlines() if not line.startswith("\t")]
    whole = next((index for index, line in enumerate(lines) if line.startswith("[")), 0)
    return "\n".join(lines[whole:][-_TAIL_LINES:])


def _last_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read()
    except OSError:
        return b""

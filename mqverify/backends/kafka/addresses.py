"""Addresses of brokers, as users write them after `-b kafka=`."""

import re

__all__ = ["FORM", "are_addresses", "split_addresses"]

FORM = "HOST:PORT[,HOST:PORT]"

_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)"
_ADDRESS = re.compile(rf"({_HOST}):(\d{{1,5}})")


def split_addresses(text: str) -> list[tuple[str, int]]:
    """`kafka-1:9092,[::1]:9092` → hosts, those of IPv6 without brackets, and ports. ValueError if it is not that."""
    found = []
    for part in text.split(","):
        match = _ADDRESS.fullmatch(part)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ValueError(part)
        found.append((match[1].strip("[]"), int(match[2])))
    return found


def are_addresses(text: str) -> bool:
    """Whether it is one address or several. `local` is no host: it is a cluster that is started for the check."""
    try:
        return all(host != "local" for host, _ in split_addresses(text))
    except ValueError:
        return False

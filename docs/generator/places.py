"""The systems and worlds that a spec can run in, and a small spec for each to ask mqverify what it can do there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import yaml

from mqverify import engine
from mqverify.errors import UsageError
from mqverify.spec.load import load_text
from mqverify.spec.registry import settings_of
from mqverify.worlds.base import Scenario
from mqverify.worlds.selection import not_judged, select_scenarios

__all__ = ["Place", "places", "sample", "unsupported_at"]

_REAL: Final = "local:3"
"""The target that a real system has, if any can be reached, with all that can be had there."""
_COPIES: Final = {"kafka": {"replication_factor": 3}}
"""What a system of several servers is told so that they have something to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """A system, with the kind of subscription where it has several, in a world."""

    system: str
    title: str
    subscribe: str | None = None
    target: str | None = None


@cache
def places() -> tuple[Place, ...]:
    found = []
    for system in engine.registry().systems.values():
        kinds = settings_of(system.model).get("subscribe")
        for kind in kinds.words if kinds else (None,):
            title = f"{system.title} `{kind}`" if kind else system.title
            found.append(Place(system.name, title, kind))
            real = Place(system.name, f"real {title}", kind, _REAL)
            try:
                sample(real)
            except UsageError:
                continue
            found.append(real)
    return tuple(found)


def sample(place: Place, fault: Mapping[str, Any] | None = None) -> Scenario:
    """A small spec there, with a fault; `UsageError` if there is no such world."""
    settings: dict[str, Any] = {"subscribe": place.subscribe} if place.subscribe else {}
    if place.target is not None:
        settings |= _COPIES.get(place.system, {})
    document = {
        "spec": "a sample",
        "workload": {"messages": 100, "consumers": 2},
        "backends": {place.system: settings or None},
        "faults": [dict(fault)] if fault else [],
        "expect": {"at_least_once": "held"},
    }
    spec = load_text(yaml.safe_dump(document, sort_keys=False), "sample.yaml", engine.registry())
    [scenario] = select_scenarios([spec], [(place.system, place.target)])
    return scenario


def unsupported_at(guarantee: str) -> Mapping[str, list[str]]:
    """Why a guarantee means nothing in some places, each reason with those."""
    found: dict[str, list[str]] = {}
    for place in places():
        reason = not_judged(sample(place), guarantee) if place.target is None else None
        if reason is not None:
            found.setdefault(reason, []).append(place.title)
    return found

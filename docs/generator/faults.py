"""Where each kind of fault can be injected: asked of mqverify with a small spec for each, not written down."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from docs.generator.places import Place, places, sample
from mqverify.faults.targets import names_brokers
from mqverify.spec.fault_lines import POINTS
from mqverify.spec.registry import FaultKind, Registry
from mqverify.spec.vocabulary import SpecWord, spec_words
from mqverify.worlds.selection import unsupported_reason

__all__ = ["Fault", "faults"]

_SUBJECTS: Final[Mapping[str, Any]] = {
    "duration": "1h",
    "count": 2,
    "ack": "ack",
    "place": {"partition": 0, "before": "50%"},
    "name": "key-1",
    "skew": {"producer-1": "-1h"},
    "nothing": True,
}
_KEYS: Final[Mapping[str, Any]] = {"for": "10s", "by": "1s", "handler": "40s", "of": "producer"}
"""What stands in the sample of a kind, behind its own name and behind the keys that it needs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault with its keys, the places where it can be injected, and what cannot be, with reason and where."""

    kind: FaultKind
    keys: tuple[SpecWord, ...]
    runs: Mapping[Place, bool]
    limits: Mapping[str, str]


def faults(registry: Registry) -> Iterator[Fault]:
    words = spec_words(registry)
    for kind in registry.fault_kinds.values():
        keys = tuple(word for word in words if word.path[:2] == ("faults", kind.name) and "when" not in word.path[2:-1])
        lines = dict(_lines(kind))
        reasons = {(what, place): _reasons(line, place) for what, line in lines.items() for place in places()}
        runs = {place: not all(reasons[what, place] for what in lines) for place in places()}
        yield Fault(kind, keys, runs, _limits(reasons))


def _lines(kind: FaultKind) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Lines of the kind, with each target and each point, by what it is that varies."""
    needs = {name: _KEYS[name] for name in (*kind.needs, *(name for name in kind.takes if name == "of"))}
    if kind.subject == "link":
        for role in kind.targets:
            yield f"`{role}`", {kind.name: [role, "consumer" if names_brokers(role) else "broker"], **needs}
    elif kind.targets:
        for role in kind.targets:
            yield f"`{role}`", {kind.name: role, **needs}
    else:
        when = {"when": "drained"} if kind.subject == "duration" else {}  # real time passes while all are idle only
        yield "", {kind.name: _SUBJECTS[kind.subject], **needs, **when}
    for point in POINTS if "point" in kind.takes else ():
        yield f"`point: {point}`", {kind.name: kind.targets[0], **needs, "point": point}


def _reasons(line: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """Why it cannot be injected there; nothing if it can."""
    scenario = sample(place, line)
    own = (*scenario.spec.unsupported, *scenario.spec.backends[scenario.label].unsupported)
    of_the_world = unsupported_reason(scenario)
    told = own or tuple(filter(None, [of_the_world]))
    return tuple(reason.removeprefix(f"{next(iter(line))}: ") for reason in told)


def _limits(reasons: Mapping[tuple[str, Place], tuple[str, ...]]) -> Mapping[str, str]:
    """Each reason with what and where it is the reason of; of everything, everywhere: with nothing."""
    found: dict[str, dict[Place, list[str]]] = {}
    for (what, place), why in reasons.items():
        for reason in why:
            found.setdefault(reason, {}).setdefault(place, []).append(what)
    everything = list(dict.fromkeys(what for what, _ in reasons))
    told = {}
    for reason, where in found.items():
        whats = (
            [] if all(hit == everything for hit in where.values()) else [what for hit in where.values() for what in hit]
        )
        titles = [] if len(where) == len(places()) else [place.title for place in where]
        told[reason] = " on ".join(filter(None, [", ".join(dict.fromkeys(whats)), ", ".join(titles)]))
    return told

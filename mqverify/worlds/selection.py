"""Which spec runs on which backend, in which world, and why some cannot."""

from collections.abc import Sequence

from mqverify.backends.registry import backend
from mqverify.errors import UsageError
from mqverify.faults.targets import is_everybody
from mqverify.guarantees.planned import NOT_JUDGED_YET
from mqverify.guarantees.registry import catalogue
from mqverify.spec.issues import did_you_mean
from mqverify.spec.model import Spec
from mqverify.units import SECOND, format_duration
from mqverify.workload.groups import resolve_groups
from mqverify.worlds.base import Scenario, backend_of

__all__ = ["judgeable", "not_judged", "select_scenarios", "target_of", "unsupported_reason"]

_REAL_FAULTS = {"crash", "pause", "add_consumers", "remove_consumers", "delete_records"}
_PROXY = "needs a proxy before a real broker, which a later version brings"
_NOT_REAL = {
    "cut": _PROXY,
    "delay": _PROXY,
    "lose": _PROXY,
    "clock_skew": "needs a clock for each process, and on a real machine all share one",
}
_LONGEST_REAL_RUN = 3600 * SECOND
_SYSTEMS = ("kafka", "eventstore")


def select_scenarios(specs: Sequence[Spec], backends: Sequence[tuple[str, str | None]]) -> list[Scenario]:
    """The scenarios that `-b NAME[=TARGET]` asks for; without any, every backend of every spec, simulated.

    NAME is a label in a spec, else a system. Raises `UsageError` for a name that matches nothing anywhere.
    """
    scenarios: list[Scenario] = []
    matched: set[str] = set()
    for spec in specs:
        if not backends:
            scenarios += [Scenario(len(scenarios) + number, spec, label) for number, label in enumerate(spec.backends)]
            continue
        for name, target in backends:
            labels = _labels(spec, name)
            if labels:
                matched.add(name)
            for label in labels:
                _require_target(name, spec.backends[label].system, target)
                scenarios.append(Scenario(len(scenarios), spec, label, target))
    missing = [name for name, _ in backends if name not in matched]
    if missing:
        known = sorted({label for spec in specs for label in spec.backends})
        raise UsageError(
            f"no spec has a backend called {missing[0]!r} or of that system; there are: {', '.join(known) or 'none'}"
        )
    return scenarios


def _labels(spec: Spec, name: str) -> list[str]:
    if name in spec.backends:
        return [name]
    return [label for label, section in spec.backends.items() if section.system == name]


def target_of(text: str) -> tuple[str, str]:
    """`kafka=local` → system and target, where a system itself is meant, not a spec's. Raises `UsageError`."""
    system, separator, target = text.partition("=")
    if system not in _SYSTEMS or not separator:
        meant = f"{did_you_mean(system, _SYSTEMS) or 'kafka'}=HOST:PORT"
        raise UsageError(f"-b {text}: it takes a system and where it is, such as -b {meant}")
    _require_target(system, system, target)
    return system, target


def _require_target(name: str, system: str, target: str | None) -> None:
    """Raises `UsageError` where this version cannot reach what was typed as `NAME=TARGET`."""
    if target is None or backend(system).reaches(target):
        return
    real = ", ".join(f"-b {one}={form}" for one in _SYSTEMS for form in backend(one).targets)
    if backend(system).targets:
        raise UsageError(f"-b {name}={target}: that is no place where a {system} can be; there is {real}")
    raise UsageError(
        f"-b {name}={target}: no real {system} can be reached yet, it runs in the simulated world only: "
        f"write -b {name}; what is real so far is {real}"
    )


def unsupported_reason(scenario: Scenario) -> str | None:
    """Why this version cannot run the scenario at all, or None."""
    spec = scenario.spec
    reasons = [*spec.unsupported, *spec.backends[scenario.label].unsupported]
    if scenario.world == "real":
        reasons += _real_limits(scenario)
    return "; ".join(dict.fromkeys(reasons)) or None


def not_judged(scenario: Scenario, guarantee: str) -> str | None:
    """Why a guarantee that the spec names is not judged on this scenario's system, or by this version; else None."""
    known = catalogue().get(guarantee)
    if known is None:
        return NOT_JUDGED_YET
    system = backend_of(scenario)
    return known.unsupported(system.delivery(scenario.settings), system.has)


def judgeable(scenario: Scenario) -> list[str]:
    """The guarantees that the spec names and that mean something here."""
    return [name for name in scenario.spec.expectations(scenario.label) if not_judged(scenario, name) is None]


def _least_duration(scenario: Scenario) -> int:
    """Nanoseconds that a run waits at the least for its own rate and its own faults."""
    workload = scenario.spec.workload
    sending = 0 if workload.rate is None else round(workload.messages / workload.rate * SECOND)
    waits = [0]
    for fault in scenario.spec.faults:
        times = [span[0] for span in (fault.restart_after, fault.duration, fault.handler) if span is not None]
        waits.append(max([0, *times]))
    return max(sending, *waits)


def _real_limits(scenario: Scenario) -> list[str]:
    """What a spec asks for that the real world cannot give yet."""
    reasons = []
    least = _least_duration(scenario)
    if least > _LONGEST_REAL_RUN:
        reasons.append(f"it would take {format_duration(least)} on a real broker, where time cannot be made to pass")
    for fault in scenario.spec.faults:
        if fault.kind not in _REAL_FAULTS:
            why = _NOT_REAL.get(fault.kind, "comes to real brokers in a later version")
            reasons.append(f"`{fault.kind}` {why}")
        elif fault.point == "in_settle":
            reasons.append(f"the point in_settle {_PROXY}")
        elif fault.point is not None and is_everybody(fault):
            reasons.append("a point for all consumers comes to real brokers in a later version")
        elif "leader" in fault.target:
            reasons.append("kafka-python does not tell which consumer leads a group, so `leader` is simulated only")
    workload = scenario.spec.workload
    if any(group.joins == "drained" for group in workload.groups.values()):
        reasons.append("a group that joins later comes to real brokers in a later version")
    if any(group.settle.policy == "automatic" for group in resolve_groups(workload)):
        reasons.append("automatic commits of a real client are not observed yet; a later version reads them")
    if scenario.settings.client != "kafka-python":
        reasons.append(f"the client profile {scenario.settings.client} exists in the simulated world only")
    return reasons

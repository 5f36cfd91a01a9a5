"""Which spec runs on which backend, in which world, and why some cannot."""

from collections.abc import Sequence
from functools import cache

from mqverify.backends.base import Endpoint, brokers_in_words
from mqverify.backends.registry import backend, names, real_system, real_targets
from mqverify.errors import UsageError
from mqverify.faults.targets import reads_requests, strikes_brokers
from mqverify.guarantees.planned import NOT_JUDGED_YET
from mqverify.guarantees.registry import catalogue
from mqverify.spec.issues import did_you_mean
from mqverify.spec.model import Fault, Spec
from mqverify.units import SECOND, format_duration
from mqverify.worlds.base import Scenario, backend_of
from mqverify.worlds.clock import LONGEST_WAITED_FOR, MOST_PASSES

__all__ = ["judgeable", "not_judged", "require_target", "select_scenarios", "target_of", "unsupported_reason"]

_LONGEST_REAL_RUN = 3600 * SECOND


def select_scenarios(
    specs: Sequence[Spec],
    backends: Sequence[tuple[str, str | None]],
    breaks_brokers: bool = False,
    profile: str | None = None,
) -> list[Scenario]:
    """The scenarios that `-b NAME[=TARGET]` asks for; without any, every backend of every spec, simulated.

    NAME is a label in a spec, else a system. Raises `UsageError` for a name that matches nothing anywhere, and for
    mistakes in how to get into a real system (`profile`, and the environment).
    """
    looked_at = cache(lambda system, target: _look(system, target, profile))  # once: brokers may go away meanwhile
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
                system = spec.backends[label].system
                require_target(name, system, target)
                there = (breaks_brokers, *looked_at(system, target), profile)
                scenarios.append(Scenario(len(scenarios), spec, label, target, *there))
    missing = [name for name, _ in backends if name not in matched]
    if missing:
        known = sorted({label for spec in specs for label in spec.backends})
        raise UsageError(
            f"no spec has a backend called {missing[0]!r} or of that system; there are: {', '.join(known) or 'none'}"
        )
    return scenarios


def _look(system: str, target: str | None, profile: str | None) -> tuple[int | None, bool]:
    """How many servers there are that can be broken from here, and whether what is said to them is encrypted."""
    if target is None:
        return None, False
    there = real_system(system)
    access = {} if there.starts_brokers(target) else there.access(profile)
    return there.own_brokers(target), there.conversations(Endpoint(target, access)) is None


def _labels(spec: Spec, name: str) -> list[str]:
    if name in spec.backends:
        return [name]
    return [label for label, section in spec.backends.items() if section.system == name]


def target_of(text: str) -> tuple[str, str]:
    """`kafka=local` → system and target, where a system itself is meant, not a spec's. Raises `UsageError`."""
    system, separator, target = text.partition("=")
    if system not in names() or not separator:
        meant = f"{did_you_mean(system, names()) or names()[0]}=HOST:PORT"
        raise UsageError(f"-b {text}: it takes a system and where it is, such as -b {meant}")
    require_target(system, system, target)
    return system, target


def require_target(name: str, system: str, target: str | None) -> None:
    """Raises `UsageError` where this version cannot reach what was typed as `NAME=TARGET`."""
    real = backend(system).real
    if target is None or (real is not None and real.reaches(target)):
        return
    known = ", ".join(f"-b {one}" for one in real_targets())
    if real is not None:
        raise UsageError(f"-b {name}={target}: that is no place where a {system} can be; there is {known}")
    raise UsageError(
        f"-b {name}={target}: no real {system} can be reached yet, it runs in the simulated world only: "
        f"write -b {name}; what is real so far is {known}"
    )


def unsupported_reason(scenario: Scenario) -> str | None:
    """Why this version cannot run the scenario at all, or None."""
    spec = scenario.spec
    reasons = [*spec.unsupported, *spec.backends[scenario.label].unsupported]
    reasons += _real_limits(scenario) if scenario.world == "real" else _simulated_limits(scenario)
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
        spans = (fault.restart_after, None if _is_jumped_over(fault) else fault.duration, fault.handler)
        times = [span[0] for span in spans if span is not None]
        waits.append(max([0, *times]))
    return max(sending, *waits)


def _is_jumped_over(fault: Fault) -> bool:
    return fault.kind == "pass" and fault.duration is not None and fault.duration[1] > LONGEST_WAITED_FOR


def _passes(faults: Sequence[Fault]) -> list[str]:
    """Why a real broker's time cannot be made to pass as the faults want it."""
    reasons = []
    jumps = [fault for fault in faults if _is_jumped_over(fault)]
    if any(fault.when.metric != "drained" for fault in jumps):
        reasons.append("`pass` on a real broker needs `when: drained`, since what is in flight goes by the real clock")
    if sum(fault.times for fault in jumps) > MOST_PASSES:
        reasons.append(f"`pass` more than {MOST_PASSES} times comes to real brokers in a later version")
    ahead = [fault for fault in faults if fault.kind == "clock_skew" and any(by > 0 for by in fault.options.values())]
    if jumps and ahead:
        reasons.append(
            "`pass` beside a clock that is ahead: by its timestamp a record that is stamped ahead of time cannot be "
            "told from one that was written after the time had passed"
        )
    return reasons


_ONE_SIMULATED_BROKER = "the simulated world has one broker, which never fails"
_NOT_ALLOWED = "was not started for this check, so its brokers are broken with --allow-broker-faults only"
_NOT_OURS = (
    "its brokers are not mqverify's to break; those are that `-b kafka=local:3` starts, and with --allow-broker-faults "
    "those that `mqverify up` keeps"
)
_ENCRYPTED = "goes by what clients ask, which nobody can read on its way over TLS; run it on a listener without TLS"
_OF_PARTITIONS = ("broker of partition ", "followers of partition ")


def _simulated_limits(scenario: Scenario) -> list[str]:
    """What a spec asks for that the simulated world has not: several brokers, and such as fail."""
    asked = []
    for fault in scenario.spec.faults:
        ends = [end for end in fault.target if strikes_brokers(fault) or end.startswith(_OF_PARTITIONS)]
        asked += [f"{fault.kind}: {end}" for end in ends]
    copies = _copies(scenario)
    if copies > 1:
        asked.append(f"replication_factor: {copies}")
    if not asked:
        return []
    real = backend_of(scenario).real
    if real is None:
        run_it = "no real one can be reached yet"
    else:
        brokers = 1 if copies == 1 and not any("partition" in one for one in asked) else max(3, copies)
        run_it = f"write -b {scenario.system}={real.starting(brokers)}"
    return [f"{', '.join(dict.fromkeys(asked))}: {_ONE_SIMULATED_BROKER}; {run_it}"]


def _copies(scenario: Scenario) -> int:
    """On how many servers each place lies, where a system can be told so."""
    return int(getattr(scenario.settings, "replication_factor", 1))


def _broker_limits(scenario: Scenario) -> list[str]:
    """What a spec asks of the servers that those at this target are not."""
    here = f"-b {scenario.system}={scenario.target}"
    real = real_system(scenario.system)
    is_started = real.starts_brokers(scenario.target or "")
    there = scenario.own_brokers
    reasons = []
    for fault in scenario.spec.faults:
        if not strikes_brokers(fault):
            continue
        if there is None:
            reasons.append(f"`{fault.kind}: {fault.target[0]}`: {here}: {_NOT_OURS}")
        elif not (scenario.breaks_brokers or is_started):
            reasons.append(f"`{fault.kind}: {fault.target[0]}`: {here} {_NOT_ALLOWED}")
        elif _highest(fault) > there:
            reasons.append(f"`{fault.kind}: {fault.target[0]}`: {here} has {brokers_in_words(there)}")
        elif fault.target[0].startswith("followers") and _copies(scenario) == 1:
            reasons.append(f"`{fault.kind}: {fault.target[0]}`: with replication_factor: 1 there are none")
    copies = _copies(scenario)
    if there is not None and copies > there:
        enough = f"write -b {scenario.system}={real.starting(copies)}"
        reasons.append(f"replication_factor: {copies}: {here} has {brokers_in_words(there)}; {enough}")
    return reasons


def _highest(fault: Fault) -> int:
    """The highest number that a broker must have to be struck."""
    return max(int(target.removeprefix("broker-")) for target in fault.target) if _is_numbered(fault) else 1


def _is_numbered(fault: Fault) -> bool:
    return all(target.startswith("broker-") for target in fault.target)


def _by_what(fault: Fault) -> str:
    """What makes a fault go by requests, where its kind alone does not say so."""
    if fault.kind == "lose":
        return ""
    return " at in_settle" if fault.point == "in_settle" else " with `nth`"


def _real_limits(scenario: Scenario) -> list[str]:
    """What a spec asks for that the real world cannot give yet."""
    reasons = _broker_limits(scenario)
    least = _least_duration(scenario)
    if least > _LONGEST_REAL_RUN:
        reasons.append(f"it would take {format_duration(least)} on a real broker, where only `pass` lets time pass")
    reasons += _passes(scenario.spec.faults)
    if scenario.encrypted:
        unread = [fault for fault in scenario.spec.faults if reads_requests(fault)]
        reasons += [f"`{fault.kind}`{_by_what(fault)} {_ENCRYPTED}" for fault in unread]
    return [*reasons, *real_system(scenario.system).lacks(scenario.settings)]

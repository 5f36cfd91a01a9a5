"""The suite: a backend's promises, runs whose verdicts are known, and what their histories must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mqverify.errors import UsageError
from mqverify.spec.model import Spec
from mqverify.testing.known import KNOWN, verdicts_of
from mqverify.testing.protocols import check_admin, check_history, check_promises, run_twice
from mqverify.worlds.base import Scenario

__all__ = ["Check", "Report", "conformance"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `problems` are empty where all is well."""

    name: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Report:
    """What came of the suite. In a test: `assert report.passed, report`."""

    system: str
    world: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def __str__(self) -> str:
        kept = sum(check.passed for check in self.checks)
        lines = [f"{self.system}, {self.world}: {kept} of {len(self.checks)} checks passed"]
        for check in self.checks:
            lines += [f"  {check.name}: {problem}" for problem in check.problems]
        return "\n".join(lines)


def conformance(system: str, settings: Mapping[str, Any] | None = None, target: str | None = None) -> Report:
    """Put a backend to the test, simulated, or with `target` on the real system that `-b SYSTEM=TARGET` names.

    `system` is a name that a spec may give as `system:`, mqverify's own or that of an entry point in the group
    `mqverify.backends`. `settings` are written under it in every spec, as a spec writes them: give those with which
    runs are quick, such as short time-outs. Each check is made, whatever came of those before; an exception in one is
    a problem of that one.

    Raises UsageError for a system that there is not, and SpecError for settings that it does not take.
    """
    from mqverify import engine

    registry = engine.registry()
    if system not in registry.systems:
        raise UsageError(f"there is no system {system!r}; there are {', '.join(registry.systems)}")
    specs = {known.name: known.spec(system, settings or {}, registry) for known in KNOWN}
    return Report(
        system,
        "simulated" if target is None else f"real ({target})",
        tuple(Check(name, _problems(make)) for name, make in _checks(specs, target)),
    )


def _problems(make: Callable[[], list[str]]) -> tuple[str, ...]:
    try:
        return tuple(make())
    except Exception as error:  # noqa: BLE001 - a backend may raise whatever it likes
        return (f"{type(error).__name__}: {error}",)


def _checks(specs: Mapping[str, Spec], target: str | None) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    quiet = Scenario(0, specs[KNOWN[0].name], "it", target)
    yield "it says what it promises", lambda: check_promises(quiet)
    yield "its administrator removes what it made, and nothing else", lambda: check_admin(quiet)
    yield "a history is whole and in the agreed words", lambda: check_history(quiet)
    if target is None:
        yield "the same seed gives the same history", lambda: run_twice(quiet)
    for known in KNOWN:
        yield known.name, lambda known=known: verdicts_of(known, specs[known.name], target)  # type: ignore[misc]

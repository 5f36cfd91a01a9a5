"""Every behaviour is run on both arms, and what came of it is summed up: whether the model does what a broker does.

A test's body runs inside its arm (`pytest_pyfunc_call`). `@pytest.mark.differs("heading")` names a section of
docs/fidelity.md: there the model is known to do otherwise, so its arm is expected to fail, and fails if it does not.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.arms import Arm, RealArm, SimulatedArm

FOLDER = Path(__file__).parent
FIDELITY = FOLDER.parents[1] / "docs/fidelity.md"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "differs(section): the model does otherwise, as docs/fidelity.md says there")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "arm" in metafunc.fixturenames:
        real = pytest.param("real", marks=pytest.mark.real_kafka)
        metafunc.parametrize("arm", ["simulated", real], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sections = {line.lstrip("# ") for line in FIDELITY.read_text().splitlines() if line.startswith("#")}
    for item in items:
        arm = _arm_of(item)
        if item.path.parent != FOLDER or arm is None:
            continue
        differs = item.get_closest_marker("differs")
        section = differs.args[0] if differs else None
        if section is not None and section not in sections:
            raise pytest.UsageError(f"{item.nodeid}: docs/fidelity.md has no section {section!r}")
        if section is not None and arm == "simulated":
            item.add_marker(pytest.mark.xfail(strict=True, reason=section))
        item.user_properties.append(("conformance", (_behaviour(item, arm), arm, section)))


def _arm_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("arm")


def _behaviour(item: pytest.Item, arm: str) -> str:
    """The test's name without its arm."""
    name = item.name.replace(f"[{arm}-", "[").replace(f"-{arm}]", "]").replace(f"[{arm}]", "")
    return f"{item.path.stem}::{name}"


@pytest.fixture
def arm(request: pytest.FixtureRequest) -> Iterator[Arm]:
    if request.param == "simulated":
        yield SimulatedArm()
    else:
        broker = request.getfixturevalue("kafka_broker")
        yield RealArm(broker.bootstrap, f"conformance-{uuid.uuid4().hex[:8]}")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    arm = pyfuncitem.funcargs.get("arm")
    if not isinstance(arm, Arm):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    arm.run(lambda: pyfuncitem.obj(**arguments))
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """`conformance: N of M behaviours agree`; those that do not, and those that are known not to."""
    came_to: dict[str, dict[str, str]] = defaultdict(dict)
    documented: dict[str, str] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "conformance":
                    behaviour, arm, section = value
                    came_to[behaviour][arm] = outcome
                    if section is not None:
                        documented[behaviour] = section
    both = {name: arms for name, arms in came_to.items() if {"simulated", "real"} <= set(arms)}
    if not both:
        return
    compared = {name: arms for name, arms in both.items() if "skipped" not in arms.values()}
    agree = [name for name, arms in compared.items() if set(arms.values()) == {"passed"}]
    as_documented = [
        name for name, arms in compared.items() if arms["simulated"] == "xfailed" and arms["real"] == "passed"
    ]
    write = terminalreporter.write_line
    known = f"; {len(as_documented)} differ as docs/fidelity.md says" if as_documented else ""
    write("")
    write(f"conformance: {len(agree)} of {len(compared)} behaviours agree{known}")
    for name in sorted(as_documented):
        write(f"  documented: {name}: {documented[name]}")
    for name in sorted(set(compared) - set(agree) - set(as_documented)):
        arms = compared[name]
        write(f"  DISAGREE: {name}: simulated {arms['simulated']}, real {arms['real']}")
    if len(compared) < len(both):
        write(f"  {len(both) - len(compared)} were not compared: there is no real broker here")

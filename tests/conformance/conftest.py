"""Every behaviour is run on both arms; `agreement.py` sums up whether the model does what a broker does.

A test's body runs inside its arm (`pytest_pyfunc_call`). `@pytest.mark.differs("heading")` names a section of
docs/fidelity.md: there the model is known to do otherwise, so its arm is expected to fail, and fails if it does not.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.arms import Arm, RealArm, SimulatedArm

FOLDER = Path(__file__).parent
FIDELITY = FOLDER.parents[1] / "docs/fidelity.md"


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

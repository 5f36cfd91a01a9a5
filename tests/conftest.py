"""For all tests: those on a real broker stay in one process, so that they do not fight for the machine."""

import pytest


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on where it runs: the command line says more in a step of GitHub Actions."""
    for variable in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real_kafka"):
            item.add_marker(pytest.mark.xdist_group("real_kafka"))

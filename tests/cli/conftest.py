"""The command line in this process, on a made-up engine."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cli.fake_mqverify import ENGINES, FakeEngine


@dataclass
class Ran:
    code: int
    out: str
    err: str
    engine: FakeEngine


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in tuple(os.environ):
        if variable.startswith(("MQVERIFY_", "GITHUB_")) or variable in (
            "CI",
            "COLUMNS",
            "NO_COLOR",
            "FORCE_COLOR",
            "TERM",
        ):
            monkeypatch.delenv(variable)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`run("good", "check", "specs")`: a whole command, with what it printed and its exit code."""
    import mqverify
    from mqverify.__main__ import main

    def run_one(name: str, *arguments: str) -> Ran:
        known = ENGINES[name]
        engine = FakeEngine(known.events, known.fails, known.hangs, known.misread)
        monkeypatch.setattr(mqverify, "engine", None, raising=False)
        monkeypatch.setitem(sys.modules, "mqverify.engine", None)
        monkeypatch.setitem(sys.modules, "mqverify.spec.load", None)
        engine.install(sys.modules)
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "-j", "1"] if arguments[0] == "check" else list(arguments))
        captured = capfd.readouterr()
        return Ran(int(stop.value.code or 0), captured.out, captured.err, engine)

    return run_one

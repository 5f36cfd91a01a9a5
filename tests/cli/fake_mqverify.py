"""mqverify with a made-up check, for tests that need a process: `python fake_mqverify.py NAME check specs …`."""

import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from mqverify.errors import BackendUnavailable, InternalError, SpecError, UsageError
from mqverify.events import Event
from mqverify.spec.diagnostics import Diagnostic
from tests.report import samples

MISTAKE = Diagnostic(
    "MQ201", "there is no word `mesages` here", "a.yaml", 3, 5, 7, "    mesages: 5", "did you mean `messages`?"
)


@dataclass
class FakeSpec:
    name: str
    file: str
    tags: tuple[str, ...] = ()


@dataclass
class FakeEngine:
    """Stands in for `mqverify.engine` and for what reads specs; remembers what it was asked."""

    events: list[Event] = field(default_factory=list)
    fails: Exception | None = None
    hangs: bool = False
    misread: Exception | None = None
    asked: list[Any] = field(default_factory=list)
    specs: tuple[FakeSpec, ...] = (
        FakeSpec("orders survive a consumer crash", "specs/settling/crash.yaml", ("orders", "crash")),
        FakeSpec("a year later", "specs/retention/year.yaml", ("retention",)),
    )

    def install(self, modules: dict[str, Any]) -> None:
        import mqverify

        engine: Any = types.ModuleType("mqverify.engine")
        engine.registry = lambda: None
        engine.Options = lambda **options: options
        engine.check = self.check
        modules["mqverify.engine"] = mqverify.engine = engine
        spec_load: Any = types.ModuleType("mqverify.spec.load")
        spec_load.load = self.load
        modules["mqverify.spec.load"] = spec_load

    def load(self, paths: list[Any], _registry: Any) -> Any:
        self.asked.append([str(path) for path in paths])
        if self.misread:
            raise self.misread
        return types.SimpleNamespace(specs=self.specs, warnings=())

    def check(self, specs: list[FakeSpec], options: dict[str, Any], *_: Any) -> Iterator[Event]:
        self.asked.append(([spec.name for spec in specs], options))
        end = self.events[-1:]
        try:
            yield from self.events[:-1]
            if self.fails:
                raise self.fails
            if self.hangs:
                sys.stderr.write("hanging\n")
                sys.stderr.flush()
                time.sleep(60)
        except KeyboardInterrupt:
            end = samples.INTERRUPTED[-1:]
        yield from end


ENGINES = {
    "good": FakeEngine(samples.ALL_GOOD),
    "mixed": FakeEngine(samples.MIXED),
    "undecided": FakeEngine(samples.check_of([samples.HELD, samples.INCONCLUSIVE])),
    "hostile": FakeEngine(samples.HOSTILE_CHECK),
    "hanging": FakeEngine(samples.INTERRUPTED[:3], hangs=True),
    "misspelt": FakeEngine(misread=SpecError([MISTAKE])),
    "nowhere": FakeEngine(misread=UsageError("there is no file or folder nowhere/")),
    "no broker": FakeEngine(samples.ALL_GOOD[:4], fails=BackendUnavailable("no broker at kafka:9092")),
    "broken promise": FakeEngine(samples.ALL_GOOD[:4], fails=InternalError("two digests of one run")),
    "bug": FakeEngine(samples.ALL_GOOD[:4], fails=ValueError("\x1b[31mthe bug")),
}

if __name__ == "__main__":
    from mqverify.__main__ import main

    ENGINES[sys.argv[1]].install(sys.modules)
    main(sys.argv[2:])

"""Applications in a kernel, whatever they talk to: what the harnesses of both systems have in common."""

from collections.abc import Callable
from typing import Any

from mqverify.simulation.kernel import SECOND, Kernel
from mqverify.simulation.process import Process

__all__ = ["Applications"]


class Applications:
    """Runs applications as processes. An application that fails fails the test, unless its failure is expected."""

    def __init__(self, seed: int = 0) -> None:
        self.kernel = Kernel(seed)
        self.failures: dict[str, BaseException] = {}

    def sleep(self, seconds: float) -> None:
        self.kernel.sleep(round(seconds * SECOND))

    @property
    def seconds(self) -> float:
        return self.kernel.now / SECOND

    def begin(self, process: Process, body: Callable[[], Any]) -> Process:
        """Have `body` be the main task of a process, from now on."""

        def ended(failure: BaseException | None) -> None:
            if failure is not None:
                self.failures[process.name] = failure

        process.on_end.append(ended)
        process.spawn(body, main=True)
        return process

    def finish(self, start: Callable[[Callable[[Any], Any]], Process], application: Callable[[Any], Any]) -> Any:
        """Run everything until `application(given)`, as `start` starts it, has returned; its result."""
        results: list[Any] = []
        process = start(lambda given: results.append(application(given)))
        process.on_end.append(lambda _: self.kernel.stop())
        self.kernel.run()
        self.kernel._stopped = False
        if process.name in self.failures:
            raise self.failures.pop(process.name)
        assert results, f"{process.name} did not end"
        return results[0]

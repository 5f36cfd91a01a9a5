"""How a broker model asks to be called later, and how a simulated world does so."""

from collections.abc import Callable
from typing import Any, Protocol

from mqverify.simulation.kernel import Kernel
from mqverify.simulation.process import Process
from mqverify.simulation.renewals import Event

__all__ = ["ProcessTimers", "Timers"]


class Timers(Protocol):
    """What a model is handed; the model itself has no clock and no kernel. Times are nanoseconds."""

    def at(self, time: int, call: Callable[..., Any], *arguments: Any, renews: Callable[[], bool] | None = None) -> Any:
        """Call `call(*arguments, now)` at `time`; `renews` says whether that would only renew (see the kernel)."""

    def cancel(self, timer: Any) -> None: ...

    def postpone(self, timer: Any, time: int) -> None: ...


class ProcessTimers:
    """`Timers` of a model that is a process of the kernel; `after()` is called after each call."""

    __slots__ = ("_after", "_kernel", "_process")

    def __init__(self, kernel: Kernel, process: Process, after: Callable[[], None] | None = None) -> None:
        self._kernel = kernel
        self._process = process
        self._after = after

    def at(
        self, time: int, call: Callable[..., Any], *arguments: Any, renews: Callable[[], bool] | None = None
    ) -> Event:
        return self._kernel.call_at(time, self._fire, call, arguments, process=self._process, renews=renews)

    def cancel(self, timer: Event) -> None:
        self._kernel.cancel(timer)

    def postpone(self, timer: Event, time: int) -> None:
        self._kernel.postpone(timer, time)

    def _fire(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        call(*arguments, self._kernel.now)
        if self._after is not None:
            self._after()

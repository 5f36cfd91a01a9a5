"""A value that comes later, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mqverify.simulation.kernel import Kernel
    from mqverify.simulation.process import Task
    from mqverify.simulation.renewals import Renews

__all__ = ["Future"]


class Future:
    """A value that comes later; one or more tasks may wait for it. Resolved once; later results are ignored."""

    __slots__ = ("_kernel", "_waiting", "callbacks", "done", "error", "value")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._waiting: list[Task] = []
        self.callbacks: list[Callable[[Future], None]] = []
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None

    def resolve(self, value: Any = None, error: BaseException | None = None) -> None:
        if self.done:
            return
        self.done, self.value, self.error = True, value, error
        self._kernel.ready.extend(self._waiting)
        self._waiting.clear()
        for tell in self.callbacks:
            tell(self)

    def wait(self, timeout: int | None = None, renews: Renews | None = None) -> bool:
        """Block the current task until resolved or for `timeout` nanoseconds; whether it is resolved."""
        if not self.done and (timeout is None or timeout > 0):
            self._kernel.block(self._waiting, timeout, renews)
        return self.done

    def result(self, timeout: int | None = None) -> Any:
        """Wait and return the value or raise the error; `TimeoutError` where it did not come in time."""
        if not self.wait(timeout):
            raise TimeoutError
        if self.error is not None:
            raise self.error
        return self.value

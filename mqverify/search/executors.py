"""Where chunks of runs are worked on: in this process, or in a pool of processes. One interface: `Executor`."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

__all__ = ["make_executor"]


class _Here(Executor):
    """Runs each task at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (handed to whoever asks for the result)
            future.set_exception(error)
        return future


class _Pool(ProcessPoolExecutor):
    """Processes that are ended, not waited for, when what they do is no longer wanted."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        workers = list((self._processes or {}).values()) if cancel_futures else []
        super().shutdown(wait and not cancel_futures, cancel_futures=cancel_futures)
        for worker in workers:
            worker.terminate()


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_executor(jobs: int | None) -> Executor:
    """An executor for `jobs` processes; None: one a core. One job runs in this process."""
    count = jobs if jobs is not None else len(os.sched_getaffinity(0))
    if count == 1:
        return _Here()
    return _Pool(count, get_context("spawn"), initializer=_leave_interrupts_to_the_parent)

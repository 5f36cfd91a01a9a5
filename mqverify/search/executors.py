"""Where chunks of runs are worked on: in this process, or in a pool of processes. One interface: `Executor`."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

__all__ = ["make_executor"]


class _Later(Future[Any]):
    """A task that is done when its result is asked for."""

    def __init__(self, task: Callable[[], Any]) -> None:
        super().__init__()
        self._task = task

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.set_result(self._task())
        return super().result(timeout)


class _Here(Executor):
    """Does tasks in this process, each when its result is asked for, so that a check that stops early does no more."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return _Later(partial(fn, *args, **kwargs))

    def map(self, fn: Callable[..., Any], *iterables: Any, **_options: Any) -> Iterator[Any]:
        return map(fn, *iterables)


class _Pool(ProcessPoolExecutor):
    """Processes that are ended, not waited for, when what they do is no longer wanted."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        workers = list((self._processes or {}).values()) if cancel_futures else []
        super().shutdown(wait and not cancel_futures, cancel_futures=cancel_futures)
        for worker in workers:
            worker.terminate()


def _belong_to_the_parent() -> None:
    """Leave interrupts to it, and end when it has ended, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C comes after this, not inside: packages that are just being imported swallow it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def make_executor(jobs: int | None) -> Executor:
    """An executor for `jobs` processes; None: one a core. One job runs in this process."""
    with _interrupts_held_back():
        import mqverify.worlds.chunk  # noqa: F401  (what every task needs)
    count = jobs if jobs is not None else len(os.sched_getaffinity(0))
    if count == 1:
        return _Here()
    return _Pool(count, get_context("spawn"), initializer=_belong_to_the_parent)

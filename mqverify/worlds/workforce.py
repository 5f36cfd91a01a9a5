"""The worker processes of one real run: launched, killed, paused, and listened to.

What they tell, and what meets them on their way to the brokers, comes into one inbox of notices, in an order that the
conductor can rely on: a trigger before what follows from it, and a strike only when its worker is dead or has stopped.
"""

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mqverify.backends.base import Site
from mqverify.errors import BackendLost
from mqverify.faults.plan import PlannedFault
from mqverify.workload.groups import Worker
from mqverify.worlds.base import Before, Ended, Notice, Struck, Triggered
from mqverify.worlds.board import Board
from mqverify.worlds.children import Child, wait_for_any
from mqverify.worlds.links import Happened, Links

__all__ = ["LOOK_EVERY", "Workforce"]

LOOK_EVERY: Final = 0.05
"""Seconds between looks whether a process has ended."""


class Workforce:
    """Of one run. `common` is what all of its workers are told alike, by the names of `WorkerTask`.

    `observe` is called where somebody dies, stands still, goes on or ends: then groups may have settled what nobody
    tells. Whoever listens gets what the site's `check` raises, too.
    """

    def __init__(
        self,
        common: Mapping[str, Any],
        faults: Sequence[PlannedFault],
        board: Board,
        site: Site,
        links: Links | None,
        observe: Callable[[], None],
    ) -> None:
        self._common = common
        self._faults = {fault.identity: fault for fault in faults}
        self._board = board
        self._site = site
        self._links = links
        self._observe = observe
        self._children: list[Child] = []
        self.inbox: deque[Notice] = deque()

    def launch(self, worker: Worker, before: Before) -> int:
        """Start an incarnation of a worker; returns its process id.

        `before` is what a producer's earlier ones have left behind.
        """
        endpoint = self._site.endpoint if self._links is None else self._links.endpoint(worker.name)
        task = {**self._common, "worker": worker, "endpoint": endpoint, "before": before}
        try:
            self._children.append(Child(len(self._children), task))
        except OSError as error:
            raise BackendLost(
                f"the worker process {worker.name} cannot be started: {error.strerror}; ask for fewer workers, or "
                "raise the limits on processes and open files (`ulimit -u`, `ulimit -n`)"
            ) from error
        return self._children[-1].pid

    def kill(self, worker: Worker) -> bool:
        """Whether that is what it died of."""
        child = self._child(worker)
        self._observe()
        with self._board.lock:
            child.signal(signal.SIGKILL)
        child.wait_until_dead()
        self._take(child)
        self._observe()
        return child.was_killed

    def pause(self, worker: Worker) -> bool:
        """Whether it stands still."""
        child = self._child(worker)
        self._observe()
        with self._board.lock:
            child.signal(signal.SIGSTOP)
            child.wait_until_stopped()
        self._observe()
        return not child.is_dead()

    def resume(self, worker: Worker) -> None:
        self._observe()
        self._child(worker).signal(signal.SIGCONT)

    def stop(self, worker: Worker) -> None:
        self._child(worker).ask_to_stop()

    def leader(self, group: str) -> str | None:
        """Whoever made the group's last assignment, as its leader's client does."""
        self.listen(0)
        leaders = [child for child in self._children if child.worker.group == group and child.led_at >= 0]
        return max(leaders, key=lambda child: child.led_at).worker.name if leaders else None

    def records(self, worker: str | None = None) -> list[Path]:
        """The files of those who have recorded anything, in the order of their starts; of one worker, or of all."""
        paths = [child.records for child in self._children if worker in (None, child.worker.name)]
        return [path for path in paths if path.exists()]

    def end_all(self) -> None:
        """Kill all that live. Raises BackendLost for one that does not obey, when the others are dead."""
        deaf: BackendLost | None = None
        for child in self._children:
            child.signal(signal.SIGKILL)
        for child in self._children:
            try:
                child.wait_until_dead()
            except BackendLost as error:
                deaf = error
            child.close()
        if deaf is not None:
            raise deaf

    # --- what happens ----------------------------------------------------------------------------------------------

    def listen(self, seconds: float) -> None:
        """Wait for what workers tell, at most so long, and put it into the inbox.

        A trigger is told before the strike that follows from it, but through another pipe: a second look at all pipes
        finds it, and it is put first.
        """
        self._site.check()
        live = [child for child in self._children if not child.over]
        links = self._links
        wait_for_any(live, seconds, [] if links is None else [links.pipe])
        happened = [] if links is None else links.take()
        found: list[Notice] = []
        for _ in range(2):
            for child in live:
                found += child.notices()
        found.sort(key=lambda notice: not isinstance(notice, Triggered))
        for notice in found:
            self.post(notice)
        for one in happened:
            self._post_happened(one)
            if links is not None:
                links.let_go(one)

    def wait(self, seconds: float) -> None:
        """Let real time pass, and hear what happens meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.listen(min(left, LOOK_EVERY))

    def post(self, notice: Notice) -> None:
        """Put a notice into the inbox; a strike only when its worker is dead, or has stopped."""
        self.inbox.append(notice)
        if isinstance(notice, Ended) and notice.worker.kind == "consumer":
            self._observe()
        if not isinstance(notice, Struck):
            return
        child, kind = self._child(notice.worker), self._faults[notice.fault].kind
        if kind == "pause":
            child.wait_until_stopped()
            self._observe()
        elif kind == "crash":
            child.wait_until_dead()
            self._take(child)

    def _post_happened(self, happened: Happened) -> None:
        """A fault of links has met a worker: it broke its connection, or it is to die before a reply."""
        child = next(child for child in reversed(self._children) if child.worker.name == happened.worker)
        struck = Struck(happened.fault.identity, child.worker)
        if happened.let_go is None:
            self.inbox.append(struck)
        elif not child.is_dead():
            with self._board.lock:
                child.signal(signal.SIGSTOP if happened.fault.kind == "pause" else signal.SIGKILL)
            self.post(struck)

    def _take(self, child: Child) -> None:
        for notice in child.notices():
            self.post(notice)

    def _child(self, worker: Worker) -> Child:
        return next(child for child in reversed(self._children) if child.worker == worker)

"""The real systems of one check: reached when they are first needed, shared, and closed when nobody needs them more.

Scenarios run several at a time, in threads. Those with an equal `site_key` share a site; one whose faults touch what
others share, a broker, has the site for itself, and it is healed before the next.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mqverify.backends.base import Brokers, Endpoint, Site
from mqverify.backends.registry import real_system
from mqverify.errors import BackendError
from mqverify.faults.targets import strikes_brokers
from mqverify.worlds.base import Scenario

__all__ = ["Sites", "Stopped"]

_LOOK_EVERY = 0.2
"""Seconds between looks whether all is to stop."""


class Stopped(BaseException):
    """The check is over: whoever runs something ends it at once, and tidies up."""


class Sites:
    """The sites of one check; usable by several threads. Close it at the end.

    `tell` hears what takes long. `access`: for each system, what clients are told to get in (security). Once `stop` is
    called, whoever waits for a site, or looks whether it is there, gets `Stopped`.
    """

    def __init__(
        self,
        scenarios: Iterable[Scenario],
        tell: Callable[[str], None],
        access: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._tell = tell
        self._access = access or {}
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._users = Counter(_key(scenario) for scenario in scenarios)
        self._places: dict[Hashable, _Place] = {}
        self.reaching = 0
        """How many threads are just reaching or starting a system, which nothing can interrupt."""

    @contextmanager
    def lend(self, scenario: Scenario) -> Iterator[Site]:
        """The site for one run of the scenario.

        Raises BackendUnsuitable if it lacks what the spec asks for, another BackendError if it cannot be had: the same
        again for all who ask later, since what could not be reached once costs a check no further minute. A site that
        was there and went away is reached, or started, anew.
        """
        alone = any(strikes_brokers(fault) for fault in scenario.spec.faults)
        place = self._place(scenario)
        if not place.sound():
            with place.door.through(alone=True):
                if not place.sound():
                    place.make(lambda: self._reach(scenario))
        with place.door.through(alone):
            if place.site is None:
                raise Stopped
            place.site.require(scenario.settings)
            try:
                yield _Lent(place.site, self._stopped)
            finally:
                if alone and not self._stopped.is_set():
                    place.heal()

    def done(self, scenario: Scenario) -> None:
        """Nothing of this scenario will be run any more; to be called once for each."""
        key = _key(scenario)
        with self._lock:
            self._users[key] -= 1
            place = None if self._users[key] > 0 else self._places.get(key)
        if place is not None:
            place.close()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def close(self) -> None:
        """Close all that are there."""
        self.stop()
        for place in list(self._places.values()):
            place.close()

    def _place(self, scenario: Scenario) -> "_Place":
        with self._lock:
            return self._places.setdefault(_key(scenario), _Place(self._stopped))

    def _reach(self, scenario: Scenario) -> Site:
        access = self._access.get(scenario.system, {})
        with self._lock:
            self.reaching += 1
        try:
            reach = real_system(scenario.system).reach
            return reach(scenario.target or "", scenario.settings, self._tell, access, scenario.breaks_brokers)
        finally:
            with self._lock:
                self.reaching -= 1


def _key(scenario: Scenario) -> Hashable:
    return scenario.system, real_system(scenario.system).site_key(scenario.target or "", scenario.settings)


class _Place:
    """Where a site is, or will be."""

    def __init__(self, stopped: threading.Event) -> None:
        self.door = _Door(stopped)
        self.site: Site | None = None
        self._failure: BackendError | None = None

    def sound(self) -> bool:
        site = self.site
        if site is None:
            return False
        try:
            site.check()
        except BackendError:
            return False
        return True

    def make(self, reach: Callable[[], Site]) -> None:
        """Close what is broken, and reach it anew."""
        if self._failure is not None:
            raise self._failure
        self.close()
        try:
            self.site = reach()
        except BackendError as error:
            self._failure = error
            raise

    def heal(self) -> None:
        if self.site is not None:
            try:
                self.site.heal()
            except BackendError:  # the next makes it anew; what was lost, its run has told
                self.close()

    def close(self) -> None:
        site, self.site = self.site, None
        if site is not None:
            site.close()


class _Door:
    """Many go through at a time, or one alone; who wants to be alone is not overtaken for ever."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._change = threading.Condition()
        self._inside = 0
        self._alone = False
        self._waiting = 0
        """Those who want to be alone."""

    @contextmanager
    def through(self, alone: bool) -> Iterator[None]:
        with self._change:
            self._waiting += alone
            try:
                while self._alone or (self._inside if alone else self._waiting):
                    if self._stopped.is_set():
                        raise Stopped
                    self._change.wait(_LOOK_EVERY)
            finally:
                self._waiting -= alone
            self._inside += 1
            self._alone = alone
        try:
            yield
        finally:
            with self._change:
                self._inside -= 1
                self._alone = False
                self._change.notify_all()


class _Lent:
    """A site as one run sees it: not its to close, and gone when all is to stop."""

    def __init__(self, site: Site, stopped: threading.Event) -> None:
        self._site = site
        self._stopped = stopped
        self.endpoint: Endpoint = site.endpoint
        self.details: Mapping[str, str] = site.details
        self.brokers: Brokers | None = site.brokers

    def require(self, settings: Any) -> None:
        self._site.require(settings)

    def check(self) -> None:
        if self._stopped.is_set():
            raise Stopped
        self._site.check()

    def heal(self) -> None:
        self._site.heal()

    def keep_logs(self, folder: Path) -> None:
        with suppress(OSError, RuntimeError):
            self._site.keep_logs(folder)

    def close(self) -> None:
        pass

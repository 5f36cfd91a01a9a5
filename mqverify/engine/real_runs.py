"""The real runs of a check: several scenarios at a time, in threads, which mostly wait for their workers."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from mqverify.engine.gathered import Clock, Gathered
from mqverify.errors import BackendError, BackendUnsuitable
from mqverify.worlds.base import Scenario
from mqverify.worlds.sites import Sites

__all__ = ["RealRuns", "real_jobs"]

_JOBS_A_CORE = 2
"""Runs wait more than they work."""
_SECONDS_TO_TIDY_UP = 8.0
_LOOK_EVERY = 0.02


def real_jobs(asked: int | None) -> int:
    """How many real scenarios are run at a time."""
    return asked if asked is not None else _JOBS_A_CORE * len(os.sched_getaffinity(0))


class RealRuns:
    """Begins when the first result is asked for; `close` ends what is under way, and closes the sites.

    `tell` hears what is begun and what takes long, `tell_more` also where the files of a run are.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        runs: Mapping[int, int],
        seed: int,
        clock: Clock,
        jobs: int,
        sites: Sites,
        tell: Callable[[str], None],
        tell_more: Callable[[str], None],
    ) -> None:
        self._runs = runs
        self._seed = seed
        self._clock = clock
        self._sites = sites
        self._tell = tell
        self._tell_more = tell_more
        self._results: dict[int, Future[Gathered]] = {scenario.number: Future() for scenario in scenarios}
        self._todo = iter(scenarios)
        self._lock = threading.Lock()
        # Daemons, so that nothing that hangs in a call to a broker holds up the end of the process.
        self._threads = [
            threading.Thread(target=self._work, name=f"real-{number}", daemon=True)
            for number in range(min(jobs, len(scenarios)))
        ]
        self._begun = False

    def result(self, scenario: Scenario) -> Gathered:
        """Wait for what comes of a scenario. Ctrl-C ends the wait, in the main thread."""
        if not self._begun:
            self._begun = True
            for thread in self._threads:
                thread.start()
        return self._results[scenario.number].result()

    def close(self) -> None:
        """Have the workers of all runs killed and their topics removed, as far as that takes no time.

        Who is just starting a broker is not waited for: it ends with us.
        """
        self._sites.stop()
        deadline = time.monotonic() + _SECONDS_TO_TIDY_UP
        while self._busy() > self._sites.reaching and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        self._sites.close()

    def _busy(self) -> int:
        return sum(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while not self._sites.stopped:
            with self._lock:
                scenario = next(self._todo, None)
            if scenario is None:
                return
            result = self._results[scenario.number]
            try:
                result.set_result(self._run(scenario))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
                result.set_exception(error)

    def _run(self, scenario: Scenario) -> Gathered:
        from mqverify.worlds.real_chunk import run_real_chunk

        gathered = Gathered()
        runs = self._runs[scenario.number]
        try:
            if not runs or self._clock.ran_out():
                return gathered
            times = "" if runs == 1 else f", {runs:,} runs"
            self._tell(f"running {scenario.spec.name!r} on {scenario.label}={scenario.target}{times}")
            seeds = list(range(self._seed, self._seed + runs))
            chunk, gathered.failure = run_real_chunk(
                scenario, seeds, self._sites, self._tell, self._tell_more, enough=self._clock.ran_out
            )
            gathered.add(chunk)
        except BackendUnsuitable as error:
            gathered.unsupported = str(error)
        except BackendError as error:
            gathered.failure = str(error)
        finally:
            self._sites.done(scenario)
        return gathered

"""A task of a check in the real world: reach a system, run seeds of one scenario on it, and judge them together."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from mqverify.backends.base import Backend, Site, silent
from mqverify.errors import BackendError, BackendLost
from mqverify.events import RunSummary
from mqverify.history.recorder import RunRows
from mqverify.units import SECOND
from mqverify.workload.plan import draw_plan
from mqverify.worlds.base import Scenario, backend_of
from mqverify.worlds.chunk import Chunk, judge_runs, patience, patience_with_nobody, summarize
from mqverify.worlds.conductor import Outcome
from mqverify.worlds.real import RealWorld, new_run_folder
from mqverify.worlds.sites import Sites

__all__ = ["run_real", "run_real_chunk"]

_LEAST_PATIENCE = 60 * SECOND


def run_real_chunk(
    scenario: Scenario,
    seeds: Sequence[int],
    sites: Sites,
    tell: Callable[[str], None] = silent,
    tell_more: Callable[[str], None] = silent,
    enough: Callable[[], bool] = lambda: False,
) -> tuple[Chunk, str | None]:
    """Run the seeds on a real system, one after the other, and judge all runs at once.

    If the broker goes away, the runs before that are judged all the same, and why the others are missing comes with
    them: a violation that was seen is one. What the workers of the broken run recorded is kept in its folder.

    No run is begun any more when there was `enough`. `tell` hears where the files of a broken run are, `tell_more`
    those of each. Raises BackendError if no system can be had at all.
    """
    recorded: dict[int, tuple[RunRows, Outcome]] = {}
    summaries: list[RunSummary] = []
    details: dict[str, str] = {}
    reached, failure = False, None
    for seed in seeds:
        if enough():
            break
        began = time.perf_counter()
        try:
            with sites.lend(scenario) as site:
                reached = True
                details |= site.details
                rows, outcome = run_real(scenario, seed, site, tell, tell_more)
        except BackendError as error:
            if not reached:
                raise
            failure = _failed(seed, len(seeds) - len(recorded), str(error))
            break
        recorded[seed] = (rows, outcome)
        details |= outcome.details
        wall_ms = round((time.perf_counter() - began) * 1000)
        summaries.append(summarize(scenario, seed, rows, outcome, wall_ms))
    return (judge_runs(scenario, recorded) if recorded else [], summaries, details), failure


def _failed(seed: int, missing: int, why: str) -> str:
    later = missing - 1
    others = f", and the {later} after it {'was' if later == 1 else 'were'} not begun" if later else ""
    return f"the run with seed {seed} did not come to its end{others}: {why}"


def run_real(
    scenario: Scenario,
    seed: int,
    site: Site,
    tell: Callable[[str], None],
    tell_more: Callable[[str], None] = silent,
) -> tuple[RunRows, Outcome]:
    """One run on a broker that is there. Until `Stopped` is raised by the site, workers are at work.

    Raises BackendLost if the broker goes away or does not answer; whatever is raised, the folder stays and is told.
    """
    backend = backend_of(scenario)
    folder = new_run_folder(seed)
    tell_more(f"workers record to {folder}; it stays if the run does not come to its end")
    try:
        return _run(scenario, backend, seed, site, folder, tell)
    except BaseException as error:
        tell(
            f"{scenario.spec.name!r} with seed {seed} did not come to its end; what its workers recorded is in {folder}"
        )
        site.keep_logs(folder)
        lost = _what_was_lost(error, backend, site)
        if lost is not None:
            raise BackendLost(f"{lost}; {_where(folder)}") from error
        raise


def _where(folder: Path) -> str:
    has_log = any(folder.glob("broker*.log"))
    return f"what the workers recorded{', and its log, are' if has_log else ' is'} in {folder}"


def _run(
    scenario: Scenario, backend: Backend, seed: int, site: Site, folder: Path, tell: Callable[[str], None]
) -> tuple[RunRows, Outcome]:
    plan = draw_plan(scenario.spec.workload, seed)
    least = patience(scenario, backend, _LEAST_PATIENCE)
    world = RealWorld(scenario, backend, plan, least, patience_with_nobody(scenario), site, folder, tell)
    try:
        outcome = world.run()
    except BaseException:
        with suppress(Exception):
            world.close(keep=True)
        raise
    world.close(keep=False)
    if world.left:
        tell(
            f"not removed: {', '.join(world.left)}; `mqverify clean -b {scenario.label}={scenario.target}` tries again"
        )
    return world.rows, outcome


def _what_was_lost(error: BaseException, backend: Backend, site: Site) -> str | None:
    """What to say of an error that comes from the broker; None if it does not."""
    if isinstance(error, BackendError):
        return str(error)
    if not isinstance(error, Exception):
        return None
    try:
        site.check()
    except BackendLost as lost:
        return str(lost)
    if backend.is_client_error(error):
        return f"the broker does not do what it is asked: {type(error).__name__}: {error}"
    return None

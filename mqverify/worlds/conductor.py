"""Runs one scenario once: starts workers, lets faults happen, waits until all is drained, has the log read afresh.

Written once for both worlds, as blocking code: it waits for a notice or for the next time on its agenda, and decides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from mqverify.backends.base import Backend
from mqverify.errors import InternalError
from mqverify.faults.plan import draw_faults
from mqverify.history.tables import TABLES
from mqverify.workload.groups import ConsumerGroup, Worker, consumers_of, producers_of
from mqverify.workload.plan import Plan
from mqverify.worlds.base import Busy, Ended, Idle, Notice, Scenario, Struck, Triggered, World
from mqverify.worlds.injector import Injector
from mqverify.worlds.roster import GroupState, Roster, WorkerState

__all__ = ["Conductor", "Outcome"]

_MOST_VAIN_RESTARTS = 20
"""A supervisor gives up, as service managers do."""

_GROUPS = {name: index for index, name in enumerate(TABLES["groups"].column_names[2:])}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `faults` as in `RunSummary`."""

    drained: bool
    give_up_reason: str | None
    ended_at: int
    faults: tuple[tuple[int, str, bool, str | None], ...]
    details: Mapping[str, str] = field(default_factory=dict)
    """What a report is to say of how it was run."""


@dataclass(order=True)
class _Appointment:
    time: int
    order: int
    call: Callable[[], None] = field(compare=False)


class Conductor:
    """One run. `patience` is how long nothing may progress before it gives up, in nanoseconds; `with_nobody` is the
    same while no worker is alive and none is to come, where that is not waited for as long. It looks `looks` times
    meanwhile; once the first look has seen the last progress, so it takes up to patience / looks longer."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        backend: Backend,
        plan: Plan,
        patience: int,
        with_nobody: int | None = None,
        looks: int = 1,
    ) -> None:
        self.world = world
        self.plan = plan
        self.groups = scenario.groups
        self._latecomers = {team: iter(those) for team, those in scenario.latecomers.items()}
        self.everybody = scenario.everybody
        self._backend = backend
        self._settings = scenario.settings
        self._workload = scenario.spec.workload
        self._keeps_effects = scenario.keeps_effects
        self._patience_for_workers = patience
        self._patience_with_nobody = patience if with_nobody is None else with_nobody
        self._looks = looks
        self._agenda: list[_Appointment] = []
        self._appointments = 0
        self.roster = Roster()
        self.paused_brokers: set[int] = set()
        self._readings = 0
        self._producers_launched = False
        self._standing: object = None
        self._stood_still = 0
        """At how many looks in a row."""
        self._progress_at = 0
        planned = draw_faults(scenario.spec.faults, self._workload.messages, plan.seed)
        self.injector = Injector(self, planned)

    # --- the run -------------------------------------------------------------------------------------------------

    def conduct(self) -> Outcome:
        """Run from the first topic to the last reading."""
        self._provision()
        give_up_reason = None
        while not self._finished():
            if self._out_of_patience():
                give_up_reason = self._where_it_stands()
                break
            notice = self.world.next_notice(self._next_time())
            if notice is not None:
                self._take(notice)
            elif self._agenda and self._agenda[0].time <= self.world.now():
                self._progress_at = self.world.now()
                heappop(self._agenda).call()
        return self._wind_up(give_up_reason)

    def appoint(self, delay: int, call: Callable[[], None]) -> None:
        """Have `call` happen after `delay` nanoseconds; the run does not end before."""
        self._appointments += 1
        heappush(self._agenda, _Appointment(self.world.now() + delay, self._appointments, call))

    def read_afresh(self, reason: str) -> None:
        """Have a fresh reader record what can be read now."""
        self._readings = self.world.admin.read(self.world.rows, self.world.stamp, self._readings, reason)

    # --- workers -------------------------------------------------------------------------------------------------

    def launch(self, worker: Worker) -> None:
        """Start an incarnation of a worker; the one before is no more."""
        earlier = self.roster.workers.get(worker.name)
        if earlier is not None and earlier.alive:
            raise InternalError(f"{worker.name} is to be started while an incarnation of it is alive")
        row = self.world.rows.add(
            "workers", worker.name, worker.kind, worker.group, worker.incarnation, self.world.stamp(), None, None, None
        )
        state = self.roster.workers[worker.name] = WorkerState(worker, row)
        if worker.group is not None:
            self.roster.groups[worker.group].removed = False
        state.note_process(self.world.launch(worker))

    def join(self, team: str) -> Worker | None:
        """Have one more consumer join a team; None while its groups have not come to start."""
        if not all(state.launched for state in self.roster.groups.values() if state.group.team == team):
            return None
        one = next(self._latecomers[team])
        if one.group.name not in self.roster.groups:
            self._note_group(one.group)
            self._launch_group(self.roster.groups[one.group.name])
        else:
            self.launch(one.worker)
        return one.worker

    def leave(self, worker: Worker) -> None:
        """Ask a consumer to leave; it ends as `removed` once it has done so."""
        self.roster.workers[worker.name].leaving = True
        self.world.stop(worker)

    # --- beginnings ----------------------------------------------------------------------------------------------

    def _provision(self) -> None:
        world = self.world
        world.admin.create(world.rows, world.stamp)
        self.note_places()
        for name, value in self._backend.promises(self._settings):
            world.rows.add("settings", name, None, value, 0)
        if self._keeps_effects:
            world.rows.add("settings", "effects", None, "recorded", 0)
        if world.brokers is not None:
            world.rows.add("settings", "unclean_elections", None, "observed", 0)
        for group in self.groups:
            self._note_group(group)
        start = self._workload.start
        if start != "producers_first":
            for state in self.roster.groups.values():
                if state.group.joins == "start":
                    self._launch_group(state)
        if start != "consumers_first":
            self._launch_producers()
        self.injector.begin()

    def _note_group(self, group: ConsumerGroup) -> None:
        """Write down a group, before its first consumer starts."""
        row = self.world.rows.add(
            "groups", group.name, group.team, self._backend.starts(self._settings, group),
            group.delivery, group.consumers, False, None,
        )  # fmt: skip
        self.roster.groups[group.name] = GroupState(group, row)
        if group.sharded:
            self._note_shards(group)
        if self._keeps_effects:
            self.world.rows.add("settings", f"sink.{group.name}", None, group.sink, 0)

    def _note_shards(self, group: ConsumerGroup) -> None:
        """Which consumer's share each key falls to."""
        shards = {key: n % group.consumers for key, n in zip(self.plan.keys, self.plan.key_numbers, strict=True)}
        for key, shard in shards.items():
            self.world.rows.add("shards", group.name, key, shard)

    def note_places(self) -> None:
        """Give every partition or stream its id in the history, in the broker's order."""
        since = self.world.now()
        for name in self.world.admin.places():
            self.world.rows.place(name, since)

    def _launch_group(self, state: GroupState) -> None:
        state.launched = True
        self.world.admin.open_group(state.group, self.world.rows, self.world.stamp)
        for worker in consumers_of(state.group):
            self.launch(worker)

    def _launch_producers(self) -> None:
        self._producers_launched = True
        for worker in producers_of(self._workload):
            self.launch(worker)

    # --- the middle ----------------------------------------------------------------------------------------------

    def _take(self, notice: Notice) -> None:
        match notice:
            case Triggered(fault):
                self.injector.triggered(fault)
            case Struck(fault, worker):
                self.injector.struck(fault, worker)
            case Ended(worker, ending, detail):
                if self.worker_ended(worker, ending, detail):
                    self._supervise(worker)
            case Idle() | Busy():
                self.roster.heard(notice)

    def worker_ended(self, worker: Worker, ending: str, detail: str = "") -> bool:
        """An incarnation is no more; told again, it changes nothing. Whether it was news to whoever watches over it."""
        state = self.roster.workers[worker.name]
        if state.worker != worker or not state.alive:
            return False
        if ending == "finished" and state.leaving:
            ending = "removed"
        state.end(ending, detail, self.world.stamp())
        if worker.group is not None:
            alive = any(one.alive for one in self.roster.members(worker.group))
            self.roster.groups[worker.group].removed = ending == "removed" and not alive
        if state.leaving:
            self.injector.left(worker, ending)
        return ending != "removed"

    def _supervise(self, worker: Worker) -> None:
        """Restart a consumer whose handler ended it, if there is somebody to do so; not for ever without progress."""
        group = self.roster.groups.get(worker.group or "")
        delay = None if group is None else group.group.handler.restart_after
        if group is None or delay is None:
            return
        handled = self.world.count("handled", (group.group.name,))
        group.vain_restarts = group.vain_restarts + 1 if handled == group.handled_before else 0
        group.handled_before = handled
        if group.vain_restarts < _MOST_VAIN_RESTARTS:
            self.appoint(delay, lambda: self.launch(replace(worker, incarnation=worker.incarnation + 1)))

    def _finished(self) -> bool:
        """Take the next step that waits for a state of the whole; whether nothing is left to do."""
        if not self._producers_launched:
            if self.roster.consumers_ready():
                self._launch_producers()
            return False
        if self._workload.start == "producers_first" and self.roster.producers_done():
            for state in self.roster.groups.values():
                if state.group.joins == "start" and not state.launched:
                    self._launch_group(state)
        if not self._drained():
            return False
        if self.injector.fire_next_drained():
            return False
        late = [state for state in self.roster.groups.values() if not state.launched]
        for state in late:
            self._launch_group(state)
        return not late

    def _drained(self) -> bool:
        """Nothing is owed by the broker, nobody is at work, and nothing stands on the agenda."""
        if self._agenda or not self.roster.producers_done() or self.injector.busy():
            return False
        launched = self.roster.consuming()
        if any(self.roster.progress_of(state.group) is None for state in launched):
            return False
        behind = self._behind(launched)
        return self.world.quiet() and not any(behind.values())

    def _behind(self, states: Sequence[GroupState]) -> Mapping[str, Sequence[str]]:
        """What the broker still owes each group, in words."""
        return self.world.admin.behind(
            {state.group.name: self.roster.progress_of(state.group) or {} for state in states}
        )

    @property
    def _patience(self) -> int:
        """With an empty agenda nobody comes any more but who is started when all is drained."""
        nobody = self._producers_launched and not self.roster.live_workers(running=False)
        return self._patience_with_nobody if nobody else self._patience_for_workers

    # --- the end -------------------------------------------------------------------------------------------------

    def _next_time(self) -> int:
        if self._agenda:
            return self._agenda[0].time
        return self._progress_at + self._patience // self._looks

    def _out_of_patience(self) -> bool:
        """Whether no message came further for longer than the run's patience, and the broker owes as much as before."""
        now = self.world.now()
        if self._agenda:
            self._progress_at, self._stood_still = now, 0
        if now < self._progress_at + self._patience // self._looks:
            return False
        launched = self.roster.consuming()
        standing = (self.world.total_progress(), {name: tuple(owed) for name, owed in self._behind(launched).items()})
        self._stood_still = self._stood_still + 1 if standing == self._standing else 0
        self._standing, self._progress_at = standing, now
        return self._stood_still >= self._looks

    def _where_it_stands(self) -> str:
        """Who is stuck where, for people."""
        owed = self._behind(self.roster.consuming())
        parts = []
        for state in self.roster.groups.values():
            if state.removed:
                continue
            behind = owed.get(state.group.name, ["it never started"])
            if state.launched and self.roster.progress_of(state.group) is None:
                handled = self.world.count("handled", (state.group.name,))
                behind = [f"it handled {handled} of {self.plan.workload.messages} messages"]
            told = self.roster.not_idle(state.group.name)
            if behind or told:
                state.row[_GROUPS["gave_up"]] = "; ".join([*behind[:3], *told[:3]]) or "not at its end"
                parts.append(f"{state.group.name}: {state.row[_GROUPS['gave_up']]}")
        unsent = self.plan.workload.messages - self.world.count("sent")
        if unsent:
            parts.append(f"{unsent} messages were never sent")
        parts += [f"{name} waits for what it sent" for name in self.roster.waiting_producers()]
        return "nothing progressed any more; " + ("; ".join(parts) or "everybody waits")

    def _wind_up(self, give_up_reason: str | None) -> Outcome:
        world = self.world
        self.read_afresh("end")
        unseen = self._unseen()
        give_up_reason = give_up_reason or unseen
        read_at = world.stamp()
        for kind, value in world.admin.footprint().items():
            world.rows.add("footprint", kind, value, read_at)
        behind = self._behind(self.roster.consuming())
        for name, state in self.roster.groups.items():
            done = (
                give_up_reason is None
                or state.removed
                or (
                    unseen is None
                    and self.roster.progress_of(state.group) is not None
                    and not behind.get(name, ["all"])
                )
            )
            state.row[_GROUPS["drained"]] = done
            if not done and state.row[_GROUPS["gave_up"]] is None:
                state.row[_GROUPS["gave_up"]] = unseen
        world.observe()
        faults = self.injector.record()
        self._note_elections(len(faults))
        ended_at = world.stamp()
        for worker_state in self.roster.workers.values():
            if worker_state.alive:
                worker_state.note_end("finished", ended_at)
        return Outcome(give_up_reason is None, give_up_reason, ended_at, faults)

    def _unseen(self) -> str | None:
        """Why more may be owed than anybody is shown, if so: where a place has no leader, or too few replicas in sync,
        consumers are at the end of what they see, and what was acknowledged may lie behind it."""
        troubles = self.world.admin.unsound()
        if not troubles:
            return None
        names = self.world.admin.places()
        told = [f"{names[place] if place < len(names) else 'dead letters'}: {what}" for place, what in troubles.items()]
        return f"nobody is shown all that is there: {'; '.join(told[:3])}"

    def _note_elections(self, number: int) -> None:
        """What the brokers did, beside the faults that were planned, numbered on from them."""
        world = self.world
        for place, at, leader in world.admin.unclean_elections():
            name = world.admin.places()[place]
            what = f"the cluster made broker {leader} the leader, in what it calls an unclean election"
            world.rows.add("faults", number, "unclean_election", name, what, at, at, True, None)
            number += 1

"""Who works in one run, and how far each group has come, as their notices tell it."""

from dataclasses import dataclass

from mqverify.history.recorder import Row
from mqverify.history.tables import TABLES
from mqverify.workload.groups import ConsumerGroup, Worker
from mqverify.worlds.base import Busy, Idle

__all__ = ["GroupState", "Roster", "WorkerState"]

_WORKERS = {name: index for index, name in enumerate(TABLES["workers"].column_names[2:])}


@dataclass
class WorkerState:
    """What is known of a worker: its current incarnation, and what it last told."""

    worker: Worker
    row: Row
    """Its current incarnation's in `workers`."""
    alive: bool = True
    paused: bool = False
    ready: bool = False
    leaving: bool = False
    """It was asked to leave."""
    progress: dict[int, int] | None = None
    """The next position of each source while it is idle; None while it is at work."""
    ending: str = ""

    def end(self, ending: str, detail: str, at: int) -> None:
        self.alive, self.progress = False, None
        self.ending = f"{ending} ({detail})" if detail else ending
        self.note_end(ending, at)

    def note_process(self, pid: int | None) -> None:
        self.row[_WORKERS["pid"]] = pid

    def note_end(self, ending: str, at: int) -> None:
        self.row[_WORKERS["ended_at"]] = at
        self.row[_WORKERS["ending"]] = ending


@dataclass
class GroupState:
    """What is known of a group, and how often its consumers were restarted in vain."""

    group: ConsumerGroup
    row: Row
    """Its own in `groups`."""
    launched: bool = False
    removed: bool = False
    """Nobody of it is alive, and the last one was removed."""
    handled_before: int = -1
    vain_restarts: int = 0
    """How often a consumer was restarted in a row without anything having been handled for the first time."""


class Roster:
    """Both by name, in the order in which they first came."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerState] = {}
        self.groups: dict[str, GroupState] = {}

    def heard(self, notice: Idle | Busy) -> None:
        """A worker is idle, or at work; what an incarnation tells that is no more is not heard."""
        state = self.workers[notice.worker.name]
        if state.worker != notice.worker:
            return
        if isinstance(notice, Busy):
            state.progress, state.ready = None, True
        else:
            state.progress = None if notice.progress is None else dict(notice.progress)
            state.ready = state.ready or notice.progress is not None

    def live_workers(self, running: bool) -> list[Worker]:
        """In the order in which they were first started; with `running`, only those that are not paused."""
        return [state.worker for state in self.workers.values() if state.alive and not (running and state.paused)]

    def members(self, group: str) -> list[WorkerState]:
        return [state for state in self.workers.values() if state.worker.group == group]

    def consumers_ready(self) -> bool:
        """Whether each consumer has begun, or is no more.

        Of those who share sources one may still tell what it had before another joined: until it tells what it has
        now, two tell the same source. A group that starts at the end would miss what is sent meanwhile.
        """
        consumers = [state for state in self.workers.values() if state.worker.kind == "consumer"]
        return all(state.ready or not state.alive for state in consumers) and not any(
            self._overlaps(state.group) for state in self.groups.values() if state.group.delivery == "exclusive"
        )

    def _overlaps(self, group: ConsumerGroup) -> bool:
        told = [
            source for one in self.members(group.name) if one.alive and not one.paused for source in one.progress or ()
        ]
        return len(told) != len(set(told))

    def producers_done(self) -> bool:
        return not self.waiting_producers()

    def waiting_producers(self) -> list[str]:
        """The names of those that have not come to their end: they send, or wait for what they sent."""
        return [name for name, state in self.workers.items() if state.worker.kind == "producer" and state.alive]

    def consuming(self) -> list[GroupState]:
        """The groups that have started, without those whose last member was removed: nothing more is owed to these."""
        return [state for state in self.groups.values() if state.launched and not state.removed]

    def progress_of(self, group: ConsumerGroup) -> dict[int, int] | None:
        """The next position of each source over the group's live members; None while one of them is at work.

        Of members who share a source the furthest counts, since one of them holds it; of shards the last.
        """
        merged: dict[int, int] = {}
        members = 0
        pick = min if group.sharded else max
        for state in self.workers.values():
            if state.worker.group != group.name or not state.alive:
                continue
            if state.progress is None or state.paused:
                return None
            members += 1
            for source, position in state.progress.items():
                merged[source] = pick(position, merged.get(source, position))
        return merged if members == group.consumers or (members and not group.sharded) else None

    def not_idle(self, group: str) -> list[str]:
        """Who of a group is no more, stands still or is at work, in words."""
        return [
            f"{one.worker.name} {one.ending or 'paused' if one.paused or not one.alive else 'is at work or waits'}"
            for one in self.members(group)
            if not one.alive or one.paused or one.progress is None
        ]

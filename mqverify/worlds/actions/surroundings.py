"""Faults of what is around the workers: time, the network, replies of the broker, its administrators."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqverify.backends.base import NotDone
from mqverify.faults.plan import PlannedFault
from mqverify.faults.targets import link_of
from mqverify.units import MILLISECOND, SECOND
from mqverify.workload.groups import Worker
from mqverify.worlds.actions.base import NOBODY, Action

if TYPE_CHECKING:
    from mqverify.worlds.conductor import Conductor

__all__ = ["AskAdmin", "Disturb", "Lose", "PassTime", "Reset"]

_LOOK_EVERY: Final = 20 * MILLISECOND
_LONGEST_WAIT: Final = 10 * SECOND


class PassTime(Action):
    """Nothing happens for a while; a fresh reader looks before, since what it sees may expire.

    Where time cannot be jumped over by itself, the world sees to it that it has passed.
    """

    def act(self) -> None:
        self.conductor.read_afresh(f"before pass of fault {self.planned.number}")
        self.begin()
        ends_at = self.world.now() + self.planned.duration
        try:
            self.world.let_pass(self.planned)
        except NotDone as reason:
            self.began_at = None
            self.fail(str(reason))
        else:
            self.conductor.appoint(max(0, ends_at - self.world.now()), self.over)


class _OnLinks(Action):
    """Something happens on the way between workers and the broker, at once or with the n-th request."""

    def act(self) -> None:
        workers = self.drawn(self.present())
        if not workers:
            self.fail(NOBODY.format(self._worker_end()))
            return
        try:
            self.meddle([worker.name for worker in workers])
        except NotDone as reason:
            self.began_at = None
            self.fail(str(reason))

    def meddle(self, workers: list[str]) -> None:
        """Do it to these, or have it done."""
        raise NotImplementedError

    def undone(self) -> str:
        return f"{self._worker_end()} sent fewer than {self.planned.fault.nth} requests after its trigger"

    def _worker_end(self) -> str:
        return link_of(self.planned.fault).worker


class Disturb(_OnLinks):
    """All is held, or late, for a time."""

    def meddle(self, workers: list[str]) -> None:
        if self.planned.fault.nth is None:
            self.begin()
        else:
            self.phase = "armed"
        lift = self.world.disturb(self.planned, workers)

        def end() -> None:
            met = lift()
            if not any(name in self.conductor.roster.workers for name in workers):
                self.why_not = "it was over before the worker was started"
            elif not met:
                self.why_not = f"nothing was to pass between {self._worker_end()} and the broker while it lasted"
            self.over()

        self._end = end
        if self.planned.fault.nth is None:
            self.conductor.appoint(self.planned.duration, end)

    def met(self, worker: Worker) -> None:
        self.phase = "active"
        self.conductor.appoint(self.planned.duration, self._end)


class Reset(_OnLinks):
    """Connections break. Whoever had none is not touched.

    Of several with one trigger each later one begins when the one before is over: it counts its requests from then on,
    or waits until there is a connection again, since at that moment there is none.
    """

    unheard = True

    def __init__(self, conductor: "Conductor", planned: PlannedFault) -> None:
        super().__init__(conductor, planned)
        self._next: Reset | None = None
        self._until: int | None = None
        """For so long it waits for a connection."""

    def act(self) -> None:
        before = self.conductor.injector.before(self.planned)
        if isinstance(before, Reset) and before.planned.threshold == self.planned.threshold:
            if before.phase == "armed":
                self.phase, before._next = "armed", self
                return
            self._wait_for_connection()
        super().act()

    def meddle(self, workers: list[str]) -> None:
        self.phase = "armed"
        struck = self.world.reset(self.planned, workers)
        if self._until is not None and not struck and self.world.now() < self._until:
            self.conductor.appoint(_LOOK_EVERY, self._look_again)

    def met(self, worker: Worker) -> None:
        if self.phase == "over":
            return
        self.over()
        if self._next is not None:
            self._next._wait_for_connection()
            self._next._look_again()

    def undone(self) -> str:
        if self.planned.fault.nth is not None:
            return super().undone()
        if self._until is not None:
            return f"{self._worker_end()} had no connection to the broker again within {_LONGEST_WAIT // SECOND} s"
        return f"{self._worker_end()} had no connection to the broker when its trigger was pulled"

    def _wait_for_connection(self) -> None:
        if self.planned.fault.nth is None:
            self._until = self.world.now() + _LONGEST_WAIT

    def _look_again(self) -> None:
        """The one before is over, or a while has gone by."""
        super().act()


class Lose(Action):
    """The next replies to those whom it means are lost, by the world's broker."""

    unheard = True

    @property
    def wanted(self) -> int:
        return self.planned.fault.times

    def act(self) -> None:
        self.phase = "armed"
        self.world.lose(self.planned, [worker.name for worker in self.among(self.conductor.everybody)])

    def met(self, worker: Worker) -> None:
        if self.strikes == self.planned.fault.times:
            self.over()

    def undone(self) -> str:
        replies = "a reply" if self.planned.fault.times == 1 else f"{self.planned.fault.times} replies"
        return f"{self.planned.target_text} was to lose {replies}, and lost {self.strikes or 'none'}"


class AskAdmin(Action):
    """An administrator does it (`Admin.acts`). What can take messages out of a place has all read afresh before."""

    _REMOVING: Final = frozenset({"delete_records", "scavenge", "replay_parked", "delete_stream"})

    def __init__(self, conductor: "Conductor", planned: PlannedFault) -> None:
        super().__init__(conductor, planned)
        self.unheard = planned.kind in self._REMOVING

    def act(self) -> None:
        kind = self.planned.kind
        ask: Callable[[PlannedFault], None] | None = self.world.admin.acts().get(kind)
        if ask is None:
            self.fail(f"nobody can be asked for `{kind}` here")
            return
        if kind in self._REMOVING:
            self.conductor.read_afresh(f"before {kind} of fault {self.planned.number}")
        began_at = self.world.stamp()
        try:
            ask(self.planned)
        except NotDone as reason:
            self.why_not = str(reason)
        else:
            self.began_at = began_at
        self.conductor.note_places()
        self.over()

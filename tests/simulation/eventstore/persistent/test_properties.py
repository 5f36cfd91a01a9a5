"""Whatever happens in whatever order: nothing is lost, slots hold, and it is the same each time."""

from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqverify.simulation.eventstore.persistent.messages import Consumer, Message
from mqverify.simulation.eventstore.persistent.strategies import STRATEGIES
from mqverify.simulation.eventstore.persistent.subscription import Page
from mqverify.simulation.eventstore.protocol import NackAction
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.persistent.subject import Push, Subject, id_of, record

STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.just("read"), st.integers(0, 8)),
    st.tuples(st.just("push"), st.just(0)),
    st.tuples(st.just("join"), st.integers(1, 4)),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["ack", "retry", "skip", "park", "unknown", "stop"]), st.integers(0, 20)),
    st.tuples(st.just("tick"), st.integers(0, 3)),
    st.tuples(st.just("parked"), st.just(0)),
)


@dataclass
class Run:
    """A source of events, and a group that is told of them and of random acts."""

    subject: Subject
    count: int = 0
    done: set[int] = field(default_factory=set)
    joined: list[Consumer] = field(default_factory=list)
    pushed: list[Push] = field(default_factory=list)

    def step(self, kind: str, number: int) -> None:
        subscription = self.subject.subscription
        match kind:
            case "append":
                for position in range(self.count, self.count + number):
                    self.count += 1
                    subscription.live(self.message(position))
            case "read" if subscription.reading:
                self.read(number)
            case "push":
                self.pushed += self.subject.pushes()
            case "join":
                self.joined.append(self.subject.join(f"consumer-{len(self.pushed)}", number))
            case "leave" if self.joined:
                subscription.leave(self.joined.pop(number % len(self.joined)))
            case "ack" | "retry" | "skip" | "park" | "unknown" | "stop":
                self.settle(kind, number)
            case "tick":
                self.subject.tick(number)
            case "parked":
                self.subject.parked()

    def read(self, count: int) -> None:
        start, most, _ = self.subject.reads[-1]
        numbers = range(start, min(self.count, start + min(count, most)))
        following = start + len(numbers)
        page = Page([self.message(position) for position in numbers], start, following, following == self.count)
        self.subject.subscription.read_done(page, self.subject.now)

    def settle(self, kind: str, number: int) -> None:
        if number >= self.count:
            return
        outstanding = id_of(number) in self.subject.subscription.outstanding
        if kind == "ack":
            self.subject.ack(number)
        else:
            self.subject.nack(cast("NackAction", kind), number)
        if outstanding and kind in ("ack", "skip", "stop"):
            self.done.add(number)

    def accounted(self) -> set[int]:
        """The events that are done, parked, being parked, in flight, or still to be pushed or read."""
        subject, subscription = self.subject, self.subject.subscription
        held = set(subject.retry) | set(subject.waiting) | self.done | {number for number, _ in subject.parks}
        held |= {message.original.stream_position for message in subscription.outstanding.messages()}
        if not subscription.buffer.live:
            held |= set(range(subscription._next_read, self.count))
        return held

    @staticmethod
    def message(position: int) -> Message:
        return Message(record(position, f"order-{position % 3}"), position)


def run(steps: list[tuple[str, int]], strategy: str, checked: bool) -> Run:
    subject = Subject(history=True, strategy=strategy, message_timeout=2 * SECOND, max_retry_count=1,
                      history_buffer_size=12, read_batch_size=4, live_buffer_size=5, min_checkpoint_count=1,
                      max_checkpoint_count=3)  # fmt: skip
    made = Run(subject)
    for kind, number in steps:
        made.step(kind, number)
        if checked:
            check(made)
    return made


def check(made: Run) -> None:
    subject = made.subject
    everything = set(range(made.count))
    assert made.accounted() == everything, f"lost: {everything - made.accounted()}"
    for consumer in subject.subscription.consumers:
        assert 0 <= consumer.slots <= consumer.size
        assert consumer.slots + len(consumer.unconfirmed) == consumer.size
    finished = made.done | {number for number, _ in subject.parks}
    for position in subject.checkpoints:
        assert finished >= set(range(position + 1)), "a checkpoint passed what is not done"
    assert subject.checkpoints == sorted(subject.checkpoints)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=80), st.sampled_from(sorted(STRATEGIES)))
def test_no_event_is_lost_slots_hold_and_checkpoints_pass_only_what_is_done(
    steps: list[tuple[str, int]], strategy: str
) -> None:
    run(steps, strategy, checked=True)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=80), st.sampled_from(sorted(STRATEGIES)))
def test_the_same_acts_have_the_same_effects(steps: list[tuple[str, int]], strategy: str) -> None:
    def outcome() -> list[Any]:
        made = run(steps, strategy, checked=False)
        return [made.pushed, made.subject.parks, made.subject.checkpoints, made.subject.reads]

    assert outcome() == outcome()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=60), st.sampled_from(sorted(STRATEGIES)))
def test_with_a_consumer_that_acks_everything_is_done_in_the_end(steps: list[tuple[str, int]], strategy: str) -> None:
    made = run(steps, strategy, checked=False)
    made.step("join", 4)
    for _ in range(200):
        made.step("read", 4)
        made.step("push", 0)
        made.step("parked", 0)
        for message in made.subject.subscription.outstanding.messages():
            made.step("ack", message.original.stream_position)
        made.step("tick", 1)
    assert made.done | {number for number, _ in made.subject.parks} == set(range(made.count))
    assert made.subject.checkpoints[-1:] == ([made.count - 1] if made.count else [])

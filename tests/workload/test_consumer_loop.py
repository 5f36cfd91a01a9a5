"""The consumer loop against a made-up client: what is settled when, at which points, and what failures do."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from mqverify.spec.model import Handler, Settle
from mqverify.workload.client import Received
from mqverify.workload.consumer import ConsumerDuties, HandlerFailed, consume


class Script:
    """A client and a context in one: two batches of messages, then nothing; writes down what happens."""

    def __init__(self, batches: Sequence[Sequence[int]], redelivers: bool = False) -> None:
        self.redelivers = redelivers
        self.tries = 1
        self.said: list[str] = []
        self.recorder = self
        self.sink: Any = None
        self.points = {"in_handler"}
        self.dice = Random(1)
        self._batches = [list(batch) for batch in batches]
        self._time = 0
        self._tokens = 0

    # the client
    def start(self) -> None:
        self.said.append("start")

    def poll(self, timeout: int) -> Sequence[Received]:
        self._time += timeout
        if not self._batches:
            return ()
        return [self._received(message) for message in self._batches.pop(0)]

    def settle(self, received: Sequence[Received], wait: bool) -> bool:
        self.said.append(f"settle {','.join(str(one.message) for one in received)}{'' if wait else ' async'}")
        return True

    def reject(self, received: Received, action: str) -> bool:
        self.said.append(f"{action} {received.message}")
        return self.redelivers

    def progress(self) -> Mapping[int, int]:
        return {}

    def close(self, clean: bool) -> None:
        self.said.append("close" if clean else "close without commit")

    # the context
    def now(self) -> int:
        return self._time

    def sleep(self, duration: int) -> None:
        self._time += duration

    def marker(self, metric: str) -> Callable[[int], None]:
        return lambda message: None

    def reached(self, point: str) -> None:
        if point in self.points:
            self.said.append(point)

    def handling_time(self, planned: int) -> int:
        return planned

    def stopping(self) -> bool:
        return not self._batches

    def idle(self, progress: Any) -> None:
        pass

    def busy(self) -> None:
        pass

    def crash(self) -> None:
        raise SystemExit("crashed")

    # the recorder
    def delivered(self, *facts: Any, delivery: int | None = None, attempt: int = 1) -> int:
        self._tokens += 1
        return self._tokens

    def handler_started(self, token: int) -> None:
        pass

    def handler_ended(self, token: int, result: str) -> None:
        self.said.append(result)

    def settling(self, source: int, position: int, action: str, covers: str, settled_by: str, message: int) -> int:
        self.said.append(f"{action} of {message} asked")
        return message

    def settled(self, token: int, outcome: str) -> None:
        self.said.append(outcome)

    def _received(self, message: int) -> Received:
        facts = (message, "key-0", message, 0, message, 0, message, True)
        return Received(self.delivered(*facts), message, 0, message, facts, tries=self.tries)


def run(settle: Settle, batches: Sequence[Sequence[int]] = ((0, 1), (2,)), **more: Any) -> list[str]:
    script = Script(batches, more.pop("redelivers", False))
    script.tries = more.pop("tries", 1)
    handler = more.pop("handler", Handler())
    duties = ConsumerDuties(handler, settle, more.pop("wait", True), frozenset(more.pop("poison", ())))
    consume(script, script, duties)  # type: ignore[arg-type]
    return [said for said in script.said if said not in {"start", "in_handler"}]


@pytest.mark.parametrize(
    ("settle", "said"),
    [
        (
            Settle(policy="before_handling"),
            "settle 0, handled, settle 1, handled, settle 2, handled, close",
        ),
        (Settle(policy="before_batch"), "settle 0,1, handled, handled, settle 2, handled, close"),
        (Settle(policy="after_handling"), "handled, settle 0, handled, settle 1, handled, settle 2, close"),
        (Settle(policy="after_batch"), "handled, handled, settle 0,1, handled, settle 2, close"),
        (Settle(policy="automatic"), "handled, handled, handled, close"),
        (Settle(policy="every", every_count=2), "handled, handled, settle 0,1, handled, settle 2, close"),
        (
            Settle(policy="every", every_time=501_000_000),
            "handled, settle 0, handled, handled, settle 1,2, close",
        ),
    ],
)
def test_settles_in_the_order_that_the_spec_says(settle: Settle, said: str) -> None:
    assert ", ".join(run(settle)) == said


def test_does_not_wait_for_asynchronous_commits() -> None:
    assert run(Settle(policy="after_batch"), wait=False)[2] == "settle 0,1 async"


def test_skips_a_poison_message_after_its_attempts() -> None:
    handler = Handler(poison_one_in=3, attempts=3, on_failure="skip")
    said = run(Settle(policy="after_handling"), handler=handler, poison=[1])
    assert said == [
        "handled", "settle 0", "failed", "failed", "failed", "skip 1", "settle 1", "handled", "settle 2", "close",
    ]  # fmt: skip


def test_where_the_system_hands_out_again_a_failure_is_rejected_and_blocks_nothing() -> None:
    handler = Handler(poison_one_in=3, attempts=3, on_failure="park")
    batch = Settle(policy="after_batch")
    said = run(batch, handler=handler, poison=[1], redelivers=True)
    assert said == ["handled", "failed", "retry 1", "settle 0", "handled", "settle 2", "close"]
    said = run(batch, handler=handler, poison=[1], redelivers=True, tries=3)
    assert said == ["handled", "failed", "park 1", "settle 0", "handled", "settle 2", "close"]


def test_for_ever_is_for_ever_by_rejections_too() -> None:
    handler = Handler(poison_one_in=3, on_failure="retry")
    said = run(Settle(policy="after_handling"), handler=handler, poison=[1], redelivers=True, tries=99)
    assert said == ["handled", "settle 0", "failed", "retry 1", "handled", "settle 2", "close"]


@pytest.mark.parametrize(
    ("close", "last"),
    [("always", "close"), ("clean_only", "close without commit"), ("never", "failed")],
)
def test_an_exception_leaves_the_loop_closing_as_the_spec_says(close: Any, last: str) -> None:
    script = Script([(0, 1, 2)])
    handler = Handler(poison_one_in=3, on_failure="stop", close=close)
    with pytest.raises(HandlerFailed, match="message 1"):
        consume(script, script, ConsumerDuties(handler, Settle(policy="after_batch"), True, frozenset({1})))  # type: ignore[arg-type]
    assert script.said[-1] == last
    assert "settle 0,1,2" not in script.said


def test_a_crashing_handler_takes_the_process_with_it() -> None:
    script = Script([(0, 1, 2)])
    handler = Handler(poison_one_in=3, on_failure="crash")
    with pytest.raises(SystemExit):
        consume(script, script, ConsumerDuties(handler, Settle(policy="after_batch"), True, frozenset({1})))  # type: ignore[arg-type]
    assert script.said[-1] == "failed"


class Writes:
    """A sink that writes down what it is asked; it refuses what lies before `position`."""

    def __init__(self, script: Script, position: int = 0, keeps_positions: bool = True) -> None:
        self.keeps_positions = keeps_positions
        self._said = script.said
        self._position = position

    def apply(self, received: Received) -> bool:
        self._said.append(f"effect {received.message}")
        return received.position >= self._position

    def pass_over(self, received: Received) -> bool:
        self._said.append(f"pass over {received.message}")
        return received.position >= self._position


def with_sink(settle: Settle, position: int = 0, handler: Handler | None = None, poison: Sequence[int] = ()) -> str:
    script = Script([(0, 1), (2,)])
    script.points = set() if settle.policy != "with_effect" else {"before_settle", "in_settle", "after_settle"}
    script.sink = Writes(script, position)
    consume(script, script, ConsumerDuties(handler or Handler(), settle, True, frozenset(poison)))  # type: ignore[arg-type]
    return ", ".join(said for said in script.said if said not in {"start", "in_handler", "close"})


def test_with_its_effect_a_message_is_settled_and_nothing_else_is_told_to_the_broker() -> None:
    """Effect and position are one: nothing lies between them, and there is a point behind them."""
    assert with_sink(Settle(policy="with_effect")) == (
        "effect 0, handled, after_settle, effect 1, handled, after_settle, effect 2, handled, after_settle"
    )


def test_the_effect_is_the_handlers_last_act_and_comes_before_the_settlement() -> None:
    assert with_sink(Settle(policy="after_handling")) == (
        "effect 0, handled, settle 0, effect 1, handled, settle 1, effect 2, handled, settle 2"
    )


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("with_effect", "effect 0, refused, effect 1, handled, after_settle, effect 2, handled, after_settle"),
        ("after_handling", "effect 0, refused, effect 1, handled, settle 1, effect 2, handled, settle 2"),
        ("after_batch", "effect 0, refused, effect 1, handled, settle 1, effect 2, handled, settle 2"),
    ],
)
def test_what_the_sink_refuses_is_neither_handled_nor_settled_and_the_loop_goes_on(policy: Any, said: str) -> None:
    assert with_sink(Settle(policy=policy), position=1) == said


def test_a_failed_attempt_has_no_effect_and_a_skipped_message_moves_the_sinks_position() -> None:
    handler = Handler(poison_one_in=3, attempts=2, on_failure="skip")
    assert with_sink(Settle(policy="with_effect"), handler=handler, poison=[1]) == (
        "effect 0, handled, after_settle, failed, failed, skip 1, skip of 1 asked, pass over 1, acked, after_settle, "
        "effect 2, handled, after_settle"
    )


def test_a_skip_that_the_sink_refuses_settles_nothing() -> None:
    handler = Handler(poison_one_in=3, on_failure="skip")
    assert with_sink(Settle(policy="with_effect"), position=2, handler=handler, poison=[0, 1]) == (
        "failed, skip 0, skip of 0 asked, pass over 0, failed, failed, skip 1, skip of 1 asked, pass over 1, failed, "
        "effect 2, handled, after_settle"
    )


def test_a_parked_message_moves_the_sinks_position_once_it_is_parked() -> None:
    handler = Handler(poison_one_in=3, on_failure="park")
    assert with_sink(Settle(policy="with_effect"), handler=handler, poison=[0]) == (
        "failed, park 0, pass over 0, after_settle, effect 1, handled, after_settle, effect 2, handled, after_settle"
    )

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
        if point == "in_handler":
            self.said.append("in_handler")

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

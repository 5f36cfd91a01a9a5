"""Calls over links: cancelled, broken, kept alive; idle time and determinism (docs/facts/eventstore.md §A7)."""

import os
import subprocess
import sys
from time import perf_counter
from typing import Any

from mqverify.simulation.eventstore.protocol import Append, Credit, Events, Failed, ReadStream, SubscribeStream
from tests.simulation.eventstore.harness import STREAM, Harness, Raw, event, events, ids

DAY = 86_400


class Listener:
    """A process that subscribes to the stream and does nothing else."""

    def __init__(self, harness: Harness, name: str = "listener") -> None:
        self.harness = harness
        self.got: list[int] = []
        self.failed: list[tuple[str, float]] = []
        self.arrivals = 0
        self.call: Any = None
        self.process = harness.start_raw(name, self._listen)

    def _listen(self, raw: Raw) -> None:
        self.call = raw.connection.call(SubscribeStream(STREAM), self._hear)
        self.harness.sleep(100 * DAY)

    def _hear(self, answer: Any) -> None:
        if isinstance(answer, Events):
            self.arrivals += 1
            self.got += ids(answer.events)
            self.call.send(Credit(len(answer.events)))
        elif isinstance(answer, Failed):
            self.failed.append((answer.reason, self.harness.seconds))

    @property
    def known(self) -> bool:
        """Whether the node knows of the subscription."""
        return self.call in self.harness.node.subscriptions._of_token


def append(harness: Harness, first: int, count: int = 1) -> None:
    request = Append(STREAM, "any", events(first, count))
    harness.run_raw(lambda raw: raw.ask(request), f"append {first} {harness.seconds}")


def test_answers_arrive_after_a_latency_and_in_order() -> None:
    harness = Harness()

    def application(raw: Raw) -> list[Any]:
        answers: list[Any] = []
        for number in range(10):
            raw.connection.call(Append(STREAM, "any", (event(number),)), answers.append)
        assert not answers
        harness.sleep(0.01)
        return [answer.revision for answer in answers]

    assert harness.run_raw(application) == list(range(10))


def test_what_is_answered_in_one_step_travels_together() -> None:
    harness = Harness()
    append(harness, 0, 60)
    before = harness.kernel._order
    listener = Listener(harness)
    harness.wait(1)
    assert listener.got == list(range(60))
    assert harness.kernel._order - before < 20


def test_a_cancelled_call_hears_nothing_more_and_the_node_forgets_it() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(1)
    assert listener.known
    listener.call.cancel()
    append(harness, 0)
    harness.wait(1)
    assert (listener.got, listener.known) == ([], False)
    listener.call.send(Credit(1))
    listener.call.cancel()
    harness.wait(1)


def test_a_dead_process_is_forgotten_after_a_latency() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(1)
    listener.process.kill()
    assert listener.known
    harness.wait(0.001)
    assert not listener.known


def test_a7_a_paused_process_keeps_its_connection_for_a_while() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(1)
    listener.process.pause()
    harness.wait(9)
    append(harness, 0)
    listener.process.resume()
    harness.wait(100)
    assert (listener.got, listener.failed, listener.known) == ([0], [], True)


def test_a7_keep_alive_gives_a_paused_process_up_within_20_seconds() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(1)
    listener.process.pause()
    append(harness, 0)
    harness.wait(8)
    assert listener.known
    harness.wait(12)
    assert not listener.known
    append(harness, 1)
    assert (listener.got, listener.failed) == ([], [])
    listener.process.resume()
    harness.wait(1)
    assert listener.got == [0], "what had arrived before is read first"
    assert [reason for reason, _ in listener.failed] == ["unavailable"]


def test_a7_a_process_that_goes_on_in_time_answers_the_ping() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(9)
    for _ in range(5):
        listener.process.pause()
        harness.wait(8)
        listener.process.resume()
        harness.wait(0.5)
    harness.wait(60)
    assert (listener.known, listener.failed) == (True, [])


def test_calls_made_after_a_broken_connection_connect_anew() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(1)
    listener.process.pause()
    harness.wait(30)
    listener.process.resume()
    harness.wait(1)
    answers: list[Any] = []
    listener.call.connection.call(ReadStream(STREAM), answers.append)
    harness.wait(1)
    assert answers[0].reason == "stream_not_found"


def test_idle_weeks_of_subscribers_cost_nothing() -> None:
    harness = Harness(running_projections=("$by_category",))
    listeners = [Listener(harness, f"listener-{number}") for number in range(3)]
    append(harness, 0)
    began = perf_counter()
    harness.wait(30 * DAY)
    assert perf_counter() - began < 0.1
    append(harness, 1)
    harness.wait(1)
    assert [listener.got for listener in listeners] == [[0, 1]] * 3


def test_a_pause_after_an_idle_week_is_noticed_in_time() -> None:
    harness = Harness()
    listener = Listener(harness)
    harness.wait(7 * DAY)
    listener.process.pause()
    harness.wait(21)
    assert not listener.known


def journal(seed: int) -> list[Any]:
    """Everything that three listeners and two writers see, with times."""
    harness = Harness(seed, running_projections=("$by_category", "$streams"))
    listeners = [Listener(harness, f"listener-{number}") for number in range(3)]
    answers: list[Any] = []

    def write(raw: Raw, first: int) -> None:
        for number in range(first, first + 50):
            answer = raw.ask(Append(STREAM if number % 2 else f"order-{number}", "any", (event(number),)))
            answers.append((harness.kernel.now, number, answer))

    for first in (0, 1000):
        harness.start_raw(f"writer-{first}", lambda raw, first=first: write(raw, first))
    harness.wait(10)
    records = [(record.commit_position, record.stream_name, str(record.id)) for record in harness.node.log.records]
    return [answers, records, [listener.got for listener in listeners]]


def test_one_seed_is_one_history_whatever_the_hash_seed() -> None:
    code = "from tests.simulation.eventstore.test_connections import journal; print(journal(5))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert journal(5) == journal(5) != journal(6)

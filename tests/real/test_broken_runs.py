"""Runs on a real broker that break off, how many there are, what is judged of them: all that needs no broker."""

import concurrent.futures
from pathlib import Path
from typing import ClassVar

import pytest

from mqverify import engine
from mqverify.backends.kafka.real import RealKafka
from mqverify.errors import BackendLost, BackendUnavailable
from mqverify.events import RunFinished, ScenarioFinished, Warned
from mqverify.history.files import FileRecorder
from mqverify.history.recorder import RunRows
from mqverify.history.records import WorkerHeader
from mqverify.history.replay import replay
from mqverify.spec.load import load
from mqverify.worlds import real_chunk
from mqverify.worlds.chunk import judge_runs, run_simulated
from mqverify.worlds.conductor import Outcome
from mqverify.worlds.selection import select_scenarios

SPEC = """
spec: a test
workload:
  messages: 300
  keys: 20
  producers: 2
  consumers: 2
  settle: after_batch
backends:
  kafka: {partitions: 4, auto_offset_reset: earliest}
faults:
  - {crash: consumer, when: {handled: 30%}, point: before_settle, restart_after: 1s}
expect:
  at_least_once: held
  at_most_once: {violated: whatever was handled and not settled is handled again}
  integrity: held
"""


class NoSite:
    """Stands for a site."""

    details: ClassVar[dict[str, str]] = {}
    endpoint = brokers = None

    def check(self):
        pass

    def require(self, _settings):
        pass

    def close(self):
        pass


def specs(tmp_path, text=SPEC):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return load([path], engine.registry()).specs


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Check the spec on a real broker whose runs are simulated ones, until one breaks off."""

    def checked(runs, broken_from, error=None):
        def run(scenario, seed, *_):
            if seed >= broken_from:
                raise BackendLost("the broker went away in mid-run")
            return run_simulated(scenario, seed)

        def reach(*_):
            if error:
                raise error
            return NoSite()

        monkeypatch.setattr(real_chunk, "run_real", run)
        monkeypatch.setattr(RealKafka, "reach", reach)
        options = engine.Options(backends=[("kafka", "local")], runs=runs)
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            events = list(engine.check(specs(tmp_path), options, executor))
        (finished,) = (event for event in events if isinstance(event, ScenarioFinished))
        return {result.guarantee: result for result in finished.results}, events

    return checked


def test_what_earlier_runs_proved_stands_when_the_broker_is_lost(check):
    results, events = check(runs=4, broken_from=2)
    lost = "the run with seed 2 did not come to its end, and the 1 after it was not begun: the broker went away"
    violated = results["at_most_once"]
    assert (violated.verdict, violated.as_expected, violated.runs) == ("violated", True, 2)
    assert violated.witness is not None
    assert "--seed" in violated.reproduce
    for name in ("at_least_once", "integrity"):
        assert (results[name].verdict, results[name].as_expected) == ("inconclusive", None)
        assert results[name].reason.startswith(lost)
    assert [event.summary.seed for event in events if isinstance(event, RunFinished)] == [0, 1]
    (warned,) = (event for event in events if isinstance(event, Warned))
    assert lost in warned.message
    assert events[-1].exit_code == 3


@pytest.mark.parametrize(
    ("broken_from", "error", "why"),
    [
        (0, None, "the run with seed 0 did not come to its end, and the 1 after it was not begun: "),
        (1, None, "the run with seed 1 did not come to its end: the broker"),
        (0, BackendUnavailable("there is no Java"), "there is no Java"),
    ],
)
def test_nothing_is_held_by_runs_that_broke_off(check, broken_from, error, why):
    results, events = check(runs=2, broken_from=broken_from, error=error)
    assert results["at_least_once"].verdict == "inconclusive"
    assert results["at_least_once"].reason.startswith(why)
    assert events[-1].exit_code == 3


def test_without_a_loss_all_is_judged(check):
    results, events = check(runs=2, broken_from=2)
    assert {name: result.verdict for name, result in results.items()} == {
        "at_least_once": "held", "at_most_once": "violated", "integrity": "held",
    }  # fmt: skip
    assert events[-1].exit_code == 0


@pytest.mark.parametrize(
    ("asked", "in_spec", "runs"), [(None, None, 1), (None, 3, 3), (2, 3, 2), (2, None, 2)]
)  # fmt: skip
def test_how_many_runs_there_are_on_a_real_broker(tmp_path, asked, in_spec, runs):
    text = SPEC if in_spec is None else f"{SPEC}runs: {in_spec}\n"
    (scenario,) = select_scenarios(specs(tmp_path, text), [("kafka", "local")])
    assert engine._run_count(scenario, engine.Options(runs=asked)) == runs


@pytest.mark.parametrize(
    ("key", "verdict"), [("key-of-somebody-else", "violated"), (None, "held"), ("as sent", "held")]
)  # fmt: skip
def test_a_key_that_nobody_planned_is_seen_in_what_a_real_worker_recorded(tmp_path, key, verdict):
    from mqverify.workload.plan import draw_plan

    (scenario,) = select_scenarios(specs(tmp_path), [("kafka", "local")])
    plan = draw_plan(scenario.spec.workload, 0)
    keys = list(dict.fromkeys(plan.keys))
    rows = RunRows()
    rows.place("topic-0")
    rows.add("groups", "group", "group", "beginning", "exclusive", 1, True, None)
    for kind in ("producer", "consumer"):
        group = "group" if kind == "consumer" else None
        path = Path(tmp_path) / kind
        recorder = FileRecorder(path, WorkerHeader(f"{kind}-1", kind, 1, group, None, 1, 0), keys)
        if kind == "producer":
            recorder.send_completed(recorder.send_invoked(0), "acked", 0, 0)
        else:
            sent = plan.keys[0] if key == "as sent" else key
            token = recorder.delivered(0, sent, plan.sequences[0], 0, 0, 0, 0)
            recorder.handler_started(token)
            recorder.handler_ended(token, "handled")
        recorder.close()
        replay(path, rows, plan, keys)
    findings = judge_runs(scenario, {0: (rows, Outcome(True, None, 10**18, ()))})
    (finding,) = (one for one in findings if one.guarantee == "integrity")
    assert finding.obligations == 1
    assert ("violated" if finding.violations else "held") == verdict

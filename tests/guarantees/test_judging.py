"""Judging many runs at once, verdicts, words and witnesses."""

import duckdb
import pytest

from mqverify.errors import UsageError
from mqverify.events import RunSummary
from mqverify.guarantees.findings import Finding
from mqverify.guarantees.registry import catalogue
from mqverify.guarantees.shared import _views
from mqverify.guarantees.verdicts import fold
from mqverify.guarantees.witness import MOST_EVENTS
from mqverify.report.text import clock as clock_of_reports
from mqverify.units import DAY, HOUR
from tests.guarantees.histories import History, judge_all, verdict_of


def good(run: int = 0, scenario: int = 0) -> History:
    history = History(run, scenario)
    history.sends(2)
    history.handles([0, 1])
    return history


def bad(run: int = 0, scenario: int = 0) -> History:
    history = History(run, scenario)
    history.sends(2)
    history.handle(0)
    return history


def test_many_runs_of_several_scenarios_are_judged_together() -> None:
    findings = judge_all([good(1, 0), bad(2, 0), bad(3, 1), good(4, 1)], "at_least_once", "at_most_once")
    assert [(one.scenario, one.run, one.guarantee, one.obligations, one.violations) for one in findings] == [
        (0, 1, "at_least_once", 2, 0), (0, 1, "at_most_once", 2, 0), (0, 2, "at_least_once", 2, 1),
        (0, 2, "at_most_once", 1, 0), (1, 3, "at_least_once", 2, 1), (1, 3, "at_most_once", 1, 0),
        (1, 4, "at_least_once", 2, 0), (1, 4, "at_most_once", 2, 0),
    ]  # fmt: skip
    assert [one.witness.run for one in findings if one.witness] == [2, 3]


def test_parameters_belong_to_their_scenario() -> None:
    histories = []
    for scenario, state in enumerate(("fold", "latest")):
        history = History(scenario, scenario)
        history.parameter("replayable", "state", state)
        history.sends(2)
        history.read_log([(0, 0), (1, 1), (0, 2)], end=3)
        histories.append(history)
    assert [one.violations for one in judge_all(histories, "replayable")] == [0, 1]


def test_every_guarantee_judges_an_empty_run() -> None:
    for finding in judge_all([History()], *catalogue()):
        assert (finding.obligations, finding.violations) == (0, 0), finding


def test_no_guarantee_accuses_a_run_without_faults() -> None:
    history = History(partitions=2)
    for scenario_parameter in (
        ("footprint", "partitions", 2), ("scales_with_consumers", "at_least", 1), ("latency", "max", 10**9),
        ("recovery", "within", 1), ("balanced", "at_most", 1),
    ):  # fmt: skip
        history.parameter(*scenario_parameter)
    for message in range(20):
        history.send(message, f"key-{message % 4}", partition=message % 2)
    for partition in (0, 1):
        history.assign(f"consumer-{partition + 1}", source=partition)
    for message in range(20):  # in the order of their sends, though several partitions do not promise that
        history.handle(message, f"consumer-{message % 2 + 1}")
        history.commit(f"consumer-{message % 2 + 1}", below=message // 2 + 1, source=message % 2)
    for partition in (0, 1):
        history.read(range(partition, 20, 2), partition=partition)
    for finding in judge_all([history], *catalogue()):
        assert finding.violations == 0, finding


def test_an_unknown_guarantee_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no guarantee `nonsense`"):
        judge_all([good()], "nonsense")


# --- words


@pytest.mark.parametrize(
    "key", ["{position}", "{place} {0} {brace}", "%s", "'; DROP TABLE runs; --", "ключ \x1b[31m", "{", "x" * 500]
)
def test_hostile_keys_are_shown_as_they_are_and_shortened(key: str) -> None:
    history = History()
    history.send(0, key)
    finding = history.finding("at_least_once")
    assert finding.witness is not None
    shown = key if len(key) <= 60 else key[:57] + "..."
    assert (
        f"message 0 (key {shown}, sequence 0), which was acknowledged at 0.002 s as offset 0 of"
        in finding.witness.sentence
    )


def test_each_scenario_has_its_systems_words() -> None:
    words = {0: {"position": "offset"}, 1: {"position": "revision", "place": "stream"}}
    histories = [bad(run, run) for run in range(3)]
    sentences = [one.witness.sentence for one in judge_all(histories, "at_least_once", vocabulary=words) if one.witness]
    assert ["offset 1 of" in sentences[0], "revision 1 of" in sentences[1], "position 1 of" in sentences[2]] == [
        True
    ] * 3


def test_a_witness_is_short_and_in_the_order_of_time() -> None:
    history = History()
    history.send(0)
    for consumer in range(30):
        history.assign(f"consumer-{consumer}")
        history.handle(0, f"consumer-{consumer}")
        history.commit(f"consumer-{consumer}", below=1)
    finding = history.finding("at_most_once")
    assert finding.witness is not None
    times = [event.at_ns for event in finding.witness.events]
    assert len(times) == MOST_EVENTS
    assert times == sorted(times)
    assert sum(event.event == "handled it" for event in finding.witness.events) >= 2


def test_a_later_incarnation_is_named() -> None:
    history = History()
    history.send(0)
    history.handle(0)
    history.handle(0, incarnation=2)
    assert "then by consumer-1 (incarnation 2) at" in history.verdict("at_most_once").reason


def test_on_a_real_broker_the_process_of_each_actor_is_named() -> None:
    history = History(world="real")
    history.worker("producer-1", kind="producer", pid=41)
    history.worker("consumer-1", pid=42, ended=5, ending="crashed")
    history.worker("consumer-1", incarnation=2, pid=43)
    history.send(0)
    history.handle(0)
    history.handle(0, incarnation=2)
    witness = history.finding("at_most_once").witness
    assert witness is not None
    assert {event.actor for event in witness.events} == {
        "producer-1 (pid 41)", "consumer-1 (pid 42)", "consumer-1 (incarnation 2, pid 43)",
    }  # fmt: skip


# --- verdicts


def with_fault(run: int, took_effect: bool, history: History | None = None) -> History:
    history = history or good(run)
    history.fault("crash", took_effect=took_effect, why_not=None if took_effect else "no worker reached it")
    return history


def test_a_crash_that_fired_in_24_of_25_runs_is_held_by_24() -> None:
    verdict = verdict_of([with_fault(run, took_effect=run != 7) for run in range(25)], "at_least_once")
    assert (verdict.verdict, verdict.runs, verdict.decided_by) == ("held", 25, 24)
    assert verdict.reason == "no violation in 50 tests, decided by 24 of 25 runs"


def test_a_crash_that_fired_in_no_run_is_inconclusive_unless_a_run_violates() -> None:
    runs = [with_fault(run, took_effect=False) for run in range(3)]
    verdict = verdict_of(runs, "at_least_once")
    assert (verdict.verdict, verdict.decided_by) == ("inconclusive", 0)
    assert "the fault `crash` took effect in none of 3 runs: no worker reached it" in verdict.reason
    verdict = verdict_of([*runs, with_fault(3, took_effect=False, history=bad(3))], "at_least_once")
    assert (verdict.verdict, verdict.decided_by) == ("violated", 1)


def test_obligations_only_in_runs_where_a_fault_did_not_fire_decide_nothing() -> None:
    untested = with_fault(1, took_effect=True, history=History(1))
    verdict = verdict_of([with_fault(0, took_effect=False), untested], "at_least_once")
    assert verdict.verdict == "inconclusive"
    assert "no run in which every fault took effect put it to the test" in verdict.reason


def test_a_fault_without_effect_in_a_single_run_is_told_in_english() -> None:
    verdict = verdict_of([with_fault(0, took_effect=False)], "at_least_once")
    assert verdict.reason.startswith("the fault `crash` did not take effect: no worker reached it; ")


@pytest.mark.parametrize(
    ("guarantee", "why"),
    [
        ("legal_resume", "no source was assigned a second time"),
        ("at_least_once", "no message was owed"),
        ("scales_with_consumers", "no busy window"),
    ],
)
def test_what_nothing_put_to_the_test_says_what_would(guarantee: str, why: str) -> None:
    history = good() if guarantee == "legal_resume" else History()
    verdict = history.verdict(guarantee)
    assert verdict.verdict == "inconclusive"
    assert verdict.reason == f"nothing put it to the test: {catalogue()[guarantee].untested}"
    assert why in verdict.reason
    assert len(verdict.reason) < 200


@pytest.mark.parametrize(
    ("at_ns", "shown"),
    [
        (6_045_000_021, "6.045 s"),
        (HOUR - 1, "3600.000 s"),
        (14 * HOUR, "0d 14:00:00.000"),
        (8 * DAY, "8d 00:00:00.000"),
        (8 * DAY + 14 * HOUR + 3_503_999_999, "8d 14:00:03.503"),
        (9 * DAY - 1, "8d 23:59:59.999"),
    ],
)
def test_moments_of_sentences_and_of_reports_are_written_alike(at_ns: int, shown: str) -> None:
    statement = next(view.statement for view in _views() if view.name == "moment")
    connection = duckdb.connect()
    connection.execute(statement)
    assert connection.execute("SELECT moment(?::BIGINT)", [at_ns]).fetchone() == (shown,)
    if at_ns >= HOUR:
        assert clock_of_reports(at_ns, at_ns) == shown


def test_a_group_that_did_not_drain_matters_only_to_who_waits() -> None:
    stuck = good(1)
    stuck.group(drained=False, gave_up="consumer-1 is dead")
    verdict = verdict_of([good(0), stuck], "at_least_once")
    assert verdict.verdict == "inconclusive"
    assert verdict.reason == (
        "in 1 of 2 runs not everything came to an end (seed 1): the group did not drain: consumer-1 is dead"
    )
    again = good(1)
    again.group(drained=False)
    assert verdict_of([good(0), again], "at_most_once").verdict == "held"


def test_a_verdict_folds_findings_without_a_history() -> None:
    guarantee = catalogue()["at_most_once"]
    summary = RunSummary(0, 4, 4, True, None, (), "", 0, 0, 0, 0)
    assert fold(guarantee, [Finding(0, 4, "at_most_once", 3, 0)], [summary]).verdict == "held"
    assert fold(guarantee, [], [summary]).verdict == "inconclusive"
    broken = fold(guarantee, [Finding(0, 4, "at_most_once", 3, 2)], [summary])
    assert (broken.verdict, broken.reason) == ("violated", "2 violations in run 4")


@pytest.mark.parametrize("guarantee", ["durable", "settle_safety", "legal_resume"])
def test_times_of_machines_without_a_shared_clock_are_not_compared(guarantee: str) -> None:
    for clock, expected in (("shared", "violated"), ("own", "inconclusive")):
        history = History(world="real")
        history.setting("clock", clock)
        history.sends(2)
        history.assign()
        history.commit(below=2)
        history.assign("consumer-2", start=1, start_from="committed")
        history.read([0])
        verdict = history.verdict(guarantee)
        assert verdict.verdict == expected
    assert "no shared clock" in verdict.reason

"""Checks made up for tests of reports and of the command line: lists of events, as the engine would yield them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mqverify.events import (
    CheckFinished,
    CheckStarted,
    Event,
    Result,
    RunFinished,
    RunSummary,
    ScenarioFinished,
    ScenarioStarted,
    Summary,
    Warned,
    Witness,
    WitnessEvent,
)

HOSTILE = "\x1b[31mred\x1b[0m [bold]loud[/bold] :boom: \u202eevil\u2066 \r\n\x07\x9b2J"
"""Escapes of terminals, markup and emoji codes of rich, bidirectional overrides, line breaks, a C1 control."""

WITNESS = Witness(
    run=3,
    sentence="Message 17 (key-3#4) was acknowledged and never handled: consumer-2 committed past it, then died.",
    events=(
        WitnessEvent(12_000_000, "producer-1", "sent", 17, "key-3", 4, "orders-0", 17),
        WitnessEvent(12_450_100, "broker", "acked", 17, "key-3", 4, "orders-0", 17),
        WitnessEvent(45_000_000, "consumer-2", "commits 18, told yes", None, None, None, "orders-0", 18),
        WitnessEvent(45_000_021, "consumer-2", "is killed before it settles"),
        WitnessEvent(6_045_000_021, "consumer-1", "starts at 18", None, None, None, "orders-0", 18),
    ),
)

HELD = Result(
    spec="orders survive a consumer crash",
    file="specs/settling/crash.yaml",
    backend="kafka",
    system="kafka",
    world="simulated",
    guarantee="at_least_once",
    code="MQ101",
    expected="held",
    expected_why=None,
    verdict="held",
    as_expected=True,
    runs=25,
    decided_by=25,
    obligations=12_500,
    violations=0,
    reason="tested 12500 times, held in 25 of 25 runs",
    witness=None,
    reproduce="mqverify check specs/settling/crash.yaml -b kafka --seed 0 --runs 25",
)
HELD_BY_SOME = replace(
    HELD,
    guarantee="per_key_ordering",
    code="MQ111",
    decided_by=24,
    obligations=9_400,
    reason="tested 9400 times, held in 24 of 25 runs",
)
WAIVED = replace(
    HELD,
    guarantee="exactly_once",
    code="MQ103",
    expected="violated",
    expected_why="duplicates after a crash are the price of settling after handling",
    verdict="violated",
    decided_by=21,
    violations=340,
    reason=WITNESS.sentence,
    witness=WITNESS,
    reproduce="mqverify check specs/settling/crash.yaml -b kafka --seed 3 --runs 1",
)
VIOLATED = replace(
    HELD,
    verdict="violated",
    as_expected=False,
    decided_by=2,
    violations=31,
    reason=WITNESS.sentence,
    witness=WITNESS,
    decision="docs/decisions/0007-orders-on-kafka.md",
    reproduce="mqverify check specs/settling/crash.yaml -b kafka --seed 3 --runs 1",
)
STALE = replace(
    WAIVED,
    verdict="held",
    as_expected=False,
    decided_by=25,
    violations=0,
    reason="tested 12500 times, held in 25 of 25 runs",
    witness=None,
)
INCONCLUSIVE = replace(
    HELD,
    guarantee="durable_past_retention",
    code="MQ122",
    verdict="inconclusive",
    as_expected=False,
    decided_by=0,
    obligations=0,
    reason="the fault `crash` took effect in none of 25 runs: handled never reached 900; move its `when:`",
)
UNSUPPORTED = replace(
    HELD,
    guarantee="latency",
    code="MQ151",
    verdict="unsupported",
    as_expected=None,
    decided_by=0,
    obligations=0,
    reason="this version does not judge it yet",
)
NOT_SEEN = replace(
    WAIVED,
    world="real",
    verdict="held",
    as_expected=None,
    runs=1,
    decided_by=1,
    violations=0,
    reason="not seen: where schedules cannot be chosen, a violation need not show",
    witness=None,
)


def check_of(
    *specs: Iterable[Result], warnings: Iterable[str] = (), interrupted: bool = False, **end: Any
) -> list[Event]:
    """The events of a check with one scenario for each group of results."""
    groups = [tuple(results) for results in specs]
    everything = [result for group in groups for result in group]
    events: list[Event] = [CheckStarted("0.1.0", len(groups), len(groups), sum(group[0].runs for group in groups))]
    events += [Warned(message) for message in warnings]
    for number, group in enumerate(groups):
        events += _scenario(number, group)
    summary = Summary(
        as_expected=sum(result.as_expected is True for result in everything),
        not_as_expected=sum(result.as_expected is False and result.verdict != "inconclusive" for result in everything),
        inconclusive=sum(result.verdict == "inconclusive" for result in everything),
        unsupported=sum(result.verdict == "unsupported" for result in everything),
        waived=sum(result.as_expected is True and result.verdict == "violated" for result in everything),
    )
    code = 1 if summary.not_as_expected else 3 if summary.inconclusive else 0
    events.append(CheckFinished(summary, end.get("exit_code", code), 12_345, interrupted))
    return events


def _scenario(number: int, group: tuple[Result, ...]) -> list[Event]:
    one = group[0]
    details = (("broker", "Apache Kafka 4.4.0"), ("histories", "/tmp/mqverify-7")) if one.world == "real" else ()
    return [
        ScenarioStarted(number, one.spec, one.file, one.backend, one.system, one.world, one.runs),
        RunFinished(one.spec, one.backend, run_summary(number, 0)),
        RunFinished(one.spec, one.backend, run_summary(number, 1, took_effect=False)),
        ScenarioFinished(number, one.spec, one.file, one.backend, group, details),
    ]


def run_summary(scenario: int, run: int, *, took_effect: bool = True) -> RunSummary:
    return RunSummary(
        scenario=scenario,
        run=run,
        seed=run,
        drained=took_effect,
        give_up_reason=None if took_effect else "orders-0 stood at 7 of 20",
        faults=((0, "crash", took_effect, None if took_effect else "handled never reached 900"),),
        digest=f"{0xABCDEF + run:064x}",
        messages=500,
        deliveries=512,
        virtual_ms=9_100,
        wall_ms=12,
    )


ALL_GOOD = check_of(
    [HELD, HELD_BY_SOME, WAIVED], [replace(HELD, backend="kafka, two brokers", spec="β: ключ 注文", file="β.yaml")]
)
MIXED = check_of(
    [HELD, WAIVED, HELD_BY_SOME],
    [
        replace(result, spec="a year later", file="specs/retention/year.yaml", backend="competing", system="eventstore")
        for result in (VIOLATED, STALE, INCONCLUSIVE, UNSUPPORTED)
    ],
    [NOT_SEEN],
    warnings=["expected violation of exactly_once not seen"],
)
INTERRUPTED = [
    CheckStarted("0.1.0", 1, 2, 50),
    *check_of([HELD, VIOLATED])[1:-1],
    ScenarioStarted(1, "next", "next.yaml", "kafka", "kafka", "simulated", 25),
    CheckFinished(Summary(1, 1), 1, 2_000, interrupted=True),
]
HOSTILE_CHECK = check_of(
    [
        replace(
            VIOLATED,
            spec=HOSTILE,
            file=HOSTILE,
            backend=HOSTILE,
            expected_why=HOSTILE,
            reason=HOSTILE,
            decision=HOSTILE,
            reproduce=HOSTILE,
            witness=Witness(0, HOSTILE, (WitnessEvent(0, HOSTILE, HOSTILE, 1, HOSTILE, 0, HOSTILE, 0),)),
        )
    ],
    warnings=[HOSTILE],
)

"""The report for programs: its keys are a promise."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mqverify.events import Event, Figure
from mqverify.report import deliver
from mqverify.report.json import JsonReport
from tests.report import samples

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "reference" / "json.md"


def document(events: list[Event]) -> dict[str, Any]:
    stream = io.StringIO()
    deliver(iter(events), [JsonReport(stream)])
    assert stream.getvalue().isascii()
    parsed: dict[str, Any] = json.loads(stream.getvalue())
    return parsed


def test_has_these_keys_and_all_are_documented() -> None:
    mixed = document(samples.MIXED)
    assert list(mixed) == ["format", "mqverify", "results", "runs", "summary", "exit_code"]
    result = next(result for result in mixed["results"] if result["witness"])
    assert " ".join(result) == (
        "spec file backend system world guarantee code expected verdict as_expected runs obligations violations reason "
        "figures witness reproduce"
    )
    assert list(result["witness"]) == ["sentence", "place", "position", "events"]
    event = result["witness"]["events"][0]
    assert " ".join(event) == "at_ns actor event message key sequence partition position"
    run = mixed["runs"][0]
    assert " ".join(run) == "spec backend seed digest messages deliveries faults drained virtual_ms wall_ms"
    assert list(run["faults"][0]) == ["fault", "kind", "took_effect", "why_not"]
    assert list(mixed["summary"]) == ["as_expected", "not_as_expected", "inconclusive", "unsupported"]
    documented = set(re.findall(r"[a-z_]+", DOCUMENTATION.read_text()))
    assert {*mixed, *result, *result["witness"], *event, *run, *run["faults"][0], *mixed["summary"]} <= documented


def test_says_what_the_events_say() -> None:
    mixed = document(samples.MIXED)
    assert mixed["exit_code"] == 1
    assert [result["as_expected"] for result in mixed["results"]] == [True, True, True, False, False, False, None, None]
    assert mixed["results"][3]["witness"]["events"][3] == {
        "at_ns": 45_000_021,
        "actor": "consumer-2",
        "event": "is killed before it settles",
        "message": None,
        "key": None,
        "sequence": None,
        "partition": None,
        "position": None,
    }
    assert mixed["results"][4]["witness"] is None
    assert mixed["runs"][1]["faults"] == [
        {"fault": 0, "kind": "crash", "took_effect": False, "why_not": "handled never reached 900"}
    ]


def test_specs_and_runs_are_in_their_order_whatever_finished_first() -> None:
    events = samples.MIXED
    shuffled = [*events[:1], *reversed(events[1:-1]), events[-1]]
    assert document(shuffled) == document(events)


def test_figures_are_numbers_and_words_and_what_never_ends_is_null() -> None:
    figures = (Figure("p99", 12e6, "12 ms"), Figure("slowest", float("inf"), "endless"))
    (result,) = document(samples.check_of([replace(samples.HELD, figures=figures)]))["results"]
    assert result["figures"] == [
        {"name": "p99", "value": 12e6, "shown": "12 ms"}, {"name": "slowest", "value": None, "shown": "endless"},
    ]  # fmt: skip
    documented = set(re.findall(r"[a-z_]+", DOCUMENTATION.read_text()))
    assert set(result["figures"][0]) <= documented


def test_an_interrupted_check_is_a_whole_document() -> None:
    interrupted = document(samples.INTERRUPTED)
    assert interrupted["exit_code"] == 130
    assert len(interrupted["results"]) == 2


def test_hostile_names_come_back_as_they_were() -> None:
    assert document(samples.HOSTILE_CHECK)["results"][0]["spec"] == samples.HOSTILE

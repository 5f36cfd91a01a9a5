"""Events as lines, as they happen."""

import io
import json

import pytest

from mqverify.report.jsonl import JsonLinesReport
from tests.report import samples


def test_each_event_is_a_line_at_once() -> None:
    stream = io.StringIO()
    report = JsonLinesReport(stream)
    for number, event in enumerate(samples.MIXED, 1):
        report.handle(event)
        assert stream.getvalue().count("\n") == number
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines[:4]] == ["check_started", "warned", "scenario_started", "run_finished"]
    assert lines[-1]["event"] == "check_finished"
    assert {line["format"] for line in lines} == {1}
    finished = next(line for line in lines if line["event"] == "scenario_finished")
    assert finished["results"][1]["witness"]["sentence"] == samples.WITNESS.sentence
    assert lines[3]["summary"]["digest"] == samples.run_summary(0, 0).digest


@pytest.mark.parametrize("name", ["HOSTILE_CHECK", "INTERRUPTED"])
def test_is_ascii(name: str) -> None:
    stream = io.StringIO()
    for event in getattr(samples, name):
        JsonLinesReport(stream).handle(event)
    assert stream.getvalue().isascii()

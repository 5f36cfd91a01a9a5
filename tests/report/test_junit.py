"""The report for CI servers, read back by a JUnit library as they read it."""

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Properties, Skipped, TestCase, TestSuite
from syrupy.assertion import SnapshotAssertion

from mqverify.events import Event, Witness, WitnessEvent
from mqverify.report import deliver
from mqverify.report.junit import JunitReport
from tests.report import samples


def written(events: list[Event]) -> str:
    stream = io.StringIO()
    deliver(iter(events), [JunitReport(stream)])
    assert stream.getvalue().isascii()
    return stream.getvalue()


def read(events: list[Event]) -> JUnitXml:
    return JUnitXml.fromstring(written(events).encode())


def cases(events: list[Event]) -> dict[str, TestCase]:
    return {case.name: case for suite in read(events) for case in suite}


@pytest.mark.parametrize("name", ["MIXED", "INTERRUPTED"])
def test_looks_like_this(name: str, snapshot: SnapshotAssertion) -> None:
    assert written(getattr(samples, name)) == snapshot


def test_a_suite_for_each_file_and_a_case_for_each_guarantee_on_a_backend() -> None:
    suites = list(read(samples.MIXED))
    assert [(suite.name, suite._elem.get("file"), suite.tests) for suite in suites] == [
        ("orders survive a consumer crash", "specs/settling/crash.yaml", 4),
        ("a year later", "specs/retention/year.yaml", 4),
    ]
    assert [(case.classname, case.name) for case in suites[1]] == [
        ("specs.retention.year", f"{name} [competing]")
        for name in ("at_least_once", "exactly_once", "durable_past_retention", "latency")
    ]
    named = [(case.classname, case.name) for suite in suites for case in suite]
    assert len(set(named)) == len(named), "a CI server takes two cases of one name for one"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("at_least_once [kafka]", None),
        ("exactly_once [kafka]", None),  # violated, as expected
        ("at_least_once [competing]", Failure),
        ("exactly_once [competing]", Failure),  # held, expected violated
        ("durable_past_retention [competing]", Error),
        ("latency [competing]", Skipped),
        ("exactly_once [kafka, real]", None),  # not seen where schedules cannot be chosen
    ],
)
def test_what_becomes_of_each_verdict(name: str, outcome: type | None) -> None:
    results = cases(samples.MIXED)[name].result
    assert [type(result) for result in results] == ([outcome] if outcome else [])


def test_a_failure_holds_the_witness_and_the_properties_what_else_to_know() -> None:
    case = cases(samples.MIXED)["at_least_once [competing]"]
    [failure] = case.result
    assert failure.message == f"violated: {samples.WITNESS.sentence}"
    assert failure.type == "violated"
    for event in samples.WITNESS.events:
        assert event.event in failure.text
    assert samples.VIOLATED.reproduce in failure.text
    properties = {each.name: each.value for each in case.child(Properties)}
    assert properties["seed"] == "0"
    assert (properties["runs"], properties["backend"], properties["world"]) == ("25", "competing", "simulated")
    assert properties["violations"] == "31"


def test_an_expected_violation_passes_and_says_so() -> None:
    case = cases(samples.MIXED)["exactly_once [kafka]"]
    assert case.is_passed
    properties = {each.name: each.value for each in case.child(Properties)}
    assert (properties["verdict"], properties["expected"]) == ("violated", "violated")
    assert properties["expected_why"] == samples.WAIVED.expected_why
    assert samples.WITNESS.sentence in case.system_out


def test_version_and_digests_stand_at_the_suite() -> None:
    [first, second] = list(read(samples.MIXED))
    assert {each.name: each.value for each in first.properties()}["mqverify"] == "0.1.0"
    digests = [each.value for each in second.properties() if each.name == "digest"]
    assert digests == [f"competing, seed {n}: {samples.run_summary(1, n).digest}" for n in (0, 1)]


def test_totals_are_those_of_the_cases_and_times_add_up() -> None:
    report = read(samples.MIXED)
    assert (report.tests, report.failures, report.errors, report.skipped) == (8, 2, 1, 1)
    assert report.time == pytest.approx(3 * 0.024, abs=0.005), "three scenarios of two runs of 12 ms"
    suites: list[TestSuite] = list(report)
    assert sum(suite.tests for suite in suites) == report.tests


def test_file_and_line_lead_to_the_expectation() -> None:
    [case] = cases(samples.check_of([replace(samples.VIOLATED, line=17)])).values()
    assert (case._elem.get("file"), case._elem.get("line")) == ("specs/settling/crash.yaml", "17")


def test_a_check_that_broke_off_is_not_green() -> None:
    events = samples.check_of([samples.HELD], interrupted=True)
    report = read(events)
    assert report.errors == 1
    assert "1 of 1 scenario judged" in cases(events)["the check came to its end"].result[0].message


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("extra", ["\x00\x08\x1b", "\ud800", "\ufffe\uffff", "]]>", "<!--&#x0;", "\u2028\x85"])
def test_is_xml_whatever_names_hold(extra: str, text: str) -> None:
    name = text + extra
    witness = Witness(0, name, (WitnessEvent(0, name, name, 1, name, 0, name, 0),))
    hostile = replace(
        samples.VIOLATED, spec=name, file=name, backend=name, reason=name, expected_why=name, reproduce=name,
        decision=name, witness=witness,
    )  # fmt: skip
    [suite] = list(read(samples.check_of([hostile])))
    assert suite.failures == 1

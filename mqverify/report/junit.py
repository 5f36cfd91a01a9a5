"""The report for CI servers: JUnit's XML, a suite for each spec file, a test case for each guarantee on a backend.

The dialect is the one that Jenkins, GitLab and GitHub's actions read, as pytest writes it: `classname` is the file
with dots, so that Jenkins makes packages of folders; `file` and `line` lead to the expectation. JUnit tells a *failure*
(what was tested is wrong) from an *error* (it could not be tested), as mqverify tells violated from inconclusive.
"""

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import TextIO
from xml.etree import ElementTree as Xml

from mqverify.events import CheckFinished, CheckStarted, Event, Result, RunFinished, RunSummary, ScenarioFinished
from mqverify.report.text import count, plain
from mqverify.report.witness import witness_text
from mqverify.report.words import is_unseen

__all__ = ["JunitReport"]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (production 2, Char) cannot hold, not even escaped."""


class JunitReport:
    """Writes the document when the check ends; ASCII only, so that no encoding of a stream can spoil it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._version = ""
        self._planned = 0
        self._runs: dict[int, list[RunSummary]] = {}
        self._scenarios: dict[int, ScenarioFinished] = {}

    def handle(self, event: Event) -> None:
        match event:
            case CheckStarted():
                self._version, self._planned = event.version, event.scenarios
            case RunFinished():
                self._runs.setdefault(event.summary.scenario, []).append(event.summary)
            case ScenarioFinished():
                self._scenarios[event.scenario] = event
            case CheckFinished():
                self._stream.write('<?xml version="1.0" encoding="utf-8"?>\n')
                self._stream.write(Xml.tostring(self._document(event), encoding="us-ascii").decode("ascii").rstrip())
                self._stream.write("\n")
            case _:
                pass

    def close(self) -> None:
        """Nothing is held open."""

    def _document(self, end: CheckFinished) -> Xml.Element:
        root = Xml.Element("testsuites", name="mqverify")
        files: dict[str, list[ScenarioFinished]] = {}
        for _, scenario in sorted(self._scenarios.items()):
            files.setdefault(scenario.file, []).append(scenario)
        for file, scenarios in files.items():
            suite = Xml.SubElement(root, "testsuite", name=_xml(scenarios[0].spec), file=_xml(file))
            _properties(suite, self._about_spec(scenarios))
            for scenario in scenarios:
                self._add_cases(suite, scenario)
        if end.interrupted:
            self._add_interruption(root)
        for suite in root:
            _total(suite, suite.iter("testcase"))
        _total(root, root.iter("testcase"))
        Xml.indent(root)
        return root

    def _about_spec(self, scenarios: list[ScenarioFinished]) -> list[tuple[str, str]]:
        decision = next((one.decision for scenario in scenarios for one in scenario.results if one.decision), None)
        facts = [("mqverify", self._version), *([("decision", decision)] if decision else [])]
        return [*facts, *(fact for scenario in scenarios for fact in self._digests(scenario))]

    def _digests(self, scenario: ScenarioFinished) -> list[tuple[str, str]]:
        """Whether another machine ran the same can be told by them."""
        backend = _backend(scenario.results[0]) if scenario.results else scenario.backend
        return [("digest", f"{backend}, seed {run.seed}: {run.digest}") for run in self._runs_of(scenario)]

    def _runs_of(self, scenario: ScenarioFinished) -> list[RunSummary]:
        return sorted(self._runs.get(scenario.scenario, ()), key=lambda run: run.run)

    def _add_cases(self, suite: Xml.Element, scenario: ScenarioFinished) -> None:
        runs = self._runs_of(scenario)
        # The runs serve all guarantees alike: each has its share of their time, so that sums are right.
        seconds = sum(run.wall_ms for run in runs) / 1000 / max(1, len(scenario.results))
        for result in scenario.results:
            case = Xml.SubElement(
                suite,
                "testcase",
                classname=_xml(_dotted(result.file)),
                name=_xml(f"{result.guarantee} [{_backend(result)}]"),
                file=_xml(result.file),
                line=str(max(1, result.line)),
                time=f"{seconds:.3f}",
            )
            seed = [("seed", str(runs[0].seed))] if runs else []
            _properties(case, [*_facts(result), *seed, *scenario.details])
            _add_outcome(case, result)

    def _add_interruption(self, root: Xml.Element) -> None:
        """So that nobody takes what was known by then for the whole."""
        suite = Xml.SubElement(root, "testsuite", name="mqverify")
        case = Xml.SubElement(suite, "testcase", classname="mqverify", name="the check came to its end", time="0.000")
        judged = f"{len(self._scenarios):,} of {count(self._planned, 'scenario')} judged"
        Xml.SubElement(case, "error", type="interrupted", message=f"the check broke off: {judged}")


def _backend(result: Result) -> str:
    return f"{result.backend}, real" if result.world == "real" else result.backend


def _facts(result: Result) -> list[tuple[str, str]]:
    facts = [
        ("code", result.code),
        ("backend", result.backend),
        ("system", result.system),
        ("world", result.world),
        ("verdict", result.verdict),
        ("expected", result.expected),
        ("expected_why", result.expected_why or ""),
        ("runs", str(result.runs)),
        ("decided_by", str(result.decided_by)),
        ("obligations", str(result.obligations)),
        ("violations", str(result.violations)),
        ("reason", result.reason),
        ("reproduce", result.reproduce),
    ]
    return [(name, value) for name, value in facts if value]


def _add_outcome(case: Xml.Element, result: Result) -> None:
    if result.verdict == "unsupported":
        Xml.SubElement(case, "skipped", message=_xml(f"unsupported: {result.reason}"))
    elif result.as_expected or is_unseen(result):
        if result.witness:
            Xml.SubElement(case, "system-out").text = _xml(witness_text(result))
    else:
        kind = "error" if result.verdict == "inconclusive" else "failure"
        why = Xml.SubElement(case, kind, type=result.verdict, message=_xml(f"{result.verdict}: {result.reason}"))
        why.text = _xml(witness_text(result))


def _properties(parent: Xml.Element, pairs: Iterable[tuple[str, str]]) -> None:
    properties = Xml.SubElement(parent, "properties")
    for name, value in pairs:
        Xml.SubElement(properties, "property", name=_xml(name), value=_xml(value))


def _total(element: Xml.Element, cases: Iterable[Xml.Element]) -> None:
    counted = list(cases)
    element.set("tests", str(len(counted)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in counted)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in counted):.3f}")


def _dotted(file: str) -> str:
    """`specs/settling/crash.yaml` as `specs.settling.crash`, as a class in its packages."""
    path = PurePath(file).with_suffix("")
    parts = [part.replace(".", "_") for part in path.parts if part not in (path.anchor, ".", "..")]
    return ".".join(parts) or "spec"


def _xml(text: str) -> str:
    """Text that any XML parser takes: what no document may hold is written out, as in every other report."""
    safe = plain(text, keep="\n")
    return _FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape", "backslashreplace").decode("ascii"), safe)

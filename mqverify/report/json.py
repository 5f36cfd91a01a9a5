"""The report for programs: one JSON document, described in docs/reference/json.md. Its format only ever grows."""

import json
from dataclasses import asdict
from math import isfinite
from typing import Any, TextIO

from mqverify.events import (
    CheckFinished,
    CheckStarted,
    Event,
    Figure,
    Result,
    RunFinished,
    RunSummary,
    ScenarioFinished,
    Summary,
    Witness,
)

__all__ = ["FORMAT", "JsonReport", "result_document", "run_document"]

FORMAT = 1
"""Changes when a program that reads the report must change."""


class JsonReport:
    """Writes the whole document when the check ends, also an interrupted one; ASCII only, so safe to look at."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._version = ""
        self._results: dict[int, tuple[Result, ...]] = {}
        self._runs: list[tuple[int, int, dict[str, Any]]] = []

    def handle(self, event: Event) -> None:
        match event:
            case CheckStarted():
                self._version = event.version
            case RunFinished():
                order = (event.summary.scenario, event.summary.run)
                self._runs.append((*order, run_document(event.spec, event.backend, event.summary)))
            case ScenarioFinished():
                self._results[event.scenario] = event.results
            case CheckFinished():
                json.dump(self._document(event), self._stream, indent=2)
                self._stream.write("\n")
            case _:
                pass

    def close(self) -> None:
        """Nothing is held open."""

    def _document(self, end: CheckFinished) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "mqverify": self._version,
            "results": [result_document(result) for _, results in sorted(self._results.items()) for result in results],
            "runs": [run for _, _, run in sorted(self._runs, key=lambda entry: entry[:2])],
            "summary": _summary(end.summary),
            "exit_code": end.exit_code,
        }


def result_document(result: Result) -> dict[str, Any]:
    """One result as documented in docs/reference/json.md."""
    return {
        "spec": result.spec,
        "file": result.file,
        "backend": result.backend,
        "system": result.system,
        "world": result.world,
        "guarantee": result.guarantee,
        "code": result.code,
        "expected": result.expected,
        "verdict": result.verdict,
        "as_expected": result.as_expected,
        "runs": result.runs,
        "obligations": result.obligations,
        "violations": result.violations,
        "reason": result.reason,
        "figures": [_figure(figure) for figure in result.figures],
        "witness": _witness(result.witness) if result.witness else None,
        "reproduce": result.reproduce,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    value = figure.value if isfinite(figure.value) else None  # JSON has no infinity
    return {"name": figure.name, "value": value, "shown": figure.shown}


def _witness(witness: Witness) -> dict[str, Any]:
    return {
        "sentence": witness.sentence,
        "place": witness.place,
        "position": witness.position,
        "events": [asdict(event) for event in witness.events],
    }


def run_document(spec: str, backend: str, run: RunSummary) -> dict[str, Any]:
    """One run as documented in docs/reference/json.md."""
    return {
        "spec": spec,
        "backend": backend,
        "seed": run.seed,
        "digest": run.digest,
        "messages": run.messages,
        "deliveries": run.deliveries,
        "faults": [
            {"fault": number, "kind": kind, "took_effect": took_effect, "why_not": why_not}
            for number, kind, took_effect, why_not in run.faults
        ],
        "drained": run.drained,
        "virtual_ms": run.virtual_ms,
        "wall_ms": run.wall_ms,
    }


def _summary(summary: Summary) -> dict[str, int]:
    return {
        "as_expected": summary.as_expected,
        "not_as_expected": summary.not_as_expected,
        "inconclusive": summary.inconclusive,
        "unsupported": summary.unsupported,
    }

"""Specs whose verdicts follow from the meaning of their words, on every system that has what they ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mqverify.engine import Options, check
from mqverify.events import ScenarioFinished
from mqverify.search.executors import make_executor
from mqverify.spec.load import load_text
from mqverify.spec.model import Spec
from mqverify.spec.registry import Registry

__all__ = ["KNOWN", "Known", "verdicts_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """A workload with its faults, and what must come of it."""

    name: str
    rest: str
    """The spec, without its name and its backend."""
    verdicts: Mapping[str, str]

    def spec(self, system: str, settings: Mapping[str, Any], registry: Registry) -> Spec:
        expected = {name: _expected(verdict) for name, verdict in self.verdicts.items()}
        backend = json.dumps({"it": {"system": system, **settings}})
        text = f"spec: {self.name}\n{self.rest}\nbackends: {backend}\nexpect: {json.dumps(expected)}\n"
        return load_text(text, f"mqverify.testing: {self.name}", registry)


def _expected(verdict: str) -> Any:
    return verdict if verdict == "held" else {verdict: "by the order of handling and settling"}


KNOWN = (
    Known(
        "without a fault all is delivered once",
        "workload: {messages: 120, keys: 12, producers: 2, consumers: 2, settle: after_handling}",
        {
            "at_least_once": "held",
            "at_most_once": "held",
            "durable": "held",
            "integrity": "held",
            "settle_safety": "held",
        },
    ),
    Known(
        "two groups get everything, each",
        "workload: {messages: 60, keys: 6, groups: [one, two], settle: after_handling}",
        {"at_least_once": "held", "at_most_once": "held"},
    ),
    Known(
        "a crash before settling delivers again and loses nothing",
        "workload: {messages: 200, keys: 20, consumers: 2, handler: {takes: 2ms}, settle: after_handling}\n"
        "faults: [{crash: consumer, when: {handled: 20%..60%}, point: before_settle, restart_after: 5s}]",
        {"at_least_once": "held", "exactly_once": "violated"},
    ),
    Known(
        "a crash after settling early loses the message in hand",
        "workload: {messages: 200, keys: 20, consumers: 2, handler: {takes: 40ms..80ms}, settle: before_handling}\n"
        "faults: [{crash: consumer, when: {handled: 20%..60%}, point: in_handler, restart_after: 5s}]",
        {"at_least_once": "violated"},
    ),
    Known(
        "a frozen consumer's messages are handled in the end",
        "workload: {messages: 200, keys: 20, consumers: 2, handler: {takes: 2ms}, settle: after_handling}\n"
        "faults: [{pause: consumer, when: {handled: 20%..60%}, for: 3s}]",
        {"at_least_once": "held", "durable": "held"},
    ),
)
"""The first is the one whose history is looked at."""


def verdicts_of(known: Known, spec: Spec, target: str | None) -> list[str]:
    """Which verdicts are not as they must be."""
    problems = []
    with make_executor(1) as executor:
        for event in check([spec], Options((("it", target),), runs=3 if target is None else 1), executor):
            if isinstance(event, ScenarioFinished):
                problems += [
                    f"{result.guarantee} is {result.verdict}, not {known.verdicts[result.guarantee]}: {result.reason}"
                    for result in event.results
                    if result.verdict != known.verdicts[result.guarantee]
                ]
    return problems

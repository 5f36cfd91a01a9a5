"""What the real world cannot give is told before anything runs."""

from dataclasses import replace

import pytest

from mqverify.worlds.selection import unsupported_reason
from tests.worlds.helpers import scenario

SPEC = """
spec: a question
workload: {{messages: 100, consumers: 2{workload}}}
backends: {{kafka: {{partitions: 2{backend}}}}}
faults: [{fault}]
expect: {{at_least_once: held}}
"""


@pytest.mark.parametrize(
    ("workload", "backend", "fault", "reason"),
    [
        ("", "", "", None),
        ("", "", "{crash: consumer, when: {handled: 50%}, point: before_settle}", None),
        ("", "", "{pause: consumer, for: 10s}", None),
        ("", "", "{pass: 8d, when: drained}", "`pass` comes to real brokers"),
        ("", "", "{add_partitions: 4}", "`add_partitions` comes to real brokers"),
        ("", "", "{crash: consumer, when: {handled: 50%}, point: in_settle}", "in_settle"),
        ("", "", "{crash: leader, when: {handled: 50%}}", "leads a group"),
        ("", "", "{crash: all consumers, when: {handled: 50%}, point: in_handler}", "all consumers"),
        ("", "", "{crash: consumer, when: {handled: 50%}, restart_after: 8d}", "it would take 8d"),
        (", rate: 2/h", "", "", "it would take 2d2h"),
        (", settle: automatic", "", "", "automatic commits"),
        ("", ", client: java", "", "client profile java"),
    ],
)
def test_reasons(workload: str, backend: str, fault: str, reason: str | None) -> None:
    simulated = scenario(SPEC.format(workload=workload, backend=backend, fault=fault))
    assert unsupported_reason(simulated) is None
    found = unsupported_reason(replace(simulated, target="local"))
    assert (found is None) if reason is None else (found is not None and reason in found)

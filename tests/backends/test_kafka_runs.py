"""Whole runs on the simulated Kafka: what becomes of a group whose committed offsets expired."""

from pathlib import Path
from typing import Any

import pytest

from tests.check.test_check import mqverify

EXPIRY = """
spec: a group rests for longer than its offsets are kept
workload: {messages: 100, keys: 10, consumers: 1, rate: 20/h, settle: after_handling}
backends:
  kafka: {retention: unlimited, offsets_retention: 1d, auto_offset_reset: RESET}
faults:
  - {crash: consumer, when: {handled: 40%}, point: after_settle, restart_after: AFTER}
expect: {at_least_once: held, at_most_once: held, legal_resume: held, settle_safety: held}
"""


def verdicts(tmp_path: Path, reset: str, after: str) -> dict[str, Any]:
    import json

    path = tmp_path / "expiry.yaml"
    path.write_text(EXPIRY.replace("RESET", reset).replace("AFTER", after))
    answer = json.loads(mqverify("check", path, "--runs", "2", "-j", "1", "--output-format", "json").stdout)
    return {result["guarantee"]: result for result in answer["results"]}


@pytest.mark.parametrize(
    ("reset", "violated"),
    [("earliest", "at_most_once"), ("latest", "at_least_once")],
)
def test_offsets_that_expired_make_a_group_start_by_its_reset_policy(tmp_path: Path, reset: str, violated: str) -> None:
    """docs/facts/kafka.md §B.3, §H 20: earliest reads all again, latest skips the backlog; MQ132 excuses both."""
    results = verdicts(tmp_path, reset, "2d")
    assert [name for name, result in results.items() if result["verdict"] == "violated"] == [violated]
    assert results["legal_resume"]["obligations"] > 0


def test_offsets_are_kept_as_long_as_they_should(tmp_path: Path) -> None:
    results = verdicts(tmp_path, "latest", "23h")
    assert {result["verdict"] for result in results.values()} == {"held"}

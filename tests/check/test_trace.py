"""`mqverify trace`: one run event by event, on the shipped specs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[2]
CRASH = "specs/settling/before-handling.yaml"


def mqverify(*arguments: object, columns: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqverify", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", **({"COLUMNS": str(columns)} if columns else {})}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def traced(*arguments: object) -> dict[str, Any]:
    ran = mqverify("trace", *arguments, "--output-format", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


@pytest.mark.parametrize("backend", ["kafka", "persistent", "catch_up"])
def test_holds_the_witness_that_named_it(backend: str) -> None:
    """Event for event in the same words; what is of no message was chosen by nearness, and need not be shown."""
    checked = mqverify("check", CRASH, "-b", backend, "--runs", 2, "--output-format", "json")
    result = next(one for one in json.loads(checked.stdout)["results"] if one["guarantee"] == "at_least_once")
    command, *words = result["reproduce"].split()
    assert (command, words[0]) == ("mqverify", "trace")
    assert "--key" in words
    events = traced(*words[1:])["events"]
    for event in result["witness"]["events"]:
        assert event in events or (event["message"] is None and "subscribes" not in event["event"])
    assert any(event["message"] for event in result["witness"]["events"])


def test_a_run_that_holds_is_told_whole_and_is_the_one_that_check_judges() -> None:
    spec = "specs/groups/one-consumer-per-partition.yaml"
    document = traced(spec, "-b", "kafka", "--seed", 7)
    checked = mqverify("check", spec, "-b", "kafka", "--seed", 7, "--runs", 1, "--output-format", "json")
    [run] = json.loads(checked.stdout)["runs"]
    assert {**document["run"], "wall_ms": 0} == {**run, "wall_ms": 0}
    events = document["events"]
    assert document["total"] == len(events)
    assert [event["at_ns"] for event in events] == sorted(event["at_ns"] for event in events)
    sent = [event["message"] for event in events if event["event"].startswith("sends it")]
    assert sorted(sent) == list(range(run["messages"]))
    handed = [event for event in events if event["event"].startswith("is handed it")]
    assert len(handed) == run["deliveries"]
    for start in ("starts", "is given the partition", "commits offset", "handled it", "reads offset", "ends"):
        assert any(event["event"].startswith(start) for event in events)


def test_is_narrowed_to_messages_keys_and_workers() -> None:
    everything = traced(CRASH, "-b", "kafka")
    [message] = {event["message"] for event in traced(CRASH, "-b", "kafka", "--message", 14)["events"]} - {None}
    assert message == 14
    of_keys = traced(CRASH, "-b", "kafka", "--key", "key-14", "--key", "key-3")["events"]
    assert {event["key"] for event in of_keys} == {"key-14", "key-3", None}
    sends = [event for event in everything["events"] if event["key"] == "key-14" and event["actor"] == "producer-1"]
    assert [event for event in of_keys if event["key"] == "key-14" and event["actor"] == "producer-1"] == sends
    of_worker = traced(CRASH, "-b", "kafka", "--worker", "consumer-1")["events"]
    assert {event["actor"] for event in of_worker} == {"consumer-1", "consumer-1 (incarnation 2)", "fault"}
    both = traced(CRASH, "-b", "kafka", "--worker", "producer-1", "--key", "key-14")["events"]
    assert [event for event in both if event["message"] is not None] == sends


@pytest.mark.parametrize("columns", [60, None, 200])
def test_looks_like_this(columns: int | None, snapshot: SnapshotAssertion) -> None:
    ran = mqverify("trace", CRASH, "-b", "persistent", "--seed", 1, "--message", 101, columns=columns)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == snapshot
    assert "\x1b" not in ran.stdout


def test_of_a_long_run_the_first_events_are_shown_and_the_others_counted() -> None:
    ran = mqverify("trace", CRASH, "-b", "kafka", "--limit", 5)
    total = traced(CRASH, "-b", "kafka")["total"]
    assert f"… and {total - 5:,} more; narrow it with --key" in ran.stdout
    assert ran.stdout.count(" s  ") == 5
    assert len(traced(CRASH, "-b", "kafka", "--limit", 5)["events"]) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([CRASH], 2, "say which with -b; there are kafka, persistent, acks_at_once, catch_up"),
        ([CRASH, "-b", "eventstore"], 2, "there are persistent, acks_at_once, catch_up"),
        ([CRASH, "-b", "kafka=nowhere"], 2, "that is no place where a kafka can be"),
        ([CRASH, "-b", "kafka=127.0.0.1:1"], 3, "no Kafka can be reached at 127.0.0.1:1"),
        ([CRASH, "-b", "nats"], 2, "no spec has a backend called 'nats'"),
        ([CRASH, "-b", "kafka", "--key", "key_14"], 2, "did you mean key-14?"),
        ([CRASH, "-b", "kafka", "--message", "200"], 2, "there are 0 to 199"),
        ([CRASH, "-b", "kafka", "--worker", "consumer-9"], 2, "there are consumer-1, consumer-2, producer-1"),
        (["specs/settling", "-b", "kafka"], 2, "name the file of one"),
        (["nowhere.yaml", "-b", "kafka"], 2, "no such file"),
    ],
)
def test_what_cannot_be_traced_is_told(arguments: list[str], code: int, told: str) -> None:
    ran = mqverify("trace", *arguments)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert told in ran.stderr

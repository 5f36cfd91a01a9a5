"""Metadata at read time, deletion and re-creation (docs/facts/eventstore.md §C3)."""

import json
import random
from typing import Any

import pytest

from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.metadata import SOFT_DELETED
from mqverify.simulation.eventstore.protocol import DeleteStream, Failed
from mqverify.simulation.eventstore.records import NewEvent, RecordedEvent
from mqverify.simulation.kernel import SECOND
from tests.simulation.eventstore.harness import STREAM, Machine, event, events, numbers


@pytest.fixture
def log() -> Log:
    return Log(random.Random(1))


def keep(log: Log, metadata: Any, now: int = 0, stream: str = STREAM) -> None:
    data = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    log.append(f"$${stream}", "any", [NewEvent("$metadata", data)], now)


def read(log: Log, now: int = 0, stream: str = STREAM, start: int | None = None, backwards: bool = False) -> Any:
    found = log.read_stream(stream, start, 1000, now, backwards)
    return found.reason if isinstance(found, Failed) else numbers(found)


def in_all(log: Log) -> list[int]:
    return numbers(record for record in log.read_all(0, 1000) if record.stream_name == STREAM)


def test_c3_max_count_keeps_the_last(log: Log) -> None:
    log.append(STREAM, "any", events(0, 10), 0)
    keep(log, {"$maxCount": 3})
    assert read(log) == [7, 8, 9]
    log.append(STREAM, "any", events(10, 1), 0)
    assert read(log) == [8, 9, 10], "numbers do not change"


def test_c3_tb_hides_what_is_before(log: Log) -> None:
    log.append(STREAM, "any", events(0, 10), 0)
    keep(log, {"$tb": 6})
    assert read(log) == [6, 7, 8, 9]
    assert read(log, start=2) == [6, 7, 8, 9]
    assert read(log, backwards=True, start=7) == [7, 6]


def test_c3_the_larger_of_max_count_and_tb_counts(log: Log) -> None:
    log.append(STREAM, "any", events(0, 10), 0)
    keep(log, {"$tb": 2, "$maxCount": 4})
    assert read(log) == [6, 7, 8, 9]
    keep(log, {"$tb": 8, "$maxCount": 4})
    assert read(log) == [8, 9]
    keep(log, {})
    assert read(log) == list(range(10)), "what is hidden is still there"


def test_c3_max_age_is_compared_at_read_time_and_exactly(log: Log) -> None:
    for number in range(5):
        log.append(STREAM, "any", [event(number)], number * SECOND)
    keep(log, {"$maxAge": 10}, 4 * SECOND)
    assert read(log, 10 * SECOND) == [0, 1, 2, 3, 4], "absent is what is older than now - maxAge"
    assert read(log, 10 * SECOND + 1) == [1, 2, 3, 4]
    assert read(log, 13 * SECOND) == [3, 4]


def test_c3_max_age_can_expire_all_and_the_stream_reads_empty_not_missing(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    keep(log, {"$maxAge": 1})
    assert read(log, 2 * SECOND) == []
    assert read(log, 2 * SECOND, backwards=True) == []
    assert read(log, stream="never-was") == "stream_not_found"
    log.append(STREAM, 2, events(3, 1), 2 * SECOND)
    assert read(log, 2 * SECOND) == [3], "numbering goes on"


def test_c3_tb_beyond_the_end_hides_all_until_it_is_reached(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    keep(log, {"$tb": 5})
    assert read(log) == []
    log.append(STREAM, "any", events(3, 4), 0)
    assert read(log) == [5, 6]


def test_c3_all_ignores_metadata_completely(log: Log) -> None:
    log.append(STREAM, "any", events(0, 10), 0)
    keep(log, {"$maxCount": 1, "$maxAge": 1, "$tb": 9})
    assert in_all(log) == list(range(10))
    log.delete(STREAM, "any", 0)
    assert in_all(log) == list(range(10))


def test_c3_metastreams_have_max_count_one(log: Log) -> None:
    for count in (1, 2, 3):
        keep(log, {"$maxCount": count})
    assert read(log, stream=f"$${STREAM}") == [2]
    keep(log, {"$maxCount": 7}, stream=f"$${STREAM}")
    assert read(log, stream=f"$${STREAM}") == [2], "and no metadata of their own"


@pytest.mark.parametrize(
    "metadata",
    [
        b"", b"no json", b"[1]", b"7", b"\xff\xfe", b'{"$maxCount"', b"[" * 100_000, {"$maxCount": "1"},
        {"$maxCount": 0}, {"$maxCount": -3}, {"$maxCount": True}, {"$maxCount": 1.5}, {"$maxAge": 0},
        {"$maxAge": "P1D"}, {"$tb": -1}, {"$tb": 2**63}, {"$tb": None}, {"$maxCount": 1, "$maxAge": "x"},
        {"$cacheControl": 5, "$acl": {}},
    ],
)  # fmt: skip
def test_c3_metadata_that_cannot_be_understood_keeps_everything(log: Log, metadata: Any) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    keep(log, {"$maxCount": 1})
    keep(log, metadata)
    assert read(log, 100 * SECOND) == [0, 1, 2]


def test_c3_metadata_that_is_no_json_by_its_content_type_keeps_everything(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    log.append(f"$${STREAM}", "any", [NewEvent("$metadata", b'{"$maxCount":1}', b"", "application/octet-stream")], 0)
    assert read(log) == [0, 1, 2]


def test_c3_metadata_may_come_before_the_stream(log: Log) -> None:
    keep(log, {"$maxCount": 2})
    assert read(log) == "stream_not_found"
    log.append(STREAM, "no_stream", events(0, 5), 0)
    assert read(log) == [3, 4]


# --- soft delete -----------------------------------------------------------------------------------------------------


def test_c3_soft_delete_is_tb_of_the_largest_number(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    log.delete(STREAM, 2, 0)
    assert read(log) == "stream_not_found"
    assert log.last_revision(STREAM) == 2
    assert json.loads(log.records[-1].data) == {"$tb": 2**63 - 1}
    assert (log.records[-1].type, log.records[-1].stream_name) == ("$metadata", f"$${STREAM}")


@pytest.mark.parametrize("expected", ["any", "no_stream", 2])
def test_c3_a_write_recreates_a_soft_deleted_stream_with_the_next_number(log: Log, expected: Any) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    log.delete(STREAM, "any", 0)
    told: list[list[RecordedEvent]] = []
    log.watchers.append(lambda records: told.append(list(records)))
    assert log.append(STREAM, expected, events(3, 2), 0).revision == 4  # type: ignore[union-attr]
    assert read(log) == [3, 4]
    [[*data, metadata]] = told
    assert numbers(data) == [3, 4]
    assert (metadata.stream_name, json.loads(metadata.data)) == (f"$${STREAM}", {"$tb": 3})


def test_c3_recreation_rewrites_tb_and_keeps_the_other_metadata(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    keep(log, {"$tb": 2**63 - 1, "$maxCount": 1, "custom": [1]})
    log.append(STREAM, "any", events(3, 2), 0)
    assert json.loads(log.records[-1].data) == {"$tb": 3, "$maxCount": 1, "custom": [1]}
    assert read(log) == [4]


def test_c3_new_metadata_recreates_a_soft_deleted_stream_too(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    log.delete(STREAM, "any", 0)
    keep(log, {"$maxCount": 5})
    assert json.loads(log.records[-1].data) == {"$maxCount": 5, "$tb": 3}
    assert read(log) == []


def test_c3_deleting_a_stream_that_never_existed_is_a_wrong_version() -> None:
    machine = Machine()
    for expected in ("any", "no_stream"):
        answer = machine.ask(DeleteStream(STREAM, expected))  # type: ignore[arg-type]
        assert answer.reason == "deleted_wrong_version"
        assert answer.details.endswith(f"Stream: {STREAM}, Expected version: {expected}, Actual version: -1")
    assert not machine.log.records


def test_c3_delete_and_tombstone_check_the_expected_revision() -> None:
    machine = Machine()
    machine.append(STREAM, 0, 3)
    for tombstone in (False, True):
        for expected in (1, 3, "no_stream"):
            answer = machine.ask(DeleteStream(STREAM, expected, tombstone))  # type: ignore[arg-type]
            assert (answer.reason, answer.details[-17:]) == ("deleted_wrong_version", "Actual version: 2")
    assert read(machine.log) == [0, 1, 2]
    answer = machine.ask(DeleteStream(STREAM, 2))
    assert (answer.revision, answer.position) == (None, machine.log.records[-1].commit_position)


# --- tombstones ------------------------------------------------------------------------------------------------------


def test_c3_a_tombstone_is_for_ever(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    log.delete(STREAM, "any", 0, tombstone=True)
    tombstone = log.records[-1]
    assert (tombstone.type, tombstone.stream_name, tombstone.stream_position) == ("$streamDeleted", STREAM, 2**63 - 1)
    assert log.last_revision(STREAM) == SOFT_DELETED
    assert read(log) == read(log, backwards=True) == read(log, stream=f"$${STREAM}") == "stream_deleted"
    for again in (False, True):
        refused = log.delete(STREAM, "any", 0, tombstone=again)
        assert isinstance(refused, Failed)
        assert refused.reason == "stream_deleted"
    assert in_all(log) == [0, 1, 2, 2**63 - 1]


def test_c3_a_stream_that_is_soft_deleted_or_never_was_can_be_tombstoned(log: Log) -> None:
    log.append(STREAM, "any", events(0, 3), 0)
    log.delete(STREAM, "any", 0)
    for name in (STREAM, "never-was"):
        assert not isinstance(log.delete(name, "any", 0, tombstone=True), Failed)
        assert read(log, stream=name) == "stream_deleted"

"""Expected revisions, idempotence and the shape of writes (docs/facts/eventstore.md §C1, §C2)."""

import random
from typing import Any

import pytest

from mqverify.simulation.eventstore.log import Log
from mqverify.simulation.eventstore.protocol import Append, Appended, Failed, WrongVersion
from tests.simulation.eventstore.harness import STREAM, Machine, event, events, ids, numbers


class Writer:
    """A log, and what a client may want of it."""

    def __init__(self, id_cache_bytes: int = 8 << 20) -> None:
        self.log = Log(random.Random(1), id_cache_bytes)

    def append(self, expected: Any, *given: Any, stream: str = STREAM) -> Any:
        return self.log.append(stream, expected, given, 0)

    def ids(self, stream: str = STREAM) -> list[int]:
        found = self.log.stream(stream)
        return ids(found.events) if found else []


@pytest.fixture
def writer() -> Writer:
    return Writer()


def deleted(answer: Any) -> bool:
    return isinstance(answer, Failed) and answer.reason == "stream_deleted"


# --- what is expected ------------------------------------------------------------------------------------------------


def test_c1_any_writes_at_the_end_whatever_is_there(writer: Writer) -> None:
    assert writer.append("any", event(1)).revision == 0
    assert writer.append("any", event(2), event(3)).revision == 2
    assert writer.ids() == [1, 2, 3]


def test_c1_no_stream_is_for_the_first_write(writer: Writer) -> None:
    assert writer.append("no_stream", event(1)).revision == 0
    assert writer.append("no_stream", event(2)) == WrongVersion(0)


def test_c1_exact_revision_is_written_at_the_end_only(writer: Writer) -> None:
    assert writer.append(0, event(9)) == WrongVersion(None)
    writer.append("any", *events(1, 3))
    assert writer.append(1, event(9)) == WrongVersion(2)
    assert writer.append(3, event(9)) == WrongVersion(2)
    assert writer.append(2, event(9)).revision == 3


def test_c1_exists_wants_events_or_metadata(writer: Writer) -> None:
    assert writer.append("exists", event(1)) == WrongVersion(None)
    writer.append("any", event(2), stream=f"$${STREAM}")
    assert writer.append("exists", event(1)).revision == 0


def test_c1_tombstoned_refuses_whatever_is_expected(writer: Writer) -> None:
    writer.append("any", event(1))
    writer.log.delete(STREAM, "any", 0, tombstone=True)
    for expected in ("any", "exists", "no_stream", 0, 7):
        assert deleted(writer.append(expected, event(2)))
    assert deleted(writer.append("any", event(1))), "a repetition too"
    assert deleted(writer.append("any", event(3), stream=f"$${STREAM}")), "its metadata goes with it"


def test_c1_soft_deleted_refuses_exists_only(writer: Writer) -> None:
    writer.append("any", event(1))
    writer.log.delete(STREAM, "any", 0)
    assert deleted(writer.append("exists", event(2)))
    assert writer.append("any", event(2)).revision == 1


# --- weak idempotence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", ["any", "exists"])
def test_c1_weak_all_known_is_idempotent_and_answers_as_the_first_time(writer: Writer, expected: Any) -> None:
    first = writer.append("any", event(1), event(2))
    writer.append("any", event(3))
    assert writer.append(expected, event(1), event(2)) == first
    assert writer.append(expected, event(1)).revision == 0
    assert writer.ids() == [1, 2, 3]


@pytest.mark.parametrize("expected", ["any", "exists"])
def test_c1_weak_first_known_then_unknown_is_corrupted(writer: Writer, expected: Any) -> None:
    writer.append("any", event(1))
    assert writer.append(expected, event(1), event(2)) == WrongVersion(0)
    assert writer.ids() == [1]


def test_c1_weak_first_unknown_is_written_even_if_a_later_one_is_known(writer: Writer) -> None:
    writer.append("any", event(1))
    assert writer.append("any", event(2), event(1)).revision == 2
    assert writer.ids() == [1, 2, 1]


def test_c1_weak_compares_ids_alone(writer: Writer) -> None:
    writer.append("any", event(1, data=b'{"a":1}'))
    assert writer.append("any", event(1, type="Other", data=b'{"a":2}')).revision == 0
    assert len(writer.ids()) == 1


def test_c1_weak_does_not_survive_a_restart(writer: Writer) -> None:
    writer.append("any", event(1))
    writer.log.restart()
    assert writer.append("any", event(1)).revision == 1
    assert writer.ids() == [1, 1]


def test_c1_weak_is_evicted_under_load() -> None:
    writer = Writer(id_cache_bytes=10 * (64 + 2 * len(STREAM)))
    for number in range(11):
        writer.append("any", event(number))
    assert writer.append("any", event(1)).revision == 1, "ten fit"
    assert writer.append("any", event(0)).revision == 11, "the eleventh drove the first out"
    assert writer.append("any", event(1)).revision == 12, "and the first that came again the second"


def test_c1_weak_holds_eight_mebibytes_which_are_60_to_100_thousand_events(writer: Writer) -> None:
    stream = "order-stream-of-20-c"
    for first in range(0, 100_000, 1000):
        writer.append("any", *events(first, 1000), stream=stream)
    assert writer.append("any", event(40_000), stream=stream).revision == 40_000
    assert writer.append("any", event(0), stream=stream).revision == 100_000


def test_c1_weak_remembers_one_place_of_an_id_1173(writer: Writer) -> None:
    writer.append("any", event(1))
    assert writer.append("any", event(1), stream="other-1").revision == 0, "another stream: no repetition"
    assert writer.append("any", event(1)).revision == 1, "and now the first stream is forgotten"
    assert writer.ids() == [1, 1]


# --- strong idempotence ----------------------------------------------------------------------------------------------


def test_c1_strong_all_equal_behind_n_is_idempotent(writer: Writer) -> None:
    first = writer.append("no_stream", event(1), event(2))
    then = writer.append(1, event(3), event(4))
    assert writer.append("no_stream", event(1), event(2)) == first
    assert writer.append(1, event(3), event(4)) == then
    assert writer.append(1, event(3)).revision == 2
    assert writer.ids() == [1, 2, 3, 4]


def test_c1_strong_survives_restart_and_eviction() -> None:
    writer = Writer(id_cache_bytes=1)
    writer.append("no_stream", *events(1, 5))
    writer.log.restart()
    assert writer.append("no_stream", *events(1, 5)).revision == 4
    assert writer.append(2, event(4)).revision == 3
    assert writer.ids() == [1, 2, 3, 4, 5]


def test_c1_strong_first_differs_is_wrong(writer: Writer) -> None:
    writer.append("any", *events(1, 3))
    assert writer.append(0, event(9), event(3)) == WrongVersion(2)
    assert writer.append(0, event(3)) == WrongVersion(2), "it is there, but not behind 0"


def test_c1_strong_later_differs_or_is_missing_is_wrong(writer: Writer) -> None:
    writer.append("any", *events(1, 3))
    assert writer.append(0, event(2), event(9)) == WrongVersion(2)
    assert writer.append(0, event(2), event(3), event(4)) == WrongVersion(2), "half of it is there: corrupted"
    assert writer.ids() == [1, 2, 3]


def test_c1_strong_at_the_end_duplicate_ids_are_written_1898_2274(writer: Writer) -> None:
    writer.append("no_stream", event(1))
    assert writer.append(0, event(1)).revision == 1
    assert writer.ids() == [1, 1]


def test_c1_no_stream_on_a_soft_deleted_stream_recreates_it_if_the_first_differs(writer: Writer) -> None:
    writer.append("any", *events(1, 3))
    writer.log.delete(STREAM, "any", 0)
    assert writer.append("no_stream", event(1), event(2)).revision == 1, "the same as ever: idempotent"
    assert writer.append("no_stream", event(1), event(9)) == WrongVersion(2), "corrupted"
    assert writer.append(0, event(9)) == WrongVersion(2), "an exact revision must be the last one"
    assert writer.append("no_stream", event(4)).revision == 3
    found = writer.log.read_stream(STREAM, 0, 10, 0)
    assert not isinstance(found, Failed)
    assert numbers(found) == [3]


# --- batches ---------------------------------------------------------------------------------------------------------


def test_c1_an_empty_batch_succeeds_except_below_the_end(writer: Writer) -> None:
    writer.append("any", event(1))
    end = writer.log.end_position
    assert writer.append("any").revision == 0
    assert writer.append(0).revision == 0
    assert writer.append("no_stream") == WrongVersion(0)
    assert writer.append("any", stream="never-was").revision is None
    assert writer.log.end_position == end


def test_c2_a_batch_is_contiguous_and_each_event_has_its_own_position(writer: Writer) -> None:
    told: list[list[int]] = []
    writer.log.watchers.append(lambda records: told.append(ids(records)))
    answer = writer.append("any", *events(1, 3))
    writer.append("any", event(4), stream="other-1")
    places = [record.commit_position for record in writer.log.records]
    assert told == [[1, 2, 3], [4]]
    assert places == sorted(set(places))
    assert all(record.commit_position == record.prepare_position for record in writer.log.records)
    assert answer == Appended(2, places[2] or 0), "the position of the last event"


def test_c2_positions_grow_by_the_size_of_records(writer: Writer) -> None:
    writer.append("any", event(1))
    writer.append("any", event(2, data=bytes(1000)))
    writer.append("any", event(3))
    small, large, _ = (record.commit_position or 0 for record in writer.log.records)
    last = writer.log.records[2].commit_position or 0
    assert last - large == large - small + 998


def test_c2_what_is_told_can_be_read_and_what_is_appended_then_is_told_later(writer: Writer) -> None:
    log = writer.log
    told: list[tuple[int, int]] = []

    def echo(records: Any) -> None:
        if records[0].stream_name == STREAM:
            writer.append("any", event(100), stream="echo-1")

    log.watchers.append(echo)
    log.watchers.append(lambda records: told.append((records[0].id.int, log.last_revision(records[0].stream_name))))
    writer.append("any", event(1))
    assert told == [(1, 0), (100, 0)]


def test_c2_an_append_above_the_limit_is_refused_whole() -> None:
    """Size is data, metadata and twice the length of the type, of all events together; 1 MiB by default."""
    machine = Machine()
    kind = "T" * 12
    fits = event(1, type=kind, data=bytes((1 << 20) - 24 - 10), metadata=bytes(10))
    assert machine.ask(Append(STREAM, "any", (fits,))).revision == 0
    over = machine.ask(Append(STREAM, "any", (fits, event(2, type=""))))
    assert (over.reason, over.details) == ("too_large", "Maximum Append Size of 1048576 Exceeded.")
    assert machine.log.last_revision(STREAM) == 0

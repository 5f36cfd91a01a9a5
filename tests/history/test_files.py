"""A worker's file: everything recorded comes back as the same rows, and no damage is taken for history."""

import inspect
import os
import signal
import struct
import subprocess
import sys
import threading
from binascii import crc32
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mqverify.errors import HistoryError
from mqverify.history import records
from mqverify.history.files import FileRecorder
from mqverify.history.recorder import RunRows, WorkerRecorder, strictly_increasing
from mqverify.history.records import (
    BATCH,
    BATCH_HEAD,
    BLOCK_SIZE,
    CALLS,
    FORMS,
    MARK,
    SENDS,
    TAIL,
    WORDS,
    WorkerHeader,
    cells_after,
    code_of,
    counted_head,
)
from mqverify.history.replay import FOREIGN, replay
from mqverify.history.send_rows import CELL_PRIME, ROW_SIZE, ROWS
from mqverify.history.tables import TABLES

KEYS = ["order-0", "order-1", "注文-2"]


@dataclass
class Plan:
    keys: list[str] = field(default_factory=lambda: [KEYS[i % 3] for i in range(9)])
    sequences: list[int] = field(default_factory=lambda: [i // 3 for i in range(9)])


HEADER = WorkerHeader("billing/consumer-2", "consumer", 1, "billing", None, 4711, 1_000)


class Ticks:
    """A clock that both recorders of a comparison see alike."""

    def __init__(self, start=1_000, step=7):
        self.time, self.step = start, step

    def __call__(self):
        self.time += self.step
        return self.time


def both(tmp_path):
    """A recorder to rows, one to a file, and where they write."""
    rows = RunRows()
    ticks = Ticks(0)
    direct = WorkerRecorder(rows, ticks, Plan(), HEADER.worker, HEADER.incarnation, HEADER.consumer_group, HEADER.shard)
    path = tmp_path / "worker.records"
    return rows, direct, path, FileRecorder(path, HEADER, KEYS, Ticks(1_000))


def work(recorder):
    """Every method, every code and every null; returns the tokens."""
    tokens = [recorder.send_invoked(0), recorder.send_invoked(8, 2, 5), recorder.send_invoked(3, attempt=2)]
    recorder.send_completed(tokens[0], "acked", 0, 2**62, -3, 210, 4)
    recorder.send_completed(tokens[1], "failed")
    tokens += [recorder.assigned(0, 3), recorder.assigned(2**40)]
    recorder.start_known(tokens[3], 17, "committed")
    for word in WORDS["start_from"]:
        recorder.start_known(tokens[4], 0, word)
    tokens += [
        recorder.delivered(4, KEYS[1], 1, 0, 17, 0, 17),
        recorder.delivered(None, None, None, None, None, 5, 0, False),
        recorder.delivered(5, KEYS[2], 1, 3, 9, 3, 9, True, 2, 0, 2),
    ]
    for token, result in zip(tokens[5:8], WORDS["result"], strict=True):
        recorder.handler_started(token)
        recorder.handler_ended(token, result)
    for action in WORDS["action"]:
        for covers in WORDS["covers"]:
            for settled_by in WORDS["settled_by"]:
                tokens.append(recorder.settling(1, 18, action, covers, settled_by, 7))
    tokens.append(recorder.settling(1, 18, "commit", "below"))
    for token, outcome in enumerate(WORDS["outcome"]):
        recorder.settled(token, outcome)
    recorder.revoked(0, 3)
    recorder.lost(2**40)
    tokens.append(recorder.assigned(1, None))
    recorder.start_known(tokens[-1], None, "end")
    return tokens


def test_every_method_comes_back_as_the_same_rows(tmp_path):
    rows, direct, path, to_file = both(tmp_path)
    assert work(to_file) == work(direct)
    replayed_rows = RunRows()
    replayed = replay(path, replayed_rows, Plan(), KEYS)
    assert replayed_rows.tables == rows.tables
    assert replayed_rows.digest() == rows.digest()
    assert replayed.header == HEADER
    assert replayed.torn == 0
    assert replayed.first == 7
    assert replayed.last == 7 * replayed.records
    assert type(replayed_rows.tables["deliveries"][0][-1]) is bool


def test_deliveries_of_one_poll_come_back_as_if_recorded_one_by_one(tmp_path):
    rows, path = RunRows(), tmp_path / "worker.records"
    clock = strictly_increasing(lambda: 7)
    direct = WorkerRecorder(rows, clock, Plan(), HEADER.worker, HEADER.incarnation, HEADER.consumer_group, HEADER.shard)
    to_file = FileRecorder(path, HEADER, KEYS, lambda: 1_007)
    of_poll = [
        (0, KEYS[0], 0, 2, 5, True), (2, None, 0, 0, 7, True), (None, None, None, 1, 8, False),
        (None, None, None, 1, 9, True),
    ]  # fmt: skip
    for recorder in (direct, to_file):
        recorder.assigned(0)
        assert list(recorder.delivered_together(of_poll)) == [0, 1, 2, 3]
        assert list(recorder.delivered_together([])) == []
        assert list(recorder.delivered_together(of_poll[:1])) == [4]
        recorder.handler_started(2)
        recorder.handler_started(4)
        recorder.handler_ended(4, "refused")
        assert recorder.delivered(4, KEYS[1], 1, 0, 17, 0, 17) == 5
    replayed_rows = RunRows()
    replay(path, replayed_rows, Plan(), KEYS)
    assert replayed_rows.tables == rows.tables


def test_sends_come_back_as_if_recorded_one_by_one(tmp_path):
    """Whatever fits into a row, and what does not: too large a number, a revision."""
    rows, path = RunRows(), tmp_path / "worker.records"
    clock = strictly_increasing(lambda: 7)
    direct = WorkerRecorder(rows, clock, Plan(), HEADER.worker, HEADER.incarnation, HEADER.consumer_group, HEADER.shard)
    to_file = FileRecorder(path, HEADER, KEYS, lambda: 1_007)
    for recorder in (direct, to_file):
        for number in range(2 * ROWS):
            assert recorder.send_invoked(number % 9, 1 + number % 3) == number
        for number in range(2 * ROWS - 1, 0, -2):
            recorder.send_completed(number, "acked", 3, number, -number, 282)
        recorder.send_completed(0, "acked", None, 0, None, 1)
        recorder.send_completed(2, "unknown")
        recorder.send_completed(4, "failed")
        recorder.assigned(0)
        recorder.send_completed(6, "acked", 0, 1, 2**62, 4)
        recorder.send_completed(8, "acked", 0, 1, -(2**62), 4, 5)
        token = recorder.send_invoked(3)
        for expected in (None, 7, None):
            recorder.send_completed(token, "acked", 1, 2, 3, 4)
            token = recorder.send_invoked(2, 2**20, expected)
        recorder.send_completed(token, "acked", 1, 2, 3, 4)
    replayed_rows = RunRows()
    replayed = replay(path, replayed_rows, Plan(), KEYS)
    assert replayed_rows.tables == rows.tables
    assert (replayed.torn, replayed.first) == (0, 7)


def test_a_send_is_invoked_or_not_and_answered_or_not(tmp_path):
    """A worker can be killed between any two words; each is written in one step, the last of them counts."""
    _, _, path, recorder = both(tmp_path)
    recorder.send_invoked(0)
    empty = bytearray(path.read_bytes())
    rows = cells_after(len(HEADER.pack()) + BATCH_HEAD.size + TAIL.size)
    empty[rows : rows + ROW_SIZE] = bytes(ROW_SIZE)
    recorder.send_invoked(1)
    recorder.send_completed(0, "acked", 3, 17, 5, 282)
    full = path.read_bytes()
    first, second = range(rows, rows + ROW_SIZE, 8), range(rows + ROW_SIZE, rows + 2 * ROW_SIZE, 8)
    found = []
    for word in (None, *first[:2], *second[:2], *first[2:]):
        if word is not None:
            empty[word : word + 8] = full[word : word + 8]
        path.write_bytes(empty)
        replayed = replay(path, left := RunRows(), Plan(), KEYS)
        found.append((replayed.records, [row[-1] for row in left.tables["sends"]]))
    unknown = (2, ["unknown", "unknown"])
    one = (1, ["unknown"])
    assert found == [(0, []), (0, []), one, one, unknown, *[unknown] * 4, (3, ["acked", "unknown"])]
    assert bytes(empty) == full


def test_what_was_recorded_after_the_end_of_the_run_is_left_out(tmp_path):
    path = tmp_path / "worker.records"
    recorder = FileRecorder(path, HEADER, KEYS, Ticks(1_000, 10))
    recorder.send_invoked(0)  # at 10
    recorder.send_completed(0, "acked", 0, 0, 0, 0)
    recorder.send_invoked(1)
    recorder.send_completed(1, "acked", 0, 1, 0, 0)  # at 40
    found = []
    for until in (5, 10, 25, 39, 40):
        replay(path, rows := RunRows(), Plan(), KEYS, until)
        found.append([row[-1] for row in rows.tables["sends"]])
    assert found == [[], ["unknown"], ["acked"], ["acked", "unknown"], ["acked", "acked"]]


def test_both_recorders_have_the_same_methods_and_the_format_knows_each():
    def public(kind):
        return {
            name: inspect.signature(value)
            for name, value in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    of_rows, of_file = public(WorkerRecorder), public(FileRecorder)
    del of_file["clock"], of_file["close"]
    assert of_file == of_rows
    assert {call.method for call in CALLS} == set(of_rows) - {"delivered_together"}
    for call in CALLS:
        names = {*call.words, *(name for name, _ in call.integers)}
        assert names == set(of_rows[call.method].parameters) - {"self"}


def test_a_foreign_key_is_not_taken_for_no_key(tmp_path):
    _, _, path, recorder = both(tmp_path)
    recorder.delivered(3, "somebody else's", 1, 0, 1, 0, 1)
    recorder.delivered(3, None, 1, 0, 2, 0, 2)
    recorder.delivered_together([(3, "somebody else's", 1, 0, 1, True), (3, None, 1, 0, 2, True)])
    rows = RunRows()
    replay(path, rows, Plan(), KEYS)
    keys = [row[4] for row in rows.tables["deliveries"]]
    assert keys == [FOREIGN, None] * 2
    assert FOREIGN not in KEYS


def test_every_word_of_a_start_can_be_recorded(tmp_path):
    """The adapter's and the tables' words, those of the simulated world included."""
    _, _, path, recorder = both(tmp_path)
    words = ("committed", "reset_beginning", "reset_end", "beginning", "end", "sink", "kept")
    for word in words:
        recorder.start_known(recorder.assigned(0), 5, word)
    rows = RunRows()
    replay(path, rows, Plan(), KEYS)
    assert [row[TABLES["assignments"].column_names[2:].index("start_from")] for row in rows.tables["assignments"]] == [
        *words
    ]


def ends_of(data):
    """Where records end in a file: after how many bytes how many deliveries and other calls are whole; and the cells.

    A cell is written in one step, so nobody can be killed within it.
    """
    at, count = len(HEADER.pack()), 0
    found, cells = {at: 0}, set()
    while at < len(data):
        kind = data[at] - 1
        several = BATCH_HEAD.unpack_from(data, at)[2] if kind == BATCH else 1
        at += BATCH_HEAD.size + 48 * several + TAIL.size if kind == BATCH else FORMS[kind].whole.size
        count += several
        found[at] = count
        if kind == BATCH:
            for _ in range(2 * several):
                cells.update(range(at, at := (at + 7) // 8 * 8 + 8))
                count += any(data[at - 8 : at])
                found[at] = count
    return found, cells


@pytest.mark.parametrize("zeros", [True, False])
def test_a_torn_end_at_every_byte_loses_one_record_at_most(tmp_path, zeros):
    """Whether the rest of the block is still there, as after a kill, or the file was cut."""
    _, _, path, recorder = both(tmp_path)
    recorder.delivered_together([(number, KEYS[0], 0, 2, number, True) for number in range(3)])
    recorder.handler_started(0)
    recorder.handler_ended(0, "failed")
    recorder.handler_started(1)
    recorder.assigned(0)
    recorder.delivered(4, KEYS[1], 1, 0, 17, 0, 17)
    recorder.close()
    data, start, torn = path.read_bytes(), len(HEADER.pack()), tmp_path / "torn"
    (ends, cells), end = ends_of(data), 0
    assert max(ends) == len(data)
    for length in range(start if zeros else 0, min(len(data), 900) + 1):
        if length in cells and length not in ends:
            continue
        torn.write_bytes(data[:length] + bytes(4_096 if zeros else 0))
        replayed = replay(torn, RunRows(), Plan(), KEYS)
        if length < start:
            assert (replayed.header, replayed.records, replayed.torn) == (None, 0, length)
            continue
        end = length if length in ends else end
        assert (replayed.header, replayed.records) == (HEADER, ends[end])
        assert replayed.torn == len(data[end:length].rstrip(b"\0"))


def test_blocks_follow_on_each_other(tmp_path):
    path = tmp_path / "worker.records"
    recorder = FileRecorder(path, HEADER, KEYS)
    several = [(number % 9, KEYS[0], 0, 0, number, True) for number in range(5_000)]  # more than a batch may hold
    for turn in range(3):
        tokens = recorder.delivered_together(several)
        assert list(tokens) == list(range(turn * 11_000, turn * 11_000 + 5_000))
        for _ in range(6_000):
            token = recorder.delivered(1, KEYS[1], 0, 0, 1, 0, 1)
            recorder.handler_started(token)
    assert path.stat().st_size % BLOCK_SIZE == 0
    for _ in range(2):
        replayed = replay(path, rows := RunRows(), Plan(), KEYS)
        assert (replayed.records, replayed.torn) == (3 * 17_000, 0)
        assert [row[11] for row in rows.tables["deliveries"][:5_000]] == list(range(5_000))
        recorder.close()
    assert path.stat().st_size % BLOCK_SIZE


def test_every_flipped_byte_is_seen(tmp_path):
    _, _, path, recorder = both(tmp_path)
    recorder.delivered(4, KEYS[1], 1, 0, 17, 0, 17)
    token = recorder.delivered_together([(5, KEYS[2], 1, 0, 18, True), (6, KEYS[0], 2, 0, 19, True)])[0]
    recorder.handler_started(token)
    recorder.handler_ended(token, "handled")
    recorder.handler_started(0)
    recorder.send_invoked(3)
    recorder.send_completed(recorder.send_invoked(4), "acked", 0, 1, 2, 3)
    data = path.read_bytes()
    used = len(data.rstrip(b"\0"))
    broken = tmp_path / "broken"
    for place in [*range(used + 100), len(data) - 1]:
        for bits in (0x41, 0xFF):
            flipped = bytearray(data)
            flipped[place] ^= bits
            broken.write_bytes(flipped)
            try:
                replayed = replay(broken, RunRows(), Plan(), KEYS)
            except HistoryError:
                continue
            # A length that reaches past the end is as good as a torn header; a kind alone, as a torn record.
            assert replayed.header is None
            assert 12 <= place < 16


@pytest.mark.parametrize(
    "data",
    [b"garbage", b"\0" * 4096, b"PAR1" * 30, HEADER.pack()[:-1] + b"?", HEADER.pack() + b"\0\1"],
    ids=["text", "zeros", "parquet", "checksum of header", "no record"],
)
def test_garbage_is_refused(tmp_path, data):
    path = tmp_path / "worker.records"
    path.write_bytes(data)
    with pytest.raises(HistoryError, match="is not a worker's history"):
        replay(path, RunRows(), Plan(), KEYS)


def test_another_format_version_is_refused_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FORMAT", 9)
    path = tmp_path / "worker.records"
    FileRecorder(path, HEADER, KEYS).close()
    monkeypatch.undo()
    with pytest.raises(HistoryError, match="version 9, and this mqverify reads 3"):
        replay(path, RunRows(), Plan(), KEYS)


def pack(kind, stamp, *fields, code=None):
    body = FORMS[kind].body.pack(FORMS[kind].code if code is None else code, stamp, *fields)
    return body + TAIL.pack(crc32(body), MARK)


def pack_batch(stamp, *deliveries):
    head = BATCH_HEAD.pack(*counted_head(BATCH, stamp, len(deliveries)))
    body = head + b"".join(struct.pack("<6q", *delivery) for delivery in deliveries)
    cells = 16 * len(deliveries)
    end = len(HEADER.pack()) + len(body) + TAIL.size
    return body + TAIL.pack(crc32(body), MARK) + bytes(cells_after(end) - end + cells)


def pack_send(stamp, message, invoked, position, completed):
    head = BATCH_HEAD.pack(*counted_head(SENDS, stamp, 1))
    words = (message * 1024 + 1 if message else 0, invoked, 0, position, 0, 0, completed)
    end = len(HEADER.pack()) + len(head) + TAIL.size
    gap = bytes(cells_after(end) - end)
    return head + TAIL.pack(crc32(head), MARK) + gap + struct.pack("<7q", *(CELL_PRIME * word for word in words))


NULL = records.NULL


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (pack(0, 1, 0, 1, NULL, code=code_of(99)), "unknown kind 99"),
        (pack(0, 1, 9, 1, NULL), "message cannot be 9"),
        (pack(0, 1, -1, 1, NULL), "message cannot be -1"),
        (pack(0, 1, NULL, 1, NULL), "message cannot be None"),
        (pack(1, 1, 1, 0, *[NULL] * 5), "token cannot be 0"),
        (pack(2, 1, 1, 0, 3, 0, 0, 0, 0, 0, 0, NULL, 1), "key cannot be 3"),
        (pack(2, 1, 1, 0, -3, 0, 0, 0, 0, 0, 0, NULL, 1), "key cannot be -3"),
        (pack(2, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 1), "intact has the unknown code 7"),
        (pack(2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), "delivery cannot be 0"),
        (pack(0, -1, 0, 1, NULL), "do not increase"),
        (pack(0, 5, 0, 1, NULL) * 2, "do not increase"),
        (pack_batch(5, (0, 0, 0, 0, 0, 1), (9, 0, 0, 0, 1, 1)), "message cannot be 9"),
        (pack_send(5, 9 + 1, 5, 0, 0), "message cannot be 9"),
        (pack_send(5, 0, 5, 0, 0), "a row of a send is none"),
        (pack_send(5, 1, 5, 1, 6 * 4 + 3), "unknown code 3"),
        (pack_send(5, 1, -5, 0, 0), "a row of a send is none"),
        (pack_send(5, 1, 0, 1, 4), "a row of a send is none"),
        (pack_send(0, 1, 5, 0, 0) * 2, "do not increase"),
        (pack_batch(5, (0, 0, 0, 0, 0, 7)), "intact has the unknown code 7"),
        (pack_batch(5, (0, 0, 0, 0, 0, 1), (1, 0, 0, 0, 1, 1)) + pack(0, 6, 0, 1, NULL), "do not increase"),
    ],
)
def test_hostile_records_are_refused(tmp_path, record, why):
    path = tmp_path / "worker.records"
    path.write_bytes(HEADER.pack() + record)
    with pytest.raises(HistoryError, match=why):
        replay(path, RunRows(), Plan(), KEYS)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(HistoryError):
            replay(path, RunRows(), Plan(), KEYS)


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    path = tmp_path / "worker.records"
    FileRecorder(path, HEADER, KEYS)
    with pytest.raises(HistoryError, match="cannot be written"):
        FileRecorder(path, HEADER, KEYS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said_and_ends_the_recording(tmp_path):
    _, _, _, recorder = both(tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._file)
    os.close(full)
    several = [(0, KEYS[0], 0, 0, 1, True)] * 2_000
    token = recorder.delivered_together(several)[0]
    with pytest.raises(HistoryError, match="No space left"):
        recorder.delivered_together(several * 2)
    with pytest.raises(HistoryError, match="closed"):
        recorder.handler_started(token)
    with pytest.raises(HistoryError, match="closed"):
        recorder.assigned(0)


def test_threads_share_a_recorder(tmp_path):
    """The client library completes sends on a thread of its own."""
    path = tmp_path / "worker.records"
    recorder = FileRecorder(path, HEADER, KEYS)
    tokens = []

    def send():
        tokens.extend(recorder.send_invoked(i % 9) for i in range(500))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tokens) == list(range(2_000))
    assert replay(path, RunRows(), Plan(), KEYS).records == 2_000


APPENDING = """
import sys
from pathlib import Path
from mqverify.history.files import FileRecorder
from mqverify.history.records import WorkerHeader
recorder = FileRecorder(Path(sys.argv[1]), WorkerHeader("consumer-1", "consumer", 0, "group", None, 1, 0), ["a"])
for number in range(10**9):
    token = recorder.delivered_together([(0, "a", 0, 0, number, True)] * 20)[0] if number % 7 else recorder.assigned(0)
    recorder.send_completed(recorder.send_invoked(0), "acked", 0, number, number, 200)
    if number % 7:
        recorder.handler_started(token)
        recorder.handler_ended(token, "handled")
    if number % 1000 == 0:
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("wait", [0, 1, 5])
def test_a_worker_killed_while_it_appends_loses_no_whole_record(tmp_path, wait):
    path = tmp_path / "worker.records"
    with subprocess.Popen([sys.executable, "-c", APPENDING, str(path)], stdout=subprocess.PIPE) as child:
        for _ in range(wait):
            child.stdout.readline()
        said = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
    assert child.returncode == -signal.SIGKILL
    said = int(rest[-1]) if rest else said
    replayed = replay(path, RunRows(), Plan(), ["a"])
    assert replayed.records > said
    assert replayed.torn < BATCH_HEAD.size + 20 * 48 + TAIL.size
    assert replayed.header.worker == "consumer-1"

"""A worker's file: everything recorded comes back as the same rows, and no damage is taken for history."""

import inspect
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mqverify.errors import HistoryError
from mqverify.history import records
from mqverify.history.files import FOREIGN, FileRecorder, replay
from mqverify.history.recorder import RunRows, WorkerRecorder
from mqverify.history.records import CALLS, RECORD_SIZE, WORDS, WorkerHeader, pack
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
    assert {call.method for call in CALLS} == set(of_rows)
    for call in CALLS:
        names = {*call.words, *(name for name, _ in call.integers)}
        assert names == set(of_rows[call.method].parameters) - {"self"}


def test_a_foreign_key_is_not_taken_for_no_key(tmp_path):
    _, _, path, recorder = both(tmp_path)
    recorder.delivered(3, "somebody else's", 1, 0, 1, 0, 1)
    recorder.delivered(3, None, 1, 0, 2, 0, 2)
    rows = RunRows()
    replay(path, rows, Plan(), KEYS)
    keys = [row[4] for row in rows.tables["deliveries"]]
    assert keys == [FOREIGN, None]
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


def test_a_torn_end_at_every_byte_loses_one_record_at_most(tmp_path):
    _, _, path, recorder = both(tmp_path)
    work(recorder)
    data = path.read_bytes()
    start = len(HEADER.pack())
    torn = tmp_path / "torn"
    for length in range(start + 12 * RECORD_SIZE + 1):
        torn.write_bytes(data[:length])
        replayed = replay(torn, RunRows(), Plan(), KEYS)
        if length < start:
            assert (replayed.header, replayed.records, replayed.torn) == (None, 0, length)
        else:
            whole, rest = divmod(length - start, RECORD_SIZE)
            assert (replayed.header, replayed.records, replayed.torn) == (HEADER, whole, rest)


def test_every_flipped_byte_is_seen(tmp_path):
    _, _, path, recorder = both(tmp_path)
    recorder.delivered(4, KEYS[1], 1, 0, 17, 0, 17)
    recorder.handler_started(0)
    data = path.read_bytes()
    broken = tmp_path / "broken"
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 0x41
        broken.write_bytes(flipped)
        try:
            replayed = replay(broken, RunRows(), Plan(), KEYS)
        except HistoryError:
            continue
        # Only a length that reaches past the end is as good as a torn header.
        assert replayed.header is None
        assert 12 <= place < 16


@pytest.mark.parametrize(
    "data",
    [b"garbage", b"\0" * 4096, b"PAR1" * 30, HEADER.pack()[:-1] + b"?", HEADER.pack() + b"\0" * RECORD_SIZE],
    ids=["text", "zeros", "parquet", "checksum of header", "zero record"],
)
def test_garbage_is_refused(tmp_path, data):
    path = tmp_path / "worker.records"
    path.write_bytes(data)
    with pytest.raises(HistoryError, match="is not a worker's history"):
        replay(path, RunRows(), Plan(), KEYS)


def test_another_format_version_is_refused_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FORMAT", 2)
    path = tmp_path / "worker.records"
    FileRecorder(path, HEADER, KEYS).close()
    monkeypatch.undo()
    with pytest.raises(HistoryError, match="version 2, and this mqverify reads 1"):
        replay(path, RunRows(), Plan(), KEYS)


NULLS = (records.NULL,) * 10


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (pack(99, 0, 0, 0, 1, *NULLS), "unknown kind 99"),
        (pack(0, 0, 0, 0, 1, 9, 1, *NULLS[2:]), "message cannot be 9"),
        (pack(0, 0, 0, 0, 1, -1, 1, *NULLS[2:]), "message cannot be -1"),
        (pack(0, 0, 0, 0, 1, *NULLS), "message cannot be None"),
        (pack(1, 1, 0, 0, 1, 0, *NULLS[1:]), "token cannot be 0"),
        (pack(2, 1, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, records.NULL, 1), "key cannot be 3"),
        (pack(2, 1, 0, 0, 1, 0, -3, 0, 0, 0, 0, 0, 0, records.NULL, 1), "key cannot be -3"),
        (pack(2, 7, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, records.NULL, 1), "intact has the unknown code 7"),
        (pack(2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), "delivery cannot be 0"),
        (pack(0, 0, 0, 0, -1, 0, 1, *NULLS[2:]), "do not increase"),
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
    with pytest.raises(HistoryError, match="No space left"):
        recorder.assigned(0)
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
    token = recorder.delivered(0, "a", 0, 0, number, 0, number)
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
    assert replayed.torn < RECORD_SIZE
    assert replayed.header.worker == "consumer-1"

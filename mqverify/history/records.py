"""The file format of one real worker's records: a header, then records in blocks of 256 KiB, each with a checksum.

A file begins with the header: 8 bytes of magic, format version and length of the JSON (u32 each, little endian), the
JSON of `WorkerHeader`, CRC-32 of all that. Each record is one call of a recorder: its kind (u16: number + 1, and that
byte's complement), its stamp (i64), codes (u8, the place of a word in `WORDS`), integers (i64, null is the least), the
CRC-32 of all this, and `MARK`. `CALLS` says what the codes and integers of each kind mean. One kind more, `BATCH`,
holds the deliveries of one poll, and *cells* for when their handlers started and ended; another, `SENDS`, a table of
sends (`send_rows.py`). A change of any of this is a new `FORMAT`.

Files grow by whole blocks of zeros, and a record lies in one block. Bytes are written in order, the mark last, so a
record without its mark was being written when the worker was killed, and nothing comes after it.
"""

import json
import os
import stat
import struct
from binascii import crc32
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mqverify.errors import HistoryError
from mqverify.history.send_rows import CELL_PRIME, LONGEST_STAMP, ROW_SIZE, DamagedRow, SendRow, rows_in

__all__ = [
    "BATCH",
    "BATCH_HEAD",
    "BLOCK_SIZE",
    "CALLS",
    "CELL_PRIME",
    "CELL_UNIT",
    "FIELDS",
    "FOREIGN_KEY",
    "FORMAT",
    "FORMS",
    "LONGEST_STAMP",
    "MARK",
    "MOST_IN_BATCH",
    "NO_KEY",
    "NULL",
    "SENDS",
    "TAIL",
    "WORDS",
    "Call",
    "Form",
    "Record",
    "RecordFile",
    "WorkerHeader",
    "cells_after",
    "code_of",
    "counted_head",
]

FORMAT = 3
BLOCK_SIZE = 256 * 1024
"""A multiple of every system's page size, and more than any header or batch."""
NULL = -(1 << 63)
NO_KEY = -1
FOREIGN_KEY = -2
MARK = 0xA5

_MAGIC = b"mqvrec\r\n"
_HEAD = struct.Struct("<8sII")
_CHECK = struct.Struct("<I")
TAIL = struct.Struct("<IB")
"""Behind the body of each record: CRC-32 and mark."""
_MOST_JSON = 64 * 1024

# A word's code is its place here. Only ever add at the end.
WORDS: dict[str, tuple[str, ...]] = {
    "intact": ("no", "yes"),
    "outcome": ("unknown", "acked", "failed"),
    "result": ("handled", "failed", "refused"),
    "action": ("commit", "checkpoint", "ack", "skip", "park", "retry", "expire"),
    "covers": ("below", "one"),
    "settled_by": ("consumer", "client", "server", "observed"),
    "start_from": ("committed", "reset_beginning", "reset_end", "beginning", "end", "sink", "kept"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One method of a recorder: the words in its codes, and the meaning of its integers, in order.

    An integer is `NAME:TYPE`: `int`, `message`, `key` (place in the plan's keys, or `NO_KEY`, or `FOREIGN_KEY`),
    or a token of an earlier call (`send`, `delivery`, `settlement`, `assignment`); `?` behind it allows null.
    """

    method: str
    words: tuple[str, ...]
    integers: tuple[tuple[str, str], ...]
    makes: str | None
    """The kind of token that the call returns."""


def _call(method: str, words: str, integers: str, makes: str | None = None) -> Call:
    pairs = (word.partition(":") for word in integers.split())
    return Call(method, tuple(words.split()), tuple((name, kind or "int") for name, _, kind in pairs), makes)


# A record's kind is its place here. Only ever add at the end.
CALLS: tuple[Call, ...] = (
    _call("send_invoked", "", "message:message attempt expected:int?", "send"),
    _call(
        "send_completed",
        "outcome",
        "token:send partition:int? position:int? record_time:int? stored_bytes:int? actual:int?",
    ),
    _call(
        "delivered",
        "intact",
        "message:message? key:key sequence:int? partition:int? position:int? source source_position:int? "
        "redelivered:int? delivery:delivery? attempt",
        "delivery",
    ),
    _call("handler_started", "", "token:delivery"),
    _call("handler_ended", "result", "token:delivery"),
    _call("settling", "action covers settled_by", "source source_position:int? message:message?", "settlement"),
    _call("settled", "outcome", "token:settlement"),
    _call("assigned", "", "source epoch:int?", "assignment"),
    _call("start_known", "start_from", "token:assignment start_position:int?"),
    _call("revoked", "", "source epoch:int?", "assignment"),
    _call("lost", "", "source epoch:int?", "assignment"),
)


def code_of(kind: int) -> int:
    """How a record of this kind begins: no flipped bit makes it another."""
    return kind + 1 | (0xFE - kind) << 8


class Form(NamedTuple):
    """How records of one kind are laid out: kind, stamp, codes, integers; in `whole` also checksum and mark."""

    code: int
    body: struct.Struct
    whole: struct.Struct
    size: int
    """Of the whole, in bytes."""


def _form(kind: int, call: Call) -> Form:
    body = f"<Hq{len(call.words)}B{len(call.integers)}q"
    whole = struct.Struct(f"{body}IB")
    return Form(code_of(kind), struct.Struct(body), whole, whole.size)


FORMS: tuple[Form, ...] = tuple(_form(kind, call) for kind, call in enumerate(CALLS))

# The kind after the last. Its head: kind, the first delivery's stamp (each of the others is one later), how many there
# are, CRC-32 of that. Of each delivery: message, key, sequence, source (the place too), position (in both), whether it
# is intact (0, 1). CRC-32 of all, mark. Then, from the next place in the file that eight divides, two cells a delivery,
# zero until they are written, in one step each: when its handler started, when it ended and how.
BATCH = len(CALLS)
BATCH_HEAD = struct.Struct("<HqII")
MOST_IN_BATCH = 2048
FIELDS = 6
_DELIVERY = struct.Struct(f"<{FIELDS}q")
CELL_UNIT = 4 * CELL_PRIME
"""A cell is the stamp times this, and the code of the result times `CELL_PRIME`."""
# The kind after that: a head alike with how many rows there are, CRC-32, mark; then, aligned alike, the rows.
SENDS = BATCH + 1
_KIND_OF = {struct.pack("<H", code_of(kind)): kind for kind in range(SENDS + 1)}
_KINDS = {call.method: kind for kind, call in enumerate(CALLS)}
_DELIVERED = CALLS[_KINDS["delivered"]]
_STARTED, _ENDED = CALLS[_KINDS["handler_started"]], CALLS[_KINDS["handler_ended"]]


def counted_head(kind: int, stamp: int, count: int) -> tuple[int, int, int, int]:
    """What `BATCH_HEAD` packs, for a batch or a table of sends."""
    head = BATCH_HEAD.pack(code_of(kind), stamp, count, 0)
    return code_of(kind), stamp, count, crc32(head[: -_CHECK.size])


def cells_after(end: int) -> int:
    """Where the cells begin of a batch whose mark ends there, both in bytes from the start of the block."""
    return (end + 7) // 8 * 8


def _batch_size(block: bytes, at: int) -> int:
    """The size of the batch there, up to its mark; if its head is not whole, of the head."""
    head = block[at : at + BATCH_HEAD.size]
    if len(head) < BATCH_HEAD.size:
        return BATCH_HEAD.size + 1
    *values, checksum = BATCH_HEAD.unpack(head)
    if crc32(head[: -_CHECK.size]) != checksum:
        return BATCH_HEAD.size + 1
    return BATCH_HEAD.size + _DELIVERY.size * int(values[2]) + TAIL.size


@dataclass(frozen=True, slots=True)
class WorkerHeader:
    """Whose records a file holds. Stamps are `time.monotonic_ns() - origin`, in nanoseconds."""

    worker: str
    kind: str
    """`producer` or `consumer`."""
    incarnation: int
    consumer_group: str | None
    shard: int | None
    pid: int
    origin: int

    def pack(self) -> bytes:
        text = json.dumps(asdict(self)).encode()
        if len(text) > _MOST_JSON:
            raise HistoryError(f"the names of worker {self.worker[:40]!r} and its group are too long to record")
        head = _HEAD.pack(_MAGIC, FORMAT, len(text)) + text
        return head + _CHECK.pack(crc32(head))


class Record(NamedTuple):
    """One call. Of a batch, each delivery is one."""

    call: Call
    codes: tuple[int, ...]
    stamp: int
    integers: tuple[int, ...]


class RecordFile:
    """A worker's file, to read: `header`, then iterate over `Record`s and `SendRow`s, which are two calls each.

    Then `torn` is how many bytes were left.

    A file that ends in the middle of the header has `header` None and no records, one that ends in the middle of a
    record lacks that one: so a SIGKILL leaves it. Everything else raises HistoryError: no regular file, not one of
    ours, another format version, a wrong checksum, stamps that do not increase.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.torn = 0
        self._last = -1
        self._deliveries = 0
        self._file = _open_regular(path)
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[Record | SendRow]:
        with self._file:
            if self.header is None:
                return
            at = self._file.tell()
            self._file.seek(0)
            while block := self._file.read(BLOCK_SIZE):
                if self.torn and block.strip(b"\0"):
                    raise self._wrong("something follows a record that is not whole")
                while not self.torn and (size := self._size(block, at)):
                    self._verify(block, at, at + size - TAIL.size)
                    if block[at] - 1 == BATCH:
                        _, stamp, count, _ = BATCH_HEAD.unpack_from(block, at)
                        yield from self._batch(block, at + BATCH_HEAD.size, stamp, count)
                        at = cells_after(at + size) + 16 * count
                    elif block[at] - 1 == SENDS:
                        _, stamp, count, _ = BATCH_HEAD.unpack_from(block, at)
                        self._note(stamp)
                        start, end = at + size, cells_after(at + size)
                        at = end + ROW_SIZE * count
                        yield from self._sends(block[start:end], block[end:at])
                    else:
                        yield self._record(block, at)
                        at += size
                at = 0

    def close(self) -> None:
        self._file.close()

    def _size(self, block: bytes, at: int) -> int:
        """The size of the whole record there. 0 if there is none, or a part of one: then that part is `torn`."""
        kind = _KIND_OF.get(block[at : at + 2], -1)
        size = 2 if kind < 0 else self._size_of(kind, block, at)
        end = at + size
        if kind >= 0 and end <= len(block) and block[end - 1]:
            return size
        self.torn = len(block[at:].rstrip(b"\0"))
        if not self.torn or (self.torn < size and 0 < block[at] <= SENDS + 1):
            return 0
        if kind < 0:
            raise self._wrong(f"a record is of the unknown kind {block[at] - 1}")
        raise self._wrong("a record has a wrong checksum")

    @staticmethod
    def _size_of(kind: int, block: bytes, at: int) -> int:
        if kind == SENDS:
            return BATCH_HEAD.size + TAIL.size
        return _batch_size(block, at) if kind == BATCH else FORMS[kind].size

    def _verify(self, block: bytes, at: int, end: int) -> None:
        checksum, mark = TAIL.unpack_from(block, end)
        if mark != MARK or crc32(block[at:end]) != checksum:
            raise self._wrong("a record has a wrong checksum")

    def _record(self, block: bytes, at: int) -> Record:
        kind = block[at] - 1
        call = CALLS[kind]
        _, stamp, *values = FORMS[kind].body.unpack_from(block, at)
        self._note(stamp)
        self._deliveries += call is _DELIVERED
        words = len(call.words)
        return Record(call, tuple(values[:words]), stamp, tuple(values[words:]))

    def _batch(self, block: bytes, at: int, stamp: int, count: int) -> Iterator[Record]:
        end = at + _DELIVERY.size * count
        for message, key, sequence, source, position, intact in _DELIVERY.iter_unpack(block[at:end]):
            self._note(stamp)
            integers = (message, key, sequence, source, position, source, position, NULL, NULL, 1)
            yield Record(_DELIVERED, (intact,), stamp, integers)
            stamp += 1
        end += TAIL.size
        start = cells_after(end)
        cells = block[start : start + 16 * count]
        if block[end:start].strip(b"\0"):
            raise self._wrong("something follows a record that is not whole")
        for place, (value,) in enumerate(struct.iter_unpack("<q", cells[: len(cells) // 8 * 8])):
            if value:
                yield self._handler_call(self._deliveries + place // 2, place % 2 == 1, value)
        self._deliveries += count

    def _sends(self, gap: bytes, table: bytes) -> Iterator[SendRow]:
        if gap.strip(b"\0"):
            raise self._wrong("something follows a record that is not whole")
        try:
            yield from rows_in(table)
        except DamagedRow as error:
            raise self._wrong("a row of a send is none") from error

    def _handler_call(self, token: int, ended: bool, value: int) -> Record:
        number, rest = divmod(value, CELL_PRIME)
        stamp, code = divmod(number, 4)
        if rest or stamp < 0 or (code and not ended):
            raise self._wrong("a time of a handler is none")
        return Record(_ENDED, (code,), stamp, (token,)) if ended else Record(_STARTED, (), stamp, (token,))

    def _note(self, stamp: int) -> None:
        if stamp <= self._last:
            raise self._wrong("its times do not increase")
        self._last = stamp

    def _read_header(self) -> WorkerHeader | None:
        head = self._file.read(_HEAD.size)
        if not _MAGIC.startswith(head[: len(_MAGIC)]):
            raise self._wrong("it does not begin like one")
        if len(head) < _HEAD.size:
            self.torn = len(head)
            return None
        _, version, length = _HEAD.unpack(head)
        if version != FORMAT:
            raise HistoryError(f"{self._path}: its format is version {version}, and this mqverify reads {FORMAT}")
        if length > _MOST_JSON:
            raise self._wrong("its header is too long")
        rest = self._file.read(length + _CHECK.size)
        if len(rest) < length + _CHECK.size:
            self.torn = len(head) + len(rest)
            return None
        if crc32(head + rest[:length]) != _CHECK.unpack_from(rest, length)[0]:
            raise self._wrong("its header has a wrong checksum")
        return self._parse_header(rest[:length])

    def _parse_header(self, text: bytes) -> WorkerHeader:
        optional = type(None)
        types: dict[str, tuple[type, ...]] = {
            "worker": (str,), "kind": (str,), "incarnation": (int,), "consumer_group": (str, optional),
            "shard": (int, optional), "pid": (int,), "origin": (int,),
        }  # fmt: skip
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong("its header is no JSON") from error
        if not isinstance(values, dict) or values.keys() != types.keys():
            raise self._wrong("its header has other fields")
        if not all(type(values[name]) in kinds for name, kinds in types.items()):
            raise self._wrong("a field of its header is of another type")
        return WorkerHeader(**values)

    def _wrong(self, why: str) -> HistoryError:
        return HistoryError(f"{self._path} is not a worker's history: {why}")


def _open_regular(path: Path) -> BinaryIO:
    """Open a file that surely is one: a FIFO or a device would block or never end."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise HistoryError(f"{path} is not a worker's history: it is no regular file")
        return open(number, "rb")  # noqa: PTH123 - by its number
    except OSError as error:
        raise HistoryError(f"{path} cannot be read: {error.strerror}") from error

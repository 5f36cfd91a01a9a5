"""The file format of one real worker's records: a header, then records of 96 bytes, each with a checksum.

A file begins with the header: 8 bytes of magic, format version and length of the JSON (u32 each, little endian), the
JSON of `WorkerHeader`, CRC-32 of all that. Each record is one call of a recorder: its kind (u8), three codes (u8, the
place of a word in `WORDS`), its stamp and ten more integers (i64, null is the least), and the CRC-32 of these 92 bytes.
`CALLS` says what the codes and integers of each kind mean. A change of any of this is a new `FORMAT`.
"""

import json
import os
import stat
import struct
from binascii import crc32
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from mqverify.errors import HistoryError

__all__ = [
    "CALLS",
    "FOREIGN_KEY",
    "FORMAT",
    "NO_KEY",
    "NULL",
    "RECORD_SIZE",
    "WORDS",
    "Call",
    "Record",
    "RecordFile",
    "WorkerHeader",
    "pack",
]

FORMAT = 1
NULL = -(1 << 63)
NO_KEY = -1
FOREIGN_KEY = -2

_MAGIC = b"mqvrec\r\n"
_HEAD = struct.Struct("<8sII")
_CHECK = struct.Struct("<I")
_BODY = struct.Struct("<4B11q")
RECORD_SIZE = _BODY.size + _CHECK.size
_MOST_JSON = 64 * 1024
_CHUNK = RECORD_SIZE * 4096

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


@dataclass(frozen=True, slots=True)
class Record:
    call: Call
    codes: tuple[int, int, int]
    stamp: int
    integers: tuple[int | None, ...]


def pack(kind: int, code: int, code_2: int, code_3: int, *integers: int) -> bytes:
    """One record. `integers` are the stamp and ten more; `struct.error` if one does not fit 64 bits."""
    body = _BODY.pack(kind, code, code_2, code_3, *integers)
    return body + _CHECK.pack(crc32(body))


class RecordFile:
    """A worker's file, to read: `header`, then iterate over `Record`s; then `torn` is how many bytes were left.

    A file that ends in the middle of the header has `header` None and no records, one that ends in the middle of a
    record lacks that one: so a SIGKILL leaves it. Everything else raises HistoryError: no regular file, not one of
    ours, another format version, a wrong checksum, stamps that do not increase.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.torn = 0
        self._file = _open_regular(path)
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[Record]:
        with self._file:
            if self.header is None:
                return
            last = -1
            while chunk := self._file.read(_CHUNK):
                whole = len(chunk) - len(chunk) % RECORD_SIZE
                for start in range(0, whole, RECORD_SIZE):
                    record = self._record(chunk[start : start + RECORD_SIZE])
                    if record.stamp <= last:
                        raise self._wrong("its times do not increase")
                    last = record.stamp
                    yield record
                self.torn = len(chunk) - whole
                if self.torn:
                    return

    def close(self) -> None:
        self._file.close()

    def _record(self, data: bytes) -> Record:
        body, (checksum,) = data[: _BODY.size], _CHECK.unpack_from(data, _BODY.size)
        if crc32(body) != checksum:
            raise self._wrong("a record has a wrong checksum")
        kind, code, code_2, code_3, stamp, *integers = _BODY.unpack(body)
        if kind >= len(CALLS):
            raise self._wrong(f"a record is of the unknown kind {kind}")
        values = tuple(None if value == NULL else value for value in integers)
        return Record(CALLS[kind], (code, code_2, code_3), stamp, values)

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

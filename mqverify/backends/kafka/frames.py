"""Kafka's frames as they pass by on one connection: where each begins, what a request asks, which reply is its.

A frame is a length of four bytes and as many bytes. A request's header is api key, version, correlation id and client
id; a reply begins with the correlation id. A broker answers the requests of one connection in their order
(https://kafka.apache.org/protocol#protocol_network). Nothing is read of what is in them but whether anybody answers.
"""

from collections.abc import Iterator
from typing import Final, Literal

from mqverify.backends.base import Request

__all__ = ["KafkaConversation", "read_request"]

_PRODUCE: Final = 0
_SETTLING: Final = {8, 28}
"""OffsetCommit, TxnOffsetCommit."""
_LENGTH: Final = 4
_REPLY_HEAD: Final = 8
"""Length and correlation id."""
_PRODUCE_WITH_TRANSACTIONS, _PRODUCE_FLEXIBLE = 3, 9
"""Versions of Produce from which it begins with a transactional id, and is written with varints (KIP-98, KIP-482)."""


class KafkaConversation:
    """One connection, read as it goes. Whatever is not a frame yet is kept until it is one."""

    def __init__(self) -> None:
        self._sent = bytearray()
        self._head = bytearray()
        """The beginning of a reply, while its head is incomplete."""
        self._rest = 0
        """Bytes of the current reply that are still to come."""

    def requests(self, data: bytes) -> Iterator[tuple[bytes, Request]]:
        """Every request that is complete with these bytes."""
        self._sent += data
        begin, there = 0, len(self._sent)
        with memoryview(self._sent) as view:
            while there - begin >= _LENGTH:
                end = begin + _LENGTH + int.from_bytes(view[begin : begin + _LENGTH], "big")
                if end > there:
                    break
                frame = bytes(view[begin:end])
                yield frame, read_request(frame)
                begin = end
        del self._sent[:begin]

    def replies(self, data: bytes) -> Iterator[tuple[bytes, int | None]]:
        """The same bytes in pieces: with a number where a reply begins, that of its request; else None."""
        at, there = 0, len(data)
        while at < there:
            if self._rest:
                piece = data[at : at + self._rest]
                self._rest -= len(piece)
                at += len(piece)
                yield piece, None
                continue
            missing = _REPLY_HEAD - len(self._head)
            self._head += data[at : at + missing]
            at = min(there, at + missing)
            if len(self._head) == _REPLY_HEAD:
                head, self._head = bytes(self._head), bytearray()
                size = int.from_bytes(head[:_LENGTH], "big") - (_REPLY_HEAD - _LENGTH)
                piece = data[at : at + size]
                self._rest = size - len(piece)
                at += len(piece)
                yield head + piece, int.from_bytes(head[_LENGTH:], "big")


def read_request(frame: bytes) -> Request:
    """What a whole request asks for."""
    key = int.from_bytes(frame[4:6], "big")
    kind: Literal["append", "settle", "other"] = (
        "append" if key == _PRODUCE else "settle" if key in _SETTLING else "other"
    )
    return Request(int.from_bytes(frame[8:12], "big"), kind, key != _PRODUCE or _acks(frame) != 0)


def _acks(frame: bytes) -> int:
    """The `acks` of a Produce request: 0 is the one that nobody answers."""
    version = int.from_bytes(frame[6:8], "big")
    at = 14 + max(0, int.from_bytes(frame[12:14], "big", signed=True))
    if version >= _PRODUCE_FLEXIBLE:
        tags, at = _varint(frame, at)
        for _ in range(tags):
            _, at = _varint(frame, at)
            size, at = _varint(frame, at)
            at += size
        size, at = _varint(frame, at)
        at += max(0, size - 1)
    elif version >= _PRODUCE_WITH_TRANSACTIONS:
        at += 2 + max(0, int.from_bytes(frame[at : at + 2], "big", signed=True))
    return int.from_bytes(frame[at : at + 2], "big", signed=True)


def _varint(frame: bytes, at: int) -> tuple[int, int]:
    """An unsigned varint and what lies behind it."""
    value = shift = 0
    while True:
        byte = frame[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7

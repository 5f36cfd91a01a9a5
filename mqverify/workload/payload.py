"""Self-certifying payloads: whoever reads one knows which message it is and whether it is as it was sent.

Layout, little endian: CRC-32 of all that follows (4 bytes), message (8), sequence (8), producer (2), length of the key
(2), the key in UTF-8, padding up to the size that the spec asks for. What does not read so is a phantom.
"""

import struct
from binascii import crc32
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Decoded", "Payloads"]

_CHECKSUM = struct.Struct("<I")
_BODY = struct.Struct("<QQHH")
_HEADER = struct.Struct("<IQQHH")
_HEADER_SIZE = _HEADER.size


class Decoded(NamedTuple):
    """What a payload says. `message` is None for a phantom: not one of this run's messages, or torn."""

    message: int | None
    key: str | None
    sequence: int | None
    intact: bool


PHANTOM = Decoded(None, None, None, False)
_FOREIGN = Decoded(None, None, None, True)
"""Whole, and not one of this plan's."""


class Payloads:
    """Writes and reads the payloads of one plan. `size` is the least size in bytes of a payload."""

    remembers = True
    """Whether what was written is kept, to be read faster. To no use where nobody in this process reads it."""

    def __init__(self, keys: Sequence[str], sequences: Sequence[int], producers: Sequence[int], size: int) -> None:
        self._keys = keys
        self._sequences = sequences
        self._producers = producers
        self._size = size
        self._written: dict[bytes, Decoded] = {}

    def encode(self, message: int) -> bytes:
        key = self._keys[message].encode()
        head = _BODY.pack(message, self._sequences[message], self._producers[message], len(key))
        body = b"".join((head, key)).ljust(self._size - _CHECKSUM.size, b".")
        payload = _CHECKSUM.pack(crc32(body)) + body
        if self.remembers:
            self._written[payload] = Decoded(message, self._keys[message], self._sequences[message], True)
        return payload

    def decode(self, payload: bytes | None) -> Decoded:
        """Read a payload; never raises, whatever it is handed."""
        if payload is None:
            return PHANTOM
        if self._written and (written := self._written.get(payload)) is not None:
            return written  # byte for byte as one that was written here: no need to take it apart
        if len(payload) < _HEADER_SIZE:
            return PHANTOM
        checksum, message, sequence, _, key_length = _HEADER.unpack_from(payload)
        if crc32(payload[_CHECKSUM.size :]) != checksum:
            return PHANTOM
        if message >= len(self._keys):
            return _FOREIGN
        key = payload[_HEADER_SIZE : _HEADER_SIZE + key_length].decode("utf-8", "replace")
        return tuple.__new__(Decoded, (message, key, sequence, True))  # at half the cost of its constructor

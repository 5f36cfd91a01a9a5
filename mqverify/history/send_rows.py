"""Sends in a worker's file: a table with a row for each, which is filled in where it lies.

There is one send for each message and one answer, so they are most of what a producer records. A table's head is that
of a batch (`records.py`), its count the rows that follow from the next place that eight divides. A row is seven 64-bit
words, all multiples of `CELL_PRIME`, which no word is any more when one of its bytes is changed, and each written in
one step, in this order:

    message and attempt; when it was invoked; then, once the answer is there: partition, position, record time, stored
    bytes; when it was completed, and its outcome

So a worker that is killed has either invoked a send (the second word) or has not handed it to the library yet, and
knows its outcome (the last word) or does not.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

__all__ = ["CELL_PRIME", "LONGEST_STAMP", "ROWS", "ROW_SIZE", "DamagedRow", "SendRow", "complete", "invoke", "rows_in"]

CELL_PRIME: Final = 257
LONGEST_STAMP: Final = 1 << 52
"""Stamps below this fit into a word: 52 days."""
ROWS: Final = 1024
"""How many there are in one table."""

_ATTEMPTS: Final = 1 << 10
_MESSAGES: Final = 1 << 40
_INVOKED = struct.Struct("<2q")
_COMPLETED = struct.Struct("<5q")
_ROW = struct.Struct("<7q")
ROW_SIZE: Final = _ROW.size
_OUTCOMES = 4
_ODD = 2 * CELL_PRIME
"""A number's word is the number times this, and once the prime; null is 0."""
_invoke, _complete, _answer_at = _INVOKED.pack_into, _COMPLETED.pack_into, _INVOKED.size
_Number = int | None


class DamagedRow(Exception):
    """Nobody has written it so."""


class SendRow(NamedTuple):
    message: int
    attempt: int
    invoked_at: int
    """The stamp of the record that it stands for."""
    answer: tuple[_Number, _Number, _Number, _Number]
    """Partition, position, record time, stored bytes."""
    completed_at: int
    """0 while there is no answer."""
    outcome: int
    """Its code: the place in `WORDS`."""


def invoke(block: Any, at: int, message: int, attempt: int, stamp: int) -> bool:
    """Begin the row there, in a mapped block; False if a row cannot hold this."""
    if not (0 < stamp < LONGEST_STAMP and 0 <= attempt < _ATTEMPTS and 0 <= message < _MESSAGES):
        return False
    _invoke(block, at, ((message + 1) * _ATTEMPTS + attempt) * CELL_PRIME, stamp * CELL_PRIME)
    return True


def complete(
    block: Any,
    at: int,
    stamp: int,
    outcome: int,
    partition: _Number,
    position: _Number,
    record_time: _Number,
    stored_bytes: _Number,
) -> bool:
    """Fill in the answer in the row there; False if a row cannot hold it."""
    if not 0 < stamp < LONGEST_STAMP:
        return False
    try:
        _complete(
            block,
            at + _answer_at,
            0 if partition is None else partition * _ODD + CELL_PRIME,
            0 if position is None else position * _ODD + CELL_PRIME,
            0 if record_time is None else record_time * _ODD + CELL_PRIME,
            0 if stored_bytes is None else stored_bytes * _ODD + CELL_PRIME,
            (stamp * _OUTCOMES + outcome) * CELL_PRIME,
        )
    except struct.error:  # more than 64 bits; the last word is not written then
        return False
    return True


def rows_in(table: bytes) -> Iterator[SendRow]:
    """The rows that were begun. Raises DamagedRow at one that was not written here."""
    ended = False
    for words in _ROW.iter_unpack(table[: len(table) // ROW_SIZE * ROW_SIZE]):
        first, second, *numbers, last = words
        if ended or not second:
            if any(words if ended else numbers) or last or first % CELL_PRIME or first < 0:
                raise DamagedRow
            ended = True
            continue
        if any(word % CELL_PRIME for word in words) or first <= 0 or second < 0 or last < 0:
            raise DamagedRow
        message, attempt = divmod(first // CELL_PRIME, _ATTEMPTS)
        completed_at, outcome = divmod(last // CELL_PRIME, _OUTCOMES)
        a, b, c, d = [word // _ODD if word else None for word in numbers] if last else (None,) * 4
        yield SendRow(message - 1, attempt, second // CELL_PRIME, (a, b, c, d), completed_at, outcome)

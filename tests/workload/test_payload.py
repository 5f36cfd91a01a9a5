"""Self-certifying payloads: what was written is read back, and nothing else is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqverify.workload.payload import Decoded, Payloads

PAYLOADS = Payloads(keys=["key-0", "ключ-1", "鍵"], sequences=[0, 0, 7], producers=[0, 1, 2], size=64)
READER = Payloads(keys=["key-0", "ключ-1", "鍵"], sequences=[0, 0, 7], producers=[0, 1, 2], size=64)


@pytest.mark.parametrize("message", [0, 1, 2])
def test_reads_back_what_it_wrote(message: int) -> None:
    decoded = READER.decode(PAYLOADS.encode(message))
    assert decoded == Decoded(message, ["key-0", "ключ-1", "鍵"][message], [0, 0, 7][message], True)


def test_pads_to_the_size_that_the_spec_asks_for() -> None:
    assert len(PAYLOADS.encode(0)) == 64
    assert len(Payloads(["k"], [0], [0], 0).encode(0)) == 25


@pytest.mark.parametrize("payload", [None, b"", b"short", b"x" * 24, b"\0" * 64])
def test_takes_what_is_not_its_own_for_a_phantom(payload: bytes | None) -> None:
    assert PAYLOADS.decode(payload) == Decoded(None, None, None, False)


def test_takes_a_message_beyond_the_plan_for_a_phantom() -> None:
    more = Payloads(["k"] * 9, [0] * 9, [0] * 9, 64)
    assert PAYLOADS.decode(more.encode(8)) == Decoded(None, None, None, True)


@given(st.integers(0, 63), st.integers(1, 255))
def test_notices_any_flipped_byte(index: int, flip: int) -> None:
    payload = bytearray(PAYLOADS.encode(0))
    payload[index] ^= flip
    assert READER.decode(bytes(payload)) == Decoded(None, None, None, False)


@given(st.binary(max_size=200))
def test_never_raises(payload: bytes) -> None:
    PAYLOADS.decode(payload)

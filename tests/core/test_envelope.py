"""The formats of a record's data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import DecodeError
from holdfast.records.codec import JSON, MSGPACK
from holdfast.records.envelope import Body, Cutoff, Envelope, Tombstone, TombstoneKind, decode, encode

KEY = "ab" * 32
BODIES: list[Body] = [
    Envelope(1, 2, 3, MSGPACK.dumps({"a": [1, "b"]})),
    Envelope(2**63, 0, 3, b"", MSGPACK, {"device": "Firefox"}),
    Envelope(2**63, 0, 3, b"payload", MSGPACK, {"device": "Firefox"}, b"write1write2"),
    Envelope(1, 2, 3, JSON.dumps({"a": 1}), JSON, {}, bytes(range(36))),
    Envelope(1, 2, 3, JSON.dumps({"a": {"payload": '","payload":'}}), JSON, {"x": '},"payload":{"', "ü": "\n"}),
    Tombstone(TombstoneKind.SUPERSEDED, 5, KEY),
    Tombstone(TombstoneKind.ALIAS, 5, KEY, b"s" * 32),
    Tombstone(TombstoneKind.ENDED, 5),
    Cutoff(7),
    Cutoff(7, KEY),
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_comes_back_as_it_went_in(body: Body) -> None:
    """Every format keeps every field."""
    assert body == decode(encode(body))


def test_an_envelope_as_text_is_plain_json() -> None:
    """A person can read a session that is stored as text."""
    data = encode(Envelope(1, 2, 3, JSON.dumps({"cart": [1]}), JSON))
    assert data == b'{"created_at":1,"issued_at":2,"idle":3,"writes":"","meta":{},"payload":{"cart":[1]}}'


@pytest.mark.parametrize("body", BODIES)
def test_a_body_cut_short_is_damaged(body: Body) -> None:
    """A header or a fixed-size body that is not whole is refused, never guessed at."""
    data = encode(body)
    fixed = len(data) if not isinstance(body, Envelope) else len(data) - len(body.payload)
    for length in range(1, fixed):
        with pytest.raises(DecodeError):
            decode(data[:length])


@pytest.mark.parametrize("byte", [0, 6, 0x28, 0x5B, 0x80, 0xFF])
def test_an_unknown_format_is_said_to_be_unknown(byte: int) -> None:
    """A newer release's record is distinguished from a damaged one."""
    with pytest.raises(DecodeError) as caught:
        decode(bytes([byte]) + b"anything")
    assert caught.value.foreign


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_or_read_whole(data: bytes) -> None:
    """For any bytes, the result is a body or a DecodeError."""
    try:
        body = decode(data)
    except DecodeError:
        return
    assert isinstance(body, Envelope | Tombstone | Cutoff)

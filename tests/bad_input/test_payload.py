"""A payload that the codec did not write is refused."""

from __future__ import annotations

from typing import Any

import pytest
from bad_input import payloads
from codec.samples import CODECS, GOLDEN, SESSIONS, every_codec, named
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import DecodeError
from holdfast.records.codec import JSON, Codec


def error_of(codec: Codec, payload: bytes) -> DecodeError | None:
    """Return what *codec* raises for *payload*, or None where it reads it."""
    try:
        codec.loads(payload)
    except DecodeError as error:
        return error
    return None


def assert_refused(codec: Codec, table: dict[str, bytes]) -> None:
    """Assert that every payload of *table* is a DecodeError, which shows nothing of it."""
    errors = {name: error_of(codec, payload) for name, payload in table.items()}
    assert [name for name, error in errors.items() if error is None] == []
    assert [name for name, error in errors.items() if error and error.__context__ is not None] == []
    assert "passwd" not in " ".join(map(str, errors.values()))


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec is not JSON], ids=named)
def test_hostile_msgpack(codec: Codec) -> None:
    """With each library under the codec, the bytes are a DecodeError."""
    assert_refused(codec, payloads.MSGPACK)


def test_hostile_json() -> None:
    """The text is a DecodeError."""
    assert_refused(JSON, payloads.JSON)


@every_codec
def test_every_cut_is_noticed(codec: Codec) -> None:
    """A payload of which any number of bytes is missing at either end is refused."""
    payload = codec.dumps(GOLDEN)
    for cut in range(1, len(payload)):
        for part in (payload[:cut], payload[cut:]):
            with pytest.raises(DecodeError):
                codec.loads(part)


def accepts_only_its_own(codec: Codec, payload: bytes) -> None:
    """Assert that *payload* is refused, or is what *codec* writes."""
    try:
        data = codec.loads(payload)
    except DecodeError:
        return
    assert codec.dumps(data) == payload


MARKS = [*range(0x80, 0xA1, 4), *range(0xC0, 0xE0), 0xFF, *b'[]{}",:$\\0']


@every_codec
@settings(max_examples=300)
@given(payload=st.binary(max_size=60) | st.lists(st.sampled_from(MARKS) | st.integers(0, 255), max_size=40).map(bytes))
def test_random_bytes(codec: Codec, payload: bytes) -> None:
    """Random bytes are refused, or are what the codec writes."""
    accepts_only_its_own(codec, payload)


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 5), st.sampled_from([b"\xff" * 4, b"\x00"]) | st.binary(max_size=5)),
    min_size=1,
    max_size=4,
)


@every_codec
@settings(max_examples=300)
@given(data=st.just(GOLDEN) | SESSIONS, edits=EDITS)
def test_damaged_payloads(codec: Codec, data: dict[Any, Any], edits: list[tuple[float, int, bytes]]) -> None:
    """A payload that was written and then damaged is refused, or is what the codec writes for other data."""
    payload = codec.dumps(data)
    for place, length, new in edits:
        at = int(place * len(payload))
        payload = payload[:at] + new + payload[at + length :]
    accepts_only_its_own(codec, payload)

"""Bugs that the tests in test_record.py catch."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Any

import pytest
from bad_input.storing import DAY
from support import seams

from holdfast.errors import DecodeError
from holdfast.records import envelope
from holdfast.records.codec.formats import Codec
from holdfast.records.envelope import Envelope, Tombstone
from holdfast.sessions.flows.open import Rejected
from holdfast.sessions.ops import Flow


def a_bad_payload_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undecodable data is an error of the request."""

    def loads(self: Codec, payload: bytes) -> dict[Any, Any]:
        return dict(self._parse(payload))

    seams.PAYLOAD_DECODER.plant(monkeypatch, loads)


def a_bad_payload_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose payload cannot be decoded continues under its id, empty."""
    loads = seams.PAYLOAD_DECODER.sound

    def lenient(self: Codec, payload: bytes) -> Any:
        with suppress(DecodeError):
            return loads(self, payload)
        return {}

    seams.PAYLOAD_DECODER.plant(monkeypatch, lenient)


def bad_records_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged record is found again at every request."""

    def leave(key: str, *, foreign: bool) -> Flow[Rejected]:
        del key, foreign
        yield from ()
        return Rejected("corrupt")

    seams.SET_ASIDE_BAD_RECORD.plant(monkeypatch, leave)


def any_kind_is_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tombstone counts as the session that it leads to."""
    sound = seams.DECODE_RECORD.sound

    def decode(data: bytes) -> Any:
        body = sound(data)
        at, payload = 1_800_000_000_000, b"\x81\xa4user\xa6victim"
        return Envelope(at, at, 31 * DAY * 1000, payload) if isinstance(body, Tombstone) and body.successor else body

    seams.DECODE_RECORD.plant(monkeypatch, decode)


def decompresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data with the header of a compressed format is decompressed."""

    def unpack(data: bytes) -> Any:
        with suppress(zlib.error, EOFError):
            return envelope.decode(zlib.decompress(data, wbits=47))
        raise ValueError("not compressed")

    for byte in (0x1F, 0x78):
        seams.RECORD_DECODERS.plant_item(monkeypatch, byte, unpack)

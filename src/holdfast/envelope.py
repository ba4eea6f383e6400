"""The formats of a record's data. One format byte, one decoder for it, and no fallback.

===========  =====================================================================================
``0x01``     a session: header of fixed size, device metadata (JSON), payload in msgpack
``{``        a session as text: the same fields as one JSON object, payload in JSON
``0x02``     a tombstone: what a rotation leaves under the old key
``0x03``     a cut-off: when all of an owner's sessions were ended
===========  =====================================================================================

Times are milliseconds since the epoch, spans are milliseconds.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from holdfast.codec import JSON, MSGPACK, Codec
from holdfast.errors import DecodeError

_SESSION = 0x01
_TEXT = ord("{")
_TOMBSTONE = 0x02
_CUTOFF = 0x03

_HEADER = struct.Struct(">BQQQI")
_GRAVE = struct.Struct(">BBQ32s32s")
_CUT = struct.Struct(">BQ32s")
_TEXT_HEADER = re.compile(
    rb'\{"created_at":(\d{1,20}),"issued_at":(\d{1,20}),"idle":(\d{1,20}),"meta":(\{.*?\}),"payload":', re.DOTALL
)
_NONE = bytes(32)


@dataclass(slots=True)
class Envelope:
    """A session as it is stored.

    Attributes:
        created_at: When the session, or the login it belongs to, began. The absolute timeout counts from here.
        issued_at: When its token was made. The renewal interval counts from here.
        idle: The idle timeout in force when the record was written; with the record's expiry it tells the last use.
        payload: The session's data, encoded by *codec*.
        codec: How the payload is encoded.
        meta: Device metadata: text under short names.
    """

    created_at: int
    issued_at: int
    idle: int
    payload: bytes
    codec: Codec = MSGPACK
    meta: dict[str, str] = field(default_factory=dict)


class Fate(IntEnum):
    """What became of the session that a tombstone stands for."""

    SUPERSEDED = 1
    ALIAS = 2
    ENDED = 3


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left under an old key. It holds no session data.

    Attributes:
        fate: Superseded (a rotation: the old token is worth nothing), alias (a renewal: the old token leads to the
            new one until the grace period ends), or ended.
        until: When the grace period ends.
        successor: The key the session moved to, or None.
        sealed: The new token, readable only with the old one (`holdfast.tokens.seal_successor`), or None.
    """

    fate: Fate
    until: int
    successor: str | None = None
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Ends every session of its owner that began at or before *at*, except the one under the key *keep*."""

    at: int
    keep: str | None = None


Body: TypeAlias = Envelope | Tombstone | Cutoff


def encode(body: Body) -> bytes:
    """Return the bytes to store for *body*."""
    if isinstance(body, Envelope):
        meta = json.dumps(body.meta, ensure_ascii=False, separators=(",", ":")).encode() if body.meta else b""
        if body.codec is JSON:
            head = b'{"created_at":%d,"issued_at":%d,"idle":%d,"meta":%s,"payload":'
            return head % (body.created_at, body.issued_at, body.idle, meta or b"{}") + body.payload + b"}"
        return _HEADER.pack(_SESSION, body.created_at, body.issued_at, body.idle, len(meta)) + meta + body.payload
    if isinstance(body, Tombstone):
        return _GRAVE.pack(_TOMBSTONE, body.fate, body.until, _raw(body.successor), body.sealed or _NONE)
    return _CUT.pack(_CUTOFF, body.at, _raw(body.keep))


def decode(data: bytes) -> Body:
    """Return what *data* holds.

    Raises:
        DecodeError: The bytes are not a whole body of a format known here. The payload of an envelope is
            not looked at: that is its codec's work.
    """
    decoder = _DECODERS.get(data[0]) if data else None
    if decoder is None:
        raise DecodeError("the record has a format byte that is not known here", unknown_format=True)
    try:
        return decoder(data)
    except (struct.error, ValueError, RecursionError) as error:
        raise DecodeError("the record is damaged") from error


def _session(data: bytes) -> Envelope:
    _, created_at, issued_at, idle, size = _HEADER.unpack_from(data)
    start = _HEADER.size + size
    if start > len(data):
        raise ValueError("cut short")
    meta = _metadata(data[_HEADER.size : start]) if size else {}
    return Envelope(created_at, issued_at, idle, data[start:], MSGPACK, meta)


def _text(data: bytes) -> Envelope:
    head = _TEXT_HEADER.match(data)
    if head is None or not data.endswith(b"}"):
        raise ValueError("not a session as text")
    created_at, issued_at, idle = (int(head[n]) for n in (1, 2, 3))
    return Envelope(created_at, issued_at, idle, data[head.end() : -1], JSON, _metadata(head[4]))


def _tombstone(data: bytes) -> Tombstone:
    _, fate, until, successor, sealed = _GRAVE.unpack(data)
    return Tombstone(Fate(fate), until, _key(successor), sealed if sealed != _NONE else None)


def _cutoff(data: bytes) -> Cutoff:
    _, at, keep = _CUT.unpack(data)
    return Cutoff(at, _key(keep))


_DECODERS: dict[int, Callable[[bytes], Body]] = {
    _SESSION: _session,
    _TEXT: _text,
    _TOMBSTONE: _tombstone,
    _CUTOFF: _cutoff,
}


def _metadata(text: bytes) -> dict[str, str]:
    meta = json.loads(text)
    if not isinstance(meta, dict) or not all(isinstance(value, str) for value in meta.values()):
        raise ValueError("not metadata")
    return meta


def _raw(key: str | None) -> bytes:
    return bytes.fromhex(key) if key else _NONE


def _key(raw: bytes) -> str | None:
    return raw.hex() if raw != _NONE else None

"""The formats of a record's data. One format byte, one decoder for it, and no fallback.

===========  =====================================================================================
``0x01``     a session: header, ids of its last writes, metadata and payload in msgpack
``{``        a session as text: the same fields as one JSON object, payload in JSON
``0x02``     a tombstone: left under the old key by a rotation
``0x03``     a cut-off: when all of an owner's sessions were ended
``0x04``     a sealed session: header, ids of writes, sealed metadata and payload (`holdfast.records.encryption`)
``0x05``     a tombstone or cut-off with a message authentication code, of an application with keys
===========  =====================================================================================

Times are milliseconds since the epoch, spans are milliseconds.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any, TypeAlias, TypeVar

from holdfast.errors import DecodeError, UnknownKey, raise_own_fault
from holdfast.records.codec import JSON, MSGPACK, PACKER, Codec
from holdfast.records.metadata import NAMES
from holdfast.records.record import Record

#: The length of the id of a write in bytes. Two writes of one session have equal ids with a probability of 1 in 2^48.
ID_BYTES = 6

#: The number of ids in a record: a write can be found after at most five others.
KEPT = 6

_SESSION = 0x01
_TEXT = ord("{")
_TOMBSTONE = 0x02
_CUTOFF = 0x03
_SEALED = 0x04
_VOUCHED = 0x05

_HEADER = struct.Struct(">BQQQBI")
_HEADER_SIZE = _HEADER.size
_TOMBSTONE_HEADER = struct.Struct(">BBQ32s6sH")
_CUTOFF_BODY = struct.Struct(">BQ32s")
_SEALED_HEADER = struct.Struct(">BBB8sQQQB")
_SEALED_SIZE = _SEALED_HEADER.size
_VOUCHED_HEADER = struct.Struct(">B8s32s")
_SIZE = struct.Struct(">I")
_TEXT_HEADER = re.compile(
    rb'\{"created_at":(\d{1,20}),"issued_at":(\d{1,20}),"idle":(\d{1,20}),"writes":"([\da-f]{0,72})",'
    rb'"meta":(\{.*?\}),"payload":',
    re.DOTALL,
)
_NONE = bytes(32)
_CODECS = (MSGPACK, JSON)

_NUMBERS: dict[str, int] = {name: number for number, name in enumerate(NAMES)}
_NEWER = re.compile(r"[1-9][0-9]{1,3}", re.ASCII)
# An id is 16 bytes as base64url, whose last character has four bits of nothing; a key is 32 bytes as hex.
_ID, _HEX = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]"), re.compile(r"[0-9a-f]{64}")


def extended(history: bytes, write_id: bytes) -> bytes:
    """Return *history* after the write *write_id*, without the oldest ids."""
    return (history + write_id)[-KEPT * ID_BYTES :]


def newest(history: bytes) -> bytes:
    """Return the id of the last write, or no bytes if unknown."""
    return history[-ID_BYTES:]


def includes(history: bytes, write_id: bytes) -> bool:
    """Return whether *write_id* is among the writes of *history*."""
    return any(history[at : at + ID_BYTES] == write_id for at in range(0, len(history), ID_BYTES))


@dataclass(slots=True, repr=False)
class Envelope:
    """A session as it is stored.

    Attributes:
        created_at: When the session, or the login it belongs to, began. The absolute timeout counts from here.
        issued_at: When its token was made. The renewal interval counts from here.
        idle: The idle timeout in force when the record was written; the last use is the record's expiry minus it.
        payload: The session's data, encoded by *codec*.
        codec: How the payload is encoded.
        meta: Metadata: text under short names (`holdfast.records.metadata`).
        writes: Its history: the ids of its last writes, the newest last, so that a lost answer can be determined.
    """

    created_at: int
    issued_at: int
    idle: int
    payload: bytes
    codec: Codec = MSGPACK
    meta: dict[str, str] = field(default_factory=dict)
    writes: bytes = b""


class TombstoneKind(IntEnum):
    """The reason for which a tombstone replaced a session."""

    SUPERSEDED = 1
    ALIAS = 2
    ENDED = 3


@dataclass(frozen=True, slots=True, repr=False)
class Tombstone:
    """The record that is left under an old key. Of the session's data it holds only what *sealed* says.

    Attributes:
        kind: Superseded (a rotation: the old token is invalid), alias (a renewal: the old token leads to the new one
            until the grace period ends), or ended.
        until: When the grace period ends.
        successor: The key the session moved to, or None.
        sealed: What only the old token reveals: of an alias the new one (`holdfast.records.tokens.seal_successor`), of
            a login the visitor's secrets (`holdfast.sessions.flows.visitor`), or None.
        write: The id of the write that stored it.
    """

    kind: TombstoneKind
    until: int
    successor: str | None = None
    sealed: bytes | None = None
    write: bytes = field(default_factory=partial(secrets.token_bytes, ID_BYTES))


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Ends every session of its owner that began at or before *at*, except the one under the key *keep*."""

    at: int
    keep: str | None = None


Control: TypeAlias = Tombstone | Cutoff
ControlT = TypeVar("ControlT", Tombstone, Cutoff)


@dataclass(frozen=True, slots=True, repr=False)
class Vouched:
    """A control record, that is a tombstone or a cut-off, as an application with keys stores it.

    *key_id* is the id of the application's key, 8 bytes; *tag* the message authentication code; *control* the encoded
    record.
    """

    key_id: bytes
    tag: bytes
    control: bytes


@dataclass(slots=True, repr=False)
class Sealed:
    """A session as it is stored sealed. Times, codec and writes are as in `Envelope`: readable, and authenticated.

    Attributes:
        scheme: The mode of sealing: see `holdfast.records.encryption`.
        key_id: The id of the application's key that sealed it: 8 bytes.
        created_at, issued_at, idle, codec, writes: As in `Envelope`.
        meta: The sealed metadata; empty where they are sealed as one with the payload.
        payload: The sealed payload.
        head: The readable part, as it is stored: it begins the record.
    """

    scheme: int
    key_id: bytes
    created_at: int
    issued_at: int
    idle: int
    codec: Codec
    meta: bytes
    payload: bytes
    writes: bytes = b""
    head: bytes = b""

    def __post_init__(self) -> None:
        if not self.head:
            codec, count = _CODECS.index(self.codec), len(self.writes) // ID_BYTES
            times = self.created_at, self.issued_at, self.idle
            self.head = _SEALED_HEADER.pack(_SEALED, self.scheme, codec, self.key_id, *times, count) + self.writes


Body: TypeAlias = Envelope | Sealed | Control | Vouched

#: The classes of a session, for `isinstance`: as a union they would be put together for each call.
SESSIONS = Envelope, Sealed


def encode(body: Body) -> bytes:
    """Return the bytes to store for *body*."""
    if isinstance(body, Envelope):
        if body.codec is JSON:
            meta = json.dumps(body.meta, ensure_ascii=False, separators=(",", ":")).encode()
            head = b'{"created_at":%d,"issued_at":%d,"idle":%d,"writes":"%s","meta":%s,"payload":'
            fields = body.created_at, body.issued_at, body.idle, body.writes.hex().encode(), meta
            return head % fields + body.payload + b"}"
        meta = encode_meta(body.meta)
        count = len(body.writes) // ID_BYTES
        head = _HEADER.pack(_SESSION, body.created_at, body.issued_at, body.idle, count, len(meta))
        return head + body.writes + meta + body.payload
    if isinstance(body, Sealed):
        return body.head + _SIZE.pack(len(body.meta)) + body.meta + body.payload
    if isinstance(body, Vouched):
        return _VOUCHED_HEADER.pack(_VOUCHED, body.key_id, body.tag) + body.control
    if isinstance(body, Tombstone):
        successor, sealed = _raw(body.successor), body.sealed or b""
        head = _TOMBSTONE_HEADER.pack(_TOMBSTONE, body.kind, body.until, successor, body.write, len(sealed))
        return head + sealed
    return _CUTOFF_BODY.pack(_CUTOFF, body.at, _raw(body.keep))


def decode(data: bytes) -> Body:
    """Return the body in *data*.

    Raises:
        DecodeError: The bytes are not a whole body of a known format. The payload of an envelope is not checked: its
            codec does that.
    """
    decoder = _DECODERS.get(data[0]) if data else None
    if decoder is None:
        raise DecodeError("the record has an unknown format byte", foreign=True)
    try:
        return decoder(data)
    except (struct.error, ValueError, RecursionError) as error:
        raise_own_fault(error)
        raise DecodeError("the record is damaged") from error


def _session(data: bytes) -> Envelope:
    _, created_at, issued_at, idle, count, size = _HEADER.unpack_from(data)
    meta_at = _HEADER_SIZE + count * ID_BYTES
    start = meta_at + size
    if count > KEPT or start > len(data):
        raise ValueError("cut short")
    meta = decode_meta(data[meta_at:start])
    return Envelope(created_at, issued_at, idle, data[start:], MSGPACK, meta, data[_HEADER_SIZE:meta_at])


def _text(data: bytes) -> Envelope:
    head = _TEXT_HEADER.match(data)
    if head is None or not data.endswith(b"}"):
        raise ValueError("not a session as text")
    created_at, issued_at, idle = (int(head[n]) for n in (1, 2, 3))
    payload, writes = data[head.end() : -1], bytes.fromhex(head[4].decode())
    if len(writes) % ID_BYTES:
        raise ValueError("not ids of writes")
    meta = json.loads(head[5])
    if not {str}.issuperset(map(type, meta.values())):
        raise ValueError("not metadata")
    "".join(meta.values()).encode()  # an escape can stand for half of a surrogate pair, which is no text
    return Envelope(created_at, issued_at, idle, payload, JSON, meta, writes)


def _sealed(data: bytes) -> Sealed:
    _, scheme, codec, key_id, created_at, issued_at, idle, count = _SEALED_HEADER.unpack_from(data)
    writes_end = _SEALED_SIZE + count * ID_BYTES
    (size,) = _SIZE.unpack_from(data, writes_end)
    meta_at = writes_end + _SIZE.size
    payload_at = meta_at + size
    if count > KEPT or payload_at > len(data) or codec >= len(_CODECS):
        raise ValueError("not a sealed session")
    meta, payload = data[meta_at:payload_at], data[payload_at:]
    writes = data[_SEALED_SIZE:writes_end]
    return Sealed(scheme, key_id, created_at, issued_at, idle, _CODECS[codec], meta, payload, writes, data[:writes_end])


def _tombstone(data: bytes) -> Tombstone:
    _, kind, until, successor, write, size = _TOMBSTONE_HEADER.unpack_from(data)
    sealed = data[_TOMBSTONE_HEADER.size :]
    if len(sealed) != size:
        raise ValueError("cut short")
    return Tombstone(TombstoneKind(kind), until, _key(successor), sealed or None, write)


def _vouched(data: bytes) -> Vouched:
    _, key_id, tag = _VOUCHED_HEADER.unpack_from(data)
    return Vouched(key_id, tag, data[_VOUCHED_HEADER.size :])


def _cutoff(data: bytes) -> Cutoff:
    _, at, keep = _CUTOFF_BODY.unpack(data)
    return Cutoff(at, _key(keep))


_DECODERS: dict[int, Callable[[bytes], Body]] = {
    _SESSION: _session,
    _TEXT: _text,
    _TOMBSTONE: _tombstone,
    _CUTOFF: _cutoff,
    _SEALED: _sealed,
    _VOUCHED: _vouched,
}


def encode_meta(meta: Mapping[str, str]) -> bytes:
    """Return *meta* in msgpack: names as numbers; numbers, ids and keys as such. No bytes if there is none.

    A name that a newer release added is its number here, and is kept.
    """
    return _encoded_once(tuple(meta.items())) if meta else b""


@lru_cache(maxsize=512)
def _encoded_once(items: tuple[tuple[str, str], ...]) -> bytes:
    parts: list[Any] = []
    for name, text in items:
        number = _NUMBERS.get(name)
        parts += _newer(name) if number is None else number, _shortest(text)
    return PACKER.pack(parts)


def decode_meta(packed: bytes) -> dict[str, str]:
    """Return the metadata in *packed*, from `encode_meta`; `ValueError` if that never returns it."""
    if not packed:
        return {}
    return (_decoded_once if len(packed) <= 256 else _decoded)(packed).copy()


def _decoded(packed: bytes) -> dict[str, str]:
    try:
        parts = iter(PACKER.unpack(packed, None))
        pairs = zip(parts, parts, strict=True)
        meta = {_name_of(name): _text_of(value) for name, value in pairs}
        if {str}.issuperset(map(type, meta)) and encode_meta(meta) == packed:
            return meta
    except Exception as error:  # noqa: BLE001  # parsers raise all sorts on hostile bytes; raised as one below
        raise_own_fault(error)
    raise ValueError("not metadata")


# The requests of a browser follow each other, with the same metadata.
_decoded_once = lru_cache(maxsize=512)(_decoded)


def _newer(name: str) -> str | int:
    """Return the number that *name* stands for, if `_name_of` did not know it; otherwise *name*."""
    return int(name) if _NEWER.fullmatch(name) and int(name) >= len(NAMES) else name


def _name_of(name: Any) -> Any:
    if type(name) is not int:
        return name
    return NAMES[name] if name < len(NAMES) else str(name)


def _shortest(text: str) -> str | int | bytes:
    if text.isdigit() and text.isascii():
        return int(text) if len(text) < 19 and (text[0] != "0" or text == "0") else text
    if len(text) == 22 and _ID.fullmatch(text):
        return base64.urlsafe_b64decode(text + "==")
    return bytes.fromhex(text) if _HEX.fullmatch(text) else text


def _text_of(value: Any) -> Any:
    if type(value) is int:
        return str(value)
    if type(value) is bytes:
        return base64.urlsafe_b64encode(value)[:22].decode() if len(value) == 16 else value.hex()
    return value


def _raw(key: str | None) -> bytes:
    return bytes.fromhex(key) if key else _NONE


def _key(raw: bytes) -> str | None:
    return raw.hex() if raw != _NONE else None


def control_in(
    read: Callable[[bytes, str], Body], record: Record | None, key: str, kind: type[ControlT], *, strict: bool = False
) -> ControlT | None:
    """Return the control record of *kind* that *record*, stored under *key*, is, as a sealer's *read* returns it.

    None if it is none, is damaged, or no key vouches for it; with *strict*, `UnknownKey` if another key does.
    """
    try:
        body = read(record.data, key) if record is not None else None
    except DecodeError as error:
        if strict and isinstance(error, UnknownKey):
            raise
        return None
    return body if isinstance(body, kind) else None


class Unsealed:
    """The `Sealer` of an application without keys: it stores records as they are."""

    #: Nothing is sealed that could be mixed with what is not.
    migrating = False

    def seal(self, envelope: Envelope, *, token: str, key: str, owner: str | None) -> bytes:  # noqa: ARG002  # see Sealer
        """Return the bytes to store for *envelope*."""
        return encode(envelope)

    def open(self, body: Envelope | Sealed, *, token: str, key: str, owner: str | None) -> Envelope:  # noqa: ARG002
        """Return the session in *body*; `UnknownKey` if it is sealed, `DecodeError` if *owner* is no owner value."""
        if isinstance(body, Sealed):
            raise UnknownKey("the record is sealed, and no keys are given")
        if owner is not None and not owner.isascii():
            raise DecodeError("the record's owner is not an owner value")
        return body

    def open_metadata(self, body: Envelope | Sealed, *, key: str, owner: str | None) -> Envelope:
        """Return the session in *body*, as `open` does: nothing in it needs the token."""
        return self.open(body, token="", key=key, owner=owner)

    def seal_control(self, control: Control, key: str) -> bytes:  # noqa: ARG002
        """Return the bytes to store for *control*."""
        return encode(control)

    def read(self, data: bytes, key: str) -> Envelope | Sealed | Control:  # noqa: ARG002
        """Return what *data* are, as `Sealer.read` does; `UnknownKey` for a message authentication code."""
        body = decode(data)
        if isinstance(body, Vouched):
            raise UnknownKey("the record is vouched for, and no keys are given")
        return body

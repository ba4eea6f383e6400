"""The encoding of a record as one string of bytes, for stores that need it.

Head, the store's own part, owner, data. The head is a format byte, the version, the length of the owner plus one (0
without an owner), and the expiry: at its end, so that a store can overwrite it in place.
"""

from __future__ import annotations

import struct
from typing import overload

from holdfast.records.record import Record

#: The milliseconds that a server keeps expired records, so that only the application's clock decides expiry.
MARGIN = 300_000

_HEAD = struct.Struct(">BQIq")
_FORMAT = 1
_HEAD_SIZE = _HEAD.size
#: The position of the expiry, a signed number of 8 bytes.
EXPIRY_AT = _HEAD_SIZE - 8


def pack(record: Record, own: bytes) -> bytes:
    """Return *record*, whose version is a number of 64 bits, as bytes, with the store's part *own*."""
    owner = b"" if record.owner is None else owner_bytes(record.owner)
    size = 0 if record.owner is None else len(owner) + 1
    return _HEAD.pack(_FORMAT, record.version, size, record.expires_at) + own + owner + record.data


def unpack(raw: bytes, own_size: int) -> tuple[Record, bytes] | None:
    """Return the record and the store's part in *raw*, from `pack`; None if *raw* has another form."""
    start = _HEAD_SIZE + own_size
    if len(raw) < start or raw[0] != _FORMAT:
        return None
    _, version, size, expires_at = _HEAD.unpack_from(raw)
    end = start + size - 1 if size else start
    if end > len(raw):
        return None
    owner = owner_text(raw[start:end]) if size else None
    return Record(raw[end:], version, expires_at, owner), raw[_HEAD_SIZE:start]


def owner_bytes(owner: str) -> bytes:
    """Return *owner* as bytes."""
    return owner.encode("utf-8", "surrogatepass")


def owner_text(raw: bytes) -> str:
    """Return the owner in *raw*, from `owner_bytes`; for other bytes, a text that is no owner's."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode(errors="replace")


def any_text(raw: bytes) -> str:
    """Return *raw* as text, for a file that others may have written to: no bytes are an error."""
    return raw.decode(errors="replace")


@overload
def raw_of(text: str) -> str | bytes: ...
@overload
def raw_of(text: str | None) -> str | bytes | None: ...
def raw_of(text: str | None) -> str | bytes | None:
    """Return the bytes that *text*, a key or an owner, stands for as lower-case hex digits; other text as it is."""
    try:
        raw = bytes.fromhex(text or "")
    except ValueError:
        return text
    return raw if raw and raw.hex() == text else text

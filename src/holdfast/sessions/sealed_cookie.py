"""A cookie's value that holds a whole session, encrypted.

It is base64url, in its one canonical spelling, of: format byte, id of the key, salt, and a box
(`holdfast.records.aes_gcm`) with the session's expiry, when it was last known not to be revoked, its id, its owner and
its envelope. The format, the application's namespace and the cookie's name are vouched for.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from dataclasses import dataclass

from holdfast.errors import DecodeError, RecordTooLarge
from holdfast.records.aes_gcm import Box
from holdfast.records.envelope import Envelope, decode, encode
from holdfast.records.sealing import Keyring
from holdfast.records.tokens import Keys, labelled
from holdfast.sessions.mapping import Loaded

#: User agents ignore a cookie of more than 4096 bytes. RFC 6265bis §5.6 counts its name and value; some count the
#: attributes too, which this leaves room for.
LARGEST = 3900

_FORMAT = 0x01
_HEADER = struct.Struct(">B8s16s")
_INSIDE = struct.Struct(">QQ43s32s")
_NOBODY = bytes(32)


@dataclass(slots=True)
class Kept(Loaded):
    """A live session as its cookie holds it. *token* is the cookie's value, *key* stands for its *id* in a store.

    *since* is when it was last known not to be revoked. *stale* tells that another key is the newest by now.
    """

    id: str = ""
    since: int = 0
    stale: bool = False


class SealedCookie:
    """Writes and reads the values of the cookie *name*, of the application with the namespace of *keys*."""

    def __init__(self, keyring: Keyring, *, name: str, keys: Keys) -> None:
        self._keyring = keyring
        self._name = name
        self._keys = keys
        self._purpose = labelled(b"holdfast cookie", keys.namespace.encode(), name.encode())

    def seal(self, kept: Kept) -> str:
        """Return the value that holds *kept*.

        Raises:
            RecordTooLarge: No browser would take it.
        """
        owner = bytes.fromhex(kept.owner) if kept.owner else _NOBODY
        inside = _INSIDE.pack(kept.expires_at, kept.since, kept.id.encode(), owner) + encode(kept.envelope)
        header = _HEADER.pack(_FORMAT, self._keyring.newest, secrets.token_bytes(16))
        value = _text(header + self._box(header).seal(inside, header))
        if len(self._name) + len(value) > LARGEST:
            raise RecordTooLarge(len(self._name) + len(value), LARGEST)
        return value

    def unseal(self, value: str) -> Kept | None:
        """Return what *value* holds, None when it has not the form of one of ours.

        Raises:
            UnknownKey, DecodeError: It was not sealed here, or it was changed.
        """
        raw = _raw(value)
        if raw is None or len(raw) <= _HEADER.size or raw[0] != _FORMAT:
            return None
        header = raw[: _HEADER.size]
        inside = self._box(header).open(raw[_HEADER.size :], header)
        try:
            expires_at, since, id_, owner = _INSIDE.unpack_from(inside)
            token = id_.decode()
        except (struct.error, UnicodeDecodeError) as error:
            raise DecodeError("what was sealed is not a session") from error
        envelope = decode(inside[_INSIDE.size :])
        if not isinstance(envelope, Envelope):
            return None
        bound = owner.hex() if owner != _NOBODY else None
        stale = _HEADER.unpack(header)[1] != self._keyring.newest
        return Kept(value, self._keys.key_of(token), 0, expires_at, bound, envelope, token, since, stale)

    def _box(self, header: bytes) -> Box:
        _, key_id, salt = _HEADER.unpack(header)
        return Box(self._keyring[key_id], labelled(self._purpose, salt))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes | None:
    """Return the bytes of canonical base64url without padding, or None."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if _text(raw) == text else None

"""A whole session in the value of a cookie, encrypted.

The value is canonical base64url, without padding, of: format byte (1), key id (8 bytes), salt (16 bytes) and the
ciphertext (`holdfast.records.encryption.AesGcm`) of the fields of `CookieRecord`. Format byte, key id, salt, the
application's namespace and the cookie's name are authenticated too.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.errors import DecodeError, RecordTooLarge
from holdfast.records.encryption import AesGcm, Keyring
from holdfast.records.envelope import Envelope, decode, encode
from holdfast.records.tokens import Keys, base64url, labelled

#: User agents ignore a cookie of more than 4096 bytes. RFC 6265bis §5.6 counts its name and value; some count the
#: attributes too, which this leaves room for.
MAX_BYTES = 3900

_FORMAT = 0x01
_HEADER = struct.Struct(">B8s16s")
_FIELDS = struct.Struct(">QQ43s32s")
_NO_OWNER = bytes(32)


@dataclass(slots=True, repr=False)
class CookieRecord:
    """A session as its cookie holds it. Times are milliseconds since the epoch.

    Attributes:
        token: The session's token: 43 characters.
        expires_at: When the session expires unless it is used.
        since: When the revocation store was last asked about it.
        owner: The owner value of the user it is bound to, or None.
        envelope: Its times, metadata and data.
        stale: Whether it was encrypted with a key that is not the newest.
    """

    token: str
    expires_at: int
    since: int
    owner: str | None
    envelope: Envelope
    stale: bool = False


class SealedCookie:
    """Writes and reads the values of a cookie, of the application with the namespace of *keys*.

    *names* are its name and former ones, under which values are only read.
    """

    def __init__(self, keyring: Keyring, *, names: Sequence[str], keys: Keys) -> None:
        self._keyring = keyring
        self._name = names[0]
        self._purposes = [labelled(b"holdfast cookie", keys.namespace.encode(), name.encode()) for name in names]

    def seal(self, record: CookieRecord) -> str:
        """Return the value that holds *record*; `RecordTooLarge` if browsers would ignore the cookie."""
        owner = bytes.fromhex(record.owner) if record.owner else _NO_OWNER
        plain = _FIELDS.pack(record.expires_at, record.since, record.token.encode(), owner) + encode(record.envelope)
        header = _HEADER.pack(_FORMAT, self._keyring.newest, secrets.token_bytes(16))
        value = base64url(header + self._cipher(header, self._purposes[0]).encrypt(plain, header))
        if len(self._name) + len(value) > MAX_BYTES:
            raise RecordTooLarge(len(self._name) + len(value), MAX_BYTES)
        return value

    def has_form(self, value: str) -> bool:
        """Return whether *value* has this format."""
        return _raw(value) is not None

    def unseal(self, value: str) -> CookieRecord | None:
        """Return the session in *value*, or None if *value* does not have this format.

        Raises:
            UnknownKey: It is encrypted with none of the keys.
            DecodeError: It was changed, or encrypted for another application or cookie.
        """
        raw = _raw(value)
        if raw is None:
            return None
        header = raw[: _HEADER.size]
        plain = self._decrypt(raw[_HEADER.size :], header)
        try:
            expires_at, since, token, owner = _FIELDS.unpack_from(plain)
            token = token.decode()
        except (struct.error, UnicodeDecodeError) as error:
            raise DecodeError("the sealed data is not a session") from error
        envelope = decode(plain[_FIELDS.size :])
        if not isinstance(envelope, Envelope):
            return None
        stale = _HEADER.unpack(header)[1] != self._keyring.newest
        return CookieRecord(token, expires_at, since, owner.hex() if owner != _NO_OWNER else None, envelope, stale)

    def _decrypt(self, sealed: bytes, header: bytes) -> bytes:
        for purpose in self._purposes[:-1]:
            with suppress(DecodeError):
                return self._cipher(header, purpose).decrypt(sealed, header)
        return self._cipher(header, self._purposes[-1]).decrypt(sealed, header)

    def successor(self, token: str) -> str:
        """Return the token with which a renewal replaces *token*: always the same one, secret without the key."""
        return base64url(
            hmac.digest(self._keyring[self._keyring.newest], labelled(self._purposes[0], token.encode()), "sha256")
        )

    def _cipher(self, header: bytes, purpose: bytes) -> AesGcm:
        _, key_id, salt = _HEADER.unpack(header)
        return AesGcm(self._keyring[key_id], labelled(purpose, salt))


def _raw(text: str) -> bytes | None:
    """Return the bytes of a value, canonical base64url without padding, or None if it does not have this format."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) > _HEADER.size and raw[0] == _FORMAT and base64url(raw) == text else None

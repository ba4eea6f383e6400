"""Sealed records: encrypted or authenticated, so that a store's operator can neither read nor change them unnoticed.

=========  ======  ==========================================================================================
``keys``   0x01    AES-256-GCM of metadata and payload. Reading them takes one of the application's keys.
``cookie`` 0x02    The same of each of the two. The payload takes the token too, the metadata the key alone.
``mac``    0x03    HMAC-SHA-256. Everything can be read, and nothing can be changed unnoticed.
=========  ======  ==========================================================================================

In every scheme the record's key, owner, format, scheme and times are authenticated too: a record is refused under
another key, and under another owner.

Control records (tombstones and cut-offs) get an HMAC in every scheme, and a renewal's tombstone hides the new token
under the application's key as well as the old token.

Each record is encrypted with a key of its own, derived from the application's by HKDF (RFC 5869), because random nonces
of 96 bits allow only 2**32 encryptions under one key (NIST SP 800-38D §8.3).
"""

from __future__ import annotations

import base64
import dataclasses
import hmac
import os
import secrets
import struct
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, DecodeError, UnknownKey, cannot_import
from holdfast.records.envelope import (
    SESSIONS,
    Control,
    Cutoff,
    Envelope,
    Sealed,
    Tombstone,
    Vouched,
    decode,
    decode_meta,
    encode,
    encode_meta,
)
from holdfast.records.tokens import DEFAULT_NAMESPACE, is_token, labelled, masked
from holdfast.records.weak_keys import NEW_KEY, weakness_of

if TYPE_CHECKING:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32

SealMode: TypeAlias = Literal["keys", "cookie", "mac"]

_SCHEMES: dict[SealMode, int] = {"keys": 1, "cookie": 2, "mac": 3}
_COOKIE, _MAC = _SCHEMES["cookie"], _SCHEMES["mac"]

#: The number of records whose ciphers are kept: those that the application's key alone gives.
_CIPHERS = 512

_SIZE = struct.Struct(">I")
_TAG_BYTES = 32
_NONCE_BYTES = 12


def new_key() -> str:
    """Return a new key: 32 random bytes as base64url text of 43 characters."""
    return secrets.token_urlsafe(KEY_BYTES)


def key_from(value: object) -> bytes:
    """Return the 32 bytes of a key, given as bytes or as base64url text. No error contains the value."""
    if isinstance(value, str) and is_token(value.removesuffix("=")):  # which has the same form
        return base64.urlsafe_b64decode(value[:43] + "=")
    if isinstance(value, bytes) and len(value) == KEY_BYTES:
        return value
    raise ConfigurationError(f"a seal key must be 32 bytes or their base64url text of 43 characters: {NEW_KEY}")


class Keyring:
    """The application's keys, the newest first. The newest encrypts; all of them decrypt. A weak key is refused."""

    def __init__(self, keys: Sequence[object]) -> None:
        found = [key_from(key) for key in keys]
        weakness = next(filter(None, map(weakness_of, found)), None)
        if weakness is not None:
            raise ConfigurationError(f"a seal key can be guessed: {weakness}. {NEW_KEY} that cannot")
        if not found:
            raise ConfigurationError(f"there are no seal keys: {NEW_KEY}")
        self._keys = {_id_of(key): key for key in reversed(found)}
        #: The 8 bytes that identify the newest key in a record: an HMAC under the key.
        self.newest: bytes = _id_of(found[0])
        #: Returns the cipher of what a key alone opens of a record, by the key's id, the scheme and the record's key.
        self.cipher: Callable[[bytes, int, str], AesGcm] = lru_cache(maxsize=_CIPHERS)(self._cipher)

    def _cipher(self, key_id: bytes, scheme: int, key: str) -> AesGcm:
        return AesGcm(self[key_id], _purpose(scheme, b"metadata" if scheme == _COOKIE else b"record", key))

    def __getitem__(self, key_id: bytes) -> bytes:
        """Return the key with the id *key_id*, or raise `UnknownKey`."""
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownKey("the record is sealed with none of the given keys")
        return key


def _id_of(key: bytes) -> bytes:
    return hmac.digest(key, b"holdfast seal key id", "sha256")[:8]


class AesGcm:
    """AES-256-GCM (NIST SP 800-38D) under a key derived by HKDF-SHA-256 (RFC 5869).

    *secret* is the input key material: one secret, or several of fixed length in a row. *purpose* is HKDF's info: one
    purpose's ciphertext cannot be decrypted for another. ``cryptography`` is imported on use.
    """

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        cipher, self._invalid_tag = require_cryptography()
        self._cipher = cipher(_derived(secret, purpose))

    def encrypt(self, plain: bytes, associated: bytes) -> bytes:
        """Return a random nonce and the ciphertext of *plain*; *associated* data are authenticated, not stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, associated)

    def decrypt(self, sealed: bytes, associated: bytes) -> bytes:
        """Return what `encrypt` was given; one `DecodeError` for another key, other *associated* data, and damage."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
        except (self._invalid_tag, ValueError) as error:
            raise DecodeError("sealed data is damaged, or belongs elsewhere") from error


def _derived(secret: bytes, info: bytes) -> bytes:
    """Return 32 bytes by HKDF-SHA-256 without salt (RFC 5869): extract, then one block of expand."""
    # What is derived from a token is not kept: it is to be in the process no longer than the request.
    extracted = _extracted_once(secret) if len(secret) == KEY_BYTES else _extracted(secret)
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _extracted(secret: bytes) -> bytes:
    return hmac.digest(bytes(32), secret, "sha256")


_extracted_once = lru_cache(maxsize=64)(_extracted)


@cache
def require_cryptography() -> tuple[type[AESGCM], type[InvalidTag]]:
    """Return the cipher of ``cryptography``, which must be installed, and the exception that it raises."""
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise cannot_import(error, "sealing", ": pip install 'holdfast[seal]'") from error
    return AESGCM, InvalidTag


class Sealer:
    """Seals records, and opens those sealed in the same mode with any of *keys*.

    Args:
        mode: ``keys``, ``cookie`` or ``mac``.
        keys: 32 bytes each, or their base64url text, the newest first; or a keyring.
        migrate_until: Until when, in milliseconds since the epoch, records that are not sealed or sealed in another
            mode are read too. Default: never.
        namespace: That of the keys under which control records are stored.
        clock: The time.
    """

    def __init__(
        self,
        mode: SealMode,
        keys: Sequence[object] | Keyring,
        *,
        migrate_until: int | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self._scheme = _SCHEMES[mode]
        self._keys = keys if isinstance(keys, Keyring) else Keyring(keys)
        self._migrate_until = migrate_until
        self.namespace = namespace
        self._clock = clock
        if mode != "mac":
            require_cryptography()

    def seal(self, envelope: Envelope, *, token: str, key: str, owner: str | None) -> bytes:
        """Return the bytes to store for *envelope* under *key*, for the holder of *token*."""
        meta, payload = encode_meta(envelope.meta), envelope.payload
        times = envelope.created_at, envelope.issued_at, envelope.idle
        sealed = Sealed(self._scheme, self._keys.newest, *times, envelope.codec, meta, payload, envelope.writes)
        associated = _associated(sealed, key, owner)
        if self._scheme == _MAC:
            sealed.payload += self._tag(sealed, associated, payload)
            return encode(sealed)
        cipher = self._keys.cipher(sealed.key_id, sealed.scheme, key)
        if self._scheme == _COOKIE:
            sealed.meta = cipher.encrypt(meta, associated)
            sealed.payload = self._cipher_of_payload(sealed, key, token).encrypt(payload, associated + sealed.meta)
        else:
            sealed.meta, sealed.payload = b"", cipher.encrypt(_SIZE.pack(len(meta)) + meta + payload, associated)
        return encode(sealed)

    def open(self, body: Envelope | Sealed, *, token: str, key: str, owner: str | None) -> Envelope:
        """Return the session in *body*, which is stored under *key* for *owner*, to the holder of *token*.

        Raises:
            UnknownKey: It is sealed with another key, in another mode, or not at all.
            DecodeError: It is damaged, or was not stored under this key and owner.
        """
        envelope = self.open_metadata(body, key=key, owner=owner)
        if isinstance(body, Sealed) and body.scheme == _COOKIE:
            associated = _associated(body, key, owner) + body.meta
            envelope.payload = self._cipher_of_payload(body, key, token).decrypt(body.payload, associated)
        return envelope

    def open_metadata(self, body: Envelope | Sealed, *, key: str, owner: str | None) -> Envelope:
        """Return the session in *body*, as `open` does, without the token: its payload is empty if that needs one."""
        scheme = body.scheme if isinstance(body, Sealed) else None
        if scheme != self._scheme and not (self.migrating and scheme in {None, *_SCHEMES.values()}):
            raise UnknownKey("the record is not sealed in this application's mode")
        if not isinstance(body, Sealed):
            return body
        associated = _associated(body, key, owner)
        if scheme == _MAC:
            meta, payload, tag = body.meta, body.payload[:-_TAG_BYTES], body.payload[-_TAG_BYTES:]
            if not hmac.compare_digest(tag, self._tag(body, associated, payload)):
                raise _damaged()
        elif scheme == _COOKIE:
            meta, payload = self._keys.cipher(body.key_id, scheme, key).decrypt(body.meta, associated), b""
        elif body.meta:
            raise _damaged()
        else:
            meta, payload = _parts(self._keys.cipher(body.key_id, body.scheme, key).decrypt(body.payload, associated))
        try:
            known = decode_meta(meta)
        except ValueError as error:
            raise _damaged() from error
        return Envelope(body.created_at, body.issued_at, body.idle, payload, body.codec, known, body.writes)

    def seal_control(self, control: Control, key: str) -> bytes:
        """Return the bytes to store for *control* under *key*."""
        secret, where = self._keys[self._keys.newest], self._place_of(key)
        encoded = encode(_masked(control, secret, where))
        return encode(Vouched(self._keys.newest, _control_tag(secret, where, encoded), encoded))

    def read(self, data: bytes, key: str) -> Envelope | Sealed | Control:
        """Return what *data*, stored under *key*, are: a session as it is stored, or a control record.

        Raises:
            UnknownKey: They are a control record that another key vouches for.
            DecodeError: They are damaged, or a control record that no key vouches for, or that was stored elsewhere.
        """
        body = decode(data)
        if isinstance(body, SESSIONS):
            return body
        if not isinstance(body, Vouched):
            if self.migrating:
                return body
            raise _damaged()
        secret, where = self._keys[body.key_id], self._place_of(key)
        if not hmac.compare_digest(body.tag, _control_tag(secret, where, body.control)):
            raise _damaged()
        control = decode(body.control)
        if not isinstance(control, Tombstone | Cutoff):
            raise _damaged()
        return _masked(control, secret, where)

    @property
    def migrating(self) -> bool:
        """Whether records that are not sealed, or sealed in another mode, are read now."""
        return self._migrate_until is not None and self._clock() < self._migrate_until

    def _place_of(self, key: str) -> bytes:
        return labelled(self.namespace.encode(), key.encode())

    def _cipher_of_payload(self, sealed: Sealed, key: str, token: str) -> AesGcm:
        return AesGcm(self._keys[sealed.key_id] + token.encode(), _purpose(sealed.scheme, b"payload", key))

    def _tag(self, sealed: Sealed, associated: bytes, payload: bytes) -> bytes:
        message = labelled(b"holdfast record mac", associated, sealed.meta, payload)
        return hmac.digest(self._keys[sealed.key_id], message, "sha256")


def _purpose(scheme: int, part: bytes, key: str) -> bytes:
    return labelled(b"holdfast record", bytes([scheme]), part, key.encode())


def _parts(plain: bytes) -> tuple[bytes, bytes]:
    """Return the metadata and the payload in what was encrypted as one."""
    start = _SIZE.size + _SIZE.unpack_from(plain)[0]
    return plain[_SIZE.size : start], plain[start:]


def _associated(sealed: Sealed, key: str, owner: str | None) -> bytes:
    return labelled(sealed.head, key.encode(), *([] if owner is None else [owner.encode(errors="surrogatepass")]))


def _control_tag(secret: bytes, place: bytes, encoded: bytes) -> bytes:
    return hmac.digest(secret, labelled(b"holdfast control record mac", place, encoded), "sha256")


def _masked(control: Control, secret: bytes, place: bytes) -> Control:
    """Hide what a tombstone holds under *secret* too, or reveal what was hidden so: the same operation."""
    if not isinstance(control, Tombstone) or control.sealed is None:
        return control
    purpose = labelled(b"holdfast tombstone mask", place, control.write)
    return dataclasses.replace(control, sealed=masked(control.sealed, secret, purpose))


def _damaged() -> DecodeError:
    return DecodeError("the record is damaged, or belongs elsewhere")

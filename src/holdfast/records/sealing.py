"""Sealing records, so that a store, and whoever gets at it, can read and change as little as possible.

=========  ======  ==========================================================================================
``keys``   0x01    AES-256-GCM. Reading a session takes one of the application's keys.
``cookie`` 0x02    The same, and its payload takes the token too. The metadata takes the application's key.
``mac``    0x03    HMAC-SHA-256. Everything can be read, and nothing can be changed unnoticed.
=========  ======  ==========================================================================================

Whatever the scheme, the record's key, its owner, its format, scheme and times are vouched for, so a record is worth
nothing under another key, and a user's session cannot be passed off as another user's.

Every record is sealed with a key of its own, made by HKDF (RFC 5869) from the application's, so that random nonces of
96 bits do not run out (NIST SP 800-38D §8.3 allows 2**32 under one key).
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from holdfast.clock import Clock, system_clock
from holdfast.errors import ConfigurationError, DecodeError, UnknownKey
from holdfast.records.envelope import Envelope, Sealed, decode_meta, encode, encode_meta
from holdfast.records.tokens import labelled

if TYPE_CHECKING:
    from holdfast.records.aes_gcm import Box

KEY_BYTES = 32

#: What errors say of a missing or weak key. Not `flask sessions new-key`: without a key the application may not start,
#: and then it has no commands.
NEW_KEY = "`python -m holdfast new-key` prints one"

How: TypeAlias = Literal["keys", "cookie", "mac"]

_SCHEMES: dict[How, int] = {"keys": 1, "cookie": 2, "mac": 3}
_COOKIE, _MAC = _SCHEMES["cookie"], _SCHEMES["mac"]

_TAG_BYTES = 32

# 43 characters carry 258 bits: the last one's two low bits must be zero, as in a token.
_KEY_TEXT = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?", re.ASCII)


def new_key() -> str:
    """Return a fresh key: 32 bytes of the operating system's randomness as base64url text."""
    return secrets.token_urlsafe(KEY_BYTES)


def key_from(value: object) -> bytes:
    """Return the 32 bytes of a key that is given as such or as base64url text.

    Raises:
        ConfigurationError: It is neither. The message does not show it.
    """
    if isinstance(value, str) and _KEY_TEXT.fullmatch(value):
        return base64.urlsafe_b64decode(value[:43] + "=")
    if isinstance(value, bytes) and len(value) == KEY_BYTES:
        return value
    raise ConfigurationError(f"a seal key must be 32 bytes or their base64url text of 43 characters: {NEW_KEY}")


class Keyring:
    """The application's keys, the newest first: what is sealed with any can be opened, and the newest seals.

    Raises:
        ConfigurationError: There is none, or one is not a key.
    """

    def __init__(self, keys: Sequence[object]) -> None:
        found = [key_from(key) for key in keys]
        if not found:
            raise ConfigurationError(f"there are no seal keys: {NEW_KEY}")
        self._keys = {_id_of(key): key for key in reversed(found)}
        #: The 8 bytes that name the newest key in a record. They tell nothing else about it.
        self.newest = _id_of(found[0])

    def __getitem__(self, key_id: bytes) -> bytes:
        """Return the key that *key_id* names.

        Raises:
            UnknownKey: It names none of them.
        """
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownKey("the record is sealed with none of the keys given")
        return key


def _id_of(key: bytes) -> bytes:
    return hmac.digest(key, b"holdfast seal key id", "sha256")[:8]


class Unsealed:
    """Records as they are, for an application without keys."""

    def seal(self, envelope: Envelope, *, token: str, key: str, owner: str | None) -> bytes:  # noqa: ARG002  # see Sealer
        """Return the bytes to store for *envelope*."""
        return encode(envelope)

    def open(self, body: Envelope | Sealed, *, token: str, key: str, owner: str | None) -> Envelope:  # noqa: ARG002
        """Return the session that *body* holds.

        Raises:
            UnknownKey: It is sealed.
        """
        return self.look(body, key=key, owner=owner)

    def look(self, body: Envelope | Sealed, *, key: str, owner: str | None) -> Envelope:  # noqa: ARG002
        """Return the session that *body* holds, as far as it can be told without its token."""
        if isinstance(body, Sealed):
            raise UnknownKey("the record is sealed, and no keys are given")
        return body


class Sealer:
    """Seals what is stored from now on, and opens what is sealed the same way with any of *keys*.

    Args:
        how: ``keys``, ``cookie`` or ``mac``.
        keys: 32 bytes each, or their base64url text, the newest first.
        migrate_until: Until when (milliseconds since the epoch) records that are not sealed, or sealed another way,
            are read as well. Default: they are not.
        clock: The time.

    Raises:
        ConfigurationError: A key is not one, or ``cryptography`` is not installed.
    """

    def __init__(
        self, how: How, keys: Sequence[object], *, migrate_until: int | None = None, clock: Clock = system_clock
    ) -> None:
        self.how = how
        self._scheme = _SCHEMES[how]
        self._keys = Keyring(keys)
        self._migrate_until = migrate_until
        self._clock = clock
        if how != "mac":
            box_class()

    def seal(self, envelope: Envelope, *, token: str, key: str, owner: str | None) -> bytes:
        """Return the bytes to store for *envelope* under *key*, for the holder of *token*."""
        sealed = Sealed(
            self._scheme,
            self._keys.newest,
            envelope.created_at,
            envelope.issued_at,
            envelope.idle,
            envelope.codec,
            encode_meta(envelope.meta),
            envelope.payload,
        )
        context = _context(sealed, key, owner)
        if self._scheme == _MAC:
            sealed.payload += self._tag(sealed, context, sealed.payload)
        else:
            sealed.meta = self._box(sealed, key).seal(sealed.meta, context)
            sealed.payload = self._box(sealed, key, token).seal(sealed.payload, context + sealed.meta)
        return encode(sealed)

    def open(self, body: Envelope | Sealed, *, token: str, key: str, owner: str | None) -> Envelope:
        """Return the session that *body*, stored under *key* for *owner*, holds for the holder of *token*.

        Raises:
            UnknownKey: It is sealed with another key, in another way, or not at all.
            DecodeError: It is damaged, or it is not what was stored there.
        """
        envelope = self.look(body, key=key, owner=owner)
        if isinstance(body, Sealed) and body.scheme != _MAC:
            context = _context(body, key, owner) + body.meta
            envelope.payload = self._box(body, key, token).open(body.payload, context)
        return envelope

    def look(self, body: Envelope | Sealed, *, key: str, owner: str | None) -> Envelope:
        """Return the session that *body* holds as far as it can be told without its token; the payload may be empty.

        Raises:
            UnknownKey, DecodeError: As in `open`.
        """
        scheme = body.scheme if isinstance(body, Sealed) else None
        if scheme != self._scheme and not (self._migrating() and scheme in {None, *_SCHEMES.values()}):
            raise UnknownKey("the record is not sealed the way this application seals")
        if not isinstance(body, Sealed):
            return body
        context = _context(body, key, owner)
        if scheme == _MAC:
            meta, payload, tag = body.meta, body.payload[:-_TAG_BYTES], body.payload[-_TAG_BYTES:]
            if not hmac.compare_digest(tag, self._tag(body, context, payload)):
                raise _damaged()
        else:
            meta, payload = self._box(body, key).open(body.meta, context), b""
        try:
            known = decode_meta(meta)
        except ValueError as error:
            raise _damaged() from error
        return Envelope(body.created_at, body.issued_at, body.idle, payload, body.codec, known)

    def _migrating(self) -> bool:
        return self._migrate_until is not None and self._clock() < self._migrate_until

    def _box(self, sealed: Sealed, key: str, token: str | None = None) -> Box:
        """Return the box of the record's payload, or without *token* that of its metadata."""
        secret = self._keys[sealed.key_id]
        part = b"metadata" if token is None else b"payload"
        if token is not None and sealed.scheme == _COOKIE:
            secret += token.encode()
        return box_class()(secret, labelled(b"holdfast record", bytes([sealed.scheme]), part, key.encode()))

    def _tag(self, sealed: Sealed, context: bytes, payload: bytes) -> bytes:
        vouched = labelled(b"holdfast record mac", context, sealed.meta, payload)
        return hmac.digest(self._keys[sealed.key_id], vouched, "sha256")


def _context(sealed: Sealed, key: str, owner: str | None) -> bytes:
    return labelled(sealed.header(), key.encode(), (owner or "").encode())


def _damaged() -> DecodeError:
    return DecodeError("the record is damaged, or not what was stored there")


def box_class() -> type[Box]:
    """Return `holdfast.records.aes_gcm.Box`, which is imported on use.

    Raises:
        ConfigurationError: ``cryptography`` is not installed.
    """
    try:
        from holdfast.records.aes_gcm import Box
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "sealing needs cryptography, which is not installed: pip install 'holdfast[seal]'"
        ) from error
    return Box

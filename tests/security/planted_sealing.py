"""Bugs that the tests in test_sealing.py catch."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from support import seams

from holdfast.errors import DecodeError, UnknownKey
from holdfast.records.cookie import SealedCookie
from holdfast.records.encryption import AesGcm, Keyring, Sealer
from holdfast.records.envelope import Sealed, encode
from holdfast.records.tokens import Keys, labelled


def records_fit_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is sealed without the key that it is stored under."""
    seal, look, unseal = seams.SEALER_SEAL.sound, seams.SEALER_OPEN_METADATA.sound, seams.SEALER_OPEN.sound
    seams.SEALER_SEAL.plant(monkeypatch, lambda self, body, **named: seal(self, body, **{**named, "key": ""}))
    seams.SEALER_OPEN_METADATA.plant(monkeypatch, lambda self, body, **named: look(self, body, **{**named, "key": ""}))
    seams.SEALER_OPEN.plant(monkeypatch, lambda self, body, **named: unseal(self, body, **{**named, "key": ""}))


def records_fit_any_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is sealed without its owner."""
    seams.SEALED_WITH.plant(monkeypatch, lambda sealed, key, owner: labelled(sealed.head, key.encode()))


def times_are_not_vouched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The readable parts of a record, its format and its times, can be changed."""
    seams.SEALED_WITH.plant(monkeypatch, lambda sealed, key, owner: labelled(key.encode(), (owner or "").encode()))


def kinds_of_keys_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is derived from several concatenated names, without their lengths."""
    seams.SEALED_COOKIE_LABEL.plant(monkeypatch, lambda *parts: b"".join(parts))


def nothing_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are stored and read unsealed."""
    seams.SEALER_SEAL.plant(monkeypatch, lambda self, body, **named: encode(body))
    seams.SEALER_READS_UNSEALED.plant(monkeypatch, property(lambda self: True))


def using(monkeypatch: pytest.MonkeyPatch, cipher: Callable[[bytes, bytes], bytes], *, tagged: bool) -> None:
    """Seal by *cipher*, which makes of data, under a key, as much, and undoes it; with a tag if *tagged*."""

    def init(self: Any, secret: bytes, purpose: bytes) -> None:
        self.secret = hashlib.sha256(labelled(secret, purpose)).digest()

    def tag(self: Any, data: bytes, context: bytes) -> bytes:
        return hmac.digest(self.secret, labelled(data, context), "sha256") if tagged else b""

    def seal(self: Any, plain: bytes, context: bytes) -> bytes:
        data = cipher(self.secret, plain)
        return data + tag(self, data, context)

    def unseal(self: Any, sealed: bytes, context: bytes) -> bytes:
        data = sealed[:-32] if tagged else sealed
        if sealed[len(data) :] != tag(self, data, context):
            raise DecodeError("damaged")
        return cipher(self.secret, data)

    for seam, method in ((seams.AES_GCM_INIT, init), (seams.AES_GCM_ENCRYPT, seal), (seams.AES_GCM_DECRYPT, unseal)):
        seam.plant(monkeypatch, method)


def block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is encrypted separately, so that equal blocks look equal."""
    using(monkeypatch, lambda secret, data: bytes(b ^ secret[at % 16] for at, b in enumerate(data)), tagged=True)


def _stream(secret: bytes, data: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, hashlib.shake_256(secret).digest(len(data)), strict=True))


def the_same_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nonce is constant, so that equal data looks equal."""
    seams.AES_GCM_RANDOMNESS.plant(monkeypatch, SimpleNamespace(urandom=bytes))


def encrypted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data is encrypted, but not authenticated."""
    using(monkeypatch, _stream, tagged=False)


def authenticated_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data has a tag, and is readable."""
    using(monkeypatch, lambda _secret, data: data, tagged=True)


def tags_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tag is the same."""
    seams.SEALER_METADATA_TAG.plant(monkeypatch, lambda self, sealed, context, payload: bytes(32))


def a_tag_over_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tag is computed over the metadata only."""
    tag = seams.SEALER_METADATA_TAG.sound
    seams.SEALER_METADATA_TAG.plant(monkeypatch, lambda self, sealed, context, payload: tag(self, sealed, context, b""))


def errors_tell_what_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record changed in one place is rejected differently from one changed in another."""
    unseal = seams.AES_GCM_DECRYPT.sound

    def telling(self: AesGcm, sealed: bytes, context: bytes) -> Any:
        try:
            return unseal(self, sealed, context)
        except DecodeError:
            if sealed[-1:] > b"\x7f":
                raise UnknownKey("bad padding") from None
            raise

    seams.AES_GCM_DECRYPT.plant(monkeypatch, telling)


def any_scheme_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is read with the application's scheme, whatever scheme it names."""
    look = seams.SEALER_OPEN_METADATA.sound

    def lenient(self: Sealer, body: Any, **named: Any) -> Any:
        if isinstance(body, Sealed):
            body = replace(body, scheme=self._scheme, head=b"")
        return look(self, body, **named)

    seams.SEALER_OPEN_METADATA.plant(monkeypatch, lenient)


def unsealed_ones_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsealed record is accepted as an old one."""
    seams.SEALER_READS_UNSEALED.plant(monkeypatch, property(lambda self: True))


def the_window_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The period in which unsealed records are read never ends."""
    seams.SEALER_READS_UNSEALED.plant(monkeypatch, property(lambda self: self._migrate_until is not None))


def any_key_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of an unknown key is tried with the newest, and counts as damaged."""
    seams.KEYRING_KEY_WITH_ID.plant(monkeypatch, lambda self, key_id: self._keys.get(key_id, self._keys[self.newest]))


def a_cookie_fits_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encrypted cookie is not bound to the cookie's name."""
    init = seams.SEALED_COOKIE_INIT.sound

    def nameless(self: SealedCookie, keyring: Keyring, *, names: Sequence[str], keys: Keys) -> None:
        init(self, keyring, names=[""], keys=keys)

    seams.SEALED_COOKIE_INIT.plant(monkeypatch, nameless)


def plain_cookies_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie that cannot be decrypted is decoded as it is."""
    unseal = seams.AES_GCM_DECRYPT.sound

    def lenient(self: AesGcm, sealed: bytes, context: bytes) -> Any:
        try:
            return unseal(self, sealed, context)
        except DecodeError:
            return sealed

    seams.AES_GCM_DECRYPT.plant(monkeypatch, lenient)


def any_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is computed and its comparison ignored."""
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: True)

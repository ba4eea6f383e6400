"""A sealed record opens only with its keys."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdfast.errors import ConfigurationError, DecodeError, UnknownKey
from holdfast.records.codec import JSON, MSGPACK
from holdfast.records.encryption import AesGcm, Sealer, SealMode, key_from, new_key
from holdfast.records.envelope import Envelope, Sealed, Unsealed, decode, encode
from holdfast.records.tokens import Keys, labelled, new_token
from holdfast.testing import FakeClock

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
TOKEN, OTHER = new_token(), new_token()
KEYS = Keys("session:")
HERE: Any = {"key": KEYS.key_of(TOKEN), "owner": "ab" * 32}
CANARY = "canary" * 20
HOW: list[SealMode] = ["keys", "cookie", "mac"]


def envelope(**changes: Any) -> Envelope:
    """Return a session with a canary in it."""
    return replace(Envelope(1000, 2000, 3000, MSGPACK.dumps({"a": CANARY}), MSGPACK, {"browser": "Firefox"}), **changes)


def body(data: bytes) -> Sealed:
    """Return the sealed body in *data*."""
    found = decode(data)
    assert isinstance(found, Sealed)
    return found


def opens(sealer: Sealer, data: bytes, **changes: Any) -> Envelope:
    """Open *data* where it was stored, but for *changes*."""
    return sealer.open(body(data), **{"token": TOKEN, **HERE, **changes})


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "session",
    [envelope(), envelope(meta={}), envelope(payload=b""), envelope(payload=JSON.dumps({"a": CANARY}), codec=JSON)],
    ids=["whole", "no-metadata", "empty", "json"],
)
def test_what_is_sealed_opens_as_it_was(how: SealMode, session: Envelope) -> None:
    """Times, metadata, payload and its codec come back."""
    sealer = Sealer(how, [NEW])
    assert opens(sealer, sealer.seal(session, token=TOKEN, **HERE)) == session


@pytest.mark.parametrize("how", ["keys", "cookie"])
def test_nothing_of_it_can_be_read(how: SealMode) -> None:
    """Neither the payload nor the metadata is in the bytes, and sealing twice gives unrelated bytes."""
    sealer = Sealer(how, [NEW])
    first, second = (sealer.seal(envelope(), token=TOKEN, **HERE) for _ in range(2))
    assert b"canary" not in first
    assert b"Firefox" not in first
    header = len(body(first).head) + 4
    assert not {first[at : at + 8] for at in range(header, len(first) - 7)} & {
        second[at : at + 8] for at in range(header, len(second) - 7)
    }


def test_a_mac_hides_nothing() -> None:
    """Without encryption the record can be read."""
    assert b"canary" in Sealer("mac", [NEW]).seal(envelope(), token=TOKEN, **HERE)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "changes",
    [{"key": KEYS.key_of(OTHER)}, {"owner": "cd" * 32}, {"owner": None}],
    ids=["another-key", "another-owner", "no-owner"],
)
def test_a_record_is_worth_nothing_elsewhere(how: SealMode, changes: dict[str, Any]) -> None:
    """Under another key, or with another owner, it neither opens nor can be looked at."""
    sealer = Sealer(how, [NEW])
    data = sealer.seal(envelope(), token=TOKEN, **HERE)
    with pytest.raises(DecodeError):
        opens(sealer, data, **changes)
    with pytest.raises(DecodeError):
        sealer.open_metadata(body(data), **{**HERE, **changes})


@pytest.mark.parametrize("how", HOW)
def test_every_change_is_noticed(how: SealMode) -> None:
    """With any bit flipped, or cut at any place, it does not open."""
    sealer = Sealer(how, [NEW])
    data = sealer.seal(envelope(), token=TOKEN, **HERE)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError):
            sealer.open(decode(bytes(changed)), token=TOKEN, **HERE)  # type: ignore[arg-type]  # or it is no body
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            sealer.open(decode(data[:length]), token=TOKEN, **HERE)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", HOW)
def test_parts_of_two_records_do_not_make_one(how: SealMode) -> None:
    """The first part of one save and the second of another are refused, though both belong to the session."""
    sealer = Sealer(how, [NEW])
    one = sealer.seal(envelope(), token=TOKEN, **HERE)
    two = sealer.seal(envelope(meta={"browser": "Chromium"}), token=TOKEN, **HERE)
    start = len(body(one).head)
    payload_at = len(one) - len(body(one).payload)
    for at in (start, payload_at, payload_at + 12, len(one) - 16):
        with pytest.raises(DecodeError):
            opens(sealer, one[:at] + two[at - len(one) :])


@pytest.mark.parametrize("how", HOW)
def test_nothing_can_be_added(how: SealMode) -> None:
    """A record with other metadata before or after its own, such as the owner's part of what is sealed, is refused."""
    sealer = Sealer(how, [NEW])
    data = sealer.seal(envelope(), token=TOKEN, **HERE)
    for added in (b"{}", labelled(HERE["owner"].encode())):
        for meta in (added + body(data).meta, body(data).meta + added):
            changed = body(data)
            changed.meta = meta
            for owner in (HERE["owner"], None):
                with pytest.raises(DecodeError):
                    opens(sealer, encode(changed), owner=owner)


def test_the_cookie_opens_what_the_keys_alone_do_not() -> None:
    """Bound to the cookie, the payload takes the token; the metadata takes the key alone."""
    sealer = Sealer("cookie", [NEW])
    data = sealer.seal(envelope(), token=TOKEN, **HERE)
    assert sealer.open_metadata(body(data), **HERE).meta == {"browser": "Firefox"}
    assert sealer.open_metadata(body(data), **HERE).payload == b""
    with pytest.raises(DecodeError):
        opens(sealer, data, token=OTHER)
    with pytest.raises(UnknownKey):
        opens(Sealer("cookie", [OLD]), data)


@pytest.mark.parametrize("how", HOW)
def test_keys_rotate(how: SealMode) -> None:
    """Any key opens its records, the newest seals, and a removed key opens none."""
    data = Sealer(how, [OLD]).seal(envelope(), token=TOKEN, **HERE)
    both = Sealer(how, [NEW, OLD])
    assert opens(both, data) == envelope()
    again = both.seal(envelope(), token=TOKEN, **HERE)
    assert opens(Sealer(how, [NEW]), again) == envelope()
    with pytest.raises(UnknownKey):
        opens(Sealer(how, [NEW]), data)
    with pytest.raises(UnknownKey):
        opens(Sealer(how, [OLD]), again)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("before", [None, *HOW])
def test_another_way_of_sealing_is_read_until_the_window_closes(how: SealMode, before: SealMode | None) -> None:
    """Unsealed and otherwise sealed records are read while a migration window is open, and not a moment longer."""
    clock = FakeClock()
    source = Sealer(before, [NEW]) if before else Unsealed()
    data = source.seal(envelope(), token=TOKEN, **HERE)
    migrating = Sealer(how, [NEW], migrate_until=clock() + 1000, clock=clock)
    assert migrating.open(decode(data), token=TOKEN, **HERE) == envelope()  # type: ignore[arg-type]
    clock.advance_ms(1000)
    for sealer in (migrating, Sealer(how, [NEW])):
        if before == how:
            assert opens(sealer, data) == envelope()
        else:
            with pytest.raises(UnknownKey):
                sealer.open(decode(data), token=TOKEN, **HERE)  # type: ignore[arg-type]


def test_without_keys_a_sealed_record_is_somebody_else_s() -> None:
    """It is refused as sealed with a key that is not known."""
    data = Sealer("keys", [NEW]).seal(envelope(), token=TOKEN, **HERE)
    with pytest.raises(UnknownKey):
        Unsealed().open(body(data), token=TOKEN, **HERE)


def test_a_key_is_32_bytes_or_their_text() -> None:
    """Base64url with and without padding means the same key."""
    raw = secrets.token_bytes(32)
    text = base64.urlsafe_b64encode(raw).decode()
    assert key_from(raw) == key_from(text) == key_from(text.rstrip("=")) == raw
    assert len(key_from(new_key())) == 32


@pytest.mark.parametrize("key", [b"short", "short", "x" * 43, "A" * 42 + "B", "A" * 44, b"A" * 33, None, 7, ["A" * 43]])
def test_what_is_no_key_is_refused_without_being_shown(key: Any) -> None:
    """The message says what a key is, and not what was given."""
    with pytest.raises(ConfigurationError) as caught:
        Sealer("keys", [key])
    assert "short" not in str(caught.value)
    assert "AAAA" not in str(caught.value)


def test_no_key_is_no_sealing() -> None:
    """An empty list of keys is an error."""
    with pytest.raises(ConfigurationError):
        Sealer("mac", [])


@pytest.mark.parametrize("secret", [NEW, NEW + TOKEN.encode()], ids=["key", "key-and-token"])
def test_encryption_is_aes_gcm_under_a_key_of_hkdf(secret: bytes) -> None:
    """Another implementation of RFC 5869 derives the same key, and decrypts what was encrypted with it."""
    sealed = AesGcm(secret, b"purpose").encrypt(b"plain", b"associated")
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"purpose").derive(secret)
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], b"associated") == b"plain"

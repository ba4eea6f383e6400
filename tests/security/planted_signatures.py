"""Bugs that the tests in test_signatures.py catch."""

from __future__ import annotations

import base64
import json
import operator
import pickle  # noqa: TID251  # an attacker's request
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from itsdangerous import BadSignature, Signer, TimestampSigner
from support import seams, source

from holdfast.flask import cookies
from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies
from holdfast.records.tokens import is_token

KEY = "k1-" + "Xq7vN2mR9tB4wL6z" * 2


def unsigning(monkeypatch: pytest.MonkeyPatch, accept: Callable[[Any, Flask, str], Presented | None]) -> None:
    """Ask *accept* about a value first; where it returns None the real check decides."""
    unsign = seams.COOKIE_UNSIGN.sound

    def lenient(self: Cookies, app: Flask, value: str, name: str) -> Presented:
        return accept(self, app, value) or unsign(self, app, value, name)

    seams.COOKIE_UNSIGN.plant(monkeypatch, lenient)


def a_bad_signature_means_an_old_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """A badly signed value is accepted as an old unsigned one."""
    unsigning(
        monkeypatch, lambda self, app, value: Presented(value.partition(".")[0]) if is_token(value[:43]) else None
    )


def reads_older_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A badly signed value is decoded as base64, JSON or a pickle, and its id is used."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        for decode in (json.loads, lambda text: json.loads(_decoded(text)), lambda text: pickle.loads(_decoded(text))):  # noqa: S301
            try:
                return Presented(decode(value)["sid"])
            except Exception:  # noqa: BLE001, S110  # that is the bug
                pass
        return None

    unsigning(monkeypatch, accept)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def computes_and_ignores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is computed and compared, and the result is not used."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        token, dot, _ = value.partition(".")
        return Presented(token) if dot and is_token(token) else None

    unsigning(monkeypatch, accept)


def compares_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as many characters of the signature are compared as the client sent."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        token, dot, _ = value.partition(".")
        good = dot and is_token(token) and cookies._sign(self._signers(app)[0], token).startswith(value)
        return Presented(token) if good else None

    unsigning(monkeypatch, accept)


def signs_the_wrong_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is over the first half of the token."""

    def sign(signer: Signer, token: str) -> str:
        return f"{token}.{signer.get_signature(token[:21]).decode()}"

    seams.COOKIE_SIGN.plant(monkeypatch, sign)


def decodes_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is decoded from base64 before it is compared, so that it has several spellings."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        try:
            return Presented(self._signers(app)[0].unsign(value).decode())
        except (BadSignature, UnicodeDecodeError):
            return None

    unsigning(monkeypatch, accept)


def zeros_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature of zeros counts as not signed yet, and is accepted."""
    zeros = base64.urlsafe_b64encode(bytes(20)).rstrip(b"=").decode()

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        return Presented(value[:43]) if value.endswith(f".{zeros}") else None

    unsigning(monkeypatch, accept)


def compares_by_equality(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures are compared with ``==``, which takes longer the more of them is right."""
    seams.COOKIE_SIGNATURE_COMPARISON.plant(monkeypatch, SimpleNamespace(compare_digest=operator.eq))


def writes_equality(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source compares a computed signature with ``==``."""
    old = "if hmac.compare_digest(_sign(signer, token).encode(), value.encode()):"
    source.rewrite(monkeypatch, seams.SOURCE_OF_SIGNATURES, old, "if _sign(signer, token) == value:")


def writes_equality_of_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source compares a record's tag with ``!=``."""
    old = "if not hmac.compare_digest(tag, self._tag(body, associated, payload)):"
    new = "if tag != self._tag(body, associated, payload):"
    source.rewrite(monkeypatch, seams.SOURCE_OF_TAGS, old, new)


def signs_with_any_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature for another purpose with the same key is accepted."""

    def accept(self: Any, app: Flask, value: str) -> Presented | None:
        for salt in ("itsdangerous", "cookie-session", "itsdangerous.Signer", "password-reset", "remember-me"):
            for kind in (Signer, TimestampSigner):
                try:
                    return Presented(kind(KEY, salt=salt, key_derivation="hmac").unsign(value)[:43].decode())
                except (BadSignature, ValueError):
                    continue
        return None

    unsigning(monkeypatch, accept)


def oldest_key_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of keys is reversed, so that a stale one signs."""
    signers = seams.COOKIE_SIGNERS.sound
    seams.COOKIE_SIGNERS.plant(monkeypatch, lambda self, app: signers(self, app)[::-1])


def no_fallbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fallback keys are not read, so that a change of keys signs all users out."""
    signers = seams.COOKIE_SIGNERS.sound
    seams.COOKIE_SIGNERS.plant(monkeypatch, lambda self, app: signers(self, app)[:1])


def never_signs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie signed with a fallback key is not signed again."""
    unsign = seams.COOKIE_UNSIGN.sound
    seams.COOKIE_UNSIGN.plant(monkeypatch, lambda self, app, value: unsign(self, app, value)._replace(stale=False))


def keeps_keys_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was used once is remembered, and stays valid after its removal."""
    signers, seen = seams.COOKIE_SIGNERS.sound, dict[Any, Any]()

    def remembering(self: Cookies, app: Flask) -> list[Signer]:
        found = signers(self, app)
        for signer in found:
            seen.setdefault(signer.secret_key, signer)
        return [*found, *(signer for key, signer in seen.items() if key not in {s.secret_key for s in found})]

    seams.COOKIE_SIGNERS.plant(monkeypatch, remembering)


def any_key_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any key is accepted for signing."""
    seams.WEAKNESS_OF_KEY.plant(monkeypatch, lambda key: None)


def only_length_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long key is accepted, even a published one or a repeated letter."""
    seams.WEAKNESS_OF_KEY.plant(monkeypatch, lambda key: "it is short" if len(key) < 32 else None)

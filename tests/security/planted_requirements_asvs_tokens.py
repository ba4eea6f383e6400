"""Bugs that the tests in test_requirements_asvs_tokens.py catch."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from itsdangerous import Signer
from support import seams

from holdfast.flask.cookies import Cookies, signing_salt
from holdfast.records import encryption
from holdfast.sessions.flows.in_cookie import InCookie
from holdfast.sessions.ops import Flow
from holdfast.sessions.policy import Policy

SALT = signing_salt("session:", "session")


def token_signer(key: str) -> Signer:
    return Signer(key, salt=SALT, key_derivation="hmac")


def the_empty_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature with an empty key is accepted as well."""
    signers = seams.COOKIE_SIGNERS.sound
    seams.COOKIE_SIGNERS.plant(monkeypatch, lambda self, app: [*signers(self, app), token_signer("")])


def keys_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was removed from the settings is still accepted."""
    signers = seams.COOKIE_SIGNERS.sound
    known: list[Signer] = []

    def remember(self: Cookies, app: Any) -> list[Signer]:
        present = signers(self, app)
        known.extend(present)
        return [*present, *known]

    seams.COOKIE_SIGNERS.plant(monkeypatch, remember)


def reads_what_it_cannot_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that names a missing key is tried with the newest."""
    find = seams.KEYRING_KEY_WITH_ID.sound

    def newest(self: encryption.Keyring, key_id: bytes) -> Any:
        return find(self, self.newest)

    seams.KEYRING_KEY_WITH_ID.plant(monkeypatch, newest)


def from_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start of a session is not checked against the future."""
    verdict = seams.POLICY_VERDICT.sound

    def lenient(self: Policy, *args: Any) -> Any:
        found = verdict(self, *args)
        return None if found == "not_yet_valid" else found

    seams.POLICY_VERDICT.plant(monkeypatch, lenient)


def no_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is signed with the secret key without a purpose."""
    seams.COOKIE_SIGNERS.plant(monkeypatch, lambda self, app: [Signer(app.secret_key)])


def cookies_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie is sent at any size."""
    seams.SEALED_COOKIE_LARGEST.plant(monkeypatch, 10**9)


def encodes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of the cookie is encoded and not encrypted."""
    seams.AES_GCM_ENCRYPT.plant(monkeypatch, lambda self, plain, context: bytes(12) + plain)
    seams.AES_GCM_DECRYPT.plant(monkeypatch, lambda self, sealed, context: sealed[12:])


def forgets_revocations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie that opens is valid, even if it was revoked."""

    def never(self: InCookie, context: Any, stored: Any, **_: Any) -> Flow[None]:
        yield from ()

    seams.COOKIE_SESSION_REVOKED.plant(monkeypatch, never)


def says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no warning that a logout ends only the browser's cookie."""
    seams.BUILD_LOGGER.plant(monkeypatch, logging.getLogger("elsewhere"))

"""Bugs that the tests in test_cookie_sessions.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast.records.cookie import SealedCookie
from holdfast.sessions.flows.in_cookie import InCookie


def forgets_in_the_browser_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout deletes the cookie, and no revocation is stored."""

    def revoke(self: InCookie, context: Any, stored: Any, tombstone: Any) -> Any:
        yield from ()
        return True

    seams.COOKIE_SESSION_TOMBSTONE.plant(monkeypatch, revoke)


def believes_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Revocations are stored, and never checked."""

    def revoked(self: InCookie, context: Any, stored: Any, **_: Any) -> Any:
        yield from ()

    seams.COOKIE_SESSION_REVOKED.plant(monkeypatch, revoked)


def pretends_to_revoke(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it cannot end a session, the manager reports success."""

    class Pretender:
        def revoke(self, handle: str) -> str:
            return "confirmed"

        def revoke_all(self, user_id: object, **_: object) -> int:
            return 1

    seams.SESSIONS_END.plant(monkeypatch, lambda manager: Pretender())


def does_not_look_at_the_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie that decrypts is valid at any age."""
    seams.POLICY_VERDICT.plant(monkeypatch, lambda policy, envelope, expires_at, now, *_: None)


def begins_anew_with_each_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new cookie restarts the absolute timeout."""
    sound = seams.COOKIE_SESSION_ISSUE.sound
    seams.COOKIE_SESSION_ISSUE.plant(
        monkeypatch, lambda self, context, state, base, token: sound(self, context, state, None, token)
    )


def binds_cookies_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ciphertext is valid for every application and every cookie with its key."""
    sound = seams.SEALED_COOKIE_INIT.sound

    def init(self: SealedCookie, *arguments: Any, **options: Any) -> None:
        sound(self, *arguments, **options)
        self._purposes = [b"session"]

    seams.SEALED_COOKIE_INIT.plant(monkeypatch, init)

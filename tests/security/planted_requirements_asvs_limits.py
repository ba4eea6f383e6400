"""Bugs that the tests in test_requirements_asvs_limits.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast.contrib.doctor.checks import Verdict
from holdfast.sessions.ops import Flow
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState


def limits_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has the result of the limits, but not their values."""
    seams.DOCTOR_LIFETIME_IN_WORDS.plant(monkeypatch, lambda span: "?")


def any_limit_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits beyond those of the standard are accepted."""
    seams.DOCTOR_LIFETIME_UNLESS.plant(monkeypatch, lambda good, found, fix: Verdict("met", found))


def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a user's sessions is not checked at a login."""

    def stays(*args: Any, **options: Any) -> Flow[bool]:
        yield from ()
        return True

    for seam in (seams.LIMIT_MAKE_ROOM, seams.LIMIT_CHECK_ROOM):
        seam.plant(monkeypatch, stays)


def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any holder of a session counts as just authenticated."""
    seams.SESSION_FRESH_FOR.plant(monkeypatch, lambda self, seconds: True)


def fresh_since_the_last_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any session of a user counts as fresh, at any time after the login."""
    seams.SESSION_FRESH_FOR.plant(monkeypatch, lambda self, seconds: self.owner is not None)


def half_open_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session with an unfinished login counts as bound."""
    owner = seams.SESSION_OWNER.sound.fget

    def pending(self: SessionState) -> str | None:
        found: str | None = owner(self)
        return found or self.data.get("mfa_pending")

    seams.SESSION_OWNER.plant(monkeypatch, property(pending))
    seams.SESSION_FRESH_FOR.plant(monkeypatch, lambda self, seconds: self.owner is not None)


def good_for_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """An authentication for one action is valid for more of them."""
    seams.SESSION_FRESH_ONCE.plant(monkeypatch, ServerSession.fresh_for)


def ends_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command counts the sessions without ending them."""
    seams.MANAGER_REVOKE_ALL.plant(monkeypatch, lambda self, user, **_: len(self.of(user)))
    seams.MANAGER_REVOKE_EVERYONE.plant(monkeypatch, lambda self, **_: self.count())

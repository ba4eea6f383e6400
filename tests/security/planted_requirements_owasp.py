"""Bugs that the tests in test_requirements_owasp.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Request, request
from support import seams

from holdfast.flask.carrier import Carrier
from holdfast.flask.interface import HoldfastInterface
from holdfast.records.envelope import Tombstone, TombstoneKind, encode
from holdfast.records.tokens import new_token
from holdfast.sessions.state import SessionState

DAY = 24 * 3600


def names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error page names the session library."""
    seams.ANSWERS_NOT_FRESH.plant(monkeypatch, "Holdfast: sign in again.")


def stored_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are stored unsealed, with any setting."""
    seams.SEALER_SEAL.plant(monkeypatch, lambda self, envelope, **_: encode(envelope))
    seams.SEALER_READS_UNSEALED.plant(monkeypatch, property(lambda self: True))


def payload_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data is authenticated, and not encrypted."""
    start = seams.SEALER_INIT.sound
    seams.SEALER_INIT.plant(monkeypatch, lambda self, how, keys, **options: start(self, "mac", keys, **options))


def cookies_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session outlives the browser."""
    seams.INTERFACE_LIFETIME.plant(monkeypatch, lambda self, state: self.manager.context.policy.idle // 1000)


def cookies_outlive_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie lives for the idle timeout, though the session is over sooner."""
    sound = seams.INTERFACE_LIFETIME.sound

    def lifetime(self: HoldfastInterface, state: SessionState) -> int | None:
        return self.manager.context.policy.idle // 1000 if sound(self, state) is not None else None

    seams.INTERFACE_LIFETIME.plant(monkeypatch, lifetime)


def adopts_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new session uses the id of its request."""
    seams.NEW_TOKEN.plant(monkeypatch, lambda: request.cookies.get("session") or new_token())


def never_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session keeps its token for as long as it lives."""
    seams.POLICY_RENEWAL_DUE.plant(monkeypatch, lambda self, *_: False)


def old_ones_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced token leads to the session for another day."""

    def tombstone(kind: TombstoneKind, until: int, *rest: Any) -> Tombstone:
        return Tombstone(kind, until + DAY * 1000, *rest)

    seams.ROTATE_TOMBSTONE.plant(monkeypatch, tombstone)


def deaf_to_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's hook before the lookup is not called."""
    seams.EXTENSION_BEFORE_LOOKUP.plant(monkeypatch, lambda self, hook: hook)


def asks_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's hook is called after the lookup."""
    load = seams.INTERFACE_LOAD.sound

    def early(self: HoldfastInterface, app: Flask, request: Request, carrier: Carrier, state: SessionState) -> None:
        self.manager.open(SessionState(state.started_at), carrier.read(app, request).token)
        load(self, app, request, carrier, state)

    seams.INTERFACE_LOAD.plant(monkeypatch, early)


def one_device_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """All browsers count as the same."""
    seams.CHANGED_DEVICE.plant(monkeypatch, lambda request, state: False)

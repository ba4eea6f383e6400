"""Bugs that the tests in test_fixation.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams
from support.web import STRANGER

from holdfast.records.tokens import new_token
from holdfast.sessions.server_session import ServerSession, state_of
from holdfast.sessions.state import IDENTITY


def adopts_from_the_second_request_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first session of a process gets an id of its own."""
    tokens = iter((new_token(),))
    seams.NEW_TOKEN.plant(monkeypatch, lambda: next(tokens, STRANGER))


def leaves_the_old_id_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login creates a new id, and the old one leads to the same session."""
    sound = seams.ROTATE_PLAN.sound

    seams.ROTATE_PLAN.plant(monkeypatch, lambda *args, **named: sound(*args, **{**named, "renewal": True}))


def rotates_when_told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a login by `bind` rotates."""
    sound = seams.SESSION_SET_ITEM.sound

    def set_item(session: ServerSession, key: str, value: Any) -> None:
        sound(session, key, value)
        if key == IDENTITY:
            state_of(session).changes.rebind = False

    seams.SESSION_SET_ITEM.plant(monkeypatch, set_item)


def keeps_the_other_user_s_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login in another user's session keeps its data."""

    def rebind(session: ServerSession, owner: str | None) -> None:
        changes = state_of(session).changes
        changes.rebind, changes.owner = True, owner

    seams.SESSION_REBIND.plant(monkeypatch, rebind)


def binds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session stays bound to its first user."""
    sound = seams.SESSION_REBIND.sound

    def rebind(session: ServerSession, owner: str | None) -> None:
        if session.owner is None:
            sound(session, owner)

    seams.SESSION_REBIND.plant(monkeypatch, rebind)

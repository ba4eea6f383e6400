"""Bugs that the tests in test_one_time.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from flask import request
from support import seams

from holdfast.contrib.devices_page import views
from holdfast.sessions.manager import Manager
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState


def checks_and_then_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is returned if it exists, and deleted when the request ends."""

    def pop_once(session: ServerSession, key: str, default: Any = None) -> Any:
        return session.pop(key, default)

    seams.SESSION_POP_ONCE.plant(monkeypatch, pop_once)


def does_not_ask_who_won(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is deleted at once, and returned whether this request deleted it or another."""
    sound = seams.MANAGER_POP_STORED.sound

    def pop_stored(manager: Manager, state: SessionState, key: str) -> bool:
        value = state.data.get(key)
        sound(manager, state, key)
        state.data[key] = value
        return value is not None

    seams.MANAGER_POP_STORED.plant(monkeypatch, pop_stored)


GIVEN_OUT_TWICE = [checks_and_then_deletes, does_not_ask_who_won]


def ends_whatever_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page ends the session of the given handle, of any user."""

    def end(page: Any, owner: str) -> Any:
        page._sessions.revoke(request.form["handle"])
        return views._done("done")

    seams.DEVICES_PAGE_END.plant(monkeypatch, end)


def tells_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page reports that the session is another user's, and ends it."""

    def end(page: Any, owner: str) -> Any:
        entry = page._sessions.get(request.form["handle"])
        if entry is not None and entry.owner != owner:
            return views._done("this is not your session")
        return sound(page, owner)

    sound = seams.DEVICES_PAGE_END.sound
    seams.DEVICES_PAGE_END.plant(monkeypatch, end)

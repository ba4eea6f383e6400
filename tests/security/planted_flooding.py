"""Bugs that the tests in test_flooding.py catch."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest
from support import seams

from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.flask.interface import HoldfastInterface
from holdfast.sessions.flows.commit import save
from holdfast.sessions.flows.context import Context
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import delete
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState, StoredSession


def everybody_gets_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is read is stored, even if empty."""
    seams.SESSION_IS_EMPTY.plant(monkeypatch, property(lambda self: False))


def unknown_ids_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is created for an unknown id."""
    look_up = seams.MANAGER_OPEN.sound

    def make(self: Manager, state: SessionState, token: str | None) -> None:
        look_up(self, state, token)
        if token and state.stored is None:
            self.store.create(self.keys.key_of(token), b"\x01", expires_at=self.clock() + 60_000)

    seams.MANAGER_OPEN.plant(monkeypatch, make)


def a_logout_makes_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending the session begins a new one, which is stored."""
    clear = seams.SESSION_CLEAR.sound

    def clear_and_begin(self: ServerSession) -> None:
        clear(self)
        self["_fresh"] = False

    seams.SESSION_CLEAR.plant(monkeypatch, clear_and_begin)


def opens_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is looked up when the request begins, whether it is used or not."""
    open_session = seams.INTERFACE_OPEN_SESSION.sound

    def open_and_load(self: HoldfastInterface, app: Any, request: Any) -> Any:
        found = open_session(self, app, request)
        len(found)
        return found

    seams.INTERFACE_OPEN_SESSION.plant(monkeypatch, open_and_load)


def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session may have any size."""
    revise = seams.REVISED_SESSION.sound

    def without(context: Context, *rest: Any, **named: Any) -> Any:
        policy = dataclasses.replace(context.policy, max_bytes=2**40)
        return revise(dataclasses.replace(context, policy=policy), *rest, **named)

    seams.REVISED_SESSION.plant(monkeypatch, without)


def makes_room_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old record is removed before the new one is known to fit."""

    def remove_and_save(context: Context, state: SessionState, stored: StoredSession, **named: Any) -> Any:
        try:
            return (yield from save(context, state, stored, **named))
        except RecordTooLarge:
            yield from delete(stored.key)
            raise

    seams.SAVE.plant(monkeypatch, remove_and_save)


def stores_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data over the limit is truncated."""
    revise = seams.REVISED_SESSION.sound

    def truncated(context: Context, state: SessionState, base: StoredSession | None, **named: Any) -> Any:
        payload = context.codec.dumps(state.data)[: context.policy.max_bytes]
        return revise(context, state, base, **{**named, "payload": payload})

    seams.REVISED_SESSION.plant(monkeypatch, truncated)


def a_lock_while_the_view_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is locked from its lookup until it is saved."""
    lock = threading.Lock()
    look_up, commit = seams.MANAGER_OPEN.sound, seams.MANAGER_COMMIT.sound

    def open_locked(self: Manager, token: str | None) -> Any:
        if token and not lock.acquire(timeout=0.05):
            raise StoreUnavailable("the session is locked")
        return look_up(self, token)

    def commit_and_release(self: Manager, *arguments: Any, **named: Any) -> Any:
        try:
            return commit(self, *arguments, **named)
        finally:
            if lock.locked():
                lock.release()

    seams.MANAGER_OPEN.plant(monkeypatch, open_locked)
    seams.MANAGER_COMMIT.plant(monkeypatch, commit_and_release)


def a_connection_while_the_view_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of the pool is held until its next use, as with a transaction for each request."""
    run = seams.SQL_RUN.sound

    def keep(self: Any, statement: Any, values: Any, **named: Any) -> Any:
        answer = run(self, statement, values, **named)
        mine = self.__dict__.setdefault("mine", threading.local())
        mine.connection = getattr(mine, "connection", None) or self._ready().connect()
        return answer

    seams.SQL_RUN.plant(monkeypatch, keep)

"""Bugs that the tests in test_logout.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast import events
from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies
from holdfast.sessions.flows.end import Ended
from holdfast.sessions.manager import Manager
from holdfast.sessions.state import CookieAction, Outcome, SessionState
from holdfast.stores.memory import MemoryStore
from holdfast.stores.pair import PairStore


def logs_out_the_browser_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout deletes the cookie and leaves the session in the store."""

    def commit(manager: Manager, state: SessionState, **options: Any) -> Outcome:
        ends = state.stored is not None and state.is_empty
        return Outcome("saved", CookieAction.DELETE) if ends else sound(manager, state, **options)

    sound = seams.MANAGER_COMMIT.sound
    seams.MANAGER_COMMIT.plant(monkeypatch, commit)


def does_not_save_emptiness(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emptied session counts as unchanged."""

    def commit(manager: Manager, state: SessionState, **options: Any) -> Outcome:
        return Outcome("unchanged", CookieAction.NONE) if state.is_empty else sound(manager, state, **options)

    sound = seams.MANAGER_COMMIT.sound
    seams.MANAGER_COMMIT.plant(monkeypatch, commit)


def only_says_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a session from outside reports success, and ends no session."""

    def end(context: object, key: str, version: object, owner: object, reason: object) -> Any:
        yield from ()
        return Ended(key, certain=True)

    seams.END_SESSION.plant(monkeypatch, end)


def lets_receivers_fail_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception of a signal's receiver reaches the code that ends a session."""

    def notify(receiver: Any, what: str, *args: Any, **details: Any) -> None:
        receiver(*args, **details)

    seams.EVENTS_NOTIFY.plant(monkeypatch, notify)


def tells_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receivers are called before the end, and one that raises prevents it."""

    def end(context: Any, key: str, version: Any, owner: Any, reason: Any) -> Any:
        for receiver in events.ended.receivers_for(None):
            receiver(None, handle=key)
        return (yield from sound(context, key, version, owner, reason))

    sound = seams.END_SESSION.sound
    seams.END_SESSION.plant(monkeypatch, end)


def keeps_the_cached_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache in front of a store keeps its record when the record is deleted or overwritten."""
    seams.NEAR_CACHE_FORGET.plant(monkeypatch, lambda cache, keys: None)


def deletes_in_the_new_store_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two stores, the old one keeps an ended session."""
    seams.PAIR_DELETE.plant(monkeypatch, lambda pair, key: pair._new.delete(key))
    sound = seams.PAIR_REPLACE.sound

    def replace(pair: PairStore, key: str, data: bytes, /, **options: Any) -> Any:
        old, pair._old = pair._old, MemoryStore()
        pair._old.create(key, b"", expires_at=4_000_000_000_000)
        record = pair._load_old(key)
        assert record is not None
        try:
            return sound(pair, key, data, **{**options, "expect": record.version})
        finally:
            pair._old = old

    seams.PAIR_REPLACE.plant(monkeypatch, replace)


def takes_the_empty_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The empty id is an id like any other, and sessions without an id are stored under it."""
    sound = seams.COOKIE_READ.sound

    def read(cookies: Cookies, app: Any, request: Any) -> Presented:
        found = sound(cookies, app, request)
        return Presented("") if found.token is None else found

    seams.COOKIE_READ.plant(monkeypatch, read)
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)
    seams.NEW_TOKEN.plant(monkeypatch, lambda: "")

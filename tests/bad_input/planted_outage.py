"""Bugs that the tests in test_network.py, test_server_error.py and test_disk.py catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support import seams
from support.seams import Seam

from holdfast.errors import StoreUnavailable
from holdfast.sessions.manager import Manager
from holdfast.sessions.state import CookieAction, Outcome, SessionState


def an_outage_is_a_new_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store is down, the visitor has no session and may begin one."""
    find = seams.MANAGER_OPEN.sound

    def lenient(self: Manager, state: SessionState, token: str | None) -> None:
        try:
            find(self, state, token)
        except StoreUnavailable:
            state.read_only = False

    seams.MANAGER_OPEN.plant(monkeypatch, lenient)


def an_outage_ends_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response to an outage deletes the cookie."""
    save = seams.INTERFACE_SAVE_SESSION.sound

    def save_and_delete(self: Any, app: Any, session: Any, response: Any) -> None:
        save(self, app, session, response)
        if response.status_code == 503:
            response.delete_cookie("session")

    seams.INTERFACE_SAVE_SESSION.plant(monkeypatch, save_and_delete)


def nobody_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replacement session during an outage is an ordinary one."""
    find = seams.MANAGER_OPEN.sound

    def lenient(self: Manager, state: SessionState, token: str | None) -> None:
        find(self, state, token)
        state.read_only = False

    seams.MANAGER_OPEN.plant(monkeypatch, lenient)


def committing(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    """Let a save that fails come to *outcome*."""
    commit = seams.MANAGER_COMMIT.sound

    def lenient(self: Manager, state: SessionState, **named: Any) -> Any:
        with suppress(StoreUnavailable):
            return commit(self, state, **named)
        return outcome

    seams.MANAGER_COMMIT.plant(monkeypatch, lenient)


def writes_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed save is answered like a successful one."""
    committing(monkeypatch, Outcome("saved", CookieAction.NONE))


def a_failed_save_is_a_logout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed save ends the session in the browser."""
    committing(monkeypatch, Outcome("gone", CookieAction.DELETE))


def lenient_writes_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """If an outage makes visitors anonymous, a failed save is dropped silently."""
    writes_are_believed(monkeypatch)


def answering(monkeypatch: pytest.MonkeyPatch, seam: Seam, answer: Any = None) -> None:
    """Let a method of a store answer *answer* where it fails."""
    call = seam.sound

    def silent(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return call(self, *arguments, **named)
        except StoreUnavailable:
            return answer

    seam.plant(monkeypatch, silent)


def redis_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When Redis refuses a read, the store treats it as a missing record."""
    answering(monkeypatch, seams.REDIS_LOAD)


def redis_did_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """When Redis refuses a write, the store treats it as executed."""
    answering(monkeypatch, seams.REDIS_RUN, 1)
    answering(monkeypatch, seams.REDIS_CREATE, b"written!")


def memcached_did_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that memcached did not store counts as stored."""
    answering(monkeypatch, seams.MEMCACHED_WRITE, answer=True)
    write = seams.MEMCACHED_WRITE.sound
    seams.MEMCACHED_WRITE.plant(monkeypatch, lambda *args, **named: write(*args, **named) or True)


def mongodb_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When MongoDB refuses, the store treats it as an empty answer."""
    answering(monkeypatch, seams.MONGODB_RUN)


def sqlite_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When SQLite refuses a read or a write, the record counts as missing."""
    answering(monkeypatch, seams.SQLITE_LOAD)
    answering(monkeypatch, seams.SQLITE_REPLACE, 1)


def sql_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a database refuses a read or a write, the record counts as missing."""
    answering(monkeypatch, seams.SQL_LOAD)
    answering(monkeypatch, seams.SQL_REPLACE, 1)


def faults_of_files_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's error about a file reaches the view unchanged."""

    @contextmanager
    def nothing(_place: Path) -> Iterator[None]:
        yield

    seams.FILES_FAULTS.plant(monkeypatch, nothing)

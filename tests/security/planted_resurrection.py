"""Bugs that the tests in test_resurrection.py catch."""

from __future__ import annotations

from typing import Any

import pytest
from support import seams

from holdfast.records.record import Conflict, Gone, Record, Rotation, Version
from holdfast.sessions.manager import Manager
from holdfast.sessions.state import CookieAction, Outcome, SessionState
from holdfast.stores.contract import Store


def saves_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save writes the record even if it is missing or changed."""

    def replace(store: Store, key: str, data: bytes, *, expect: Version, **named: Any) -> Version | None:
        store.delete(key)
        return store.create(key, data, **named)

    seams.plant_store_call(monkeypatch, "replace", replace)


def rotates_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation creates its new record even if the old one is gone."""

    def move(store: Any, step: Rotation) -> Any:
        answer = store.move(step)
        if isinstance(answer, Gone | Conflict):
            return store.create(step.new, step.data, expires_at=step.expires_at, owner=step.owner)
        return answer

    seams.plant_store_call(monkeypatch, "move", move)


def revives_by_touching(monkeypatch: pytest.MonkeyPatch) -> None:
    """A touch writes back the loaded data."""
    seen: dict[str, Any] = {}

    def load(store: Store, key: str) -> Record | None:
        record = store.load(key)
        seen[key] = record or seen.get(key)
        return record

    def touch(store: Store, key: str, *, expires_at: int) -> Any:
        alive = store.touch(key, expires_at=expires_at)
        return alive or store.create(key, seen[key].data, expires_at=expires_at, owner=seen[key].owner)

    seams.plant_store_call(monkeypatch, "load", load)
    seams.plant_store_call(monkeypatch, "touch", touch)


def answers_with_the_old_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose session ended meanwhile still sends the session's cookie."""
    sound = seams.MANAGER_COMMIT.sound

    def commit(manager: Manager, state: SessionState, **options: Any) -> Outcome:
        outcome = sound(manager, state, **options)
        return Outcome("saved", CookieAction.SEND) if outcome.result == "gone" else outcome

    seams.MANAGER_COMMIT.plant(monkeypatch, commit)


def drops_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is dropped because the session ended is not reported."""
    seams.GONE_RECEIVERS.plant(monkeypatch, lambda sender: ())


def begins_anew_when_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose session ended meanwhile stores its data in a new session."""
    sound = seams.MANAGER_COMMIT.sound

    def commit(manager: Manager, state: SessionState, **options: Any) -> Any:
        outcome = sound(manager, state, **options)
        if outcome.result != "gone":
            return outcome
        state.stored, state.pending = None, True
        return sound(manager, state, **options)

    seams.MANAGER_COMMIT.plant(monkeypatch, commit)


def creates_on_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up an unknown id creates a record for it."""

    def load(store: Store, key: str) -> Record | None:
        record = store.load(key)
        if record is None:
            store.create(key, b"", expires_at=4_000_000_000_000)
        return record

    seams.plant_store_call(monkeypatch, "load", load)

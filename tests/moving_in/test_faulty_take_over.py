"""A take-over during which the store, or the old place, fails at any step."""

from __future__ import annotations

import contextlib
import pickle  # noqa: TID251  # the tests write what old releases wrote
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.clock import system_clock
from holdfast.errors import RecordTooLarge, StoreUnavailable
from holdfast.imports.finders import Finder, Value
from holdfast.imports.flask_session import FlaskSessions
from holdfast.sessions.manager import Manager
from holdfast.sessions.state import SessionState
from holdfast.stores.memory import MemoryStore

_ID = "3f2b6a4e-3d51-4b7e-9a51-0d8c7c1b0a11"


class Place(Finder):
    """A place with one session, of *user*, which counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(None, "", system_clock)
        self.asked = 0
        self.user: str | None = "ada"

    def find(self, name: str, /) -> Value | None:
        self.asked += 1
        return Value(pickle.dumps({"_user_id": self.user}), None) if name == f"session:{_ID}" else None

    def names(self, prefix: str, /) -> list[str]:
        return [f"{prefix}{_ID}"]


class Faulty(MemoryStore):
    """Fails at one call, before it is applied or after it."""

    left = 0
    applied = False

    def _at(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left != 0:
            return call(*arguments, **named)
        if self.applied:
            call(*arguments, **named)
        raise StoreUnavailable("made to fail")

    def load(self, key: str, /) -> Any:
        return self._at(super().load, key)

    def create(self, key: str, data: bytes, /, **named: Any) -> Any:
        return self._at(super().create, key, data, **named)

    def replace(self, key: str, data: bytes, /, **named: Any) -> Any:
        return self._at(super().replace, key, data, **named)


def opened(manager: Manager, value: str = _ID) -> SessionState:
    """Return the state of a request with the cookie *value*, looked up."""
    state = SessionState(manager.clock())
    manager.open(state, value)
    return state


def made() -> tuple[Faulty, Place, Manager]:
    """Return a store, an old place, and the manager of both."""
    store, place = Faulty(), Place()
    old_place = FlaskSessions(place, "session:", until=None, lifetime=0, clock=system_clock)
    return store, place, Manager(store, old_place=old_place)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", range(1, 10))
def test_a_fault_at_any_call_loses_nobody(at: int, *, applied: bool) -> None:
    """Whatever call fails, the request gets an error or the session, and the next one the session, which is one."""
    store, _, manager = made()
    store.left, store.applied = at, applied
    with contextlib.suppress(StoreUnavailable):
        assert opened(manager).data == {"_user_id": "ada"}
    store.left = 0
    assert opened(manager).data == {"_user_id": "ada"}
    assert len(manager.of("ada")) == 1


def test_a_live_session_asks_the_old_place_nothing() -> None:
    """The old place is asked for its ids, and never for a token of ours."""
    _, place, manager = made()
    state = opened(manager)
    assert state.stored is not None
    for _ in range(2):
        assert opened(manager, state.stored.token).data == {"_user_id": "ada"}
        assert place.asked == 1
    assert opened(manager).data == {"_user_id": "ada"}
    assert place.asked == 2


@pytest.mark.parametrize("user", ["eve", None])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", range(15))
def test_a_login_or_logout_in_the_old_place_afterwards_counts(at: int, user: str | None, *, applied: bool) -> None:
    """Under an id that was taken over already nobody gets the session of the user before, whatever call fails."""
    store, place, manager = made()
    state = opened(manager)
    place.user, store.left, store.applied = user, at, applied
    with contextlib.suppress(StoreUnavailable):
        assert opened(manager).data == {"_user_id": user}
    store.left = 0
    assert opened(manager).data == {"_user_id": user}
    assert opened(manager).data == {"_user_id": user}
    assert state.stored is not None
    assert len(manager.of("eve")) == (user == "eve")
    if at == 0:
        assert manager.of("ada") == []
        assert opened(manager, state.stored.token).data == {}


def test_an_old_place_that_is_down_is_no_logout() -> None:
    """Where the old place does not answer, it is an outage, and the next request finds the session."""
    _, place, manager = made()
    find = place.find

    def fail(name: str, /) -> Value | None:
        raise StoreUnavailable("made to fail")

    place.find = fail  # type: ignore[method-assign]  # it is down
    with pytest.raises(StoreUnavailable):
        opened(manager)
    place.find = find  # type: ignore[method-assign]
    assert opened(manager).data == {"_user_id": "ada"}


@pytest.mark.parametrize("at", range(1, 10))
def test_a_fault_at_any_call_brings_back_nobody(at: int) -> None:
    """After all of the user's sessions were ended, a fault at any call does not let the old one in."""
    store, _, manager = made()
    manager.revoke_all("ada")
    store.left = at
    for _ in range(2):
        with contextlib.suppress(StoreUnavailable):
            assert opened(manager).data == {}
        store.left = 0
    assert manager.of("ada") == []


def test_a_session_that_is_too_large_for_the_store() -> None:
    """A session above the store's own limit is none, and its browser gets another one: no request is an error."""
    store, place, manager = made()
    place.find = lambda name, /: Value(pickle.dumps({"_user_id": "ada", "notes": "x" * 2000}), None)  # type: ignore[method-assign]
    create = store.create

    def limited(key: str, data: bytes, /, **named: Any) -> Any:
        if len(data) > 1000:
            raise RecordTooLarge(len(data), 1000)
        return create(key, data, **named)

    store.create = limited  # type: ignore[method-assign]
    assert manager.take_over(_ID) == "unreadable"
    state = opened(manager)
    assert state.data == {}
    state.data["a"], state.pending, state.exposed = 1, True, True
    manager.commit(state)
    assert state.stored is not None
    assert opened(manager, state.stored.token).data == {"a": 1}

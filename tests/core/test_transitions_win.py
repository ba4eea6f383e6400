"""Logout, login and rotation win against the saves of other requests, under every policy for conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.everywhere import KINDS, url_of_kind
from support.requests import Request

from holdfast.errors import SessionConflict
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import CookieAction
from holdfast.stores.contract import Closes, Store
from holdfast.stores.registry import open_store
from holdfast.testing import StoreWrapper

_EVERYWHERE = [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()]


class Contested(StoreWrapper):
    """A store on which another request saves the session before each write of this one.

    Attributes:
        other: Saves the session, or None: nobody does.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.other: Callable[[], object] | None = None

    def around(self, operation: str, call: Callable[[], Any]) -> Any:
        """Let the other one save first."""
        other, self.other = self.other, None
        if other is not None:
            if operation in {"replace", "move"}:
                other()
            self.other = other
        return call()


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Contested]:
    """Return a store of the kind that the test names."""
    inner = open_store(url_of_kind(request.param, request, tmp_path))
    yield Contested(inner)
    if isinstance(inner, Closes):
        inner.close()


def begin(store: Contested, **policy: Any) -> tuple[Manager, str]:
    """Return a manager with *policy* and few tries, and the token of a session that others keep changing."""
    manager = Manager(store, policy=Policy(attempts=3, **policy))
    login = Request(manager)
    login["_user_id"] = "ada"
    login["base"] = 1
    login.commit()
    token = login.token

    def save() -> None:
        other = Request(manager, token)
        other.apply("hits", lambda hits: hits + 1, 0)
        other.commit()

    store.other = save
    return manager, token


def _log_out(session: Request) -> None:
    session.pop("_user_id")
    session["flash"] = "bye"


def _log_in_again(session: Request) -> None:
    session.bind("ada")
    session["flash"] = "welcome"


def _rotate(session: Request) -> None:
    session.rotate()
    session["flash"] = "new"


@pytest.mark.parametrize("store", _EVERYWHERE, indirect=True)
@pytest.mark.parametrize("on_conflict", ["merge", "error"])
@pytest.mark.parametrize("act", [_log_out, _log_in_again, _rotate, Request.destroy])
def test_it_wins_however_often_others_save(store: Contested, on_conflict: str, act: Callable[[Request], None]) -> None:
    """With a save of another request before each try, the old token is dead, and what was asked for is stored."""
    manager, token = begin(store, on_conflict=on_conflict)
    session = Request(manager, token)
    act(session)
    outcome = session.commit()
    store.other = None
    assert not manager.still_valid(token)
    if act is Request.destroy:
        assert outcome.cookie is CookieAction.DELETE
        return
    assert outcome.cookie is CookieAction.SEND
    after = Request(manager, session.token)
    assert (after["base"], "flash" in after, after["hits"] > 0) == (1, True, True)
    assert (after.owner is None) == (act is _log_out)
    assert Request(manager, token).read_only


@pytest.mark.parametrize("store", ["memory"], indirect=True)
def test_a_conflict_of_data_is_still_an_error(store: Contested) -> None:
    """A request that changes data only, and loses, raises under that policy."""
    manager, token = begin(store, on_conflict="error")
    session = Request(manager, token)
    session["more"] = 1
    with pytest.raises(SessionConflict):
        session.commit()

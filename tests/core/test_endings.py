"""Sessions end although the store has no room, or what is left of them cannot be stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.requests import Request

from holdfast.errors import EncodeError, RecordTooLarge, StoreUnavailable
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.sessions.state import CookieAction
from holdfast.stores.contract import Closes
from holdfast.stores.registry import open_store
from holdfast.testing import FailingStore

_EVERYWHERE = [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()]
_INDEXED = [pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED]

#: The calls that need room.
_WRITES = ("create", "replace", "move")


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FailingStore]:
    """Return a store of the kind that the test names, which can be made full."""
    inner = open_store(url_of_kind(request.param, request, tmp_path))
    yield FailingStore(inner)
    if isinstance(inner, Closes):
        inner.close()


def fill(store: FailingStore) -> None:
    """Let no write succeed that needs room; a deletion does."""
    store.fail(*_WRITES, times=math.inf)


def signed_in(manager: Manager) -> str:
    """Return the token of a session of Ada's."""
    login = Request(manager)
    login.bind("ada")
    login["token"] = "for forms"
    login.commit()
    assert login.token is not None
    return login.token


def lives(manager: Manager, token: str) -> bool:
    """Return whether the session of *token* is there."""
    return manager.still_valid(token)


@pytest.mark.parametrize("store", _EVERYWHERE, indirect=True)
@pytest.mark.parametrize("what_is_left", [{}, {"flash": "bye"}], ids=["nothing left", "something left"])
def test_a_logout_needs_no_room(store: FailingStore, what_is_left: dict[str, str]) -> None:
    """On a full store the session is deleted, and the browser is told to forget its cookie."""
    manager = Manager(store)
    token = signed_in(manager)
    fill(store)
    session = Request(manager, token)
    session.clear()
    session.update(what_is_left)
    assert session.commit().cookie is CookieAction.DELETE
    store.heal()
    assert not lives(manager, token)


@pytest.mark.parametrize("store", _EVERYWHERE, indirect=True)
def test_a_revocation_needs_no_room(store: FailingStore) -> None:
    """On a full store the session is deleted; a rotation in flight may have moved it, so that is unconfirmed."""
    manager = Manager(store)
    token = signed_in(manager)
    fill(store)
    assert manager.revoke(manager.keys.key_of(token)) == "unconfirmed"
    store.heal()
    assert not lives(manager, token)


@pytest.mark.parametrize("store", _INDEXED, indirect=True)
def test_the_end_of_all_of_a_users_sessions_needs_no_room(store: FailingStore) -> None:
    """Without the cut-off and without tombstones, all sessions are deleted, and the outcome is unconfirmed."""
    manager = Manager(store)
    tokens = [signed_in(manager) for _ in range(3)]
    fill(store)
    ended = manager.revoke_owner(manager.keys.owner_of("ada"))
    assert (ended, ended.outcome) == (3, "unconfirmed")
    store.heal()
    assert not any(lives(manager, token) for token in tokens)
    tokens = [signed_in(manager)]
    ended = manager.revoke_owner(manager.keys.owner_of("ada"))
    assert (ended, ended.outcome) == (1, "confirmed")


@pytest.mark.parametrize("store", ["memory"], indirect=True)
def test_one_lost_answer_leaves_no_login_uncovered(store: FailingStore) -> None:
    """A look-up of the cut-off that fails once is repeated, so that the cut-off is written and the end confirmed."""
    manager = Manager(store)
    signed_in(manager)
    store.fail("load")
    ended = manager.revoke_owner(manager.keys.owner_of("ada"))
    assert (ended, ended.outcome) == (1, "confirmed")


@pytest.mark.parametrize("store", _INDEXED, indirect=True)
def test_the_end_of_everyones_sessions_needs_no_room(store: FailingStore) -> None:
    """On a full store all sessions are deleted."""
    manager = Manager(store)
    token = signed_in(manager)
    fill(store)
    assert manager.revoke_everyone() >= 1
    store.heal()
    assert not lives(manager, token)


@pytest.mark.parametrize("store", ["memory"], indirect=True)
def test_where_nothing_can_be_ended_that_is_an_error(store: FailingStore) -> None:
    """If the record cannot be deleted either, no caller learns that the session is over."""
    manager = Manager(store)
    token = signed_in(manager)
    session = Request(manager, token)
    session.destroy()
    with store.outage(), pytest.raises(StoreUnavailable):
        session.commit()
    assert lives(manager, token)


@pytest.mark.parametrize("store", ["memory"], indirect=True)
def test_a_save_in_flight_on_a_full_store_does_not_bring_the_session_back(store: FailingStore) -> None:
    """A session that changed between its lookup and the failed tombstone is followed, and ended."""
    manager = Manager(store)
    token = signed_in(manager)
    session, other = Request(manager, token), Request(manager, token)
    session.destroy()
    other["more"] = 1
    other.commit()
    fill(store)
    assert session.commit().cookie is CookieAction.DELETE
    store.heal()
    assert not lives(manager, token)


def _too_large(session: Request) -> None:
    session["flash"] = "x" * 250


def _unsupported(session: Request) -> None:
    session["flash"] = object()


def _fails(session: Request) -> None:
    session.apply("flash", lambda value: [object()] if value is None else value)


@pytest.mark.parametrize("store", _EVERYWHERE, indirect=True)
@pytest.mark.parametrize("spoil", [_too_large, _unsupported, _fails])
@pytest.mark.parametrize("log_out", [Request.clear, lambda session: session.pop("_user_id")], ids=["clear", "pop"])
def test_a_session_that_cannot_be_stored_ends_all_the_same(
    store: FailingStore, spoil: Callable[[Request], None], log_out: Callable[[Request], object]
) -> None:
    """A logout followed by a value that cannot be stored ends the session, and then raises the error."""
    manager = Manager(store, policy=Policy(max_bytes=200))
    login = Request(manager)
    login["_user_id"] = "ada"
    login["near"] = "x" * 100
    login.commit()
    session = Request(manager, login.token)
    log_out(session)
    spoil(session)
    with pytest.raises((EncodeError, RecordTooLarge)):
        session.commit()
    assert login.token is not None
    assert not lives(manager, login.token)

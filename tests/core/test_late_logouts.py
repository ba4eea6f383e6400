"""A logout by a request that could not open its session: the token was replaced, or the store was down."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from support.requests import Request

from holdfast.errors import StoreUnavailable
from holdfast.records.encryption import Keyring, new_key
from holdfast.sessions.cookie_manager import RevocableCookieManager
from holdfast.sessions.manager import Manager
from holdfast.sessions.policy import Policy
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import CookieAction
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore

KEY = new_key()


def _value(session: Request) -> str:
    session.commit()
    assert session.state.stored is not None
    return session.state.stored.value


@pytest.fixture
def store() -> FailingStore:
    """Return a store that can be made to fail."""
    return FailingStore(MemoryStore())


@pytest.fixture(params=["store", "cookie"])
def manager(request: pytest.FixtureRequest, store: FailingStore) -> Requests:
    """Return a manager of sessions in a store, and one of sessions in the cookie."""
    policy = Policy(on_store_error="anonymous")
    if request.param == "store":
        return Manager(store, policy=policy)
    return RevocableCookieManager(Keyring([KEY]), names=["session"], store=store, policy=policy)


def signed_in(manager: Requests) -> str:
    """Return the cookie's value of a new session of Ada's."""
    login = Request(manager)
    login.bind("ada")
    return _value(login)


def rotated(manager: Requests, value: str) -> str:
    """Return the cookie's value of the same session after a rotation."""
    session = Request(manager, value)
    session.rotate()
    return _value(session)


def _destroy(session: Request) -> None:
    session.destroy()


def _remove(key: str, session: Request) -> None:
    session.pop(key, None)


def _delete(session: Request) -> None:
    with suppress(KeyError):  # as a view does not: its answer is 500
        del session["username"]


def _remove_once(session: Request) -> None:
    session.pop_once("user_id", None)


def _remove_and_write(session: Request) -> None:
    session.clear()
    session["more"] = 1


WAYS = (_destroy, partial(_remove, "_user_id"), partial(_remove, "username"), _delete, _remove_once)


@pytest.mark.parametrize("log_out", WAYS, ids=("destroy", "_user_id", "username", "del", "pop_once"))
@pytest.mark.parametrize("rotations", [1, 2])
def test_a_logout_under_a_replaced_token_ends_the_session(
    manager: Requests, rotations: int, log_out: Callable[[Request], None]
) -> None:
    """The session has moved to another token, once or more: it ends under that, and the cookie is deleted."""
    old = new = signed_in(manager)
    for _ in range(rotations):
        new = rotated(manager, new)
    late = Request(manager, old)
    assert late.read_only
    log_out(late)
    assert late.commit().cookie is CookieAction.DELETE
    assert not manager.still_valid(new)


@pytest.mark.parametrize("log_out", [*WAYS[:2], _remove_and_write], ids=("destroy", "_user_id", "clear"))
def test_a_logout_during_which_the_token_is_replaced_ends_the_session(
    manager: Requests, log_out: Callable[[Request], None]
) -> None:
    """The session is rotated between the lookup of a logout and its end: it ends under the new token."""
    login = Request(manager)
    login["_user_id"], login["cart"] = "ada", ["pen"]
    value = _value(login)
    overtaken = Request(manager, value)
    assert overtaken["cart"]
    new = rotated(manager, value)
    log_out(overtaken)
    assert overtaken.commit().cookie is CookieAction.DELETE
    assert not manager.still_valid(new)


@pytest.mark.parametrize("user", [True, {"id": 1}], ids=["flag", "profile"])
def test_a_logout_that_removes_what_is_no_id_ends_the_session(user: Any) -> None:
    """A flag or a profile instead of an id binds nobody; its removal ends the session after a rotation too."""
    manager = Manager(MemoryStore())
    login = Request(manager)
    login["user_id"], login["cart"] = user, ["pen"]
    value = _value(login)
    overtaken = Request(manager, value)
    assert overtaken["user_id"] == user
    new = rotated(manager, value)
    del overtaken["user_id"]
    assert overtaken.commit().cookie is CookieAction.DELETE
    assert not manager.still_valid(new)


@pytest.mark.parametrize("user", [True, {"id": 1}], ids=["flag", "profile"])
def test_a_login_that_names_nobody_signs_in_when_the_token_is_replaced_meanwhile(manager: Requests, user: Any) -> None:
    """Two clicks on "Sign in" where the login sets a flag or a profile: the second one's answer has a session too."""
    visitor = Request(manager)
    visitor["cart"] = ["pen"]
    value = _value(visitor)
    second = Request(manager, value)
    assert second["cart"]
    rotated(manager, value)
    second["user_id"] = user
    assert second.commit().cookie is CookieAction.SEND
    assert second.state.stored is not None
    assert dict(Request(manager, second.state.stored.value)) == {"user_id": user}


def test_removing_another_key_in_a_late_request_ends_nothing(manager: Requests) -> None:
    """Only the key of the user's id counts, and only where the token was replaced: a visitor removes it at no cost."""
    old = signed_in(manager)
    new = rotated(manager, old)
    late = Request(manager, old)
    assert late.pop("cart", "none") == "none"
    with pytest.raises(KeyError):
        late.pop("cart")
    assert late.commit().cookie is CookieAction.NONE
    assert manager.still_valid(new)
    visitor = Request(manager)
    assert visitor.pop("username", None) is None
    assert visitor.commit().cookie is CookieAction.NONE


@pytest.mark.parametrize("user", ["ada", "bob"])
def test_a_login_during_which_another_login_replaces_the_token_signs_in(manager: Requests, user: str) -> None:
    """Two clicks on "Sign in", for the user of the session or for another: both are signed in."""
    value = signed_in(manager)
    first, second = Request(manager, value), Request(manager, value)
    for login in (first, second):
        login.bind(user)
        login["clicked"] = 1
    for login in (first, second):
        assert login.commit().cookie is CookieAction.SEND
        assert login.state.stored is not None
    values = {login.state.stored.value for login in (first, second) if login.state.stored}
    assert len(values) == 2
    assert all(Request(manager, value).owner == manager.keys.owner_of(user) for value in values)


def test_the_login_of_another_user_keeps_its_name_when_the_token_is_replaced_meanwhile(manager: Requests) -> None:
    """Bob signs in by Flask-Login's key over Ada's session, which gets another token: his session has that key."""
    value = signed_in(manager)
    bob = Request(manager, value)
    bob["_user_id"], bob["_fresh"] = "bob", True
    rotated(manager, value)
    assert bob.commit().cookie is CookieAction.SEND
    assert bob.state.stored is not None
    assert dict(Request(manager, bob.state.stored.value)) == {"_user_id": "bob", "_fresh": True}


def test_a_login_in_a_visitors_session_that_ends_meanwhile_signs_in() -> None:
    """The last value is taken out of the visitor's session during the login: the user is signed in all the same."""
    manager = Manager(MemoryStore())
    visitor = Request(manager)
    visitor["flash"] = "hello"
    value = _value(visitor)
    login, other = Request(manager, value), Request(manager, value)
    login.bind("ada")
    assert other.pop("flash") == "hello"
    assert other.commit().cookie is CookieAction.DELETE
    assert login.commit().cookie is CookieAction.SEND
    assert Request(manager, login.token).owner == manager.keys.owner_of("ada")


def test_a_logout_under_a_token_that_another_user_replaced_ends_nothing_of_theirs(manager: Requests) -> None:
    """Bob has signed in over Ada's session: a late logout of Ada's leaves Bob signed in."""
    old = signed_in(manager)
    bob = Request(manager, old)
    bob.bind("bob")
    new = _value(bob)
    late = Request(manager, old)
    late.destroy()
    assert late.commit().cookie is CookieAction.NONE
    assert manager.still_valid(new)


def test_a_late_request_that_is_no_logout_ends_nothing(manager: Requests) -> None:
    """What else a request under a replaced token does is dropped, and the session goes on."""
    old = signed_in(manager)
    new = rotated(manager, old)
    late = Request(manager, old)
    late["more"] = 1
    assert late.commit().cookie is CookieAction.NONE
    assert manager.still_valid(new)


def test_a_logout_during_an_outage_is_an_error(manager: Requests, store: FailingStore) -> None:
    """Under the policy to go on without the store, a logout that ends nothing is not reported as one."""
    value = signed_in(manager)
    with store.outage():
        session = Request(manager, value)
        assert not dict(session)
        session.destroy()
        with pytest.raises(StoreUnavailable):
            session.commit()
    assert manager.still_valid(value)


def test_a_logout_after_an_outage_during_its_lookup_ends_the_session(manager: Requests, store: FailingStore) -> None:
    """The store works again when the response is saved: the session that was not opened ends."""
    value = signed_in(manager)
    session = Request(manager, value)
    with store.outage():
        assert not dict(session)
    session.destroy()
    assert session.commit().cookie is CookieAction.DELETE
    assert not manager.still_valid(value)

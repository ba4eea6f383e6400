"""A logout by a request that could not open its session: the token was replaced, or the store was down."""

from __future__ import annotations

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


@pytest.mark.parametrize("rotations", [1, 2])
def test_a_logout_under_a_replaced_token_ends_the_session(manager: Requests, rotations: int) -> None:
    """The session has moved to another token, once or more: it ends under that, and the cookie is deleted."""
    old = new = signed_in(manager)
    for _ in range(rotations):
        new = rotated(manager, new)
    late = Request(manager, old)
    assert late.read_only
    late.destroy()
    assert late.commit().cookie is CookieAction.DELETE
    assert not manager.still_valid(new)


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

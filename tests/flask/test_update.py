"""Sessions that are changed from outside of their requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.web import Web, end, rotate

from holdfast.errors import ConfigurationError, RecordTooLarge
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.sessions.state import IDENTITY

PLACES: dict[str, dict[str, Any]] = {"plain": {}, "sealed": {"SESSION_SEAL_KEYS": [new_key()], "SESSION_SEAL": "keys"}}


@pytest.fixture(params=PLACES)
def site(request: pytest.FixtureRequest) -> Web:
    """Return an application in which ada is an admin."""
    web = Web(**PLACES[request.param])
    web.do(lambda: session.bind("ada"))
    web.put(is_admin=True, hits=0)
    return web


def handle_of(site: Web) -> str:
    """Return the handle of ada's session."""
    [entry] = site.sessions.of("ada")
    return entry.handle


def demote(data: dict[Any, Any]) -> None:
    """Take the role away."""
    data.pop("is_admin", None)
    data["hits"] += 1


def test_a_role_is_taken_away(site: Web) -> None:
    """The next request does not find it; the user, the times and the cookie are as before."""
    [before] = site.sessions.of("ada")
    token = site.token()
    site.clock.advance(60)
    assert site.sessions.update(before.handle, demote)
    assert site.sessions.of("ada") == [before]
    assert site.data() == {"hits": 1}
    assert site.token() == token


def test_it_merges_with_requests_in_flight(site: Web) -> None:
    """A request that loaded the session before keeps its own change, and does not bring the role back."""
    handle = handle_of(site)

    def view() -> None:
        assert session["is_admin"]
        assert site.sessions.update(handle, demote)
        session["cart"] = ["pen"]

    site.do(view)
    assert site.data() == {"hits": 1, "cart": ["pen"]}


def test_it_is_applied_again_to_what_was_stored_first(site: Web) -> None:
    """A request that saves meanwhile loses nothing, and the change is exact."""
    calls = list[int]()

    def change(data: dict[Any, Any]) -> None:
        if not calls:
            site.do(lambda: session.apply("hits", lambda hits: hits + 10))
        calls.append(data["hits"])
        demote(data)

    assert site.sessions.update(handle_of(site), change)
    assert calls == [0, 10]
    assert site.data() == {"hits": 11}


@pytest.mark.parametrize("applies", [True, False], ids=["applied", "not applied"])
def test_a_lost_answer_is_found_out(site: Web, *, applies: bool) -> None:
    """The change is there once, whether or not the store had applied it."""
    handle = handle_of(site)
    site.failing.fail("replace", before=not applies)
    assert site.sessions.update(handle, demote)
    assert site.data() == {"hits": 1}


def test_a_session_that_is_over_is_not_changed(site: Web) -> None:
    """After a logout, an expiry, and with an unknown handle the answer is False; a new id is followed."""
    old = handle_of(site)
    site.do(rotate)
    assert site.sessions.update(old, demote)
    assert site.data() == {"hits": 1}
    handle = handle_of(site)
    for wrong in ("junk", "0" * 64):
        assert not site.sessions.update(wrong, demote)
    site.clock.advance(32 * 24 * 3600)
    assert not site.sessions.update(handle, demote)
    site.do(end)
    assert not site.sessions.update(handle, demote)


@pytest.mark.parametrize("key", ["user_id", "username", IDENTITY])
def test_the_user_stays(key: str) -> None:
    """A change that signs a user in, over or out is refused: the user's sessions could not be found any more."""
    site = Web()
    site.put(cart=["pen"])

    def assert_refused(handle: str, change: Callable[[dict[Any, Any]], object]) -> None:
        with pytest.raises(ValueError, match="signs a user in or out"):
            site.sessions.update(handle, change)

    assert_refused(site.see(lambda: session.handle), lambda data: data.update({key: "bob"}))
    site.do(lambda: session.update({key: "ada"}))
    assert_refused(handle_of(site), lambda data: data.update({key: "bob"}))
    assert_refused(handle_of(site), lambda data: data.pop(key))
    assert site.data() == {"cart": ["pen"], key: "ada"}


def test_flask_logins_key_names_the_sessions_user_or_nobody(site: Web) -> None:
    """Flask-Login believes it, also in a session that `bind` has bound: another user's id is refused there too."""
    with pytest.raises(ValueError, match="signs a user in or out"):
        site.sessions.update(handle_of(site), lambda data: data.update({IDENTITY: "bob"}))
    assert site.data() == {"is_admin": True, "hits": 0}
    assert site.sessions.update(handle_of(site), lambda data: data.update({IDENTITY: "ada"}))
    assert site.data()[IDENTITY] == "ada"


def test_a_change_that_would_never_run_is_refused(site: Web) -> None:
    """An async function would change nothing, since nothing awaits it: it is an error, and not True."""

    async def demote_later(data: dict[Any, Any]) -> None:
        demote(data)

    with pytest.raises(TypeError, match="must be a function that is not async"):
        site.sessions.update(handle_of(site), demote_later)


def test_a_shown_name_is_data(site: Web) -> None:
    """In a session that was bound to another id, a name under a key of a user's id can be changed."""
    site.put(username="Ada")
    assert site.sessions.update(handle_of(site), lambda data: data.update(username="Lovelace"))
    assert site.see(lambda: session["username"]) == "Lovelace"


def test_what_cannot_be_stored_changes_nothing(site: Web) -> None:
    """A change that leaves too much data is an error."""
    with pytest.raises(RecordTooLarge):
        site.sessions.update(handle_of(site), lambda data: data.update(big="x" * 2**21))
    assert site.data() == {"is_admin": True, "hits": 0}


@pytest.mark.parametrize(
    "settings", [{"SESSION_STORE": "cookie://"}, {"SESSION_SEAL": "cookie", "SESSION_SEAL_KEYS": [new_key()]}]
)
def test_data_that_only_the_cookie_opens(settings: dict[str, Any]) -> None:
    """They cannot be changed: an error says so."""
    web = Web(**settings)
    web.do(lambda: session.bind("ada"))
    handle = web.see(lambda: session.handle)
    with pytest.raises(ConfigurationError, match="cookie"):
        web.sessions.update(handle, demote)


def test_an_expired_session_is_not_changed(site: Web) -> None:
    """A session whose time is over, though its record is kept for a day, is none."""
    handle = handle_of(site)
    site.clock.advance(31 * 86_400)
    assert site.memory.load(handle) is not None
    assert not site.sessions.update(handle, demote)

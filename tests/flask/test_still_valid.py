"""Looking again whether a session lives: `sessions.still_valid` and `session.still_valid`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast import StoreUnavailable
from holdfast.flask import session
from holdfast.records.encryption import new_key


@pytest.fixture
def known() -> Web:
    """Return an application whose browser is signed in as Ada."""
    web = Web()
    web.do(lambda: session.bind("ada"))
    web.clock.advance(1)
    return web


def still_valid() -> bool:
    """Ask about the session of the running request."""
    return session.still_valid()


def sign_out_and_in(web: Web) -> None:
    """Sign Ada out and Bob in, in one request."""

    def view() -> None:
        session.pop("_user_id", None)
        session.bind("bob")

    web.do(view)


def meanwhile(web: Web, event: Callable[[], Any]) -> list[bool]:
    """Return the results of `still_valid` before and after an action in other requests."""
    told: list[bool] = []

    def view() -> None:
        told.append(session.still_valid())
        event()
        told.append(session.still_valid())
        told.append(web.sessions.still_valid(session))

    web.do(view, web.twin())
    assert told[1] == told[2]
    return told[:2]


@pytest.mark.parametrize(
    "event",
    [
        lambda web: web.do(end),
        sign_out_and_in,
        lambda web: web.do(lambda: session.bind("bob")),
        lambda web: web.do(rotate),
        lambda web: web.do(lambda: session.bind("ada")),
        lambda web: web.sessions.revoke_all("ada"),
        lambda web: web.sessions.revoke(web.see(lambda: session.handle)),
        lambda web: web.sessions.revoke_everyone(),
        lambda web: web.clock.advance(31 * 24 * 3600),
    ],
    ids=["logout", "another", "replaced", "rotation", "login", "all", "one", "everyone", "expiry"],
)
def test_what_ends_a_session_ends_its_handlers(known: Web, event: Callable[[Web], Any]) -> None:
    """After a logout, another login, a new id, a revocation and an expiry, a handler gets False."""
    assert meanwhile(known, lambda: event(known)) == [True, False]


@pytest.mark.parametrize(
    "event",
    [
        lambda web: None,
        lambda web: web.put(a=1),
        lambda web: web.do(lambda: setattr(session, "label", "x")),
        lambda web: web.sessions.revoke_all("bob"),
        lambda web: web.clock.advance(24 * 3600),
    ],
    ids=["nothing", "save", "label", "others", "time"],
)
def test_what_does_not_end_a_session(known: Web, event: Callable[[Web], Any]) -> None:
    """Saves, ends of other sessions and time within the limits have no effect."""
    assert meanwhile(known, lambda: event(known)) == [True, True]


def renew(web: Web) -> None:
    """Let another request give the session a new token."""
    web.clock.advance(61)
    old = web.token()
    web.data()
    assert web.token() != old


def test_a_renewed_session_is_followed(known: Web) -> None:
    """A handler that asks within each grace period follows the session through any number of renewals."""
    known.app.config["SESSION_RENEWAL_INTERVAL"] = 60
    told: list[bool] = []

    def view() -> None:
        for _ in range(5):
            renew(known)
            told.append(session.still_valid())
        known.do(end)
        told.append(session.still_valid())

    known.do(view, known.twin())
    assert told == [True] * 5 + [False]


@pytest.mark.parametrize(("seconds", "valid"), [(3600, True), (3631, False)])
def test_a_renewed_session_is_followed_for_an_hour(known: Web, seconds: float, *, valid: bool) -> None:
    """A handler that checks again within an hour after the renewed token was presented is led on; then no more."""
    known.app.config["SESSION_RENEWAL_INTERVAL"] = 60

    def asleep() -> None:
        renew(known)
        known.app.config["SESSION_RENEWAL_INTERVAL"] = None
        known.do(lambda: session.get("cart"))
        known.clock.advance(seconds)

    assert meanwhile(known, asleep) == [True, valid]


def test_a_cookie_s_value(known: Web) -> None:
    """The value of a cookie is as good as the session: it is followed through a renewal for the grace period."""
    known.app.config["SESSION_RENEWAL_INTERVAL"] = 60
    token = known.token() or ""
    assert known.sessions.still_valid(token)
    renew(known)
    assert known.sessions.still_valid(token)
    assert known.sessions.still_valid(known.token() or "")
    known.do(end)
    assert not known.sessions.still_valid(token)


@pytest.mark.parametrize("value", [None, "", "x", STRANGER, "A" * 10_000, "Å" * 43])
def test_a_value_that_is_no_session_s(known: Web, value: str | None) -> None:
    """A value that is no token of ours, or a token that was never issued, is not valid, and is no error."""
    assert known.sessions.still_valid(value) is False


def test_a_handle_is_not_a_cookie_s_value(known: Web) -> None:
    """A session's handle, and values derived from it, are not valid here either."""
    (entry,) = known.sessions.of("ada")
    assert not known.sessions.still_valid(entry.handle)


def test_a_signed_cookie_s_value() -> None:
    """With signed tokens the whole value is asked for, and the signature must be right."""
    web = Web(SESSION_USE_SIGNER=True, SECRET_KEY="c7a0-made-up-for-a-test-9e4b1d83f2")
    web.put(a=1)
    value = web.token() or ""
    assert web.sessions.still_valid(value)
    assert not web.sessions.still_valid(value.partition(".")[0])
    assert not web.sessions.still_valid(value[:-1])


def test_who_came_without_a_session_has_none(web: Web) -> None:
    """Without a session the result is False, without a lookup."""
    assert web.see(still_valid) is False
    assert web.store.counts == {}


def test_a_visitor_s_session_is_valid(web: Web) -> None:
    """A session need not be bound to anybody."""
    web.put(cart=[1])
    assert web.see(still_valid)


def test_looking_again_is_one_lookup_and_nothing_else(known: Web) -> None:
    """It costs one load, touches and saves nothing, sends no signal and no cookie, and does not change the data."""
    known.clock.advance(5 * 24 * 3600)
    known.data()
    known.take_heard()

    def view() -> None:
        session.get("a")
        known.store.reset()
        assert session.still_valid()
        assert known.store.counts == {"load": 1}

    assert not cookies_set(known.do(view))
    assert known.names() == []


def test_an_expired_session_is_not_kept_alive_by_looking(known: Web) -> None:
    """Asking again and again does not move the idle timeout on."""
    known.app.config["PERMANENT_SESSION_LIFETIME"] = 600
    known.put(a=1)
    token = known.token() or ""
    for _ in range(5):
        known.clock.advance(115)
        assert known.sessions.still_valid(token)
    known.clock.advance(30)
    assert not known.sessions.still_valid(token)


def test_an_outage_is_not_an_end(known: Web) -> None:
    """While the store fails, asking raises; when it is back, the session is valid."""

    def view() -> None:
        session.get("a")
        with known.failing.outage(), pytest.raises(StoreUnavailable):
            session.still_valid()
        assert session.still_valid()

    assert known.do(view).status_code == 200


def test_a_damaged_record_is_left_where_it_is(known: Web) -> None:
    """A record that cannot be read is not valid, and asking does not remove it."""
    ((key, record),) = known.memory.scan(limit=10).items
    known.memory.replace(key, b"\x01", expect=record.version, expires_at=record.expires_at, owner=record.owner)
    assert not known.sessions.still_valid(known.token() or "")
    assert known.records() == 1


def test_sealed_sessions_are_looked_at_without_their_data() -> None:
    """Sealed with the cookie, too, a session is valid for as long as it lives."""
    web = Web(SESSION_SEAL="cookie", SESSION_SEAL_KEYS=[new_key()])
    web.put(a=1)
    assert web.see(still_valid)
    token = web.token() or ""
    web.do(end)
    assert not web.sessions.still_valid(token)


def test_a_websocket_s_request_does_not_renew(known: Web) -> None:
    """The response to a WebSocket cannot carry a cookie when it is over, so that request leaves the token alone."""
    known.app.config["SESSION_RENEWAL_INTERVAL"] = 60
    known.clock.advance(61)
    old = known.token()
    assert not cookies_set(known.do(lambda: session.get("a"), headers={"Upgrade": "websocket"}))
    assert known.sessions.still_valid(old or "")
    assert cookies_set(known.do(lambda: session.get("a")))


def test_outside_of_a_request(known: Web) -> None:
    """A session that a handler holds on to can be asked about where no request is running."""
    kept: list[Any] = []
    known.do(lambda: kept.append(session._get_current_object()), known.twin())  # type: ignore[attr-defined]
    assert known.sessions.still_valid(kept[0])
    known.sessions.revoke_all("ada")
    assert not known.sessions.still_valid(kept[0])

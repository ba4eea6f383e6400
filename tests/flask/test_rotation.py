"""Rotation over HTTP: logins, renewals, and the requests that overlap them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.web import Web, cookies_set, end, rotate

from holdfast.flask import session
from holdfast.sessions.ends import ends


def sign_in(user: str) -> Callable[[], None]:
    """Return a view that binds the session to *user*."""
    return lambda: session.bind(user)


def user_of(web: Web, browser: FlaskClient | None = None) -> str | None:
    """Return the owner of a browser's session."""
    found: str | None = web.see(lambda: session.owner, browser)
    return found


# --- what a rotation does --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [rotate, sign_in("ada")], ids=["rotate", "bind"])
def test_a_rotation_gives_a_new_token_and_keeps_the_data(web: Web, change: Callable[[], None]) -> None:
    """After a rotation or a login the browser has another token, with the same data behind it."""
    web.put(cart=[1])
    old = web.token()
    web.do(change)
    assert web.token() not in (None, old)
    assert web.data() == {"cart": [1]}


@pytest.mark.parametrize("change", [rotate, sign_in("ada")], ids=["rotate", "bind"])
def test_the_old_token_is_dead(web: Web, change: Callable[[], None]) -> None:
    """A client with the old token sees no data, changes nothing and gets no cookie."""
    web.put(cart=[1])
    early = web.twin()
    web.do(change)
    response = web.do(lambda: session.update(cart=[2]), early)
    assert not cookies_set(response)
    assert web.see(lambda: (dict(session), session.read_only), early) == ({}, True)
    assert web.data() == {"cart": [1]}


def test_the_old_token_stays_dead(web: Web) -> None:
    """After the grace period the old token is unknown."""
    web.put(cart=[1])
    early = web.twin()
    web.do(rotate)
    web.clock.advance(31)
    web.take_heard()
    assert web.data(early) == {}
    assert web.reasons() == ["unknown_id"]


def test_changes_of_the_rotating_request_are_kept(web: Web) -> None:
    """A request's changes before and after its rotation move with the session."""

    def view() -> None:
        session["before"] = 1
        session.rotate()
        session["after"] = 2

    web.put(cart=[1])
    web.do(view)
    assert web.data() == {"cart": [1], "before": 1, "after": 2}


def test_the_same_user_s_login_keeps_the_data(web: Web) -> None:
    """Somebody who signs in again gets a new token and keeps what they had."""
    web.do(sign_in("ada"))
    web.put(cart=[1])
    old = web.token()
    web.do(sign_in("ada"))
    assert web.token() != old
    assert web.data() == {"cart": [1]}


def test_another_user_starts_from_nothing(web: Web) -> None:
    """A second user who signs in on the same browser sees no data of the first user."""
    web.do(sign_in("ada"))
    web.put(secret="ada's")
    early = web.twin()
    owner = user_of(web)

    def view() -> None:
        session.bind("bob")
        session["greeting"] = "hello bob"

    web.do(view)
    assert web.data() == {"greeting": "hello bob"}
    assert user_of(web) != owner
    assert web.data(early) == {}


def test_a_login_begins_the_absolute_timeout_anew(web: Web) -> None:
    """The absolute timeout counts from the login; a mere rotation does not move it."""
    web.app.config.update(SESSION_ABSOLUTE_LIFETIME=1000)
    web.put(a=1)
    web.clock.advance(600)
    web.do(rotate)
    web.clock.advance(399)
    assert web.data() == {"a": 1}
    web.do(sign_in("ada"))
    web.clock.advance(999)
    assert web.data() == {"a": 1}
    web.clock.advance(1)
    assert web.data() == {}


def test_ending_and_beginning_in_one_request(web: Web) -> None:
    """Values after `clear` are a new session under a new token; the old one is over."""

    def view() -> None:
        session.clear()
        session["b"] = 2

    web.put(a=1)
    early = web.twin()
    web.do(view)
    assert web.data() == {"b": 2}
    assert web.data(early) == {}


# --- requests that overlap a rotation --------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [rotate, sign_in("ada"), end], ids=["rotate", "bind", "end"])
@pytest.mark.parametrize("permanent", [True, False], ids=["permanent", "until the browser closes"])
def test_a_request_in_flight_never_disturbs_the_new_cookie(
    web: Web, change: Callable[[], None], permanent: bool
) -> None:
    """A request that loaded the old session and ends after the change saves nothing and sends no cookie."""
    web.app.config["SESSION_PERMANENT"] = permanent
    web.put(cart=[1])
    slow = web.twin()

    def view() -> None:
        session["cart"].append(2)
        web.do(change)
        web.clock.advance(1)

    assert not cookies_set(web.do(view, slow))
    assert web.data() == ({} if change is end else {"cart": [1]})
    assert web.data(slow) == {}


@pytest.mark.parametrize("change", [rotate, sign_in("ada"), end], ids=["rotate", "bind", "end"])
def test_a_reading_request_in_flight_never_disturbs_the_new_cookie(web: Web, change: Callable[[], None]) -> None:
    """A request that only read a permanent session, and would refresh its cookie, does not once it was overtaken."""
    web.app.config["SESSION_PERMANENT"] = True
    web.put(cart=[1])
    slow = web.twin()

    def view() -> None:
        session.get("cart")
        web.do(change)
        web.clock.advance(1)

    assert not cookies_set(web.do(view, slow))


@pytest.mark.parametrize("change", [rotate, sign_in("ada"), end], ids=["rotate", "bind", "end"])
def test_a_request_that_sets_what_is_there_never_disturbs_the_new_cookie(web: Web, change: Callable[[], None]) -> None:
    """A request that set a key to the value it has, however quickly, sends no cookie once it was overtaken."""
    web.put(cart=[1])

    def view() -> None:
        session["cart"] = [1]
        web.do(change)

    assert not cookies_set(web.do(view, web.twin()))


def test_a_read_then_a_login_elsewhere_then_a_late_rotation(web: Web) -> None:
    """A request that was overtaken and then asks for a rotation leaves the new session alone."""
    web.put(cart=[1])
    slow = web.twin()

    def view() -> None:
        session.get("cart")
        web.do(sign_in("ada"))
        session.rotate()

    assert not cookies_set(web.do(view, slow))
    assert web.data() == {"cart": [1]}


def test_a_change_made_while_the_session_rotates_is_kept(web: Web) -> None:
    """A request that is saved before a rotation that began earlier is carried over to the new token."""
    web.put(a=0, b=0)
    other = web.twin()

    def view() -> None:
        session["a"] = 1
        web.put(other, b=2)
        session.rotate()

    assert cookies_set(web.do(view))
    assert web.data() == {"a": 1, "b": 2}


def test_two_logins_at_once_sign_both_users_in(web: Web) -> None:
    """Of two logins that began with one token, one takes the session on; the other begins one of its own."""
    web.put(cart=[1])
    other = web.twin()

    def view() -> None:
        session.get("cart")
        web.do(sign_in("ada"), other)
        session.bind("bob")

    old = web.token()
    assert cookies_set(web.do(view))
    assert len(web.sessions.of("ada")) == len(web.sessions.of("bob")) == 1
    assert web.data() == {}
    assert web.data(other) == {"cart": [1]}
    assert user_of(web, web.with_token(old)) is None


# --- logout ----------------------------------------------------------------------------------------------------------


def test_a_logout_ends_the_session_for_every_copy(web: Web) -> None:
    """After a logout no copy of the cookie is valid, and no record is left in the store."""
    web.do(sign_in("ada"))
    copy = web.twin()
    assert cookies_set(web.do(end))
    assert web.token() is None
    assert user_of(web, copy) is None
    assert web.records() == 0


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda: session.update(a=1), id="write"),
        pytest.param(lambda: session["cart"].append(2), id="nested write"),
        pytest.param(lambda: session.apply("hits", lambda n: n + 1, default=0), id="apply"),
        pytest.param(rotate, id="rotate"),
        pytest.param(lambda: session.bind("ada"), id="bind"),
        pytest.param(lambda: session.get("cart"), id="read"),
        pytest.param(end, id="end"),
    ],
)
@pytest.mark.parametrize("touch_due", [True, False])
def test_no_request_in_flight_undoes_a_logout(web: Web, late: Callable[[], Any], touch_due: bool) -> None:
    """Any request in progress during a logout saves nothing and sends no cookie."""
    web.do(sign_in("ada"))
    web.put(cart=[1])
    slow = web.twin()
    web.clock.advance(4 * 24 * 3600 if touch_due else 0)

    def view() -> None:
        session.get("cart")
        web.do(end)
        late()

    assert not cookies_set(web.do(view, slow))
    assert web.records() == 0
    assert web.sessions.of("ada") == []
    assert web.data(slow) == {}


def test_revoking_ends_a_session_from_outside(web: Web) -> None:
    """A session is ended by its handle, and requests in flight do not bring it back."""
    web.do(sign_in("ada"))
    handle = web.see(lambda: session.handle)

    def view() -> None:
        session["a"] = 1
        assert web.sessions.revoke(handle) == "confirmed"

    assert not cookies_set(web.do(view))
    assert web.data() == {}
    assert web.sessions.revoke(handle) == "absent"
    assert web.records() == 0


def test_ending_all_but_this_session(web: Web) -> None:
    """A user who ends all other sessions keeps the one they do it from."""
    others = [web.app.test_client() for _ in range(3)]
    for browser in (web.browser, *others):
        web.do(sign_in("ada"), browser)
    with web.app.app_context():
        handle = web.see(lambda: session.handle)
        assert web.sessions.revoke_all("ada", keep=handle) == 3
    assert user_of(web) is not None
    assert [user_of(web, browser) for browser in others] == [None] * 3


# --- renewal ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def renewing() -> Web:
    """Return an application that renews tokens every five minutes."""
    web = Web(SESSION_RENEWAL_INTERVAL=300, SESSION_ROTATION_GRACE=30)
    web.put(cart=[1])
    return web


def test_a_token_in_use_is_renewed(renewing: Web) -> None:
    """A session in use gets a new token once the renewal interval has passed, and not before."""
    old = renewing.token()
    renewing.clock.advance(299)
    assert not cookies_set(renewing.do(lambda: session.get("cart")))
    renewing.clock.advance(1)
    assert cookies_set(renewing.do(lambda: session.get("cart")))
    assert renewing.token() != old
    assert renewing.data() == {"cart": [1]}
    assert not cookies_set(renewing.do(lambda: session.get("cart")))


def test_within_the_grace_period_the_old_token_leads_to_the_new_one(renewing: Web) -> None:
    """A request that left with the old token reads and writes the same session and is sent the new token again."""
    late = renewing.twin()
    renewing.clock.advance(300)
    renewing.do(lambda: session.get("cart"))
    renewing.clock.advance(29)
    assert cookies_set(renewing.put(late, wish=1))
    assert renewing.token(late) == renewing.token()
    assert renewing.data() == {"cart": [1], "wish": 1}


def test_after_the_grace_period_the_old_token_is_unknown(renewing: Web) -> None:
    """A copy of a renewed cookie is worth nothing when the new one was presented and the grace period is over."""
    late = renewing.twin()
    renewing.clock.advance(300)
    renewing.do(lambda: session.get("cart"))
    renewing.do(lambda: session.get("cart"))
    renewing.clock.advance(30)
    assert renewing.data(late) == {}
    renewing.put(late, wish=1)
    assert renewing.token(late) != renewing.token()
    assert renewing.data() == {"cart": [1]}


def test_a_login_overtakes_a_request_under_an_alias(renewing: Web) -> None:
    """A request that was led to the renewed token, and is overtaken by a login, does not send that token."""
    late = renewing.twin()
    renewing.clock.advance(300)
    renewing.do(lambda: session.get("cart"))

    def view() -> None:
        session.get("cart")
        renewing.do(sign_in("ada"))
        renewing.clock.advance(1)

    assert not cookies_set(renewing.do(view, late))


def test_two_renewals_at_once_are_one(renewing: Web) -> None:
    """Two requests that both find the renewal due end with the same new token and both their changes."""
    other = renewing.twin()
    renewing.clock.advance(300)

    def view() -> None:
        session["a"] = 1
        renewing.put(other, b=2)

    assert cookies_set(renewing.do(view))
    assert renewing.token() == renewing.token(other)
    assert renewing.data() == {"cart": [1], "a": 1, "b": 2}


@pytest.mark.parametrize("known", [False, True], ids=["a first visit", "a visitor"])
@pytest.mark.parametrize("order", ["login first", "login last"])
def test_signing_in_and_ending_all_others_in_one_request(web: Web, known: bool, order: str) -> None:
    """The other sessions end, and the login that ended them stands."""
    other = web.app.test_client()
    web.do(sign_in("ada"), other)
    if known:
        web.put(cart=[1])
    steps: list[Callable[[], Any]] = [sign_in("ada"), lambda: web.sessions.revoke_all("ada", keep=session.handle)]

    def reset_password() -> None:
        for step in steps if order == "login first" else reversed(steps):
            step()

    web.do(reset_password)
    assert user_of(web, other) is None
    assert user_of(web) == web.sessions.manager.keys.owner_of("ada")


@pytest.mark.parametrize("settings", [{}, {"SESSION_STORE": "cookie://", "setting": "SESSION_REVOCATION_STORE"}])
@pytest.mark.parametrize("order", ["login first", "login last"])
def test_a_user_who_ends_all_and_signs_in_again_in_one_request(settings: dict[str, Any], order: str) -> None:
    """The session of before ends with the others, and the login begins one of its own."""
    web = Web(**settings)
    web.do(sign_in("ada"))
    copy = web.twin()
    web.clock.advance(1)
    steps: list[Callable[[], Any]] = [sign_in("ada"), lambda: web.sessions.revoke_all("ada")]

    def change_password() -> None:
        assert session.owner is not None
        for step in steps if order == "login first" else reversed(steps):
            step()

    assert web.do(change_password).status_code == 200
    assert user_of(web, copy) is None
    assert user_of(web) == web.sessions.manager.keys.owner_of("ada")


def test_a_login_on_its_way_is_ended_by_another_request(web: Web) -> None:
    """Only the request's own call spares its login."""
    with web.app.app_context():
        manager = ends(web.sessions.manager)

    def slow_login() -> None:
        session.bind("ada")
        manager.revoke_all("ada")

    web.do(slow_login)
    assert user_of(web) is None

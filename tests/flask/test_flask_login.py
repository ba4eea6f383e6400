"""Flask-Login on Holdfast: its documentation holds, and every login rotates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import request
from flask.testing import FlaskClient
from flask_login import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)
from support.web import Web, cookies_set, rotate

from holdfast.flask import session


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


class Shop(Web):
    """An application with Flask-Login."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.login_manager = LoginManager(self.app)
        self.login_manager.user_loader(User)
        self.app.add_url_rule("/members", "members", view_func=login_required(lambda: "members"))
        self.app.add_url_rule("/password", "password", view_func=fresh_login_required(lambda: "password"))

    def sign_in(self, name: str, browser: FlaskClient | None = None, **options: Any) -> Any:
        """Sign *name* in."""
        return self.do(lambda: str(login_user(User(name), **options)), browser)

    def who(self, browser: FlaskClient | None = None) -> str | None:
        """Return who is signed in, in a browser."""
        name: str | None = self.see(lambda: current_user.get_id() or None, browser)
        return name

    def status(self, path: str, browser: FlaskClient | None = None, **options: Any) -> int:
        """Return the status of *path*."""
        return (browser or self.browser).get(path, **options).status_code


@pytest.fixture
def shop() -> Shop:
    """Return an application with Flask-Login."""
    return Shop()


def test_a_login_holds(shop: Shop) -> None:
    """A user who signs in is signed in until they sign out."""
    assert shop.status("/members") == 401
    shop.sign_in("ada")
    assert shop.who() == "ada"
    assert shop.status("/members") == 200
    shop.do(logout_user)
    assert shop.who() is None
    assert shop.status("/members") == 401


def test_a_login_rotates_by_itself(shop: Shop) -> None:
    """`login_user` gives the session a new token and binds it; the old one is invalid."""
    shop.put(cart=[1])
    before = shop.twin()
    old = shop.token()
    shop.sign_in("ada")
    assert shop.token() != old
    assert shop.data()["cart"] == [1]
    assert shop.data(before) == {}
    assert not cookies_set(shop.do(lambda: session.update(cart=[]), before))
    assert len(shop.sessions.of("ada")) == 1


def test_every_login_rotates(shop: Shop) -> None:
    """Signing in again gives a new token once more."""
    shop.sign_in("ada")
    old = shop.token()
    shop.sign_in("ada")
    assert shop.token() != old
    assert len(shop.sessions.of("ada")) == 1


def test_a_page_for_members_costs_one_read(shop: Shop) -> None:
    """Reading the current user reads the session once and does not write."""
    shop.sign_in("ada")
    assert shop.calls(lambda: current_user.is_authenticated) == {"load": 1}


def test_a_visitor_costs_nothing(shop: Shop) -> None:
    """Reading the current user costs nothing without one, and leaves no record."""
    assert shop.calls(lambda: current_user.is_authenticated) == {}
    assert shop.records() == 0


def test_a_logout_under_a_replaced_token_ends_the_session(shop: Shop) -> None:
    """`logout_user` in a request whose token was replaced a moment ago ends the session under the present token."""
    shop.sign_in("ada")
    late = shop.twin()
    shop.do(rotate)
    assert shop.who() == "ada"
    assert shop.who(late) is None
    assert cookies_set(shop.do(logout_user, late))
    assert shop.who() is None


@pytest.mark.parametrize("sign_out_first", [True, False])
def test_another_user_starts_from_nothing(shop: Shop, sign_out_first: bool) -> None:
    """When another user signs in, in any way, no data of the first user's session is left."""

    def change() -> None:
        if sign_out_first:
            logout_user()
        login_user(User("bob"))

    shop.sign_in("ada")
    shop.put(secret="ada's")
    before = shop.twin()
    shop.do(change)
    assert shop.who() == "bob"
    assert "secret" not in shop.data()
    assert shop.who(before) is None
    assert shop.sessions.of("ada") == []


def test_a_logout_keeps_what_is_not_the_user_s(shop: Shop) -> None:
    """`logout_user` leaves the rest of the session, unbound and under a new token; copies of the old one are dead."""
    shop.put(cart=[1])
    shop.sign_in("ada")
    copy = shop.twin()
    shop.do(logout_user)
    assert shop.data() == {"cart": [1]}
    assert shop.see(lambda: session.owner) is None
    assert shop.data(copy) == {}
    assert shop.sessions.of("ada") == []


def test_a_logout_with_nothing_left_ends_the_session(shop: Shop) -> None:
    """Where the session held only the login, `logout_user` removes the record and the cookie."""
    shop.sign_in("ada")
    shop.do(logout_user)
    assert shop.token() is None
    assert shop.records() == 0


@pytest.mark.parametrize("late", [lambda: session.update(a=1), lambda: current_user.is_authenticated])
def test_a_request_in_flight_does_not_undo_a_logout(shop: Shop, late: Callable[[], Any]) -> None:
    """A request that was under way during `logout_user` cannot sign the user in again."""
    shop.sign_in("ada")
    slow = shop.twin()

    def view() -> None:
        assert current_user.is_authenticated
        shop.do(logout_user)
        late()

    assert not cookies_set(shop.do(view, slow))
    assert shop.who(slow) is None
    assert shop.records() == 0


def test_a_failed_login_leaves_the_session_alone(shop: Shop) -> None:
    """An inactive user is not signed in, and no record or cookie is made."""

    class Banned(User):
        """A user who may not sign in."""

        is_active = False

    assert not cookies_set(shop.do(lambda: str(login_user(Banned("eve")))))
    assert shop.records() == 0


# --- remember me -----------------------------------------------------------------------------------------------------


def without_session(shop: Shop) -> None:
    """Make the browser forget its session, as when it is closed."""
    shop.browser.delete_cookie("session")


def test_remember_me_signs_in_again(shop: Shop) -> None:
    """A remembered user whose session is gone is signed in, not freshly, with a new session bound to them."""
    shop.sign_in("ada", remember=True, duration=timedelta(days=7))
    without_session(shop)
    assert shop.who() == "ada"
    assert shop.token() is not None
    assert len(shop.sessions.of("ada")) == 2
    assert shop.status("/members") == 200
    assert shop.status("/password") == 401


def test_remember_me_over_a_session_rotates(shop: Shop) -> None:
    """A remembered user's anonymous session is rotated like at any login."""
    shop.sign_in("ada", remember=True)
    without_session(shop)
    cart = shop.app.test_client()
    shop.put(cart, cart=[1])
    shop.browser.set_cookie("session", shop.token(cart) or "")
    assert shop.who() == "ada"
    assert shop.data()["cart"] == [1]
    assert shop.data(cart) == {}


def test_logout_forgets_a_remembered_user(shop: Shop) -> None:
    """`logout_user` removes the remember-me cookie too."""
    shop.sign_in("ada", remember=True)
    assert shop.browser.get_cookie("remember_token")
    shop.do(logout_user)
    assert shop.browser.get_cookie("remember_token") is None
    assert shop.who() is None


# --- fresh logins and session protection -----------------------------------------------------------------------------


def test_a_confirmed_login_is_fresh(shop: Shop) -> None:
    """`confirm_login` makes a remembered login fresh, in place."""
    shop.sign_in("ada", fresh=False)
    assert shop.status("/password") == 401
    shop.do(confirm_login)
    assert shop.status("/password") == 200
    assert shop.who() == "ada"


def test_basic_protection_makes_a_login_stale(shop: Shop) -> None:
    """With basic session protection another device's use of the cookie makes the login stale."""
    shop.sign_in("ada")
    other = {"User-Agent": "somebody else"}
    assert shop.status("/password", headers=other) == 401
    assert shop.status("/members", headers=other) == 200
    assert shop.status("/password") == 401


def test_strong_protection_ends_a_login(shop: Shop) -> None:
    """With strong session protection another device's use of the cookie signs the user out, under a new token."""
    shop.login_manager.session_protection = "strong"
    shop.put(cart=[1])
    shop.sign_in("ada")
    copy = shop.twin()
    assert shop.status("/members", headers={"User-Agent": "somebody else"}) == 401
    assert shop.who() is None
    assert shop.data(copy) == {}
    assert shop.sessions.of("ada") == []


def test_the_next_page_is_remembered_in_the_session() -> None:
    """With ``USE_SESSION_FOR_NEXT`` the page that asked for a login is found after it."""
    shop = Shop(USE_SESSION_FOR_NEXT=True)
    shop.login_manager.login_view = "/login"
    assert shop.browser.get("/members").status_code in {302, 303}
    shop.sign_in("ada")
    assert shop.data()["next"] == "/members"


def test_a_request_loader_stores_nothing(shop: Shop) -> None:
    """A user who is known by each request's own credentials leaves no record."""
    shop.login_manager.request_loader(lambda _: User("api") if request.authorization else None)
    path = shop.path(lambda: str(current_user.get_id()))
    response = shop.browser.get(path, auth=("api", "key"))
    assert response.text == "api"
    assert not cookies_set(response)
    assert shop.records() == 0


def test_a_session_transaction_with_flask_login(shop: Shop) -> None:
    """Flask's test client opens a session outside of any request, with Flask-Login too."""
    with shop.browser.session_transaction() as transaction:
        transaction["a"] = 1
    assert shop.see(lambda: session["a"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda: session.update(username="lovelace"),
        lambda: session.pop("username"),
        lambda: session.update(user_id=7),
        lambda: session.pop_once("username"),
        lambda: session.apply("username", str.upper),
    ],
)
def test_a_name_that_is_shown_does_not_say_whose_session_it_is(shop: Shop, change: Callable[[], Any]) -> None:
    """Where Flask-Login's user has their name for an id, the session stays theirs when a name in it changes."""
    shop.do(lambda: (session.update(username="ada"), login_user(User("ada"))))
    token = shop.token()
    shop.do(change)
    assert (shop.who(), shop.token()) == ("ada", token)
    assert len(shop.sessions.of("ada")) == 1
    assert shop.sessions.revoke_all("ada") == 1
    assert shop.who() is None

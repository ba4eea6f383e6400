"""The users who get the page of devices, and those who must sign in first, or again."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, get_flashed_messages, redirect, request
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user
from support.account import FIREFOX, IPHONE, Account, both, cards, done, read
from support.web import SECRET_KEY

from holdfast import ConfigurationError, NotFresh
from holdfast.contrib.devices_page import devices_page
from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


# --- who is signed in ------------------------------------------------------------------------------------------------


def test_who_is_not_signed_in_gets_nothing(account: Account) -> None:
    """A visitor is refused, with a session or without one, and no session is made."""
    visitor, shopper = account.app.test_client(), account.app.test_client()
    account.put(shopper, cart=[1])
    for browser in (visitor, shopper):
        assert [response.status_code for response in both(account, browser)] == [401, 401]
    assert account.records() == 1


@pytest.mark.parametrize(
    ("login_url", "location"),
    [
        ("/login", "/login?next=%2Faccount%2Fdevices%2F"),
        ("/login?lang=de", "/login?lang=de&next=%2Faccount%2Fdevices%2F"),
    ],
)
def test_who_is_not_signed_in_is_sent_to_sign_in(login_url: str, location: str) -> None:
    """With a login URL a visitor is sent there, with the way back."""
    account = Account({"login_url": login_url})
    answers = both(account, account.app.test_client())
    assert [(answer.status_code, answer.location) for answer in answers] == [(303, location)] * 2


def test_the_way_back_knows_where_the_application_is_mounted() -> None:
    """Under a prefix of the server's, the way back has it."""
    account = Account({"login_url": "/app/login"})
    response = account.app.test_client().get("/account/devices/", base_url="http://localhost/app")
    assert response.location == "/app/login?next=%2Fapp%2Faccount%2Fdevices%2F"


def test_the_application_says_who_is_signed_in() -> None:
    """A session is shown its user's page only while the application says that this user is signed in."""
    said: list[object] = ["ada"]
    account = Account({"user_id": lambda: said[0]})
    here = account.sign_in()
    assert here.get("/account/devices/").status_code == 200
    for said[0] in (None, "bob", ""):
        assert [response.status_code for response in both(account, here)] == [401, 401]
    said[0] = None
    assert account.sign_in("None").get("/account/devices/").status_code == 401
    bob = account.sign_in("bob")
    said[0] = "bob"
    assert here.get("/account/devices/").status_code == 401
    assert bob.get("/account/devices/").status_code == 200


def test_a_user_id_need_not_be_text() -> None:
    """A number is taken as its text, as `bind` does."""
    account = Account({"user_id": lambda: 42})
    assert account.sign_in("42").get("/account/devices/").status_code == 200


class Club(Account):
    """The same with Flask-Login."""

    def __init__(self, options: dict[str, Any] | None = None, **config: Any) -> None:
        super().__init__(options, **config)
        self.members = {"ada", "bob"}
        self.login = LoginManager(self.app)
        self.login.user_loader(lambda name: User(name) if name in self.members else None)

    def sign_in(
        self, name: str = "ada", browser: FlaskClient | None = None, agent: str = FIREFOX, *, remember: bool = False
    ) -> FlaskClient:
        """Sign *name* in by Flask-Login."""
        browser = browser or self.app.test_client()
        self.do(lambda: str(login_user(User(name), remember=remember)), browser, headers={"User-Agent": agent})
        return browser


def test_flask_login_s_user_is_signed_in() -> None:
    """With Flask-Login the page needs no word of who is signed in."""
    club = Club()
    here, there = club.sign_in(), club.sign_in(agent=IPHONE)
    assert len(cards(club.page(here))) == 2
    done(club.end(here, there))
    assert club.is_in(here)
    assert not club.is_in(there)


def test_flask_login_s_answer_to_visitors() -> None:
    """With Flask-Login a visitor gets its answer: 401, or the way to its login view."""
    club = Club()
    visitor = club.app.test_client()
    assert visitor.get("/account/devices/").status_code == 401
    club.login.login_view = "/login"
    response = visitor.get("/account/devices/")
    assert response.status_code in {302, 303}
    assert response.location == "/login?next=%2Faccount%2Fdevices%2F"


def test_visitors_leave_no_record() -> None:
    """A visitor without a cookie is sent to sign in and gets no session; one who has a session gets the message too."""
    club = Club()
    club.login.login_view = "/login"
    visitor = club.app.test_client()
    club.store.reset()
    response = visitor.get("/account/devices/")
    assert response.status_code in {302, 303}
    assert "Set-Cookie" not in response.headers
    assert not club.store.counts
    club.do(lambda: session.update(cart=["pen"]), visitor)
    visitor.get("/account/devices/")
    assert club.see(get_flashed_messages, visitor) == ["Please log in to access this page."]


def test_a_user_who_is_no_more_is_not_signed_in() -> None:
    """A deleted or disabled user gets no page, although the session exists."""
    club = Club()
    here = club.sign_in()
    club.members.remove("ada")
    assert [response.status_code for response in both(club, here)] == [401, 401]


def test_a_remembered_user_gets_a_page_whose_forms_work() -> None:
    """A user who is signed in by this same request, with a new token, gets forms for that token."""
    club = Club()
    here = club.sign_in(remember=True)
    there = club.sign_in()
    here.delete_cookie("session")
    done(club.end(here, there))
    assert not club.is_in(there)


def test_the_forms_of_a_page_that_renews_the_token_work() -> None:
    """Where this very request renews the token, the forms are made for the new one."""
    account = Account(SESSION_RENEWAL_INTERVAL=60)
    here, there = account.sign_in(), account.sign_in()
    handle = account.handle(there)
    account.clock.advance(61)
    old = account.token(here)
    fields = account.form(here, "end", handle)
    assert account.token(here) != old
    done(account.post(here, fields))
    assert not account.is_in(there)


def test_a_browser_that_keeps_no_new_cookie_is_not_sent_round_in_circles() -> None:
    """The page is asked for anew once, and then shown; the old token leads on to the new one for a while."""
    account = Account(SESSION_RENEWAL_INTERVAL=60)
    token = account.token(account.sign_in())
    account.clock.advance(61)
    here = account.with_token(token)
    assert here.get("/account/devices/?again=1").status_code == 200
    assert account.with_token(token).get("/account/devices/").status_code == 200


class Bare:
    """A store with only the five methods."""

    def __init__(self) -> None:
        inner = MemoryStore()
        self.load, self.create, self.replace = inner.load, inner.create, inner.replace
        self.touch, self.delete = inner.touch, inner.delete


#: Where sessions may be so that a user's cannot be listed, and what is said of it.
UNLISTED = pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"SESSION_TYPE": "null"}, "SESSION_TYPE is 'null'"),
        ({"SESSION_STORE": "cookie://"}, "SESSION_STORE is 'cookie://'"),
        ({"SESSION_STORE": "cookie://", "SESSION_REVOCATION_STORE": "memory://"}, "SESSION_STORE is 'cookie://'"),
        ({"SESSION_STORE": "memcached://127.0.0.1:1"}, "MemcachedStore keeps no index by owner"),
        ({"SESSION_STORE": Bare()}, "Bare keeps no index by owner"),
    ],
    ids=["null", "cookies", "revocable", "memcached", "bare"],
)


def unlisted_app(settings: dict[str, Any]) -> Flask:
    """Return an application that has no sessions yet."""
    app = Flask("shop")
    app.config.update(SECRET_KEY=SECRET_KEY, PROPAGATE_EXCEPTIONS=True, **settings)
    return app


@UNLISTED
def test_sessions_that_cannot_be_listed_have_no_page(settings: dict[str, Any], reason: str) -> None:
    """Where a user's sessions cannot be listed the page cannot be registered, and the error says why."""
    app = unlisted_app(settings)
    sessions = Session(app)
    with pytest.raises(ConfigurationError, match=reason):
        app.register_blueprint(devices_page(sessions))


@UNLISTED
def test_a_page_that_was_registered_too_early_to_know(
    settings: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where that is known only later, a page with 501 says that it is not possible, and the log says why."""
    app, sessions = unlisted_app(settings), Session()
    app.register_blueprint(devices_page(sessions))
    sessions.init_app(app)
    browser = app.test_client(use_cookies=False)
    for method in ("GET", "POST"):
        caplog.clear()
        response = browser.open("/devices/", method=method)
        assert "cannot be shown here" in read(response, 501).one("main").text
        assert reason in caplog.text
        assert reason not in response.text
        assert response.headers["Cache-Control"] == "no-store"
    with browser.get("/devices/static/holdfast.css") as sheet:
        assert sheet.status_code == 200


def test_a_page_may_be_registered_before_the_sessions(account: Account) -> None:
    """Where they can be listed, it does not matter which comes first."""
    app, sessions = unlisted_app({"SESSION_STORE": account.store}), Session()
    app.register_blueprint(devices_page(sessions))
    sessions.init_app(app)
    assert app.test_client().get("/devices/").status_code == 401


# --- signing in again ------------------------------------------------------------------------------------------------


def test_ends_can_ask_for_a_fresh_login() -> None:
    """With *fresh*, sessions are ended by who has just signed in; looking and naming take no more than a session."""
    account = Account({"fresh": 300})
    here, there = account.sign_in(), account.sign_in()
    account.clock.advance(301)
    one, others = account.form(here, "end", account.handle(there)), account.form(here, "end-others")
    assert [account.post(here, fields).status_code for fields in (one, others)] == [401, 401]
    done(account.post(here, {**account.form(here, "name"), "label": "Work laptop"}))
    assert account.is_in(there)
    account.sign_in(browser=here)
    done(account.end(here, there))
    assert not account.is_in(there)


def test_who_is_not_fresh_is_sent_to_sign_in() -> None:
    """With a login URL, who is to sign in again is sent there; the way back is the page, which is no form."""
    account = Account({"fresh": 300, "login_url": "/login"})
    here, there = account.sign_in(), account.sign_in()
    account.clock.advance(301)
    response = account.end(here, there)
    assert (response.status_code, response.location) == (303, "/login?next=%2Faccount%2Fdevices%2F")
    assert account.is_in(there)


def test_the_application_answers_who_is_not_fresh() -> None:
    """Without a login URL the application's own answer to `NotFresh` is given, with a path that can be asked for."""
    account = Account({"fresh": 300})
    account.app.register_error_handler(NotFresh, lambda _: redirect(f"/again?next={request.path}"))
    here, there = account.sign_in(), account.sign_in()
    account.clock.advance(301)
    assert account.end(here, there).location == "/again?next=/account/devices/"


def test_a_login_can_be_good_for_one_end() -> None:
    """``fresh=0`` asks for a login for each end."""
    account = Account({"fresh": 0})
    here, there, third = (account.sign_in() for _ in range(3))
    done(account.end(here, there))
    assert account.end(here, third).status_code == 401
    assert account.is_in(third)


def test_a_refused_form_uses_up_no_login() -> None:
    """A form that is not the page's own, or that names no session, leaves a login that is good once as it is."""
    account = Account({"fresh": 0})
    here, there = account.sign_in(), account.sign_in()
    fields = account.form(here, "end", account.handle(there))
    assert account.post(here, {**fields, "form_token": "x"}).status_code == 400
    assert account.post(here, {**fields, "handle": "0" * 64}).status_code == 404
    done(account.post(here, fields))


def test_the_application_may_ask_in_its_own_way() -> None:
    """A function is called before a session is ended: its result is the response, and None continues."""
    answers: list[Any] = [redirect("/second-factor"), redirect("/second-factor"), None]
    account = Account({"fresh": lambda: answers.pop(0)})
    here, there = account.sign_in(), account.sign_in()
    assert account.end(here, there).location == "/second-factor"
    assert account.post(here, account.form(here, "end-others")).location == "/second-factor"
    assert account.is_in(there)
    done(account.end(here, there))
    assert not account.is_in(there)


def test_a_negative_span_is_refused(account: Account) -> None:
    """A span that cannot be meant is an error where the page is made."""
    with pytest.raises(ValueError, match="0 or more"):
        devices_page(account.sessions, fresh=-1)

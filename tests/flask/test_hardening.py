"""Optional protection: no caching at all, the data that a logout clears, HTTPS only, device changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Response
from flask_login import LoginManager, UserMixin, login_user, logout_user
from support.web import STRANGER, Web, cookies_set, end
from werkzeug.middleware.proxy_fix import ProxyFix

from holdfast import ConfigurationError
from holdfast.flask import session
from holdfast.flask.user_agent import agent_of

HTTPS: dict[str, Any] = {"base_url": "https://localhost"}


def read() -> str:
    """Look at the session, as the view of a request."""
    return str(session.get("a"))


def write() -> None:
    """Change the session, as the view of a request."""
    session["a"] = 1


@pytest.mark.parametrize(
    ("setting", "value", "fix"),
    [
        ("SESSION_CACHE_CONTROL", "public", "it must be one of 'private', 'no-store'"),
        ("SESSION_ON_DEVICE_CHANGE", "kill", "it must be one of 'signal', 'end', or None"),
        ("SESSION_REQUIRE_HTTPS", "yes", "it must be True or False"),
        ("SESSION_CLEAR_SITE_DATA", "cookies", "it must be True, False, or a list of some of 'cache', 'cookies'"),
        ("SESSION_CLEAR_SITE_DATA", ["cookie"], "it must be True, False, or a list of some of 'cache', 'cookies'"),
    ],
)
def test_what_cannot_be_meant_is_refused(setting: str, value: Any, fix: str) -> None:
    """The error names the setting, the value and the fix."""
    with pytest.raises(ConfigurationError, match=f"^{setting} is .*: {fix}"):
        Web(**{setting: value})


# --- SESSION_CACHE_CONTROL -------------------------------------------------------------------------------------------


def cached(value: str | None) -> Callable[[], Response]:
    """Return a view that reads the session and says *value* about caching."""

    def view() -> Response:
        response = Response(read())
        if value is not None:
            response.headers["Cache-Control"] = value
        return response

    return view


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, {"no-store"}),
        ("private", {"private", "no-store"}),
        ("no-store, must-revalidate", {"no-store", "must-revalidate"}),
        ("max-age=60", {"max-age=60", "no-store"}),
    ],
)
def test_no_store_is_said_where_the_session_was_used(said: str | None, expected: set[str]) -> None:
    """Each response that used the session carries ``no-store``, beside what the application said."""
    web = Web(SESSION_CACHE_CONTROL="no-store")
    for action in (write, cached(said)):
        response = web.do(action)
        values = {part.strip() for part in response.headers["Cache-Control"].split(",")}
        assert values == (expected if action is not write else {"no-store"})
    assert "Cache-Control" not in web.do(lambda: "nothing").headers


def test_no_store_is_said_of_errors_too() -> None:
    """An answer that takes the place of the view's, such as 503, is not kept either."""
    web = Web(SESSION_CACHE_CONTROL="no-store", PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    web.failing.fail("replace", times=float("inf"))
    response = web.do(lambda: session.update(a=2))
    assert (response.status_code, response.headers["Cache-Control"]) == (503, "no-store")


def test_without_it_reading_says_nothing_about_caching(web: Web) -> None:
    """By default a response that sets the cookie is private, and one that only reads has no directive."""
    assert web.do(write).headers["Cache-Control"] == "private"
    assert "Cache-Control" not in web.do(read).headers


# --- SESSION_CLEAR_SITE_DATA -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "header"),
    [
        (False, None),
        ([], None),
        (True, '"cookies", "storage"'),
        (["cookies"], '"cookies"'),
        (("cache", "*"), '"cache", "*"'),
    ],
)
def test_a_logout_clears_what_the_setting_says(setting: Any, header: str | None) -> None:
    """Only the response to a logout makes the browser clear data."""
    web = Web(SESSION_CLEAR_SITE_DATA=setting)
    for action in (write, read, end):
        response = web.do(action)
        assert response.headers.get("Clear-Site-Data") == (header if action is end else None)
    assert "Clear-Site-Data" not in web.do(end).headers


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


def test_what_goes_on_after_a_logout_keeps_its_cookie() -> None:
    """Where the rest of a session goes on, all is cleared but the cookies, which hold the one that was just set."""
    web = Web(SESSION_CLEAR_SITE_DATA=["cookies", "cache", "*"])
    LoginManager(web.app).user_loader(User)
    web.put(cart=[1])
    assert "Clear-Site-Data" not in web.do(lambda: str(login_user(User("ada")))).headers
    response = web.do(logout_user)
    assert response.headers["Clear-Site-Data"] == '"cache"'
    assert cookies_set(response)
    assert web.data() == {"cart": [1]}


def test_an_application_s_own_header_stays() -> None:
    """The application's own header is not extended."""

    def view() -> Response:
        session.clear()
        return Response("bye", headers={"Clear-Site-Data": '"cache"'})

    web = Web(SESSION_CLEAR_SITE_DATA=True)
    web.do(write)
    assert web.do(view).headers.getlist("Clear-Site-Data") == ['"cache"']


def test_a_logout_that_came_too_late_clears_nothing() -> None:
    """A request whose session had already ended sends no header to the browser, which may hold a newer one."""
    web = Web(SESSION_CLEAR_SITE_DATA=True)
    web.do(write)
    slow = web.twin()

    def view() -> None:
        session.get("a")
        web.do(end)
        session.clear()

    assert "Clear-Site-Data" not in web.do(view, slow).headers


# --- SESSION_REQUIRE_HTTPS -------------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Web:
    """Return an application that has sessions over HTTPS alone, and a browser with one."""
    web = Web(SESSION_REQUIRE_HTTPS=True, SESSION_COOKIE_SECURE=True)
    web.do(lambda: session.update(a=1, _user_id="ada"), **HTTPS)
    assert web.do(read, **HTTPS).text == "1"
    web.take_heard()
    return web


def test_a_token_that_came_in_clear_is_worth_nothing(strict: Web) -> None:
    """Over plain http the session is empty, the token it exposed is ended for everyone, and that is signalled."""
    cookie = f"session={strict.token()}"
    response = strict.send(cookie, read)
    assert response.text == "None"
    assert not cookies_set(response)
    assert [(name, details["reason"]) for name, details in strict.take_heard()] == [("ended", "revoked")]
    assert strict.send(cookie, read, **HTTPS).text == "None"
    assert strict.records() == 0


def test_nothing_is_kept_over_plain_http(strict: Web) -> None:
    """A login over plain http leaves no record and sends no cookie."""
    records = strict.records()
    browser = strict.app.test_client()
    assert not cookies_set(strict.do(write, browser))
    assert not cookies_set(strict.do(lambda: session.bind("bob"), browser))
    assert strict.see(lambda: session.read_only, browser)
    assert strict.records() == records


def test_only_a_token_that_works_is_ended(strict: Web) -> None:
    """An id that a login has replaced ends no session, nor does an unknown one, nor an unused one."""
    old = strict.token()
    strict.do(lambda: session.bind("ada"), **HTTPS)
    for token in (old, STRANGER):
        strict.send(f"session={token}", read)
    strict.send(f"session={strict.token()}", lambda: "nothing")
    assert strict.do(read, **HTTPS).text == "1"


def test_a_proxy_that_is_trusted_makes_a_request_secure(strict: Web) -> None:
    """Behind ProxyFix what the proxy says about the scheme counts."""
    strict.app.wsgi_app = ProxyFix(strict.app.wsgi_app, x_proto=1)  # type: ignore[method-assign]
    cookie = f"session={strict.token()}"
    assert strict.send(cookie, lambda: "nothing").text == "nothing"
    browser = strict.app.test_client(use_cookies=False)
    seen = strict.do(read, browser, headers={"Cookie": cookie, "X-Forwarded-Proto": "https"})
    assert seen.text == "1"


def test_plain_http_is_told_of_once(strict: Web, caplog: pytest.LogCaptureFixture) -> None:
    """The log says once what is wrong and what to do."""
    for _ in range(3):
        strict.do(read, strict.app.test_client())
    (record,) = [record for record in caplog.records if record.name == "holdfast"]
    assert record.levelno == logging.WARNING
    assert "SESSION_REQUIRE_HTTPS" in record.getMessage()
    assert "ProxyFix" in record.getMessage()


def test_a_secure_cookie_over_plain_http_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """With ``SESSION_COOKIE_SECURE`` alone the cookie is Flask's, and the log says once that browsers drop it."""
    web = Web(SESSION_COOKIE_SECURE=True)
    assert cookies_set(web.do(write, **HTTPS))
    assert not caplog.records
    for _ in range(3):
        assert cookies_set(web.do(write, web.app.test_client()))
    (record,) = caplog.records
    assert "Secure" in record.getMessage()
    assert "ProxyFix" in record.getMessage()


@pytest.mark.parametrize(
    ("settings", "url", "said"),
    [
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "http://www.bank.example/", "SESSION_COOKIE_DOMAIN"),
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "http://example/", "SESSION_COOKIE_DOMAIN"),
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "http://bookshop.example/", "SESSION_COOKIE_DOMAIN"),
        ({"SESSION_COOKIE_DOMAIN": "www.shop.example"}, "http://shop.example/", "SESSION_COOKIE_DOMAIN"),
        ({"SESSION_COOKIE_PATH": "/shop"}, "http://shop.example/", "SESSION_COOKIE_PATH"),
        ({"SESSION_COOKIE_PATH": "/d"}, "http://shop.example/", "SESSION_COOKIE_PATH"),
        ({"SESSION_COOKIE_DOMAIN": ".Shop.Example:5000"}, "http://www.shop.example:8080/", None),
        ({"SESSION_COOKIE_DOMAIN": "b\u00fccher.example"}, "http://xn--bcher-kva.example/", None),
        ({"SESSION_COOKIE_DOMAIN": "127.0.0.1"}, "http://127.0.0.1:5000/", None),
        ({"SESSION_COOKIE_PATH": "/do"}, "http://shop.example/", None),
        ({"SESSION_COOKIE_PATH": "/do/"}, "http://shop.example/", None),
        ({"SESSION_COOKIE_PATH": "/shop"}, "http://shop.example/shop/", None),
    ],
)
def test_a_cookie_that_does_not_fit_the_url_is_reported_once(
    caplog: pytest.LogCaptureFixture, settings: dict[str, Any], url: str, said: str | None
) -> None:
    """A Domain that is not of the host, or a Path that is not of the URL, is one warning that names the setting."""
    web = Web(**settings)
    for _ in range(2):
        web.do(lambda: session.update(a=1), web.app.test_client(), base_url=url)
    assert len(caplog.records) == (said is not None)
    assert said is None or said in caplog.text


def test_a_path_that_a_proxy_removes(caplog: pytest.LogCaptureFixture) -> None:
    """The warning about the cookie's Path names what a proxy needs that removes the path; with that it is silent."""
    for fixed in (True, False):
        web = Web(APPLICATION_ROOT="/shop")
        if fixed:
            web.app.wsgi_app = ProxyFix(web.app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]  # as its docs say
        answer = web.do(write, base_url="http://shop.example/", headers={"X-Forwarded-Prefix": "/shop"})
        assert cookies_set(answer)
        assert len(caplog.records) == (not fixed)
    assert "x_prefix=1" in caplog.text


# --- SESSION_ON_DEVICE_CHANGE ----------------------------------------------------------------------------------------

PHONE: dict[str, Any] = {"headers": {"User-Agent": "phone"}}
LAPTOP: dict[str, Any] = {"headers": {"User-Agent": "laptop"}}


def test_another_device_is_signalled() -> None:
    """With ``"signal"`` a request from another browser is reported, and continues."""
    web = Web(SESSION_ON_DEVICE_CHANGE="signal")
    web.do(write, **PHONE)
    assert web.do(read, **PHONE).text == "1"
    assert web.reasons() == []
    assert web.do(read, **LAPTOP).text == "1"
    assert web.do(read).text == "1"
    assert web.reasons() == ["binding_changed"] * 2


def test_another_device_ends_the_session() -> None:
    """With ``"end"`` a request from another browser is anonymous, and the session is over for everyone."""
    web = Web(SESSION_ON_DEVICE_CHANGE="end")
    web.do(write, **PHONE)
    copy = web.twin()
    web.take_heard()
    assert web.do(read, copy, **LAPTOP).text == "None"
    heard = [(name, details["reason"]) for name, details in web.take_heard()]
    assert heard == [("rejected", "binding_changed"), ("ended", "revoked")]
    assert web.do(read, **PHONE).text == "None"
    assert web.records() == 0


def test_who_is_turned_away_may_begin_anew() -> None:
    """The other browser can begin a session of its own."""
    web = Web(SESSION_ON_DEVICE_CHANGE="end")
    web.do(write, **PHONE)
    web.do(lambda: session.update(a=2), **LAPTOP)
    assert web.do(read, **LAPTOP).text == "2"
    assert web.do(read, **PHONE).text == "None"


def test_a_login_belongs_to_the_device_at_hand() -> None:
    """Signing in on another browser makes it the session's own; saving and rotating does not."""
    web = Web(SESSION_ON_DEVICE_CHANGE="signal")
    web.do(write, **PHONE)
    web.do(lambda: session.update(b=1), **LAPTOP)
    web.do(session_rotate, **LAPTOP)
    web.take_heard()
    web.do(read, **PHONE)
    assert web.reasons() == []
    web.do(lambda: session.bind("ada"), **LAPTOP)
    web.take_heard()
    web.do(read, **LAPTOP)
    assert web.reasons() == []
    web.do(read, **PHONE)
    assert web.reasons() == ["binding_changed"]


def session_rotate() -> None:
    """Ask for a new id, as the view of a request."""
    session.rotate()


def test_only_a_hash_is_kept() -> None:
    """The User-Agent is not in the store; with the setting off, no hash of it is stored."""
    for mode, there in (("signal", True), (None, False)):
        web = Web(SESSION_ON_DEVICE_CHANGE=mode, SESSION_KEEP_DEVICE=False)
        web.do(write, headers={"User-Agent": "canary"})
        ((_, record),) = web.memory.scan().items
        assert b"canary" not in record.data
        assert (agent_of("canary").encode() in record.data) == there


def test_sessions_from_before_are_not_judged() -> None:
    """A session that began while the setting was off belongs to no device."""
    web = Web()
    web.do(write, **PHONE)
    web.app.config["SESSION_ON_DEVICE_CHANGE"] = "end"
    assert web.do(read, **LAPTOP).text == "1"

"""A request with several session cookies: of another path or domain, of former settings, of other applications."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_login import LoginManager, logout_user
from support.web import STRANGER, Web, cookies_set, end

from holdfast.errors import StoreUnavailable
from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.records.tokens import new_token

#: Where sessions are kept.
PLACES: dict[str, Callable[..., Web]] = {
    "store": Web,
    "sealed": lambda **settings: Web(SESSION_SEAL_KEYS=[new_key()], SESSION_SEAL="cookie", **settings),
    "signed": lambda **settings: Web(SESSION_USE_SIGNER=True, **settings),
    "cookie": lambda **settings: Web(setting="UNUSED", SESSION_STORE="cookie://", **settings),
    "revocable": lambda **settings: Web(setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://", **settings),
}


@pytest.fixture(params=PLACES)
def web(request: pytest.FixtureRequest) -> Web:
    """Return an application, with its sessions in each place."""
    return PLACES[request.param]()


@pytest.fixture
def ends(web: Web) -> bool:
    """Return whether sessions can be ended other than in their browsers."""
    return web.app.config["SESSION_STORE"] != "cookie://" or web.app.config["SESSION_REVOCATION_STORE"] is not None


def value(web: Web, **data: Any) -> str:
    """Return the cookie of a new session with *data*."""
    other = web.app.test_client()
    web.put(other, **data)
    return str(web.token(other))


def alive(web: Web, cookie: str) -> bool:
    """Return whether *cookie* alone opens a session."""
    return bool(web.data(web.with_token(cookie)))


def browser_with(web: Web, *cookies: str) -> FlaskClient:
    """Return a browser that sends all *cookies*. It gets new ones beside them."""
    browser = web.app.test_client()
    for number, cookie in enumerate(cookies):
        browser.set_cookie("session", cookie, path="/do/" if number else "/do")
    return browser


def of(cookies: list[str]) -> str:
    """Return the Cookie header with all *cookies*."""
    return "; ".join(f"session={cookie}" for cookie in cookies)


def log_in() -> None:
    """Sign ada in."""
    session.bind("ada")


def log_in_with_mine() -> None:
    """Sign ada in, with data of hers."""
    log_in()
    session["mine"] = 1


def test_the_live_one_is_the_session(web: Web, ends: bool) -> None:
    """Beside unknown, badly signed, damaged and ended ones it is found and can be changed, whatever the order."""
    live, over = value(web, a=1), value(web, b=2)
    others = ["", "junk", STRANGER, f"{STRANGER}.x", "x" * 5000, live[:-4] + "AAAA"]
    if ends:
        web.send(of([over]), end)
        others.append(over)
    for other in others:
        for cookies in ([live, other], [other, live]):
            assert web.send(of(cookies), lambda: str(dict(session))).text == "{'a': 1}", other
    assert web.send(of([STRANGER, live]), lambda: session.update(a=2)).status_code == 200
    if ends and web.app.config["SESSION_STORE"] != "cookie://":
        assert web.data(web.with_token(live)) == {"a": 2}


def test_two_live_ones_are_nobody(web: Web) -> None:
    """Neither is read nor changed, and that is reported."""
    one, two = value(web, a=1), value(web, b=2)
    web.take_heard()
    assert web.send(of([one, two]), lambda: str(dict(session))).text == "{}"
    assert web.reasons() == ["ambiguous_cookie"]
    assert web.data(web.with_token(one)) == {"a": 1}
    assert web.data(web.with_token(two)) == {"b": 2}


@pytest.mark.parametrize("place", [0, 4])
def test_of_five_none_is_the_session(place: int) -> None:
    """Planted values cannot hide the user's own from a planted session, nor make way for one of an old name."""
    web = Web(SESSION_COOKIE_OLD_NAMES=["former"])
    cookies = [value(web, a=1), *(new_token() for _ in range(3))]
    cookies.insert(place, value(web, name="attacker"))
    web.take_heard()
    assert web.send(f"{of(cookies)}; former={cookies[place]}", lambda: str(dict(session))).text == "{}"
    assert web.reasons() == ["ambiguous_cookie"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_login_under_several_heals_the_browser(web: Web, ends: bool, first: int) -> None:
    """It begins a session of its own and ends all that were presented, and the browser gets on with it."""
    cookies = [value(web, a=1), value(web, b=2)]
    browser = browser_with(web, cookies[first], cookies[1 - first])
    web.do(log_in_with_mine, browser)
    for _ in range(2):
        assert web.data(browser) == {"mine": 1}
        assert web.see(lambda: session.owner, browser) is not None
    if ends:
        assert not any(alive(web, cookie) for cookie in cookies)
    web.do(end, browser)
    assert web.see(lambda: session.owner, browser) is None


def test_a_late_request_does_not_replace_the_logins_cookie(web: Web, ends: bool) -> None:
    """A request with the cookies of before the login stores nothing, gets no cookie, and can only log out."""
    cookies = [value(web, a=1), value(web, b=2)]
    for visited in (False, True):
        browser = browser_with(web, *cookies)
        if visited:
            web.put(browser, csrf_token="s3cret")
        web.do(log_in, browser)
        assert web.see(lambda: session.owner, browser) is not None
        if not ends:
            return
        assert not cookies_set(web.send(of(cookies), lambda: session.update(c=3)))
        assert web.see(lambda: session.owner, browser) is not None
        assert web.send(of(cookies), end).status_code == 200
        assert web.see(lambda: session.owner, browser) is None
        cookies = [value(web, a=1), value(web, b=2)]


@pytest.mark.parametrize("key", ["_user_id", "user_id", "username", "user_id: a flag"])
def test_every_kind_of_login_heals_the_browser(web: Web, ends: bool, key: str) -> None:
    """So it is with the key of Flask-Login and with each identity key, also if its value names nobody."""
    cookies = [value(web, a=1), value(web, b=2)]
    browser = browser_with(web, *cookies)
    data = {"user_id": True} if "flag" in key else {key: "ada"}
    web.do(lambda: session.update(data), browser)
    assert web.data(browser) == data
    assert (web.see(lambda: session.owner, browser) is None) is ("flag" in key)
    if ends:
        assert not any(alive(web, cookie) for cookie in cookies)


def test_a_form_under_several_has_its_token(web: Web, ends: bool) -> None:
    """What a page stores for its form, such as a CSRF token, is there when it is sent, and then the login is valid."""
    cookies = [value(web, a=1), value(web, b=2)]
    browser = browser_with(web, *cookies)
    web.put(browser, csrf_token="s3cret")
    assert web.data(browser) == {"csrf_token": "s3cret"}
    assert all(alive(web, cookie) for cookie in cookies), "no session is ended without a proof of identity"
    web.do(log_in_with_mine, browser)
    assert web.data(browser) == {"mine": 1}
    if ends:
        assert not any(alive(web, cookie) for cookie in cookies)


def test_nobody_makes_a_session_that_counts_before_anothers(web: Web) -> None:
    """Only a session that a response to the victim's cookie began counts before it; an attacker's own do not."""
    victim, planted = value(web, user="victim"), value(web, a=1)
    attacker = browser_with(web, planted, value(web, b=2))
    response = web.put(attacker, user="eve")
    [cookie] = cookies_set(response)
    theirs = cookie.partition("=")[2].partition(";")[0]
    assert web.send(of([victim, theirs]), lambda: str(dict(session))).text == "{}"


def test_a_logout_under_several_ends_all(web: Web, ends: bool) -> None:
    """They are over, and the cookie is deleted; so it is where one of them counts before the others."""
    for visited in (False, True):
        cookies = [value(web, a=1), value(web, b=2)]
        browser = browser_with(web, *cookies)
        if visited:
            web.put(browser, c=3)
        response = web.do(end, browser)
        if ends:
            assert not any(alive(web, cookie) for cookie in cookies)
            assert "Max-Age=0" in cookies_set(response)[0]


@pytest.mark.parametrize("key", ["_user_id", "user_id", "username"])
def test_removing_the_users_key_under_several_ends_all(web: Web, ends: bool, key: str) -> None:
    """No session is the request's, so the key is in none: the logout of Flask's documentation ends all nevertheless."""
    cookies = [value(web, **{key: "ada"}), value(web, **{key: "bob"})]
    response = web.send(of(cookies), lambda: str(session.pop(key, None)))
    if ends:
        assert not any(alive(web, cookie) for cookie in cookies)
        assert "Max-Age=0" in cookies_set(response)[0]


def test_flask_logins_logout_ends_all() -> None:
    """`logout_user` finds no user under several, and ends all nevertheless."""
    web = Web()
    LoginManager(web.app).user_loader(lambda _: None)
    cookies = [value(web, _user_id="ada"), value(web, _user_id="ada")]
    response = web.send(of(cookies), lambda: str(logout_user()))
    assert "Max-Age=0" in cookies_set(response)[0]
    assert web.sessions.of("ada") == []


def test_over_plain_http_all_end() -> None:
    """With ``SESSION_REQUIRE_HTTPS`` each session whose cookie was sent over plain http is over."""
    web = Web()
    cookies = [value(web, a=1), value(web, b=2)]
    web.app.config["SESSION_REQUIRE_HTTPS"] = True
    assert web.send(of(cookies), lambda: str(dict(session))).text == "{}"
    web.app.config["SESSION_REQUIRE_HTTPS"] = False
    assert not any(alive(web, cookie) for cookie in cookies)


def test_a_logout_ends_what_it_can(ends: bool) -> None:
    """If one of them cannot be ended, the others are, and the answer is an error; the next attempt ends it."""
    web = Web(PROPAGATE_EXCEPTIONS=False)
    cookies = [value(web, a=1), value(web, b=2)]

    def interrupted() -> None:
        session.destroy()
        web.failing.fail("load", times=1)

    assert web.send(of(cookies), interrupted).status_code == 503
    assert sorted(alive(web, cookie) for cookie in cookies) == [False, True]
    web.send(of(cookies), end)
    assert not any(alive(web, cookie) for cookie in cookies)


@pytest.mark.parametrize("place", ["store", "sealed", "signed", "revocable"])
@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("view", [end, log_in, lambda: str(logout_user()), lambda: session.pop("user_id", None)])
def test_after_a_lookup_that_failed_all_end(
    place: str, failing: int, view: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that went on without the store ends all sessions if it is back at the end: it is not 200 otherwise."""
    web = PLACES[place](SESSION_ON_STORE_ERROR="anonymous")
    LoginManager(web.app).user_loader(lambda _: None)
    cookies = [value(web, user_id="ada"), value(web, user_id="bob")]
    calls = itertools.count()

    def around(_operation: str, call: Callable[[], Any]) -> Any:
        if next(calls) == failing:
            raise StoreUnavailable("down")
        return call()

    def anonymous() -> Any:
        monkeypatch.setattr(web.failing, "around", around)
        assert not session
        return view()

    assert web.send(of(cookies), anonymous).status_code == 200
    assert not any(alive(web, cookie) for cookie in cookies)


def test_a_renewed_token_is_one_session_with_its_old_one() -> None:
    """The old token of a renewal leads to the session of the new one, so the two are not several."""
    web = Web(SESSION_RENEWAL_INTERVAL=60)
    web.put(a=1)
    old = web.token()
    web.clock.advance(61)
    web.data()
    for cookies in ([old, web.token()], [web.token(), old]):
        assert web.send(of([str(cookie) for cookie in cookies]), lambda: str(dict(session))).text == "{'a': 1}"


@pytest.mark.parametrize(
    "change",
    [
        {"SESSION_COOKIE_PATH": "/"},
        {"SESSION_COOKIE_DOMAIN": "shop.example"},
        {"SESSION_COOKIE_PATH": "/do/", "SESSION_COOKIE_DOMAIN": "shop.example"},
    ],
)
def test_a_changed_path_or_domain_locks_nobody_out(web: Web, ends: bool, change: dict[str, str]) -> None:
    """A returning user is still signed in, can sign out, and can sign in again with a form that has a token.

    Without revocations a session in a cookie of another path cannot be ended.
    """
    here: Any = {"base_url": "http://shop.example/"}
    web.app.config.update(SESSION_COOKIE_PATH="/do")
    web.do(log_in, **here)
    web.app.config.update(change)
    for _ in range(2):
        assert web.do(lambda: str(session.owner is not None), **here).text == "True"
        web.do(end, **here)
        if ends:
            assert web.do(lambda: str(session.owner is not None), **here).text == "False"
        web.clock.advance(1)
        web.do(lambda: session.update(csrf_token="s3cret"), **here)
        assert web.do(lambda: str(session.get("csrf_token")), **here).text == "s3cret"
        web.do(log_in, **here)


@pytest.mark.parametrize("separator", [",", ", ", ",\t"])
def test_headers_that_were_joined_by_commas(web: Web, separator: str) -> None:
    """Several Cookie headers of one HTTP/2 request, which a gateway joins by commas, are read as one."""
    live = value(web, a=1)
    ours = f"session={live}"
    for lines in ([ours, "b=2"], ["b=2", ours], ["b=2; c=3", f"{ours}; d=4", 'e="f g"'], [ours, f"session={STRANGER}"]):
        assert web.send(separator.join(lines), lambda: str(dict(session))).text == "{'a': 1}", lines


def test_a_comma_in_another_cookie_is_no_separator(web: Web) -> None:
    """What looks like our cookie after a comma is not read beside our own."""
    one, two = value(web, a=1), value(web, b=2)
    for header in (f"x=1, session={two}; session={one}", f"session={one}; x=1,session={two}"):
        assert web.send(header, lambda: str(dict(session))).text == "{'a': 1}", header


@pytest.mark.parametrize("name", ["__Host-id", "__Secure-id"])
def test_a_comma_makes_no_cookie_with_a_prefix(name: str) -> None:
    """Another host, which cannot set a cookie of this name, cannot do so in the value of one that it can."""
    web = Web(SESSION_COOKIE_NAME=name, SESSION_COOKIE_SECURE=True)
    planted = web.app.test_client()
    web.do(lambda: session.update(a=1), planted, base_url="https://localhost")
    cookie = planted.get_cookie(name)
    assert cookie is not None
    for header, seen in ((f"{name}={cookie.value}", "{'a': 1}"), (f"x=1,{name}={cookie.value}", "{}")):
        assert web.send(header, lambda: str(dict(session))).text == seen

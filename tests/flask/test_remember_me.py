"""Flask-Login's remember-me cookie: one browser begins one session with it, however many requests it sends at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import flash, get_flashed_messages
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from support.everywhere import INDEXED, KINDS, url_of_kind
from support.web import Web, attributes, cookies_set

from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.stores.registry import open_store


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user whose id is their name."""

    def __init__(self, name: str) -> None:
        self.id = name


def shop_on(inner: Any = None, **settings: Any) -> Web:
    """Return an application with Flask-Login, on the store that *inner* makes."""
    web = Web(inner, **settings)
    LoginManager(web.app).user_loader(User)
    return web


@pytest.fixture
def shop() -> Web:
    """Return an application with Flask-Login."""
    return shop_on()


def sign_in(shop: Web, **request: Any) -> FlaskClient:
    """Return a browser in which ada is signed in, and remembered."""
    browser = shop.app.test_client()
    shop.do(lambda: str(login_user(User("ada"), remember=True)), browser, **request)
    return browser


def copies(shop: Web, browser: FlaskClient, number: int, *, session_too: bool = True) -> list[FlaskClient]:
    """Return as many browsers with the cookies of *browser*, for requests that it sends at once."""
    made = []
    for _ in range(number):
        copy = shop.app.test_client()
        for name in ("remember_token", *(["session"] if session_too else [])):
            cookie = browser.get_cookie(name)
            assert cookie is not None
            copy.set_cookie(name, cookie.value)
        made.append(copy)
    return made


def at_once(shop: Web, browsers: list[FlaskClient], view: Callable[[], Any], **request: Any) -> None:
    """Send a request with *view* from each of *browsers*; none ends before all are in their views."""
    barrier = threading.Barrier(len(browsers))

    def waiting() -> None:
        view()
        barrier.wait(20)

    threads = [threading.Thread(target=shop.do, args=(waiting, each), kwargs=request) for each in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def user_id() -> str | None:
    """Return who is signed in, as a view."""
    name: str | None = current_user.get_id()
    return name


def who(shop: Web, browser: FlaskClient) -> str | None:
    """Return who is signed in."""
    name: str | None = shop.see(user_id, browser)
    return name


def aside(work: Callable[[], Any]) -> None:
    """Do *work* in another thread, where the requests share nothing with the running one."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def read() -> None:
    """Look at the user, as a view."""
    assert current_user.get_id() == "ada"


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=KINDS[kind]) for kind in INDEXED])
def test_eight_requests_begin_one_session_on_every_store(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """So it is whatever the order of their store calls."""
    url = url_of_kind(kind, request, tmp_path)
    shop = shop_on(lambda clock: open_store(url, root=tmp_path, clock=clock))
    browser = sign_in(shop)
    [first] = shop.sessions.of("ada")
    shop.sessions.revoke(first.handle)
    crowd = copies(shop, browser, 8)
    at_once(shop, crowd, read)
    assert len({shop.token(each) for each in crowd}) == 1
    assert len(shop.sessions.of("ada")) == 1
    getattr(shop.memory, "close", lambda: None)()


@pytest.mark.parametrize("session_too", [True, False])
def test_eight_requests_begin_one_session(shop: Web, session_too: bool) -> None:
    """With an expired session or none, all of them get its cookie, and the list of devices has one more."""
    browser = sign_in(shop)
    shop.clock.advance(32 * 24 * 3600)
    crowd = copies(shop, browser, 8, session_too=session_too)
    at_once(shop, crowd, read)
    assert len({shop.token(each) for each in crowd}) == 1
    assert len(shop.sessions.of("ada")) == 1
    assert [who(shop, each) for each in crowd] == ["ada"] * 8


def test_each_of_them_keeps_its_changes(shop: Web) -> None:
    """What each stores is in the one session: its keys, and the messages that it flashed."""
    browser = sign_in(shop)
    shop.clock.advance(32 * 24 * 3600)
    crowd = copies(shop, browser, 8)
    numbers = iter(range(8))

    def store() -> None:
        read()
        number = next(numbers)
        session[f"k{number}"] = number
        flash(str(number))

    at_once(shop, crowd, store)
    data = shop.data(crowd[0])
    assert [data.get(f"k{number}") for number in range(8)] == list(range(8))
    assert sorted(shop.see(get_flashed_messages, crowd[1])) == [str(number) for number in range(8)]


@pytest.mark.parametrize("on_max", ["evict-oldest", "refuse"])
def test_other_devices_stay_signed_in_under_a_limit(on_max: str) -> None:
    """A laptop whose session has expired reloads a page of eight requests: phone and tablet stay."""
    shop = shop_on(SESSION_MAX_PER_USER=3, SESSION_ON_MAX_PER_USER=on_max)
    laptop = sign_in(shop)
    shop.clock.advance(32 * 24 * 3600)
    others = [sign_in(shop, headers={"User-Agent": name}) for name in ("phone", "tablet")]
    crowd = copies(shop, laptop, 8)
    at_once(shop, crowd, read)
    assert [who(shop, each) for each in (*others, *crowd)] == ["ada"] * 10
    assert len(shop.sessions.of("ada")) == 3


def test_a_visitors_session_becomes_one_session(shop: Web) -> None:
    """With a live session of nobody, one request moves it to a new token; a late one under the old begins none."""
    browser = sign_in(shop)
    browser.delete_cookie("session")
    visitor = shop.app.test_client()
    shop.put(visitor, cart=[1])
    browser.set_cookie("session", shop.token(visitor) or "")
    crowd = copies(shop, browser, 8)
    at_once(shop, crowd[:7], read)
    assert not cookies_set(shop.do(read, crowd[7]))
    assert len(shop.sessions.of("ada")) == 2
    assert sum(shop.data(each).get("cart") == [1] for each in crowd) == 1


def test_a_later_request_whose_answers_were_lost_joins(shop: Web) -> None:
    """A request that is sent again within the grace period joins; after it, another session begins."""
    browser = sign_in(shop)
    shop.clock.advance(32 * 24 * 3600)
    first, second, third = copies(shop, browser, 3)
    shop.do(read, first)
    shop.clock.advance(29)
    shop.do(read, second)
    assert shop.token(first) == shop.token(second)
    shop.clock.advance(2)
    shop.do(read, third)
    assert shop.token(third) != shop.token(first)


# --- after an end of all ----------------------------------------------------------------------------------------------


def end_all(shop: Web) -> None:
    """End all sessions of ada."""
    shop.sessions.revoke_all("ada")


def end_everyones(shop: Web) -> None:
    """End all sessions of all users."""
    shop.sessions.revoke_everyone()


def end_others(shop: Web) -> None:
    """Change the password in a third browser."""
    browser = shop.app.test_client()
    shop.do(lambda: str(login_user(User("ada"))), browser)
    shop.do(lambda: str(session.revoke_others()), browser)


PLACES: dict[str, dict[str, Any]] = {
    "store": {},
    "sealed": {"SESSION_SEAL_KEYS": [new_key()]},
    "revocable": {"setting": "SESSION_REVOCATION_STORE", "SESSION_STORE": "cookie://"},
}


@pytest.mark.parametrize("later", [0, 3600, 300 * 24 * 3600])
@pytest.mark.parametrize("end", [end_all, end_others, end_everyones])
@pytest.mark.parametrize("settings", PLACES.values(), ids=PLACES)
def test_a_cookie_from_before_does_not_sign_in(
    settings: dict[str, Any], end: Callable[[Web], None], later: int
) -> None:
    """After an end of all of a user's sessions their remember-me cookies sign nobody in, and are deleted."""
    if settings.get("SESSION_STORE") == "cookie://" and end is end_everyones:
        pytest.skip("sessions in cookies cannot be walked over")
    shop = shop_on(**settings)
    browsers = [sign_in(shop), sign_in(shop)]
    shop.clock.advance(10)
    end(shop)
    shop.clock.advance(later)
    for browser in browsers:
        for _ in range(2):
            assert who(shop, browser) is None
        assert browser.get_cookie("remember_token") is None
        assert browser.get_cookie("remember_token_issued") is None


@pytest.mark.parametrize("settings", PLACES.values(), ids=PLACES)
def test_a_cookie_from_after_signs_in(settings: dict[str, Any]) -> None:
    """A login after the end of all is remembered as ever; so is another user's."""
    shop = shop_on(**settings)
    other = shop.app.test_client()
    shop.do(lambda: str(login_user(User("bob"), remember=True)), other)
    end_all(shop)
    shop.clock.advance(1)
    browser = sign_in(shop)
    for each, name in ((browser, "ada"), (other, "bob")):
        each.delete_cookie("session")
        assert who(shop, each) == name
        shop.clock.advance(200 * 24 * 3600)
        each.delete_cookie("session")
        assert who(shop, each) == name


@pytest.mark.parametrize("end", [end_all, end_everyones])
@pytest.mark.parametrize(
    "settings", [PLACES["sealed"], {**PLACES["revocable"], **PLACES["sealed"]}], ids=["store", "cookie"]
)
def test_an_end_outlives_the_key_that_vouched_for_it(settings: dict[str, Any], end: Callable[[Web], None]) -> None:
    """After the seal key of an end is removed, a remember-me cookie from before it signs nobody in."""
    if settings.get("SESSION_STORE") == "cookie://" and end is end_everyones:
        pytest.skip("sessions in cookies cannot be walked over")
    shop = shop_on(**settings)
    signed_in = sign_in(shop)
    shop.clock.advance(10)
    end(shop)
    renewed = shop_on(lambda _clock: shop.memory, **{**settings, "SESSION_SEAL_KEYS": [new_key()]})
    for web in (shop, renewed):
        web.clock.advance(40 * 24 * 3600)
    renewed.clock.advance(10)
    (before,) = copies(renewed, signed_in, 1, session_too=False)
    assert who(renewed, before) is None
    browser = sign_in(renewed)
    browser.delete_cookie("session")
    assert who(renewed, browser) == "ada"


@pytest.mark.parametrize("again", [False, True], ids=["signed in", "remembered"])
@pytest.mark.parametrize("settings", [{}, PLACES["sealed"]], ids=["plain", "sealed"])
def test_the_end_of_a_session_is_that_of_its_browsers_cookie(settings: dict[str, Any], *, again: bool) -> None:
    """After `revoke` the browser is not signed in by its cookie; the user's other browsers are."""
    shop = shop_on(**settings)
    browser, other = sign_in(shop), sign_in(shop)
    if again:
        browser.delete_cookie("session")
        assert who(shop, browser) == "ada"
    shop.clock.advance(1)
    handle = shop.see(lambda: session.handle, browser)
    assert shop.sessions.revoke(str(handle)) == "confirmed"
    other.delete_cookie("session")
    for _ in range(2):
        assert (who(shop, browser), who(shop, other)) == (None, "ada")
    assert browser.get_cookie("remember_token") is None
    shop.clock.advance(1)
    browser = sign_in(shop)
    browser.delete_cookie("session")
    assert who(shop, browser) == "ada"


@pytest.mark.parametrize("settings", PLACES.values(), ids=PLACES)
def test_the_browser_of_the_session_that_is_kept_stays_remembered(settings: dict[str, Any]) -> None:
    """After `revoke_others` its cookie signs it in, and no other browser's does."""
    shop = shop_on(**settings)
    browser, other = sign_in(shop), sign_in(shop)
    shop.clock.advance(1)
    shop.do(lambda: str(session.revoke_others()), browser)
    for each in (browser, other):
        each.delete_cookie("session")
    assert (who(shop, browser), who(shop, other)) == ("ada", None)
    end_all(shop)
    browser.delete_cookie("session")
    assert who(shop, browser) is None


def test_a_cookie_without_a_time_is_older_than_every_end(shop: Web) -> None:
    """Without the signed time, with another user's, or with one that was changed, it signs in only if nothing ended."""
    browser = sign_in(shop)
    bob = shop.app.test_client()
    shop.clock.advance(100)
    shop.do(lambda: str(login_user(User("bob"), remember=True)), bob)
    time = browser.get_cookie("remember_token_issued")
    theirs = bob.get_cookie("remember_token_issued")
    assert time is not None
    assert theirs is not None
    later = str(int(time.value.partition(".")[0]) + 10**9)
    forged = ["", "junk", theirs.value, f"{later}.{time.value.partition('.')[2]}", later, "\u0663.x"]
    for expected in ("ada", None):
        for value in forged:
            [thief] = copies(shop, browser, 1, session_too=False)
            thief.set_cookie("remember_token_issued", value)
            assert who(shop, thief) == expected, value
        end_all(shop)


def test_a_request_in_flight_gets_no_younger_cookie(shop: Web) -> None:
    """A login that began before the end of all, or a cookie that is set again meanwhile, counts as from before."""
    shop.app.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    browser = sign_in(shop)
    shop.clock.advance(1)

    def slow() -> None:
        read()
        shop.clock.advance(1)
        aside(lambda: end_all(shop))
        shop.clock.advance(1)

    shop.do(slow, browser)
    assert who(shop, browser) is None


def test_the_time_has_the_attributes_of_the_cookie(shop: Web) -> None:
    """It lives as long, and is sent as far."""
    shop.app.config.update(REMEMBER_COOKIE_NAME="stay", REMEMBER_COOKIE_PATH="/do", REMEMBER_COOKIE_SECURE=True)
    response = shop.do(lambda: str(login_user(User("ada"), remember=True)), base_url="https://localhost")
    [cookie], [time] = cookies_set(response, "stay"), cookies_set(response, "stay_issued")
    assert attributes(cookie) == attributes(time)


def test_the_check_costs_only_logins_by_the_cookie(shop: Web) -> None:
    """A signed-in user's request and a visitor's make no more store calls; one that the cookie signs in makes three."""
    browser = sign_in(shop)
    assert shop.calls(read, browser) == {"load": 1}
    browser.delete_cookie("session")
    assert shop.calls(read, browser) == {"load": 4, "create": 2}
    assert shop.calls(lambda: current_user.is_authenticated, shop.app.test_client()) == {}


def test_an_outage_signs_nobody_in_unchecked(shop: Web) -> None:
    """If the store fails at the check, the response is 503, and the cookie stays."""
    shop.app.config["PROPAGATE_EXCEPTIONS"] = False
    browser = sign_in(shop)
    browser.delete_cookie("session")
    with shop.failing.outage():
        assert shop.do(read, browser).status_code == 503
    assert who(shop, browser) == "ada"


# --- one browser, or two ----------------------------------------------------------------------------------------------


def test_two_browsers_of_a_user_are_two(shop: Web) -> None:
    """Their remember-me cookies are the same, but their addresses, their user agents or their old cookies differ."""
    browser, other = sign_in(shop), sign_in(shop)
    shop.clock.advance(32 * 24 * 3600)
    for each in (browser, other):
        shop.do(read, each)
    shop.do(read, copies(shop, browser, 1, session_too=False)[0], headers={"User-Agent": "another"})
    shop.do(read, copies(shop, browser, 1, session_too=False)[0], environ_base={"REMOTE_ADDR": "10.0.0.2"})
    assert len(shop.sessions.of("ada")) == 4


def handle(shop: Web) -> str:
    """Return the handle of ada's only session."""
    [info] = shop.sessions.of("ada")
    return info.handle


def test_what_ended_does_not_begin_again(shop: Web) -> None:
    """A request in flight at a logout, or when the session is revoked, stores nothing and gets no cookie."""
    for end in (lambda first: shop.do(logout_user, first), lambda _: shop.sessions.revoke(handle(shop))):
        browser = sign_in(shop)
        shop.clock.advance(32 * 24 * 3600)
        first, slow = copies(shop, browser, 2)

        def view(first: FlaskClient = first, end: Any = end) -> None:
            read()
            aside(lambda: (shop.do(read, first), end(first)))

        assert not cookies_set(shop.do(view, slow))
        assert shop.sessions.of("ada") == []

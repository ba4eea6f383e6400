"""``SESSION_TRANSPORT``: tokens in a header, beside those in cookies or instead of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask, abort
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from support.account import Account, cards
from support.api import ApiClient
from support.requests import Request
from support.web import STRANGER, Web, cookies_set, end, rotate, varies

from holdfast.clock import system_clock
from holdfast.contrib.operator_page import operator_page
from holdfast.errors import ConfigurationError
from holdfast.flask import Session, require_fresh, session
from holdfast.imports.place import OldPlace, OldSession
from holdfast.records.encryption import new_key
from holdfast.records.tokens import Keys
from holdfast.sessions.manager import Manager
from holdfast.stores.memory import MemoryStore

SEALED: list[dict[str, Any]] = [
    {},
    {"SESSION_SEAL": "mac", "SESSION_SEAL_KEYS": [new_key()]},
    {"SESSION_SEAL": "keys", "SESSION_SEAL_KEYS": [new_key()]},
    {"SESSION_SEAL": "cookie", "SESSION_SEAL_KEYS": [new_key()]},
    {"SESSION_USE_SIGNER": True},
]


@pytest.fixture(params=SEALED, ids=["plain", "mac", "keys", "cookie", "signed"])
def both(request: pytest.FixtureRequest) -> Web:
    """Return an application that takes tokens in headers and in cookies, sealed in each way by turns, or signed."""
    return Web(SESSION_TRANSPORT="both", **request.param)


@pytest.fixture
def plain() -> Web:
    """Return one that does not seal."""
    return Web(SESSION_TRANSPORT="both")


def test_a_login_gives_the_token_in_a_header(both: Web) -> None:
    """The response has the token in a header, no cookie, and forbids storing; with the token the user is signed in."""
    client = ApiClient(both)
    response = client.do(lambda: session.bind("ada"), Session_Transport="header")
    assert response.headers["Session-Token"] == client.token
    assert response.headers["Cache-Control"] == "no-store"
    assert cookies_set(response) == []
    assert client.is_in
    assert client.see(lambda: session.transport) == "header"
    assert both.calls(lambda: session.owner, both.app.test_client(), headers={"Authorization": "x"}) == {}
    client.do(lambda: session.update(cart=[1]))
    assert client.see(lambda: session["cart"]) == [1]


def test_a_token_of_one_place_is_nothing_in_the_other(both: Web) -> None:
    """The same value, moved from a cookie to the header or back, opens nothing, changes nothing and gets no token."""
    both.do(lambda: session.bind("ada"))
    client = ApiClient(both).sign_in()
    for stranger in ApiClient(both, both.token()), ApiClient(both, cookie=client.token):
        both.take_heard()
        assert not stranger.is_in
        assert stranger.response is not None
        assert "Session-Token" not in stranger.response.headers
        assert cookies_set(stranger.response) == []
        assert both.reasons() == ["bad_signature" if both.app.config["SESSION_USE_SIGNER"] else "unknown_id"]
    assert client.is_in
    assert both.see(lambda: session.owner) is not None


def test_a_moved_token_ends_nothing(plain: Web) -> None:
    """A logout with a token in the wrong place leaves its session alone."""
    plain.do(lambda: session.bind("ada"))
    client = ApiClient(plain).sign_in()
    ApiClient(plain, plain.token()).do(end)
    ApiClient(plain, cookie=client.token).do(end)
    assert client.is_in
    assert plain.see(lambda: session.owner) is not None


MALFORMED = [
    "Bearer", "Bearer ", "bearer  ", f"Bearer {STRANGER}=", f"Bearer {STRANGER[:-1]}",
    f"Bearer {STRANGER}, Bearer {STRANGER}", f"Bearer\xa0{STRANGER}", f"Bearer {STRANGER} {STRANGER}",
    "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer \x00", "Bearer ü", f"Bearer {'A' * 5000}", f'Bearer "{STRANGER}"',
]  # fmt: skip


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_header_is_no_session_and_writes_none(plain: Web, header: str) -> None:
    """It is answered as without a session, without a store call, whatever the view and the cookie do."""
    plain.put(cart=[1])
    cookie = plain.token()
    client = ApiClient(plain, cookie=cookie)
    plain.store.reset()
    plain.take_heard()
    response = client.do(lambda: session.update(cart=[*session.get("cart", []), 2]), Authorization=header)
    assert response.status_code == 200
    assert plain.store.counts == {}
    assert "Session-Token" not in response.headers
    assert cookies_set(response) == []
    assert plain.reasons() == ["too_long" if len(header) > 4096 else "malformed"]
    assert plain.data() == {"cart": [1]}


def test_nothing_that_a_view_does_with_a_malformed_header_fails(plain: Web) -> None:
    """Every method of the session works, ends and writes nothing, and its response is the view's."""
    client = ApiClient(plain)
    methods: list[tuple[str, tuple[Any, ...]]] = [
        ("destroy", ()), ("rotate", ()), ("clear", ()), ("apply", ("n", str, 0)), ("pop_once", ("n", None)),
        ("still_valid", ()), ("fresh_once", (60,)), ("__setattr__", ("label", "Phone")),
        ("__setattr__", ("permanent", True)),
    ]  # fmt: skip
    plain.store.reset()
    for name, arguments in methods:
        view = partial(lambda name, arguments: str(getattr(session, name)(*arguments)), name, arguments)
        response = client.do(view, Authorization="Bearer broken")
        assert response.status_code == 200
        assert "Session-Token" not in response.headers
    assert plain.store.counts == {}


def test_live_settings_hold_for_headers_too(plain: Web) -> None:
    """A shorter idle timeout, set while the application runs, ends sessions in headers as those in cookies."""
    client = ApiClient(plain).sign_in()
    plain.app.config["PERMANENT_SESSION_LIFETIME"] = 60
    plain.clock.advance(61)
    assert not client.is_in


def test_a_login_with_a_malformed_header_begins_a_session(plain: Web) -> None:
    """A client with a broken token gets on by signing in."""
    client = ApiClient(plain)
    client.do(lambda: session.bind("ada"), Authorization="Bearer broken")
    assert client.is_in


def test_without_a_token_the_client_says_where_it_wants_one(plain: Web) -> None:
    """With both places a new session is in a cookie, unless the request asks for a header, and ignores its cookie."""
    plain.do(lambda: session.bind("ada"))
    cookie = plain.token()
    client = ApiClient(plain, cookie=cookie)
    assert client.see(lambda: (session.owner, session.transport), Session_Transport="header") == (None, "header")
    assert client.see(lambda: session.transport) == "cookie"
    assert client.see(lambda: session.owner, Authorization="Basic YTpi") is not None
    response = ApiClient(plain).do(lambda: session.update(cart=[1]))
    assert cookies_set(response)
    assert "Session-Token" not in response.headers


def test_of_both_only_the_header_counts(plain: Web) -> None:
    """A request with a token in each place has the header's session; the cookie's is neither changed nor ended."""
    plain.do(lambda: session.bind("ada"))
    client = ApiClient(plain).sign_in("grace")
    client.cookie = plain.token()
    owner = plain.sessions.manager.keys.owner_of
    assert client.see(lambda: session.owner) == owner("grace")
    assert cookies_set(client.do(rotate)) == []
    response = client.do(end)
    assert cookies_set(response) == []
    assert response.headers["Session-Token"] == ""
    assert plain.see(lambda: session.owner) == owner("ada")
    client.token = STRANGER
    assert client.see(lambda: session.owner) is None


@pytest.mark.parametrize(("setting", "seen"), [("cookie", "ada"), ("header", "grace")])
def test_one_place_alone(setting: str, seen: str) -> None:
    """With "cookie" a header is ignored, and with "header" a cookie is, and no cookie is set."""
    web = Web(SESSION_TRANSPORT=setting)
    web.app.config["SESSION_TRANSPORT"] = setting
    response = web.do(lambda: session.update(user="ada"))
    assert bool(cookies_set(response)) is (setting == "cookie")
    assert ("Session-Token" in response.headers) is (setting == "header")
    client = ApiClient(web)
    client.do(lambda: session.update(user="grace"))
    client.cookie = web.token()
    assert client.see(lambda: session.get("user")) == seen


def test_a_rotation_gives_a_new_token(both: Web) -> None:
    """After a login or a rotation the old token is anonymous and is told no new one."""
    client = ApiClient(both)
    client.do(lambda: session.update(cart=[1]), Session_Transport="header")
    first = client.token
    client.do(lambda: session.bind("ada"))
    second = client.token
    assert client.do(rotate).headers["Cache-Control"] == "no-store"
    assert len({first, second, client.token}) == 3
    assert client.see(lambda: (session.owner is not None, session["cart"])) == (True, [1])
    for old in (first, second):
        late = ApiClient(both, old)
        assert not late.is_in
        assert late.token == old


def test_a_renewed_token_leads_on_until_the_new_one_was_used() -> None:
    """A renewal sends the new token; the old one works until then and for the grace period, and is dead afterwards."""
    web = Web(SESSION_TRANSPORT="header", SESSION_RENEWAL_INTERVAL=600)
    client = ApiClient(web).sign_in()
    old = client.token
    web.clock.advance(1300)
    client.do(lambda: session.get("cart"))
    new = client.token
    assert new != old
    slow = ApiClient(web, old)
    assert slow.is_in
    web.clock.advance(40)
    slow.token = old
    assert slow.is_in
    assert slow.token == new, "sent again"
    assert ApiClient(web, new).is_in
    web.clock.advance(40)
    assert not ApiClient(web, old).is_in
    assert ApiClient(web, new).is_in


def test_the_tokens_of_both_places_end_together(both: Web) -> None:
    """A user's list has the sessions of both places and says which is which; ending all or one ends those of either."""
    both.do(lambda: session.bind("ada"))
    client, other = ApiClient(both).sign_in(), ApiClient(both).sign_in()
    listed = client.see(lambda: both.sessions.of("ada"))
    assert sorted(each.transport for each in listed) == ["cookie", "header", "header"]
    assert [each.transport for each in listed if each.current] == ["header"]
    handle = other.see(lambda: session.handle)
    assert both.see(lambda: both.sessions.revoke(handle)) == "confirmed"
    assert not other.is_in
    assert client.do(lambda: str(session.revoke_others())).text == "1"
    assert client.is_in
    assert both.see(lambda: session.owner) is None
    assert both.see(lambda: both.sessions.revoke_all("ada")) == 1
    assert not client.is_in


def test_the_pages_show_where_the_token_is() -> None:
    """The devices page says of a header's session that a program uses it, the operator's page that it has no cookie."""
    account = Account(SESSION_TRANSPORT="both")
    account.app.register_blueprint(operator_page(account.sessions, authorize=lambda: True))
    browser, client = account.sign_in(), ApiClient(account).sign_in()
    assert client.is_in
    assert [card.get("Used by") for card in cards(account.page(browser))] == [None, "an app or a program"]
    assert "none: token in a header" in browser.get("/operator/", follow_redirects=True).text


def test_a_logout_by_a_header_clears_no_cookies() -> None:
    """``Clear-Site-Data`` keeps the cookies, which may be another session's."""
    web = Web(SESSION_TRANSPORT="both", SESSION_CLEAR_SITE_DATA=True)
    assert ApiClient(web).sign_in().do(end).headers["Clear-Site-Data"] == '"storage"'


def test_a_401_says_what_it_lacks(plain: Web) -> None:
    """Without a token, with a dead one, and with a login that is too old, the challenge differs; a cookie gets none."""
    client = ApiClient(plain)
    view = require_fresh(60)(lambda: "done")
    response = client.do(view, Session_Transport="header")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    client.token = STRANGER
    assert client.do(view).headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    client.sign_in()
    assert client.do(view).status_code == 200
    plain.clock.advance(120)
    assert client.do(view).headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication"'
    assert "WWW-Authenticate" not in plain.do(view).headers
    own = client.do(lambda: (session.get("x"), abort(401, www_authenticate=None)))
    assert own.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_outage_is_no_logout(plain: Web) -> None:
    """While the store is down a token is answered 503 and stays the client's; afterwards it is valid."""
    plain.app.config["PROPAGATE_EXCEPTIONS"] = False
    client = ApiClient(plain).sign_in()
    with plain.failing.outage():
        response = client.do(lambda: str(session.owner))
    assert response.status_code == 503
    assert "Session-Token" not in response.headers
    assert client.is_in


def test_a_login_that_an_outage_interrupts_gives_the_token_with_the_503(plain: Web) -> None:
    """If the store fails after the old token was replaced, the client gets the new one, which works afterwards."""
    plain.app.config["PROPAGATE_EXCEPTIONS"] = False
    client = ApiClient(plain).sign_in()
    old = client.token

    def sign_in_again() -> None:
        session.bind("ada")
        plain.failing.fail("load", times=float("inf"))

    response = client.do(sign_in_again)
    assert response.status_code == 503
    assert response.headers["Cache-Control"] == "no-store"
    plain.failing.heal()
    assert client.token != old
    assert client.is_in
    assert not ApiClient(plain, old).is_in


@pytest.mark.parametrize(
    ("config", "request_of_the_thief"),
    [
        ({"SESSION_REQUIRE_HTTPS": True}, {"base_url": "http://localhost"}),
        ({"SESSION_ON_DEVICE_CHANGE": "end"}, {"headers": {"User-Agent": "curl/8"}}),
    ],
    ids=["plain http", "another device"],
)
def test_a_token_on_a_wrong_path_ends(config: dict[str, Any], request_of_the_thief: dict[str, Any]) -> None:
    """The settings that end a session whose cookie was exposed end one whose header was."""
    web = Web(SESSION_TRANSPORT="header", **config)
    browser = web.app.test_client()
    safe = {"base_url": "https://localhost", "headers": {"User-Agent": "app/1"}}
    token = web.do(lambda: session.bind("ada"), browser, **safe).headers["Session-Token"]

    def owner(**request: Any) -> str:
        given = {**safe, **request}
        given["headers"] = {**given["headers"], "Authorization": f"Bearer {token}"}
        return web.do(lambda: str(session.owner), browser, **given).text

    assert owner() != "None"
    assert owner(**request_of_the_thief) == "None"
    assert owner() == "None"


@pytest.mark.parametrize(
    ("setting", "names"),
    [("both", ["cookie", "authorization", "session-transport"]), ("header", ["authorization"]), ("cookie", ["cookie"])],
)
def test_responses_vary_by_what_was_read(setting: str, names: list[str]) -> None:
    """A response that used the session names the headers that it can depend on; an untouched one names none."""
    web = Web(SESSION_TRANSPORT=setting)
    assert varies(web.do(lambda: session.get("x")).headers) == names
    assert varies(web.do(lambda: None).headers) == []


def test_a_header_costs_a_lookup_and_an_unused_one_nothing(plain: Web) -> None:
    """A view that reads the session costs one load, and one that does not costs none and leaves the response alone."""
    client = ApiClient(plain).sign_in()
    plain.store.reset()
    assert "Session-Token" not in client.do(lambda: None).headers
    assert plain.store.counts == {}
    client.do(lambda: session.get("x"))
    assert plain.store.counts == {"load": 1}
    ApiClient(plain).do(lambda: session.get("x"), Session_Transport="header")
    assert plain.store.counts == {"load": 1}


def test_a_value_is_asked_for_in_either_place(plain: Web) -> None:
    """`still_valid` takes the value of a cookie and of a header."""
    plain.do(lambda: session.bind("ada"))
    client = ApiClient(plain).sign_in()
    with plain.app.app_context():
        assert plain.sessions.still_valid(plain.token() or "")
        assert plain.sessions.still_valid(client.token or "")
        assert not plain.sessions.still_valid(STRANGER)
        plain.sessions.revoke_all("ada")
        assert not plain.sessions.still_valid(client.token or "")


class Before(OldPlace):
    """A place that has a session for every id."""

    def has_form(self, old_id: str, /) -> bool:
        return True

    def load(self, old_id: str, /) -> OldSession:
        return OldSession({"user": "ada"}, 2**50)

    def ids(self) -> list[str]:
        return []


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user by a name."""

    def __init__(self, name: str) -> None:
        self.id = name


def test_a_remember_me_cookie_gives_no_token(plain: Web) -> None:
    """Where the token is in a header, the cookie signs nobody in, is kept, and none is set."""
    LoginManager(plain.app).user_loader(User)

    def sign_in() -> None:
        login_user(User("ada"), remember=True)

    def who() -> str:
        return str(current_user.get_id())

    plain.do(sign_in)
    remembered = plain.browser.get_cookie("remember_token")
    assert remembered is not None
    plain.browser.delete_cookie("session")
    response = plain.do(who, headers={"Session-Transport": "header"})
    assert response.text == "None"
    assert response.headers.getlist("Set-Cookie") == []
    assert "Session-Token" not in response.headers, "nothing was stored for a client that only reads"
    assert plain.do(who).text == "ada"
    tokens = set()
    for _ in range(2):

        def renew() -> None:
            login_user(User("ada"), fresh=False)

        tokens.add(plain.do(renew, headers={"Session-Transport": "header"}).headers["Session-Token"])
    assert len({ApiClient(plain, token).see(lambda: session.sid) for token in tokens}) == 2
    response = plain.do(sign_in, headers={"Session-Transport": "header"})
    assert response.headers["Session-Token"]
    assert response.headers.getlist("Set-Cookie") == []
    response = plain.do(logout_user, headers={"Authorization": f"Bearer {response.headers['Session-Token']}"})
    assert response.headers["Session-Token"] == "", "the session is over, and none begins in its place"
    assert response.headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize("setting", ["header", "both"])
@pytest.mark.parametrize("place", [{"SESSION_STORE": "cookie://"}, {"SESSION_TYPE": "null"}])
def test_sessions_in_the_cookie_need_the_cookie(place: dict[str, str], setting: str) -> None:
    """Where sessions live in the browser, another place for the token is an error at start-up that names both."""
    app = Flask("shop")
    app.config.update(SECRET_KEY=STRANGER, SESSION_TRANSPORT=setting, **place)
    with pytest.raises(ConfigurationError, match=f"SESSION_TRANSPORT is '{setting}'.*tokens in headers need"):
        Session(app)


def test_an_id_from_flask_session_is_taken_over_from_a_cookie_alone() -> None:
    """Sessions from before are not taken over by a header, whatever the form of their ids."""
    manager = Manager(MemoryStore(), old_place=Before(None, system_clock))
    old_id = "B" * 42 + "A"
    assert Request(manager.for_headers(Keys(carrier=b"bearer")), old_id).get("user") is None
    assert Request(manager, old_id)["user"] == "ada"

"""The session cookie: every setting of Flask's, at every request."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from flask import Response
from support import seams
from support.web import Web, attributes, cookies_set, end

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.flask.settings.cookie_rules import KNOWS_PARTITIONED

DAY = 24 * 3600


def one_cookie(web: Web, change: Any, name: str = "session") -> dict[str, str | None]:
    """Return the attributes of the one cookie that a request sets whose view is *change*."""
    [header] = cookies_set(web.do(change, base_url="https://shop.example/"), name)
    return attributes(header)


def set_and_deleted(web: Web, name: str = "session") -> list[dict[str, str | None]]:
    """Return the attributes of the cookie that begins a session and of the one that ends it."""
    begun = one_cookie(web, lambda: session.update(a=1), name)
    value = web.browser.get_cookie(name, domain="shop.example") or web.browser.get_cookie(
        name, domain="shop.example", path=begun["path"] or "/"
    )
    header = f"{name}={value.value}" if value else ""
    [deletion] = cookies_set(web.do(end, web.app.test_client(use_cookies=False), headers={"Cookie": header}), name)
    deleted = attributes(deletion)
    assert deleted.pop("max-age") == "0"
    assert deleted.pop("expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    return [begun, deleted]


def test_the_default_cookie(web: Web) -> None:
    """By default it holds a token of 43 characters, ends with the browser, and scripts cannot read it."""
    assert one_cookie(web, lambda: session.update(a=1)) == {"path": "/", "httponly": None}
    cookie = web.browser.get_cookie("session", domain="shop.example")
    assert cookie is not None
    assert len(cookie.value) == 43


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"SESSION_COOKIE_DOMAIN": "shop.example"}, {"domain": "shop.example"}, id="domain"),
        pytest.param({"SESSION_COOKIE_PATH": "/do"}, {"path": "/do"}, id="path"),
        pytest.param({"APPLICATION_ROOT": "/do"}, {"path": "/do"}, id="application root"),
        pytest.param({"APPLICATION_ROOT": "/x", "SESSION_COOKIE_PATH": "/do"}, {"path": "/do"}, id="path before root"),
        pytest.param({"SESSION_COOKIE_HTTPONLY": False}, {}, id="readable by scripts"),
        pytest.param({"SESSION_COOKIE_SECURE": True}, {"secure": None}, id="secure"),
        pytest.param({"SESSION_COOKIE_SAMESITE": "Lax"}, {"samesite": "Lax"}, id="lax"),
        pytest.param({"SESSION_COOKIE_SAMESITE": "Strict"}, {"samesite": "Strict"}, id="strict"),
        pytest.param({"SERVER_NAME": "shop.example"}, {}, id="server name"),
        pytest.param(
            {"SESSION_COOKIE_PARTITIONED": True, "SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "None"},
            {"partitioned": None, "secure": None, "samesite": "None"},
            id="partitioned",
            marks=pytest.mark.skipif(not KNOWS_PARTITIONED, reason="this Werkzeug knows no Partitioned"),
        ),
    ],
)
def test_a_setting_is_honoured_on_set_and_delete(
    web: Web, settings: dict[str, Any], expected: dict[str, str | None]
) -> None:
    """A setting changed after the extension was made shows in the next cookie, and the deletion has it too."""
    web.app.config.update(settings)
    readable = web.app.config["SESSION_COOKIE_HTTPONLY"] is False
    wanted = {"path": "/", **({} if readable else {"httponly": None}), **expected}
    assert set_and_deleted(web) == [wanted, wanted]


def test_the_name_can_change(web: Web) -> None:
    """The cookie's name is read at each request; a cookie of the old name is then ignored."""
    web.put(a=1)
    web.app.config["SESSION_COOKIE_NAME"] = "basket"
    assert web.data() == {}
    assert cookies_set(web.put(a=2), "basket")
    assert web.data() == {"a": 2}


def test_a_host_cookie_can_be_deleted(web: Web) -> None:
    """The deletion of a ``__Host-`` cookie is secure, has the root path and no domain, or browsers would refuse it."""
    web.app.config.update(SESSION_COOKIE_NAME="__Host-shop", SESSION_COOKIE_SECURE=True)
    wanted = {"path": "/", "httponly": None, "secure": None}
    assert set_and_deleted(web, "__Host-shop") == [wanted, wanted]


def test_partitioned_needs_a_werkzeug_that_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Werkzeug cannot partition a cookie, asking for it is an error at start-up that says so."""
    seams.KNOWS_PARTITIONED.plant(monkeypatch, False)
    with pytest.raises(ConfigurationError, match="SESSION_COOKIE_PARTITIONED is True: it needs Werkzeug"):
        Web(SESSION_COOKIE_PARTITIONED=True, SESSION_COOKIE_SECURE=True)


# --- how long it lives -----------------------------------------------------------------------------------------------


def permanently(**values: Any) -> None:
    """Set *values* in a permanent session."""
    session.permanent = True
    session.update(values)


def lifetime(cookie: dict[str, str | None]) -> int:
    """Return the cookie's life in seconds, on which Max-Age and Expires agree."""
    assert cookie["max-age"] is not None
    assert cookie["expires"] is not None
    seconds = int(cookie["max-age"])
    left = parsedate_to_datetime(cookie["expires"]) - datetime.now(timezone.utc)
    assert abs(left - timedelta(seconds=seconds)) < timedelta(seconds=3)
    return seconds


@pytest.mark.parametrize("value", [7200, timedelta(hours=2)])
def test_a_permanent_cookie_lives_as_long_as_the_session(web: Web, value: Any) -> None:
    """Its life is ``PERMANENT_SESSION_LIFETIME``, read at each request, as seconds or as a timedelta."""
    assert lifetime(one_cookie(web, lambda: permanently(a=0))) == 31 * DAY
    web.clock.advance(15 * 60)
    web.app.config["PERMANENT_SESSION_LIFETIME"] = value
    assert lifetime(one_cookie(web, lambda: permanently(a=1))) == 7200


def test_a_cookie_never_outlives_the_absolute_timeout(web: Web) -> None:
    """The time until the absolute timeout limits the cookie's life."""
    web.app.config.update(SESSION_ABSOLUTE_LIFETIME=40 * DAY, PERMANENT_SESSION_LIFETIME=31 * DAY)
    for days, life in ((0, 31), (30, 10)):
        web.clock.advance(days * DAY)
        [header] = cookies_set(web.do(lambda: permanently(a=web.clock())))
        assert lifetime(attributes(header)) == life * DAY
    web.clock.advance(10 * DAY - 1)
    assert not cookies_set(web.do(lambda: permanently(a=3)))  # the last one ends with the session
    web.clock.advance(1)
    assert web.data() == {}


def test_a_cookie_never_outlives_400_days(web: Web) -> None:
    """Browsers keep no cookie for longer than 400 days, so none is asked to."""
    web.app.config.update(SESSION_ABSOLUTE_LIFETIME=timedelta.max, PERMANENT_SESSION_LIFETIME=timedelta.max)
    assert lifetime(one_cookie(web, lambda: permanently(a=1))) == 400 * DAY


def test_new_sessions_can_start_permanent(web: Web) -> None:
    """With ``SESSION_PERMANENT`` a session is permanent unless it says otherwise."""
    web.app.config["SESSION_PERMANENT"] = True
    assert web.see(lambda: session.permanent) is True
    assert "max-age" in one_cookie(web, lambda: session.update(a=1))
    assert web.see(lambda: session.permanent) is True


def test_a_read_refreshes_a_permanent_cookie(web: Web) -> None:
    """A permanent session's cookie is sent again by a page load a quarter of an hour after it was last sent."""
    web.do(lambda: permanently(a=1))
    for _ in range(2):
        web.clock.advance(15 * 60 - 1)
        assert not cookies_set(web.do(lambda: session["a"]))
        assert not cookies_set(web.do(lambda: permanently(a=1)))
        web.clock.advance(1)
        assert not cookies_set(web.do(lambda: None))
        [header] = cookies_set(web.do(lambda: session["a"]))
        assert lifetime(attributes(header)) == 31 * DAY


@pytest.mark.parametrize(
    ("headers", "loads_a_page"),
    [
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "*/*"}, True),
        ({"Accept": "text/html,application/xhtml+xml"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch"}, False),
        ({"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}, False),
        ({"Accept": "application/json"}, False),
    ],
)
def test_other_requests_send_the_cookie_when_half_of_its_life_is_over(
    web: Web, headers: dict[str, str], loads_a_page: bool
) -> None:
    """A login may overtake a request that loads no page, and its answer must not put the old cookie back."""
    web.do(lambda: permanently(a=1))
    web.clock.advance(DAY)
    assert bool(cookies_set(web.do(lambda: session["a"], headers=headers))) is loads_a_page
    web.clock.advance(15 * DAY)
    assert cookies_set(web.do(lambda: session["a"], headers=headers))


@pytest.mark.parametrize("by_default", [True, False])
def test_refreshing_can_be_turned_off(web: Web, by_default: bool) -> None:
    """Without ``SESSION_REFRESH_EACH_REQUEST`` only a change sends a permanent session's cookie."""
    web.app.config.update(SESSION_REFRESH_EACH_REQUEST=False, SESSION_PERMANENT=by_default)
    web.do((lambda: session.update(a=1)) if by_default else (lambda: permanently(a=1)))
    web.clock.advance(15 * 60)
    assert not cookies_set(web.do(lambda: session["a"]))
    assert cookies_set(web.do(lambda: session.update(a=2)))


def test_a_session_cookie_is_sent_once(web: Web) -> None:
    """A session that ends with the browser gets its cookie when it begins, and not again at a read or a write."""
    assert cookies_set(web.put(a=1))
    assert not cookies_set(web.do(lambda: session["a"]))
    assert not cookies_set(web.put(a=2))


def test_marking_a_session_as_modified_sends_no_cookie(web: Web) -> None:
    """A key set to the value it has, or `session.modified` set to True, is no change: the browser has the cookie."""

    def mark() -> None:
        session.modified = bool(session)

    web.put(a=1)
    for change in (lambda: session.update(a=1), mark):
        assert not cookies_set(web.do(change))


def test_becoming_permanent_sends_the_cookie(web: Web) -> None:
    """Turning `session.permanent` on, or off again, sends the cookie."""
    web.put(a=1)
    [header] = cookies_set(web.do(permanently))
    assert "max-age" in attributes(header)
    [header] = cookies_set(web.do(lambda: setattr(session, "permanent", False)))
    assert "max-age" not in attributes(header)


# --- how many --------------------------------------------------------------------------------------------------------


def test_one_cookie_per_response(web: Web) -> None:
    """With any operations of one request on the session, its response sets our cookie once."""

    def everything() -> None:
        session["a"] = 1
        session.rotate()
        session.clear()
        session["b"] = 2
        session.bind("ada")
        session.permanent = True

    web.put(a=0)
    assert len(cookies_set(web.do(everything))) == 1
    assert web.see(lambda: session["b"]) == 2


def test_other_cookies_are_left_alone(web: Web) -> None:
    """The application's own cookies are sent beside ours."""

    def view() -> Response:
        session["a"] = 1
        response = Response("done")
        response.set_cookie("theme", "dark")
        return response

    response = web.do(view)
    assert cookies_set(response, "theme")
    assert cookies_set(response)


def test_an_unknown_cookie_is_not_deleted(web: Web) -> None:
    """Only the request that ends a session sends a deletion: any other could undo a login that came between."""
    web.browser.set_cookie("session", "A" * 43)
    assert not cookies_set(web.do(lambda: session.get("a")))
    assert not cookies_set(web.do(end))


def test_an_expired_cookie_is_not_deleted(web: Web) -> None:
    """A session that has timed out is simply not there."""
    web.put(a=1)
    web.clock.advance(31 * DAY)
    response = web.do(lambda: session.get("a"))
    assert not cookies_set(response)
    assert web.data() == {}


class _Embedded(Response):
    """A response whose cookies are for a page in another site's frame."""

    def set_cookie(self, *arguments: Any, **named: Any) -> None:
        super().set_cookie(*arguments, **{**named, "samesite": "None", "secure": True})


class _Cleaning(Response):
    """A response that names each cookie it deletes."""

    def delete_cookie(self, key: str, *arguments: Any, **named: Any) -> None:
        super().delete_cookie(key, *arguments, **named)
        self.headers.add("X-Deleted", key)


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_the_application_s_own_responses_set_and_delete_it(permanent: bool, signed: bool) -> None:
    """A class of responses with its own `set_cookie` sets the cookie, with the usual attributes, and deletes it."""
    config: dict[str, Any] = {
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_PERMANENT": permanent,
        "SESSION_USE_SIGNER": signed,
    }
    plain, own = Web(**config), Web(**config)
    own.app.response_class = _Embedded
    for before, after in zip(set_and_deleted(plain), set_and_deleted(own), strict=True):
        before.pop("expires", None)
        after.pop("expires", None)
        assert after == {**before, "samesite": "None", "secure": None}
    assert own.data() == {}


def test_the_application_s_own_responses_delete_old_names() -> None:
    """Each name of the cookie is deleted by `delete_cookie`, if the class of responses has its own."""
    web = Web(SESSION_COOKIE_OLD_NAMES=["before"])
    web.app.response_class = _Cleaning
    web.put(a=1)
    web.browser.set_cookie("before", "A" * 43)
    assert web.do(end).headers.getlist("X-Deleted") == ["session", "before"]

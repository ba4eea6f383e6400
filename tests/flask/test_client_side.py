"""Sessions that live in the cookie, encrypted: `cookie://`."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from support.web import Web, cookies_set, end, rotate

from holdfast.errors import ConfigurationError, RecordTooLarge
from holdfast.flask import session
from holdfast.records.encryption import new_key

KEY = new_key()


def alone(**config: Any) -> Web:
    """Return an application without any store."""
    return Web(
        setting="A_STORE_THAT_IS_NOT_USED", **{"SESSION_STORE": "cookie://", "SESSION_SEAL_KEYS": [KEY], **config}
    )


def revoking(**config: Any) -> Web:
    """Return an application with a store for revocations."""
    return Web(setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://", SESSION_SEAL_KEYS=[KEY], **config)


def login(web: Web, name: str, browser: Any = None) -> None:
    """Sign a user in."""
    web.do(lambda: session.bind(name), browser)


@pytest.mark.parametrize("make", [alone, revoking])
def test_a_session_lives_in_the_cookie(make: Any) -> None:
    """Values of every kind, nested changes, a login with a new id, and a logout work as with a store."""
    web = make()
    web.put(cart=["a"], tags={"x"}, price=(1, 2))
    web.do(lambda: session["cart"].append("b"))
    assert web.data() == {"cart": ["a", "b"], "tags": {"x"}, "price": (1, 2)}
    before = web.see(lambda: session.handle)
    login(web, "ada")
    assert web.see(lambda: session.handle) not in {None, before}
    assert web.data()["cart"] == ["a", "b"]
    login(web, "bob")
    assert web.data() == {}
    response = web.do(end)
    assert "Max-Age=0" in cookies_set(response)[0]
    assert web.names().count("rotated") == 2


def test_the_cookie_tells_nothing() -> None:
    """No value, no user and no time can be read from it, and the same session never looks the same twice."""
    web = alone()
    web.put(a="canary" * 20)
    first = web.token()
    web.do(lambda: session.update(b=1))
    second = web.token()
    assert first is not None
    assert second is not None
    raw, other = (base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)) for value in (first, second))
    assert b"canary" not in raw
    assert not {raw[at : at + 8] for at in range(9, len(raw) - 8)} & {other[at : at + 8] for at in range(9, len(raw))}


def test_an_untouched_request_costs_nothing_and_a_read_sends_no_cookie() -> None:
    """Only a change makes a new cookie, and the revocations are looked up by the requests that use the session."""
    web = revoking()
    login(web, "ada")
    assert web.calls(lambda: "done") == {}
    assert web.calls(lambda: session.get("a")) == {"load": 2}
    assert cookies_set(web.do(lambda: session.get("a"))) == []
    assert web.calls(lambda: session.update(a=1)) == {"load": 4}
    stranger = web.app.test_client()
    assert web.calls(lambda: session.get("a"), stranger) == {}
    assert web.records() == 0


def test_a_session_too_large_for_a_cookie_is_refused_before_it_is_sent() -> None:
    """It raises `RecordTooLarge` up to the very byte, and the cookie that the browser has stays."""
    web = alone()
    web.put(a=1)
    seen = []

    def grow() -> None:
        for size in range(2600, 2900):
            response = web.put(web.twin(), a="x" * size)
            name, _, value = cookies_set(response)[0].partition(";")[0].partition("=")
            seen.append(len(name) + len(value))

    with pytest.raises(RecordTooLarge) as caught:
        grow()
    assert seen[-1] <= caught.value.limit < caught.value.size <= seen[-1] + 2
    assert str(caught.value).endswith("store less in the session")  # browsers' limit cannot be raised
    assert web.data() == {"a": 1}


def mangled(value: str) -> list[str]:
    """Return what is nearly *value*: every character changed, cut, doubled, and other spellings of it."""
    raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    found = [value[:at] for at in range(1, len(value), 7)]
    found += [value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :] for at in range(len(value))]
    found += [value + "=", value + "==", value + "A", value.swapcase(), value.replace("-", "+").replace("_", "/") + "+"]
    for byte in range(256):
        if byte != raw[0]:
            found.append(base64.urlsafe_b64encode(bytes([byte]) + raw[1:]).rstrip(b"=").decode())
    return found


def test_what_is_nearly_a_cookie_is_none() -> None:
    """Every change of the value is refused, without an error and without a cookie."""
    web = alone()
    web.put(a=1)
    value = web.token()
    assert value is not None
    web.take_heard()
    for other in mangled(value):
        response = web.send(f"session={other}", lambda: str(dict(session)))
        assert response.text == "{}", other
        assert cookies_set(response) == []
    assert set(web.reasons()) == {"malformed", "bad_signature", "unknown_key"}


@pytest.mark.parametrize(
    "config", [{"SESSION_KEY_PREFIX": "other:"}, {"SESSION_COOKIE_NAME": "other"}, {"SESSION_SEAL_KEYS": [new_key()]}]
)
def test_another_application_s_cookie_is_worth_nothing(config: dict[str, Any]) -> None:
    """Namespace, name of the cookie and key are each part of what it is sealed to."""
    web, other = alone(), alone(**config)
    web.put(a=1)
    name = other.app.config["SESSION_COOKIE_NAME"]
    assert other.send(f"{name}={web.token()}", lambda: str(dict(session))).text == "{}"


def test_flask_s_own_cookie_is_worth_nothing() -> None:
    """A session that Flask signed with the same SECRET_KEY is not read: there is no second decoder."""
    web = alone(SESSION_SEAL_KEYS=None)
    flasks = Flask("shop")
    flasks.secret_key = web.app.secret_key
    serializer = SecureCookieSessionInterface().get_signing_serializer(flasks)
    assert serializer is not None
    assert web.send(f"session={serializer.dumps({'a': 1})}", lambda: str(dict(session))).text == "{}"


def test_keys_rotate_and_old_cookies_are_sent_anew() -> None:
    """A cookie of an older key opens, and is at once replaced by one of the newest; a retired key's is refused."""
    old, new = new_key(), new_key()
    first, both, retired = (alone(SESSION_SEAL_KEYS=keys) for keys in ([old], [new, old], new))
    first.put(a=1)
    browser = both.with_token(first.token())
    assert len(cookies_set(both.do(lambda: session.get("a"), browser))) == 1
    assert retired.data(retired.with_token(both.token(browser))) == {"a": 1}
    assert retired.data(retired.with_token(first.token())) == {}
    assert retired.reasons() == ["unknown_key"]


def test_secret_key_does_where_there_are_no_seal_keys() -> None:
    """Keys are made from SECRET_KEY and its fallbacks; a weak one is refused, and so is none."""
    older, newer = new_key(), new_key()
    first = alone(SESSION_SEAL_KEYS=None, SECRET_KEY=older)
    first.put(a=1)
    second = alone(SESSION_SEAL_KEYS=None, SECRET_KEY=newer, SECRET_KEY_FALLBACKS=[older])
    assert second.data(second.with_token(first.token())) == {"a": 1}
    for key in ("dev", None):
        with pytest.raises(ConfigurationError, match="SECRET_KEY"):
            alone(SESSION_SEAL_KEYS=None, SECRET_KEY=key)


def test_timeouts_are_in_the_cookie_s_sealed_part() -> None:
    """A cookie that the browser keeps too long is invalid: idle and absolute timeout hold to the millisecond."""
    web = alone(PERMANENT_SESSION_LIFETIME=60, SESSION_ABSOLUTE_LIFETIME=100)
    web.put(a=1)
    first = web.with_token(web.token())
    web.clock.advance(59.999)
    assert web.data(first) == {"a": 1}
    web.clock.advance(0.001)
    assert web.data(web.twin()) == {}
    assert web.data(first) == {"a": 1}
    web.clock.advance(39.999)
    assert web.data(first) == {"a": 1}
    web.clock.advance(0.001)
    assert web.data(first) == {}
    assert web.reasons() == ["expired_idle", "expired_absolute"]


def test_alone_it_says_that_it_cannot_revoke(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so at the start, and revoking and listing raise an error that names the setting."""
    with caplog.at_level(logging.WARNING):
        web = alone()
    assert "SESSION_REVOCATION_STORE" in caplog.text
    with web.app.app_context():
        for name in ("revoke_all", "revoke"):
            with pytest.raises(ConfigurationError, match="SESSION_REVOCATION_STORE"):
                getattr(web.sessions, name)("a" * 64)
        for name in ("of", "get", "scan"):
            with pytest.raises(ConfigurationError, match="cannot be listed"):
                getattr(web.sessions, name)("a" * 64)


@pytest.mark.parametrize("leave", [end, rotate, lambda: session.bind("bob")])
def test_a_copied_cookie_dies_with_its_session(leave: Any) -> None:
    """With a store for revocations, logout, rotation and another login end every copy, and a late save of one."""
    web = revoking()
    login(web, "ada")
    copy = web.twin()

    def late() -> None:
        session["a"] = 1
        web.do(leave)

    assert cookies_set(web.do(late, copy)) == []
    web.clock.advance(31)
    web.take_heard()
    assert web.data(copy) == {}
    assert web.reasons() == ["unknown_id"]


def test_a_late_request_with_a_rotated_id_leaves_the_new_cookie_alone() -> None:
    """For the grace period it is anonymous and read-only."""
    web = revoking()
    login(web, "ada")
    copy = web.twin()
    web.do(rotate)
    web.take_heard()
    assert cookies_set(web.put(copy, a=1)) == []
    assert web.reasons() == ["superseded"]


def test_ending_all_of_a_user_s_sessions_holds_against_copies() -> None:
    """All that began before end, but the one to keep, which goes on through its next save; new logins stand."""
    web = revoking()
    mine, other, stranger, late = (web.app.test_client() for _ in range(4))
    for browser in (mine, other):
        login(web, "ada", browser)
    login(web, "bob", stranger)
    web.clock.advance(1)
    copies = [web.with_token(web.token(browser)) for browser in (mine, other)]
    keep = web.see(lambda: session.handle, mine)
    with web.app.app_context():
        web.sessions.revoke_all("ada", keep=keep)
    assert web.see(lambda: session.owner, other) is None
    assert web.see(lambda: session.owner, mine) is not None
    web.clock.advance(1)
    web.do(rotate, mine)
    assert web.see(lambda: session.owner, mine) is not None
    assert [web.see(lambda: session.owner, copy) for copy in copies] == [None, None]
    assert web.see(lambda: session.owner, stranger) is not None
    login(web, "ada", late)
    assert web.see(lambda: session.owner, late) is not None


def test_a_login_that_ends_all_others_stands() -> None:
    """Revoking and signing in within one request, in either order, leaves the request's own login."""
    web = revoking()
    for before in (True, False):
        browser = web.app.test_client()
        web.clock.advance_ms(1)

        def change(before: bool = before) -> None:
            if before:
                session.bind("ada")
            web.sessions.revoke_all("ada")
            if not before:
                session.bind("ada")

        web.do(change, browser)
        assert web.see(lambda: session.owner, browser) is not None


def test_labels_checks_and_a_new_password() -> None:
    """A label is kept, a handler that lasts can ask again, and one call ends the user's other sessions."""
    web = revoking()
    mine, other = (web.app.test_client() for _ in range(2))
    for browser in (mine, other):
        login(web, "ada", browser)
    web.do(lambda: setattr(session, "label", "Work laptop"), mine)
    assert web.see(lambda: session.label, mine) == "Work laptop"
    assert web.see(lambda: web.sessions.still_valid(session), other)
    value = web.token(other)
    web.clock.advance(1)
    assert web.see(lambda: session.revoke_others() == 0, mine)
    with web.app.app_context():
        assert not web.sessions.still_valid(value or "")
        assert web.sessions.still_valid(web.token(mine) or "")
    assert web.see(lambda: session.owner, other) is None
    assert web.see(lambda: session.owner, mine) is not None


def test_one_session_is_revoked_by_its_handle() -> None:
    """It is over at once; a second call finds none, and an invalid handle ends none."""
    web = revoking()
    login(web, "ada")
    handle = web.see(lambda: session.handle)
    with web.app.app_context():
        assert web.sessions.revoke(handle) == "confirmed"
        assert web.sessions.revoke(handle) == "absent"
        assert web.sessions.revoke("nobody's") == "absent"
    assert web.see(lambda: session.owner) is None


def test_an_outage_of_the_revocations_is_not_a_free_pass() -> None:
    """A request that uses its session is answered 503, and the cookie stays as it is."""
    web = revoking(PROPAGATE_EXCEPTIONS=False)
    login(web, "ada")
    web.failing.fail("load")
    response = web.do(lambda: str(session.owner))
    assert response.status_code == 503
    assert cookies_set(response) == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"SESSION_SEAL": "keys"}, "SESSION_SEAL"),
        ({"SESSION_USE_SIGNER": True}, "SESSION_USE_SIGNER"),
        ({"SESSION_TYPE": "redis"}, "SESSION_TYPE"),
        ({"SESSION_SEAL_KEYS": ["short"]}, "SESSION_SEAL_KEYS"),
        ({"SESSION_REVOCATION_STORE": "nowhere://"}, "SESSION_REVOCATION_STORE"),
        ({"SESSION_STORE": "memory://", "SESSION_REVOCATION_STORE": "memory://"}, "SESSION_REVOCATION_STORE"),
    ],
)
def test_settings_that_contradict_it_are_refused(config: dict[str, Any], says: str) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match=says):
        alone(**config)

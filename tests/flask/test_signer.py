"""``SESSION_USE_SIGNER``: a signature beside the token."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Request
from itsdangerous import Signer
from support.web import SECRET_KEY, Web, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.cookies import signing_salt
from holdfast.stores.memory import MemoryStore

SALT = signing_salt("session:", "session")


@pytest.fixture
def signing() -> Web:
    """Return an application that signs its tokens and whose browser has a session."""
    web = Web(SESSION_USE_SIGNER=True)
    web.put(cart=[1])
    return web


def look(web: Web, cookie: str | None) -> dict[str, int]:
    """Return the store calls of a reading request with *cookie*, and assert that it sees and sends nothing."""
    web.store.reset()
    browser = web.with_token(cookie)
    response = web.do(lambda: str(dict(session)), browser)
    assert (response.status_code, response.text) == (200, "{}")
    assert not cookies_set(response)
    return dict(web.store.counts)


def signed(token: str, key: str, salt: str | bytes = SALT) -> str:
    """Return *token* signed with *key*."""
    return Signer(key, salt=salt, key_derivation="hmac").sign(token).decode()


def test_a_signed_token_works(signing: Web) -> None:
    """The cookie holds the token and its signature, and opens the session with one load."""
    cookie = signing.token() or ""
    token, _, signature = cookie.partition(".")
    assert len(token) == 43
    assert len(signature) >= 27
    assert signing.calls(lambda: session["cart"]) == {"load": 1}
    assert not cookies_set(signing.do(lambda: session["cart"]))


def test_an_unsigned_application_refuses_a_signed_token(web: Web) -> None:
    """Without the signer, a token is a token and nothing else."""
    web.put(cart=[1])
    assert look(web, signed(web.token() or "", SECRET_KEY)) == {}


@pytest.mark.parametrize("config", [{"SESSION_USE_SIGNER": True}, {"SESSION_IMPORT": "flask"}])
def test_a_setting_that_needs_a_key(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Without a ``SECRET_KEY`` the first request of any kind is an error that says what to do, and nothing is stored.

    It has one traceback, whose last line has the fix. A key that is set after the start is in time.
    """
    app, store = Flask("shop"), MemoryStore()
    app.config.update(SESSION_STORE=store, **config)
    Session(app)
    app.add_url_rule("/", view_func=lambda: str(session.setdefault("a", 1)))
    app.add_url_rule("/health", "health", lambda: "OK")
    browser, ((name, value),) = app.test_client(), config.items()
    for path in ("/health", "/"):
        assert browser.get(path).status_code == 500
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert caplog.text.count(f"{name}={value!r} needs SECRET_KEY, which is not set") == 2
    asked = Request({})
    with pytest.raises(ConfigurationError):
        app.session_interface.open_session(app, asked)
    assert app.session_interface.open_session(app, asked) is None, "Flask after 3.1 asks again for the answer"
    assert not store.scan(None, limit=9).items
    app.config["SECRET_KEY"] = SECRET_KEY
    assert browser.get("/").text == "1"


@pytest.mark.parametrize("config", [{"SESSION_KEY_PREFIX": "other:"}, {"SESSION_COOKIE_NAME": "other"}])
def test_a_signature_is_for_one_namespace_and_one_cookie(config: dict[str, Any]) -> None:
    """With the same SECRET_KEY, another application's signed token is refused before any store call."""
    web, other = Web(SESSION_USE_SIGNER=True), Web(SESSION_USE_SIGNER=True, **config)
    web.put(a=1)
    assert other.calls(lambda: session.get("a"), other.with_token(web.token())) == {}
    assert other.reasons() == ["bad_signature"]


def test_an_application_may_be_a_class_with_a_key() -> None:
    """The key of a subclass of Flask that sets `secret_key` itself is the one that signs."""

    class Shop(Flask):
        secret_key = SECRET_KEY

    app = Shop("shop")
    app.config.update(SESSION_STORE="memory://", SESSION_USE_SIGNER=True)
    Session(app)
    app.add_url_rule("/", view_func=lambda: str(session.setdefault("a", 1)))
    assert cookies_set(app.test_client().get("/"))

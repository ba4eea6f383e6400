"""``SESSION_USE_SIGNER``: a signature beside the token."""

from __future__ import annotations

import hmac
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from itsdangerous import Signer
from support import seams
from support.web import SECRET_KEY, Web, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.cookies import signing_salt
from holdfast.stores.memory import MemoryStore

#: Five keys, the newest first.
NEWEST, NEW, OLD, OLDER, OLDEST = KEYS = [f"{SECRET_KEY} {age}" for age in ("newest", "new", "old", "older", "oldest")]


SALT = signing_salt("session:", "session")


@pytest.fixture
def signing() -> Web:
    """Return an application that signs its tokens and whose browser has a session."""
    web = Web(SESSION_USE_SIGNER=True, SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD, OLDER])
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


def test_a_forged_signature_costs_no_store_call(signing: Web) -> None:
    """Any change to the signature, and a signature by any other key or for another purpose, is refused unread."""
    cookie = signing.token() or ""
    token, _, signature = cookie.partition(".")
    forged = {
        cookie[:index] + ("A" if cookie[index] != "A" else "B") + cookie[index + 1 :]
        for index in range(44, len(cookie))
    }
    forged |= {token, f"{token}.", f"{cookie}=", f"{cookie}.x", f"{token}.{signature[:-1]}", f"{token}..{signature}"}
    forged |= {signed(token, "stranger"), signed(token, NEW, "itsdangerous"), signed(token, NEW, "flask-session")}
    signing.take_heard()
    for value in forged:
        assert look(signing, value) == {}
    assert set(signing.reasons()) <= {"bad_signature", "malformed"}


def test_a_signature_is_bound_to_its_token(signing: Web) -> None:
    """The signature of one session's token does not fit another's."""
    other = signing.app.test_client()
    signing.put(other, cart=[2])
    token, signature = (signing.token() or "").split(".")[0], (signing.token(other) or "").split(".")[1]
    assert look(signing, f"{token}.{signature}") == {}


@pytest.mark.parametrize("key", [OLD, OLDER])
def test_a_fallback_key_is_accepted_and_replaced(signing: Web, key: str) -> None:
    """A token signed with an earlier key works, and is sent back signed with the present one."""
    token = (signing.token() or "").split(".")[0]
    browser = signing.with_token(signed(token, key))
    assert cookies_set(signing.do(lambda: session["cart"], browser))
    assert signing.token(browser) == signed(token, NEW) == signing.token()
    assert not cookies_set(signing.do(lambda: session["cart"], browser))


def test_a_retired_key_is_refused(signing: Web) -> None:
    """When a key is removed from the fallbacks, its signatures are invalid."""
    token = (signing.token() or "").split(".")[0]
    signing.app.config["SECRET_KEY_FALLBACKS"] = [OLDER]
    assert look(signing, signed(token, OLD)) == {}
    signing.app.config["SECRET_KEY_FALLBACKS"] = None
    assert look(signing, signed(token, OLDER)) == {}


def test_keys_rotate_without_a_logout(signing: Web) -> None:
    """A new key with the old one as fallback keeps everybody signed in."""
    signing.app.config.update(SECRET_KEY=NEWEST, SECRET_KEY_FALLBACKS=[NEW])
    assert signing.data() == {"cart": [1]}
    signing.app.config.update(SECRET_KEY_FALLBACKS=[])
    assert signing.data() == {"cart": [1]}


@pytest.mark.parametrize("count", range(1, len(KEYS) + 1))
def test_keys_count_by_their_order(signing: Web, count: int) -> None:
    """In all orders of up to five keys those in use are accepted, and what any but the first signed is signed anew."""
    token = (signing.token() or "").split(".")[0]
    for order in itertools.permutations(KEYS, count):
        signing.app.config.update(SECRET_KEY=order[0], SECRET_KEY_FALLBACKS=list(order[1:]))
        for key in KEYS:
            response = signing.send(f"session={signed(token, key)}", lambda: str(session.get("cart")))
            assert response.text == ("[1]" if key in order else "None")
            sent = [header.partition(";")[0] for header in cookies_set(response)]
            assert sent == ([f"session={signed(token, order[0])}"] if key in order[1:] else [])


def test_signatures_are_compared_in_constant_time(signing: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `hmac.compare_digest` compares any value in place of a signature, with every key."""
    compared: list[Any] = []

    def compare(a: Any, b: Any) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    seams.COOKIE_SIGNATURE_COMPARISON.plant(monkeypatch, SimpleNamespace(compare_digest=compare))
    token = (signing.token() or "").split(".")[0]
    for forged in (f"{token}.", signed(token, NEWEST), f"{signed(token, NEW)}x"):
        compared.clear()
        assert look(signing, forged) == {}
        assert compared == [(signed(token, key).encode(), forged.encode()) for key in (NEW, OLD, OLDER)]


def test_an_unsigned_application_refuses_a_signed_token(web: Web) -> None:
    """Without the signer, a token is a token and nothing else."""
    web.put(cart=[1])
    assert look(web, signed(web.token() or "", SECRET_KEY)) == {}


def test_a_signer_needs_a_key() -> None:
    """Turning the signer on without a ``SECRET_KEY`` is an error that says what to do."""
    app = Flask("shop")
    app.config.update(SESSION_STORE=MemoryStore(), SESSION_USE_SIGNER=True, PROPAGATE_EXCEPTIONS=True)
    Session(app)
    app.add_url_rule("/", view_func=lambda: str(session.setdefault("a", 1)))
    with pytest.raises(ConfigurationError, match="SESSION_USE_SIGNER=True needs SECRET_KEY, which is not set"):
        app.test_client().get("/")


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

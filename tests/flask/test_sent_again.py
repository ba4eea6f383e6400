"""A sign-in form that is sent once more: a double click, or a response that was lost, with Flask-WTF's CSRF token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect, generate_csrf
from support.web import SECRET_KEY, Web, cookies_set
from werkzeug.test import TestResponse

from holdfast.flask import session
from holdfast.records.encryption import new_key
from holdfast.records.envelope import Tombstone, TombstoneKind, decode

PLACES: dict[str, Callable[..., Web]] = {
    "store": Web,
    "sealed": lambda **settings: Web(SESSION_SEAL_KEYS=[new_key()], **settings),
    "sealed with the cookie": lambda **settings: Web(SESSION_SEAL_KEYS=[new_key()], SESSION_SEAL="cookie", **settings),
    "json": lambda **settings: Web(SESSION_SERIALIZATION_FORMAT="json", **settings),
    "cookie": lambda **settings: Web(setting="UNUSED", SESSION_STORE="cookie://", **settings),
    "revocable": lambda **settings: Web(setting="SESSION_REVOCATION_STORE", SESSION_STORE="cookie://", **settings),
}


@pytest.fixture(params=PLACES)
def shop(request: pytest.FixtureRequest) -> Web:
    """Return an application that checks the CSRF token of every POST, with its sessions in each place."""
    web = PLACES[request.param]()
    CSRFProtect(web.app)
    return web


def log_in() -> None:
    """Sign in with a password."""
    session.bind("ada")


def send(shop: Web, browser: FlaskClient, token: str, view: Callable[[], Any] = log_in) -> TestResponse:
    """Send the form with *token*."""
    return shop.do(view, browser, method="POST", data={"csrf_token": token})


def whose(shop: Web, browser: FlaskClient) -> bool:
    """Return whether somebody is signed in."""
    return bool(shop.see(lambda: session.owner is not None, browser))


def opened(shop: Web) -> tuple[str | None, str]:
    """Return the cookie and the CSRF token of a visitor's form."""
    browser = shop.app.test_client()
    token = shop.do(generate_csrf, browser).text
    return shop.token(browser), token


@pytest.mark.parametrize("later", [0, 1, 29])
def test_a_login_whose_response_was_lost_can_be_sent_again(shop: Web, later: int) -> None:
    """The same form is valid for the grace period, and signs in; so does the form that is fetched anew."""
    cookie, form = opened(shop)
    assert send(shop, shop.with_token(cookie), form).status_code == 200
    shop.clock.advance(later)
    again = shop.with_token(cookie)
    assert send(shop, again, form).status_code == 200
    assert whose(shop, again)
    anew = shop.with_token(cookie)
    fresh = shop.do(generate_csrf, anew).text
    assert send(shop, anew, fresh).status_code == 200
    assert whose(shop, anew)


def test_a_double_click_signs_in(shop: Web) -> None:
    """Two forms at once, each checked before the other is done, sign in, whichever response the browser keeps."""
    cookie, form = opened(shop)
    barrier = threading.Barrier(2)

    def slowly() -> None:
        barrier.wait(10)
        log_in()

    browsers = [shop.with_token(cookie), shop.with_token(cookie)]
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda browser=browser: found.append(send(shop, browser, form, slowly).status_code))
        for browser in browsers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200, 200]
    assert [whose(shop, browser) for browser in browsers] == [True, True]


def test_a_replaced_token_reads_nothing_else(shop: Web) -> None:
    """Of the visitor's data only the secrets are there, nothing can be stored, and nobody is signed in."""
    browser = shop.app.test_client()
    shop.put(browser, cart=[1])
    form = shop.do(generate_csrf, browser).text
    late = shop.with_token(shop.token(browser))
    send(shop, browser, form)
    seen = shop.see(lambda: (sorted(session), session.owner), late)
    if shop.app.config["SESSION_STORE"] == "cookie://" and shop.app.config["SESSION_REVOCATION_STORE"] is None:
        assert "cart" in seen[0]  # without revocations a replaced cookie stays what it was
        return
    assert seen == (["csrf_token"], None)
    shop.take_heard()
    response = send(shop, late, form, lambda: session.update(cart=[2]))
    assert not cookies_set(response)
    assert "gone" in shop.names()
    shop.do(lambda: session.get("csrf_token"), late)
    assert "gone" not in shop.names()
    shop.clock.advance(31)
    assert shop.data(late) == {}


def test_only_the_old_token_opens_the_secrets() -> None:
    """The tombstone of a login holds them neither readable nor under another token; a rotation keeps none."""
    shop = Web(SECRET_KEY=SECRET_KEY)
    CSRFProtect(shop.app)
    cookie, form = opened(shop)
    secret = shop.see(lambda: session["csrf_token"], shop.with_token(cookie))
    browser = shop.with_token(cookie)
    send(shop, browser, form)
    tombstones = [record.data for _, record in shop.memory.scan(limit=100).items]
    assert not any(secret.encode() in data for data in tombstones)
    shop.do(session_rotate, browser)
    kinds = [decode(record.data) for _, record in shop.memory.scan(limit=100).items]
    held = [body.sealed is not None for body in kinds if isinstance(body, Tombstone)]
    assert sorted(held) == [False, True]
    assert all(body.kind is TombstoneKind.SUPERSEDED for body in kinds if isinstance(body, Tombstone))


def session_rotate() -> None:
    """Rotate."""
    session.rotate()


@pytest.mark.parametrize("secret", ["x" * 5000, {"a": ["x" * 3000]}, 7])
def test_secrets_of_any_kind_do_no_harm(secret: Any) -> None:
    """Large or strange values under a visitor's key are kept or not, and the login succeeds."""
    web = Web()
    browser = web.app.test_client()
    web.put(browser, csrf_token=secret)
    late = web.with_token(web.token(browser))
    web.do(log_in, browser)
    assert whose(web, browser)
    assert web.data(late) in ({}, {"csrf_token": secret})


def test_other_keys_of_secrets_can_be_named() -> None:
    """The keys are those of ``SESSION_VISITOR_KEYS``."""
    web = Web(SESSION_VISITOR_KEYS=["form_secret"])
    browser = web.app.test_client()
    web.put(browser, csrf_token="a", form_secret="b")
    late = web.with_token(web.token(browser))
    web.do(log_in, browser)
    assert web.data(late) == {"form_secret": "b"}

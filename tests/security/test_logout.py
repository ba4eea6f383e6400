"""A logout ends the session itself, not just one copy of its cookie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from security import planted_logout as planted
from security.bugs import says_nothing_of_cookie_sessions
from security.rows import advisory
from security.steps import LOGOUTS, WebOn, another, meddling, signed_in, who
from support.everywhere import INDEXED
from support.web import cookies_set, end

from holdfast import events
from holdfast.flask import Session, session
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.stores.pair import PairStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock


@advisory(
    "CVE-2024-31999",
    "CVE-2025-53826",
    "CVE-2024-56733",
    "Superset 2025, stateless sessions",
    "CVE-2026-30224",
    product="@fastify/secure-session, File Browser, pwpush, Superset, OliveTin",
    cause="A cookie copied before the logout worked after it: only the browser's copy was deleted.",
    mutants=[planted.logs_out_the_browser_only],
)
@advisory(
    "CVE-2023-20862",
    product="Spring Security",
    cause="An emptied session was not saved, so the user stayed signed in.",
    mutants=[planted.does_not_save_emptiness],
)
def test_a_copy_of_the_cookie_is_worth_nothing_after_the_logout(place: str, web_on: WebOn) -> None:
    """After each kind of logout the copied cookie opens no session, in this process and in another."""
    web, store = meddling(web_on, place)
    other = another(web, web_on, place)
    for way, logout in LOGOUTS.items():
        browser = signed_in(web)
        token = web.token(browser)
        assert who(other, other.with_token(token)) == "ada", way
        assert cookies_set(web.do(logout, browser)), way
        assert web.token(browser) is None, way
        assert who(web, web.with_token(token)) is None, way
        assert who(other, other.with_token(token)) is None, way
        assert store.alive() == set(), way


@advisory(
    "CVE-2024-56733",
    "CVE-2026-30224",
    product="pwpush, OliveTin",
    cause="A logout did not end the session on the server.",
    mutants=[planted.only_says_it_ended],
)
@pytest.mark.kinds(*INDEXED)
def test_a_session_ended_from_outside_is_over(place: str, web_on: WebOn) -> None:
    """Ended by its handle, or with all of the user's, a session is over for every copy of its cookie."""
    web, store = meddling(web_on, place)
    ways: list[Callable[[str], object]] = [web.sessions.revoke, lambda handle: web.sessions.revoke_all("ada")]
    for revoke in ways:
        browser = signed_in(web)
        handle = web.see(lambda: session.handle, browser)
        revoke(handle)
        assert who(web, browser) is None
        assert handle not in store.alive()


@advisory(
    "CVE-2024-31999",
    "Superset 2025, stateless sessions",
    product="@fastify/secure-session, Superset",
    cause="The documentation did not say that sessions were in the cookie, so that a logout did not end them.",
    mutants=[says_nothing_of_cookie_sessions],
)
def test_sessions_in_signed_cookies_say_what_a_logout_is(caplog: pytest.LogCaptureFixture) -> None:
    """Starting with Flask's signed cookie logs that a logout affects only the browser's copy."""
    app = Flask("shop")
    app.config.update(SESSION_TYPE="null", SECRET_KEY="not a secret")
    with caplog.at_level(logging.WARNING, "holdfast"):
        Session(app)
    assert "a logout does not end" in caplog.text


@advisory(
    "CVE-2021-34428",
    product="Jetty",
    cause="An exception in a listener for ended sessions left the id valid.",
    mutants=[planted.lets_receivers_fail_it, planted.tells_first],
)
@pytest.mark.kinds(*INDEXED)
def test_a_receiver_that_raises_does_not_save_a_session(
    place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture
) -> None:
    """A session is over even if a receiver of `ended` raised, and the log has the error."""
    web = web_on(place)

    def receiver(sender: object, **details: Any) -> None:
        raise RuntimeError("the receiver failed")

    ways: list[Callable[[str], object]] = [
        lambda handle: web.do(end, browser),
        web.sessions.revoke,
        lambda handle: web.sessions.revoke_all("ada"),
    ]
    for revoke in ways:
        browser = signed_in(web)
        copy = web.with_token(web.token(browser))
        handle = web.see(lambda: session.handle, copy)
        caplog.clear()
        try:
            with events.ended.connected_to(receiver):  # no longer, even if a traceback keeps it
                revoke(handle)
        except RuntimeError:
            pytest.fail("the receiver's error got out")
        assert "the receiver failed" in caplog.text
        assert who(web, copy) is None


# --- stores in layers ------------------------------------------------------------------------------------------------


def _cached(place: str, clock: FakeClock) -> tuple[Any, list[Any]]:
    inner = open_store(place, clock=clock)
    cache = NearCache(inner, clock=clock)
    return cache, [cache, inner]


def _paired(place: str, clock: FakeClock) -> tuple[Any, list[Any]]:
    new, old = MemoryStore(clock=clock), open_store(place, clock=clock)
    return PairStore(new, old), [new, old]


@advisory(
    "CVE-2022-24444",
    product="SilverStripe hybridsessions",
    cause="A logout did not end the session in every store.",
    mutants=[planted.keeps_the_cached_copy, planted.deletes_in_the_new_store_only],
)
def test_a_logout_empties_every_layer(place: str, web_on: WebOn) -> None:
    """Behind a cache, and during a migration between two stores, a logout leaves no record in either."""
    for layered in (_cached, _paired):
        layers: list[Any] = []

        def inner(clock: FakeClock, layered: Any = layered, layers: list[Any] = layers) -> Any:
            store, found = layered(place, clock)
            layers.extend(found)
            return store

        web = web_on(inner)
        # While sessions move, it is one that was made before the move began.
        browser = signed_in(web if layered is _cached else web_on(lambda clock, layers=layers: layers[1]))
        token = web.token(browser)
        copy = web.with_token(token)
        handle = web.see(lambda: session.handle, copy)
        assert who(web, copy) == "ada"
        web.do(end, copy)
        assert [layer.load(handle) for layer in layers] == [None, None]
        assert who(web, web.with_token(token)) is None


# --- the empty id ----------------------------------------------------------------------------------------------------


def _introduce(name: str) -> None:
    session.setdefault("name", name)


@advisory(
    "CVE-2015-3982",
    product="Django",
    cause="A logout in the cached store set the key to the empty string, which became everybody's session.",
    mutants=[planted.takes_the_empty_id],
)
def test_the_empty_id_is_nobody_s(place: str, web_on: WebOn) -> None:
    """After a logout, and with an empty cookie, two browsers begin sessions of their own."""
    web = web_on(lambda clock: NearCache(open_store(place, clock=clock), clock=clock))
    browser = signed_in(web)
    web.do(end, browser)
    assert web.calls(lambda: session.get("a"), headers={"Cookie": "session="}) == {}
    for name in ("ada", "bob"):
        response = web.send("session=", partial(_introduce, name))
        (header,) = cookies_set(response)
        token = header.partition("=")[2].partition(";")[0]
        assert token
        assert web.data(web.with_token(token)) == {"name": name}
    web.do(partial(_introduce, "carol"), browser)
    assert web.data(browser) == {"name": "carol"}

"""A logout ends the session itself, not just one copy of its cookie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from security.rows import advisory
from security.steps import LOGOUTS, WebOn, another, meddling, signed_in, who
from support import seams
from support.everywhere import INDEXED
from support.web import cookies_set, end

from holdfast import events
from holdfast.flask import Session, session
from holdfast.flask.cookies import Cookies, Presented
from holdfast.sessions.manager import Manager
from holdfast.sessions.mapping import Outcome, ServerSession
from holdfast.stores.memory import MemoryStore
from holdfast.stores.nearcache import NearCache
from holdfast.stores.pair import PairStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock


def logs_out_the_browser_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout deletes the cookie and leaves the session in the store."""

    def commit(manager: Manager, session: ServerSession, **options: Any) -> Outcome:
        ends = session.opened is not None and session.opened.loaded is not None and session.is_empty
        return Outcome("saved", "delete") if ends else sound(manager, session, **options)

    sound = seams.MANAGER_COMMIT.sound
    seams.MANAGER_COMMIT.plant(monkeypatch, commit)


def does_not_save_emptiness(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emptied session counts as unchanged."""

    def commit(manager: Manager, session: ServerSession, **options: Any) -> Outcome:
        return Outcome("unchanged", "none") if session.is_empty else sound(manager, session, **options)

    sound = seams.MANAGER_COMMIT.sound
    seams.MANAGER_COMMIT.plant(monkeypatch, commit)


def only_says_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a session from outside reports success, and ends no session."""

    def kill(context: object, key: str, version: object, owner: object) -> Any:
        yield from ()
        return key

    seams.END_BY_REVOKE.plant(monkeypatch, kill)


@advisory(
    "CVE-2024-31999",
    "CVE-2025-53826",
    "CVE-2024-56733",
    "Superset 2025, stateless sessions",
    "CVE-2026-30224",
    product="@fastify/secure-session, File Browser, pwpush, Superset, OliveTin",
    cause="A cookie copied before the logout worked after it: only the browser's copy was deleted.",
    mutants=[logs_out_the_browser_only],
)
@advisory(
    "CVE-2023-20862",
    product="Spring Security",
    cause="An emptied session was not saved, so the user stayed signed in.",
    mutants=[does_not_save_emptiness],
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
    mutants=[only_says_it_ended],
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


def says_nothing_of_cookie_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions in signed cookies are set up without a warning about the limits of a logout."""
    seams.FLASK_SESSION_BUILDERS.plant_item(monkeypatch, "null", lambda app, clock: None)


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


def lets_receivers_fail_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception of a signal's receiver reaches the code that ends a session."""

    def notify(receiver: Any, what: str, *args: Any, **details: Any) -> None:
        receiver(*args, **details)

    seams.EVENTS_NOTIFY.plant(monkeypatch, notify)


def tells_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receivers are called before the end, and one that raises prevents it."""

    def kill(context: Any, key: str, version: Any, owner: Any) -> Any:
        for receiver in events.ended.receivers_for(None):
            receiver(None, handle=key)
        return (yield from sound(context, key, version, owner))

    sound = seams.END_BY_REVOKE.sound
    seams.END_SESSION.plant(monkeypatch, kill)


@advisory(
    "CVE-2021-34428",
    product="Jetty",
    cause="An exception in a listener for ended sessions left the id valid.",
    mutants=[lets_receivers_fail_it, tells_first],
)
@pytest.mark.kinds(*INDEXED)
def test_a_receiver_that_raises_does_not_save_a_session(
    place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture
) -> None:
    """A session is over even if a receiver of `ended` raised, and the log has the error."""
    web = web_on(place)

    def receiver(sender: object, **details: Any) -> None:
        raise RuntimeError("the receiver failed")

    events.ended.connect(receiver)
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
            revoke(handle)
        except RuntimeError:
            pytest.fail("the receiver's error got out")
        assert "the receiver failed" in caplog.text
        assert who(web, copy) is None


# --- stores in layers ------------------------------------------------------------------------------------------------


def keeps_the_cached_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache in front of a store keeps its record when the record is deleted or overwritten."""
    seams.NEAR_CACHE_FORGET.plant(monkeypatch, lambda cache, keys: None)


def deletes_in_the_new_store_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two stores, the old one keeps an ended session."""
    seams.PAIR_DELETE.plant(monkeypatch, lambda pair, key: pair._new.delete(key))
    sound = seams.PAIR_REPLACE.sound

    def replace(pair: PairStore, key: str, data: bytes, /, **options: Any) -> Any:
        old, pair._old = pair._old, MemoryStore()
        pair._old.create(key, b"", expires_at=4_000_000_000_000)
        record = pair._load_old(key)
        assert record is not None
        try:
            return sound(pair, key, data, **{**options, "expect": record.version})
        finally:
            pair._old = old

    seams.PAIR_REPLACE.plant(monkeypatch, replace)


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
    mutants=[keeps_the_cached_copy, deletes_in_the_new_store_only],
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


def takes_the_empty_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The empty id is an id like any other, and sessions without an id are stored under it."""
    sound = seams.COOKIE_READ.sound

    def read(cookies: Cookies, app: Any, request: Any) -> Presented:
        found = sound(cookies, app, request)
        return Presented("") if found.token is None else found

    seams.COOKIE_READ.plant(monkeypatch, read)
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)
    seams.TOKEN_OF_NEW_SESSION.plant(monkeypatch, lambda: "")


def _introduce(name: str) -> None:
    session.setdefault("name", name)


@advisory(
    "CVE-2015-3982",
    product="Django",
    cause="A logout in the cached store set the key to the empty string, which became everybody's session.",
    mutants=[takes_the_empty_id],
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

"""The application's signals, and their limits."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support import seams
from support.web import STRANGER, Web, cookies_set, end, rotate

from holdfast import events
from holdfast.flask import session
from holdfast.sessions.server_session import state_of

DAY = 24 * 3600


@pytest.fixture
def known(web: Web) -> Web:
    """Return an application whose browser has a session, without recorded signals."""
    web.put(cart=[1])
    web.take_heard()
    return web


def handle(web: Web) -> str | None:
    """Return the handle of the browser's session."""
    found: str | None = web.see(lambda: session.handle)
    return found


def begin_anew() -> None:
    """End the session and begin another, as the view of a request."""
    session.clear()
    session["b"] = 1


def test_created(web: Web) -> None:
    """The first write of a session says so, with its handle."""
    web.put(a=1)
    assert web.take_heard() == [("created", {"handle": handle(web), "owner": None})]


def test_nothing_is_heard_of_reads_and_writes(known: Web) -> None:
    """Ordinary use of a session makes no noise."""
    known.put(a=1)
    known.data()
    known.do(lambda: None)
    assert known.names() == []


def test_rotated(known: Web) -> None:
    """A rotation names the handle before it and the one after."""
    previous = handle(known)
    known.do(rotate)
    assert known.take_heard() == [("rotated", {"handle": handle(known), "previous": previous})]


def test_bound(known: Web) -> None:
    """A login names the handle and the owner, which is not the user's id."""
    known.do(lambda: session.bind("ada"))
    (first, _), (second, details) = known.take_heard()
    assert (first, second) == ("rotated", "bound")
    assert details["handle"] == handle(known)
    assert details["owner"] == known.see(lambda: session.owner) != "ada"


def test_created_and_bound(web: Web) -> None:
    """A login without a session before it is both."""
    web.do(lambda: session.bind("ada"))
    assert web.names() == ["created", "bound"]


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        pytest.param(end, "logout", id="clear"),
        pytest.param(lambda: session.pop("cart"), "logout", id="emptied"),
        pytest.param(begin_anew, "replaced", id="begun anew"),
    ],
)
def test_ended_by_the_browser_s_own_request(known: Web, view: Any, reason: str) -> None:
    """The end of a session by its user is signalled once, with the reason."""
    ended = handle(known)
    known.do(view)
    [details] = [details for name, details in known.take_heard() if name == "ended"]
    assert details == {"handle": ended, "owner": None, "reason": reason}


def test_ended_by_another_user_s_login(known: Web) -> None:
    """When somebody else signs in, the first user's session is replaced."""
    known.do(lambda: session.bind("ada"))
    known.take_heard()
    known.do(lambda: session.bind("bob"))
    assert known.reasons("ended") == ["replaced"]


def test_ended_from_outside(known: Web) -> None:
    """A session that is revoked by handle, or with all of its user's, is heard to be revoked."""
    known.do(lambda: session.bind("ada"))
    known.take_heard()
    known.sessions.revoke(handle(known) or "")
    assert known.reasons("ended") == ["revoked"]
    known.do(lambda: session.bind("ada"), known.app.test_client())
    known.sessions.revoke_all("ada")
    assert known.reasons("ended") == ["revoked"]


def test_gone(known: Web) -> None:
    """A change that comes after the session's end is heard to be dropped."""
    slow = known.twin()

    def view() -> None:
        session["a"] = 1
        known.do(end)
        known.take_heard()

    known.do(view, slow)
    [(name, details)] = known.take_heard()
    assert name == "gone"
    assert details["handle"] is not None


def test_superseded(known: Web) -> None:
    """A request with a rotated id, and a save under one, are both heard."""
    early = known.twin()
    previous = handle(known)
    known.do(rotate)
    known.take_heard()
    known.data(early)
    assert known.take_heard() == [
        ("superseded", {"handle": previous}),
        ("rejected", {"reason": "superseded", "transport": "cookie"}),
    ]

    def view() -> None:
        session["a"] = 1
        known.do(rotate)
        known.take_heard()

    known.do(view, known.twin())
    assert "superseded" in known.names()


def test_store_unavailable() -> None:
    """An outage is heard with its error."""
    web = Web()
    web.put(a=1)
    web.take_heard()
    with web.failing.outage():
        web.do(lambda: session["a"])
    assert web.names() == ["store_unavailable", "rejected"]


# --- why a cookie is not accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cookie", "reason"),
    [
        ("short", "malformed"),
        ("x" * 5000, "too_long"),
        (STRANGER, "unknown_id"),
        (f"{STRANGER}; session={'B' * 42}A", "unknown_id"),
    ],
)
def test_why_a_cookie_is_rejected(web: Web, cookie: str, reason: str) -> None:
    """Every rejected cookie is signalled once, with its reason and no part of its value."""
    web.send(f"session={cookie}", lambda: session.get("a"))
    assert web.take_heard() == [("rejected", {"reason": reason, "transport": "cookie"})]


@pytest.mark.parametrize(
    ("settings", "reason"), [({}, "expired_idle"), ({"SESSION_ABSOLUTE_LIFETIME": DAY}, "expired_absolute")]
)
def test_why_a_session_has_expired(known: Web, settings: dict[str, Any], reason: str) -> None:
    """A session past a timeout is heard to have ended, with its owner, and the cookie to be rejected for it."""
    known.do(lambda: session.bind("ada"))
    known.app.config.update(settings)
    ended = handle(known)
    known.take_heard()
    known.clock.advance(31 * DAY)
    known.data()
    assert known.take_heard() == [
        ("ended", {"handle": ended, "owner": known.sessions.manager.keys.owner_of("ada"), "reason": "expired"}),
        ("rejected", {"reason": reason, "transport": "cookie"}),
    ]


def test_a_purge_says_whose_sessions_expired(known: Web) -> None:
    """A user's session that nobody used again is heard to have ended when it is removed; a visitor's is not."""
    known.do(lambda: session.bind("ada"))
    known.put(known.app.test_client(), a=1)
    ended = handle(known)
    known.take_heard()
    known.clock.advance(33 * DAY)
    assert known.sessions.purge() == 3  # and what the login left under the old key
    owner = known.sessions.manager.keys.owner_of("ada")
    assert known.take_heard() == [("ended", {"handle": ended, "owner": owner, "reason": "expired"})]


def test_a_browser_without_a_cookie_is_not_rejected(web: Web) -> None:
    """A missing or empty cookie is not reported."""
    web.do(lambda: session.get("a"))
    web.send("session=", lambda: session.get("a"))
    web.send("theme=dark", lambda: session.get("a"))
    assert web.names() == []


# --- receivers -------------------------------------------------------------------------------------------------------


def test_a_receiver_that_raises_does_not_undo_a_logout(known: Web, caplog: pytest.LogCaptureFixture) -> None:
    """The session is over even if a receiver fails; its error is logged and the next receiver is called."""

    def broken(sender: object, **details: Any) -> None:
        raise RuntimeError("broken receiver")

    with events.ended.connected_to(broken, sender=known.app), caplog.at_level(logging.ERROR, "holdfast"):
        response = known.do(end)
    assert response.status_code == 200
    assert cookies_set(response)
    assert known.names() == ["ended"]
    assert "broken receiver" in caplog.text
    assert known.records() == 0


def test_each_application_is_heard_by_itself() -> None:
    """A receiver connected to one application gets no signal of another."""
    one, two = Web(), Web()
    one.put(a=1)
    assert one.names() == ["created"]
    assert two.names() == []


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def issued(web: Web, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of every token made during the test."""
    from holdfast.records import tokens

    made: list[str] = []

    def recording() -> str:
        made.append(tokens.new_token())
        return made[-1]

    seams.NEW_TOKEN.plant(monkeypatch, recording)
    return made


def test_no_token_is_ever_shown(web: Web, issued: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Through a whole life of sessions, no token is in a signal, a log line at any level, a repr, or an error."""
    shown: list[str] = []

    def look() -> None:
        here = session._get_current_object()  # type: ignore[attr-defined]  # a proxy
        state = state_of(here)
        shown.extend([repr(here), str(dict(here)), repr(here.handle), repr(state), repr(state.stored)])

    with caplog.at_level(logging.DEBUG):
        web.put(secret="value")
        web.do(look)
        web.do(lambda: session.bind("ada"))
        early = web.twin()
        web.do(rotate)
        web.data(early)
        web.app.config["SESSION_RENEWAL_INTERVAL"] = 1
        web.clock.advance(2)
        web.do(look)
        web.app.config["SESSION_RENEWAL_INTERVAL"] = None
        with web.failing.outage():
            web.do(look)
        shown.append(repr(web.sessions.of("ada")))
        with pytest.raises(TypeError) as caught:
            web.put(value=object())
        shown.append(str(caught.value))
        web.do(end)
    assert len(issued) == 4
    everything = "\n".join([*shown, caplog.text, repr(web.heard), *map(repr, caplog.records)])
    assert [token for token in issued if token in everything] == []


def test_no_store_ever_sees_a_token(web: Web, issued: list[str]) -> None:
    """Neither the keys nor the data of any record, tombstones and aliases included, contain a token."""
    web.put(secret="value")
    web.do(rotate)
    web.app.config["SESSION_RENEWAL_INTERVAL"] = 1
    web.clock.advance(2)
    web.data()
    records = repr(web.memory.scan(limit=100).items).encode()
    assert len(issued) == 3
    assert [token for token in issued if token.encode() in records] == []


def test_a_handle_is_not_a_token(known: Web) -> None:
    """A session's handle, sent as a cookie, opens no session."""
    name = handle(known)
    known.take_heard()
    assert known.data(known.with_token(name)) == {}
    assert known.reasons() == ["malformed"]

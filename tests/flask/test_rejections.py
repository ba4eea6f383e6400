"""Rejected cookies: their log messages, and the application's hook before the lookup."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, get_args

import pytest
from flask import Response, abort, request
from support.web import SECRET_KEY, STRANGER, Web, cookies_set, rotate

from holdfast import StoreUnavailable, events
from holdfast.flask import session
from holdfast.log import RejectionLog
from holdfast.records.encryption import Keyring, new_key
from holdfast.records.tokens import new_token
from holdfast.testing import FakeClock


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """Return a function: the levels and messages of ``holdfast.rejected`` since its last call."""
    caplog.set_level(logging.INFO, "holdfast.rejected")

    def take() -> list[tuple[str, str]]:
        found = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "holdfast.rejected"]
        caplog.clear()
        return found

    return take


Lines = Callable[[], list[tuple[str, str]]]


def read() -> str:
    """Look at the session, as the view of a request."""
    return str(session.get("a"))


def _expired(web: Web, **settings: Any) -> str:
    web.app.config.update(settings)
    web.put(a=1)
    cookie = f"session={web.token()}"
    web.clock.advance(70)
    return cookie


def _superseded(web: Web) -> str:
    web.put(a=1)
    cookie = f"session={web.token()}"
    web.do(rotate)
    return cookie


def _from_the_future(web: Web) -> str:
    web.put(a=1)
    web.clock.advance(-120)
    return f"session={web.token()}"


def _damaged(web: Web) -> str:
    web.put(a=1)
    ((key, record),) = web.memory.scan().items
    web.memory.replace(key, b"\x01", expect=record.version, expires_at=record.expires_at)
    return f"session={web.token()}"


def _of_another_key(web: Web) -> str:
    web.put(a=1)
    sealer: Any = web.sessions.manager.context.sealer
    sealer._keys = Keyring([new_key()])
    return f"session={web.token()}"


def _of_another_device(web: Web) -> str:
    web.do(lambda: session.update(a=1), headers={"User-Agent": "one"})
    return f"session={web.token()}"


def _down(web: Web) -> str:
    web.put(a=1)
    web.failing.fail()
    return f"session={web.token()}"


def _two(web: Web) -> str:
    other = web.app.test_client()
    web.put(a=1)
    web.put(other, a=1)
    return f"session={web.token()}; session={web.token(other)}"


#: SealMode each reason comes about: settings, and what makes the ``Cookie`` header.
WAYS: dict[str, tuple[dict[str, Any], Callable[[Web], str]]] = {
    "malformed": ({}, lambda web: "session=x"),
    "too_long": ({}, lambda web: f"session={'x' * 5000}"),
    "ambiguous_cookie": ({}, _two),
    "bad_signature": ({"SESSION_USE_SIGNER": True}, lambda web: f"session={STRANGER}.x"),
    "unknown_id": ({}, lambda web: f"session={STRANGER}"),
    "superseded": ({}, _superseded),
    "expired_idle": ({}, lambda web: _expired(web, PERMANENT_SESSION_LIFETIME=60)),
    "expired_absolute": ({}, lambda web: _expired(web, SESSION_ABSOLUTE_LIFETIME=60)),
    "not_yet_valid": ({}, _from_the_future),
    "corrupt": ({}, _damaged),
    "unknown_key": ({"SESSION_SEAL_KEYS": [new_key()]}, _of_another_key),
    "binding_changed": ({"SESSION_ON_DEVICE_CHANGE": "signal"}, _of_another_device),
    "store_unavailable": ({"PROPAGATE_EXCEPTIONS": False}, _down),
}

#: Rejections that are normal.
ORDINARY = {"unknown_id", "superseded", "expired_idle", "expired_absolute"}


def test_every_reason_is_tried() -> None:
    """The reasons that are tried here are all there are."""
    assert set(WAYS) == set(get_args(events.RejectReason))


@pytest.mark.parametrize("reason", WAYS)
def test_every_reason_is_reached_signalled_and_logged(reason: str, lines: Lines) -> None:
    """Each rejection sends one signal and logs one line, with its reason and no part of the cookie."""
    settings, make = WAYS[reason]
    web = Web(**settings)
    cookie = make(web)
    web.take_heard()
    lines()
    web.send(cookie, read)
    assert web.reasons() == [reason]
    level = "INFO" if reason in ORDINARY else "WARNING"
    assert lines() == [(level, f"a session cookie was rejected: {reason}")]


def test_a_line_names_what_carried_the_token(lines: Lines) -> None:
    """A rejected header is logged and signalled as one, counted apart from cookies, with no part of its token."""
    web = Web(SESSION_TRANSPORT="both")
    for _ in range(12):
        web.do(read, headers={"Authorization": f"Bearer {STRANGER}"})
    web.do(read, headers={"Authorization": "Bearer x"})
    assert [details["transport"] for _, details in web.take_heard()] == ["header"] * 13
    web.send(f"session={STRANGER}", read)
    assert Counter(lines()) == {
        ("INFO", "the token in a header was rejected: unknown_id"): 10,
        ("WARNING", "the token in a header was rejected: malformed"): 1,
        ("INFO", "a session cookie was rejected: unknown_id"): 1,
    }


def test_nothing_of_the_cookie_is_logged(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    """No line of any logger contains any part of the request's cookie."""
    caplog.set_level(logging.DEBUG)
    web = Web(SESSION_USE_SIGNER=True)
    for value in (STRANGER, f"{STRANGER}.signature", "canary", "canary" * 1000):
        web.send(f"session={value}", read)
    assert "canary" not in caplog.text
    assert STRANGER not in caplog.text
    assert SECRET_KEY not in caplog.text


def test_a_flood_makes_few_lines(lines: Lines) -> None:
    """A reason gets ten lines a minute, and the next line after that says how many were left out; others are apart."""
    web = Web()
    for _ in range(100):
        web.send(f"session={STRANGER}", read)
    web.send("session=x", read)
    assert Counter(lines()) == {
        ("INFO", "a session cookie was rejected: unknown_id"): 10,
        ("WARNING", "a session cookie was rejected: malformed"): 1,
    }
    assert len(web.reasons()) == 101
    web.clock.advance(60)
    for _ in range(2):
        web.send(f"session={STRANGER}", read)
    first, *rest = lines()
    assert first == ("INFO", "session cookies were rejected: unknown_id, 90 more since the last line")
    assert rest == [("INFO", "a session cookie was rejected: unknown_id")] * 2


def test_a_flood_from_many_threads_is_counted(lines: Lines) -> None:
    """No rejection is lost among threads, and a clock that is put back does not stop the lines."""
    clock = FakeClock()
    log = RejectionLog(clock)
    barrier = threading.Barrier(8)

    def flood() -> None:
        barrier.wait()
        for _ in range(100):
            log("rejected", {"reason": "malformed", "transport": "cookie"})

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines()) == 10
    clock.advance(-3600)
    log("rejected", {"reason": "malformed", "transport": "cookie"})
    assert lines()[0] == ("WARNING", "session cookies were rejected: malformed, 790 more since the last line")


def test_what_nobody_reads_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Where the logger is off, a rejection makes no line, then or later."""
    caplog.set_level(logging.CRITICAL, "holdfast.rejected")
    clock = FakeClock()
    log = RejectionLog(clock)
    for _ in range(100):
        log("rejected", {"reason": "malformed", "transport": "cookie"})
    clock.advance(60)
    caplog.set_level(logging.INFO, "holdfast.rejected")
    log("rejected", {"reason": "malformed", "transport": "cookie"})
    assert [record.getMessage() for record in caplog.records] == ["a session cookie was rejected: malformed"]


# --- before a lookup -------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(web: Web) -> list[str]:
    """Return the addresses of the requests before whose lookup the application was asked."""
    found: list[str] = []

    @web.sessions.before_lookup
    def note() -> None:
        assert not web.store.counts
        assert not session
        found.append(request.remote_addr or "")

    return found


def test_the_hook_comes_before_any_store_call(web: Web, asked: list[str]) -> None:
    """It is called once for a request that has a session cookie and uses its session, before the store is."""
    web.put(a=1)
    assert asked == []
    for cookie in (f"session={web.token()}", f"session={STRANGER}", "session=x"):
        web.store.reset()
        web.send(cookie, lambda: read() + read())
        assert asked == ["127.0.0.1"]
        asked.clear()


def test_the_hook_is_not_called_for_nothing(web: Web, asked: list[str]) -> None:
    """A request without a session cookie, or one that does not use its session, is not asked about."""
    web.send("other=1", read)
    web.send(f"session={STRANGER}", lambda: "nothing")
    assert asked == []


@pytest.fixture
def closed(web: Web) -> Web:
    """Return an application that turns away who comes with a session, and a browser that has one."""
    web.app.register_error_handler(429, lambda error: (f"later, {session.get('a')}", 429))

    @web.app.after_request
    def look(response: Response) -> Response:
        if response.get_data(as_text=True) == "look later":
            session.get("a")
        return response

    web.put(a=1)

    @web.sessions.before_lookup
    def turn_away() -> None:
        abort(429)

    return web


def test_the_hook_may_turn_a_request_away(closed: Web) -> None:
    """Then there is no store call and no cookie, and the error page sees an empty session that is not saved."""
    cookie = f"session={closed.token()}"
    closed.store.reset()
    response = closed.send(cookie, lambda: session.update(a=2))
    assert (response.status_code, response.text) == (429, "later, None")
    assert not closed.store.counts
    assert not cookies_set(response)
    assert response.headers["Vary"] == "Cookie"


def test_a_request_that_is_turned_away_changes_nothing(closed: Web) -> None:
    """A view that goes on regardless has an empty, read-only session."""

    def view() -> str:
        try:
            session.get("a")
        except Exception as error:  # noqa: BLE001  # any exception
            session["a"] = 2
            return f"{type(error).__name__} {session.read_only}"
        return "let in"

    response = closed.send(f"session={closed.token()}", view)
    assert response.text == "TooManyRequests True"
    assert not cookies_set(response)
    assert len(closed.memory.scan().items) == 1


def test_a_request_is_turned_away_after_its_view_too(closed: Web) -> None:
    """Where the session is first used after the view, as Flask-Login does, the answer is the same."""
    closed.app.config["PROPAGATE_EXCEPTIONS"] = False
    response = closed.send(f"session={closed.token()}", lambda: "look later")
    assert (response.status_code, response.text) == (429, "later, None")
    assert not cookies_set(response)


def test_an_error_of_the_hook_is_an_error(web: Web) -> None:
    """Anything else that is raised is the application's own error, and the session is left alone."""
    web.put(a=1)

    @web.sessions.before_lookup
    def fail() -> None:
        raise StoreUnavailable("the limiter is down")

    assert web.do(read).status_code == 503
    web.sessions._before_lookup.clear()
    assert web.data() == {"a": 1}


def test_a_hook_that_would_never_run_is_refused(web: Web) -> None:
    """An async function would limit nothing, since nothing awaits it: it is an error where it is registered."""

    async def limit() -> None:
        abort(429)

    with pytest.raises(TypeError, match="before_lookup needs a function that is not async"):
        web.sessions.before_lookup(limit)


def test_unknown_ids_can_be_limited_by_address(web: Web) -> None:
    """After twenty unknown ids an address is answered 429 for a minute."""
    unknown: Counter[tuple[str | None, int]] = Counter()

    def minute() -> int:
        return int(datetime.fromtimestamp(web.clock() / 1000, timezone.utc).timestamp()) // 60

    def count(sender: object, reason: str, **_: object) -> None:
        if reason == "unknown_id":
            unknown[request.remote_addr, minute()] += 1

    events.rejected.connect(count, sender=web.app)

    @web.sessions.before_lookup
    def limit() -> None:
        if unknown[request.remote_addr, minute()] >= 20:
            abort(429)

    web.store.reset()
    statuses = [web.send(f"session={new_token()}", read).status_code for _ in range(100)]
    assert statuses == [200] * 20 + [429] * 80
    assert web.store.counts == {"load": 20}
    web.clock.advance(60)
    assert web.send(f"session={STRANGER}", read).status_code == 200

"""Time ends sessions, on the server, whatever the browser and the record say."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from security import planted_expiry as planted
from security.planted_expiry import DAY
from security.rows import advisory, requirement
from security.steps import WebOn, meddling, signed_in, who
from support.web import Web, attributes, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import session


@advisory(
    "CVE-2024-35220",
    product="@fastify/session",
    cause="Loading a session recomputed its expiry, so that an expired one looked alive.",
    mutants=[planted.recomputes_the_deadline, planted.touches_before_it_looks],
)
def test_looking_at_an_expired_session_does_not_revive_it(place: str, web_on: WebOn) -> None:
    """A session past its idle timeout is anonymous although its cookie is refreshed, and no request moves its end."""
    web, store = meddling(web_on, place, SESSION_PERMANENT=True, SESSION_REFRESH_EACH_REQUEST=True)
    browser = signed_in(web)
    handle = web.see(lambda: session.handle, browser)
    web.clock.advance(31 * DAY - 1)
    before = store.store.load(handle)
    web.clock.advance(1)
    for _ in range(3):  # the store still has the record, for a minute
        response = web.do(lambda: session.get("who"), web.with_token(web.token(browser)))
        assert not cookies_set(response)
        assert who(web, browser) is None
    web.clock.advance(-1)
    assert store.store.load(handle) == before


@advisory(
    "CVE-2018-1000814",
    product="aiohttp-session",
    cause="The server did not check the age of a session, so an old cookie worked for ever.",
    mutants=[planted.trusts_the_browser],
)
def test_a_browser_that_keeps_its_cookie_gains_nothing(place: str, web_on: WebOn) -> None:
    """A cookie sent after its expiry opens no session."""
    web = web_on(place, SESSION_PERMANENT=True)
    browser = signed_in(web)
    web.clock.advance(15 * 60)
    (header,) = cookies_set(web.put(browser, a=1))
    assert attributes(header)["max-age"] == str(31 * DAY)
    token = web.token(browser)
    web.clock.advance(31 * DAY)
    for _ in range(3):
        assert who(web, web.with_token(token)) is None
        web.clock.advance(61)


@advisory(
    "CVE-2022-2888",
    product="OctoPrint",
    cause="A session in use never expired, so a stolen cookie was valid for the life of the account.",
    mutants=[planted.forgets_the_absolute_timeout, planted.trusts_the_browser],
)
@advisory(
    "CVE-2018-1000814",
    product="aiohttp-session",
    cause="Sending a cookie repeatedly kept its session alive for ever.",
    mutants=[planted.forgets_the_absolute_timeout],
)
def test_use_does_not_keep_a_session_for_ever(place: str, web_on: WebOn) -> None:
    """With the default settings a session in daily use ends 400 days after the login."""
    web = web_on(place)
    browser = signed_in(web)
    for _ in range(399 // 21):
        web.clock.advance(21 * DAY)
        assert who(web, browser) == "ada"
    web.clock.advance(400 * DAY - 399 // 21 * 21 * DAY)
    assert who(web, browser) is None


# --- times that are none ---------------------------------------------------------------------------------------------


def _texts() -> list[bytes]:
    good = b'{"created_at":1800000000000,"issued_at":1800000000000,"idle":2678400000,"meta":{},"payload":{"who":"eve"}}'
    texts = [good.replace(b'"created_at":1800000000000,', b"")]
    for value in (b"null", b"0", b'""', b"NaN", b"-1", b'"1800000000000"', b"1e30", b"true", b"[]"):
        texts.append(good.replace(b"1800000000000", value, 1))
        texts.append(good.replace(b"1800000000000", value))
    return texts


def _binaries() -> list[bytes]:
    payload = b"\x81\xa3who\xa3eve"
    times = (0, 1, 2**63 - 1, 2**63, 2**64 - 1)
    whole = [struct.pack(">BQQQI", 1, at, at, 31 * DAY * 1000, 0) + payload for at in times]
    return [*whole, struct.pack(">BQ", 1, 1_800_000_000_000)]


null_expiry = partial(
    advisory,
    "CVE-2026-34574",
    product="Parse Server",
    cause="A session whose expiry was null passed a truth check and never expired.",
)


@null_expiry(mutants=[planted.takes_no_time_for_never])
@requirement(
    "Catalogue T2",
    says="A record whose times are null, missing, text or absurd is expired.",
    mutants=[planted.takes_no_time_for_never],
)
def test_a_record_without_a_time_is_dead(place: str, web_on: WebOn) -> None:
    """A record whose times are null, zero, empty, missing, negative, text or absurd opens no session."""
    web = web_on(place)
    for data in (*_texts(), *_binaries()):
        browser = signed_in(web)
        handle = web.see(lambda: session.handle, browser)
        record = web.memory.load(handle)
        web.memory.replace(handle, data, expect=record.version, expires_at=record.expires_at)
        assert web.data(browser) == {}, data


def _edit_sqlite(web: Web, handle: str, value: Any) -> None:
    update = "UPDATE sessions SET expires_at = ? WHERE key = ?"
    with closing(sqlite3.connect(web.memory.path)) as database, database:
        try:
            database.execute(update, (value, bytes.fromhex(handle)))
        except sqlite3.Error:  # the table takes no such value
            database.execute(update, (0, bytes.fromhex(handle)))


def _edit_json(web: Web, handle: str, value: Any) -> None:
    entries = json.loads(web.memory.path.read_text())
    entries = {handle: {**entries[handle], "expires_at": value}}
    web.memory.path.write_text(json.dumps(entries))


def _edit_mongodb(web: Web, handle: str, value: Any) -> None:
    web.memory._run(lambda sessions: sessions.update_one({"_id": handle}, {"$set": {"expires_at": value}}))


def _edit_redis(web: Web, handle: str, value: Any) -> None:
    name = web.memory._name(handle)
    stored = web.memory._client.get(name)
    web.memory._client.set(name, stored[:9] + repr(value).encode().rjust(16)[:16] + stored[25:])


_EDITS: dict[str, Callable[[Web, str, Any], None]] = {
    "SQLiteStore": _edit_sqlite,
    "JSONFileStore": _edit_json,
    "MongoDBStore": _edit_mongodb,
    "RedisStore": _edit_redis,
}


@null_expiry(mutants=[planted.takes_anything_for_a_time])
@requirement(
    "Catalogue T2",
    says="A record whose expiry in the store is no time is expired.",
    mutants=[planted.takes_anything_for_a_time],
)
@pytest.mark.kinds("sqlite", "json", "mongodb", "redis")
def test_an_expiry_that_is_no_time_is_no_life(place: str, web_on: WebOn) -> None:
    """A record whose expiry was changed to null, zero, empty, negative, text or not a number opens no session."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    edit = _EDITS[type(web.memory).__name__]
    values: list[Any] = [None, 0, "", -1, "never", math.nan, math.inf, True, [], 1e30]
    for value in values:
        browser = signed_in(web)
        edit(web, web.see(lambda: session.handle, browser), value)
        seen: list[Any] = []
        response = web.do(partial(_look, seen), browser)
        # One file that is damaged is out of service until somebody has looked at it.
        assert (response.status_code, seen) in ((200, [None]), (503, [])), value
        if response.status_code == 503:
            web.memory.path.unlink()


def _look(seen: list[Any]) -> None:
    seen.append(session.get("who"))


@null_expiry(mutants=[planted.takes_nothing_for_never])
@requirement(
    "Catalogue T4",
    says="Every lifetime has an end: zero, negative and non-numeric ones are refused.",
    mutants=[planted.takes_nothing_for_never],
)
def test_no_timeout_is_never_switched_off(web_on: WebOn) -> None:
    """A timeout of zero, empty, negative or no number is refused, and None is the default."""
    for name in ("PERMANENT_SESSION_LIFETIME", "SESSION_ABSOLUTE_LIFETIME"):
        for value in (0, "", -1, math.nan, math.inf, "never"):
            with pytest.raises(ConfigurationError, match=name):
                web_on("memory://", **{name: value})
    web = web_on("memory://", SESSION_ABSOLUTE_LIFETIME=None, PERMANENT_SESSION_LIFETIME=400 * DAY)
    browser = signed_in(web)
    web.clock.advance(399 * DAY)
    assert who(web, browser) == "ada"
    web.clock.advance(DAY)
    assert who(web, browser) is None

"""The result for every invalid cookie, unless its test states another: anonymous, at almost no cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.web import Web, cookies_set
from werkzeug.test import TestResponse

from holdfast.flask import session
from holdfast.records.tokens import is_token

#: User agents ignore a cookie whose name and value exceed this many bytes.
_LARGEST = 4096


def user() -> str:
    """Return who the session says it is, as a view."""
    return str(session.get("user"))


def owner() -> str:
    """Return the value of the user that the session belongs to, as a view. It is ``None`` for nobody's."""
    return str(session.owner)


def write() -> None:
    """Store something, as a view."""
    session["user"] = "newcomer"


def victim(web: Web) -> str:
    """Sign a victim in, and return the token."""
    web.put(user="victim")
    token = web.token() or ""
    assert send(web, f"session={token}").text == "victim", "the harness is alive"
    return token


def send(web: Web, header: str | bytes, view: Callable[[], Any] = user, **environ: str) -> TestResponse:
    """Send *header* as the ``Cookie`` header, byte by byte as it is, and return the response."""
    raw = header.encode() if isinstance(header, str) else header
    environ["HTTP_COOKIE"] = raw.decode("latin-1")
    return web.do(view, web.app.test_client(use_cookies=False), environ_overrides=environ)


def reason_for(value: str | bytes, *, signed: bool = False) -> str | None:
    """Return why *value* as our cookie is rejected: None if it is empty."""
    raw = value.encode() if isinstance(value, str) else value
    own = raw.partition(b";")[0].strip(b" \t").decode("latin-1")
    if not own:
        return None
    if len("session") + len(own) > _LARGEST:
        return "too_long"
    if not is_token(own.partition(".")[0] if signed else own):
        return "malformed"
    return "bad_signature" if signed else "unknown_id"


def assert_nobody(web: Web, value: str | bytes, *, signed: bool = False) -> None:
    """Assert that *value* as our cookie is anonymous: see `assert_header_nobody`.

    At most one record is loaded where it has the shape of a token and is not *signed*, and none otherwise.
    """
    raw = value.encode() if isinstance(value, str) else value
    reason = reason_for(raw, signed=signed)
    assert_header_nobody(web, b"session=" + raw, reason, loads=int(reason == "unknown_id"))


def assert_header_nobody(web: Web, header: str | bytes, reason: str | None, *, loads: int = 0) -> None:
    """Assert that a request with *header* is anonymous, is reported once, with *reason*, and changes nothing.

    The response is the view's own. It sets no cookie, only one signal is sent, and the store loads at most *loads*
    records and gets no other call. None for *reason*: no rejection is expected.
    """
    web.store.reset()
    web.take_heard()
    response = send(web, header)
    assert (response.status_code, response.text) == (200, "None"), header
    assert not cookies_set(response, web.app.config["SESSION_COOKIE_NAME"]), header
    assert set(web.store.counts) <= {"load"}, header
    assert web.store.counts["load"] <= loads, header
    expected = [] if reason is None else [("rejected", {"reason": reason, "transport": "cookie"})]
    assert web.take_heard() == expected, header


def assert_fresh_id(web: Web, header: str | bytes) -> None:
    """Assert that data stored under *header* gets an id of its own, without any part of *header*."""
    response = send(web, header, write)
    [cookie] = cookies_set(response)
    token = cookie.partition("=")[2].partition(";")[0]
    raw = header.encode() if isinstance(header, str) else header
    assert (response.status_code, is_token(token[:43]), token[:43].encode() in raw) == (200, True, False), header

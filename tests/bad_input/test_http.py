"""Methods, statuses and connections: none creates a session, and a broken request changes none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bad_input import planted_value as planted
from bad_input.serving import listening
from security.bugs import records_for_everybody
from security.rows import requirement
from support.application import BASE, Site

SiteOn = Callable[..., Site]


@requirement(
    "Catalogue H",
    says="No method and no status creates a session for a visitor, and a failed response saves no partial change.",
    mutants=[records_for_everybody, planted.failures_are_saved],
)
def test_no_method_and_no_status_makes_a_session(place: str, site_on: SiteOn) -> None:
    """HEAD, OPTIONS, 404, 405, 413 and 500 with and without a session, on every store: no cookie, no write."""
    site = site_on(place, MAX_CONTENT_LENGTH=1000)
    ada = site.jar()
    ada.login("ada")
    before = site.records()
    requests: list[tuple[str, str, dict[str, Any], set[int]]] = [
        ("HEAD", "/me", {}, {200}), ("OPTIONS", "/me", {}, {200}), ("GET", "/nowhere", {}, {404}),
        ("DELETE", "/me", {}, {405}), ("PUT", "/set", {}, {405}), ("GET", "/error", {}, {500}),
        ("TRACE", "/me", {}, {405}),
        ("POST", "/set", {"data": {"k": "a", "v": "x" * 5000}}, {413}), ("POST", "/set", {"data": {"v": "x"}}, {400}),
        ("GET", "/noop", {}, {200}), ("GET", "/secret", {}, {200, 401, 403}),
    ]  # fmt: skip
    for jar in (site.jar(), site.jar("junk"), ada):
        for method, path, named, statuses in requests:
            response = jar.open(method, path, **named)
            assert response.status_code in statuses, (method, path)
            assert not response.headers.getlist("Set-Cookie"), (method, path)
            assert method != "HEAD" or response.data == b""
    assert site.records() == before
    assert ada.me() == "ada"


@requirement(
    "Catalogue H",
    says="An aborted or invalid request changes no session and breaks no later one.",
    mutants=[planted.failures_are_saved, records_for_everybody],
)
def test_broken_connections_change_nothing(place: str, site_on: SiteOn) -> None:
    """HTTP/1.0, pipelined requests, bodies cut off or garbage, and clients that disconnect, on every store."""
    site = site_on(place)
    ada = site.jar()
    ada.login("ada")
    cookie = f"Cookie: {site.cookie_name}={ada.token}\r\n".encode()
    host = BASE.partition("//")[2].strip("/").encode()
    head = b"Host: " + host + b"\r\n" + cookie
    form = head + b"Content-Type: application/x-www-form-urlencoded\r\n"
    before = site.records()
    with listening(site) as raw:
        assert b'"ada"' in raw(b"GET /me HTTP/1.0\r\n" + head + b"\r\n")
        one = b"GET /me HTTP/1.1\r\nHost: " + host + b"\r\n"
        pipelined = raw(one + cookie + b"\r\n" + one + b"\r\n" + one + b"Connection: close\r\n\r\n")
        assert [part.count(b'"ada"') for part in pipelined.split(b"HTTP/1.")[1:]][:3] in ([1, 0, 0], [1])
        for request in (
            b"POST /set HTTP/1.1\r\n" + form + b"Transfer-Encoding: chunked\r\n\r\nzz\r\ngarbage",
            b"POST /set HTTP/1.1\r\n" + form + b"Content-Length: 1000\r\n\r\nk=a",
            b"POST /set HTTP/1.1\r\n" + form + b"Content-Length: -1\r\n\r\n",
            b"POST /set HTTP/1.1\r\n" + form + b"Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc",
            b"GET /error HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n",
            b"GET /me HTTP/9.9\r\n" + head + b"\r\n",
            b"\x00\x01\x02\r\n\r\n",
            b"GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ):
            assert b"Set-Cookie" not in raw(request), request[:60]
            raw(request, hang_up=True)
        raw(b"GET /stream HTTP/1.1\r\n" + head + b"\r\n", hang_up=True)
        assert b'"ada"' in raw(b"GET /me HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
    assert site.records() == before

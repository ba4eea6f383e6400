"""The headers for caches: Vary and Cache-Control."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest
from flask import Response, abort, make_response, send_file, stream_with_context
from support.web import STRANGER, Web, cookies_set, end, rotate, varies

from holdfast.flask import session

ACCESSES = {
    "in": lambda: "a" in session,
    "len": lambda: len(session),
    "bool": lambda: bool(session),
    "iterate": lambda: list(session),
    "items": lambda: list(session.items()),
    "get": lambda: session.get("a"),
    "item": lambda: session["a"],
    "permanent": lambda: session.permanent,
    "equality": lambda: session == {},
    "set": lambda: session.update(a=2),
    "pop": lambda: session.pop("a"),
    "setdefault": lambda: session.setdefault("b", 1),
    "end": end,
    "rotate": rotate,
    "handle": lambda: session.handle,
}


@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES)
def test_any_access_varies_by_cookie(web: Web, access: Callable[[], Any]) -> None:
    """A response that the session had any part in is never served to somebody else by a cache."""
    web.put(a=1)
    assert varies(web.do(access).headers) == ["cookie"]


@pytest.mark.parametrize("name", ["in", "len", "get", "items"])
@pytest.mark.parametrize("cookie", [None, "nonsense", STRANGER])
def test_an_access_without_a_session_varies_too(web: Web, name: str, cookie: str | None) -> None:
    """A page for a visitor without a session depends on that, so it varies as well."""
    assert varies(web.do(ACCESSES[name], web.with_token(cookie)).headers) == ["cookie"]


def test_no_access_does_not_vary(web: Web) -> None:
    """A response that the session had no part in can be cached for everybody."""
    web.put(a=1)
    response = web.do(lambda: None)
    assert varies(response.headers) == []
    assert "Cache-Control" not in response.headers


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ("Accept-Encoding", "Accept-Encoding, Cookie"),
        ("Accept-Encoding, Accept-Language", "Accept-Encoding, Accept-Language, Cookie"),
        ("Accept-Encoding ,X-A", "Accept-Encoding ,X-A, Cookie"),
        ("Cookie", "Cookie"),
        ("X-A,  cookie", "X-A,  cookie"),
        ("X-Cookie", "X-Cookie, Cookie"),
        ("*", "*"),
        ("X-A, *", "X-A, *, Cookie"),
        (" ", "Cookie"),
    ],
)
def test_the_application_s_vary_is_kept(web: Web, own: str, sent: str) -> None:
    """Cookie is added to what the application says, once; ``*`` by itself, which caches know only so, stays."""
    web.put(a=1)
    response = web.do(lambda: Response(str(session["a"]), headers={"Vary": own}))
    assert response.headers.getlist("Vary") == [sent]


def test_every_vary_header_is_kept(web: Web) -> None:
    """Several headers of the application are sent as one."""
    web.put(a=1)
    headers = [("Vary", "X-A"), ("Vary", "X-B, X-C")]
    response = web.do(lambda: Response(str(session["a"]), headers=headers))
    assert response.headers.getlist("Vary") == ["X-A, X-B, X-C, Cookie"]


LATE: dict[str, Callable[[Iterator[str]], Iterator[str]]] = {
    "generator": stream_with_context,
    "map": lambda parts: map(str.title, stream_with_context(parts)),
    "chain": lambda parts: chain(["the page of "], stream_with_context(parts)),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_stream_varies_before_it_is_known_what_it_reads(
    web: Web, late: Callable[[Iterator[str]], Iterator[str]]
) -> None:
    """An iterator may read the session after the headers left, so its response varies; files and error pages do not."""
    web.put(a="ada")
    response = web.do(lambda: Response(late(session["a"] for _ in range(1))))
    assert response.get_data(as_text=True).lower().endswith("ada")
    assert varies(response.headers) == ["cookie"]

    def file() -> Response:
        return send_file(io.BytesIO(b"file"), mimetype="text/plain", conditional=True)

    for headers in ({}, {"Range": "bytes=1-2"}):
        assert varies(web.do(file, headers=headers).headers) == []
    assert varies(web.do(lambda: abort(404)).headers) == []


def test_a_cookie_makes_the_response_private(web: Web) -> None:
    """A response that carries our cookie is for one browser only; one that does not is as the application made it."""
    assert web.put(a=1).headers["Cache-Control"] == "private"
    assert "Cache-Control" not in web.do(lambda: session["a"]).headers
    assert web.do(end).headers["Cache-Control"] == "private"


def test_the_application_s_cache_control_is_kept(web: Web) -> None:
    """An application that says that its response may not be cached has the last word."""

    def view() -> Response:
        session["a"] = 1
        return Response("done", headers={"Cache-Control": "no-store"})

    response = web.do(view)
    assert cookies_set(response)
    assert response.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ("public, max-age=60", "max-age=60, private"),
        ("max-age=60, S-MAXAGE=600", "max-age=60, private"),
        ("no-cache", "no-cache, private"),
        ("Private, max-age=60", "Private, max-age=60"),
        ('private="Set-Cookie"', 'private="Set-Cookie"'),
        ("public, no-store", "public, no-store"),
        ("", "private"),
    ],
)
def test_no_shared_cache_keeps_a_cookie(web: Web, own: str, sent: str) -> None:
    """Directives that let a shared cache store a response with our cookie are removed; the rest stays."""
    response = web.do(lambda: (session.update(a=1), Response("done", headers={"Cache-Control": own}))[1])
    assert cookies_set(response)
    assert response.headers.getlist("Cache-Control") == [sent]


def _error_page() -> None:
    session["a"] = 2
    abort(404)


def _not_modified() -> Response:
    session["a"] = 2
    return make_response("", 304)


def _file() -> Response:
    session["a"] = 2
    return send_file(io.BytesIO(b"file"), mimetype="text/plain")


def _stream() -> Response:
    session["a"] = 2
    return Response(stream_with_context(str(session["a"]) for _ in range(2)))


@pytest.mark.parametrize("view", [_error_page, _not_modified, _file, _stream])
def test_every_kind_of_response(web: Web, view: Callable[[], Any]) -> None:
    """Error pages, 304s, files and streams carry the cookie and the headers as any other response."""
    response = web.do(view)
    assert cookies_set(response)
    assert "cookie" in varies(response.headers)
    assert "private" in response.headers["Cache-Control"]
    assert web.data() == {"a": 2}

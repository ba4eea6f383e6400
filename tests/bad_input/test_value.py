"""The catalogue of bad input, applications and connections: no session is partly stored or lost silently."""

from __future__ import annotations

import logging
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from bad_input import planted_value as planted
from flask import Response, abort, copy_current_request_context, g, request, stream_with_context
from markupsafe import Markup
from security.bugs import both_ids_live, records_for_everybody
from security.rows import requirement
from security.steps import WebOn
from support.application import BASE, Site
from support.web import Web, cookies_set
from werkzeug.serving import WSGIRequestHandler, make_server

from holdfast.errors import EncodeError, RecordTooLarge
from holdfast.flask import session

SiteOn = Callable[..., Site]


# --- W1: values -------------------------------------------------------------------------------------------------------


class Lazy:
    """Text that is made when it is needed, as translations are."""

    def __str__(self) -> str:
        return "hello"


def cycle() -> Any:
    """Return a list that holds itself."""
    loop: list[Any] = []
    loop.append({"again": loop})
    return loop


def deep(levels: int) -> Any:
    """Return so many lists in each other."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


KEPT: dict[str, Any] = {
    "set": {1, "a", (2, 3)},
    "frozenset": frozenset({1}),
    "bytes": b"\x00\xff",
    "decimal": Decimal("1.10"),
    "aware": datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc),
    "naive": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001  # as applications write them
    "date": date(2026, 1, 2),
    "span": timedelta(days=-1, microseconds=1),
    "tuple": (1, (2, [3])),
    "int keys": {1: "one", (1, 2): "pair", None: 0},
    "big": 2**70,
    "infinity": math.inf,
    "markup": Markup("<b>bold</b>"),
    "uuid": UUID(int=7),
    "text": "zürich 🍪 \x00 \u2028",
}
REFUSED: dict[str, Callable[[], Any]] = {
    "cycle": cycle,
    "100,000 deep": lambda: deep(100_000),
    "40 deep": lambda: deep(40),
    "surrogate": lambda: "a\ud800",
    "object": object,
    "generator": lambda: (each for each in (1, 2)),
    "lazy": Lazy,
    "function": lambda: len,
    "class": lambda: int,
    "memory": lambda: memoryview(b"x"),
}


@requirement(
    "Catalogue W1",
    says="A supported value is returned unchanged; an unsupported one is an error that names the key, without a write.",
    mutants=[planted.values_become_text, planted.bad_values_are_left_out, planted.any_depth, planted.tuples_are_lists],
)
def test_values_are_kept_or_refused(place: str, web_on: WebOn) -> None:
    """On every store, and in both formats: equal and of its type; or a TypeError, no write, and the old session."""
    for format_ in formats(place):
        web = web_on(place, SESSION_SERIALIZATION_FORMAT=format_)
        web.put(**KEPT)
        found: dict[str, Any] = web.data()
        assert found.keys() == KEPT.keys()
        for name, value in KEPT.items():
            assert found[name] == value, name
            assert type(found[name]) is type(value), name
        assert type(found["tuple"][1]) is tuple
        web.browser = web.app.test_client()
        web.put(cart=[1])
        token = web.token()
        for name, make in REFUSED.items():
            for put in (_put_beside, _put_within):
                web.store.reset()
                said = error_of(web, partial(put, make))
                assert isinstance(said, EncodeError | TypeError), name
                assert "odd" in str(said), name
                assert set(web.store.counts) <= {"load"}, name
                assert (web.data(), web.token()) == ({"cart": [1]}, token), name


def formats(place: str) -> tuple[str, ...]:
    """Return the formats to try: to a store one is like the other, unless it looks into them."""
    return ("msgpack", "json") if place.startswith(("memory", "json")) else ("msgpack",)


def _put_beside(make: Callable[[], Any]) -> None:
    session["cart"] = [2]
    session["odd"] = make()


def _put_within(make: Callable[[], Any]) -> None:
    session["cart"] = [{"odd": {"list": [make()]}}]


def error_of(web: Web, view: Callable[[], Any]) -> BaseException | None:
    """Return what reaches the server of a request that fails, or None when it does not."""
    try:
        web.do(view)
    except Exception as error:  # noqa: BLE001  # any of them is checked
        return error
    return None


@requirement(
    "Catalogue W1",
    says="A session that is too large is an error, on every store, and the stored one is unchanged.",
    mutants=[planted.no_size_limit],
)
def test_what_is_too_large_is_refused(place: str, web_on: WebOn) -> None:
    """One byte over the default limit of 1 MiB: an error, no cookie, the old session; a smaller one is stored whole."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(cart=[1])
    for size in (1 << 20, (1 << 20) + 1, 4 << 20):
        text = "x" * size
        for browser in (web.browser, web.app.test_client()):
            response = web.do(partial(session_update, text), browser)
            assert (response.status_code, cookies_set(response)) == (500, []), size
        assert web.data() == {"cart": [1]}
    assert isinstance(error_of(web_on(place), partial(session_update, "x" * (1 << 20))), EncodeError | RecordTooLarge)
    text = "x" * 900_000
    web.put(note=text)
    assert web.data() == {"cart": [1], "note": text}


def session_update(text: str) -> None:
    """Put *text* into the session, as a view."""
    session["note"] = text


# --- W2: names --------------------------------------------------------------------------------------------------------

NAMES = [
    "__class__", "__proto__", "__dict__", "_id", "$set", "$where", "a.b", "a", "", " ", "\x00", "\n", "payload", "meta",
    "created_at", "issued_at", "idle", "version", "expires_at", "owner", "data", "key", "base64", " t", " di",
    "__ext__",
    "$", "$t", "'; --", "%s", "{0}", "\U0001f36a", "\u2028", "k" * 5000,
]  # fmt: skip


@requirement(
    "Catalogue W2",
    says="Any key is data, and none has a special meaning for the store, a format or Holdfast.",
    mutants=[planted.names_are_metadata, planted.keys_are_paths],
)
def test_any_key_is_data(place: str, web_on: WebOn) -> None:
    """Names with a meaning in Python, MongoDB, JSON and Holdfast, and 10,000 keys, both formats, every store."""
    for format_ in formats(place):
        web = web_on(place, SESSION_SERIALIZATION_FORMAT=format_)
        values: dict[str, Any] = {name: {name: [name]} for name in NAMES}
        web.do(partial(_update, values))
        assert web.data() == values
        web.do(lambda: session.pop("_id"))
        del values["_id"]
        assert web.data() == values
        many = {f"key{number}": number for number in range(10_000)}
        web.browser = web.app.test_client()
        web.do(partial(_update, many))
        web.put(key0="changed")
        assert web.data() == {**many, "key0": "changed"}


def _update(values: dict[str, Any]) -> None:
    session.update(values)


# --- W3: moments ------------------------------------------------------------------------------------------------------

LATE = "the session was changed after the response was saved"


@requirement(
    "Catalogue W3",
    says="A late change is logged, and one in time is saved, in every phase of a request.",
    mutants=[planted.late_changes_pass],
)
def test_no_change_is_lost_in_silence(place: str, web_on: WebOn, caplog: pytest.LogCaptureFixture) -> None:
    """In after_request and in a thread in time: saved. In teardown, in a stream and in a late thread: a warning."""
    caplog.set_level(logging.WARNING, "holdfast")
    web = web_on(place)
    web.app.after_request(_count)
    web.app.teardown_request(_late)
    web.put(a=1)
    assert web.data()["seen"] == 1
    assert caplog.records == []

    web.do(lambda: setattr(g, "late", True))
    assert caplog.text.count(LATE) == 1
    assert web.data()["a"] == 1

    caplog.clear()
    go, threads = threading.Event(), list[threading.Thread]()
    web.do(partial(_in_threads, go, threads))
    go.set()
    threads[0].join()
    assert caplog.text.count(LATE) == 1
    assert web.data()["a"] == "in time"

    caplog.clear()
    response = web.do(lambda: Response(stream_with_context(_pieces())))
    assert response.text == "in time"
    assert caplog.text.count(LATE) == 1
    assert web.data()["a"] == "in time"


def _count(response: Any) -> Any:
    session["seen"] = session.get("seen", 0) + 1
    return response


def _late(_error: BaseException | None) -> None:
    if g.get("late"):
        session["a"] = 2


def _in_threads(go: threading.Event, threads: list[threading.Thread]) -> None:
    @copy_current_request_context
    def in_time() -> None:
        session["a"] = "in time"

    @copy_current_request_context
    def too_late() -> None:
        go.wait(10)
        session["a"] = "too late"

    first = threading.Thread(target=in_time)
    first.start()
    first.join()
    threads.append(threading.Thread(target=too_late))
    threads[0].start()


def _pieces() -> Iterator[str]:
    yield str(session["a"])
    session["a"] = "streamed"


@requirement(
    "Catalogue W3",
    says="After a logout in the same request, an abort, or an error, the stored session is as documented.",
    mutants=[both_ids_live, planted.failures_are_saved, planted.saves_at_once],
)
def test_every_moment_has_its_result(place: str, web_on: WebOn) -> None:
    """After a logout a new id; in before_request and error handlers as in views; a 5xx saves only a logout."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.app.before_request(_abort_some)
    web.app.register_error_handler(418, _teapot)
    web.put(cart=[1])
    token = web.token()
    assert web.do(_fail).status_code == 500
    assert web.data() == {"cart": [1]}
    assert web.do(lambda: None, headers={"X-Abort": "403"}).status_code == 403
    assert web.data() == {"cart": [1], "aborted": 403}
    assert web.do(lambda: None, headers={"X-Abort": "503"}).status_code == 503
    assert web.data() == {"cart": [1], "aborted": 403}
    assert web.do(lambda: abort(418)).text == "teapot"
    assert web.data()["handled"] is True
    assert web.token() == token

    [cookie] = cookies_set(web.do(_start_over))
    assert web.token() != token
    assert str(web.token()) in cookie
    assert web.data() == {"fresh": True}
    assert web.data(web.with_token(token)) == {}
    token = web.token()
    assert web.do(_log_out_and_fail).status_code == 500
    assert web.data(web.with_token(token)) == {}


def _abort_some() -> None:
    if code := request.headers.get("X-Abort"):
        session["aborted"] = int(code)
        abort(int(code))


def _teapot(_error: Exception) -> str:
    session["handled"] = True
    return "teapot"


def _fail() -> None:
    session["half"] = "done"
    session["cart"].append(2)
    raise RuntimeError("the view failed")


def _start_over() -> None:
    session.clear()
    session["fresh"] = True


def _log_out_and_fail() -> None:
    session.clear()
    raise RuntimeError("the view failed after the logout")


@requirement(
    "Catalogue W3",
    says="A nested application context, a nested request, and code outside both behave as without Holdfast.",
    mutants=[planted.contexts_share],
)
def test_contexts_do_not_mix(place: str, web_on: WebOn) -> None:
    """An application context within a request does not change its session; another request has its own."""
    web = web_on(place)
    web.put(a=1)
    other = web.app.test_client()
    web.do(partial(_nested, web, other))
    assert web.data() == {"a": 1, "b": 2, "c": 3}
    assert web.data(other) == {"inner": True}
    with web.app.app_context(), pytest.raises(RuntimeError):
        session["a"] = 2
    assert web.data() == {"a": 1, "b": 2, "c": 3}


def _nested(web: Web, other: Any) -> None:
    session["b"] = 2
    with web.app.app_context():
        assert _reached() in (None, 1)  # by the version of Flask
    web.do(lambda: session.update(inner=True), other)
    assert "b" not in web.data(web.twin())
    session["c"] = 3


def _reached() -> Any:
    with suppress(RuntimeError):
        return session.get("a")
    return None


# --- H: methods, statuses, connections --------------------------------------------------------------------------------


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


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # Werkzeug's name
        """Say nothing."""


@contextmanager
def listening(site: Site) -> Iterator[Callable[..., bytes]]:
    """Serve *site* on a port; give what sends bytes there, and returns the answer, or hangs up before it."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def raw(request: bytes, *, hang_up: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
            connection.sendall(request)
            if hang_up:
                return b""
            connection.shutdown(socket.SHUT_WR)
            received = bytearray()
            try:
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
            return bytes(received)

    try:
        yield raw
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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

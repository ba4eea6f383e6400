"""Bytes that no browser sends, to real servers: input that reaches the application never breaks it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from bad_input import cookies
from bad_input.serving import Quiet
from support.shop import create_app
from support.wsgi import Server, served
from werkzeug.serving import make_server


@pytest.fixture(scope="module", params=["gunicorn", "werkzeug"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return two servers, by turns: one that is strict about HTTP, one that passes almost anything on."""
    url = f"sqlite:///{tmp_path_factory.mktemp('raw')}/sessions.db"
    if request.param == "gunicorn":
        with served(url, workers=1) as server:
            yield server
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_SHOP", f'{{"SESSION_STORE": "{url}"}}')
        app = create_app()
    lax = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=lax.serve_forever)
    thread.start()
    yield Server(lax.server_port, 0)
    lax.shutdown()
    thread.join()
    lax.server_close()
    app.extensions["holdfast"].manager.store.close()


@pytest.fixture(scope="module")
def cookie(server: Server) -> str:
    """Return the cookie of a session."""
    with server.client() as client:
        client.visit("/put?a=victim")
        assert client.cookie is not None
        return client.cookie


def ask(server: Server, *headers: bytes, target: bytes = b"GET /data HTTP/1.1") -> tuple[int, bytes]:
    """Send a request with *headers*; return the status of the answer and all of it. 0 is no answer."""
    answer = server.raw(b"\r\n".join([target, b"Host: localhost", b"Connection: close", *headers, b"", b""]))
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0, answer


def test_the_cookie_opens_the_session(server: Server, cookie: str) -> None:
    """The harness is alive."""
    status, answer = ask(server, b"Cookie: session=" + cookie.encode())
    assert status == 200
    assert b"victim" in answer


VALUES = [
    *(bytes([byte]) for byte in [*range(0x20), 0x7F, 0x80, 0xA0, 0xFF]),
    b"\xc3\x28\xf0\x28\x8c\xbc", b'"x\\"y', b'"\\101\\102"', b"../../etc/passwd", b"x\r\n flush_all", b"x\r\nX-Evil: 1",
    b"A" * 5000, b"A" * 60_000, *cookies.NOT_ASCII,
]  # fmt: skip


def test_bytes_in_the_value(server: Server, cookie: str) -> None:
    """For any value of the cookie, in place of the token or around it, the response is no error of ours."""
    token = cookie.encode()
    for value in VALUES:
        for sent in (value, value + token, token[:20] + value + token[20:], token[:42] + value):
            status, answer = ask(server, b"Cookie: session=" + sent)
            assert status < 500, sent
            assert b"victim" not in answer or (sent.strip() == token or sent.split(b"\r")[0] == token), sent
            assert b"Set-Cookie" not in answer, sent
            assert b"X-Evil" not in answer, sent


NAMES = [
    b"SESSION",
    b"=session",
    b"$session",
    b"sess%69on",
    b"\x00session",
    b"session\x00",
    b"\xffsession",
    b'"session"',
]


def test_bytes_in_the_name(server: Server, cookie: str) -> None:
    """A name that is not ours to the byte is another cookie's."""
    for name in NAMES:
        status, answer = ask(server, b"Cookie: " + name + b"=" + cookie.encode())
        assert status < 500, name
        assert b"victim" not in answer, name


def test_another_site_s_bytes_do_not_lock_anybody_out(server: Server, cookie: str) -> None:
    """Beside a cookie that is not UTF-8 the session is still found."""
    status, answer = ask(server, b"Cookie: other=\xff\xfe; session=" + cookie.encode())
    assert status == 200
    assert b"victim" in answer


@pytest.mark.parametrize("headers", [1, 2, 50])
def test_several_cookie_headers(server: Server, cookie: str, headers: int) -> None:
    """Cookies spread over several headers are read, first or last, and beside ones of our name that are unknown."""
    ours = b"Cookie: session=" + cookie.encode()
    for others in ([b"Cookie: c=v"] * headers, [b"Cookie: session=" + b"A" * 43] * headers):
        for sent in ([*others, ours], [ours, *others]):
            status, answer = ask(server, *sent)
            assert status == 200
            assert b"victim" in answer


def test_many_cookies(server: Server, cookie: str) -> None:
    """A header as long as servers take it is read to its end, and a longer one is refused by the server."""
    for count in (100, 900, 3000):
        pairs = b"; ".join(b"c%d=v" % number for number in range(count))
        status, answer = ask(server, b"Cookie: " + pairs + b"; session=" + cookie.encode())
        assert status in (200, 400, 431)
        assert (status == 200) == (b"victim" in answer)


@pytest.mark.parametrize(
    "target",
    [b"HEAD /data HTTP/1.1", b"OPTIONS /data HTTP/1.1", b"GET /nowhere HTTP/1.1", b"DELETE /data HTTP/1.1",
     b"GET /data HTTP/1.0", b"TRACE /data HTTP/1.1", b"GET http://evil.example/data HTTP/1.1"],
)  # fmt: skip
def test_other_methods_and_targets(server: Server, cookie: str, target: bytes) -> None:
    """No method and no target makes a request with a cookie an error or sets a cookie."""
    status, answer = ask(server, b"Cookie: session=" + cookie.encode(), target=target)
    assert 0 < status < 500
    assert b"Set-Cookie" not in answer


def test_pipelined_requests(server: Server, cookie: str) -> None:
    """Requests sent in one go on one connection each have their own session."""
    ours = b"GET /data HTTP/1.1\r\nHost: localhost\r\nCookie: session=" + cookie.encode() + b"\r\n"
    nobody = b"GET /data HTTP/1.1\r\nHost: localhost\r\n"
    answer = server.raw(ours + b"\r\n" + nobody + b"\r\n" + ours + b"Connection: close\r\n\r\n")
    bodies = [part.count(b"victim") for part in answer.split(b"HTTP/1.")[1:]]
    assert bodies in ([1, 0, 1], [1])


@pytest.mark.parametrize(
    "body",
    [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 1000\r\n\r\nshort", b"Content-Length: -1\r\n\r\n"],
)
def test_broken_bodies(server: Server, cookie: str, body: bytes) -> None:
    """A request whose body is broken off or is none leaves the session as it was."""
    head = (
        b"POST /data HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: session=" + cookie.encode() + b"\r\n"
    )
    server.raw(head + body)
    status, answer = ask(server, b"Cookie: session=" + cookie.encode())
    assert status == 200
    assert b"victim" in answer


@pytest.mark.parametrize("target", [b"/data?session=%s", b"/data?cookie=session=%s", b"/data;session=%s"])
def test_a_token_in_a_url_opens_nothing(server: Server, cookie: str, target: bytes) -> None:
    """A token in a query or a path is not looked at."""
    _, answer = ask(server, target=b"GET " + target % cookie.encode() + b" HTTP/1.1")
    assert b"victim" not in answer


def test_a_token_in_another_header_or_a_form_opens_nothing(server: Server, cookie: str) -> None:
    """A token counts in the ``Cookie`` header alone."""
    token = cookie.encode()
    _, answer = ask(server, b"Authorization: Bearer " + token, b"X-Session: " + token, b"Cookie2: session=" + token)
    assert b"victim" not in answer
    form = b"session=" + token
    head = [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(form)]
    answer = server.raw(b"\r\n".join([b"POST /data HTTP/1.1", b"Host: x", b"Connection: close", *head, b"", form]))
    assert b"200 OK" in answer
    assert b"victim" not in answer

"""The required responses while a store fails, and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bad_input.answers import user
from flask import flash
from support.web import STRANGER, Web, cookies_set, end, rotate, varies
from werkzeug.test import TestResponse

from holdfast.flask import session

VIEWS: dict[str, Callable[[], Any]] = {
    "read": lambda: str(session["user"]),
    "write": lambda: session.update(a=1),
    "nested": lambda: session["cart"].append(2),
    "apply": lambda: session.apply("n", lambda n: n + 1, default=0),
    "flash": lambda: flash("hello"),
    "rotate": rotate,
    "login": lambda: session.bind("ada"),
    "logout": end,
}

BEFORE: dict[str, Any] = {"user": "victim", "cart": [1]}


def known(web: Web) -> str:
    """Give the browser of *web* a session that holds `BEFORE`, and return its token."""
    web.browser = web.app.test_client()
    assert web.put(**BEFORE).status_code == 200
    return web.token() or ""


#: The views that change the token: where it is unknown whether they did, the cookie holds both tokens.
UNSURE = ("rotate", "login")


def assert_come_back(response: TestResponse, what: object) -> None:
    """Assert that the response is a 503 with Retry-After, without a cookie, unless *what* is unsure; not cacheable."""
    assert response.status_code == 503, what
    assert int(response.headers["Retry-After"]) > 0, what
    assert [cookie for cookie in cookies_set(response) if what not in UNSURE or "~" not in cookie] == [], what
    assert response.headers["Cache-Control"] == "no-store", what
    assert "cookie" in varies(response.headers), what
    assert "victim" not in response.text, what


def later(web: Web, token: str) -> dict[str, Any]:
    """Return what a session holds as soon as the store works again, which takes seconds at most."""
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 15
    while True:
        web.take_heard()
        web.do(lambda: seen.append(dict(session)), web.with_token(token))
        if "store_unavailable" not in web.names():
            return seen[-1]
        assert time.monotonic() < deadline, "the store does not work again"
        time.sleep(0.02)


def impatient(url: str) -> str:
    """Return *url* of MariaDB with the shortest limit on the wait for an answer."""
    return f"{url}{'&' if '?' in url else '?'}read_timeout=1"


def assert_refused(
    web: Web, token: str, what: str, *, reads: bool, creates: bool = False, names: Sequence[str] = tuple(VIEWS)
) -> None:
    """Assert that the views of these *names* are 503 while a server refuses.

    Where it still *reads*, sessions can be read, and where it *creates*, new ones begin.
    """
    for name in names:
        response = web.do(VIEWS[name], web.with_token(token))
        if reads and name == "read":
            assert (response.status_code, response.text, cookies_set(response)) == (200, "victim", []), what
        else:
            assert_come_back(response, name if name in UNSURE else (what, name))
    if not creates:
        assert_come_back(web.do(VIEWS["write"], web.app.test_client()), (what, "a first write"))
    seen = web.do(user, web.with_token(STRANGER))
    assert (seen.status_code, seen.text) == (200, "None") if reads else seen.status_code == 503, what

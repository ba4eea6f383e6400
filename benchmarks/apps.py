"""The same application, with each kind of sessions and without."""

from __future__ import annotations

import itertools
import random
import secrets
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Request, session
from flask.sessions import SessionInterface
from werkzeug.http import parse_cookie
from werkzeug.test import EnvironBuilder

from benchmarks.bare import Calls
from holdfast.flask import Session
from holdfast.metrics.observer import Observer
from holdfast.records.codec import MSGPACK

#: The kinds of requests, in the order of the table.
PATHS = ("untouched", "read", "write", "first")

#: The session of a signed-in user with Flask-Login and Flask-WTF, and three items in the cart.
USER = "alice"
_RANDOM = random.Random(1)
SESSION: dict[str, Any] = {
    "user": USER,
    "fresh": True,
    "identifier": _RANDOM.randbytes(64).hex(),
    "csrf_token": _RANDOM.randbytes(20).hex(),
    "locale": "en",
    "visits": 1,
    "cart": [
        {"sku": "SKU-004711", "quantity": 2, "price": 12.5, "options": ["red", "XL"]},
        {"sku": "SKU-000815", "quantity": 1, "price": 3.0, "options": ["blue"]},
        {"sku": "SKU-001024", "quantity": 4, "price": 0.75, "options": []},
    ],
    "seen": [1, 2, 3, 5, 8, 13, 21, 34],
}
#: Its approximate size in a store.
DATA = bytes(29) + MSGPACK.dumps(SESSION)

#: The number of alternating sessions.
SESSIONS = 20

Environ = dict[str, Any]
Requests = dict[str, Iterator[Environ]]


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> Any:  # noqa: ARG002  # Flask calls it by position
        return self.make_null_session(app)


def _bare_app() -> Flask:
    app = Flask("bench", static_folder=None)
    app.secret_key = "made up for measurements: 4hZp-0sVq_TyD81c"
    return app


def without_sessions() -> Flask:
    """Return the application without sessions, the base of every overhead."""
    app = _bare_app()
    app.session_interface = _NoSessions()
    for path in PATHS:
        app.add_url_rule(f"/{path}", path, lambda: USER)
    return app


def with_calls(calls: Calls) -> Flask:
    """Return the application without sessions whose views make the bare client calls instead."""
    app = _bare_app()
    app.session_interface = _NoSessions()
    keys = [secrets.token_hex(32) for _ in range(SESSIONS)]
    for key in keys:
        calls.first(key)
    turns = itertools.cycle(keys)

    def first() -> object:
        return calls.first(secrets.token_hex(32))

    works: dict[str, Callable[[], object]] = {
        "read": lambda: calls.read(next(turns)),
        "write": lambda: calls.write(next(turns)),
        "first": first,
    }
    for path, work in works.items():
        app.add_url_rule(f"/{path}", path, _answering(work))
    return app


def _answering(work: Callable[[], object]) -> Callable[[], str]:
    def view() -> str:
        work()
        return USER

    return view


def with_cookie() -> Flask:
    """Return the application with Flask's own sessions, in a signed cookie."""
    return _with_views(_bare_app())


def with_holdfast(url: str, folder: Path, *, observer: Observer | None = None, **settings: Any) -> Flask:
    """Return the application with Holdfast's sessions in the store at *url*, with *observer* and *settings*."""
    app = _with_views(_bare_app())
    app.instance_path = str(folder)
    app.config.update(settings, SESSION_STORE=url)
    if url.startswith("json:"):
        app.config["SESSION_SERIALIZATION_FORMAT"] = "json"
    Session(app, observer=observer)
    return app


def with_flask_session(settings: Callable[[Flask], dict[str, Any]]) -> Flask:
    """Return the application with Flask-Session's sessions, by its own defaults but for *settings*."""
    import flask_session

    app = _with_views(_bare_app())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own settings
        app.config.update(settings(app))
        flask_session.Session(app)
    return app


def _with_views(app: Flask) -> Flask:
    @app.get("/untouched")
    def untouched() -> str:
        return USER

    @app.get("/read")
    def read() -> str:
        user: str = session["user"]
        return user

    @app.get("/write")
    def write() -> str:
        session["visits"] = session["visits"] + 1
        return USER

    @app.get("/first")
    def first() -> str:
        session.update(SESSION)
        return USER

    return app


def requests(app: Flask) -> Requests:
    """Make some sessions in *app*; return, by path, an endless iterator of requests, with alternating sessions."""
    cookies = [_cookie_of(app) for _ in range(SESSIONS)] if "first" in app.view_functions else []
    streams: Requests = {}
    for path in app.view_functions:
        headers = [[("Cookie", f"theme=dark; session={cookie}")] for cookie in cookies if cookie and path != "first"]
        environs = [EnvironBuilder(path=f"/{path}", headers=one).get_environ() for one in headers or [[]]]
        streams[path] = itertools.cycle(environs)
    return streams


def _cookie_of(app: Flask) -> str | None:
    response = app.test_client().get("/first")
    assert response.text == USER, f"{response.status}: {response.text}"
    return parse_cookie(response.headers.get("Set-Cookie", "")).get("session")

"""The application that people have: permanent sessions, Flask-Login, and a view that takes 20 milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask, session
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.test import TestResponse

from benchmarks.apps import USER
from holdfast.flask import Session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import CountingStore, FakeClock

#: Of each path: the most store calls.
TARGETS = {"static": 0, "health": 0, "view": 1}

#: A file is served as by `flask.Flask.static_folder`; a health check has a view without a session.
_REQUESTS, _PAUSE_MS = 100, 1000


class _User(UserMixin):  # type: ignore[misc]  # Flask-Login has no annotations
    id = USER


def _application(store: CountingStore, clock: FakeClock) -> Flask:
    app = Flask("typical", static_folder=None)
    app.secret_key = "made up for measurements: 4hZp-0sVq_TyD81c"
    app.config["SESSION_STORE"] = store
    Session(app, clock=clock)
    LoginManager(app).user_loader(lambda _id: _User())

    @app.get("/login")
    def login() -> str:
        session.permanent = True
        login_user(_User())
        return USER

    def view() -> str:
        time.sleep(0.02)
        clock.advance_ms(20)
        return str(current_user.id)

    views: dict[str, Callable[[], str]] = {"static": lambda: "body {}", "health": lambda: "ok", "view": view}
    for name, make in views.items():
        app.add_url_rule(f"/{name}", name, make)
    return app


def report() -> str:
    """Return the store calls of each kind of request, and how many responses set a cookie or vary by it."""
    clock, store = FakeClock(), CountingStore(MemoryStore())
    browser = _application(store, clock).test_client()
    browser.get("/login")
    lines = [
        f"A typical application: a permanent session, Flask-Login, a view of 20 ms; {_REQUESTS} requests of each kind,",
        f"one every {_PAUSE_MS // 1000} s",
        f"{'':10}{'store calls':>12}{'held to':>9}{'Set-Cookie':>12}{'Vary: Cookie':>14}",
    ]
    for path, most in TARGETS.items():
        store.reset()
        answers = list[TestResponse]()
        for _ in range(_REQUESTS):
            clock.advance_ms(_PAUSE_MS)
            answers.append(browser.get(f"/{path}"))
        calls = sum(store.counts.values()) / _REQUESTS
        sent, varies = (sum(name in answer.headers for answer in answers) for name in ("Set-Cookie", "Vary"))
        lines.append(f"{path:10}{calls:12.2f}{most:9}{sent:12}{varies:14}")
    return "\n".join(lines)

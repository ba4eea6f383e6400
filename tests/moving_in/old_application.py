"""An application that runs on Flask-Session and on Holdfast alike. It imports neither."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flask import Flask, flash, get_flashed_messages, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from markupsafe import Markup

#: What a view puts into a session. Flask-Session from 0.7 on turns some types into others.
VALUES: dict[str, Any] = {
    "none": None,
    "truth": True,
    "number": -(2**40),
    "large": 2**62,
    "fraction": 0.1,
    "text": "Grüße, 世界 \N{SNOWMAN}",
    "bytes": b"\x00\xff",
    "list": [1, "two", [3.0, None]],
    "dict": {"a": {"b": [1, 2]}},
    "tuple": (1, ("two", 3)),
    "set": {1, 2, 3},
    "date": dt.date(2026, 11, 29),
    "naive": dt.datetime(2026, 11, 29, 12, 30, 15, 250_000),  # noqa: DTZ001  # sessions hold such values
    "aware": dt.datetime(2026, 11, 29, 12, 30, 15, 250_000, tzinfo=dt.timezone.utc),
    "whole": dt.datetime(2026, 11, 29, 12, 30, 15, tzinfo=dt.timezone.utc),
    "early": dt.datetime(1901, 2, 3, 4, 5, 6, 7, tzinfo=dt.timezone.utc),
    "span": dt.timedelta(days=3, seconds=7),
    "price": Decimal("19.90"),
    "id": uuid.UUID("12345678-1234-5678-1234-567812345678"),
}


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no annotations
    """A user of Flask-Login's."""

    def __init__(self, name: str) -> None:
        self.id = name


def application(extend: Callable[[Flask], object], config: dict[str, Any], *, markup: bool = False) -> Flask:
    """Return the application, after *extend* has given it its sessions."""
    app = Flask("shop", static_folder=None, instance_path=config.pop("INSTANCE_PATH"))
    app.config.update(SECRET_KEY="the first key of the shop, 8Zt-1wYq", **config)
    if "db" in app.config:
        app.config.pop("db")(app)
    LoginManager(app).user_loader(User)
    extend(app)

    @app.route("/login/<user>")
    def login(user: str) -> str:
        login_user(User(user))
        session.update(VALUES, csrf_token="6f0a", **({"markup": Markup("<b>")} if markup else {}))
        flash(Markup("<b>Welcome</b>") if markup else "Welcome", "info")
        return str(current_user.id)

    @app.route("/name/<name>")
    def name(name: str) -> str:
        session["name"] = name
        return name

    @app.route("/me")
    def me() -> str:
        return str(current_user.id) if current_user.is_authenticated else str(session.get("name"))

    @app.route("/values")
    def values() -> str:
        kept = {key: value for key, value in session.items() if key not in {"_flashes", "_permanent"}}
        return repr(sorted((key, type(value).__name__, value) for key, value in kept.items()))

    @app.route("/flashes")
    def flashes() -> str:
        return repr([tuple(each) for each in get_flashed_messages(with_categories=True)])

    @app.route("/logout")
    def logout() -> str:
        logout_user()
        session.clear()
        return "bye"

    return app


def browser_of(app: Flask) -> Any:
    """Return a browser with the same ``User-Agent`` on every release of Werkzeug: Flask-Login compares it."""
    browser = app.test_client()
    browser.environ_base["HTTP_USER_AGENT"] = "a browser"
    return browser


def close(app: Flask) -> None:
    """Close the engines of the application's database."""
    with contextlib.suppress(KeyError), app.app_context():
        for engine in app.extensions["sqlalchemy"].engines.values():
            engine.dispose()

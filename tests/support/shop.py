"""The application that real WSGI servers serve in tests: ``HOLDFAST_SHOP`` holds its settings as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, request, stream_with_context

from holdfast.flask import Session, session
from holdfast.records.record import Conflict, Gone, Version
from holdfast.stores.sqlite import SQLiteStore


class CarelessStore(SQLiteStore):
    """A store that writes over whatever is there, as most session libraries do."""

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        """Write whatever the version is."""
        record = self.load(key)
        if record is None:
            return Gone()
        return super().replace(key, data, expect=record.version, expires_at=expires_at, owner=owner)


def create_app() -> Flask:
    """Return the application. A ``careless:`` URL is a SQLite file, used carelessly."""
    app = Flask("shop", static_folder=None)
    app.config.update(SECRET_KEY="made up for tests: B7u-q2Xn_fLw90Rk", **json.loads(os.environ["HOLDFAST_SHOP"]))
    scheme, _, path = app.config["SESSION_STORE"].partition(":")
    if scheme == "careless":
        app.config["SESSION_STORE"] = CarelessStore(Path(path))
    Session(app)
    views: list[Callable[[], Any]] = [noop, data, put, hit, append, login, logout, rotate, slow, fail, stream]
    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["GET", "POST"])
    return app


def noop() -> str:
    """Leave the session alone."""
    return "done"


def data() -> Response:
    """Show all of the session, and whose it is."""
    return jsonify(data=dict(session), owner=session.owner)


def put() -> str:
    """Set every key of the query."""
    session.update(request.args)
    return "done"


def hit() -> str:
    """Count, exactly."""
    return str(session.apply("hits", lambda hits: hits + 1, default=0))


def append() -> str:
    """Add an item to a list inside the session."""
    session.setdefault("items", []).append(request.args["item"])
    return "done"


def login() -> str:
    """Bind the session to a user."""
    session.bind(request.args["user"])
    return "done"


def logout() -> str:
    """End the session."""
    session.destroy()
    return "done"


def rotate() -> str:
    """Ask for a new token."""
    session.rotate()
    return "done"


def slow() -> Any:
    """Load the session, make the file ``loaded``, wait for the file ``go``, and do what ``then`` says."""
    session.get("items")
    time.sleep(0.02)
    Path(request.args["loaded"]).touch()
    deadline = time.monotonic() + 15
    while not Path(request.args["go"]).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return {"read": noop, "put": put, "hit": hit, "rotate": rotate, "login": login}[request.args["then"]]()


def fail() -> None:
    """Change the session and fail."""
    session["failed"] = True
    abort(500)


def stream() -> Response:
    """Change the session and stream for a while."""
    session["streamed"] = True
    return Response(stream_with_context(str(number) for number in range(100_000)))

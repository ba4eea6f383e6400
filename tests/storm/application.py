"""The application of the storm, which gunicorn serves. Every answer says what its view found in the session.

A *life* is what a login, or a visitor's first change, begins: a name that the browser chose, with an empty cart and a
counter at 0. A request without a life changes nothing, so that only ``/login`` and ``/begin`` begin sessions.

============================== ================================================================================
``GET /me`` *wait*             reads, after so many milliseconds
``POST /begin`` *value*        begins the life *value* of a visitor, unless there is one
``POST /login`` *user* *value* signs in, and begins the life *value*
``POST /logout``               ends the session
``POST /others``               ends the user's other sessions, as after a new password
``POST /everywhere``           ends all sessions of the user
``POST /append`` *value*       puts an item into the cart
``POST /count``                adds one to the counter, exactly
``POST /grant`` *value*        stores a coupon
``POST /redeem`` *value*       gives the coupon away, once
============================== ================================================================================
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, jsonify, request

from holdfast.flask import Session, session

#: What a coupon's key begins with.
COUPON = "coupon "

#: What the keys of one life begin with.
OF_A_LIFE = (COUPON, "cart of ", "n of ")


def create_app(store: object = None) -> Flask:
    """Return the application; ``HOLDFAST_SHOP`` holds its settings as JSON, and *store* replaces the one there."""
    app = Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY="made up for tests: B7u-q2Xn_fLw90Rk", **json.loads(os.environ["HOLDFAST_SHOP"]))
    if store is not None:
        app.config["SESSION_STORE"] = store
    sessions = Session(app)

    def everywhere() -> Response:
        """End all of the user's sessions."""
        user = found()["user"]
        if user is not None:
            sessions.revoke_all(user)
        return answer()

    views: list[Callable[[], Any]] = [begin, login, logout, others, everywhere, append, count, grant, redeem]
    app.add_url_rule("/me", view_func=me)
    for view in views:
        app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["POST"])
    app.wsgi_app = Stamped(app.wsgi_app)  # type: ignore[method-assign]
    return app


class Stamped:
    """Adds the moment at which the application was done, which is after the session was saved, to each response."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("X-Done", repr(time.monotonic()))], *rest)

        return self._app(environ, start)


def found() -> dict[str, Any]:
    """Return what is in the session before the view changes it."""
    if "found" not in g:
        life = session.get("life")
        g.found = {
            "life": life,
            "user": session.get("user"),
            "cart": list(session.get(f"cart of {life}", ())),
            "n": session.get(f"n of {life}", 0),
            "coupons": sorted(key for key in session if key.startswith(COUPON)),
            "read_only": session.read_only,
        }
    result: dict[str, Any] = g.found
    return result


def answer(given: str | None = None) -> Response:
    """Return the answer: what was found, and the coupon that is given away."""
    return jsonify(found=found(), given=given)


def _begin(user: str | None) -> None:
    # Each life has keys of its own, since a request that changes the life before at this moment may win a merge.
    for key in list(session):
        if key.startswith(OF_A_LIFE):
            del session[key]
    session.update(life=request.form["value"], user=user)


def me() -> Response:
    """Read the session."""
    response = answer()
    time.sleep(int(request.args.get("wait", 0)) / 1000)
    return response


def begin() -> Response:
    """Begin a visitor's session."""
    if found()["life"] is None:
        _begin(None)
    return answer()


def login() -> Response:
    """Sign in."""
    found()
    session.bind(request.form["user"])
    _begin(request.form["user"])
    return answer()


def logout() -> Response:
    """End the session."""
    found()
    session.destroy()
    return answer()


def others() -> Response:
    """End the user's other sessions."""
    if found()["user"] is not None:
        session.revoke_others()
    return answer()


def append() -> Response:
    """Put an item into the cart."""
    if found()["life"] is not None:
        session.setdefault(f"cart of {found()['life']}", []).append(request.form["value"])
    return answer()


def count() -> Response:
    """Count, exactly."""
    if found()["life"] is not None:
        session.apply(f"n of {found()['life']}", lambda n: n + 1, default=0)
    return answer()


def grant() -> Response:
    """Store a coupon."""
    if found()["life"] is not None:
        session[COUPON + request.form["value"]] = request.form["value"]
    return answer()


def redeem() -> Response:
    """Give a coupon away, once."""
    given = None
    if found()["life"] is not None:
        given = session.pop_once(COUPON + request.form["value"], None)
    return answer(given)

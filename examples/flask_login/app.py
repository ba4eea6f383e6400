"""Flask-Login with sessions on the server. Holdfast needs one import and one line.

Run it: ``pip install holdfast Flask-Login``, then ``SECRET_KEY=$(openssl rand -hex 32) flask run``.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, redirect, request, url_for
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from werkzeug import Response
from werkzeug.security import check_password_hash, generate_password_hash

from holdfast.flask import Session


class User(UserMixin):  # type: ignore[misc]  # Flask-Login ships no types
    """A user with a password."""

    def __init__(self, name: str, password: str) -> None:
        self.id = name
        self.password = generate_password_hash(password)


USERS = {name: User(name, "correct horse") for name in ("ada", "grace")}

FORM = '<form method="post"><input name="name"><input name="password" type="password"><button>Sign in</button></form>'


def create_app(**config: Any) -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.config.from_mapping({"SECRET_KEY": os.environ.get("SECRET_KEY"), **config})
    Session(app)
    logins = LoginManager(app)
    logins.login_view = "sign_in"
    logins.user_loader(USERS.get)

    @app.get("/")
    @login_required
    def home() -> str:
        return f'Hello, {current_user.id}. <form method="post" action="/sign-out"><button>Sign out</button></form>'

    @app.route("/sign-in", methods=["GET", "POST"])
    def sign_in() -> Response | str:
        if request.method == "GET":
            return FORM
        user = USERS.get(request.form["name"])
        if user is None or not check_password_hash(user.password, request.form["password"]):
            abort(403)
        login_user(user)
        return redirect(url_for("home"), 303)

    @app.post("/sign-out")
    def sign_out() -> Response:
        logout_user()
        return redirect(url_for("sign_in"), 303)

    return app

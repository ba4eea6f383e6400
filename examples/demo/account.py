"""The users' accounts: sign in and out, change the password, and a connection that ends with the session."""

from __future__ import annotations

import re
import socket
from typing import Any

from catalogue import OPERATORS, PASSWORD, USERS
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_sock import Sock
from werkzeug import Response
from werkzeug.security import check_password_hash, generate_password_hash

from holdfast import NotFresh
from holdfast.flask import Session, session

account = Blueprint("account", __name__)
sock = Sock()

sessions = Session()

#: A real shop stores these in its database. Here a restart resets them.
passwords = dict.fromkeys(USERS, generate_password_hash(PASSWORD))


def operator() -> str | None:
    """Return the name of the operator who sent this request, or None for other users: they get a 404."""
    user = session.get("user", "")
    return USERS[user] if user in OPERATORS else None


# --- Signing in and out ----------------------------------------------------------------------------------------------


@account.get("/sign-in")
def show_sign_in() -> str:
    """Show the login form."""
    return render_template("sign_in.html", users=USERS, operators=OPERATORS, password=PASSWORD)


@account.post("/sign-in")
def sign_in() -> Response:
    """Sign the user in if the password is right."""
    user = request.form.get("user", "")
    if not is_password_of(user, request.form.get("password", "")):
        flash("That is not the password.", "warning")
        return redirect(url_for("account.show_sign_in", next=request.args.get("next")), 303)
    begin(user)
    flash(f"Welcome, {USERS[user]}. Your session has a new token and the same data.")
    asked = request.args.get("next", "")
    return redirect(asked if re.fullmatch(r"(/[\w-]+)+/?", asked, re.ASCII) else url_for("shop.index"), 303)


def begin(user: str) -> None:
    """Bind the session to the user. It gets a new token, and the old one is invalid."""
    session.bind(user)
    session["user"] = user


def is_password_of(user: str, password: str) -> bool:
    """Return whether the password is right."""
    return user in passwords and check_password_hash(passwords[user], password)


@account.app_errorhandler(NotFresh)
def ask_again(_: NotFresh) -> Response:
    """Ask for the password again: this page requires a recent login."""
    flash("Please sign in again before you do that.", "warning")
    return redirect(url_for("account.show_sign_in", next=request.path), 303)


@account.post("/sign-out")
def sign_out() -> Response:
    """End the session. The flash message begins a new one."""
    session.destroy()
    flash("You are signed out. Your old cookie is invalid.")
    return redirect(url_for("shop.index"), 303)


# --- The account -----------------------------------------------------------------------------------------------------


@account.get("/account")
def show() -> str | Response:
    """Show the forms and the number of the user's sessions."""
    if "user" not in session:
        return redirect(url_for("account.show_sign_in", next=request.path), 303)
    devices = len(sessions.of(session["user"]))
    return render_template("account.html", devices=devices, second_browser=second_browser())


@account.post("/account/password")
def change_password() -> Response:
    """Change the password, and end every other session of the user."""
    user = session.get("user", "")
    if not is_password_of(user, request.form.get("old", "")):
        flash("That is not your password.", "warning")
    elif len(request.form.get("new", "")) < 8:
        flash("A new password has at least 8 characters.", "warning")
    else:
        passwords[user] = generate_password_hash(request.form["new"])  # first, so that the others cannot sign in again
        ended = session.revoke_others()
        flash(f"You have a new password. Other sessions ended: {ended}.")
    return redirect(url_for("account.show"), 303)


# --- The live connection ---------------------------------------------------------------------------------------------


@sock.route("/live", bp=account)  # type: ignore[untyped-decorator]  # Flask-Sock ships no types
def live(connection: Any) -> None:
    """Hold a WebSocket open while the session lives. It is checked every second, since no request is made meanwhile."""
    while "user" in session and session.still_valid():
        connection.receive(timeout=1)
    connection.close(4001, "the session has ended")
    connection.sock.shutdown(socket.SHUT_WR)  # Flask-Sock would let the development server send a response after it


def second_browser() -> str | None:
    """Return the shop's address under the other name of this machine, or None: a browser keeps other cookies there."""
    name, colon, port = request.host.partition(":")
    other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}.get(name)
    return other and f"{request.scheme}://{other}{colon}{port}/"

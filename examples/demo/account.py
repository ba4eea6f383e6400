"""The users' accounts: sign in and out, change the password, sign in on more devices."""

from __future__ import annotations

import re

from catalogue import DEVICES, OPERATORS, PASSWORD, USERS
from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.security import check_password_hash, generate_password_hash

from holdfast import NotFresh
from holdfast.flask import Session, session
from holdfast.metrics.memory import InMemoryMetrics

account = Blueprint("account", __name__)

#: The observer counts the numbers of the operator's page.
sessions = Session(observer=InMemoryMetrics())

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
    return render_template("account.html", devices=len(sessions.of(session["user"])))


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


@account.post("/account/elsewhere")
def sign_in_elsewhere() -> Response:
    """Sign the user in on an imaginary device, by a request with its User-Agent."""
    user = session.get("user")
    if user is not None:
        agent = DEVICES[len(sessions.of(user)) % len(DEVICES)]
        with current_app.test_request_context(headers={"User-Agent": agent}):
            begin(user)
            current_app.process_response(current_app.response_class())  # saves the session, like the end of a request
        flash("There is a new login to your account on another device. Is it you?")
    return redirect(url_for("devices.page"), 303)

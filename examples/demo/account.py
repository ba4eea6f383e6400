"""What users do with their accounts: sign in and out, change the password, sign in on more devices."""

from __future__ import annotations

import re

from catalogue import DEVICES, OPERATORS, PASSWORD, USERS
from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.security import check_password_hash, generate_password_hash

from holdfast import NotFresh
from holdfast.flask import Session, session
from holdfast.metrics.memory import Tally

account = Blueprint("account", __name__)

#: The tally counts what the operator's page shows.
sessions = Session(observer=Tally())

#: A real shop keeps these in its database. Here a restart brings the first password back.
passwords = dict.fromkeys(USERS, generate_password_hash(PASSWORD))


def operator() -> str | None:
    """Return the name of the operator who makes this request, or None: for everybody else there is no such page."""
    user = session.get("user", "")
    return USERS[user] if user in OPERATORS else None


# --- Signing in and out ----------------------------------------------------------------------------------------------


@account.get("/sign-in")
def show_sign_in() -> str:
    """Show the form."""
    return render_template("sign_in.html", users=USERS, operators=OPERATORS, password=PASSWORD)


@account.post("/sign-in")
def sign_in() -> Response:
    """Sign in whoever knows the password."""
    user = request.form.get("user", "")
    if not is_password_of(user, request.form.get("password", "")):
        flash("That is not the password.", "warning")
        return redirect(url_for("account.show_sign_in", next=request.args.get("next")), 303)
    begin(user)
    flash(f"Welcome, {USERS[user]}. Your session has a new token, and what was in it came along.")
    asked = request.args.get("next", "")
    return redirect(asked if re.fullmatch(r"(/[\w-]+)+/?", asked, re.ASCII) else url_for("shop.index"), 303)


def begin(user: str) -> None:
    """Bind the session to the user. It gets a new token, so whoever knew the old one is left outside."""
    session.bind(user)
    session["user"] = user


def is_password_of(user: str, password: str) -> bool:
    """Tell whether the password is right."""
    return user in passwords and check_password_hash(passwords[user], password)


@account.app_errorhandler(NotFresh)
def ask_again(_: NotFresh) -> Response:
    """Ask for the password again: what the page is about to do needs somebody who has just proved who they are."""
    flash("Please sign in again before you do that.", "warning")
    return redirect(url_for("account.show_sign_in", next=request.path), 303)


@account.post("/sign-out")
def sign_out() -> Response:
    """End the session. The message that says so begins a new one, which knows nothing of the old."""
    session.destroy()
    flash("You are signed out. The cookie you had opens nothing any more.")
    return redirect(url_for("shop.index"), 303)


# --- The account -----------------------------------------------------------------------------------------------------


@account.get("/account")
def show() -> str | Response:
    """Show the forms, and on how many devices the user is signed in."""
    if "user" not in session:
        return redirect(url_for("account.show_sign_in", next=request.path), 303)
    return render_template("account.html", devices=len(sessions.of(session["user"])))


@account.post("/account/password")
def change_password() -> Response:
    """Change the password, and end every session but this one: whoever knew the old password is out."""
    user = session.get("user", "")
    if not is_password_of(user, request.form.get("old", "")):
        flash("That is not your password.", "warning")
    elif len(request.form.get("new", "")) < 8:
        flash("A new password has at least 8 characters.", "warning")
    else:
        passwords[user] = generate_password_hash(request.form["new"])  # before the others end: they cannot come back
        ended = session.revoke_others()
        flash(f"You have a new password. Other sessions that ended: {ended}.")
    return redirect(url_for("account.show"), 303)


@account.post("/account/elsewhere")
def sign_in_elsewhere() -> Response:
    """Sign the user in on a device that is not there, by a request as it would send it."""
    user = session.get("user")
    if user is not None:
        agent = DEVICES[len(sessions.of(user)) % len(DEVICES)]
        with current_app.test_request_context(headers={"User-Agent": agent}):
            begin(user)
            current_app.process_response(current_app.response_class())  # the session is stored, as when a request ends
        flash("Somebody signed in as you, on another device. Is it you?")
    return redirect(url_for("devices.page"), 303)

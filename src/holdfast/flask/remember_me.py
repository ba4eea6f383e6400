"""Flask-Login's remember-me cookie: which browser it signs in, and whether its user's sessions were ended since.

The cookie holds the user's id alone. So each response that sets it sets another cookie beside it, with the time of
issue, signed for that user. A remember-me cookie without a valid one counts as older than everything.
"""

from __future__ import annotations

import hashlib
import sys

from flask import Flask, Request, Response
from itsdangerous import BadSignature, Signer

from holdfast.flask.settings.secret_keys import signing_keys
from holdfast.records.tokens import labelled
from holdfast.sessions.directory import Ends
from holdfast.sessions.requests import Requests
from holdfast.sessions.state import REMEMBER, SessionState


def browser_of(app: Flask, request: Request, state: SessionState) -> str | None:
    """Return what identifies the browser that a remember-me cookie signs in, or None without such a cookie.

    The cookie is the same in all of a user's browsers, so it is not enough by itself.
    """
    value = request.cookies.get(_name(app))
    if not value:
        return None
    parts = value, request.headers.get("User-Agent", ""), request.remote_addr or "", state.presented or ""
    return hashlib.sha256(labelled(*(part.encode("utf-8", "replace") for part in parts))).hexdigest()


def forget_if_ended(app: Flask, request: Request, state: SessionState, manager: Requests) -> None:
    """Make Flask-Login ignore and delete a remember-me cookie that was issued before its user's sessions were ended.

    Raises:
        StoreUnavailable: The store failed: it is not known.
    """
    name = _name(app)
    # Most requests have none, and to find out that does not take the parsing of all their cookies.
    value = request.cookies.get(name) if name in request.environ.get("HTTP_COOKIE", "") else None
    user_id = sys.modules["flask_login"].decode_cookie(value, key=app.secret_key) if value else None
    if not user_id or not isinstance(manager, Ends):
        return
    owner = manager.keys.owner_of(user_id)
    try:
        issued_at = int(_signer(app, manager, owner).unsign(request.cookies.get(_name_of_time(app), "")))
    except (BadSignature, ValueError):
        issued_at = 0
    if manager.ended_since(owner, issued_at):
        state.data[REMEMBER] = "clear"


def ignore(app: Flask, request: Request, state: SessionState) -> None:
    """Make Flask-Login ignore a remember-me cookie: it signs nobody in whose token is in a header.

    Otherwise a script in a page, which cannot read the cookie, could get a token for it that it can read.
    """
    if hasattr(app, "login_manager") and _name(app) in request.cookies:
        state.data[REMEMBER] = "clear"


def withhold(app: Flask, response: Response) -> None:
    """Take out of *response* what Flask-Login sets or deletes of the remember-me cookie."""
    kept = [each for each in response.headers.getlist("Set-Cookie") if each.partition("=")[0] != _name(app)]
    response.headers.setlist("Set-Cookie", kept)


def stamp(app: Flask, response: Response, state: SessionState, manager: Requests) -> None:
    """Set or delete the cookie with the time of issue, as *response* sets or deletes the remember-me cookie."""
    owner = state.owner
    for header in response.headers.getlist("Set-Cookie"):
        name, _, rest = header.partition("=")
        value, _, attributes = rest.partition(";")
        if name == _name(app):
            time = ""
            if value and owner is not None:
                time = _signer(app, manager, owner).sign(str(state.started_for(owner, manager.offset()))).decode()
            response.headers.add("Set-Cookie", f"{_name_of_time(app)}={time};{attributes}")


def _signer(app: Flask, manager: Requests, owner: str) -> Signer:
    salt = labelled(b"holdfast remember-me", manager.keys.namespace.encode(), owner.encode())
    keys = [key.encode() if isinstance(key, str) else key for key in reversed(signing_keys(app))]
    return Signer(keys, salt=salt, key_derivation="hmac")


def _name(app: Flask) -> str:
    return str(app.config.get("REMEMBER_COOKIE_NAME", "remember_token"))


def _name_of_time(app: Flask) -> str:
    return f"{_name(app)}_issued"

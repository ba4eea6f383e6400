"""Flask-Login's remember-me cookie: which browser it signs in, and whether its user's sessions were ended since.

The cookie holds the user's id alone. So each response that sets it sets another cookie beside it, with the time of
issue, signed for that user. A remember-me cookie without a valid one counts as older than everything.
"""

from __future__ import annotations

import hashlib
import sys

from flask import Flask, Request, Response
from itsdangerous import BadSignature, Signer
from werkzeug.datastructures import ImmutableMultiDict

from holdfast.clock import SECOND
from holdfast.flask.settings.secret_keys import signing_keys
from holdfast.records.metadata import REMEMBERED
from holdfast.records.tokens import labelled
from holdfast.sessions.ends import Ends
from holdfast.sessions.policy import LONGEST_COOKIE
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

    That is by an end of all of them, or by ``SESSION_NOT_BEFORE``.
    """
    user_id = _user_id(app, request)
    if user_id is None:
        return
    owner = manager.keys.owner_of(user_id)
    issued_at, browser = _issued(app, request, manager, owner)
    is_over = issued_at < (manager.context.policy.not_before or 0)
    if not is_over and isinstance(manager, Ends):
        is_over = manager.ended_since(issued_at, owner, *([manager.keys.browser_key(browser)] if browser else []))
    if is_over:
        state.data[REMEMBER] = "clear"


def hide(app: Flask, request: Request) -> None:
    """Take the remember-me cookie out of what Flask-Login reads: it signs nobody in whose token is in a header.

    Otherwise a script in a page, which cannot read the cookie, could get a token for it that it can read.
    """
    if hasattr(app, "login_manager") and _name(app) in request.cookies:
        others = [each for each in request.cookies.items(multi=True) if each[0] != _name(app)]
        request.cookies = ImmutableMultiDict(others)


def withhold(app: Flask, response: Response) -> None:
    """Take out of *response* what Flask-Login sets or deletes of the remember-me cookie."""
    kept = [each for each in response.headers.getlist("Set-Cookie") if each.partition("=")[0] != _name(app)]
    response.headers.setlist("Set-Cookie", kept)


def stamp(app: Flask, response: Response, state: SessionState, manager: Requests) -> None:
    """Set or delete the cookie with the time of issue, as *response* sets or deletes the remember-me cookie.

    The session notes what the browser is known by, so that the end of the session is that of its cookie.
    """
    owner, browser = state.owner, state.meta(REMEMBERED) or state.sid
    for header in response.headers.getlist("Set-Cookie"):
        name, _, rest = header.partition("=")
        value, _, attributes = rest.partition(";")
        if name == _name(app):
            time = ""
            if value and owner is not None:
                time = _time(app, state, manager, owner, browser)
                state.changes.meta[REMEMBERED] = browser
            response.headers.add("Set-Cookie", f"{_name_of_time(app)}={time};{attributes}")


def keep(app: Flask, request: Request, response: Response, state: SessionState, manager: Requests) -> None:
    """Let the remember-me cookie of a browser whose session ended its user's others be younger than that end."""
    user_id, owner = _user_id(app, request), state.owner
    if user_id is not None and owner in state.ended_all_at and owner == manager.keys.owner_of(user_id):
        _, browser = _issued(app, request, manager, owner)
        config = {name: app.config.get(f"REMEMBER_COOKIE_{name}") for name in ("DOMAIN", "PATH", "SECURE", "SAMESITE")}
        response.set_cookie(
            _name_of_time(app),
            _time(app, state, manager, owner, browser),
            max_age=LONGEST_COOKIE // SECOND,
            domain=config["DOMAIN"],
            path=config["PATH"] or "/",
            secure=bool(config["SECURE"]),
            httponly=bool(app.config.get("REMEMBER_COOKIE_HTTPONLY", True)),
            samesite=config["SAMESITE"],
        )


def recognise(app: Flask, request: Request, state: SessionState, manager: Requests) -> None:
    """Note in *state* which browser a remember-me cookie signs in."""
    state.remembered = browser_of(app, request, state)
    if state.remembered is not None and state.owner is not None:
        _, browser = _issued(app, request, manager, state.owner)
        state.changes.meta[REMEMBERED] = browser or None


def _user_id(app: Flask, request: Request) -> str | None:
    """Return the id of the user whom the remember-me cookie signs in, or None."""
    name, flask_login = _name(app), sys.modules.get("flask_login")
    # Most requests have none, and to find out that does not take the parsing of all their cookies.
    if flask_login is None or name not in request.environ.get("HTTP_COOKIE", ""):
        return None
    value = request.cookies.get(name)
    return (flask_login.decode_cookie(value, key=app.secret_key) or None) if value else None


def _issued(app: Flask, request: Request, manager: Requests, owner: str) -> tuple[int, str]:
    """Return when a remember-me cookie was issued, and what its browser is known by; 0 and "" if that is unknown."""
    try:
        text = _signer(app, manager, owner).unsign(request.cookies.get(_name_of_time(app), "")).decode()
        time, _, browser = text.partition(".")
        return int(time), browser
    except (BadSignature, ValueError):
        return 0, ""


def _time(app: Flask, state: SessionState, manager: Requests, owner: str, browser: str) -> str:
    """Return the signed time of the request, and what its browser is known by."""
    return _signer(app, manager, owner).sign(f"{state.started_for(owner, manager.offset())}.{browser}").decode()


def _signer(app: Flask, manager: Requests, owner: str) -> Signer:
    salt = labelled(b"holdfast remember-me", manager.keys.namespace.encode(), owner.encode())
    keys = [key.encode() if isinstance(key, str) else key for key in reversed(signing_keys(app))]
    return Signer(keys, salt=salt, key_derivation="hmac")


def _name(app: Flask) -> str:
    return str(app.config.get("REMEMBER_COOKIE_NAME", "remember_token"))


def _name_of_time(app: Flask) -> str:
    return f"{_name(app)}_issued"

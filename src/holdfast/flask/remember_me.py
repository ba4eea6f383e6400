"""Flask-Login's remember-me cookie: the browsers that it signs in."""

from __future__ import annotations

import hashlib

from flask import Request, current_app

from holdfast.records.tokens import labelled
from holdfast.sessions.state import SessionState


def browser_of(request: Request, state: SessionState) -> str | None:
    """Return what identifies the browser that a remember-me cookie signs in, or None without such a cookie.

    The cookie is the same in all of a user's browsers, so it is not enough by itself.
    """
    value = request.cookies.get(_name())
    if not value:
        return None
    parts = value, request.headers.get("User-Agent", ""), request.remote_addr or "", state.presented or ""
    return hashlib.sha256(labelled(*(part.encode("utf-8", "replace") for part in parts))).hexdigest()


def _name() -> str:
    return str(current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token"))
